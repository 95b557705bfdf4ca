"""Progress for who waits: drawn on a terminal, by rich where it is installed; elsewhere a line every few seconds.

What is over sooner than anybody could read is not shown, unless it was asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .events import progress_event, say_event
from .progress_line import ProgressLine, can_be_drawn_on
from .streams import mute, tell

if TYPE_CHECKING:
    from ..progress import Progress

__all__ = ["Display", "Source", "display_for"]

PATIENCE = 0.3  # seconds before a terminal shows something
PLAIN_INTERVAL = 5.0
EVENT_INTERVAL = 0.25

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Source(NamedTuple):
    """A SRC of the command line: its name, which it is, and how many there are."""

    name: str
    number: int
    of: int


class Display(Protocol):
    def __call__(self, p: Progress, source: Source | None = None) -> object: ...
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
        return _Events(clock)
    if not can_be_drawn_on(sys.stderr):
        return _Lines(0.0 if wanted else PLAIN_INTERVAL, clock)
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


def summary(p: Progress, source: Source | None = None) -> str:
    """All of it in one line."""
    rate = f", {amount(p.rate)}/s" if p.rate > 0 else ""
    left = "" if p.eta is None else f", {duration(p.eta)} left"
    return f"{p.phase} {amount(p.bytes)} of {amount(p.total)}{rate}{left}{_files(p)}: {_what(p, source)}"


def _files(p: Progress) -> str:
    return f", {p.files} of {p.files_total} files" if p.files_total else ""


def _what(p: Progress, source: Source | None) -> str:
    """The file under way, of a directory with the name of that; and which of the sources it belongs to."""
    if source is None:
        return printable(p.path)
    which = f" ({source.number} of {source.of})" if source.of > 1 else ""
    return printable(os.path.join(source.name, p.path) if p.files_total else p.path) + which


def printable(path: str) -> str:
    """A name without what would move the cursor.

    >>> printable("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    return path if path.isprintable() else repr(path)[1:-1]


class _Events:
    """For programs: some events a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = -1.0

    def __call__(self, p: Progress, source: Source | None = None) -> None:
        now = self._clock()
        if now >= self._next or p.bytes == p.total:
            self._next = now + EVENT_INTERVAL
            say_event("progress", **progress_event(p, None if source is None else source.name))

    def clear(self) -> None:
        """Nothing is drawn."""


class _Lines:
    """A line every few seconds, for logs."""

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = clock() + patience

    def __call__(self, p: Progress, source: Source | None = None) -> None:
        now = self._clock()
        if now >= self._next:
            self._next = now + PLAIN_INTERVAL
            tell(f"fastcopy: {summary(p, source)}")

    def clear(self) -> None:
        """Nothing is drawn."""


class _Patient:
    """On a terminal, and only when it takes a while: importing what draws takes some itself."""

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._from = clock() + patience
        self._drawn: Display | None = None

    def __call__(self, p: Progress, source: Source | None = None) -> None:
        if self._clock() >= self._from:
            with _terminal_may_be_gone():
                if self._drawn is None:
                    self._drawn = _drawing()
                self._drawn(p, source)

    def clear(self) -> None:
        if self._drawn is not None:
            with _terminal_may_be_gone():
                self._drawn.clear()
            self._drawn = None


@contextmanager
def _terminal_may_be_gone() -> Generator[None]:
    """A terminal that was closed behind us (`nohup`) is no reason for a copy to fail."""
    try:
        yield
    except OSError:
        mute(sys.stderr.fileno())


def _drawing() -> Display:
    try:
        return _Rich()
    except ImportError:
        return _OneLine()


class _OneLine:
    """Without rich."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def __call__(self, p: Progress, source: Source | None = None) -> None:
        self._line(p.bytes / p.total if p.total else 0.0, summary(p, source))

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

    def __call__(self, p: Progress, source: Source | None = None) -> None:
        self._bar.update(self._task, completed=p.bytes, total=p.total, description=p.phase)
        files = f"{_files(p).removeprefix(', ')}  ".lstrip()
        below = self._text(f"{files}{_what(p, source)}", no_wrap=True, overflow="ellipsis", style="dim")
        self._live.update(self._group(self._bar, below), refresh=True)

    def clear(self) -> None:
        self._live.stop()
