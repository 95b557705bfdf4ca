"""transfer() of a directory: what is copied, what is left alone, and what the report says."""

import errno
import os
import pickle
import random
import socket
import stat
import threading
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

import fastcopy
from support.faults import fails, faults, needs_faults, slow, struck
from support.people import nobody_in
from support.settings import unavailable
from support.shapes import noise
from support.state import notes, nothing_leaked
from support.trees import make_tree, state

MIB = 1 << 20
KEEP_ALL = {"mode", "times", "owner", "xattr", "links"}


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """Three directories, four files of five names, a symlink, a FIFO."""
    root = tmp_path / "src"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a" * 1000)
    (root / "empty").touch()
    (root / "sub" / "b.o").write_bytes(b"b" * 5000)
    (root / "sub" / "deep" / "large.bin").write_bytes(noise(3 * MIB, "large"))
    os.link(root / "a.txt", root / "sub" / "linked")
    (root / "sub" / "there").symlink_to("../a.txt")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


# ---- a whole tree --------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("atomic", (True, False))
@pytest.mark.parametrize("workers", (1, 2, 5))
@pytest.mark.parametrize("order", ("as_found", "smallest_first", "largest_first"))
def test_a_tree_comes_whole(tmp_path: Path, atomic: bool, workers: int, order: str) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    make_tree(src, random.Random(workers), 150)
    with nothing_leaked(tmp_path):
        report = fastcopy.transfer(src, dst, atomic=atomic, workers=workers, order=order, preserve=KEEP_ALL)
    assert state(src) == state(dst)
    kinds = [mode[0] for mode, *_ in state(src).values()]
    assert report.directories == kinds.count("d")
    assert report.symlinks == kinds.count("l")
    assert report.files + report.links == kinds.count("-")
    firsts = {first: content for mode, _, content, first in state(src).values() if mode[0] == "-"}
    assert report.bytes == sum(map(len, firsts.values()))
    assert report.error_count == 0 and report.errors == ()


def test_the_report_counts(src: Path, dst: Path) -> None:
    report = fastcopy.transfer(src, dst)
    assert (report.files, report.directories, report.symlinks, report.links) == (5, 3, 1, 0)
    assert report.bytes == 1000 + 1000 + 5000 + 3 * MIB == report.written + report.shared + report.holes
    assert report.skipped == 1  # the FIFO
    assert (report.src, report.dst) == (str(src), str(dst))
    assert report.reason == "tree"


def test_dst_is_the_exact_name_of_the_new_tree(src: Path, dst: Path) -> None:
    dst.mkdir()
    (dst / "old").touch()
    fastcopy.transfer(src, dst)
    assert (dst / "a.txt").exists() and (dst / "old").exists() and not (dst / "src").exists()


@pytest.mark.parametrize("name", ("new", "new/", "./new", "sub/../new"))
def test_names_of_every_form(src: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    fastcopy.transfer("src/", name)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"a" * 1000
    fastcopy.transfer(b"src", os.fsencode(name))


def test_a_hole_stays_a_hole(src: Path, dst: Path) -> None:
    with (src / "holes").open("wb") as file:
        file.truncate(8 * MIB)
        file.seek(4 * MIB)
        file.write(b"x" * 4096)
    report = fastcopy.transfer(src, dst)
    assert (dst / "holes").read_bytes() == (src / "holes").read_bytes()
    if (src / "holes").stat().st_blocks * 512 < 8 * MIB and not report.shared:
        assert report.holes >= 7 * MIB
        assert (dst / "holes").stat().st_blocks * 512 < 4 * MIB


def test_a_read_only_directory_is_filled_and_is_read_only_then(src: Path, dst: Path, tmp_path: Path) -> None:
    (src / "sub").chmod(0o555)
    with nobody_in(tmp_path):
        fastcopy.transfer("src", "dst")
    assert stat.S_IMODE((dst / "sub").stat().st_mode) == 0o555
    assert (dst / "sub" / "b.o").read_bytes() == b"b" * 5000


def test_modes_do_not_depend_on_the_umask(src: Path, tmp_path: Path) -> None:
    for i, mode in enumerate((0o777, 0o666, 0o600, 0o444)):
        (src / f"mode{i}").write_bytes(b"x")
        (src / f"mode{i}").chmod(mode)
    before = os.umask(0)
    try:
        for mask in (0, 0o022, 0o077, 0o777):
            os.umask(mask)
            fastcopy.transfer(src, tmp_path / f"dst{mask}")
            kept = {name: entry[:3] for name, entry in state(src).items() if name != b"pipe"}
            assert {name: entry[:3] for name, entry in state(tmp_path / f"dst{mask}").items()} == kept
    finally:
        os.umask(before)


def test_links_stay_one_file_when_asked_for(src: Path, dst: Path, tmp_path: Path) -> None:
    os.link(src / "sub" / "b.o", tmp_path / "outside")
    report = fastcopy.transfer(src, dst, preserve={"mode", "links"})
    assert (dst / "a.txt").samefile(dst / "sub" / "linked")
    assert report.links == 1 and (dst / "sub" / "b.o").stat().st_nlink == 1
    again = fastcopy.transfer(src, dst, preserve={"mode", "links"})
    assert (dst / "a.txt").samefile(dst / "sub" / "linked") and again.links == 1
    assert not [name for name in names(dst) if ".fastcopy-" in name]


def test_extended_attributes_are_kept_when_asked_for(src: Path, dst: Path) -> None:
    for name in ("a.txt", "sub", "empty"):
        try:
            os.setxattr(src / name, "user.fastcopy", name.encode())
        except OSError:
            unavailable("this filesystem has no user attributes")
    fastcopy.transfer(src, dst, preserve={"mode", "times", "xattr"})
    for name in ("a.txt", "sub", "empty"):
        assert os.getxattr(dst / name, "user.fastcopy") == name.encode()


# ---- symlinks and special files ------------------------------------------------------------------------


def test_symlinks_followed_become_what_they_lead_to(src: Path, dst: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(b"elsewhere")
    (src / "away").symlink_to(elsewhere)
    report = fastcopy.transfer(src, dst, symlinks="follow")
    assert (dst / "sub" / "there").read_bytes() == b"a" * 1000 and not (dst / "sub" / "there").is_symlink()
    assert (dst / "away" / "file").read_bytes() == b"elsewhere"
    assert report.symlinks == 0


def test_a_loop_of_symlinks_ends(src: Path, dst: Path) -> None:
    (src / "sub" / "up").symlink_to("..")
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst, symlinks="follow")
    (error,) = failure.value.errors
    assert error.path == "sub/up" and error.errno == errno.ELOOP
    assert (dst / "sub" / "b.o").exists()


def test_special_files_are_skipped_or_refused_or_recreated(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as s:
        monkeypatch.chdir(src)  # the name of a socket has 107 bytes
        s.bind("socket")
    (src / "pipe").chmod(0o640)
    os.utime(src / "pipe", (1, 2))
    assert fastcopy.transfer(src, tmp_path / "1").skipped == 2
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, tmp_path / "2", special="fail")
    assert {e.path for e in failure.value.errors} == {"pipe", "socket"}
    report = fastcopy.transfer(src, tmp_path / "3", special="recreate")
    assert report.special == 2
    st = (tmp_path / "3" / "pipe").stat()
    assert stat.S_ISFIFO(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o640 and st.st_mtime == 2
    assert stat.S_ISSOCK((tmp_path / "3" / "socket").stat().st_mode)
    assert fastcopy.transfer(src, tmp_path / "3", special="recreate").special == 2  # over themselves


# ---- what is there already -----------------------------------------------------------------------------


def test_existing_files_are_replaced_skipped_updated_or_refused(src: Path, dst: Path) -> None:
    fastcopy.transfer(src, dst)
    (dst / "a.txt").write_bytes(b"old")
    inode = (dst / "sub" / "b.o").stat().st_ino
    assert fastcopy.transfer(src, dst, existing="skip").files == 0
    assert (dst / "a.txt").read_bytes() == b"old"
    report = fastcopy.transfer(src, dst, existing="update")
    assert report.files == 1 and report.skipped == 4 + 1 + 1  # files, the symlink, the FIFO
    assert (dst / "a.txt").read_bytes() == b"a" * 1000
    assert (dst / "sub" / "b.o").stat().st_ino == inode
    assert fastcopy.transfer(src, dst).files == 5
    assert (dst / "sub" / "b.o").stat().st_ino != inode  # replaced, not written through
    with pytest.raises(FileExistsError):
        fastcopy.transfer(src, dst, existing="fail")


@pytest.mark.parametrize("target", ("../dst/file", "there"))
def test_a_symlink_does_not_take_the_place_of_what_it_leads_to(tmp_path: Path, target: str) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.mkdir()
    dst.mkdir()
    (dst / "file").write_bytes(b"precious")
    (src / "there").symlink_to(dst / "file")
    (src / "file").symlink_to(target)
    (src / "beside").write_bytes(b"beside")
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst)
    [error] = failure.value.errors
    assert (error.path, error.code, error.errno) == ("file", "COPY_E_SAME_FILE", errno.EINVAL)
    assert (dst / "file").read_bytes() == b"precious"
    assert (dst / "beside").read_bytes() == b"beside"
    assert (dst / "there").is_symlink()


def test_what_was_interrupted_is_finished_by_an_update(src: Path, dst: Path) -> None:
    calls = []

    class Cancel:
        def is_set(self) -> bool:
            calls.append(1)
            return len(calls) > 2

    if fastcopy._core.HAS_FAULTS:
        with faults(slow("pwrite", 0.2)), pytest.raises(fastcopy.CopyError) as failure:
            fastcopy.transfer(src, dst, cancel=Cancel(), workers=1)
        assert failure.value.code == "COPY_E_CANCELLED"
    assert fastcopy.transfer(src, dst, existing="update").error_count == 0
    assert fastcopy.transfer(src, dst, existing="update").files == 0
    kept = {name: entry[:3] for name, entry in state(src).items() if name != b"pipe"}
    assert {name: entry[:3] for name, entry in state(dst).items()} == kept


def test_a_directory_and_a_file_do_not_replace_each_other(src: Path, dst: Path) -> None:
    (dst / "a.txt").mkdir(parents=True)
    (dst / "sub").write_bytes(b"a file")
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst)
    assert {(e.path, e.errno) for e in failure.value.errors} == {("a.txt", errno.EISDIR), ("sub", errno.ENOTDIR)}
    assert (dst / "empty").exists() and (dst / "sub").read_bytes() == b"a file"


# ---- what is meant -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"exclude": "*.o"}, {"sub/b.o"}),
        ({"exclude": ["/sub"]}, {"sub", "sub/b.o", "sub/deep", "sub/deep/large.bin", "sub/linked", "sub/there"}),
        (
            {"exclude": ["*", "!*.txt"]},
            {"empty", "pipe", "sub", "sub/b.o", "sub/deep", "sub/deep/large.bin", "sub/linked", "sub/there"},
        ),
        ({"exclude": "deep/"}, {"sub/deep", "sub/deep/large.bin"}),
        ({"include": "*.o"}, {"a.txt", "empty", "pipe", "sub/deep/large.bin", "sub/linked", "sub/there"}),
        ({"include": "sub/deep"}, {"a.txt", "empty", "pipe", "sub/b.o", "sub/linked", "sub/there"}),
        ({"include": b"sub/**", "exclude": "*.bin"}, {"a.txt", "empty", "pipe", "sub/deep/large.bin"}),
        ({"min_size": 2000}, {"a.txt", "empty", "sub/linked"}),
        ({"max_size": 2000}, {"sub/b.o", "sub/deep/large.bin"}),
    ],
    ids=str,
)
def test_patterns_and_sizes_choose(src: Path, dst: Path, options: dict[str, object], left: set[str]) -> None:
    report = fastcopy.transfer(src, dst, special="recreate", **options)
    assert names(src) - names(dst) == left
    assert report.excluded + report.skipped > 0


def test_one_filesystem_leaves_a_mount_point_empty(dst: Path) -> None:
    for mounted in ("/dev/shm", "/dev/pts"):
        if os.path.ismount(mounted) and os.stat(mounted).st_dev != os.stat("/dev").st_dev:
            break
    else:
        unavailable("nothing is mounted below /dev")
    fastcopy.transfer("/dev", dst, one_filesystem=True, max_size=0)
    assert (dst / os.path.basename(mounted)).is_dir()
    assert not os.listdir(dst / os.path.basename(mounted))


def test_a_dry_run_counts_and_touches_nothing(src: Path, dst: Path) -> None:
    report = fastcopy.transfer(src, dst, dry_run=True)
    assert not dst.exists()
    real = fastcopy.transfer(src, dst)
    assert (report.files, report.directories, report.symlinks, report.bytes, report.skipped) == (
        real.files,
        real.directories,
        real.symlinks,
        real.bytes,
        real.skipped,
    )
    before = state(dst)
    assert fastcopy.transfer(src, dst, dry_run=True, existing="update").files == 0
    assert state(dst) == before


# ---- what goes wrong -----------------------------------------------------------------------------------


def test_a_tree_is_not_copied_into_itself(src: Path, tmp_path: Path) -> None:
    before = state(src)
    (tmp_path / "link").symlink_to(src)
    for dst in (src, src / "in", src / "sub" / "deep" / "in", src / "sub", tmp_path / "link" / "in"):
        with pytest.raises(fastcopy.CopyError) as failure:
            fastcopy.transfer(src, dst)
        assert failure.value.code == "COPY_E_SAME_FILE"
    assert state(src) == before


def test_a_tree_in_its_destination_is_not_written_over(tmp_path: Path) -> None:
    src = tmp_path / "a" / "b"
    (src / "b").mkdir(parents=True)
    (src / "b" / "file").write_bytes(b"x")
    (src / "other").write_bytes(b"y")
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, tmp_path / "a")
    assert [e.path for e in failure.value.errors] == ["b"]
    assert (tmp_path / "a" / "other").read_bytes() == b"y" and (src / "b" / "file").read_bytes() == b"x"


def test_a_symlink_as_destination_is_not_followed(src: Path, dst: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    dst.symlink_to("elsewhere")
    with pytest.raises(NotADirectoryError):
        fastcopy.transfer(src, dst)
    assert not os.listdir(tmp_path / "elsewhere")
    fastcopy.transfer(src, f"{dst}/")  # as ever: it leads there
    assert (tmp_path / "elsewhere" / "a.txt").exists()


def test_all_else_is_copied_and_every_error_is_told(src: Path, dst: Path, tmp_path: Path) -> None:
    (src / "sub" / "b.o").chmod(0)
    (src / "closed").mkdir(mode=0)
    with nobody_in(tmp_path), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer("src", "dst")
    error = failure.value
    (src / "closed").chmod(0o700)
    assert {(e.path, e.operation, e.errno, e.at) for e in error.errors} == {
        ("sub/b.o", "open", errno.EACCES, "source"),
        ("closed", "open", errno.EACCES, "source"),
    }
    assert error.error_count == error.report.error_count == 2 and error.report.files == 4
    assert isinstance(error, PermissionError) and "sub/b.o: open of the source" in notes(error)
    assert names(src) - names(dst) == {"pipe", "sub/b.o", "closed"}
    assert pickle.loads(pickle.dumps(error)).errors == error.errors


@needs_faults
def test_the_first_thousand_errors_are_told_and_all_are_counted(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for i in range(1200):
        (src / str(i)).touch()
    with faults(fails("fstatat", errno.EIO, 2, for_ever=True)), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, tmp_path / "dst")
    assert failure.value.error_count in (1199, 1200) and len(failure.value.errors) == 1000


@needs_faults
def test_on_error_stop_stops(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for i in range(1000):
        (src / str(i)).write_bytes(b"x")
    rule = fails("pwrite", errno.ENOSPC, 10, for_ever=True)
    with faults(rule), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, tmp_path / "dst", on_error="stop", workers=2)
    assert failure.value.error_count <= 2 and failure.value.code == "COPY_E_NOSPACE"
    assert len(os.listdir(tmp_path / "dst")) < 20


@needs_faults
@pytest.mark.parametrize("operation", ("renameat", "linkat"))
def test_no_half_file_is_left(src: Path, dst: Path, operation: str) -> None:
    rules = [fails("linkat", errno.EPERM, for_ever=True), fails("renameat", errno.EIO, for_ever=True)]
    with faults(*rules[: 1 + (operation == "renameat")]), pytest.raises(fastcopy.TreeError):
        fastcopy.transfer(src, dst)
    assert sum(struck)
    assert names(dst) <= names(src)
    for path in dst.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (src / path.relative_to(dst)).read_bytes()


@pytest.mark.parametrize(
    "options", ({"existing": "skip"}, {"include": "*"}, {"dry_run": True}, {"order": "largest_first"})
)
def test_an_option_for_directories_is_refused_for_a_file(src: Path, dst: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="for directories"):
        fastcopy.transfer(src / "a.txt", dst, **options)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"existing": "replace"}, ValueError),
        ({"include": [1]}, TypeError),
        ({"exclude": ""}, ValueError),
        ({"exclude": "a\0b"}, ValueError),
        ({"min_size": -1}, ValueError),
        ({"min_size": 2, "max_size": 1}, ValueError),
        ({"keep_failed": True}, ValueError),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_by_name(
    src: Path, dst: Path, options: dict[str, object], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=next(iter(options))):
        fastcopy.transfer(src, dst, **options)
    assert not dst.exists()


# ---- proof ---------------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("verify", ("auto", "compare", "hash", "media"))
def test_every_file_is_proved(src: Path, dst: Path, verify: str) -> None:
    try:
        report = fastcopy.transfer(src, dst, verify=verify, preset="safe")
    except fastcopy.TreeError as error:
        assert verify == "media" and error.code == "COPY_E_UNSUPPORTED"  # no medium behind a tmpfs
        return
    assert report.verified and report.verify == verify and report.files == 5


@needs_faults
@pytest.mark.parametrize("verify", ("compare", "hash"))
@pytest.mark.parametrize("name", ("a.txt", "sub/deep/large.bin"))
def test_a_copy_that_is_not_its_source_is_told(src: Path, dst: Path, verify: str, name: str) -> None:
    """Somebody writes into the copy between its last write and its verification."""
    spoilt = threading.Event()

    def spoil() -> None:
        while not spoilt.is_set():
            with suppress(OSError), (dst / name).open("r+b") as file:
                file.write(b"spoilt")

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        with faults(slow("pread", 0.02)), pytest.raises(fastcopy.TreeError) as failure:
            fastcopy.transfer(src, dst, verify=verify, atomic=False, include=f"/{name}", on_change="warn")
    finally:
        spoilt.set()
        thread.join()
    assert [(e.path, e.code) for e in failure.value.errors] == [(name, "VERIFY_E_MISMATCH")]


# ---- being told, and stopping --------------------------------------------------------------------------


def test_progress_tells_of_files_and_bytes(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for i in range(3000):
        (src / f"{i:05}").write_bytes(b"x" * 100)
    seen: list[fastcopy.Progress] = []
    fastcopy.transfer(src, tmp_path / "dst", progress=seen.append)
    assert (seen[0].bytes, seen[0].files) == (0, 0)
    assert (seen[-1].bytes, seen[-1].total, seen[-1].files, seen[-1].files_total) == (300_000, 300_000, 3000, 3000)
    for a, b in pairwise(seen):
        assert a.bytes <= b.bytes <= b.total and a.files <= b.files <= b.files_total


@needs_faults
def test_progress_names_what_is_under_way(src: Path, dst: Path) -> None:
    seen: list[fastcopy.Progress] = []
    with faults(slow("pwrite", 0.12)):
        fastcopy.transfer(src, dst, progress=seen.append, workers=1)
    assert {p.path for p in seen} & names(src)
    assert any(p.files < p.files_total for p in seen)


@needs_faults
@pytest.mark.parametrize("workers", (1, 3))
def test_what_a_callback_raises_comes_out_and_leaves_no_half_file(src: Path, dst: Path, workers: int) -> None:
    class Stop(Exception):
        pass

    def stop(p: fastcopy.Progress) -> None:
        if p.files_total:
            raise Stop

    with faults(slow("pwrite", 0.12)), nothing_leaked(src), pytest.raises(Stop):
        fastcopy.transfer(src, dst, progress=stop, workers=workers)
    assert names(dst) <= names(src)


@needs_faults
def test_without_a_thread_the_caller_does_the_work(src: Path, dst: Path) -> None:
    seen: list[fastcopy.Progress] = []
    with faults(fails("thread", errno.EAGAIN, for_ever=True), slow("pwrite", 0.06)):
        report = fastcopy.transfer(src, dst, progress=seen.append, workers=4)
    assert report.workers == 1 and report.files == 5 and len(seen) > 2


@needs_faults
def test_workers_help_with_one_large_file(src: Path, dst: Path) -> None:
    with faults(slow("pwrite", 0.002)):
        fastcopy.transfer(
            src, dst, workers=2, parallel_threshold=1, min_region=256 * 1024, chunk=64 * 1024, engine="buffered"
        )
    assert (dst / "sub" / "deep" / "large.bin").read_bytes() == noise(3 * MIB, "large")
