"""One situation met twice: by shutil and by fastcopy, in two directories that look the same."""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.state import snapshot

_recorded: list[tuple[str, tuple[Any, ...]]] | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _recorded is not None and (event.startswith(("shutil.", "os.")) or event == "open"):
        _recorded.append((event, args))


sys.addaudithook(_hook)  # for good: there is no way to take one away


@contextmanager
def recording():  # type: ignore[no-untyped-def]
    """The audit events inside the block."""
    global _recorded
    _recorded = events = []
    try:
        yield events
    finally:
        _recorded = None


@dataclass(frozen=True)
class Outcome:
    """Everything in which two ways of copying can differ, with the directory written as `BASE`."""

    value: object
    error: object
    events: object
    state: object


def outcome(function: Callable[..., object], base: Path, arguments: Callable[[Path], tuple[Any, ...]]) -> Outcome:
    """Call `function` with arguments made under `base`, and say all that came of it."""
    args = arguments(base)
    value: object = None
    error: object = None
    with recording() as events:
        try:
            value = function(*args)
        except OSError as e:
            error = (_name(e), e.errno, e.filename, e.filename2, str(e), _cause(e))
        except Exception as e:
            error = (_name(e), str(e), _cause(e))
    ours = [_without_clock(event) for event in events if _is_about(event, base)]
    return Outcome(*(_based(part, base) for part in (value, error, ours)), snapshot(base))


def _name(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].split(":")[0]


def _cause(error: BaseException) -> str | None:
    return None if error.__cause__ is None else _name(error.__cause__)


def _is_about(event: tuple[str, tuple[Any, ...]], base: Path) -> bool:
    """Not the imports and the looks at /proc that happen by the way."""
    return event[0].startswith("shutil.") or any(str(base) in repr(arg) for arg in event[1])


def _without_clock(event: tuple[str, tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """Reading a file sets its access time, so what copystat hands on depends on when that was."""
    name, args = event
    return (name, (*args[:1], *args[3:])) if name == "os.utime" else event


def _based(part: Any, base: Path) -> Any:
    """The same without the name of the directory."""
    if isinstance(part, (tuple, list)):
        return [_based(item, base) for item in part]
    if isinstance(part, bytes):
        return part.replace(os.fsencode(base), b"BASE")
    if isinstance(part, (str, Path, os.DirEntry)):
        return f"{type(part).__name__}:{os.fspath(part)}".replace(str(base), "BASE")
    return part
