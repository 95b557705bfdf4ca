"""What is kept of a file besides its bytes, and what a copy gets where nothing is kept."""

import os
import stat
import struct
from pathlib import Path

import pytest

import fastcopy
from support.people import NOBODY, nobody_in
from support.settings import unavailable
from support.shapes import noise

pytestmark = pytest.mark.release

ACL_ACCESS, ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
UNDEFINED = 0xFFFFFFFF


def acl(*entries: tuple[int, int, int]) -> bytes:
    """The bytes of an ACL: tag, permissions, id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# user::rw-, user:1234:r--, group::r--, mask::r--, other::---
FOR_USER_1234 = acl((1, 6, UNDEFINED), (2, 4, 1234), (4, 4, UNDEFINED), (0x10, 4, UNDEFINED), (0x20, 0, UNDEFINED))


def set_xattr(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as e:
        unavailable(f"{name} cannot be set under {path.parent}: {e}")


def need_root() -> None:
    if os.geteuid() != 0:
        unavailable("giving files away needs root")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(noise(500_000))
    return path


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


@pytest.fixture(params=("new", "replaced", "in place"))
def atomic(request: pytest.FixtureRequest, dst: Path) -> bool:
    if request.param != "new":
        dst.write_bytes(b"old")
        dst.chmod(0o604)
    return bool(request.param != "in place")


@pytest.mark.parametrize("mode", (0o600, 0o644, 0o755, 0o400, 0o000, 0o777))
def test_mode_and_times_are_kept_by_default(src: Path, dst: Path, atomic: bool, mode: int) -> None:
    os.utime(src, ns=(1_111_111_111_123_456_789, 1_222_222_222_987_654_321))
    src.chmod(mode)
    if not os.access(src, os.R_OK):
        unavailable("only root reads a file whose mode is 000")
    fastcopy.transfer(src, dst, atomic=atomic)
    there = dst.stat()
    assert stat.S_IMODE(there.st_mode) == mode
    assert there.st_mtime_ns == 1_222_222_222_987_654_321
    assert there.st_atime_ns == 1_111_111_111_123_456_789


@pytest.mark.parametrize("when_ns", (-1_000_000_001, 0, 2**31 * 10**9 + 1, 4_000_000_000_000_000_007))
def test_times_before_the_epoch_and_after_2038_are_kept(src: Path, dst: Path, when_ns: int) -> None:
    os.utime(src, ns=(when_ns, when_ns))
    fastcopy.transfer(src, dst)
    assert dst.stat().st_mtime_ns == src.stat().st_mtime_ns


def test_a_small_file_keeps_them_too(tmp_path: Path, dst: Path) -> None:
    for size in (0, 1, 5000):
        small = tmp_path / f"small-{size}"
        small.write_bytes(noise(size))
        small.chmod(0o640)
        os.utime(small, ns=(5, 7))
        fastcopy.transfer(small, dst)
        assert (stat.S_IMODE(dst.stat().st_mode), dst.stat().st_mtime_ns) == (0o640, 7)


@pytest.mark.parametrize("umask", (0o022, 0o027, 0o077, 0o000))
def test_what_is_not_kept_is_what_open_would_give(src: Path, tmp_path: Path, umask: int) -> None:
    src.chmod(0o700)
    os.utime(src, ns=(5, 7))
    before = os.umask(umask)
    try:
        (tmp_path / "opened").write_bytes(b"")
        for atomic in (True, False):
            dst = tmp_path / f"dst-{atomic}"
            fastcopy.transfer(src, dst, preserve=set(), atomic=atomic)
            assert dst.stat().st_mode == (tmp_path / "opened").stat().st_mode
            assert dst.stat().st_mtime_ns != 7
            fastcopy.copyfile(src, tmp_path / "shutil")
            assert (tmp_path / "shutil").stat().st_mode == dst.stat().st_mode
            (tmp_path / "shutil").unlink()
    finally:
        os.umask(before)


def test_the_default_acl_of_the_directory_is_inherited(src: Path, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    set_xattr(directory, ACL_DEFAULT, FOR_USER_1234)
    opened, dst = directory / "opened", directory / "dst"
    opened.write_bytes(b"")
    fastcopy.transfer(src, dst, preserve=set())
    assert os.getxattr(dst, ACL_ACCESS) == os.getxattr(opened, ACL_ACCESS)
    assert dst.stat().st_mode == opened.stat().st_mode


def test_a_kept_mode_is_not_widened_by_the_default_acl_of_the_directory(src: Path, tmp_path: Path) -> None:
    # An inherited entry for another user, under a mask widened by chmod, would let that user in.
    directory = tmp_path / "directory"
    directory.mkdir()
    set_xattr(directory, ACL_DEFAULT, FOR_USER_1234)
    src.chmod(0o600)
    dst = directory / "dst"
    fastcopy.transfer(src, dst)
    assert stat.S_IMODE(dst.stat().st_mode) == 0o600


def test_the_copy_is_nobody_elses_to_read_before_it_has_its_mode(src: Path, tmp_path: Path) -> None:
    # A private file must not be readable by others under its unpublished name.
    src.chmod(0o600)
    seen: list[int] = []

    def look(progress: object) -> None:
        for name in os.listdir(tmp_path):
            if name.startswith(".fastcopy-"):
                seen.append((tmp_path / name).stat().st_mode & 0o077)

    fastcopy.transfer(src, tmp_path / "dst", progress=look)
    assert set(seen) <= {0}


def test_owner_is_kept_where_it_is_asked_for(src: Path, dst: Path, atomic: bool) -> None:
    need_root()
    os.chown(src, 1234, 5678)
    fastcopy.transfer(src, dst, preserve={"owner", "mode"}, atomic=atomic)
    assert (dst.stat().st_uid, dst.stat().st_gid) == (1234, 5678)


def test_owner_is_not_kept_unasked(src: Path, dst: Path) -> None:
    need_root()
    os.chown(src, 1234, 5678)
    fastcopy.transfer(src, dst)
    assert (dst.stat().st_uid, dst.stat().st_gid) == (os.geteuid(), os.getegid())


def test_an_owner_that_cannot_be_kept_is_an_error_when_it_was_named(src: Path, dst: Path, tmp_path: Path) -> None:
    need_root()
    with nobody_in(tmp_path):
        pass  # all is nobody's now
    os.chown(src, 0, 0)
    src.chmod(0o644)
    dst.write_bytes(b"old")
    os.seteuid(NOBODY)
    before = os.getcwd()
    try:
        os.seteuid(0)
        os.chdir(tmp_path)
        os.seteuid(NOBODY)
        with pytest.raises(OSError) as refusal:
            fastcopy.transfer("src", "dst", preserve={"owner"})
    finally:
        os.seteuid(0)
        os.chdir(before)
    assert isinstance(refusal.value, fastcopy.CopyError)
    assert refusal.value.code == "FINALIZE_E_METADATA"
    assert dst.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["dst", "src"]


@pytest.mark.parametrize("bits", (stat.S_ISUID, stat.S_ISGID, stat.S_ISUID | stat.S_ISGID))
def test_set_id_bits_are_kept_with_the_owner_and_dropped_without(src: Path, dst: Path, bits: int) -> None:
    # A copy that belongs to somebody else must not run with their rights.
    need_root()
    src.chmod(0o755 | bits)
    fastcopy.transfer(src, dst)
    assert stat.S_IMODE(dst.stat().st_mode) == 0o755 | bits
    os.chown(src, 1234, 5678)
    src.chmod(0o755 | bits)  # chown has cleared them
    fastcopy.transfer(src, dst, preserve={"mode", "owner"})
    assert stat.S_IMODE(dst.stat().st_mode) == 0o755 | bits
    report = fastcopy.transfer(src, dst)  # mode alone: the copy is root's
    assert stat.S_IMODE(dst.stat().st_mode) == 0o755
    assert report.warnings


def test_extended_attributes_and_acls_are_kept_where_asked_for(src: Path, dst: Path, atomic: bool) -> None:
    set_xattr(src, "user.one", b"1")
    set_xattr(src, "user.large", bytes(range(256)) * 4)
    set_xattr(src, "user.empty", b"")
    set_xattr(src, ACL_ACCESS, FOR_USER_1234)
    fastcopy.transfer(src, dst, preserve={"xattr", "mode"}, atomic=atomic)
    for name in ("user.one", "user.large", "user.empty", ACL_ACCESS):
        assert os.getxattr(dst, name) == os.getxattr(src, name)
    assert dst.stat().st_mode == src.stat().st_mode


def test_extended_attributes_are_not_kept_unasked(src: Path, dst: Path) -> None:
    set_xattr(src, "user.one", b"1")
    fastcopy.transfer(src, dst)
    assert "user.one" not in os.listxattr(dst)


def test_many_extended_attributes_are_kept(src: Path, dst: Path) -> None:
    names = [f"user.{'n' * 40}{i}" for i in range(30)]
    for name in names:
        set_xattr(src, name, name.encode())
    fastcopy.transfer(src, dst, preserve={"xattr"})
    assert sorted(os.listxattr(dst)) == sorted(os.listxattr(src))


def test_links_mean_nothing_for_one_file(src: Path, dst: Path) -> None:
    fastcopy.transfer(src, dst, preserve={"mode", "links"})
    assert dst.read_bytes() == src.read_bytes()
