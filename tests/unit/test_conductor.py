"""What only the calling thread does while the bytes move: signals, progress, cancelling, and a fork inside."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType

import pytest

import fastcopy
from support.faults import BULK, calls, faults, needs_faults, slow
from support.mounts import Mounts
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.state import nothing_leaked

SIZE = 3 * MIB + 5
REGIONS: dict[str, object] = {
    "workers": 2,
    "parallel_threshold": 64 * KIB,
    "min_region": 64 * KIB,
    "chunk": 64 * KIB,
    "window": 64 * KIB,
}
MOVERS = [name for name in fastcopy.engines() if name != "clone"]


@pytest.fixture
def directory(mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path) -> Path:
    """Where every engine can run, with a source and an old destination."""
    path = empty_directory(mounts.use("xfs")) if os.geteuid() == 0 else tmp_path
    (path / "src").write_bytes(noise(SIZE))
    (path / "dst").write_bytes(b"old")
    return path


def long_copy(directory: Path, engine: str, **options: object) -> fastcopy.Report:
    """A copy of 49 calls of 20 ms each, on two workers: about half a second."""
    with faults(slow(BULK[engine], 0.02)):
        return fastcopy.transfer(directory / "src", directory / "dst", engine=engine, **REGIONS, **options)


def check_given_up(directory: Path, engine: str) -> None:
    """It ended long before the end, and the old destination is there."""
    assert (directory / "dst").read_bytes() == b"old"
    if engine != "clone":
        assert 0 < calls[BULK[engine]] < 40


@contextmanager
def signal_soon(number: int, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """The signal comes a moment later, from another thread."""
    before = signal.signal(number, handler)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(number, before)


# ---- signals ---------------------------------------------------------------------------------------------


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_ctrl_c_ends_a_long_copy_and_cleans_up(engine: str, directory: Path) -> None:
    with (
        nothing_leaked(directory),
        signal_soon(signal.SIGINT, signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
    ):
        long_copy(directory, engine)
    check_given_up(directory, engine)


@needs_faults
@pytest.mark.parametrize("workers", (1, 2))
def test_ctrl_c_ends_a_copy_by_the_shutil_door(directory: Path, workers: int) -> None:
    with (
        nothing_leaked(directory),
        signal_soon(signal.SIGINT, signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
        faults(slow("pwrite", 0.02)),
    ):
        fastcopy.copyfile(directory / "src", directory / "dst", engine="buffered", **REGIONS | {"workers": workers})
    assert calls["pwrite"] < 40
    left = (directory / "dst").read_bytes()
    assert left == noise(SIZE)[: len(left)]
    assert len(left) < SIZE


@needs_faults
def test_ctrl_c_ends_a_copyfile_without_options(directory: Path) -> None:
    with (
        signal_soon(signal.SIGINT, signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
        faults(slow("pwrite", 0.02), slow("ficlone", 0.3), slow("copy_file_range", 0.3)),
    ):
        fastcopy.copyfile(directory / "src", directory / "dst")


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_a_signal_whose_handler_returns_does_not_end_the_copy(engine: str, directory: Path) -> None:
    seen: list[int] = []
    with signal_soon(signal.SIGUSR1, lambda number, frame: seen.append(number)):
        report = long_copy(directory, engine)
    assert seen == [signal.SIGUSR1]
    assert report.bytes == SIZE
    assert (directory / "dst").read_bytes() == noise(SIZE)


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_a_storm_of_signals_does_not_disturb_the_copy(engine: str, directory: Path) -> None:
    # As a profiler's timer makes: every call may be interrupted at any time.
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        long_copy(directory, engine)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count > 3
    assert (directory / "dst").read_bytes() == noise(SIZE)


@needs_faults
def test_an_exception_of_a_handler_comes_out_unchanged(directory: Path) -> None:
    class MyError(Exception):
        pass

    error = MyError("mine")

    def handle(number: int, frame: FrameType | None) -> None:
        raise error

    with (
        nothing_leaked(directory),
        signal_soon(signal.SIGUSR1, handle),
        pytest.raises(MyError) as caught,
    ):
        long_copy(directory, "buffered")
    assert caught.value is error
    check_given_up(directory, "buffered")


@needs_faults
def test_a_copy_in_a_thread_leaves_signals_to_the_main_thread(directory: Path) -> None:
    seen: list[int] = []
    reports: list[fastcopy.Report] = []
    with signal_soon(signal.SIGUSR1, lambda number, frame: seen.append(number)):
        thread = threading.Thread(target=lambda: reports.append(long_copy(directory, "buffered")))
        thread.start()
        thread.join()
    assert seen == [signal.SIGUSR1]
    assert reports[0].bytes == SIZE


# ---- cancelling ------------------------------------------------------------------------------------------


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_cancel_ends_a_long_copy_and_cleans_up(engine: str, directory: Path) -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as failure:
        try:
            long_copy(directory, engine, cancel=cancel)
        finally:
            timer.join()
    assert failure.value.code == "COPY_E_CANCELLED"
    assert failure.value.errno == errno.ECANCELED
    check_given_up(directory, engine)


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_cancelled_in_place_only_the_written_prefix_stays(engine: str, directory: Path) -> None:
    cancel = threading.Event()
    (directory / "dst").write_bytes(noise(2 * SIZE, "old"))

    def stop(progress: fastcopy.Progress) -> None:
        if progress.bytes > 0:
            cancel.set()

    with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as failure:
        long_copy(directory, engine, cancel=cancel, progress=stop, atomic=False)
    assert failure.value.code == "COPY_E_CANCELLED"
    left = (directory / "dst").read_bytes()
    assert 0 < len(left) < SIZE
    assert left == noise(SIZE)[: len(left)]


@pytest.mark.release
def test_what_is_cancelled_beforehand_does_not_begin(directory: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    for engine in MOVERS:
        with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as failure:
            fastcopy.transfer(directory / "src", directory / "dst", engine=engine, cancel=cancel)
        assert failure.value.code == "COPY_E_CANCELLED"
        assert (directory / "dst").read_bytes() == b"old"


# ---- progress --------------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
@pytest.mark.parametrize("size", (0, 1, 100_000, SIZE))
def test_progress_is_reported_once_at_the_start_and_once_at_the_end(engine: str, size: int, directory: Path) -> None:
    os.truncate(directory / "src", size)
    seen: list[fastcopy.Progress] = []
    named = {} if engine == "auto" else {"engine": engine}
    if named and not fastcopy.capabilities(directory)[engine]:
        unavailable(f"{engine} cannot run here")
    fastcopy.transfer(directory / "src", directory / "dst", progress=seen.append, **named)
    assert len(seen) >= 2
    assert (seen[0].bytes, seen[0].total, seen[0].phase, seen[0].files) == (0, size, "copy", 0)
    assert (seen[-1].bytes, seen[-1].total, seen[-1].files) == (size, size, 1)
    assert {p.path for p in seen} == {str(directory / "src")}


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
def test_progress_grows_and_comes_at_most_20_times_a_second(engine: str, directory: Path) -> None:
    seen: list[tuple[float, fastcopy.Progress]] = []
    caller = threading.get_ident()

    def progress(p: fastcopy.Progress) -> None:
        assert threading.get_ident() == caller
        seen.append((monotonic(), p))

    long_copy(directory, engine, progress=progress)
    done = [p.bytes for _, p in seen]
    assert done == sorted(done)
    assert len(set(done)) > 2, "nothing between the start and the end"
    assert all(0 <= p.bytes <= p.total == SIZE for _, p in seen)
    took = seen[-1][0] - seen[0][0]
    assert len(seen) <= 20 * took + 2


@needs_faults
@pytest.mark.parametrize("engine", MOVERS)
@pytest.mark.parametrize("nth", (1, 2))
@pytest.mark.parametrize("kind", (ValueError, KeyboardInterrupt, SystemExit, OSError, MemoryError))
def test_an_exception_of_a_callback_comes_out_unchanged(
    engine: str, nth: int, kind: type[BaseException], directory: Path
) -> None:
    error = kind("mine")
    reports = 0

    def progress(p: fastcopy.Progress) -> None:
        nonlocal reports
        reports += 1
        if reports == nth:
            raise error

    with nothing_leaked(directory), pytest.raises(kind) as caught:
        long_copy(directory, engine, progress=progress)
    assert caught.value is error
    assert (directory / "dst").read_bytes() == b"old"


@needs_faults
def test_an_exception_of_is_set_comes_out_unchanged(directory: Path) -> None:
    error = LookupError("mine")
    asked = 0

    class Cancel:
        def is_set(self) -> bool:
            nonlocal asked
            asked += 1
            if asked == 3:  # the first two are before the copy begins
                raise error
            return False

    with nothing_leaked(directory), pytest.raises(LookupError) as caught:
        long_copy(directory, "buffered", cancel=Cancel())
    assert caught.value is error
    check_given_up(directory, "buffered")


@needs_faults
def test_a_copy_inside_the_callback_of_a_copy(directory: Path) -> None:
    # Nothing is shared between copies, so one may run inside another.
    inner: list[fastcopy.Report] = []

    def progress(p: fastcopy.Progress) -> None:
        if not inner:
            inner.append(fastcopy.transfer(directory / "src", directory / "inner", **REGIONS))

    long_copy(directory, "buffered", progress=progress)
    for name in ("dst", "inner"):
        assert (directory / name).read_bytes() == noise(SIZE)


# ---- fork ------------------------------------------------------------------------------------------------


@needs_faults
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("engine", MOVERS)
@pytest.mark.parametrize("atomic", (True, False))
def test_a_fork_inside_a_callback_leaves_the_copy_to_the_parent(engine: str, atomic: bool, directory: Path) -> None:
    children: list[int] = []
    parent = os.getpid()
    reports = 0

    def progress(p: fastcopy.Progress) -> None:
        nonlocal reports
        reports += 1
        if reports == 2 and os.getpid() == parent:
            child = os.fork()
            if child != 0:
                children.append(child)

    try:
        with nothing_leaked(directory):
            long_copy(directory, engine, progress=progress, atomic=atomic)
    except OSError:
        if os.getpid() != parent:
            os._exit(7)  # what the child is to do: raise, and touch nothing
        raise
    finally:
        if os.getpid() != parent:
            os._exit(1)
    assert len(children) == 1
    _, status = os.waitpid(children[0], 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert (directory / "dst").read_bytes() == noise(SIZE)


@pytest.mark.release
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_copy(directory: Path) -> None:
    fastcopy.transfer(directory / "src", directory / "first", **REGIONS)
    child = os.fork()
    if child == 0:
        try:
            fastcopy.transfer(directory / "src", directory / "dst", engine="buffered", **REGIONS)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (directory / "dst").read_bytes() == noise(SIZE)


@needs_faults
def test_no_descriptor_reaches_a_program_that_is_started_meanwhile(directory: Path) -> None:
    listed: list[str] = []

    def progress(p: fastcopy.Progress) -> None:
        if p.bytes and not listed:
            # close_fds=False: close-on-exec alone must keep them away.
            shown = subprocess.run(
                ("ls", "-l", "/proc/self/fd"), close_fds=False, capture_output=True, text=True, check=True
            )
            listed.append(shown.stdout)
            raise StopIteration

    for engine in MOVERS:
        listed.clear()
        with pytest.raises(StopIteration):
            long_copy(directory, engine, progress=progress)
        assert listed
        assert str(directory) not in listed[0]
