"""Two files are equal, or differ first at one place, wherever that is."""

import errno
import os
import threading
from pathlib import Path

import pytest

import fastcopy
from support.shapes import KIB, MIB, SHAPES, Shape, noise
from support.state import nothing_leaked

SIZE = 9 * MIB + 77
AT_REST = [shape for shape in SHAPES.values() if not shape.disturbed]
PLACES = [0, 1, 4 * KIB - 1, 4 * KIB, 64 * KIB, MIB - 1, MIB, 4 * MIB - 1, 4 * MIB, 8 * MIB, 8 * MIB + 1, SIZE - 1]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(noise(SIZE))
    b.write_bytes(noise(SIZE))
    return a, b


def poke(path: Path, offset: int) -> None:
    """Another byte there."""
    with path.open("r+b") as file:
        file.seek(offset)
        [was] = file.read(1)
        file.seek(offset)
        file.write(bytes([was ^ 1]))


@pytest.mark.parametrize("shape", AT_REST, ids=str)
def test_every_shape_equals_itself_and_its_copy(shape: Shape, tmp_path: Path) -> None:
    source = shape.build(tmp_path / "a")
    (tmp_path / "b").write_bytes(shape.content)
    with nothing_leaked(tmp_path):
        assert fastcopy.compare(source, source) is None
        assert fastcopy.compare(source, tmp_path / "b") is None


@pytest.mark.parametrize("place", PLACES)
def test_the_first_difference_is_found_wherever_it_is(place: int, pair: tuple[Path, Path]) -> None:
    a, b = pair
    poke(b, place)
    assert fastcopy.compare(a, b) == fastcopy.compare(b, a) == place
    if place < SIZE - 1:
        poke(b, SIZE - 1)  # a later one changes nothing
        assert fastcopy.compare(a, b) == place


@pytest.mark.parametrize("length", [0, *PLACES])
def test_a_beginning_differs_where_it_ends(length: int, pair: tuple[Path, Path]) -> None:
    a, b = pair
    os.truncate(b, length)
    assert fastcopy.compare(a, b) == fastcopy.compare(b, a) == length


def test_a_hole_equals_zeros(tmp_path: Path) -> None:
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 3 * MIB)
    (tmp_path / "zeros").write_bytes(bytes(3 * MIB))
    assert fastcopy.compare(tmp_path / "hole", tmp_path / "zeros") is None
    poke(tmp_path / "zeros", 2 * MIB)
    assert fastcopy.compare(tmp_path / "hole", tmp_path / "zeros") == 2 * MIB


def test_names_of_every_kind_do(pair: tuple[Path, Path]) -> None:
    a, b = pair
    assert fastcopy.compare(str(a), os.fsencode(b)) is None
    with pytest.raises(TypeError, match=r"b=None: a str, bytes or os.PathLike"):
        fastcopy.compare(a, None)


def test_either_end_is_refused_by_name(pair: tuple[Path, Path], tmp_path: Path) -> None:
    a, _ = pair
    os.mkfifo(tmp_path / "fifo")
    for other, kind in (
        (tmp_path / "missing", FileNotFoundError),
        (tmp_path, IsADirectoryError),
        (tmp_path / "fifo", fastcopy.SpecialFileError),
    ):
        for ends in ((a, other), (other, a)):
            with nothing_leaked(tmp_path), pytest.raises(kind) as caught:
                fastcopy.compare(*ends)
            assert caught.value.filename == str(other)


def test_a_read_error_is_no_difference(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with nothing_leaked(tmp_path), pytest.raises(OSError) as caught:
        fastcopy.compare(pair[0], "/proc/self/mem")
    assert caught.value.errno == errno.EIO
    assert "/proc/self/mem" in (caught.value.filename, caught.value.filename2)


def test_progress_says_that_it_verifies(pair: tuple[Path, Path]) -> None:
    seen: list[fastcopy.Progress] = []
    fastcopy.compare(*pair, progress=seen.append)
    assert {p.phase for p in seen} == {"verify"}
    assert (seen[0].bytes, seen[0].total, seen[0].files) == (0, SIZE, 0)
    assert (seen[-1].bytes, seen[-1].total, seen[-1].files) == (SIZE, SIZE, 1)


def test_cancelling_is_no_difference(pair: tuple[Path, Path], tmp_path: Path) -> None:
    stop = threading.Event()

    def first(p: fastcopy.Progress) -> None:
        stop.set()

    with nothing_leaked(tmp_path), pytest.raises(fastcopy.VerifyError) as caught:
        fastcopy.compare(*pair, progress=first, cancel=stop)
    assert caught.value.code == "VERIFY_E_CANCELLED"
    assert (caught.value.filename, caught.value.filename2) == tuple(map(str, pair))
