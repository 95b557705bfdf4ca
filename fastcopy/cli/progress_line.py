"""How far a measurement is: one line on stderr that is drawn over, on a terminal; nothing elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

__all__ = ["ProgressLine", "can_be_drawn_on"]

_WIDTH = 24


def can_be_drawn_on(stream: TextIO) -> bool:
    """A terminal, of those on which something can be taken away again."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class ProgressLine:
    """`line(0.5, "64 MiB: direct")`, and `close()` before anything else is printed."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and can_be_drawn_on(self._stream)

    def __call__(self, share: float, what: str) -> None:
        if self._live:
            columns = shutil.get_terminal_size().columns
            filled = round(min(1.0, max(0.0, share)) * _WIDTH)
            bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] " if columns > 2 * _WIDTH else ""
            line = f"{bar}{share:4.0%} {what}"
            self._stream.write(f"\r{line[: columns - 1]}\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Nothing of it stays."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
