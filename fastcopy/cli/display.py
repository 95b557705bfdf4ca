"""Progress for who waits: drawn on a terminal, by rich where it is installed; elsewhere a line every few seconds.

What is over sooner than anybody could read is not shown, unless it was asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from .progress_line import ProgressLine

if TYPE_CHECKING:
    from ..progress import Progress

__all__ = ["Display", "display_for"]

PATIENCE = 0.3  # seconds before a terminal shows something
PLAIN_INTERVAL = 5.0
EVENT_INTERVAL = 0.25

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Display(Protocol):
    def __call__(self, p: Progress) -> object: ...
    def clear(self) -> None:
        """Take away what is drawn; it may be drawn again."""
        ...


def display_for(
    *, quiet: bool, wanted: bool | None, as_json: bool, clock: Callable[[], float] = monotonic
) -> Display | None:
    """`wanted` is --progress or --no-progress; None if neither was said."""
    if quiet or wanted is False:
        return None
    if as_json:
        return _Events(sys.stdout, clock)
    if not sys.stderr.isatty():
        return _Lines(sys.stderr, clock)
    return _Patient(0.0 if wanted else PATIENCE, clock)


def amount(count: float) -> str:
    """A number of bytes for a reader.

    >>> amount(1536), amount(10 * 2**30)
    ('1.5 KiB', '10 GiB')
    """
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count, power = count / 1024, power + 1
    return f"{count:.0f} {_UNITS[power]}" if power == 0 or count >= 10 else f"{count:.1f} {_UNITS[power]}"


def duration(seconds: float) -> str:
    """
    >>> duration(5), duration(3700)
    ('0:05', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(p: Progress) -> str:
    """All of it in one line."""
    left = "" if p.eta is None else f", {duration(p.eta)} left"
    files = f", {p.files} of {p.files_total} files" if p.files_total else ""
    return f"{p.phase} {amount(p.bytes)} of {amount(p.total)}, {amount(p.rate)}/s{left}{files}: {printable(p.path)}"


def printable(path: str) -> str:
    """A name without what would move the cursor.

    >>> printable("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    return path if path.isprintable() else repr(path)[1:-1]


class _Events:
    """Events of progress, some a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._next = -1.0

    def __call__(self, p: Progress) -> None:
        from .voice import VERSION, progress_event

        now = self._clock()
        if now >= self._next or p.bytes == p.total:
            self._next = now + EVENT_INTERVAL
            print(json.dumps({"version": VERSION, "event": "progress", **progress_event(p)}), file=self._stream)
            self._stream.flush()

    def clear(self) -> None:
        """Nothing is drawn."""


class _Lines:
    """A line every few seconds, for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._next = clock() + PLAIN_INTERVAL

    def __call__(self, p: Progress) -> None:
        now = self._clock()
        if now >= self._next:
            self._next = now + PLAIN_INTERVAL
            print(f"fastcopy: {summary(p)}", file=self._stream, flush=True)

    def clear(self) -> None:
        """Nothing is drawn."""


class _Patient:
    """On a terminal, and only when it takes a while: importing what draws takes some itself."""

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._from = clock() + patience
        self._drawn: Display | None = None

    def __call__(self, p: Progress) -> None:
        if self._clock() >= self._from:
            if self._drawn is None:
                self._drawn = _drawing()
            self._drawn(p)

    def clear(self) -> None:
        if self._drawn is not None:
            self._drawn.clear()
            self._drawn = None


def _drawing() -> Display:
    try:
        return _Rich()
    except ImportError:
        return _OneLine()


class _OneLine:
    """Without rich."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def __call__(self, p: Progress) -> None:
        self._line(p.bytes / p.total if p.total else 0.0, summary(p))

    def clear(self) -> None:
        self._line.close()


class _Rich:
    """A bar with the whole of it, and below it the file under way."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        console = Console(stderr=True)
        self._text, self._group = Text, Group
        self._bar: Any = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        self._task: Any = self._bar.add_task("copy", total=None)
        # No thread of rich's: the copy itself calls often enough.
        self._live: Any = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def __call__(self, p: Progress) -> None:
        self._bar.update(self._task, completed=p.bytes, total=p.total, description=p.phase)
        files = f"{p.files} of {p.files_total} files  " if p.files_total else ""
        below = self._text(f"{files}{printable(p.path)}", no_wrap=True, overflow="ellipsis", style="dim")
        self._live.update(self._group(self._bar, below), refresh=True)

    def clear(self) -> None:
        self._live.stop()
