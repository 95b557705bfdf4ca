"""The transfer door: what it reports, what it guards against, and what is left when it fails."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.people import nobody_in
from support.shapes import KIB, MANY_REGIONS, MIB, noise
from support.state import notes, nothing_leaked, resident, unpublished

pytestmark = pytest.mark.release


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(noise(MIB + 7))
    return path


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


# ---- the report ---------------------------------------------------------------------------------------


def test_the_report_says_what_was_done(src: Path, dst: Path) -> None:
    report = fastcopy.transfer(src, dst, engine="buffered", **MANY_REGIONS)
    assert (report.src, report.dst) == (str(src), str(dst))
    assert report.bytes == report.written == MIB + 7
    assert report.engine == "buffered"
    assert report.reason == "engine_named"
    assert [tuple(attempt)[:2] for attempt in report.attempts] == [("buffered", 0)]
    assert report.fallbacks == 0
    assert report.workers == 3
    assert report.regions > 3
    assert 0 < report.buffer_bytes <= 32 * MIB
    assert report.elapsed > 0
    assert report.warnings == ()
    assert report.plan.engine == "buffered"


def test_holes_count_as_copied_but_not_as_written(tmp_path: Path, dst: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as f:
        f.truncate(8 * MIB)
        os.pwrite(f.fileno(), noise(64 * KIB), 4 * MIB)
    report = fastcopy.transfer(sparse, dst, engine="buffered")
    assert report.bytes == 8 * MIB
    assert 64 * KIB <= report.written <= 128 * KIB


@pytest.mark.parametrize("sync", ("none", "data", "full"))
@pytest.mark.parametrize("cache", ("auto", "keep", "drop"))
@pytest.mark.parametrize("atomic", (True, False))
def test_every_way_to_leave_the_data_gives_the_same_file(
    src: Path, dst: Path, sync: str, cache: str, atomic: bool
) -> None:
    fastcopy.transfer(src, dst, sync=sync, cache=cache, atomic=atomic)
    assert dst.read_bytes() == src.read_bytes()


def test_a_replaced_destination_is_a_new_file_and_one_in_place_the_old(src: Path, dst: Path) -> None:
    dst.write_bytes(b"old")
    inode = dst.stat().st_ino
    fastcopy.transfer(src, dst, atomic=False)
    assert dst.stat().st_ino == inode
    with dst.open("rb") as reader:
        fastcopy.transfer(src, dst)
        assert os.fstat(reader.fileno()).st_ino == inode  # who had it open keeps the old one
    assert dst.stat().st_ino != inode


# ---- one file under two names --------------------------------------------------------------------------


SAME = ("same path", "other spelling", "hard link", "bind mount")


# An atomic transfer replaces a symlink, and what that names stays as it is.
@pytest.mark.parametrize(("how", "atomic"), [*((how, a) for how in SAME for a in (True, False)), ("symlink", False)])
def test_a_file_is_never_copied_onto_itself(
    src: Path, tmp_path: Path, how: str, atomic: bool, request: pytest.FixtureRequest
) -> None:
    dst = tmp_path / "other"
    if how == "same path":
        dst = src
    elif how == "other spelling":
        dst = tmp_path / ".." / tmp_path.name / src.name
    elif how == "hard link":
        dst.hardlink_to(src)
    elif how == "symlink":
        dst.symlink_to(src)
    else:
        mounts: Mounts = request.getfixturevalue("mounts")
        dst.mkdir()
        mounts.bind(tmp_path, dst)
        dst /= src.name
    before = src.read_bytes()
    with pytest.raises(OSError) as refusal:
        fastcopy.transfer(src, dst, atomic=atomic)
    assert isinstance(refusal.value, (fastcopy.SameFileError, OSError))
    assert src.read_bytes() == before
    assert unpublished(tmp_path) == []


def test_a_symlink_onto_the_source_is_replaced_by_a_copy(src: Path, dst: Path) -> None:
    dst.symlink_to(src)
    try:
        fastcopy.transfer(src, dst)
    except fastcopy.SameFileError:
        assert dst.is_symlink()  # refusing is right as well, but nothing between
    else:
        assert not dst.is_symlink()
    assert src.read_bytes() == noise(MIB + 7)
    assert dst.read_bytes() == noise(MIB + 7)


# ---- special files ---------------------------------------------------------------------------------------


def make_special(kind: str, path: Path) -> Path:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            before = os.getcwd()
            os.chdir(path.parent)  # the name of a socket may have 107 bytes
            try:
                s.bind(path.name)
            finally:
                os.chdir(before)
    elif kind == "device":
        return Path("/dev/null")
    elif kind == "terminal":
        return Path("/dev/ptmx")
    elif kind == "symlink to a fifo":
        os.mkfifo(path.with_name("fifo"))
        path.symlink_to("fifo")
    return path


SPECIAL = ("fifo", "socket", "device", "terminal", "symlink to a fifo")


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_as_source_is_refused_and_never_waited_for(kind: str, tmp_path: Path, dst: Path) -> None:
    special = make_special(kind, tmp_path / "special")
    dst.write_bytes(b"old")
    with nothing_leaked(tmp_path), pytest.raises(OSError) as refusal:
        fastcopy.transfer(special, dst)
    assert refusal.value.filename == str(special)
    assert dst.read_bytes() == b"old"


@pytest.mark.parametrize("kind", [kind for kind in SPECIAL if not kind.startswith("symlink")])
@pytest.mark.parametrize("atomic", (True, False))
def test_a_special_file_as_destination_is_refused_and_stays(kind: str, atomic: bool, src: Path, tmp_path: Path) -> None:
    special = make_special(kind, tmp_path / "special")
    before = special.lstat()
    with nothing_leaked(tmp_path), pytest.raises(OSError) as refusal:
        fastcopy.transfer(src, special, atomic=atomic)
    assert str(special) in (refusal.value.filename, refusal.value.filename2)
    assert (special.lstat().st_ino, special.lstat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("atomic", (True, False))
@pytest.mark.parametrize("slash", ("", "/"))
def test_a_directory_as_destination_of_a_file_is_an_error(
    src: Path, dst: Path, atomic: bool, slash: str, tmp_path: Path
) -> None:
    dst.mkdir()
    with nothing_leaked(tmp_path), pytest.raises(IsADirectoryError):
        fastcopy.transfer(src, f"{dst}{slash}", atomic=atomic)
    assert os.listdir(dst) == []


# ---- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", (True, False))
def test_a_trailing_slash_is_no_file(src: Path, dst: Path, atomic: bool, tmp_path: Path) -> None:
    with nothing_leaked(tmp_path), pytest.raises(OSError):
        fastcopy.transfer(src, f"{dst}/", atomic=atomic)
    assert not dst.exists()
    with pytest.raises(OSError):
        fastcopy.transfer(f"{src}/", dst, atomic=atomic)
    assert not dst.exists()


@pytest.mark.parametrize("atomic", (True, False))
@pytest.mark.parametrize("existing", (True, False))
def test_the_longest_name_is_a_name(src: Path, tmp_path: Path, atomic: bool, existing: bool) -> None:
    # A temporary name that is made from it would be too long.
    dst = tmp_path / ("n" * 255)
    if existing:
        dst.write_bytes(b"old")
    fastcopy.transfer(src, dst, atomic=atomic)
    assert dst.read_bytes() == src.read_bytes()
    with pytest.raises(OSError) as refusal:
        fastcopy.transfer(src, tmp_path / ("n" * 256), atomic=atomic)
    assert refusal.value.errno == errno.ENAMETOOLONG


@pytest.mark.parametrize("atomic", (True, False))
def test_what_has_the_name_can_be_made_to_stay(src: Path, dst: Path, atomic: bool) -> None:
    assert fastcopy.transfer(src, dst, existing="fail", atomic=atomic).bytes == MIB + 7
    dst.write_bytes(b"old")
    with nothing_leaked(dst.parent), pytest.raises(FileExistsError):
        fastcopy.transfer(src, dst, existing="fail", atomic=atomic)
    assert dst.read_bytes() == b"old"
    with pytest.raises(ValueError, match="'overwrite' and 'fail' are for files too"):
        fastcopy.transfer(src, dst, existing="skip", atomic=atomic)


def test_what_comes_while_the_copy_is_made_can_be_made_to_stay(src: Path, dst: Path) -> None:
    class Meanwhile:
        """Asked for the digest when all is copied, and nothing is published yet."""

        def update(self, data: object) -> None: ...

        def hexdigest(self) -> str:
            dst.write_bytes(b"somebody was faster")
            return "00"

    for keep_failed in (False, True):  # an unpublished file without a name, and one that has one
        with pytest.raises(FileExistsError):
            fastcopy.transfer(src, dst, existing="fail", hash=Meanwhile, keep_failed=keep_failed)
        assert dst.read_bytes() == b"somebody was faster"
        dst.unlink()
    assert fastcopy.transfer(src, dst, hash=Meanwhile).bytes == MIB + 7
    assert dst.read_bytes() == src.read_bytes()


class Spelled:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_names_are_str_bytes_or_path_like(src: Path, dst: Path) -> None:
    for spell in (str, os.fsencode, Path, Spelled):
        fastcopy.transfer(spell(src), spell(dst))
        assert dst.read_bytes() == src.read_bytes()
        dst.unlink()


def test_names_need_not_be_text(src: Path, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe name"
    fastcopy.transfer(src, raw)
    assert Path(os.fsdecode(raw)).read_bytes() == src.read_bytes()
    other = tmp_path / "other"
    fastcopy.transfer(os.fsdecode(raw), other)
    assert other.read_bytes() == src.read_bytes()


def test_names_are_relative_to_the_working_directory(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    fastcopy.transfer("src", "dst")
    fastcopy.transfer("./src", "sub/../sub/dst")
    assert Path("sub/dst").read_bytes() == Path("dst").read_bytes() == src.read_bytes()


# ---- what is not there, or may not be touched ------------------------------------------------------------


def test_a_missing_source_is_named(tmp_path: Path, dst: Path) -> None:
    with pytest.raises(FileNotFoundError) as refusal:
        fastcopy.transfer(tmp_path / "missing", dst)
    assert refusal.value.filename == str(tmp_path / "missing")
    assert "operation=" in notes(refusal.value)
    assert not dst.exists()


@pytest.mark.parametrize("atomic", (True, False))
def test_a_missing_directory_of_the_destination_is_named(src: Path, tmp_path: Path, atomic: bool) -> None:
    dst = tmp_path / "missing" / "dst"
    with pytest.raises(FileNotFoundError) as refusal:
        fastcopy.transfer(src, dst, atomic=atomic)
    assert str(dst) in (refusal.value.filename, refusal.value.filename2)


@pytest.mark.parametrize("atomic", (True, False))
def test_what_may_not_be_read_or_written_is_a_permission_error(
    src: Path, dst: Path, tmp_path: Path, atomic: bool
) -> None:
    dst.write_bytes(b"old")
    src.chmod(0)
    with nobody_in(tmp_path):
        with pytest.raises(PermissionError) as refusal:
            fastcopy.transfer("src", "dst", atomic=atomic)
        assert refusal.value.filename == "src"
        os.chmod("src", 0o600)
        os.chmod(".", 0o500)
        os.chmod("dst", 0o400)
        with pytest.raises(PermissionError) as refusal:
            fastcopy.transfer("src", "dst", atomic=atomic)
        assert "dst" in (refusal.value.filename, refusal.value.filename2)
        os.chmod(".", 0o700)
    assert dst.read_bytes() == b"old"


def test_an_atomic_transfer_replaces_what_may_not_be_written(src: Path, dst: Path, tmp_path: Path) -> None:
    # As `mv` does: to replace a name takes rights on the directory, not on the old file.
    dst.write_bytes(b"old")
    dst.chmod(0o400)
    with nobody_in(tmp_path):
        fastcopy.transfer("src", "dst")
    assert dst.read_bytes() == src.read_bytes()


# ---- symlinks --------------------------------------------------------------------------------------------


def test_a_symlink_as_source_is_followed(src: Path, dst: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("src")
    fastcopy.transfer(link, dst)
    assert not dst.is_symlink()
    assert dst.read_bytes() == src.read_bytes()


@pytest.mark.parametrize("dangling", (True, False))
def test_a_symlink_as_destination_is_replaced_and_not_followed(
    src: Path, dst: Path, tmp_path: Path, dangling: bool
) -> None:
    target = tmp_path / "target"
    if not dangling:
        target.write_bytes(b"target")
    dst.symlink_to("target")
    fastcopy.transfer(src, dst)
    assert not dst.is_symlink()
    assert dst.read_bytes() == src.read_bytes()
    assert target.exists() != dangling
    if not dangling:
        assert target.read_bytes() == b"target"


@pytest.mark.parametrize("dangling", (True, False))
def test_a_symlink_as_destination_in_place_is_refused(src: Path, dst: Path, tmp_path: Path, dangling: bool) -> None:
    target = tmp_path / "target"
    if not dangling:
        target.write_bytes(b"target")
    dst.symlink_to("target")
    with pytest.raises(OSError) as refusal:
        fastcopy.transfer(src, dst, atomic=False)
    assert str(dst) in (refusal.value.filename, refusal.value.filename2)
    assert dst.is_symlink()
    assert target.exists() != dangling
    if not dangling:
        assert target.read_bytes() == b"target"


def test_a_dangling_or_circular_source_is_an_error(dst: Path, tmp_path: Path) -> None:
    dangling, circle = tmp_path / "dangling", tmp_path / "circle"
    dangling.symlink_to("nowhere")
    circle.symlink_to("circle")
    with pytest.raises(FileNotFoundError):
        fastcopy.transfer(dangling, dst)
    with pytest.raises(OSError) as refusal:
        fastcopy.transfer(circle, dst)
    assert refusal.value.errno == errno.ELOOP
    assert not dst.exists()


# ---- a file in use ---------------------------------------------------------------------------------------


def test_a_running_program_can_be_replaced_but_not_written_to(src: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen((program, "60")) as running:
        try:
            while b"program" not in Path(f"/proc/{running.pid}/cmdline").read_bytes():
                threading.Event().wait(0.001)
            with pytest.raises(OSError) as refusal:
                fastcopy.transfer(src, program, atomic=False)
            assert refusal.value.errno == errno.ETXTBSY
            fastcopy.transfer(src, program)
        finally:
            running.kill()
    assert program.read_bytes() == src.read_bytes()


# ---- the environment -------------------------------------------------------------------------------------


def test_the_environment_speaks_where_no_argument_does(src: Path, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCOPY_ENGINE", "mapped")
    assert fastcopy.transfer(src, dst).engine == "mapped"
    assert fastcopy.transfer(src, dst, engine="buffered").engine == "buffered"
    monkeypatch.delenv("FASTCOPY_ENGINE")
    monkeypatch.setenv("FASTCOPY_WORKERS", "3")
    many = {key: value for key, value in MANY_REGIONS.items() if key != "workers"}
    assert fastcopy.transfer(src, dst, engine="buffered", **many).workers == 3


def test_no_zero_copy_shares_nothing(
    mounts: Mounts, empty_directory: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = empty_directory(mounts.use("xfs"))
    src, dst = directory / "src", directory / "dst"
    src.write_bytes(noise(MIB))
    assert fastcopy.transfer(src, dst).engine == "clone"
    monkeypatch.setenv("FASTCOPY_NO_ZERO_COPY", "1")
    assert fastcopy.transfer(src, dst).engine == "buffered"


def test_reflink_always_shares_or_raises(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> None:
    for filesystem, can in (("xfs", True), ("btrfs", True), ("ext4", False), ("xfs-noreflink", False)):
        directory = empty_directory(mounts.use(filesystem))
        src, dst = directory / "src", directory / "dst"
        src.write_bytes(noise(MIB))
        if can:
            assert fastcopy.transfer(src, dst, reflink="always").engine == "clone"
            assert dst.read_bytes() == src.read_bytes()
        else:
            with pytest.raises(fastcopy.CopyError) as refusal:
                fastcopy.transfer(src, dst, reflink="always")
            assert refusal.value.code == "COPY_E_UNSUPPORTED"
            assert not dst.exists()
        assert fastcopy.transfer(src, dst, reflink="never").engine == "buffered"


def test_what_one_system_shares_is_said_by_capabilities(mounts: Mounts) -> None:
    for name, filesystem in FILESYSTEMS.items():
        can = fastcopy.capabilities(mounts.use(name))
        refused = {engine for engine in can if not can[engine]}
        # What lies below an overlay is found out when it is tried.
        assert refused == filesystem.refuses or (name == "overlay" and refused < filesystem.refuses)
        assert all(can[engine].why for engine in refused)


def test_pages_of_other_files_stay_when_those_of_the_copy_are_dropped(
    mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use("ext4"))
    src, dst, other = directory / "src", directory / "dst", directory / "other"
    for path in (src, other):
        path.write_bytes(noise(8 * MIB))
        with path.open("rb") as f:
            os.fsync(f.fileno())
    with src.open("rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    other.read_bytes()
    assert resident(src) == 0  # else nothing is tested
    fastcopy.transfer(src, dst, cache="drop", sync="data")
    assert resident(other) == 8 * MIB
    assert resident(src) <= MIB
    assert resident(dst) <= MIB
    # What was in memory before is somebody's and stays.
    src.read_bytes()
    assert resident(src) == 8 * MIB
    fastcopy.transfer(src, dst, cache="drop", sync="data")
    assert resident(src) == 8 * MIB


# ---- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("engine", "teleport"),
        ("engine", 7),
        ("reflink", "maybe"),
        ("sparse", True),
        ("workers", 0),
        ("workers", "many"),
        ("split_depth", -1),
        ("chunk", 0),
        ("chunk", "1M"),
        ("window", 64 * KIB + 1),
        ("window", 0),
        ("flush_every", 0),
        ("flush_every", 1001),
        ("sync", "yes"),
        ("cache", None),
        ("preserve", {"colour"}),
        ("preserve", "mode"),
        ("on_change", "ignore"),
        ("progress", 7),
        ("cancel", object()),
        ("preset", "slow"),
        ("atomic", "yes"),
        ("speed", 11),
    ),
)
def test_a_wrong_argument_is_named_before_a_file_is_touched(src: Path, dst: Path, name: str, value: object) -> None:
    dst.write_bytes(b"old")
    before = src.stat().st_atime_ns
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastcopy.transfer(src, dst, **{name: value})
    assert name in str(refusal.value)
    if name != "speed":
        assert repr(value) in str(refusal.value)
    assert dst.read_bytes() == b"old"
    assert src.stat().st_atime_ns == before


@pytest.mark.parametrize("bad", (None, 7, 1.5, object(), "nul\0", b"nul\0"))
def test_a_wrong_name_is_refused(src: Path, bad: object) -> None:
    with pytest.raises((ValueError, TypeError), match=r"dst|null|path"):
        fastcopy.transfer(src, bad)
    with pytest.raises((ValueError, TypeError), match=r"src|null|path"):
        fastcopy.transfer(bad, src)


def test_a_failure_leaves_no_trace_in_the_directory(src: Path, tmp_path: Path) -> None:
    dst = tmp_path / "sub" / "dst"
    dst.parent.mkdir()
    dst.write_bytes(b"old")
    before = dst.parent.stat().st_mtime_ns

    def change(progress: object) -> None:
        src.write_bytes(b"changed")

    with pytest.raises(fastcopy.CopyError):
        fastcopy.transfer(src, dst, progress=change)
    assert os.listdir(dst.parent) == ["dst"]
    assert dst.read_bytes() == b"old"
    assert dst.parent.stat().st_mtime_ns == before  # the source was refused before a file was made


def test_the_copy_is_a_plain_file_however_the_source_is_spelled(dst: Path) -> None:
    fastcopy.transfer("/proc/self/status", dst)
    assert stat.S_ISREG(dst.stat().st_mode)
    assert dst.read_text().startswith("Name:")
