"""kill -9 at any moment of an atomic transfer: the destination is the old file or the new one, whole."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.settings import FULL, dice
from support.shapes import MANY_REGIONS, MIB, noise

ROUNDS = 200 if FULL else 12
SIZE = 3 * MIB + 17


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("filesystem", FILESYSTEMS)
@pytest.mark.parametrize("engine", ("auto", "buffered", "mapped"))
def test_a_killed_transfer_leaves_the_old_or_the_new_file_whole(
    engine: str, filesystem: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    chance = dice(f"kill {engine} {filesystem}")
    directory = empty_directory(mounts.use(filesystem))
    sources = [directory / "a", directory / "b"]
    contents = [noise(SIZE, "a"), noise(SIZE // 2, "b")]
    for source, content in zip(sources, contents, strict=True):
        source.write_bytes(content)
    dst = directory / "dst"
    dst.write_bytes(contents[0])
    options: dict[str, object] = dict(MANY_REGIONS)
    if engine != "auto":
        options["engine"] = engine

    for _ in range(ROUNDS):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, b"x")
                while True:
                    for source in reversed(sources):
                        fastcopy.transfer(source, dst, **options)
            finally:
                os._exit(1)
        os.read(read, 1)  # it runs
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(read)
        os.close(write)
        assert os.WTERMSIG(status) == signal.SIGKILL, "the child ended by itself, so a transfer failed"
        assert dst.read_bytes() in contents
        # What a kill leaves behind has the documented name, and nothing else is there.
        for name in os.listdir(directory):
            if name not in ("a", "b", "dst"):
                assert name.startswith(".fastcopy-")
                (directory / name).unlink()
