"""What is copied: a file of some size, or a tree. How it is made, removed, and compared with its copy."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["File", "Tree", "Workload", "size_text"]

_BLOCK = 1 << 20
_PAGE = 4096
# Random, so that nothing compresses it. Every page also gets its own number, so that no two pages of a file are equal
# and one that was copied to the wrong place does not pass for the right one.
_NOISE = os.urandom(_BLOCK)
_NUMBERS = struct.Struct("<QQ")


class Workload(Protocol):
    @property
    def title(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def files(self) -> int: ...

    def make(self, at: Path, salt: int = 0) -> None:
        """Write it, to the medium too; another salt, other content."""

    def parts(self, at: Path) -> Iterable[Path]:
        """The regular files of it."""
        ...


@dataclass(frozen=True)
class File:
    """One file.

    >>> File(64 << 20).title
    '64 MiB'
    """

    size: int
    files = 1

    @property
    def title(self) -> str:
        return size_text(self.size)

    @property
    def bytes(self) -> int:
        return self.size

    def make(self, at: Path, salt: int = 0) -> None:
        _write(at, self.size, salt)

    def parts(self, at: Path) -> Iterable[Path]:
        return (at,)


@dataclass(frozen=True)
class Tree:
    """A directory of files: (count, size) of each kind, where a range stands for sizes that are spread evenly over it.

    A hundred files lie together in a subdirectory. With `directories` there are that many instead, the root among them,
    nested at random, and the files are dealt out to them at random, but alike each time. One is a flat directory.

    >>> Tree(((1000, 1 << 10), (2, 1 << 20))).title
    'a tree of 1000 x 1 KiB, 2 x 1 MiB'
    >>> Tree(((3, range(100, 400)),), directories=2).title, Tree(((3, range(100, 400)),)).bytes
    ('a tree of 3 x 100 bytes to 399 bytes in 2 directories', 600)
    """

    kinds: tuple[tuple[int, int | range], ...]
    directories: int | None = None

    @property
    def title(self) -> str:
        names = (f"{count} x {_sizes_text(size)}" for count, size in self.kinds)
        many = self.directories
        where = "" if many is None else " in one directory" if many == 1 else f" in {many} directories"
        return f"a tree of {', '.join(names)}{where}"

    @property
    def bytes(self) -> int:
        return sum(sum(_sizes(*kind)) for kind in self.kinds)

    @property
    def files(self) -> int:
        return sum(count for count, _ in self.kinds)

    def make(self, at: Path, salt: int = 0) -> None:
        dice = random.Random(1)
        places = None if self.directories is None else _nested(at, self.directories, dice)
        for kind, of_kind in enumerate(self.kinds):
            for number, size in enumerate(_sizes(*of_kind)):
                if places is not None:
                    file = dice.choice(places) / f"{kind}-{number:05}.bin"
                else:
                    file = at / f"{kind}-{number // 100:03}" / f"{number:05}.bin"
                    if number % 100 == 0:
                        file.parent.mkdir(parents=True, exist_ok=True)
                _write(file, size, salt + number, force=False)
        os.sync()

    def parts(self, at: Path) -> Iterable[Path]:
        return (Path(folder, name) for folder, _, names in os.walk(at) for name in names)


def _nested(root: Path, count: int, dice: random.Random) -> list[Path]:
    """Made: so many directories, each in one of those before it."""
    places = [root]
    while len(places) < count:
        places.append(dice.choice(places) / f"directory {len(places)}")
    for place in places:
        place.mkdir(exist_ok=True)
    return places


def _sizes(count: int, size: int | range) -> Iterator[int]:
    """Of each file of a kind."""
    return (size if isinstance(size, int) else size[number * len(size) // count] for number in range(count))


def _sizes_text(size: int | range) -> str:
    return size_text(size) if isinstance(size, int) else f"{size_text(size[0])} to {size_text(size[-1])}"


def remove(at: Path) -> None:
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    else:
        at.unlink(missing_ok=True)


def difference(workload: Workload, src: Path, dst: Path) -> str | None:
    """Where the copy is not byte for byte what the source is; None if it is."""
    ours, theirs = ({str(path).removeprefix(f"{at}").lstrip("/") for path in workload.parts(at)} for at in (src, dst))
    if odd := sorted(ours ^ theirs):
        return f"{odd[0]} is in one of the trees only"
    for name in ours:
        where = _first_difference(src / name, dst / name)
        if where is not None:
            return f"{name or 'the copy'} differs from the source at offset {where}"
    return None


def _write(at: Path, size: int, salt: int, force: bool = True) -> None:
    block = bytearray(_NOISE[: size + _NUMBERS.size])
    with open(at, "wb", buffering=0) as stream:
        for start in range(0, size, _BLOCK):
            for page in range(0, min(_BLOCK, size - start), _PAGE):
                _NUMBERS.pack_into(block, page, start + page, salt)
            _write_all(stream.fileno(), memoryview(block)[: size - start])
        if force:
            os.fsync(stream.fileno())


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _first_difference(a: Path, b: Path) -> int | None:
    if a.stat().st_size == b.stat().st_size == 0:
        return None  # a million of them need not be opened
    with open(a, "rb", buffering=0) as left, open(b, "rb", buffering=0) as right:
        at = 0
        while True:
            one, other = left.read(_BLOCK), right.read(_BLOCK)
            if one != other:
                short = min(len(one), len(other))
                return at + next((i for i in range(short) if one[i] != other[i]), short)
            if not one:
                return None
            at += len(one)


def size_text(size: int) -> str:
    """For titles: exact, in the largest unit that divides it, or rounded.

    >>> size_text(64 << 20), size_text(1000), size_text(0), size_text(100 * 10**6)
    ('64 MiB', '1000 bytes', '0 bytes', '95.4 MiB')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}" if size % unit == 0 else f"{size / unit:.3g} {name}"
    return f"{size} bytes"
