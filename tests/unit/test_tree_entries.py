"""on_entry of transfer(): what became of each entry of a tree is told once, in order, on the caller's thread."""

import errno
import os
import random
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from fastcopy import Entry, _core
from support.faults import fails, faults, needs_faults, slow
from support.people import nobody_in
from support.state import nothing_leaked
from support.trees import AWKWARD, make_tree, state

SKIPPED = "skipped"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """Of every kind one; a file of two names."""
    root = tmp_path / "src"
    (root / "sub").mkdir(parents=True)
    (root / "small").write_bytes(b"small")
    (root / "sub/large").write_bytes(bytes(400_000))
    (root / "sub/link").symlink_to("large")
    os.link(root / "small", root / "sub/again")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


@pytest.fixture
def hardly_any_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry finds room beside another: each worker waits for the conductor all the time."""
    monkeypatch.setattr(_core, "tree", partial(_core.tree, told_room=1))


def told(src: Path, dst: Path, **options: Any) -> dict[str, tuple[str, str, str | None, int]]:
    entries: list[Entry] = []
    fastcopy.transfer(src, dst, on_entry=entries.append, **options)
    paths = [str(entry.path) for entry in entries]
    assert len(set(paths)) == len(paths)
    assert all(entry.errno == 0 for entry in entries)
    return {str(e.path): (e.kind, e.outcome, e.why, e.size) for e in entries}


NEW = {
    "": ("directory", "made", None, 0),
    "small": ("file", "copied", None, 5),
    "pipe": ("special", SKIPPED, "special", 0),
    "sub": ("directory", "made", None, 0),
    "sub/large": ("file", "copied", None, 400_000),
    "sub/link": ("symlink", "made", None, 0),
    "sub/again": ("file", "copied", None, 5),
}
ENTERED = {"": ("directory", "entered", None, 0), "sub": ("directory", "entered", None, 0)}


def left(why: str) -> dict[str, tuple[str, str, str | None, int]]:
    """Of a copy that is there already, nothing is made again."""
    return {name: (kind, SKIPPED, "special" if kind == "special" else why, 0) for name, (kind, *_) in NEW.items()}


# ---- what is told --------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("order", ("as_found", "largest_first"))
@pytest.mark.parametrize("dry_run", (False, True))
@pytest.mark.parametrize("atomic", (False, True))
@pytest.mark.parametrize("workers", (1, 4))
def test_every_entry_is_told_with_what_became_of_it(
    src: Path, dst: Path, workers: int, atomic: bool, dry_run: bool, order: str
) -> None:
    options: dict[str, Any] = {"workers": workers, "atomic": atomic, "dry_run": dry_run, "order": order}
    assert told(src, dst, reflink="never", **options) == NEW
    assert dst.exists() is not dry_run


@pytest.mark.release
@pytest.mark.parametrize("dry_run", (False, True))
@pytest.mark.parametrize(("existing", "why"), (("skip", "exists"), ("update", "up_to_date"), ("older", "up_to_date")))
def test_what_is_left_alone_is_told_with_the_reason(
    src: Path, dst: Path, existing: str, why: str, dry_run: bool
) -> None:
    fastcopy.transfer(src, dst)
    assert told(src, dst, existing=existing, dry_run=dry_run) == left(why) | ENTERED


@pytest.mark.release
def test_patterns_and_sizes_and_special_files_are_told(src: Path, dst: Path) -> None:
    dst.mkdir()
    without = {name: fate for name, fate in NEW.items() if not name.startswith("sub/")}
    assert told(src, dst / "a", exclude="sub") == without | {"sub": ("directory", SKIPPED, "filter", 0)}
    small = told(src, dst / "b", max_size=1000, include=["*l", "large"])
    assert small["sub/large"] == ("file", SKIPPED, "size", 0)
    assert small["sub/again"] == ("file", SKIPPED, "filter", 0)
    assert small["sub/link"] == ("symlink", SKIPPED, "filter", 0)
    assert told(src, dst / "c", special="recreate")["pipe"] == ("special", "made", None, 0)


@pytest.mark.release
@pytest.mark.parametrize("dry_run", (False, True))
def test_the_second_name_of_a_file_is_linked(src: Path, dst: Path, dry_run: bool) -> None:
    entries = told(src, dst, preserve={"links"}, dry_run=dry_run)
    assert Counter(entries[name][1] for name in ("small", "sub/again")) == Counter(("copied", "linked"))
    assert sum(size for *_, size in entries.values()) == 400_005


def test_what_fails_is_told_with_its_errno(src: Path, dst: Path, tmp_path: Path) -> None:
    (src / "locked").write_bytes(b"x")
    (src / "closed").mkdir()
    (dst / "small").mkdir(parents=True)
    entries: list[Entry] = []
    with nobody_in(tmp_path):
        os.chmod("src/locked", 0)
        os.chmod("src/closed", 0)
        with pytest.raises(fastcopy.TreeError) as failure:
            fastcopy.transfer("src", "dst", on_entry=entries.append, special="fail")
        os.chmod("src/closed", 0o700)
    failed = {(e.path, e.kind, e.errno) for e in entries if e.outcome == "failed"}
    assert failed == {
        ("locked", "file", errno.EACCES),
        ("closed", "directory", errno.EACCES),
        ("small", "file", errno.EISDIR),
        ("pipe", "special", errno.EOPNOTSUPP),
    }
    assert failure.value.error_count == 4


@needs_faults
def test_a_directory_may_fail_once_more_at_its_end(src: Path, dst: Path) -> None:
    entries: list[Entry] = []
    with faults(fails("fsync", errno.EIO, for_ever=True)), pytest.raises(fastcopy.TreeError):
        fastcopy.transfer(src, dst, sync="full", on_entry=entries.append)
    assert [e.outcome for e in entries if e.path == ""] == ["made", "failed"]
    assert {e.outcome for e in entries if e.kind == "file"} == {"failed"}


@pytest.mark.release
@pytest.mark.parametrize("seed", range(3))
def test_a_directory_comes_before_what_is_in_it_and_sizes_add_up(tmp_path: Path, seed: int) -> None:
    make_tree(tmp_path / "src", random.Random(seed), 300)
    entries: list[Entry] = []
    report = fastcopy.transfer(
        tmp_path / "src", tmp_path / "dst", workers=5, preserve={"links", "mode", "times"}, on_entry=entries.append
    )
    seen: set[str] = set()
    for entry in entries:
        path = str(entry.path)
        assert path == "" or os.path.dirname(path) in seen
        seen.add(path)
    assert seen == {os.fsdecode(name) for name in state(tmp_path / "dst")}
    assert sum(entry.size for entry in entries) == report.bytes
    outcomes = Counter((entry.kind, entry.outcome) for entry in entries)
    assert outcomes["file", "copied"] + outcomes["file", "cloned"] == report.files
    assert outcomes["file", "linked"] == report.links
    assert outcomes["symlink", "made"] == report.symlinks
    assert outcomes["directory", "made"] == report.directories


@pytest.mark.release
@pytest.mark.parametrize("as_bytes", (False, True))
def test_names_of_every_byte(tmp_path: Path, as_bytes: bool) -> None:
    src = os.fsencode(tmp_path / "src")
    os.makedirs(os.path.join(src, b"\xff\n"))
    for name in AWKWARD:
        os.close(os.open(os.path.join(src, b"\xff\n", name), os.O_CREAT))
    dst = os.fsencode(tmp_path / "dst")
    entries: list[Entry] = []
    if as_bytes:
        fastcopy.transfer(src, dst, on_entry=entries.append)
    else:
        fastcopy.transfer(os.fsdecode(src), os.fsdecode(dst), on_entry=entries.append)
    wanted = {b"", b"\xff\n", *(b"\xff\n/" + name for name in AWKWARD)}
    assert {type(entry.path) for entry in entries} == {bytes if as_bytes else str}
    assert {os.fsencode(entry.path) for entry in entries} == wanted


def test_a_path_longer_than_all_the_room_is_told_whole(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    name, levels = "n" * 255, 600  # more than the room there is by default
    fd = os.open(src, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        down = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = down
    os.close(fd)
    lengths: list[int] = []
    try:
        fastcopy.transfer(src, tmp_path / "dst", on_entry=lambda entry: lengths.append(len(entry.path)))
    finally:
        for root in ("src", "dst"):
            os.system(f"rm -rf '{tmp_path / root}'")
    assert lengths == [0, *(256 * level - 1 for level in range(1, levels + 1))]


# ---- when, and where ------------------------------------------------------------------------------------


def make_many(root: Path, count: int) -> None:
    for directory in range(count // 200):
        (root / f"{directory}").mkdir(parents=True)
        for i in range(200):
            os.close(os.open(root / f"{directory}/{i}", os.O_CREAT))


@pytest.mark.release
@pytest.mark.parametrize("workers", (1, 3, 16))
@pytest.mark.usefixtures("hardly_any_room")
def test_many_entries_go_through_hardly_any_room(tmp_path: Path, workers: int) -> None:
    make_many(tmp_path / "src", 20_000)
    entries: list[Entry] = []
    threads: set[int] = set()

    def tell(entry: Entry) -> None:
        entries.append(entry)
        threads.add(threading.get_ident())

    fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=workers, on_entry=tell)
    assert len({entry.path for entry in entries}) == len(entries) == 20_101
    assert threads == {threading.get_ident()}


@pytest.mark.release
def test_a_slow_listener_is_waited_for_and_memory_is_bounded(tmp_path: Path) -> None:
    """While the listener stands still, so does the copy: as many are finished as there is room for."""
    make_many(tmp_path / "src", 20_000)
    finished: list[int] = []

    def tell(entry: Entry) -> None:
        if not finished:
            for _ in range(2000):  # until nothing moves any more
                threading.Event().wait(0.002)
                count = sum(len(files) for _, _, files in os.walk(tmp_path / "dst"))
                if finished[-30:] == [count] * 30:
                    break
                finished.append(count)

    report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=3, on_entry=tell)
    assert report.files == 20_000
    assert 500 < finished[-1] < 6000


@needs_faults
@pytest.mark.parametrize("room", (1, 0))
def test_without_a_thread_the_caller_tells_himself(
    src: Path, dst: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "tree", partial(_core.tree, told_room=room))
    make_many(src / "many", 2000)
    entries: list[Entry] = []
    with faults(fails("thread", errno.EAGAIN, for_ever=True)):
        fastcopy.transfer(src, dst, on_entry=entries.append)
    assert len({entry.path for entry in entries}) == len(entries) == len(state(src))


@needs_faults
def test_entries_are_told_while_others_are_copied(tmp_path: Path) -> None:
    make_many(tmp_path / "src", 200)
    there: list[int] = []

    def tell(entry: Entry) -> None:
        there.append(sum(len(files) for _, _, files in os.walk(tmp_path / "dst")))

    with faults(slow("open", 0.003)):
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=2, on_entry=tell)
    assert there[0] < 200 == there[-1]


# ---- when it fails --------------------------------------------------------------------------------------


class OfOurs(Exception):
    pass


@pytest.mark.release
@pytest.mark.parametrize("nth", (1, 2, 700, 4000, 4021))
@pytest.mark.parametrize("workers", (1, 4))
@pytest.mark.parametrize("room", (1, 0))
def test_what_it_raises_comes_out_and_it_is_not_called_again(
    tmp_path: Path, workers: int, nth: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "tree", partial(_core.tree, told_room=room))
    make_many(tmp_path / "src", 4000)  # in 21 directories
    called = 0

    def tell(entry: Entry) -> None:
        nonlocal called
        called += 1
        if called == nth:
            raise OfOurs(entry.path)

    with nothing_leaked(tmp_path), pytest.raises(OfOurs):
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=workers, on_entry=tell)
    assert called == nth
    for directory, _, files in os.walk(tmp_path / "dst"):
        assert not [name for name in files if name.startswith(".fastcopy")], directory


@needs_faults
def test_without_a_thread_what_it_raises_comes_out_too(tmp_path: Path) -> None:
    make_many(tmp_path / "src", 2000)

    def tell(entry: Entry) -> None:
        raise OfOurs

    with faults(fails("thread", errno.EAGAIN, for_ever=True)), pytest.raises(OfOurs):
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", on_entry=tell)
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "dst")) < 2000


@pytest.mark.release
@pytest.mark.usefixtures("hardly_any_room")
@pytest.mark.parametrize("workers", (1, 4))
def test_a_cancel_wakes_workers_that_wait_for_room(tmp_path: Path, workers: int) -> None:
    make_many(tmp_path / "src", 4000)
    cancel = threading.Event()
    entries: list[Entry] = []

    def tell(entry: Entry) -> None:
        entries.append(entry)
        if len(entries) == 100:
            cancel.set()
            threading.Event().wait(0.06)  # so that it is time to ask

    with nothing_leaked(tmp_path), pytest.raises(fastcopy.CopyError) as failure:
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=workers, on_entry=tell, cancel=cancel)
    assert failure.value.code == "COPY_E_CANCELLED"
    assert 100 <= len(entries) < 4000


@pytest.mark.release
@pytest.mark.usefixtures("hardly_any_room")
def test_ctrl_c_within_it_comes_out(tmp_path: Path) -> None:
    make_many(tmp_path / "src", 4000)
    entries: list[Entry] = []

    def tell(entry: Entry) -> None:
        entries.append(entry)
        if len(entries) == 100:
            signal.raise_signal(signal.SIGINT)

    with nothing_leaked(tmp_path), pytest.raises(KeyboardInterrupt):
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=4, on_entry=tell)
    assert len(entries) == 100


@needs_faults
@pytest.mark.parametrize("room", (1, 0))
def test_stopping_at_an_error_still_tells_what_was_done(
    src: Path, dst: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "tree", partial(_core.tree, told_room=room))
    make_many(src / "many", 4000)
    entries: list[Entry] = []
    with faults(fails("open", errno.EIO, nth=500)), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst, workers=3, on_error="stop", on_entry=entries.append)
    outcomes = Counter((entry.kind == "file", entry.outcome) for entry in entries)
    assert outcomes[True, "copied"] == failure.value.report.files
    assert sum(count for (_, outcome), count in outcomes.items() if outcome == "failed") == failure.value.error_count


def test_a_fork_within_it_leaves_the_copy_to_the_parent(tmp_path: Path) -> None:
    make_many(tmp_path / "src", 2000)
    entries: list[Entry] = []
    child = 0

    def tell(entry: Entry) -> None:
        nonlocal child
        entries.append(entry)
        if len(entries) == 10:
            child = os.fork()
            if child == 0:
                os._exit(7)

    fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=2, on_entry=tell)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(entries) == 2011


def test_a_child_that_goes_on_gets_an_error(tmp_path: Path) -> None:
    make_many(tmp_path / "src", 2000)
    parent, child = os.getpid(), 0

    def tell(entry: Entry) -> None:
        nonlocal child
        if child == 0 and os.getpid() == parent:
            child = os.fork()

    try:
        fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=2, on_entry=tell)
    except BaseException as error:
        if os.getpid() != parent:
            os._exit(7 if isinstance(error, OSError) and error.errno == errno.EOWNERDEAD else 8)
        raise
    if os.getpid() != parent:
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "dst")) == 2000


# ---- the option ------------------------------------------------------------------------------------------


@pytest.mark.release
def test_it_is_a_callable_and_of_directories(src: Path, dst: Path) -> None:
    wrong: Callable[..., Any] = partial(fastcopy.transfer, src, dst)
    with pytest.raises(TypeError, match="on_entry='print': a callable or None is allowed"):
        wrong(on_entry="print")
    with pytest.raises(ValueError, match="this is an option for directories"):
        fastcopy.transfer(src / "small", dst, on_entry=print)
    assert not dst.exists()
    assert fastcopy.transfer(src, dst, on_entry=None).files == 3
    assert stat.S_ISDIR(dst.stat().st_mode)
