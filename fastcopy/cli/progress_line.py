"""How far a measurement is: one line on stderr that is drawn over, on a terminal; nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

__all__ = ["ProgressLine"]

_WIDTH = 24


class ProgressLine:
    """`line(0.5, "64 MiB: direct")`, and `close()` before anything else is printed."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and self._stream.isatty()

    def __call__(self, share: float, what: str) -> None:
        if self._live:
            filled = round(min(1.0, max(0.0, share)) * _WIDTH)
            line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%} {what}"
            self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Nothing of it stays."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
