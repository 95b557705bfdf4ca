"""The shutil door and shutil itself in the same situations: no difference but speed."""

import errno
import os
import shutil
import socket
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from support.mounts import Mounts, filled
from support.people import nobody_in
from support.shapes import KIB, MANY_REGIONS, MIB, noise
from support.side_by_side import outcome
from support.state import descriptors, snapshot

pytestmark = pytest.mark.release

Arguments = Callable[[Path], tuple[Any, ...]]

SITUATIONS: dict[str, Arguments] = {}


def situation(make: Arguments) -> Arguments:
    """Prepares a directory and returns the arguments of the call."""
    SITUATIONS[make.__name__.replace("_", " ")] = make
    return make


def file(path: Path, content: bytes = b"content", mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(10**18, 10**18))
    return path


@situation
def to_a_new_file(base: Path) -> tuple[Any, ...]:
    return file(base / "src", mode=0o751), base / "dst"


@situation
def names_as_text(base: Path) -> tuple[Any, ...]:
    return str(file(base / "src")), str(base / "dst")


@situation
def names_as_bytes(base: Path) -> tuple[Any, ...]:
    return os.fsencode(file(base / "src")), os.fsencode(base / "dst")


@situation
def source_as_directory_entry(base: Path) -> tuple[Any, ...]:
    file(base / "src")
    with os.scandir(base) as entries:
        return next(entries), base / "dst"


@situation
def over_a_longer_file(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), file(base / "dst", b"something much longer", 0o600)


@situation
def over_a_shorter_file(base: Path) -> tuple[Any, ...]:
    return file(base / "src", noise(70_000)), file(base / "dst", b"x", 0o666)


@situation
def over_a_file_with_hard_links(base: Path) -> tuple[Any, ...]:
    dst = file(base / "dst", b"old")
    (base / "link").hardlink_to(dst)
    return file(base / "src"), dst


@situation
def over_a_symlink(base: Path) -> tuple[Any, ...]:
    file(base / "target", b"old")
    (base / "dst").symlink_to("target")
    return file(base / "src"), base / "dst"


@situation
def over_a_dangling_symlink(base: Path) -> tuple[Any, ...]:
    (base / "dst").symlink_to("target")
    return file(base / "src"), base / "dst"


@situation
def an_empty_file(base: Path) -> tuple[Any, ...]:
    return file(base / "src", b""), base / "dst"


@situation
def an_empty_file_over_a_full_one(base: Path) -> tuple[Any, ...]:
    return file(base / "src", b""), file(base / "dst")


@situation
def a_large_file(base: Path) -> tuple[Any, ...]:
    return file(base / "src", noise(5 * MIB + 1)), base / "dst"


@situation
def a_missing_source(base: Path) -> tuple[Any, ...]:
    return base / "missing", base / "dst"


@situation
def a_missing_source_over_a_file(base: Path) -> tuple[Any, ...]:
    return base / "missing", file(base / "dst", b"old")


@situation
def a_missing_directory(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), base / "missing" / "dst"


@situation
def a_missing_directory_by_its_slash(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), f"{base}/missing/"


@situation
def everything_missing(base: Path) -> tuple[Any, ...]:
    return base / "missing", base / "also missing" / "dst"


@situation
def a_directory_as_source(base: Path) -> tuple[Any, ...]:
    (base / "src").mkdir()
    return base / "src", base / "dst"


@situation
def a_directory_as_destination(base: Path) -> tuple[Any, ...]:
    (base / "dst").mkdir()
    return file(base / "src"), base / "dst"


@situation
def a_directory_with_a_slash(base: Path) -> tuple[Any, ...]:
    (base / "dst").mkdir()
    return file(base / "src"), f"{base / 'dst'}/"


@situation
def a_file_as_directory(base: Path) -> tuple[Any, ...]:
    file(base / "file")
    return file(base / "src"), base / "file" / "dst"


@situation
def a_source_with_a_slash(base: Path) -> tuple[Any, ...]:
    return f"{file(base / 'src')}/", base / "dst"


@situation
def the_same_file(base: Path) -> tuple[Any, ...]:
    src = file(base / "src")
    return src, src


@situation
def the_same_file_by_a_symlink(base: Path) -> tuple[Any, ...]:
    (base / "link").symlink_to("src")
    return file(base / "src"), base / "link"


@situation
def the_same_file_by_a_hard_link(base: Path) -> tuple[Any, ...]:
    src = file(base / "src")
    (base / "link").hardlink_to(src)
    return src, base / "link"


@situation
def a_fifo_as_source(base: Path) -> tuple[Any, ...]:
    os.mkfifo(base / "fifo")
    return base / "fifo", base / "dst"


@situation
def a_fifo_as_destination(base: Path) -> tuple[Any, ...]:
    os.mkfifo(base / "fifo")
    return file(base / "src"), base / "fifo"


@situation
def a_fifo_as_directory_entry(base: Path) -> tuple[Any, ...]:
    os.mkfifo(base / "fifo")
    with os.scandir(base) as entries:
        return next(entries), base / "dst"


@situation
def a_fifo_behind_a_symlink(base: Path) -> tuple[Any, ...]:
    os.mkfifo(base / "fifo")
    (base / "link").symlink_to("fifo")
    return base / "link", base / "dst"


@situation
def a_fifo_and_a_missing_source(base: Path) -> tuple[Any, ...]:
    os.mkfifo(base / "fifo")
    return base / "missing", base / "fifo"


@situation
def a_socket_as_source(base: Path) -> tuple[Any, ...]:
    bind(base / "socket")
    return base / "socket", base / "dst"


@situation
def a_socket_as_destination(base: Path) -> tuple[Any, ...]:
    bind(base / "socket")
    return file(base / "src"), base / "socket"


@situation
def null_as_source(base: Path) -> tuple[Any, ...]:
    return "/dev/null", base / "dst"


@situation
def null_as_source_over_a_file(base: Path) -> tuple[Any, ...]:
    return "/dev/null", file(base / "dst", b"old")


@situation
def null_as_destination(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), "/dev/null"


@situation
def null_at_both_ends(base: Path) -> tuple[Any, ...]:
    return "/dev/null", "/dev/null"


@situation
def a_file_of_proc(base: Path) -> tuple[Any, ...]:
    return "/proc/filesystems", base / "dst"


@situation
def a_file_of_proc_over_a_file(base: Path) -> tuple[Any, ...]:
    return "/proc/filesystems", file(base / "dst", noise(100_000))


@situation
def a_symlink_followed(base: Path) -> tuple[Any, ...]:
    file(base / "src")
    (base / "link").symlink_to("src")
    return base / "link", base / "dst"


@situation
def a_dangling_symlink(base: Path) -> tuple[Any, ...]:
    (base / "link").symlink_to("nowhere")
    return base / "link", base / "dst"


@situation
def a_symlink_to_itself(base: Path) -> tuple[Any, ...]:
    (base / "link").symlink_to("link")
    return base / "link", base / "dst"


@situation
def a_name_that_is_too_long(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), base / ("n" * 256)


@situation
def a_name_that_is_no_text(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), os.fsencode(base) + b"/\xff"


@situation
def an_empty_name(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), ""


@situation
def an_empty_source_name(base: Path) -> tuple[Any, ...]:
    return "", base / "dst"


@situation
def no_name(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), None


@situation
def a_number_as_name(base: Path) -> tuple[Any, ...]:
    return 1.5, base / "dst"


@situation
def a_name_with_a_null(base: Path) -> tuple[Any, ...]:
    return file(base / "src"), f"{base}/d\0st"


@situation
def a_source_name_with_a_null(base: Path) -> tuple[Any, ...]:
    return f"{base}/s\0rc", base / "dst"


@situation
def a_sparse_file(base: Path) -> tuple[Any, ...]:
    src = file(base / "src")
    os.truncate(src, 3 * MIB)
    return src, file(base / "dst", noise(MIB))


def bind(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path.name)
    finally:
        os.chdir(before)


def side_by_side(tmp_path: Path, name: str, theirs: Callable[..., Any], ours: Callable[..., Any]) -> None:
    outcomes = []
    for who, function in (("theirs", theirs), ("ours", ours)):
        base = tmp_path / who
        base.mkdir()
        open_before = descriptors()
        outcomes.append(outcome(function, base, SITUATIONS[name]))
        assert descriptors() == open_before
    expected, got = outcomes
    assert got.value == expected.value
    assert got.error == expected.error
    assert got.state == expected.state
    assert got.events == expected.events


@pytest.mark.parametrize("name", SITUATIONS)
def test_copyfile_is_shutils(name: str, tmp_path: Path) -> None:
    side_by_side(tmp_path, name, shutil.copyfile, fastcopy.copyfile)


@pytest.mark.parametrize("name", SITUATIONS)
def test_copyfile_without_following_is_shutils(name: str, tmp_path: Path) -> None:
    side_by_side(
        tmp_path,
        name,
        lambda src, dst: shutil.copyfile(src, dst, follow_symlinks=False),
        lambda src, dst: fastcopy.copyfile(src, dst, follow_symlinks=False),
    )


# copy() and copy2() would change the mode and times of a device, and nobody moves what is the kernel's.
COPIED = [
    (name, how) for name in SITUATIONS for how in ("copy", "copy2") if not name.startswith(("null as dest", "null at"))
]
MOVED = [(name, "move") for name in SITUATIONS if "null" not in name and "proc" not in name]


@pytest.mark.parametrize(("name", "function"), COPIED + MOVED)
def test_copy_and_move_are_shutils(name: str, function: str, tmp_path: Path) -> None:
    side_by_side(tmp_path, name, getattr(shutil, function), getattr(fastcopy, function))


@pytest.mark.parametrize("name", ["a symlink followed", "a dangling symlink", "over a symlink", "to a new file"])
@pytest.mark.parametrize("function", ("copy", "copy2"))
def test_copies_of_symlinks_themselves_are_shutils(name: str, function: str, tmp_path: Path) -> None:
    theirs, ours = getattr(shutil, function), getattr(fastcopy, function)
    side_by_side(
        tmp_path,
        name,
        lambda src, dst: theirs(src, dst, follow_symlinks=False),
        lambda src, dst: ours(src, dst, follow_symlinks=False),
    )


@pytest.mark.parametrize("who", ("source", "destination", "directory"))
def test_what_may_not_be_touched_raises_as_in_shutil(who: str, tmp_path: Path) -> None:
    errors = []
    for index, function in enumerate((shutil.copyfile, fastcopy.copyfile)):
        base = tmp_path / str(index)
        base.mkdir()
        file(base / "src", mode=0o000 if who == "source" else 0o644)
        if who == "destination":
            file(base / "dst", b"old", 0o400)
        with nobody_in(base):
            if who == "directory":
                os.chmod(".", 0o500)
            with pytest.raises(PermissionError) as refusal:
                function("src", "dst")
            os.chmod(".", 0o700)
        e = refusal.value
        errors.append((type(e), e.errno, e.filename, e.filename2, str(e)))
    assert errors[0] == errors[1]


# ---- what shutil promises ---------------------------------------------------------------------------------


def test_an_existing_destination_is_written_through(tmp_path: Path) -> None:
    src, dst = file(tmp_path / "src", noise(3 * MIB)), file(tmp_path / "dst", noise(9 * MIB, "old"), 0o640)
    inode = dst.stat().st_ino
    (tmp_path / "link").hardlink_to(dst)
    fastcopy.copyfile(src, dst)
    assert dst.stat().st_ino == inode
    assert stat.S_IMODE(dst.stat().st_mode) == 0o640
    assert (tmp_path / "link").read_bytes() == src.read_bytes()


@pytest.mark.parametrize("size", (0, 1, 5000, 300 * KIB, 5 * MIB))
def test_a_copy_moves_the_mtime_even_when_no_byte_changes(tmp_path: Path, size: int) -> None:
    src, dst = file(tmp_path / "src", noise(size)), file(tmp_path / "dst", noise(size))
    fastcopy.copyfile(src, dst)
    assert dst.stat().st_mtime_ns != 10**18


def test_set_id_bits_of_what_is_written_to_go_as_write_makes_them_go(tmp_path: Path) -> None:
    # Somebody else's write takes set-user-id from a file; root's does not.
    for directory, function in ((tmp_path / "a", shutil.copyfile), (tmp_path / "b", fastcopy.copyfile)):
        directory.mkdir()
        file(directory / "src")
        file(directory / "dst", b"old")
        with nobody_in(directory):
            os.chmod("dst", 0o4755)
            function("src", "dst")
    assert (tmp_path / "a/dst").stat().st_mode == (tmp_path / "b/dst").stat().st_mode


def test_no_space_raises_and_leaves_a_part(
    mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path
) -> None:
    src = file(tmp_path / "src", noise(24 * MIB))
    errors = []
    for function in (shutil.copyfile, fastcopy.copyfile):
        directory = empty_directory(mounts.small("tmpfs", 32 * MIB))
        dst = directory / "dst"
        with filled(directory, leave=4 * MIB), pytest.raises(OSError) as failure:
            function(src, dst)
        errors.append((failure.value.errno, failure.value.filename, Path(failure.value.filename2).name))
        left = dst.read_bytes()
        assert left == src.read_bytes()[: len(left)]
        dst.unlink()
    assert errors[0] == errors[1] == (errno.ENOSPC, str(src), "dst")


@pytest.mark.parametrize("engine", fastcopy.engines())
def test_a_named_engine_is_a_demand_here_too(
    engine: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use("xfs"))
    src = file(directory / "src", noise(2 * MIB))
    assert fastcopy.copyfile(src, directory / "dst", engine=engine) == directory / "dst"
    assert (directory / "dst").read_bytes() == src.read_bytes()


def test_options_are_checked_before_a_file_is_touched(tmp_path: Path) -> None:
    src, dst = file(tmp_path / "src"), file(tmp_path / "dst", b"old")
    for function in (fastcopy.copyfile, fastcopy.copy, fastcopy.copy2):
        with pytest.raises((ValueError, TypeError), match="engine"):
            function(src, dst, engine="teleport")
        with pytest.raises(TypeError, match="atomic"):
            function(src, dst, atomic=True)  # not an option of this door
        assert dst.read_bytes() == b"old"


def test_progress_and_cancel_work_here_too(tmp_path: Path) -> None:
    src, dst = file(tmp_path / "src", noise(5 * MIB)), tmp_path / "dst"
    seen: list[fastcopy.Progress] = []
    fastcopy.copyfile(src, dst, progress=seen.append, **MANY_REGIONS)
    assert seen[0].bytes == 0
    assert (seen[-1].bytes, seen[-1].total) == (5 * MIB, 5 * MIB)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(OSError) as failure:
        fastcopy.copyfile(src, dst, cancel=cancel)
    assert failure.value.errno == errno.ECANCELED


def test_the_environment_is_heard_by_the_shutil_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src, dst = file(tmp_path / "src", noise(2 * MIB)), tmp_path / "dst"
    monkeypatch.setenv("FASTCOPY_ENGINE", "mapped")
    fastcopy.copyfile(src, dst)
    assert dst.read_bytes() == src.read_bytes()
    monkeypatch.setenv("FASTCOPY_ENGINE", "teleport")
    with pytest.raises(ValueError, match="FASTCOPY_ENGINE"):
        fastcopy.copyfile(src, dst)


# ---- in the place of shutil ---------------------------------------------------------------------------------

NAMES = ("copyfile", "copy", "copy2", "copytree", "move")


def in_shutil() -> list[object]:
    return [getattr(shutil, name) for name in NAMES]


def test_patched_puts_all_names_into_shutil_and_takes_them_out_again() -> None:
    before = in_shutil()
    with fastcopy.patched():
        assert in_shutil() == [getattr(fastcopy, name) for name in NAMES]
        with fastcopy.patched():
            pass
        assert in_shutil() == [getattr(fastcopy, name) for name in NAMES]
    assert in_shutil() == before


def test_patched_is_undone_by_an_exception() -> None:
    before = in_shutil()
    with pytest.raises(ZeroDivisionError), fastcopy.patched():
        1 / 0  # noqa: B018
    assert in_shutil() == before


def test_patched_overlapping_in_threads_restores_the_right_functions() -> None:
    before = in_shutil()
    barrier = threading.Barrier(8)
    wrong: list[str] = []

    def use(number: int) -> None:
        barrier.wait()
        for _ in range(200):
            with fastcopy.patched():
                if shutil.copyfile is not fastcopy.copyfile:
                    wrong.append("not in place")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=use, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert in_shutil() == before


def test_uninstall_without_install_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        fastcopy.uninstall()
    fastcopy.install()
    fastcopy.install()
    fastcopy.uninstall()
    assert shutil.copyfile is fastcopy.copyfile
    fastcopy.uninstall()
    assert shutil.copyfile is not fastcopy.copyfile


def test_a_tree_is_copied_as_shutil_copies_it(tmp_path: Path) -> None:
    src = tmp_path / "src"
    (src / "sub" / "empty").mkdir(parents=True)
    file(src / "a", noise(100_000))
    file(src / "sub" / "b", noise(3 * MIB), 0o600)
    (src / "sub" / "link").symlink_to("b")
    for symlinks in (True, False):
        theirs, ours = tmp_path / f"theirs-{symlinks}", tmp_path / f"ours-{symlinks}"
        shutil.copytree(src, theirs, symlinks)
        assert fastcopy.copytree(src, ours, symlinks) == ours
        strip = [{name: (row[0], row[3]) for name, row in snapshot(root).items()} for root in (theirs, ours)]
        assert strip[0] == strip[1]


def test_move_across_filesystems_leaves_nothing_behind(
    mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path
) -> None:
    src = file(tmp_path / "src", noise(3 * MIB), 0o640)
    dst = empty_directory(mounts.use("tmpfs")) / "dst"
    assert fastcopy.move(src, dst) == dst
    assert not src.exists()
    assert dst.read_bytes() == noise(3 * MIB)
    assert (stat.S_IMODE(dst.stat().st_mode), dst.stat().st_mtime_ns) == (0o640, 10**18)
