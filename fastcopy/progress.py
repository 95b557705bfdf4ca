"""What a running copy tells its caller, and how the caller stops it.

The core calls `tick(bytes, total, phase)` on the calling thread about every 50 ms. A `Conductor` turns that into the
caller's progress callback, throttled, and asks `cancel`. Whatever these raise ends the copy and comes out unchanged.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from .errors import cancelled

if TYPE_CHECKING:
    from ._core import StrOrBytesPath, Tick, TreeTick
    from .options import CancelToken

__all__ = ["Conductor", "Progress", "conductor"]

# At most 20 calls a second, between the first and the last.
_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is: what a `progress` callback is given.

    >>> import fastcopy
    >>> p = fastcopy.Progress(phase="copy", path="a.bin", bytes=250, total=1000, rate=50.0)
    >>> p.eta
    15.0
    """

    phase: str  # "copy", "verify" or "sync"
    path: str  # of the source, or of the file under way (of a tree: below its root)
    bytes: int  # done of this phase, holes counted in
    total: int  # as far as it is known: the size first seen
    files: int = 0  # finished
    rate: float = 0.0  # bytes a second, on average over this phase; 0: not known, as while it is synced
    files_total: int = 0  # of a tree: as far as it is known

    @property
    def eta(self) -> float | None:
        """Seconds until the phase ends at this rate; None while there is none."""
        return max(0, self.total - self.bytes) / self.rate if self.rate > 0 else None


class Bar(Protocol):
    """Shows `Progress` to a human."""

    def __call__(self, p: Progress) -> object: ...
    def close(self) -> None: ...


class Conductor:
    """The Python side of one copy that is watched: `start`, any number of `tick`, then `finish` or `close`."""

    def __init__(
        self,
        show: Callable[[Progress], object] | None,
        cancel: CancelToken | None,
        src: StrOrBytesPath,
        dst: StrOrBytesPath | None,
        bar: Bar | None = None,
        clock: Callable[[], float] = monotonic,
        phase: str = "copy",  # that it begins with
    ) -> None:
        self._show = show
        self._cancel = cancel
        self._src, self._dst = src, dst
        self._path = os.fsdecode(src)
        self._bar = bar
        self._clock = clock
        self._files = self._files_total = 0
        self._total = 0  # of this phase, as last told
        self._phase = phase
        self._phase_began = self._shown = clock()

    def start(self, total: int) -> None:
        """Once, before anything is touched."""
        self._raise_if_cancelled()
        self._call(0, total, self._clock())
        self._raise_if_cancelled()  # perhaps by that call: a short copy may not ask again

    def next_file(self, path: StrOrBytesPath, finished: int) -> None:
        """Where there are several: the one that is under way now, and how many are done."""
        self._path = os.fsdecode(path)
        self._files = finished

    def tick(self, done: int, total: int, phase: str) -> None:
        """From the core, as often as it likes."""
        began = phase != self._phase
        self._phase = phase
        self._total = total
        self._raise_if_cancelled()
        if self._show is None:
            return
        now = self._clock()
        if began:
            self._phase_began = now
        if now - self._shown >= _INTERVAL:
            self._call(done, max(done, total), now)
            self._raise_if_cancelled()

    def finish(self, total: int, files: int = 1) -> None:
        """Once, after all went well: the copy has its name already."""
        self._files = files
        if self._phase == "verify":  # which may have read both files, one after the other
            total = max(total, self._total)
        self._call(total, total, self._clock())
        self.close()

    def close(self) -> None:
        """After success or failure; may be called again."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _raise_if_cancelled(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise cancelled(self._src, self._dst, self._phase)

    def _call(self, done: int, total: int, now: float) -> None:
        if self._show is None:
            return
        self._shown = now
        seconds = now - self._phase_began
        moves = seconds > 0 and self._phase != "sync"  # how far the kernel is with that, it does not say
        rate = done / seconds if moves else 0.0
        self._show(Progress(self._phase, self._path, done, total, self._files, rate, self._files_total))


class TreeConductor(Conductor):
    """The same for a tree, whose total grows while it is found."""

    def tick_tree(self, done: int, found: int, files: int, files_found: int, path: bytes) -> None:
        """From the core, as often as it likes."""
        self.next_file(path, files)
        self._files_total = files_found
        self.tick(done, found, "copy")

    def finish_tree(self, report: Mapping[str, Any]) -> None:
        """Once, after the last entry."""
        self._files_total = report["files"] + report["links"]
        self.finish(report["bytes"], self._files_total)


def tree_conductor(
    progress: bool | Callable[[Progress], object] | None,
    cancel: CancelToken | None,
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
) -> TreeConductor | None:
    """`conductor` for a tree."""
    if callable(progress):
        return TreeConductor(progress, cancel, src, dst)
    if progress:
        bar = _bar(os.path.basename(os.path.normpath(os.fsdecode(src))))
        return TreeConductor(bar, cancel, src, dst, bar)
    return None if cancel is None else TreeConductor(None, cancel, src, dst)


def watched_tree(watch: TreeConductor | None, run: Callable[[TreeTick | None], dict[str, Any]]) -> dict[str, Any]:
    """`watched` for a tree."""
    if watch is None:
        return run(None)
    try:
        watch.start(0)
        report = run(watch.tick_tree)
        watch.finish_tree(report)
        return report
    finally:
        watch.close()


def conductor(
    progress: bool | Callable[[Progress], object] | None,
    cancel: CancelToken | None,
    src: StrOrBytesPath,
    dst: StrOrBytesPath | None,
    phase: str = "copy",
) -> Conductor | None:
    """The conductor that these two options need: None if nobody listens, so that the core need not call."""
    if callable(progress):
        return Conductor(progress, cancel, src, dst, phase=phase)
    if progress:
        bar = _bar(os.path.basename(os.path.normpath(os.fsdecode(src))))  # a directory may end in a slash
        return Conductor(bar, cancel, src, dst, bar, phase=phase)
    return None if cancel is None else Conductor(None, cancel, src, dst, phase=phase)


def watched(watch: Conductor | None, total: int, run: Callable[[Tick | None], dict[str, Any]]) -> dict[str, Any]:
    """`run(tick)` between the first and the last call of the caller's progress; returns what it returns."""
    if watch is None:
        return run(None)
    try:
        watch.start(total)
        report = run(watch.tick)
        watch.finish(report["bytes"], report.get("files", 1))
        return report
    finally:
        watch.close()


def _bar(label: str) -> Bar:
    """The best bar that is installed."""
    for kind in (_TqdmBar, _RichBar):
        try:
            return kind(label)
        except ImportError:
            continue
    return _PlainBar(label)


class _TqdmBar:
    def __init__(self, label: str) -> None:
        from tqdm import tqdm

        # No thread of tqdm's that watches over it: the conductor refreshes it.
        unwatched: Any = type("tqdm", (tqdm,), {"monitor_interval": 0})
        self._bar: Any = unwatched(desc=label, unit="B", unit_scale=True, unit_divisor=1024)

    def __call__(self, p: Progress) -> None:
        bar = self._bar
        bar.total = p.total
        if p.phase != "copy":
            bar.set_postfix_str(p.phase, refresh=False)
        bar.n = p.bytes
        bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _RichBar:
    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
        # No thread here either.
        self._bar: Any = RichProgress(
            TextColumn("{task.description}"), *columns, console=Console(stderr=True), auto_refresh=False
        )
        self._label = escape(label)
        self._task: Any = self._bar.add_task(self._label, total=None)
        self._bar.start()

    def __call__(self, p: Progress) -> None:
        label = self._label if p.phase == "copy" else f"{self._label} ({p.phase})"
        self._bar.update(self._task, completed=p.bytes, total=p.total, description=label, refresh=True)

    def close(self) -> None:
        self._bar.stop()


class _PlainBar:
    """One line on stderr, drawn over itself on a terminal; elsewhere only its last state is written."""

    _WIDTH = 24

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._line = ""

    def __call__(self, p: Progress) -> None:
        share = min(1.0, p.bytes / p.total) if p.total else float(p.files > 0)
        filled = int(share * self._WIDTH)
        bar = "#" * filled + "." * (self._WIDTH - filled)
        eta = "" if p.eta is None else f", {p.eta:.0f} s left"
        phase = "" if p.phase == "copy" else f" {p.phase}"
        self._line = (
            f"{self._label}{phase} [{bar}] {share:4.0%} {p.bytes / 2**20:.1f} MiB, {p.rate / 2**20:.0f} MiB/s{eta}"
        )
        if self._live:
            self._stream.write(f"\r{self._line}\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        self._stream.write("\n" if self._live else f"{self._line}\n")
        self._stream.flush()
