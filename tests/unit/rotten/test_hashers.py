"""A hasher that fails, keeps what it was lent, copies, or forks."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from support.proofs import Meanwhile, Own
from support.rotten import (
    DOORS,
    OLD,
    SIZE,
    SMALL,
    carry,
    regions,
    set_source,
)
from support.shapes import noise
from support.state import notes, nothing_leaked


@pytest.mark.release
@pytest.mark.parametrize("kind", (ValueError, OSError, MemoryError, KeyboardInterrupt, SystemExit))
@pytest.mark.parametrize(
    ("hasher", "at", "fed"),
    (
        (2, "made", 0),
        (2, "fed", 1),
        (2, "fed", SMALL),
        (2, "asked", 0),
        (3, "made", 0),
        (3, "fed", SMALL),
        (3, "asked", 0),
    ),
)
@pytest.mark.parametrize("size", (SMALL, SIZE))
def test_what_a_hasher_raises_comes_out_unchanged(
    size: int, hasher: int, at: str, fed: int, kind: type[BaseException], directory: Path
) -> None:
    set_source(directory, size)
    error = kind("mine")

    def fail() -> None:
        raise error

    for door in DOORS:
        for options in ({"reflink": "never"}, {"engine": "copy_range"}, {"engine": "mapped"}):
            (directory / "dst").write_bytes(OLD)
            with nothing_leaked(directory), pytest.raises(kind) as caught:
                carry(
                    directory, door, verify="hash", hash=Meanwhile(fail, hasher, at, fed), **options, **regions(2, size)
                )
            assert caught.value is error
            left = (directory / "dst").read_bytes()
            assert left == OLD if door == "atomic" else left in (OLD, noise(size)[: len(left)])


def keeps(part: Callable[[memoryview], object], kept: list[Any]) -> type[Own]:
    """A hasher that keeps a part of what it is given, to look at it later."""

    class Keeps(Own):
        def update(self, data: memoryview) -> None:
            super().update(data)
            kept.append(part(data))

    return Keeps


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
@pytest.mark.parametrize("verify", ("none", "hash"))
@pytest.mark.parametrize(
    "part",
    (memoryview, lambda data: data[:1], lambda data: data.cast("c"), lambda data: data.toreadonly()),
    ids=("view", "slice", "cast", "readonly"),
)
def test_a_hasher_cannot_keep_what_is_only_lent(
    part: Callable[[memoryview], object], verify: str, size: int, directory: Path
) -> None:
    # What it keeps is memory for as long as it keeps it, and nothing is copied with it.
    kept: list[Any] = []
    set_source(directory, size)
    with nothing_leaked(directory), pytest.raises(BufferError, match="hash"):
        carry(directory, reflink="never", verify=verify, hash=keeps(part, kept), **regions(2, size))
    assert (directory / "dst").read_bytes() == OLD
    with pytest.raises(BufferError, match="hash"):
        fastcopy.hash_file(directory / "src", keeps(part, kept))
    assert len(kept) == 2
    for view in kept:
        assert noise(size).startswith(bytes(view))
        assert len(view) > 0


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
def test_what_a_hasher_keeps_when_it_fails_is_still_memory(size: int, directory: Path) -> None:
    class Fails(Own):
        def update(self, data: memoryview) -> None:
            self.part = data[:1]
            raise ValueError("mine")

    kept: list[Fails] = []

    def factory() -> Fails:
        kept.append(Fails())
        return kept[-1]

    set_source(directory, size)
    with pytest.raises(ValueError, match="mine"):
        carry(directory, reflink="never", hash=factory, **regions(2, size))
    assert bytes(kept[-1].part) == noise(size)[:1]


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
def test_what_was_lent_cannot_be_borrowed_again(size: int, directory: Path) -> None:
    lenders: list[Any] = []
    set_source(directory, size)
    carry(directory, reflink="never", hash=keeps(lambda data: data.obj, lenders), **regions(2, size))
    assert lenders
    for lender in lenders:
        with pytest.raises(BufferError, match="one call"):
            memoryview(lender)


@pytest.mark.release
def test_what_was_lent_is_closed_afterwards(directory: Path) -> None:
    kept: list[memoryview] = []
    carry(directory, reflink="never", hash=keeps(lambda data: data, kept), **regions(2))
    assert kept
    for view in kept:
        with pytest.raises(ValueError, match="released"):
            bytes(view)


@pytest.mark.release
def test_a_hasher_may_copy_files_itself(directory: Path) -> None:
    src, inner = directory / "src", directory / "inner"
    meanwhile = Meanwhile(lambda: fastcopy.transfer(src, inner, verify="hash", engine="buffered"), fed=1)
    report = carry(directory, engine="buffered", verify="hash", hash=meanwhile, **regions(2))
    assert report is not None
    assert report.verified
    assert inner.read_bytes() == (directory / "dst").read_bytes() == noise(SIZE)


@pytest.mark.release
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("size", (SMALL, SIZE))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("hasher", "at", "fed"),
    ((2, "made", 0), (2, "fed", 1), (2, "asked", 0), (3, "made", 0), (3, "fed", SMALL), (3, "asked", 0)),
)
def test_a_fork_inside_a_hasher_leaves_the_copy_to_the_parent(
    hasher: int, at: str, fed: int, door: str, size: int, directory: Path
) -> None:
    set_source(directory, size)
    children: list[int] = []
    parent = os.getpid()

    def fork() -> None:
        children.append(os.fork())
        if os.getpid() != parent:
            # What the child would take away, were it to clean up, must be there when the parent goes on.
            return
        _, status = os.waitpid(children[0], 0)
        children.append(os.waitstatus_to_exitcode(status))

    meanwhile = Meanwhile(fork, hasher, at, fed)
    try:
        with nothing_leaked(directory):
            carry(directory, door, reflink="never", verify="hash", hash=meanwhile, **regions(3, size))
    except OSError as error:
        if os.getpid() != parent:
            os._exit(7 if error.errno == errno.EOWNERDEAD and "fork" in notes(error) else 8)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(1)
    assert children[1:] == [7]
    assert (directory / "dst").read_bytes() == noise(size)
