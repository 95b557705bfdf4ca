"""Verified copies to which something happens: a clear error, the old destination, and nothing left behind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.mounts import Mounts
from support.rotten import OLD, SIZE, set_source


@pytest.fixture
def directory(mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path) -> Path:
    """Where every engine can run, with a source of long ago and an old destination."""
    path = empty_directory(mounts.use("xfs")) if os.geteuid() == 0 else tmp_path
    set_source(path, SIZE)
    (path / "dst").write_bytes(OLD)
    return path
