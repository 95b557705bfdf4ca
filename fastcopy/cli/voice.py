"""What a command says: lines for a person, or with --json one JSON object a line (`events.schema.json`)."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from . import words

if TYPE_CHECKING:
    from ..progress import Progress
    from .display import Display

__all__ = ["FAILED", "UNVERIFIED", "VERSION", "UnwritableError", "Voice"]

VERSION = 1  # of the schema: a field may be added to it, none changes its meaning without another number
FAILED, UNVERIFIED = 1, 3


class UnwritableError(Exception):
    """Our own output cannot be written: no fault of any file that is copied."""


def _print(text: str, flush: bool = False) -> None:
    try:
        print(text, flush=flush)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableError(error.strerror) from error


class Voice:
    """Lines on stdout, errors and progress on stderr; counts what failed."""

    def __init__(
        self, prog: str, *, as_json: bool = False, quiet: bool = False, display: Display | None = None
    ) -> None:
        self.prog = prog
        self.quiet = quiet
        self.as_json = as_json
        self.status = 0
        self._display = display

    def line(self, text: str) -> None:
        """For a person who reads along."""
        if not self.as_json and not self.quiet:
            self.pause()
            _print(text)

    def event(self, event: str, /, **fields: Any) -> None:
        """For a program that does."""
        if self.as_json:
            _print(json.dumps({"version": VERSION, "event": event, **fields}), flush=True)

    def warn(self, text: str, path: str | None = None) -> None:
        """Something that is no failure."""
        self.pause()
        print(f"{self.prog}: {text}", file=sys.stderr)
        self.event("warning", message=text, path=path)

    def fail(self, text: str, **fields: Any) -> None:
        """A failure of our own finding."""
        self.pause()
        print(f"{self.prog}: {text}", file=sys.stderr)
        fields = {"code": None, "errno": None, "src": None, "dst": None} | fields
        self.event("error", message=text, **fields)
        self.status = max(self.status, UNVERIFIED if str(fields["code"]).startswith("VERIFY_E_MISMATCH") else FAILED)

    def fail_with(
        self, what: str, error: OSError, src: str | None = None, dst: str | None = None, do: str | None = None
    ) -> None:
        """A failure that was raised: what could not be done, why, and what to do."""
        do = words.advice(error) if do is None else do
        self.fail(
            f"{what}: {words.reason(error)}{f'; {do}' if do else ''}",
            code=getattr(error, "code", None),
            errno=errno.errorcode.get(error.errno or 0),
            src=src,
            dst=dst,
        )

    def progress(self, p: Progress) -> None:
        """A callback for what can be watched."""
        if self._display is not None:
            self._display(p)

    @property
    def shows(self) -> bool:
        """Whether anybody watches."""
        return self._display is not None

    def pause(self) -> None:
        """Before anything else is written, what is drawn must go."""
        if self._display is not None:
            self._display.clear()

    def close(self) -> None:
        self.pause()


def progress_event(p: Progress) -> dict[str, Any]:
    """The fields of a progress event."""
    return {
        "phase": p.phase,
        "path": os.fsdecode(p.path),
        "bytes": p.bytes,
        "total": p.total,
        "files": p.files,
        "files_total": p.files_total,
        "rate": p.rate,
        "eta": p.eta,
    }
