"""From what is written on the command line to the exact names of what will exist, as GNU cp works them out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from .parsing import UsageError

__all__ = ["Pair", "pairs", "refuse_remote"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[^/:]+:")


class Pair(NamedTuple):
    """One source, and the exact name that its copy will have."""

    src: str
    dst: str


def refuse_remote(destination: str) -> None:
    """fastcopy copies on one machine, and `host:path` as the name of a local file is nearly always a mistake."""
    if _URL.match(destination):
        raise UsageError(
            f"{destination!r} is a URL, and fastcopy copies within one machine; use a client of that service"
        )
    if _HOST.match(destination):
        raise UsageError(
            f"{destination!r} looks like a place on another machine, and fastcopy copies within one; use rsync or scp, "
            f"or write ./{destination} if it is a local name"
        )


def pairs(operands: Sequence[str], target: str | None, exact: bool) -> list[Pair]:
    """Sources and destinations. `target` is -t DIR, `exact` is -T."""
    if any(not operand for operand in operands) or target == "":
        raise UsageError("an empty word names no file")
    if target is not None:
        if exact:
            raise UsageError("-t and -T contradict each other: the one names a directory to copy into, the other none")
        if not operands:
            raise UsageError("a source is missing")
        return [Pair(source, _into(_directory(target), source)) for source in operands]
    if not operands:
        raise UsageError("a source and a destination are missing")
    if len(operands) == 1:
        raise UsageError(f"a destination is missing after {operands[0]!r}")
    *sources, last = operands
    if exact and len(sources) > 1:
        raise UsageError(f"-T takes one source and one destination, and {last!r} is one too many")
    refuse_remote(last)
    if not exact and (len(sources) > 1 or os.path.isdir(last)):
        return [Pair(source, _into(_directory(last), source)) for source in sources]
    return [Pair(sources[0], last)]


def _directory(path: str) -> str:
    refuse_remote(path)
    try:
        os.close(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        what = "it is no directory to copy into" if error.errno == errno.ENOTDIR else error.strerror
        raise type(error)(error.errno, f"{what} (sources are copied into a directory that exists)", path) from None
    return path


def _into(directory: str, source: str) -> str:
    base = os.path.basename(source.rstrip("/"))
    # The contents of `a/.` and `a/..` go into the directory itself.
    return directory if base in ("", ".", "..") else os.path.join(directory, base)
