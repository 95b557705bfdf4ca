"""The one place that knows digests: by what name they are asked for, where they come from, how one is begun.

The packages are imported when a digest of theirs is asked for, so that a copy without one loads none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

__all__ = ["Digest", "Hasher", "resolve", "threads_for"]


class Hasher(Protocol):
    """What is fed, in order, and then says the digest: the objects of hashlib, blake3 and xxhash are such."""

    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that can be had here."""

    name: str
    new: Callable[[int], Hasher]  # a fresh hasher that may use so many threads of its own


# Name -> the package that has it, and its name there. What is in neither table is looked for in hashlib.
_XXHASH = ("xxh32", "xxh64", "xxh3_64", "xxh3_128")
_PACKAGES = {"blake3": "blake3", **dict.fromkeys(_XXHASH, "xxhash")}
_INSTALL = {"blake3": "pip install blake3", "xxhash": "pip install 'fastcopy-io[xxhash]'"}

# Below this, a second thread costs blake3 more than it brings: every hasher makes its threads anew, which takes 50 us
# here, and hashes 5 GB/s with one (256 KiB: 27 us with one, 67 with two; 4 MiB: 450 and 390; 16 MiB: 1880 and 1110).
_WORTH_THREADS = 4 << 20
# Above this, reading is the limit: eight hash faster than one thread copies out of the page cache.
_MOST_THREADS = 8


def resolve(hash: str | Callable[[], Hasher], argument: str = "hash") -> Digest:
    """The digest that the argument of that name asks for; ValueError or TypeError says what is wrong with it."""
    if not isinstance(hash, str):
        return _own(hash, argument)
    package = _PACKAGES.get(hash)
    if package is not None:
        return _of_package(hash, package, argument)
    return _of_hashlib(hash, argument)


def threads_for(size: int) -> int:
    """How many threads a hasher of `size` bytes is worth.

    Always a number, and never blake3's AUTO: that uses one pool for the whole process, which a forked child inherits
    without its threads, and waits for them for ever.
    """
    return 1 if size < _WORTH_THREADS else min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def _of_package(name: str, package: str, argument: str) -> Digest:
    try:
        make: Any = getattr(import_module(package), name)
    except ImportError as error:
        raise ValueError(
            f"{argument}={name!r}: the package {package} cannot be imported ({error}); "
            f"`{_INSTALL[package]}` installs it. {_what_is_there()}"
        ) from error
    if package == "blake3":
        return Digest(name, lambda threads: make(max_threads=threads))
    return Digest(name, lambda _: make())


def _of_hashlib(name: str, argument: str) -> Digest:
    import hashlib

    if name not in hashlib.algorithms_available:
        raise ValueError(f"{argument}={name!r} is unknown. {_what_is_there()}")

    def make() -> Any:
        # A checksum is no secret: where md5 is forbidden for security, it is allowed for this.
        return hashlib.new(name, usedforsecurity=False)

    try:
        length = make().digest_size
    except ValueError as error:  # OpenSSL lists what its providers then do not have
        raise ValueError(
            f"{argument}={name!r}: hashlib lists it and cannot make it ({error}). {_what_is_there()}"
        ) from error
    if length == 0:
        raise ValueError(
            f"{argument}={name!r}: its digest has no length of its own; "
            "give a factory, whose hexdigest() takes no argument, that decides"
        )
    return Digest(name, lambda _: make())


def _own(factory: Any, argument: str) -> Digest:
    """The user's: tried once, so that what is wrong with it is known before any file is touched."""
    kind = "a name, or a callable without arguments that gives an object with update(buffer) and hexdigest()"
    if not callable(factory):
        raise TypeError(f"{argument}={factory!r}: {kind} is allowed")
    make: Callable[[], Any] = factory
    hasher = make()
    if not callable(getattr(hasher, "update", None)) or not callable(getattr(hasher, "hexdigest", None)):
        raise TypeError(f"{argument}={factory!r}: {kind} is allowed, and this gives {hasher!r}")
    digest = hasher.hexdigest()
    if not isinstance(digest, str):
        raise TypeError(f"{argument}={factory!r}: hexdigest() gives a str, and this gives {digest!r}")
    name: str = getattr(factory, "__name__", type(factory).__name__)
    return Digest(name, lambda _: make())


def _what_is_there() -> str:
    return f"There are here: {', '.join(_names())}; or give a factory"


def _names() -> Iterator[str]:
    """Every name that `resolve` takes on this machine."""
    import hashlib
    from importlib.util import find_spec

    for name, package in _PACKAGES.items():
        if find_spec(package) is not None:
            yield name
    for name in sorted(hashlib.algorithms_available):
        try:
            if hashlib.new(name, usedforsecurity=False).digest_size:
                yield name
        except ValueError:  # listed by OpenSSL, and there only with a provider that is not loaded
            continue
