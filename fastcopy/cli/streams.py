"""stdout and stderr, each of which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import os
import sys

__all__ = ["ReaderGoneError", "UnwritableError", "flush", "mute", "open_closed", "say", "say_bytes", "tell"]


class UnwritableError(Exception):
    """stdout cannot be written to: no fault of any file that is copied, so no OSError."""


class ReaderGoneError(Exception):
    """Whoever read our output does so no more (`| head`)."""


def open_closed() -> None:
    """Take the place of each standard stream that is closed, or the next file that is opened gets its number.

    As GNU's programs do, the wrong way round: who uses it is refused, and who does not never notices.
    """
    for word, flags, mode in (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_RDONLY, "w")):
        if getattr(sys, word) is None:
            fd = os.open(os.devnull, flags)
            stream = open(fd, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, word, stream)


def say(text: str, end: str = "\n") -> None:
    """On stdout, perhaps later."""
    try:
        sys.stdout.write(f"{text}{end}")
    except OSError as error:
        raise _reason(error) from error


def say_bytes(line: bytes) -> None:
    """On stdout, now: a name as it is on disk."""
    flush()
    try:
        sys.stdout.buffer.write(line)
    except OSError as error:
        raise _reason(error) from error
    flush()


def flush() -> None:
    """What was said until now."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _reason(error) from error


def tell(text: str, end: str = "\n") -> None:
    """On stderr, now. Where that cannot be written to the status has to do: the copies go on."""
    try:
        sys.stderr.write(f"{text}{end}")
        sys.stderr.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError:
        mute(sys.stderr.fileno())


def mute(fd: int) -> None:
    """Nothing is said there any more, nor what is in its buffer when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)


def _reason(error: OSError) -> Exception:
    return ReaderGoneError() if isinstance(error, BrokenPipeError) else UnwritableError(error.strerror)
