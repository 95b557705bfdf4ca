"""Files of a verified tree whose bytes go wrong in one region: each is noticed, told, and not published."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from support.faults import calls, fails, faults, flips, needs_faults, struck
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.state import nothing_leaked

pytestmark = needs_faults

LARGE = 8 * MIB + 5
SMALL = 150_000
NAME = "sub/rotten"
# Eight regions of a large file, and more than one piece in each.
REGIONS = {"parallel_threshold": MIB, "min_region": MIB, "chunk": 256 * KIB}
# In the first region, at borders, in a middle one, and the last byte of all. (Reading what the kernel says of the
# machine moves the first few thousand bytes of other files.)
OFFSETS = (100_000, MIB - 1, MIB, 4 * MIB + 12_345, 7 * MIB, LARGE - 1)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """One file that will rot, and one beside it; an old destination of both."""
    for top, what in (("src", "new"), ("dst", "old")):
        (tmp_path / top / "sub").mkdir(parents=True)
        (tmp_path / top / NAME).write_bytes(noise(LARGE if top == "src" else 5000, what))
        (tmp_path / top / "beside").write_bytes(noise(50_000, what))
    return tmp_path / "src"


def check(src: Path, failure: fastcopy.TreeError, wanted: tuple[Any, ...]) -> None:
    """The one file is told, its old copy is what it was, and all else was copied."""
    (error,) = failure.errors
    assert (error.path, error.operation, error.errno, error.at, error.code) == (NAME, *wanted)
    dst = src.parent / "dst"
    assert (dst / NAME).read_bytes() == noise(5000, "old")
    assert (dst / "beside").read_bytes() == noise(50_000, "new")
    assert failure.report.files == 1 and not failure.report.verified
    assert sorted(os.listdir(dst / "sub")) == ["rotten"] and sorted(os.listdir(dst)) == ["beside", "sub"]


MISMATCH = (None, errno.EBADMSG, "destination", "VERIFY_E_MISMATCH")


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("verify", ("hash", "compare"))
def test_a_byte_written_wrong_is_noticed_in_every_region(src: Path, verify: str, workers: int, offset: int) -> None:
    with nothing_leaked(src.parent), faults(flips("pwrite", offset)), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, src.parent / "dst", verify=verify, engine="buffered", workers=workers, **REGIONS)
    assert struck == [1]
    check(src, failure.value, MISMATCH)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("engine", ("auto", *(name for name in fastcopy.engines() if name != "clone")))
def test_a_byte_read_back_wrong_is_noticed_in_every_region(src: Path, engine: str, workers: int, offset: int) -> None:
    if engine != "auto" and not fastcopy.capabilities(src)[engine]:
        unavailable(f"{engine} cannot run here")
    # Of the source it is the first that is read, but where it is mapped; of the copy, the next.
    nth = 1 if engine == "mapped" else 2
    rule = flips("pread", offset, nth)
    with nothing_leaked(src.parent), faults(rule), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(
            src, src.parent / "dst", verify="hash", engine=engine, reflink="never", workers=workers, **REGIONS
        )
    assert struck == [1]
    check(src, failure.value, MISMATCH)


@pytest.mark.parametrize("rule", (flips("pwrite", 100_000), flips("pread", 100_000, nth=2)), ids=str)
@pytest.mark.parametrize("verify", ("hash", "compare"))
def test_a_small_file_is_noticed_too(src: Path, verify: str, rule: Any) -> None:
    (src / NAME).write_bytes(noise(SMALL, "new"))
    with nothing_leaked(src.parent), faults(rule), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, src.parent / "dst", verify=verify, reflink="never")
    assert struck == [1]
    check(src, failure.value, MISMATCH)


@pytest.mark.parametrize("part", (0.3, 0.6, 0.8, 1.0))
@pytest.mark.parametrize("workers", (1, 3))
def test_a_region_that_cannot_be_read_is_told_with_its_call(src: Path, workers: int, part: float) -> None:
    dst = src.parent / "dst"
    options: dict[str, Any] = {"verify": "hash", "engine": "buffered", "workers": workers, "include": NAME, **REGIONS}
    with faults(fails("pread", errno.EIO, nth=1 << 30)):
        fastcopy.transfer(src, dst, **options)
    last = calls["pread"]
    (dst / NAME).write_bytes(noise(5000, "old"))
    rule = fails("pread", errno.EIO, nth=int(last * part))
    with nothing_leaked(src.parent), faults(rule), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst, **options)
    assert struck == [1]
    (error,) = failure.value.errors
    at = "source" if part < 0.5 else "destination"  # what was written is read again behind all of the source
    assert (error.path, error.operation, error.errno, error.at) == (NAME, "pread", errno.EIO, at)
    assert (dst / NAME).read_bytes() == noise(5000, "old")


def test_what_nothing_proves_is_published_as_it_is(src: Path) -> None:
    """These tests can fail."""
    with faults(flips("pwrite", OFFSETS[3])):
        fastcopy.transfer(src, src.parent / "dst", engine="buffered", **REGIONS)
    there, wanted = (src.parent / "dst" / NAME).read_bytes(), bytearray(noise(LARGE, "new"))
    wanted[OFFSETS[3]] ^= 0x40
    assert there == wanted
