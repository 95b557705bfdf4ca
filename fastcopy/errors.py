"""What fastcopy raises.

A refusal of the system is the usual subclass of `OSError`. A condition of our own is a `CopyError` with a stable
`code`. Where a condition of ours also is one of Python's kinds, the exception is both, so that
`except fastcopy.CopyError` and `except PermissionError` each do what they say.
"""

from __future__ import annotations

import os
from shutil import SameFileError, SpecialFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from typing_extensions import Self

    from ._core import StrOrBytesPath

__all__ = ["CopyError", "SameFileError", "SpecialFileError", "VerifyError", "from_core"]

# What each code means, for the first words of the message. The errno says the rest.
_MEANINGS = {
    "COPY_E_UNSUPPORTED": "this copy cannot be made as asked",
    "COPY_E_NOSPACE": "no space for the copy",
    "COPY_E_PREALLOC": "space for the copy could not be reserved",
    "COPY_E_MMAP": "a mapped file failed",
    "COPY_E_WRITE": "writing the copy failed",
    "COPY_E_READ": "reading the source failed",
    "COPY_E_CANCELLED": "the copy was cancelled",
    "COPY_E_SOURCE_CHANGED": "the source changed",
    "COPY_E_SAME_FILE": "a file is not copied onto itself",
    "VERIFY_E_MISMATCH": "the copy differs from its source",
    "VERIFY_E_CANCELLED": "the verification was cancelled",
    "FINALIZE_E_RENAME": "the finished copy could not be given its name",
    "FINALIZE_E_METADATA": "metadata could not be kept",
}

# What is both a CopyError and one of the builtin subclasses of OSError, by (class of ours, builtin).
_both: dict[tuple[type[OSError], type[OSError]], type[Any]] = {}


class CopyError(OSError):
    """A copy failed for a reason that fastcopy knows by name, its `code`.

    Made like an `OSError`, and like it picks a more telling class by its errno.

    >>> import errno, fastcopy
    >>> error = fastcopy.CopyError(errno.EACCES, "writing the copy failed", "a.bin", None, "b.bin")
    >>> isinstance(error, PermissionError)
    True
    >>> print(error)
    [Errno 13] writing the copy failed: 'a.bin' -> 'b.bin'
    """

    code: str | None = None  # one of the names in the table of codes, such as "COPY_E_NOSPACE"

    def __new__(cls, *args: Any) -> Self:
        made: Self = super().__new__(_with_builtin(cls, args), *args)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        # The class that __new__ may have picked has no name to be found under; it is picked again.
        named = next(kind for kind in type(self).__mro__ if "_builtin" not in vars(kind))
        args = self.args
        if self.filename is not None and len(args) == 2:  # OSError keeps the names out of args
            args = (*args, self.filename)
            if self.filename2 is not None:
                args = (*args, None, self.filename2)
        return named, args, self.__dict__


class VerifyError(CopyError):
    """The copy was made and is not what it should be, or whether it is could not be found out.

    >>> import errno, fastcopy
    >>> raise fastcopy.VerifyError(errno.EBADMSG, "the copy differs from its source", "a.bin", None, "b.bin")
    Traceback (most recent call last):
    fastcopy.errors.VerifyError: [Errno 74] the copy differs from its source: 'a.bin' -> 'b.bin'
    """

    offset: int | None = None  # of the first difference, where bytes were compared or a file is too short
    digests: tuple[str, str] | None = None  # in hex: of what was copied, of the copy as it was read again


class SameFile(CopyError, SameFileError):
    """COPY_E_SAME_FILE, for those too who know shutil's name of it."""


def _with_builtin(cls: type[Any], args: tuple[Any, ...]) -> type[Any]:
    """The class for `args`: `cls` itself, or one that is also the builtin kind that the errno stands for."""
    if len(args) < 2 or not isinstance(args[0], int) or "_builtin" in vars(cls):
        return cls
    builtin = type(OSError(args[0], ""))
    if builtin is OSError or issubclass(cls, builtin):
        return cls
    both = _both.get((cls, builtin))
    if both is None:
        namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_builtin": builtin}
        both = _both.setdefault((cls, builtin), type(cls.__name__, (cls, builtin), namespace))
    return both


def from_core(
    err: int,
    code: str | None,
    op: str | None,
    engine: str | None,
    offset: int,
    at: str,
    why: str | None,
    src: StrOrBytesPath,
    dst: StrOrBytesPath | None,
    kept: str | None = None,
    digests: Mapping[str, str] | None = None,
) -> OSError:
    """The exception for a failure of the core: `err` is an errno, `code` one of ours or None.

    `dst` is None where one file is read and none is written.
    """
    names = os.fspath(src), None, None if dst is None else os.fspath(dst)
    error: OSError
    if code is None:
        error = OSError(err, os.strerror(err), *names)
    else:
        both = (digests["written"], digests["reread"]) if digests and len(digests) == 2 else None
        if code == "VERIFY_E_MISMATCH":
            found = f"{both[0]} became {both[1]}" if both else f"from offset {offset} on"
            why = f"{why or os.strerror(err)} ({found})"
        error = _kind(code)(err, _message(err, code, at, why), *names)
        error.code = code
        if isinstance(error, VerifyError):
            error.digests = both
            error.offset = offset if code == "VERIFY_E_MISMATCH" and both is None else None
    add_note(error, _note(err, code, op, engine, offset, at, why, kept))
    return error


def cancelled(src: StrOrBytesPath, dst: StrOrBytesPath | None, phase: str = "copy") -> OSError:
    """What ends when `cancel` is set: the copy, or the verification that was under way."""
    from ._core import CODES

    code = "VERIFY_E_CANCELLED" if phase == "verify" else "COPY_E_CANCELLED"
    return from_core(CODES[code], code, None, None, 0, "both", "cancel.is_set() is true", src, dst)


def add_note(error: BaseException, note: str) -> None:
    """`error.add_note`, which Python 3.10 has not; what prints a traceback there ignores the list."""
    error.__dict__.setdefault("__notes__", []).append(note)


def _kind(code: str) -> type[CopyError]:
    if code == "COPY_E_SAME_FILE":
        return SameFile
    return VerifyError if code.startswith("VERIFY_E_") else CopyError


def _message(err: int, code: str, at: str, why: str | None) -> str:
    meaning = _MEANINGS.get(code, code)
    if code == "COPY_E_READ" and at == "destination":
        meaning = "reading the copy again failed"
    return f"{meaning}: {why or os.strerror(err)}"


def _note(
    err: int,
    code: str | None,
    op: str | None,
    engine: str | None,
    offset: int,
    at: str,
    why: str | None,
    kept: str | None,
) -> str:
    words = [f"engine={engine or 'none'}", f"operation={op or 'none'}", f"offset={offset}"]
    if code is not None:
        words.append(f"code={code}")
    if at != "both":
        words.append(f"at={at}")
    note = f"{' '.join(words)}: {why or os.strerror(err)}"
    return f"{note}; the unpublished copy was left as {kept}" if kept else note
