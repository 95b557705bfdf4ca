"""One file's digest: the right one, of regular files alone, watched and cancelled; a broken file says so."""

import errno
import hashlib
import os
import socket
import threading
from pathlib import Path

import blake3
import pytest

import fastcopy
from support.people import nobody_in
from support.shapes import SHAPES, Shape
from support.state import nothing_leaked

AT_REST = [shape for shape in SHAPES.values() if not shape.disturbed]


@pytest.mark.parametrize("shape", AT_REST, ids=str)
def test_every_shape_has_the_digest_of_its_bytes(shape: Shape, tmp_path: Path) -> None:
    source = shape.build(tmp_path / "src")
    with nothing_leaked(tmp_path):
        assert fastcopy.hash_file(source) == blake3.blake3(shape.content).hexdigest()
        assert fastcopy.hash_file(source, "sha256") == hashlib.sha256(shape.content).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(b"x" * 3_000_000)
    return path


def test_names_of_every_kind_do(source: Path) -> None:
    expected = fastcopy.hash_file(source)
    assert fastcopy.hash_file(str(source)) == fastcopy.hash_file(os.fsencode(source)) == expected
    link = source.with_name("link")
    link.symlink_to(source)
    assert fastcopy.hash_file(link) == expected


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(TypeError, match=r"path=3: a str, bytes or os.PathLike"):
        fastcopy.hash_file(3)
    with pytest.raises(ValueError, match=r"path=.*null character"):
        fastcopy.hash_file("a\0b")
    with pytest.raises(ValueError, match="name='nonsense' is unknown"):
        fastcopy.hash_file("missing", "nonsense")
    with pytest.raises(TypeError, match="progress=3"):
        fastcopy.hash_file("missing", progress=3)
    with pytest.raises(TypeError, match="cancel=3"):
        fastcopy.hash_file("missing", cancel=3)


def test_what_is_missing_or_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastcopy.hash_file(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError) as caught:
        fastcopy.hash_file(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_what_may_not_be_read_is_a_permission_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    with nobody_in(tmp_path), pytest.raises(PermissionError) as caught:
        fastcopy.hash_file("secret")
    assert caught.value.filename == "secret"


def test_special_files_are_refused_and_nothing_waits(tmp_path: Path) -> None:
    fifo, sock = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listening, nothing_leaked(tmp_path):
        listening.bind(str(sock))
        for path, kind in ((fifo, "a FIFO"), (sock, "a socket"), (Path("/dev/zero"), "a character device")):
            with pytest.raises(fastcopy.SpecialFileError, match=f"this is {kind}") as caught:
                fastcopy.hash_file(path)
            assert (caught.value.errno, caught.value.filename) == (errno.EOPNOTSUPP, str(path))


def test_a_file_that_becomes_a_fifo_when_it_is_opened_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real_open = os.open

    def open_late(path: str, flags: int, *rest: int) -> int:
        os.unlink(path)
        os.mkfifo(path)
        return real_open(path, flags, *rest)

    monkeypatch.setattr(os, "open", open_late)
    with nothing_leaked(tmp_path), pytest.raises(fastcopy.SpecialFileError, match="a FIFO"):
        fastcopy.hash_file(source)


def test_a_read_error_names_the_file(tmp_path: Path) -> None:
    """/proc/self/mem is a regular file, at whose start nothing is mapped."""
    with nothing_leaked(tmp_path), pytest.raises(OSError) as caught:
        fastcopy.hash_file("/proc/self/mem")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, "/proc/self/mem")


def test_progress_says_that_it_verifies(source: Path) -> None:
    seen: list[fastcopy.Progress] = []
    fastcopy.hash_file(source, progress=seen.append)
    first, last = seen[0], seen[-1]
    assert {p.phase for p in seen} == {"verify"}
    assert {p.path for p in seen} == {str(source)}
    assert (first.bytes, first.total, first.files) == (0, 3_000_000, 0)
    assert (last.bytes, last.total, last.files) == (3_000_000, 3_000_000, 1)


class AfterTheFirst:
    """A cancel that is set from the second time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > 1


def test_cancelling_is_a_verification_cancelled(source: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    for cancel in (stop, AfterTheFirst()):
        with (
            nothing_leaked(tmp_path),
            pytest.raises(fastcopy.VerifyError, match="the verification was cancelled") as caught,
        ):
            fastcopy.hash_file(source, cancel=cancel)
        assert caught.value.code == "VERIFY_E_CANCELLED"
        assert (caught.value.errno, caught.value.filename, caught.value.filename2) == (
            errno.ECANCELED,
            str(source),
            None,
        )


class Broken:
    def __init__(self) -> None:
        self.fed = 0

    def update(self, data: memoryview) -> None:
        self.fed += len(data)
        raise OSError(errno.ENOMEM, "mine")

    def hexdigest(self) -> str:
        return "00"


def test_what_a_hasher_raises_comes_out_as_it_was_raised(source: Path, tmp_path: Path) -> None:
    with nothing_leaked(tmp_path), pytest.raises(OSError, match="mine") as caught:
        fastcopy.hash_file(source, Broken)
    assert caught.value.filename is None  # it is no error of the file's
    assert caught.value.__context__ is None


def test_what_progress_raises_comes_out_as_it_was_raised(source: Path, tmp_path: Path) -> None:
    mine = RuntimeError("mine")

    def stop(p: fastcopy.Progress) -> None:
        raise mine

    with nothing_leaked(tmp_path), pytest.raises(RuntimeError) as caught:
        fastcopy.hash_file(source, progress=stop)
    assert caught.value is mine
