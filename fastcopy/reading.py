"""Files that are only read: hash one, compare two. Only regular ones, and nothing waits for one that is not."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import _core
from .digests import Digest, resolve, threads_for
from .errors import SpecialFileError
from .options import Name, check_callbacks, path_argument
from .progress import conductor, watched

if TYPE_CHECKING:
    from ._core import StrOrBytesPath, Tick
    from .digests import Hasher
    from .options import CancelToken
    from .progress import Progress

__all__ = ["callers", "callers_errors_pass", "compare", "digests_of", "hash_file", "open_regular"]

PHASE = "verify"

P = ParamSpec("P")
T = TypeVar("T")

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


# ---- whose error it is ---------------------------------------------------------------------------------


class _CallersOwn(Exception):
    """Carries an OSError of the caller's hasher, progress or cancel past those who would take it for the file's."""

    def __init__(self, error: OSError) -> None:
        self.error = error


def callers_errors_pass(function: Callable[P, T]) -> Callable[P, T]:
    """For a function that reads files: an OSError of the caller's own comes out of it as it was raised."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except _CallersOwn as own:
            error = own.error
        raise error  # here, where nothing is being handled that would become its context

    return call


def callers(function: Any) -> Any:
    """`function`, the caller's, whose OSError is told from that of a file."""
    if function is None:
        return None

    def call(*arguments: Any) -> None:
        try:
            function(*arguments)
        except OSError as error:
            raise _CallersOwn(error) from error

    return call


@contextmanager
def _named(path: Name, path2: Name | None = None) -> Generator[None]:
    """The names of the files go with what the core says about their descriptors."""
    try:
        yield
    except OSError as error:
        error.filename = path
        if path2 is not None:
            error.filename2 = path2
        raise


# ---- what can be asked -------------------------------------------------------------------------------------


@callers_errors_pass
def hash_file(
    path: StrOrBytesPath,
    name: str | Callable[[], Hasher] = "blake3",
    *,
    progress: bool | Callable[[Progress], object] | None = None,
    cancel: CancelToken | None = None,
) -> str:
    """The digest of a regular file, in hexadecimal.

    `name` is `"blake3"`, `"xxh3_128"`, `"xxh64"` (with the package xxhash), a name of `hashlib`, or a callable without
    arguments that gives an object with `update(buffer)` and `hexdigest()`.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"abc")
    >>> fastcopy.hash_file("a.bin", "md5")
    '900150983cd24fb0d6963f7d28e17f72'
    """
    source = path_argument("path", path)
    digest = resolve(name, "name")
    check_callbacks(progress, cancel)
    found: list[str] = []

    def run(tick: Tick | None) -> dict[str, Any]:
        length, found[:] = digests_of(fd, source, [digest], tick)
        return {"bytes": length}

    with open_regular(source) as fd:
        watched(conductor(progress, cancel, source, None, PHASE), os.fstat(fd).st_size, run)
    return found[0]


@callers_errors_pass
def compare(
    a: StrOrBytesPath,
    b: StrOrBytesPath,
    *,
    progress: bool | Callable[[Progress], object] | None = None,
    cancel: CancelToken | None = None,
) -> int | None:
    """Where two regular files first differ: an offset, or None if they are equal.

    If one is the beginning of the other, they differ where the shorter ends.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"abcd")
    >>> _ = Path("b.bin").write_bytes(b"abXd")
    >>> fastcopy.compare("a.bin", "b.bin")
    2
    >>> fastcopy.compare("a.bin", "a.bin") is None
    True
    """
    first, second = path_argument("a", a), path_argument("b", b)
    check_callbacks(progress, cancel)
    found: list[int | None] = []

    with open_regular(first) as fd_a, open_regular(second) as fd_b:
        size = min(os.fstat(fd_a).st_size, os.fstat(fd_b).st_size)

        def run(tick: Tick | None) -> dict[str, Any]:
            with _named(first, second):
                found.append(_core.compare_fds(fd_a, fd_b, callers(tick)))
            return {"bytes": size if found[0] is None else found[0]}

        watched(conductor(progress, cancel, first, second, PHASE), size, run)
    return found[0]


def digests_of(fd: int, path: Name, digests: Sequence[Digest], tick: Tick | None) -> tuple[int, list[str]]:
    """The length of the open file `fd`, and each digest of it, all in one reading."""
    threads = threads_for(os.fstat(fd).st_size)
    hashers = [digest.new(threads) for digest in digests]

    def update(data: memoryview) -> None:
        for hasher in hashers:
            hasher.update(data)

    with _named(path):
        length = _core.read_in_order(fd, callers(update), callers(tick))
    return length, [hasher.hexdigest() for hasher in hashers]


@contextmanager
def open_regular(path: Name) -> Generator[int]:
    """A descriptor of a regular file. All else is refused: what a FIFO has to say is not waited for."""
    _refuse_special(os.stat(path), path)
    # It may have become something else since: neither wait for a writer, nor let a terminal become ours.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _refuse_special(os.fstat(fd), path)
        yield fd
    finally:
        os.close(fd)


def _refuse_special(status: os.stat_result, path: Name) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
    raise SpecialFileError(errno.EOPNOTSUPP, f"only regular files are read, and this is {kind}", path)
