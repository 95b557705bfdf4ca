"""The command `fastcopy`. The first word decides; each subcommand is a module here, imported when it is asked for.

A first word that is no subcommand belongs to a copy (`copy.py`); `./hash` is the file of that name. A module has
`parser()`, from which the manual and the completions are made, and `run(arguments)`, which returns the exit status:
0 done, 1 something failed and was said, 2 usage, 3 a verification failed, 130 interrupted, 143 and
129 by SIGTERM and SIGHUP. What makes no sense is a
`UsageError`, whatever else goes wrong comes out of `run` as it is, and is one line here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

SUBCOMMANDS = {
    "verify": "compare two files or trees, byte by byte",
    "hash": "print digests of files, or write a manifest of a tree",
    "check": "read all files of a manifest, and list those that changed",
    "compare": "say where two files first differ",
    "plan": "say how something would be copied, and why; copies nothing",
    "analyze": "say what this machine and this place can do",
    "tuning": "advise on settings of this machine that matter for local copies",
    "bench": "time the ways of copying on a directory",
    "calibrate": "measure the numbers of the dispatcher on a directory, for later copies",
    "completion": "print a completion script for bash, zsh or fish",
    "manual": "print the man page",
}

WITHOUT_EVENTS = {"bench"}  # its --json is one document
OUTPUT_CLOSED = 141  # as a shell says of who was killed by SIGPIPE


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with these words, by default those of the process; the exit status."""
    from . import streams

    words = sys.argv[1:] if words is None else words
    known = bool(words) and words[0] in SUBCOMMANDS
    name, rest = (words[0], words[1:]) if known else ("copy", words)
    prog = f"fastcopy {name}" if known else "fastcopy"
    streams.open_closed()
    try:
        status = _run(prog, name, rest)
        streams.flush()
        return status
    except streams.ReaderGoneError:  # it is usual to end then, without a word
        streams.mute(sys.stdout.fileno())
        streams.mute(sys.stderr.fileno())
        return OUTPUT_CLOSED
    except streams.UnwritableError as error:
        streams.mute(sys.stdout.fileno())
        streams.tell(f"{prog}: the output cannot be written: {error}")
        return 1


def say_version() -> int:
    """`--version`, which is answered before anything else is imported."""
    from .. import __version__
    from .streams import say

    say(f"fastcopy {__version__}")
    return 0


def _run(prog: str, name: str, rest: Sequence[str]) -> int:
    if rest and rest[0] in ("-V", "--version") and name == "copy":
        return say_version()

    import warnings

    from .endings import FAILED, USAGE, ended_by_signals, status_of
    from .parsing import UsageError, options_in
    from .voice import Voice
    from .words import of_error, symbol

    _print_any_name()
    voice = Voice(prog, as_json="--json" in options_in(rest) and name not in WITHOUT_EVENTS)

    def fail(text: str, status: int, **fields: str | None) -> int:
        voice.fail(text, **fields)
        return status

    def warn(message: Warning | str, category: object, filename: str, lineno: int, *_: object, **__: object) -> None:
        voice.warn(str(message))  # in a line, and not with the source of the library

    with ended_by_signals(), warnings.catch_warnings():
        warnings.showwarning = warn
        try:
            return _subcommand(prog, name, rest)
        except UsageError as error:
            return fail(str(error), USAGE, code="USAGE")
        except KeyboardInterrupt as end:
            return fail("interrupted; nothing is left behind", status_of(end), code="INTERRUPTED")
        except ImportError as error:
            return fail(str(error), FAILED)
        except MemoryError:
            return fail("there is not enough memory; -j1 and a smaller --chunk need less", FAILED, errno="ENOMEM")
        except OSError as error:
            return fail(of_error(error), FAILED, errno=symbol(error))


def _subcommand(prog: str, name: str, rest: Sequence[str]) -> int:
    from .parsing import UsageError, parse

    module = import_module(f".{name}", __package__)
    parser = module.parser()
    try:
        status: int = module.run(parse(parser, rest))
        return status
    except UsageError as error:
        raise UsageError(f"{error} (usage: {parser.usage}; {prog} --help)") from None


def _print_any_name() -> None:
    """A name that cannot be printed in this locale is printed with escapes, and is no reason to stop."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
