"""No room: before the copy, and while it runs."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, MIB, Mounts, filled
from support.shapes import MANY_REGIONS, noise
from support.state import nothing_leaked

# Where the file to be copied needs new room: clones share what is there.
CASES = [
    (engine, name)
    for name in ("ext4", "tmpfs", "xfs-noreflink", "btrfs")
    for engine in ("auto", *fastcopy.engines())
    if engine not in FILESYSTEMS[name].refuses | {"clone"}
    and not (name == "btrfs" and engine == "copy_range")  # where it shares too
]
SIZE = 24 * MIB


@pytest.fixture
def full(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> Callable[[str], Path]:
    def directory(filesystem: str) -> Path:
        # mkfs.xfs makes nothing below 300 MiB.
        return empty_directory(mounts.small(filesystem, 320 * MIB if "xfs" in filesystem else 128 * MIB))

    return directory


def moving(engine: str) -> dict[str, object]:
    """What makes the copy need room of its own."""
    return {"reflink": "never"} if engine == "auto" else {"engine": engine}


def check_no_space(error: OSError) -> None:
    assert isinstance(error, fastcopy.CopyError)
    assert error.code == "COPY_E_NOSPACE"
    assert error.errno == errno.ENOSPC
    assert error.filename is not None


@pytest.mark.parametrize(("engine", "filesystem"), CASES)
@pytest.mark.parametrize("atomic", (True, False), ids=("atomic", "in place"))
def test_a_file_that_cannot_fit_is_refused_and_nothing_is_left(
    engine: str, filesystem: str, atomic: bool, full: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = full(filesystem)
    src, dst = tmp_path / "src", directory / "dst"
    src.write_bytes(noise(SIZE))
    dst.write_bytes(b"old")
    if engine == "copy_range":  # works within one kind of filesystem only
        src = directory / "src"
        src.write_bytes(noise(SIZE))
    with filled(directory, leave=8 * MIB), nothing_leaked(directory):
        with pytest.raises(OSError) as refusal:
            fastcopy.transfer(src, dst, atomic=atomic, **moving(engine))
        check_no_space(refusal.value)
        # Known before the first byte, so that even a destination in place is whole; but not where files are
        # compressed, for there nobody knows.
        left = dst.read_bytes()
        assert left == b"old" or (not atomic and filesystem == "btrfs" and left == noise(SIZE)[: len(left)])
    fastcopy.transfer(src, dst, atomic=atomic, **moving(engine))
    assert dst.read_bytes() == noise(SIZE)


@pytest.mark.parametrize(("engine", "filesystem"), CASES)
@pytest.mark.parametrize("atomic", (True, False), ids=("atomic", "in place"))
def test_a_disk_that_fills_up_meanwhile_is_an_error_and_not_a_dead_interpreter(
    engine: str, filesystem: str, atomic: bool, full: Callable[[str], Path]
) -> None:
    directory = full(filesystem)
    src, dst = directory / "src", directory / "dst"
    src.write_bytes(noise(SIZE))
    dst.write_bytes(b"old")
    fillers = []

    def fill(progress: object) -> None:
        if not fillers:  # the space check is over, the first byte is not written yet
            fillers.append(filled(directory, leave=8 * MIB))
            fillers[0].__enter__()

    try:
        with nothing_leaked(directory), pytest.raises(OSError) as refusal:
            fastcopy.transfer(src, dst, atomic=atomic, progress=fill, **moving(engine), **MANY_REGIONS)
        check_no_space(refusal.value)
        if atomic:
            assert dst.read_bytes() == b"old"
        else:
            left = dst.read_bytes()
            assert left in (b"old", noise(SIZE)[: len(left)]), "in place the written prefix stays, no more"
    finally:
        fillers[0].__exit__(None, None, None)


@pytest.mark.parametrize("filesystem", ("ext4", "tmpfs"))
def test_a_sparse_file_larger_than_the_disk_is_not_refused(filesystem: str, full: Callable[[str], Path]) -> None:
    directory = full(filesystem)
    src, dst = directory / "src", directory / "dst"
    with src.open("wb") as f:
        f.truncate(4 << 30)
        os.pwrite(f.fileno(), noise(MIB), 1 << 30)
    fastcopy.transfer(src, dst)
    assert dst.stat().st_size == 4 << 30


@pytest.mark.parametrize("filesystem", ("ext4", "tmpfs", "xfs-noreflink"))
def test_room_that_the_destination_already_owns_is_counted(
    filesystem: str, full: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = full(filesystem)
    src, dst = tmp_path / "src", directory / "dst"
    src.write_bytes(noise(SIZE))
    dst.write_bytes(noise(SIZE, "old"))
    with filled(directory, leave=4 * MIB):
        fastcopy.transfer(src, dst, atomic=False)
    assert dst.read_bytes() == noise(SIZE)
