"""Digests for tests: what they must be, and hashers that do something else meanwhile."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import blake3
import xxhash


class Own:
    """A hasher of one's own, which Python code runs: it needs the GIL in every call."""

    def __init__(self) -> None:
        self.inside = hashlib.sha256(b"salt")
        self.fed = 0

    def update(self, data: memoryview) -> None:
        self.inside.update(data)
        self.fed += len(data)

    def hexdigest(self) -> str:
        return f"own-{self.inside.hexdigest()}"


# What hash= can be -> how to have the same digest without us.
EXPECTED: dict[object, Callable[[bytes], str]] = {
    "blake3": lambda content: blake3.blake3(content).hexdigest(),
    "xxh3_128": lambda content: xxhash.xxh3_128(content).hexdigest(),
    "sha256": lambda content: hashlib.sha256(content).hexdigest(),
    Own: lambda content: f"own-{hashlib.sha256(b'salt' + content).hexdigest()}",
}


def being_written(directory: Path) -> str:
    """The file of that directory that this process has open for writing, by a name that opens it again.

    An unpublished copy may have no other name.
    """
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            flags = int(Path(f"/proc/self/fdinfo/{number}").read_text().split()[3], 8)
            if os.readlink(f"/proc/self/fd/{number}").startswith(f"{directory}/") and flags & os.O_ACCMODE:
                found.append(f"/proc/self/fd/{number}")
    (copy,) = found
    return copy


def flip(path: str | Path, offset: int) -> None:
    """One byte of the file becomes another."""
    fd = os.open(path, os.O_RDWR)
    try:
        (byte,) = os.pread(fd, 1, offset)
        os.pwrite(fd, bytes((byte ^ 0x40,)), offset)
    finally:
        os.close(fd)


class Meanwhile:
    """A factory of hashers that act: in which of them, and where, is said when it is made.

    The first hasher is the one that the options are checked with; the second is fed first, either with what is
    written or, where no bytes pass, with what is read afterwards; the third with the copy, read again.
    """

    def __init__(self, action: Callable[[], object], hasher: int = 2, at: str = "fed", fed: int = 0) -> None:
        self.action = action
        self.hasher = hasher
        self.at = at  # "made" | "fed" | "asked"
        self.fed = fed  # once it was given so many bytes
        self.made = 0
        self.acted = False

    def act(self) -> None:
        self.acted = True
        self.action()

    def __call__(self) -> "_Acting":
        self.made += 1
        mine = self.made == self.hasher
        if mine and self.at == "made":
            self.act()
        return _Acting(self if mine else None)


class _Acting(Own):
    def __init__(self, boss: Meanwhile | None) -> None:
        super().__init__()
        self.boss = boss

    def update(self, data: memoryview) -> None:
        super().update(data)
        boss = self.boss
        if boss is not None and boss.at == "fed" and not boss.acted and self.fed >= boss.fed:
            boss.act()

    def hexdigest(self) -> str:
        if self.boss is not None and self.boss.at == "asked":
            self.boss.act()
        return super().hexdigest()
