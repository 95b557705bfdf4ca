"""The mapped engine, whose files can be taken away under it: an OSError, never a dead interpreter."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.faults import fails, faults, needs_faults, slow
from support.mounts import Mounts, filled
from support.shapes import KIB, MIB, noise
from support.shells import python
from support.state import nothing_leaked

SIZE = 6 * MIB + 5
FAULTHANDLER = pytest.mark.parametrize("faulthandler", ("on", "off"))

# Cuts the source short at random moments, again and again; the copy is right or raises, and Python lives on.
TRUNCATED = """
import os, random, sys, threading, time
import fastcopy
src, dst, seed, workers = sys.argv[1:]
chance = random.Random(int(seed))
content = chance.randbytes(6 << 20)
failed = right = 0
for _ in range(60):
    with open(src, "wb") as f:
        f.write(content)
    size = chance.choice((0, 1, 4095, 4096, 100_000, len(content) // 2, len(content) - 1))
    cut = threading.Timer(chance.uniform(0, 0.004), os.truncate, (src, size))
    cut.start()
    try:
        fastcopy.transfer(src, dst, engine="mapped", window=65536, workers=int(workers), min_region=65536,
                          parallel_threshold=65536)
    except OSError as e:
        assert e.filename in (src, dst), e
        failed += 1
    else:
        right += 1
    cut.join()
    if os.path.exists(dst):
        got = open(dst, "rb").read()
        assert got == content or got == content[:size], "a wrong copy was published"
        os.unlink(dst)
assert os.listdir(os.path.dirname(dst)) == [os.path.basename(src)]
print(failed, right)
"""


@pytest.mark.release
@FAULTHANDLER
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("filesystem", ("tmpfs", "ext4", "xfs"))
def test_a_source_truncated_at_any_moment_is_an_error(
    filesystem: str, workers: int, faulthandler: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    flags = ("-X", "faulthandler") if faulthandler == "on" else ()
    failed, right = map(int, python(TRUNCATED, directory / "src", directory / "dst", 1, workers, flags=flags).split())
    assert failed + right == 60
    assert failed > 0, "no truncation came in time, so nothing was tested"


FILLED = """
import sys
from pathlib import Path
import fastcopy
from fastcopy import _core
from support.faults import fails, faults
from support.mounts import filled
src, dst, prealloc, atomic = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "yes", sys.argv[4] == "yes"
fillers = []
def fill(progress):
    if not fillers:
        fillers.append(filled(dst.parent, leave=2 << 20))
        fillers[0].__enter__()
# Where the filesystem cannot reserve room, the page that finds none is met in the mapping itself.
rules = [] if prealloc else [fails("fallocate", 95, for_ever=True)]
import contextlib
with faults(*rules) if rules else contextlib.nullcontext():
    try:
        fastcopy.transfer(src, dst, engine="mapped", progress=fill, window=65536, atomic=atomic)
    except OSError as e:
        print(e.errno)
"""


@FAULTHANDLER
@pytest.mark.parametrize("prealloc", ("yes", pytest.param("no", marks=needs_faults)))
@pytest.mark.parametrize("atomic", ("yes", "no"))
@pytest.mark.parametrize("filesystem", ("tmpfs", "ext4", "xfs-noreflink"))
def test_a_disk_that_fills_up_under_the_mapping_is_an_error(
    filesystem: str,
    atomic: str,
    prealloc: str,
    faulthandler: str,
    mounts: Mounts,
    empty_directory: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    size = (320 if "xfs" in filesystem else 64) * MIB
    directory = empty_directory(mounts.small(filesystem, size))
    src, dst = tmp_path / "src", directory / "dst"
    src.write_bytes(noise(24 * MIB))
    flags = ("-X", "faulthandler") if faulthandler == "on" else ()
    said = python(FILLED, src, dst, prealloc, atomic, flags=flags)
    # The page that finds no room says ENOSPC, or EIO or EFAULT where the kernel says no more than that.
    assert int(said) in (errno.ENOSPC, errno.EIO, errno.EFAULT)
    if atomic == "yes":
        assert not dst.exists()
        assert os.listdir(directory) == ["filler"] or os.listdir(directory) == []


@pytest.mark.release
def test_windows_and_flushes_are_as_asked_for(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(SIZE))
    report = fastcopy.transfer(
        tmp_path / "src", tmp_path / "dst", engine="mapped", window=256 * KIB, flush_every=4, workers=1
    )
    assert (tmp_path / "dst").read_bytes() == noise(SIZE)
    assert report.windows == 25
    assert report.flushes == 25 // 4
    assert 0 < report.mapped_bytes <= 2 * 2 * 256 * KIB


@needs_faults
def test_a_window_that_cannot_be_mapped_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(SIZE))
    for nth in (1, 2, 5):
        with (
            nothing_leaked(tmp_path),
            faults(fails("mmap", errno.EIO, nth, for_ever=True)),
            pytest.raises(OSError) as failure,
        ):
            fastcopy.transfer(tmp_path / "src", tmp_path / "dst", engine="mapped", window=64 * KIB, flush_every=1)
        assert failure.value.errno == errno.EIO
        assert not (tmp_path / "dst").exists()


@needs_faults
@pytest.mark.parametrize("size", (0, 1, 100_000, SIZE - 4096))
def test_a_source_cut_short_between_two_windows_is_a_change(size: int, tmp_path: Path) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.write_bytes(noise(SIZE))
    dst.write_bytes(b"old")
    seen = 0

    def cut(progress: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            os.truncate(src, size)

    with (
        nothing_leaked(tmp_path),
        faults(slow("mmap", 0.12, 3, for_ever=False)),
        pytest.raises(fastcopy.CopyError) as failure,
    ):
        fastcopy.transfer(src, dst, engine="mapped", window=64 * KIB, workers=1, progress=cut)
    assert seen >= 2
    assert failure.value.code == "COPY_E_SOURCE_CHANGED"
    assert dst.read_bytes() == b"old"


def test_the_helper_that_fills_a_disk_fills_it(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> None:
    directory = empty_directory(mounts.small("tmpfs", 64 * MIB))
    with filled(directory, leave=2 * MIB):
        room = os.statvfs(directory)
        assert room.f_bavail * room.f_frsize <= 2 * MIB + 4096
