"""Progress is told often enough and not too often, and stopping comes out as what it was."""

import builtins
import errno
import io
import sys
import threading
from pathlib import Path

import pytest

import fastcopy
from fastcopy import progress as module
from fastcopy.progress import Conductor, conductor


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def watch(seen, clock):
    return Conductor(seen.append, None, "dir/a.bin", "b.bin", clock=clock)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(b"x" * 1000)
    return path


def test_once_at_the_start_and_once_at_the_end(watch, seen):
    watch.start(1000)
    watch.finish(1000)
    assert [(p.bytes, p.total, p.files, p.path) for p in seen] == [
        (0, 1000, 0, "dir/a.bin"),
        (1000, 1000, 1, "dir/a.bin"),
    ]


def test_at_most_twenty_times_a_second(watch, seen, clock):
    watch.start(10**6)
    for done in range(1000):
        clock.now += 0.001
        watch.tick(done, 10**6, "copy")
    assert 15 <= len(seen) - 1 <= 20


def test_rate_and_eta(watch, seen, clock):
    watch.start(1000)
    assert (seen[-1].rate, seen[-1].eta) == (0.0, None)
    clock.now += 2
    watch.tick(400, 1000, "copy")
    assert (seen[-1].rate, seen[-1].eta) == (200.0, 3.0)


def test_a_phase_has_its_own_clock(watch, seen, clock):
    watch.start(1000)
    clock.now += 10
    watch.tick(0, 1000, "sync")
    clock.now += 1
    watch.tick(500, 1000, "sync")
    assert (seen[-1].phase, seen[-1].rate, seen[-1].eta) == ("sync", 0.0, None)  # the kernel does not say


def test_a_file_that_grows_is_not_more_than_done(watch, seen, clock):
    watch.start(10)
    clock.now += 1
    watch.tick(50, 10, "copy")
    assert (seen[-1].total, seen[-1].eta) == (50, 0.0)


def test_nobody_listens_nobody_calls():
    assert conductor(None, None, "a", "b") is None
    assert conductor(False, None, "a", "b") is None


def test_cancel_is_asked_before_anything_is_touched(source):
    stop = threading.Event()
    stop.set()
    dst = source.with_name("dst")
    for copy in (fastcopy.transfer, fastcopy.copyfile):
        with pytest.raises(fastcopy.CopyError) as stopped:
            copy(source, dst, cancel=stop)
        assert (stopped.value.code, stopped.value.errno) == ("COPY_E_CANCELLED", errno.ECANCELED)
        assert (stopped.value.filename, stopped.value.filename2) == (str(source), str(dst))
        assert not dst.exists()


def test_cancel_alone_is_heard_at_every_tick():
    stop = threading.Event()
    watch = conductor(None, stop, "a", "b")
    assert watch is not None
    watch.start(10)
    watch.tick(1, 10, "copy")
    stop.set()
    with pytest.raises(fastcopy.CopyError):
        watch.tick(2, 10, "copy")


def test_a_phase_to_begin_with_and_how_it_is_cancelled(seen):
    stop = threading.Event()
    watch = conductor(seen.append, stop, "a", None, "verify")
    watch.start(10)
    assert seen[0].phase == "verify"
    stop.set()
    with pytest.raises(fastcopy.VerifyError) as caught:
        watch.tick(1, 10, "verify")
    assert (caught.value.code, caught.value.errno) == ("VERIFY_E_CANCELLED", errno.ECANCELED)
    assert (caught.value.filename, caught.value.filename2) == ("a", None)


@pytest.mark.parametrize(
    ("phase", "code"),
    [("copy", "COPY_E_CANCELLED"), ("sync", "COPY_E_CANCELLED"), ("verify", "VERIFY_E_CANCELLED")],
)
def test_cancelling_is_told_by_the_phase_that_it_meets(phase, code):
    stop = threading.Event()
    watch = conductor(None, stop, "a", "b")
    watch.start(10)
    watch.tick(1, 10, "copy")
    stop.set()
    with pytest.raises(fastcopy.CopyError) as caught:
        watch.tick(1, 10, phase)
    assert caught.value.code == code
    assert isinstance(caught.value, fastcopy.VerifyError) == (phase == "verify")


def test_of_several_files_the_one_under_way_is_named_and_those_done_are_counted(watch, seen, clock):
    watch.start(1000)
    for done, path in enumerate((b"one", "two")):
        clock.now += 1
        watch.next_file(path, done)
        watch.tick(done * 500, 1000, "copy")
    watch.finish(1000, 2)
    assert [(p.path, p.files) for p in seen] == [("dir/a.bin", 0), ("one", 0), ("two", 1), ("two", 2)]


@pytest.mark.parametrize("error", [RuntimeError("mine"), OSError(errno.ENOSPC, "mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("copy", [fastcopy.transfer, fastcopy.copyfile])
def test_what_a_callback_raises_comes_out_unchanged(source, copy, error):
    def fail(p):
        raise error

    with pytest.raises(type(error)) as raised:
        copy(source, source.with_name("dst"), progress=fail)
    assert raised.value is error
    assert getattr(error, "filename", None) is None
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("copy", [fastcopy.transfer, fastcopy.copyfile, fastcopy.copy2])
def test_a_copy_tells_its_start_and_its_end(source, copy, seen):
    copy(source, source.with_name("dst"), progress=seen.append)
    assert (seen[0].bytes, seen[0].total, seen[0].path) == (0, 1000, str(source))
    assert (seen[-1].bytes, seen[-1].total, seen[-1].files) == (1000, 1000, 1)


# ---- bars ----------------------------------------------------------------------------------------------


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these packages were not installed."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] in names:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize("hidden", [(), ("tqdm",), ("tqdm", "rich")], ids=["tqdm", "rich", "plain"])
def test_a_bar_is_drawn_and_closed(source, monkeypatch, capsys, hidden):
    hide(monkeypatch, *hidden)
    threads = threading.active_count()
    fastcopy.transfer(source, source.with_name("dst"), progress=True)
    assert "src" in capsys.readouterr().err
    assert threading.active_count() == threads


@pytest.mark.parametrize("hidden", [(), ("tqdm",), ("tqdm", "rich")], ids=["tqdm", "rich", "plain"])
def test_a_bar_is_closed_after_a_failure_too(monkeypatch, hidden, tmp_path):
    hide(monkeypatch, *hidden)
    bar = module._bar("label")
    closed = []
    really_close = bar.close
    monkeypatch.setattr(bar, "close", lambda: (really_close(), closed.append(bar)))

    def broken(tick):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        module.watched(Conductor(bar, None, "a", "b", bar), 10, broken)
    assert closed == [bar]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_plain_bar_draws_over_itself_on_a_terminal():
    screen = Terminal()
    bar = module._PlainBar("a.bin", screen)
    bar(fastcopy.Progress("copy", "a.bin", 0, 1000))
    bar(fastcopy.Progress("copy", "a.bin", 500, 1000, rate=250.0))
    bar.close()
    first, last = screen.getvalue().split("\r")[1:]
    assert "  0%" in first
    assert " 50%" in last
    assert "2 s left" in last
    assert last.endswith("\n")


def test_the_plain_bar_writes_one_line_elsewhere(capsys):
    bar = module._PlainBar("empty", sys.stderr)
    bar(fastcopy.Progress("copy", "empty", 0, 0))
    bar(fastcopy.Progress("copy", "empty", 0, 0, files=1))
    bar.close()
    assert capsys.readouterr().err.count("\n") == 1
