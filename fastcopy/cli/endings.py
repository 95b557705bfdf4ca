"""How the command ends: its statuses, and the signals that end it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["FAILED", "UNVERIFIED", "USAGE", "Terminated", "ended_by_signals", "status_of"]

FAILED, USAGE, UNVERIFIED = 1, 2, 3


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does: what is unfinished is removed first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_of(end: KeyboardInterrupt) -> int:
    """What a shell says of who was killed by that signal."""
    return 128 + (end.number if isinstance(end, Terminated) else signal.SIGINT)


@contextmanager
def ended_by_signals() -> Generator[None]:
    """In this block `Terminated` is raised. A signal that is ignored (`nohup`) stays so."""
    ours: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _terminate)
                ours.append(number)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
