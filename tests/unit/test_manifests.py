"""Manifests say what b3sum, the sum programs and xxhsum say, are written whole, and are believed in nothing."""

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

import fastcopy
from fastcopy.manifests import format_line, parse_line
from support.people import nobody_in
from support.settings import unavailable
from support.shapes import MIB, noise
from support.state import nothing_leaked
from support.sums import ODD_NAMES, PROGRAMS, Program


def build(directory: Path, names: list[bytes]) -> Path:
    for name in names:
        path = directory / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name * 3)
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return build(tmp_path / "tree", ODD_NAMES)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return build(tmp_path / "small", [b"a", b"b", b"sub/c"])


def kinds(failures: list[fastcopy.CheckFailure]) -> dict[str, str]:
    return {failure.path: failure.kind for failure in failures}


# ---- beside the programs --------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_we_write_the_program_finds_right(program: Program, tmp_path: Path) -> None:
    names = [name for name in ODD_NAMES if program.can_say(name)]
    directory = build(tmp_path / "tree", names)
    sums = tmp_path / "SUMS"
    assert fastcopy.checksum_tree(directory, sums, program.hash, tag=program.tag) == len(names)
    assert program.check(directory, sums) == len(names)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_the_program_writes_we_find_right(program: Program, tmp_path: Path) -> None:
    # The name "-" is its standard input to it.
    names = [name for name in ODD_NAMES if program.can_say(name) and name != b"-"]
    directory = build(tmp_path / "tree", names)
    sums = directory / "SUMS"
    sums.write_bytes(program.write(directory, names))
    assert fastcopy.check(sums) == []
    assert fastcopy.check(sums, program.hash) == []
    (directory / "plain").write_bytes(b"changed")
    assert kinds(fastcopy.check(sums)) == {"plain": "changed"}


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_we_write_the_very_bytes_that_the_program_writes(program: Program, tmp_path: Path) -> None:
    if "--binary" in program.command:
        return  # the star before a name is read, and not written
    names = sorted(name for name in ODD_NAMES if program.can_say(name) and name not in (b"-", b"stdin"))
    directory = build(tmp_path / "tree", names)
    fastcopy.checksum_tree(directory, tmp_path / "SUMS", program.hash, tag=program.tag)
    assert (tmp_path / "SUMS").read_bytes() == program.write(directory, names)


def test_a_sum_program_is_there() -> None:
    """Else the tests above would be worth nothing."""
    for name in ("b3sum", "sha256sum", "xxhsum"):
        if not any((Path(folder) / name).exists() for folder in os.get_exec_path()):
            unavailable(f"{name} is not installed")


# ---- one line -------------------------------------------------------------------------------------------

ABC = hashlib.md5(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"%s  a", b"a"),
        (b"%s *a", b"a"),
        (b"%s  *a", b"*a"),
        (b"%s   a", b" a"),
        (b"  \t%s  a", b"a"),
        (b"%s  a\r", b"a"),
        (b"%s  a\\n", b"a\\n"),
        (b"\\%s  a\\n\\\\\\r", b"a\n\\\r"),
        (b"\\%s *a\\n", b"a\n"),
        (b"MD5 (a) = %s", b"a"),
        (b"MD5(a)= %s", b"a"),
        (b"MD5 (a) = b) = %s", b"a) = b"),
        (b"\\MD5 (a\\nb) = %s", b"a\nb"),
    ],
)
def test_every_way_of_writing_a_line_is_read(line: bytes, name: bytes) -> None:
    for digest in (ABC, ABC.upper()):
        read = parse_line(line % digest.encode())
        assert (read.digest, read.name) == (ABC, name)
        assert read.tag == ("MD5" if b"MD5" in line else None)


def test_the_prefix_of_xxhsum_says_which_hash_it_is() -> None:
    assert parse_line(b"XXH3_0123456789abcdef  a") == ("0123456789abcdef", b"a", "XXH3")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"nonsense", "neither"),
        (b"%s", "neither"),
        (b"%s  ", "neither"),
        (b"%s a", "neither"),
        (b"%sg  a", "neither"),
        (b"MD5 () = %s", "neither"),
        (b"MD5 (a) = ", "neither"),
        (b"\\%s  a\\t", "no escape"),
        (b"\\%s  a\\", "no escape"),
        (b"%s  a\0b", "null character"),
        (b"%s0  a", "33 digits"),
        (b"SHA256 (a) = %s", "sha256 has 64 digits, and this has 32"),
        (b"MD6 (a) = %s", "tag 'MD6' is unknown"),
        (b"BLAKE2b-7 (a) = %s", "tag 'BLAKE2b-7' is unknown"),
        (b"XXH128_LE (a) = %s", "tag 'XXH128_LE' is unknown"),
    ],
)
def test_a_malformed_line_is_told_with_its_number_and_no_file_is_read(line: bytes, why: str, small: Path) -> None:
    sums = small / "SUMS"
    good = format_line(ABC, b"a")
    sums.write_bytes(good + b"# a comment\n\n" + line.replace(b"%s", ABC.encode()) + b"\n" + good)

    def never(p: fastcopy.Progress) -> None:
        raise AssertionError(p)

    with pytest.raises(ValueError, match=f"SUMS', line 4: .*{why}"):
        fastcopy.check(sums, progress=never)


def test_a_digest_of_a_wrong_length_for_the_hash_that_was_named_is_malformed(small: Path) -> None:
    (small / "SUMS").write_bytes(format_line(ABC, b"a"))
    with pytest.raises(ValueError, match="line 1: a digest of sha256 has 64 digits, and this has 32"):
        fastcopy.check(small / "SUMS", "sha256")


@pytest.mark.parametrize("content", [b"", b"\n", b"# only a comment\n"])
def test_a_manifest_that_lists_nothing_proves_nothing(content: bytes, small: Path) -> None:
    (small / "SUMS").write_bytes(content)
    with pytest.raises(ValueError, match="SUMS' lists no file"):
        fastcopy.check(small / "SUMS")


def test_blank_lines_comments_and_line_ends_of_dos_do_no_harm(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS")
    lines = (small / "SUMS").read_bytes()
    (small / "SUMS").write_bytes(b"# made somewhere else\r\n\r\n" + lines.replace(b"\n", b"\r\n").rstrip())
    assert fastcopy.check(small / "SUMS") == []


# ---- which digest it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize(
    "name", ["blake3", "sha256", "md5", "xxh3_128", "sha512", "blake2b", "xxh32", "xxh64", "xxh3_64", "sha1", "sha384"]
)
def test_the_digest_need_not_be_named(name: str, tag: bool, small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS", name, tag=tag)
    assert fastcopy.check(small / "SUMS") == []


def test_what_was_found_is_of_the_digest_that_fits_the_other_files(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS", "sha256")
    (small / "a").write_bytes(b"changed")  # the first, when it is not yet known which digest it is
    [failure] = fastcopy.check(small / "SUMS")
    assert failure.found == hashlib.sha256(b"changed").hexdigest()


def test_one_digest_for_all_lines_that_look_alike(small: Path) -> None:
    """A line of another digest among them is no success."""
    fastcopy.checksum_tree(small, small / "SUMS")
    line = format_line(hashlib.sha256((small / "sub/c").read_bytes()).hexdigest(), b"sub/c")
    lines = (small / "SUMS").read_bytes().splitlines(keepends=True)
    (small / "SUMS").write_bytes(b"".join([*lines[:2], line]))
    assert kinds(fastcopy.check(small / "SUMS")) == {"sub/c": "changed"}


def test_a_tag_beats_the_hash_that_was_named(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS", "sha256", tag=True)
    assert fastcopy.check(small / "SUMS", "blake3") == []


def test_a_digest_that_nothing_writes_must_be_named(small: Path) -> None:
    assert fastcopy.checksum_tree(small, small / "SUMS", "sha3_256") == 3
    assert fastcopy.check(small / "SUMS", "sha3_256") == []
    assert len(fastcopy.check(small / "SUMS")) == 3  # taken for blake3, and no file fits

    def short() -> object:
        return hashlib.blake2b(digest_size=5)

    fastcopy.checksum_tree(small, small / "SUMS", short)
    assert fastcopy.check(small / "SUMS", short) == []
    with pytest.raises(ValueError, match=r"line 1: a digest of 10 digits .* name it with hash="):
        fastcopy.check(small / "SUMS")


def test_digits_of_ones_own_may_be_large_and_must_be_hexadecimal(small: Path) -> None:
    class Loud:
        wrong = ""

        def __init__(self) -> None:
            self.hash = hashlib.md5()

        def update(self, data: memoryview) -> None:
            self.hash.update(data)

        def hexdigest(self) -> str:
            return self.hash.hexdigest().upper() + self.wrong

    class Odd(Loud):
        wrong = "=="

    fastcopy.checksum_tree(small, small / "SUMS", Loud)
    assert fastcopy.check(small / "SUMS", Loud) == fastcopy.check(small / "SUMS", "md5") == []
    with nothing_leaked(small), pytest.raises(ValueError, match="hexadecimal digits alone"):
        fastcopy.checksum_tree(small, small / "SUMS", Odd)
    assert fastcopy.check(small / "SUMS", "md5") == []


def test_a_failure_of_any_name_can_be_printed(small: Path) -> None:
    (small / "SUMS").write_bytes(format_line(ABC, b"not utf-8 \xff\n"))
    [failure] = fastcopy.check(small / "SUMS", "md5")
    assert os.fsencode(failure.path) == b"not utf-8 \xff\n"
    assert str(failure).encode() == b"'not utf-8 \\udcff\\n': missing (No such file or directory)"


def test_the_short_digests_of_b2sum_are_read_by_their_tag(small: Path) -> None:
    digest = hashlib.blake2b(b"aaa", digest_size=20).hexdigest()
    (small / "SUMS").write_bytes(format_line(digest, b"a", "BLAKE2b-160"))
    assert fastcopy.check(small / "SUMS") == []


def test_a_package_that_is_missing_is_told_with_the_line(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "SUMS").write_bytes(format_line(ABC, b"a"))
    monkeypatch.setitem(__import__("sys").modules, "xxhash", None)
    with pytest.raises(ValueError, match=r"line 1: .*md5 or xxh3_128: name it with hash=\. .*pip install"):
        fastcopy.check(small / "SUMS")
    assert kinds(fastcopy.check(small / "SUMS", "md5")) == {"a": "changed"}


def test_a_tag_that_does_not_exist_cannot_be_written(small: Path) -> None:
    with pytest.raises(ValueError, match="tag=True with hash='sm3_of_mine'"):

        def sm3_of_mine() -> object:
            return hashlib.md5()

        fastcopy.checksum_tree(small, small / "SUMS", sm3_of_mine, tag=True)

    def md5() -> object:
        return hashlib.sha1()

    with pytest.raises(ValueError, match="tag=True with hash='md5'"):  # it is not what it is called
        fastcopy.checksum_tree(small, small / "SUMS", md5, tag=True)
    assert not (small / "SUMS").exists()


# ---- a tree that is read --------------------------------------------------------------------------------


def test_names_are_sorted_by_their_bytes_and_relative_to_the_tree(small: Path, tmp_path: Path) -> None:
    build(small, [b"sub-", b"sub0", b"Z", b"\xff"])
    fastcopy.checksum_tree(small, tmp_path / "SUMS")
    names = [parse_line(line).name for line in (tmp_path / "SUMS").read_bytes().splitlines()]
    assert names == [b"Z", b"a", b"b", b"sub-", b"sub/c", b"sub0", b"\xff"]


def test_symlinks_and_special_files_are_not_listed(small: Path, tmp_path: Path) -> None:
    (small / "link").symlink_to("a")
    (small / "dangling").symlink_to("nowhere")
    (small / "loop").symlink_to(".")
    os.mkfifo(small / "fifo")
    assert fastcopy.checksum_tree(small, tmp_path / "SUMS") == 3


@pytest.mark.parametrize("inside", ["SUMS", "sub/SUMS", "sub/../SUMS", "link/SUMS"])
def test_the_manifest_does_not_list_itself(inside: str, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "link").symlink_to("sub")
    for _ in range(2):  # when it is new, and when it is there already
        assert fastcopy.checksum_tree(small, small / inside) == 3
    monkeypatch.chdir(small)
    assert fastcopy.checksum_tree(".", inside) == 3
    assert fastcopy.check(inside, directory=".") == []
    (small / "other").mkdir()
    (small / "other/SUMS").touch()  # another of that name is a file like any other
    assert fastcopy.checksum_tree(".", inside) == 4


def test_the_tree_may_be_named_by_a_symlink_and_by_bytes(small: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(small)
    assert fastcopy.checksum_tree(tmp_path / "link", small / "SUMS") == 3
    assert fastcopy.checksum_tree(os.fsencode(tmp_path / "link"), os.fsencode(small / "SUMS")) == 3


def test_an_empty_tree_has_an_empty_manifest(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert fastcopy.checksum_tree(tmp_path / "empty", tmp_path / "empty/SUMS") == 0
    assert (tmp_path / "empty/SUMS").read_bytes() == b""


def test_a_file_that_cannot_be_read_leaves_the_old_manifest(small: Path, tmp_path: Path) -> None:
    (tmp_path / "SUMS").write_bytes(b"old")
    (small / "b").chmod(0)
    with nothing_leaked(tmp_path), nobody_in(tmp_path), pytest.raises(PermissionError) as caught:
        fastcopy.checksum_tree("small", "SUMS")
    assert caught.value.filename == "small/b"
    assert (tmp_path / "SUMS").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["SUMS", "small"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_manifest_that_cannot_be_finished_leaves_the_old_one(
    call: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "SUMS").write_bytes(b"old")

    def fails(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fails)
    with nothing_leaked(tmp_path), pytest.raises(OSError, match="No space"):
        fastcopy.checksum_tree(small, tmp_path / "SUMS")
    assert (tmp_path / "SUMS").read_bytes() == b"old"


def test_a_directory_that_cannot_be_read_is_an_error(small: Path, tmp_path: Path) -> None:
    (small / "sub").chmod(0)
    with nobody_in(tmp_path), pytest.raises(PermissionError):
        fastcopy.checksum_tree("small", "SUMS")
    assert os.listdir(tmp_path) == ["small"]


@pytest.mark.parametrize(
    ("directory", "manifest", "error", "named"),
    [
        ("missing", "SUMS", FileNotFoundError, "missing"),
        ("small/a", "SUMS", NotADirectoryError, "small/a"),
        ("small", "missing/SUMS", FileNotFoundError, "missing/SUMS"),
        ("small", "small/sub", IsADirectoryError, "small/sub"),
    ],
)
def test_what_is_wrong_is_named(
    directory: str, manifest: str, error: type[OSError], named: str, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.parent)
    with nothing_leaked(small.parent), pytest.raises(error) as caught:
        fastcopy.checksum_tree(directory, manifest)
    assert caught.value.filename.rstrip("/") == named
    assert os.listdir(".") == ["small"]


def test_the_manifest_has_the_mode_of_a_new_file_and_replaces_a_symlink(small: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / "SUMS").symlink_to("kept")
    before = os.umask(0o027)
    try:
        fastcopy.checksum_tree(small, tmp_path / "SUMS")
    finally:
        os.umask(before)
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert stat.S_IMODE((tmp_path / "SUMS").lstat().st_mode) == 0o640


# ---- a tree that is checked -----------------------------------------------------------------------------


def test_each_failure_says_what_it_is(small: Path) -> None:
    build(small, [b"changed", b"gone", b"gone-too/x", b"now a directory", b"now a fifo"])
    fastcopy.checksum_tree(small, small / "SUMS", "md5")
    (small / "changed").write_bytes(b"abc")
    (small / "gone").unlink()
    (small / "gone-too/x").unlink()
    (small / "gone-too").rmdir()
    (small / "gone-too").touch()  # so that the name leads through a file
    for name in ("now a directory", "now a fifo"):
        (small / name).unlink()
    (small / "now a directory").mkdir()
    os.mkfifo(small / "now a fifo")
    with nothing_leaked(small):
        failures = fastcopy.check(small / "SUMS", "md5")
    assert kinds(failures) == {
        "changed": "changed",
        "gone": "missing",
        "gone-too/x": "missing",
        "now a directory": "unreadable",
        "now a fifo": "unreadable",
    }
    first, gone, _, directory, fifo = failures
    assert (first.found, first.error) == (ABC, None)
    assert first.expected == hashlib.md5(b"changed" * 3).hexdigest()
    assert str(first) == f"'changed': changed: {ABC} and not {first.expected}"
    assert gone.found is None
    assert isinstance(gone.error, FileNotFoundError)
    assert gone.error.filename == str(small / "gone")
    assert str(gone) == "'gone': missing (No such file or directory)"
    assert isinstance(directory.error, IsADirectoryError)
    assert isinstance(fifo.error, fastcopy.SpecialFileError)


def test_a_file_that_may_not_be_read_is_a_failure_of_its_own(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS")
    (small / "b").chmod(0)
    with nobody_in(small):
        [failure] = fastcopy.check("SUMS")
    assert (failure.path, failure.kind) == ("b", "unreadable")
    assert isinstance(failure.error, PermissionError)


def test_a_read_error_is_a_failure_of_its_own(small: Path) -> None:
    (small / "SUMS").write_bytes(format_line(ABC, b"a") + format_line(ABC, b"/proc/self/mem"))
    failures = fastcopy.check(small / "SUMS", "md5")
    assert kinds(failures) == {"a": "changed", "/proc/self/mem": "unreadable"}
    assert failures[1].error is not None
    assert (failures[1].error.errno, failures[1].error.filename) == (errno.EIO, "/proc/self/mem")


def test_names_are_looked_for_where_the_manifest_lies_or_where_is_said(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fastcopy.checksum_tree(small, small / "SUMS")
    monkeypatch.chdir("/")
    assert fastcopy.check(small / "SUMS") == []
    (small / "SUMS").rename(tmp_path / "SUMS")
    assert set(kinds(fastcopy.check(tmp_path / "SUMS")).values()) == {"missing"}
    assert fastcopy.check(tmp_path / "SUMS", directory=small) == []
    monkeypatch.chdir(small)
    assert fastcopy.check("../SUMS", directory=".") == []


def test_a_place_that_is_none_is_an_error_and_not_a_list_of_missing_files(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS")
    with pytest.raises(FileNotFoundError):
        fastcopy.check(small / "SUMS", directory=small / "nowhere")
    with pytest.raises(NotADirectoryError):
        fastcopy.check(small / "SUMS", directory=small / "a")
    with pytest.raises(FileNotFoundError) as caught:
        fastcopy.check(small / "nothing")
    assert caught.value.filename == str(small / "nothing")
    with pytest.raises(IsADirectoryError):
        fastcopy.check(small)


def test_absolute_names_and_those_that_lead_up_are_read_as_the_programs_read_them(small: Path, tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    sums = small / "SUMS"
    sums.write_bytes(format_line(ABC, os.fsencode(tmp_path / "abc")) + format_line(ABC, b"../abc"))
    assert fastcopy.check(sums) == []
    assert fastcopy.check(sums, directory=small / "sub") != []


def test_a_failure_can_be_compared_and_not_changed(small: Path) -> None:
    failure = fastcopy.CheckFailure("a", "changed", "00", "01")
    assert failure == fastcopy.CheckFailure("a", "changed", "00", "01")
    with pytest.raises(AttributeError):
        failure.path = "b"  # type: ignore[misc]


# ---- watched and stopped --------------------------------------------------------------------------------


def test_progress_counts_files_and_bytes(small: Path) -> None:
    (small / "large").write_bytes(noise(9 * MIB))
    total = 9 * MIB + sum(len(name) * 3 for name in ("a", "b", "sub/c"))
    for run in (
        lambda progress: fastcopy.checksum_tree(small, small / "SUMS", progress=progress),
        lambda progress: fastcopy.check(small / "SUMS", progress=progress),
    ):
        seen: list[fastcopy.Progress] = []
        run(seen.append)
        assert {p.phase for p in seen} == {"verify"}
        assert (seen[0].bytes, seen[0].total, seen[0].files) == (0, total, 0)
        assert (seen[-1].bytes, seen[-1].total, seen[-1].files) == (total, total, 4)
        assert [p.bytes for p in seen] == sorted(p.bytes for p in seen)
        assert [p.files for p in seen] == sorted(p.files for p in seen)


def test_cancelling_leaves_no_manifest_and_is_no_failure_of_a_file(small: Path) -> None:
    class At:
        """A cancel that is set when it is asked for the nth time."""

        def __init__(self, n: int) -> None:
            self.left = n

        def is_set(self) -> bool:
            self.left -= 1
            return self.left <= 0

    for n in (1, 2, 4):
        with nothing_leaked(small), pytest.raises(fastcopy.VerifyError) as caught:
            fastcopy.checksum_tree(small, small / "SUMS", cancel=At(n))
        assert caught.value.code == "VERIFY_E_CANCELLED"
        assert not (small / "SUMS").exists()
    fastcopy.checksum_tree(small, small / "SUMS", cancel=threading.Event())
    for n in (1, 2, 4):
        with nothing_leaked(small), pytest.raises(fastcopy.VerifyError) as caught:
            fastcopy.check(small / "SUMS", cancel=At(n))
        assert caught.value.code == "VERIFY_E_CANCELLED"


def test_an_os_error_of_the_callers_is_no_failure_of_a_file(small: Path) -> None:
    fastcopy.checksum_tree(small, small / "SUMS", "md5")

    class Broken:
        def update(self, data: memoryview) -> None:
            raise FileNotFoundError(errno.ENOENT, "mine")

        def hexdigest(self) -> str:
            return "0" * 32

    with nothing_leaked(small), pytest.raises(FileNotFoundError, match="mine") as caught:
        fastcopy.check(small / "SUMS", Broken)
    assert caught.value.filename is None
    with nothing_leaked(small), pytest.raises(FileNotFoundError, match="mine"):
        fastcopy.checksum_tree(small, small / "SUMS", Broken)
    assert fastcopy.check(small / "SUMS", "md5") == []


@pytest.mark.parametrize("function", [fastcopy.checksum_tree, fastcopy.check])
def test_wrong_arguments_are_told_before_anything_is_touched(function: object, tmp_path: Path) -> None:
    paths = (tmp_path / "no", tmp_path / "SUMS") if function is fastcopy.checksum_tree else (tmp_path / "SUMS",)
    with pytest.raises(ValueError, match="hash='nonsense' is unknown"):
        function(*paths, "nonsense")
    with pytest.raises(TypeError, match="manifest=3"):
        function(*paths[:-1], 3)
    with pytest.raises(TypeError, match="progress=3"):
        function(*paths, progress=3)
    with pytest.raises(TypeError, match="cancel=3"):
        function(*paths, cancel=3)
    assert os.listdir(tmp_path) == []
