"""Where the command is tried."""

from pathlib import Path

import pytest

from support.shapes import KIB, MIB, noise


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(noise(3 * KIB))
    Path("tree/sub").mkdir(parents=True)
    Path("tree/one").write_bytes(b"one")
    Path("tree/sub/two").write_bytes(noise(MIB))
    return tmp_path
