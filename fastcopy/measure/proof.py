"""Which path an arm took: from what it reports and from what it left on the medium, not from what it is called."""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..transfer_door import Report

__all__ = ["broken_claim", "path_of", "shares_extents"]

_FS_IOC_FIEMAP = 0xC020660B
_FIEMAP = struct.Struct("=QQLLLL")  # start, length, flags, mapped extents, room for extents, reserved
_EXTENT = struct.Struct("=QQQ16xL12x")  # logical, physical, length, ..., flags, ...
_SHARED = 0x2000


def path_of(report: Report) -> dict[str, Any]:
    """The path of one file, as the report tells it."""
    return {
        "engine": report.engine,
        "reason": report.reason,
        "attempts": [[attempt.engine, attempt.errno, attempt.offset] for attempt in report.attempts],
        "workers": report.workers,
        "regions": report.regions,
        "chunk": report.plan.chunk,
        "buffer_bytes": report.buffer_bytes,
        "mapped_bytes": report.mapped_bytes,
    }


def broken_claim(claim: Mapping[str, Any], path: Mapping[str, Any] | None) -> str | None:
    """What an arm claims of its path and did not keep; None if it kept all. A claim needs a report."""
    if not claim:
        return None
    if path is None:
        return f"it claims {_words(claim)}, and reports nothing"
    broken = {name: path.get(name) for name, value in claim.items() if path.get(name) != value}
    if broken:
        return f"it claims {_words(claim)}, and its report says {_words(broken)}"
    left = [attempt for attempt in path["attempts"] if attempt[1] != 0]
    return f"it was begun by {left[0][0]} and finished by {path['engine']}" if left else None


def shares_extents(file: Path) -> bool | None:
    """Does the file share its first blocks with another, as a clone does? None: its filesystem does not say."""
    with open(file, "rb") as stream:
        question = bytearray(_FIEMAP.pack(0, 2**64 - 1, 0, 0, 1, 0)) + bytes(_EXTENT.size)
        try:
            fcntl.ioctl(stream, _FS_IOC_FIEMAP, question)
        except OSError:
            return None
        if _FIEMAP.unpack_from(question)[3] == 0:
            return None  # no extent: empty, or all of it is a hole
        flags: int = _EXTENT.unpack_from(question, _FIEMAP.size)[3]
        return bool(flags & _SHARED)


def _words(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in facts.items())
