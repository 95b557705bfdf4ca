"""SIGTERM, made into what Ctrl-C is: who measures cleans up on the way out, and the status says which it was."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["TerminatedError", "sigterm_interrupts", "status_of"]


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def sigterm_interrupts() -> Generator[None, None, None]:
    """Within it SIGTERM raises `TerminatedError`, once: those that follow do not disturb the cleaning up."""

    def raise_once(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, raise_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def status_of(interrupt: KeyboardInterrupt) -> int:
    """As a shell says of who was killed by that signal."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, TerminatedError) else signal.SIGINT)
