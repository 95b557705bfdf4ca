"""What --json prints: one object a line, of `events.schema.json`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .streams import flush, say

if TYPE_CHECKING:
    from ..progress import Progress

__all__ = ["VERSION", "progress_event", "say_event"]

VERSION = 1  # of the schema: a field may be added to it, none changes its meaning without another number


def say_event(event: str, /, **fields: Any) -> None:
    """A line of it, now."""
    say(json.dumps({"version": VERSION, "event": event, **fields}))
    flush()


def progress_event(p: Progress, src: str | None) -> dict[str, Any]:
    """The fields of a progress event."""
    return {
        "phase": p.phase,
        "src": src,
        "path": os.fsdecode(p.path),
        "bytes": p.bytes,
        "total": p.total,
        "files": p.files,
        "files_total": p.files_total,
        "rate": p.rate,
        "eta": p.eta,
    }
