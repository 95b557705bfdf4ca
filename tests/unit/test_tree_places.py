"""Trees at places with rules of their own: few descriptors, attributes, access lists, mounts, long names."""

import errno
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from support.mounts import Mounts
from support.people import nobody_in
from support.settings import unavailable
from support.shapes import noise
from support.state import unpublished
from support.trees import state

SRC_DST = ("src", "dst")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A small file, a large one, a symlink, a FIFO and a second name; and one below."""
    root = tmp_path / "src"
    (root / "sub").mkdir(parents=True)
    (root / "small").write_bytes(b"new")
    (root / "large").write_bytes(noise(400_000))
    (root / "sub/below").write_bytes(b"below")
    (root / "symlink").symlink_to("small")
    os.mkfifo(root / "pipe")
    os.link(root / "small", root / "twice")
    return root


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


EVERYTHING: dict[str, Any] = {"special": "recreate", "preserve": {"mode", "times", "owner", "xattr", "links"}}


def errors_of(src: Path, dst: Path, **options: Any) -> dict[str, int]:
    with pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst, **options)
    return {str(error.path): error.errno for error in failure.value.errors}


# ---- few descriptors --------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("workers", (1, 4, 16))
def test_a_limit_of_32_descriptors_is_enough(tmp_path: Path, workers: int) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    for i in range(60):
        (src / f"{i}/a/b/c/d").mkdir(parents=True)
        (src / f"{i}/a/large").write_bytes(noise(300_000))
        for j in range(10):
            (src / f"{i}/a/b/{j}").write_bytes(b"%d" % j)
        os.link(src / f"{i}/a/b/1", src / f"{i}/a/b/c/again")
    deep = src / "deep"
    for _ in range(70):
        deep /= "and deeper"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x")
    program = (
        "import resource, sys, fastcopy\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
        "options = {'special': 'recreate', 'preserve': {'mode', 'times', 'xattr', 'links'}, 'verify': 'hash'}\n"
        "fastcopy.transfer(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), **options)\n"
        "report = fastcopy.transfer(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), **options)\n"
        "print(report.files)"
    )
    command = (sys.executable, "-c", program, src, dst, str(workers))
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(60 * 11 + 1), "")
    assert state(src) == state(dst)


def test_with_none_left_it_is_an_error_and_not_a_wait(src: Path, dst: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for fd in taken[-4:]:
            os.close(fd)
        with pytest.raises(OSError) as failure:
            fastcopy.transfer(src, dst)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in taken[:-4]:
            os.close(fd)
    assert failure.value.errno == errno.EMFILE
    assert fastcopy.transfer(src, dst, existing="update").error_count == 0


# ---- chattr -----------------------------------------------------------------------------------------------


@pytest.fixture
def chattr(tmp_path: Path) -> Iterator[Callable[..., None]]:
    changed: list[Path] = []

    def change(how: str, *paths: Path) -> None:
        for path in paths:
            changed.append(path)
            done = subprocess.run(("chattr", how, path), capture_output=True)
            if done.returncode != 0:
                unavailable(f"chattr {how} cannot be done here: {done.stderr.decode(errors='replace')}")

    if shutil.which("chattr") is None:
        unavailable("there is no chattr")
    yield change
    for path in changed:
        subprocess.run(("chattr", "-ia", path), capture_output=True)


@pytest.mark.release
def test_what_is_immutable_stays_and_is_an_error_of_its_own(src: Path, dst: Path, chattr: Callable[..., None]) -> None:
    fastcopy.transfer(src, dst, **EVERYTHING)
    (src / "small").write_bytes(b"newer")
    (src / "sub/more").write_bytes(b"more")
    chattr("+i", dst / "small", dst / "sub")
    for atomic in (True, False):
        failed = errors_of(src, dst, existing="update", atomic=atomic, preserve={"mode"})
        assert failed["small"] == failed["sub/more"] == errno.EPERM
        assert set(failed) <= {"small", "twice", "sub/more", "sub"}  # two are one file
        assert (dst / "small").read_bytes() == b"new"
        assert sorted(os.listdir(dst / "sub")) == ["below"]
    assert unpublished(dst) == []


@pytest.mark.release
def test_a_source_that_is_immutable_is_copied(src: Path, dst: Path, chattr: Callable[..., None]) -> None:
    chattr("+i", src / "small", src / "sub", src)
    fastcopy.transfer(src, dst, **EVERYTHING)
    assert state(src) == state(dst)


@pytest.mark.release
@pytest.mark.parametrize("name", ("small", "large", "symlink", "pipe", "twice"))
def test_where_nothing_can_be_renamed_no_temporary_name_is_left(
    src: Path, dst: Path, name: str, chattr: Callable[..., None]
) -> None:
    """In an append-only directory a name can be made, and not be taken away again."""
    dst.mkdir()
    chattr("+a", dst)
    fastcopy.transfer(src, dst, special="recreate")
    assert sorted(os.listdir(dst)) == sorted(os.listdir(src))
    before = state(dst)
    # Of two names of a file both are meant, for it is the second that is linked.
    names = ["small", "twice"] if name == "twice" else [name]
    failed = errors_of(src, dst, include=names, **(EVERYTHING | {"preserve": {"links"}}))
    assert set(failed) <= {*names} and failed[name] == errno.EPERM
    assert state(dst) == before
    if name == "small":
        with pytest.raises(PermissionError):
            fastcopy.transfer(src / name, dst / name)
        with pytest.raises(PermissionError):
            fastcopy.transfer(src / name, dst / "new name", keep_failed=True)
        assert state(dst) == before
        assert fastcopy.transfer(src / name, dst / "new name").bytes == 3


# ---- modes, owners, access lists --------------------------------------------------------------------------


@pytest.mark.release
def test_a_directory_that_may_not_be_read_is_one_error(src: Path, dst: Path, tmp_path: Path) -> None:
    (src / "closed/inside").mkdir(parents=True)
    (src / "listed").mkdir()
    (src / "listed/file").write_bytes(b"x")
    with nobody_in(tmp_path):
        os.chmod("src/closed", 0o300)
        os.chmod("src/listed", 0o400)
        try:
            failed = errors_of(Path("src"), Path("dst"))
        finally:
            os.chmod("src/closed", 0o700)
            os.chmod("src/listed", 0o700)
    assert failed == {"closed": errno.EACCES, "listed/file": errno.EACCES}
    assert (dst / "sub/below").read_bytes() == b"below"


@pytest.mark.release
def test_a_source_of_read_only_directories_is_copied_by_anybody(src: Path, dst: Path, tmp_path: Path) -> None:
    (src / "sub/a/b").mkdir(parents=True)
    (src / "sub/a/b/file").write_bytes(b"x")
    with nobody_in(tmp_path):
        for path in ("src/sub/a/b", "src/sub/a", "src/sub", "src"):
            os.chmod(path, 0o555)
        try:
            fastcopy.transfer("src", "dst", special="recreate", preserve={"mode", "times", "links"})
            same = state(Path("src")) == state(Path("dst"))
            # What is there is replaced where its directory allows that, and else is an error; nothing is lost.
            failed = errors_of(Path("src"), Path("dst"))
            assert state(Path("dst")) == state(Path("src")) and set(failed.values()) == {errno.EACCES}
        finally:
            for top in SRC_DST:
                for path in ("", "sub", "sub/a", "sub/a/b"):
                    os.chmod(os.path.join(top, path), 0o755)
    assert same


@pytest.mark.release
def test_set_id_and_sticky_bits_of_directories_are_kept_and_inherited_ones_are_not(src: Path, dst: Path) -> None:
    (src / "sub").chmod(0o1770)
    (src / "group").mkdir()
    (src / "group").chmod(0o2755)
    dst.mkdir()
    dst.chmod(0o2777)  # which gives its bit and its group to what is made in it
    fastcopy.transfer(src, dst / "in")
    modes = {name: stat.S_IMODE((dst / "in" / name).stat().st_mode) for name in ("", "sub", "group")}
    assert modes == {"": stat.S_IMODE(src.stat().st_mode), "sub": 0o1770, "group": 0o2755}
    assert {(dst / "in" / name).stat().st_gid for name in ("", "sub", "small")} == {dst.stat().st_gid}


def default_list(directory: Path) -> None:
    """user::rwx, user:1234:rwx, group::r-x, mask::rwx, other::---, to what is made in it."""
    undefined = 0xFFFFFFFF
    entries = ((1, 7, undefined), (2, 7, 1234), (4, 5, undefined), (0x10, 7, undefined), (0x20, 0, undefined))
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(directory, "system.posix_acl_default", value)
    except OSError as error:
        unavailable(f"no access lists here: {error}")


@pytest.mark.release
@pytest.mark.parametrize("atomic", (True, False))
def test_a_default_list_gives_nobody_more_than_the_mode_that_is_kept(src: Path, dst: Path, atomic: bool) -> None:
    (src / "sub").chmod(0o700)
    (src / "small").chmod(0o640)
    dst.mkdir()
    default_list(dst)
    fastcopy.transfer(src, dst / "in", atomic=atomic, special="recreate")
    for name in ("small", "large", "sub", "sub/below"):
        made = dst / "in" / name
        assert stat.S_IMODE(made.stat().st_mode) == stat.S_IMODE((src / name).stat().st_mode)
        assert "system.posix_acl_access" not in os.listxattr(made), name
    fastcopy.transfer(src, dst / "not kept", atomic=atomic, preserve=())
    assert "system.posix_acl_access" in os.listxattr(dst / "not kept/sub/below")


# ---- names --------------------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("options", ({}, {"atomic": False}, {"workers": 1}, {"verify": "hash"}), ids=str)
def test_names_that_fill_all_room(tmp_path: Path, options: dict[str, Any]) -> None:
    """No temporary name is longer than a name may be."""
    src, dst = tmp_path / "src", tmp_path / "dst"
    directory = src / ("d" * 255)
    directory.mkdir(parents=True)
    (directory / ("small" * 51)).write_bytes(b"x")
    (directory / ("large" * 51)).write_bytes(noise(400_000))
    os.link(directory / ("small" * 51), directory / ("n" * 255))
    (directory / ("s" * 255)).symlink_to("t" * 4000)
    os.mkfifo(directory / ("p" * 255))
    for _ in range(2):  # made, and replaced
        fastcopy.transfer(src, dst, exclude="/none/*", **(EVERYTHING | options))
        assert state(src) == state(dst)


# ---- one inside of the other, seen through a mount ----------------------------------------------------------


def test_a_destination_in_the_source_is_not_entered_through_a_mount(src: Path, tmp_path: Path, mounts: Mounts) -> None:
    window = tmp_path / "window"
    window.mkdir()
    mounts.bind(src / "sub", window)
    before = state(src)
    with pytest.raises(fastcopy.CopyError) as failure:
        fastcopy.transfer(src, window / "copy", special="recreate")
    assert failure.value.code == "COPY_E_SAME_FILE"
    assert {name: entry[2] for name, entry in before.items()}.items() <= {
        name: entry[2] for name, entry in state(src).items()
    }.items()
    assert not (src / "sub/copy/sub/copy").exists()
    shutil.rmtree(src / "sub/copy")
    with pytest.raises(fastcopy.CopyError) as failure:
        fastcopy.transfer(src / "sub", window)  # both are one directory
    assert failure.value.code == "COPY_E_SAME_FILE"
    assert (src / "sub/below").read_bytes() == b"below"


def test_a_source_in_the_destination_is_not_written_over_through_a_mount(tmp_path: Path, mounts: Mounts) -> None:
    src, window = tmp_path / "dst/a", tmp_path / "window"
    (src / "a").mkdir(parents=True)
    (src / "a/file").write_bytes(b"inner")
    (src / "file").write_bytes(b"outer")
    window.mkdir()
    mounts.bind(tmp_path / "dst", window)
    assert errors_of(src, window) == {"a": errno.EINVAL}
    assert ((src / "file").read_bytes(), (src / "a/file").read_bytes()) == (b"outer", b"inner")
    assert (window / "file").read_bytes() == b"outer"


def test_a_symlink_as_source_that_leads_into_the_destination(tmp_path: Path) -> None:
    (tmp_path / "dst/a/a").mkdir(parents=True)
    (tmp_path / "dst/a/a/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("dst/a")
    assert errors_of(tmp_path / "link", tmp_path / "dst") == {"a": errno.EINVAL}
    assert os.listdir(tmp_path / "dst/a/a") == ["file"]


# ---- somebody is at work meanwhile ---------------------------------------------------------------------------


def meanwhile_in_another_process(code: str, *words: Path) -> "subprocess.Popen[bytes]":
    started = subprocess.Popen(
        (sys.executable, "-c", f"import os, sys\nprint(flush=True)\n{code}", *words), stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    started.stdout.readline()
    return started


@pytest.mark.parametrize("atomic", (True, False))
def test_a_symlink_swapped_in_for_a_file_of_the_destination_is_not_written_through(
    tmp_path: Path, atomic: bool
) -> None:
    src, dst, secret = tmp_path / "src", tmp_path / "dst", tmp_path / "secret"
    for top in (src, dst):
        top.mkdir()
        for i in range(60):
            (top / f"{i}").write_bytes(noise(300_000 if i % 10 == 0 else 100, f"{top.name}{i}"))
    secret.write_bytes(b"secret")
    code = """
n = 0
while True:
    name = os.path.join(sys.argv[1], str(n % 60))
    n += 1
    try:
        os.rename(name, sys.argv[1] + "/kept")
        os.symlink(sys.argv[2], name)
        os.rename(sys.argv[1] + "/kept", name)
    except OSError:
        pass
"""
    swapping = meanwhile_in_another_process(code, dst, secret)
    try:
        for _ in range(30):
            with suppress(fastcopy.TreeError):
                fastcopy.transfer(src, dst, atomic=atomic, workers=3, existing="overwrite")
            assert secret.read_bytes() == b"secret"
    finally:
        swapping.kill()
        swapping.communicate()
    assert secret.read_bytes() == b"secret" and secret.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("end", SRC_DST)
def test_a_directory_that_is_renamed_during_the_walk_ends_it_nowhere_else(tmp_path: Path, end: str) -> None:
    src, dst, outside = tmp_path / "src", tmp_path / "dst", tmp_path / "outside"
    for i in range(20):
        (src / f"{i}/in/below").mkdir(parents=True)
        for j in range(10):
            (src / f"{i}/in/{j}").write_bytes(b"content")
            (src / f"{i}/in/below/{j}").write_bytes(b"content")
    outside.mkdir()
    (outside / "mine").write_bytes(b"mine")
    code = """
n = 0
while True:
    n += 1
    one, other = (os.path.join(sys.argv[1], f"{m % 20}", "in") for m in (n, n * 7 + 3))
    try:
        os.rename(one, sys.argv[1] + "/away")
        os.rename(other, one)
        os.rename(sys.argv[1] + "/away", other)
    except OSError:
        try:
            os.rename(sys.argv[1] + "/away", one)
        except OSError:
            pass
"""
    renaming = meanwhile_in_another_process(code, tmp_path / end)
    allowed = {errno.ENOENT, errno.ESTALE, errno.EEXIST, errno.ENOTEMPTY}
    try:
        for _ in range(15):
            try:
                fastcopy.transfer(src, dst, workers=3)
            except fastcopy.TreeError as error:
                assert {e.errno for e in error.errors} <= allowed, error.errors
            for directory, _, files in os.walk(dst):
                for name in files:
                    with suppress(FileNotFoundError):  # it is being renamed
                        assert Path(directory, name).read_bytes() == b"content"
            if end == "src":
                shutil.rmtree(dst)
    finally:
        renaming.kill()
        renaming.communicate()
    assert os.listdir(outside) == ["mine"] and (outside / "mine").read_bytes() == b"mine"
