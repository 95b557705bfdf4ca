"""The command `fastcopy`. The first word decides; each subcommand is a module here, imported when it is asked for.

A module of a subcommand has `parser()`, from which a man page and completion can be made, and `run(arguments)`, which
returns the exit status: 0 done, 1 something failed and was said, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

SUBCOMMANDS = {
    "bench": "time the ways of copying on a directory",
    "calibrate": "measure the numbers of the dispatcher on a directory, for later copies",
}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with these words, by default those of the process; the exit status."""
    words = sys.argv[1:] if words is None else words
    if not words or words[0] not in SUBCOMMANDS:
        return _without_subcommand(words)
    name, rest = words[0], words[1:]
    try:
        module = import_module(f".{name}", __package__)
        status: int = module.run(module.parser().parse_args(rest))
        return status
    except KeyboardInterrupt:
        return _say(name, "interrupted; nothing is left behind", 130)
    except ImportError as error:
        return _say(name, str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _say(name, f"{where}{error.strerror or error}", 1)


def _say(name: str, what: str, status: int) -> int:
    print(f"fastcopy {name}: {what}", file=sys.stderr)
    return status


def _without_subcommand(words: Sequence[str]) -> int:
    if words and words[0] in ("-V", "--version"):
        from .. import __version__

        print(f"fastcopy {__version__}")
        return 0
    subcommands = "\n".join(f"  {name:<10} {about}" for name, about in SUBCOMMANDS.items())
    text = f"usage: fastcopy [--version] SUBCOMMAND ...\n\n{subcommands}\n\n`fastcopy SUBCOMMAND --help` says more."
    asked = bool(words) and words[0] in ("-h", "--help")
    print(text, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
