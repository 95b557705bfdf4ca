"""What a command says: lines for a person, or with --json one JSON object a line (`events.schema.json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import words
from .endings import FAILED, UNVERIFIED
from .events import say_event
from .streams import say, tell

if TYPE_CHECKING:
    from ..progress import Progress
    from .display import Display, Source

__all__ = ["Voice"]


class Voice:
    """Lines on stdout, errors and progress on stderr; counts what failed."""

    def __init__(
        self, prog: str, *, as_json: bool = False, quiet: bool = False, display: Display | None = None
    ) -> None:
        self.prog = prog
        self.quiet = quiet
        self.as_json = as_json
        self.status = 0
        self.source: Source | None = None  # that is being copied
        self._display = display

    @property
    def is_heard(self) -> bool:
        """Whether what is no error is said at all."""
        return self.as_json or not self.quiet

    def line(self, text: str) -> None:
        """For a person who reads along."""
        if not self.as_json and not self.quiet:
            self.pause()
            say(text)

    def event(self, event: str, /, **fields: Any) -> None:
        """For a program that does."""
        if self.as_json:
            say_event(event, **fields)

    def warn(self, text: str, path: str | None = None) -> None:
        """Something that is no failure."""
        self.pause()
        tell(f"{self.prog}: {text}")
        self.event("warning", message=text, path=path)

    def fail(self, text: str, **fields: Any) -> None:
        """A failure of our own finding."""
        self.pause()
        tell(f"{self.prog}: {text}")
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
            errno=words.symbol(error),
            src=src,
            dst=dst,
        )

    def progress(self, p: Progress) -> None:
        """A callback for what can be watched."""
        if self._display is not None:
            self._display(p, self.source)

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
