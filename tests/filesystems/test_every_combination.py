"""Every engine x file shape x filesystem x door: the right copy, or a refusal that says why."""

import errno
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

import fastcopy
from fastcopy import _core
from support import pairwise
from support.doors import DOORS, Destination, Door
from support.faults import faults, slow
from support.mounts import FILESYSTEMS, Mounts
from support.settings import FULL, dice
from support.shapes import KIB, SHAPES, Shape
from support.state import nothing_leaked, stored_bytes

AXES = {
    "engine": ("auto", *fastcopy.engines()),
    "shape": tuple(SHAPES),
    "filesystem": tuple(FILESYSTEMS),
    "door": tuple(DOORS),
}


def makes_sense(engine: str, shape: str, filesystem: str, door: str) -> bool:
    # The shutil door reports no progress, so a change cannot be timed from there; it has its own tests.
    return not (SHAPES[shape].disturbed and DOORS[door].shutil)


CASES = pairwise.product(AXES, makes_sense) if FULL else pairwise.sample(AXES, makes_sense, dice("every combination"))


def refused(engine: str, shape: Shape, filesystem: str) -> bool:
    """Whether a named engine cannot do this; auto always finds a way."""
    if engine == "auto":
        return False
    if shape.pseudo:  # nothing but reading to the end works there
        return engine != "buffered"
    return engine in FILESYSTEMS[filesystem].refuses


@pytest.mark.parametrize(AXES, CASES, ids=lambda value: str(value))
def test_right_copy_or_clear_refusal(
    engine: str,
    shape: str,
    filesystem: str,
    door: str,
    empty_directory: Callable[[Path], Path],
    mounts: Mounts,
) -> None:
    case, way = SHAPES[shape], DOORS[door]
    directory = empty_directory(mounts.use(filesystem))
    src = case.build(directory / "src")
    dst = Destination.prepare(directory / "dst", way.old_content(case))
    options: dict[str, object] = dict(case.options)
    if engine != "auto":
        options["engine"] = engine
    with nothing_leaked(directory):
        if refused(engine, case, filesystem):
            with pytest.raises(fastcopy.CopyError) as refusal:
                way.carry(src, dst.path, **options)
            assert refusal.value.code == "COPY_E_UNSUPPORTED"
            assert refusal.value.errno == errno.EOPNOTSUPP
            assert dst.untouched() or not way.atomic
            return
        if case.disturbed:
            check_change_is_noticed(engine, case, way, src, dst, options)
            return
        report = way.carry(src, dst.path, **options)

    assert dst.path.read_bytes() == case.content
    dst.check_kept(way)
    if report is not None:
        assert report.bytes == len(case.content)
        assert engine in ("auto", report.engine)
    if case.hole_bytes >= 64 * KIB and way.before == "new" and not way.shutil:
        slack = 32 * KIB  # blocks at the borders of data, and the file's own metadata
        assert stored_bytes(dst.path) <= case.size - case.hole_bytes + slack * (len(case.data or ()) + 1)


def check_change_is_noticed(
    engine: str, shape: Shape, door: Door, src: Path, dst: Destination, options: dict[str, object]
) -> None:
    # The first progress is reported before anything is opened. In the test build there is time for a
    # second one, in the middle: each of the calls that move bytes is slow once. A clone has no middle.
    middle = _core.HAS_FAULTS and engine != "clone"
    if middle and engine == "auto":
        options["reflink"] = "never"
    options["progress"] = After(1 if middle else 0, lambda: shape.disturb(src))
    moving = ("pwrite", "copy_file_range", "mmap", "process_vm_readv")
    slowly = faults(*(slow(op, 0.15, 1, for_ever=False) for op in moving)) if middle else nullcontext()
    with slowly, pytest.raises(OSError) as noticed:
        door.carry(src, dst.path, **options)
    assert isinstance(noticed.value, fastcopy.CopyError)
    assert noticed.value.code == "COPY_E_SOURCE_CHANGED"
    assert noticed.value.errno == errno.ESTALE
    if door.atomic:
        assert dst.untouched()
    elif not dst.untouched():
        left = dst.path.read_bytes()
        assert left == src.read_bytes()[: len(left)] or left == shape.content[: len(left)]


class After:
    """Does something once, when that many reports of progress have gone by."""

    def __init__(self, reports: int, action: Callable[[], object]) -> None:
        self.reports = reports
        self.action = action

    def __call__(self, progress: object) -> None:
        self.reports -= 1
        if self.reports == -1:
            self.action()


def test_a_sample_covers_every_pair() -> None:
    # The sample is what CI walks: it must not lose a pair, whatever the dice say.
    drawn = pairwise.sample(AXES, makes_sense, dice("does the sample cover"))
    covered = set().union(*(pairwise.pairs(case) for case in drawn))
    wanted = set().union(*(pairwise.pairs(case) for case in pairwise.product(AXES, makes_sense)))
    assert covered == wanted
    assert len(drawn) < len(pairwise.product(AXES, makes_sense)) / 10
