"""A source that is not what the plan saw, or does not stay what it was."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.faults import faults, needs_faults, slow
from support.shapes import KIB, MANY_REGIONS, MIB, noise
from support.state import nothing_leaked


def append(path: Path) -> None:
    with path.open("ab") as f:
        f.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def rewrite(path: Path) -> None:
    path.write_bytes(noise(path.stat().st_size, "rewritten"))


def replace(path: Path) -> None:
    """Another file of the same size and times under that name."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(noise(before.st_size, "replaced"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


CHANGES: tuple[Callable[[Path], None], ...] = (append, truncate, empty, rewrite, replace, touch)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(noise(MIB + 7))
    os.utime(path, ns=(10**18, 10**18))  # long ago, so that no coarse clock hides a change
    return path


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    path = tmp_path / "dst"
    path.write_bytes(b"old")
    return path


@pytest.mark.release
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("atomic", (True, False))
def test_a_plan_is_not_carried_out_on_another_source(
    src: Path, dst: Path, change: Callable[[Path], None], atomic: bool, tmp_path: Path
) -> None:
    plan = fastcopy.plan(src, dst, atomic=atomic)
    change(src)
    with nothing_leaked(tmp_path), pytest.raises(fastcopy.CopyError) as refusal:
        plan.run()
    assert refusal.value.code == "COPY_E_SOURCE_CHANGED"
    assert refusal.value.filename == str(src)
    assert dst.read_bytes() == b"old"


@pytest.mark.release
def test_a_plan_survives_what_does_not_change_the_content(src: Path, dst: Path) -> None:
    plan = fastcopy.plan(src, dst)
    src.chmod(0o600)
    (src.parent / "link").hardlink_to(src)
    plan.run()
    assert dst.read_bytes() == src.read_bytes()


@pytest.mark.release
def test_a_plan_can_be_carried_out_twice(src: Path, dst: Path) -> None:
    plan = fastcopy.plan(src, dst)
    plan.run()
    dst.unlink()
    plan.run()
    assert dst.read_bytes() == src.read_bytes()


@pytest.mark.release
def test_a_plan_whose_source_is_gone_says_so(src: Path, dst: Path) -> None:
    plan = fastcopy.plan(src, dst)
    src.unlink()
    with pytest.raises(FileNotFoundError):
        plan.run()
    assert dst.read_bytes() == b"old"


# ---- while it is copied --------------------------------------------------------------------------------

MOVERS = [name for name in fastcopy.engines() if name != "clone"]  # a clone has no middle
MOVING = ("pwrite", "copy_file_range", "mmap", "process_vm_readv")


def changing_in_the_middle(
    src: Path, dst: Path, change: Callable[[Path], object], **options: object
) -> fastcopy.Report:
    """A transfer during which the source is changed; each kind of call is slow once to make time for it."""
    reports: list[fastcopy.Progress] = []

    def progress(p: fastcopy.Progress) -> None:
        reports.append(p)
        if len(reports) == 2:
            change(src)

    with faults(*(slow(op, 0.15, 3, for_ever=False) for op in MOVING)):
        try:
            return fastcopy.transfer(src, dst, progress=progress, **MANY_REGIONS, **options)
        finally:
            assert len(reports) >= 2, "nothing was reported in the middle, so nothing is tested"


@needs_faults
@pytest.mark.parametrize("change", (append, truncate, empty, rewrite, touch), ids=lambda change: change.__name__)
@pytest.mark.parametrize("engine", MOVERS)
def test_a_change_meanwhile_is_an_error_and_the_old_destination_stays(
    engine: str, change: Callable[[Path], None], src: Path, dst: Path, tmp_path: Path
) -> None:
    with nothing_leaked(tmp_path), pytest.raises(fastcopy.CopyError) as failure:
        changing_in_the_middle(src, dst, change, engine=engine)
    assert failure.value.code == "COPY_E_SOURCE_CHANGED"
    assert failure.value.filename == str(src)
    assert dst.read_bytes() == b"old"


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_a_change_can_be_a_warning_instead(engine: str, src: Path, dst: Path) -> None:
    report = changing_in_the_middle(src, dst, touch, engine=engine, on_change="warn")
    assert any("changed" in warning for warning in report.warnings)
    assert dst.read_bytes() == noise(MIB + 7)
    report = changing_in_the_middle(src, dst, append, engine=engine, on_change="warn")
    assert any("changed" in warning for warning in report.warnings)
    assert dst.read_bytes()[: MIB + 7] == noise(MIB + 7)


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_a_change_of_status_alone_is_a_warning(engine: str, src: Path, dst: Path) -> None:
    report = changing_in_the_middle(src, dst, lambda path: path.chmod(0o600), engine=engine)
    assert report.warnings
    assert dst.read_bytes() == noise(MIB + 7)


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
@pytest.mark.parametrize("warn", (True, False))
def test_a_source_cut_short_under_an_in_place_copy_leaves_only_what_was_copied(
    engine: str, warn: bool, src: Path, dst: Path
) -> None:
    with contextlib.suppress(OSError):
        on_change = "warn" if warn else "error"
        changing_in_the_middle(src, dst, truncate, engine=engine, atomic=False, on_change=on_change)
    left = dst.read_bytes()
    assert left in (b"old", noise(MIB + 7)[: len(left)])


@pytest.mark.release
def test_a_log_that_grows_all_the_time_is_copied_with_a_warning(tmp_path: Path, dst: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(noise(4 * MIB))
    stop = threading.Event()

    def grow() -> None:
        with log.open("ab", buffering=0) as f:
            while not stop.is_set():
                f.write(b"line\n")

    grower = threading.Thread(target=grow)
    grower.start()
    try:
        for engine in ("buffered", "copy_range", "mapped"):
            try:
                fastcopy.transfer(log, dst, engine=engine, on_change="warn", window=64 * KIB)
            except fastcopy.CopyError as e:  # it grew between the look and the opening
                assert e.code == "COPY_E_SOURCE_CHANGED"
                continue
            copied = dst.read_bytes()
            with log.open("rb") as f:
                assert f.read(len(copied)) == copied
            fastcopy.copyfile(log, dst)
            copied = dst.read_bytes()
            assert len(copied) >= 4 * MIB
            with log.open("rb") as f:
                assert f.read(len(copied)) == copied
    finally:
        stop.set()
        grower.join()
