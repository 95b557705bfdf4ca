"""The command `fastcopy`. The first word decides; each subcommand is a module here, imported when it is asked for.

A first word that is no subcommand belongs to a copy (`copy.py`); `./hash` is the file of that name. A module has
`parser()`, from which the manual and the completions are made, and `run(arguments)`, which returns the exit status:
0 done, 1 something failed and was said, 2 usage, 3 a verification failed, 130 interrupted, 143 the same by SIGTERM.
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

OUTPUT_CLOSED = 141  # as a shell says of who was killed by SIGPIPE


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with these words, by default those of the process; the exit status."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in ("-V", "--version"):
        from .. import __version__

        print(f"fastcopy {__version__}")
        return 0
    try:
        status = _run(words)
    except BrokenPipeError:
        return _nobody_listens()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _nobody_listens()
    except OSError as error:  # what was buffered until now
        return _unwritable("fastcopy", str(error.strerror))
    return status


def _run(words: Sequence[str]) -> int:
    from .parsing import parse
    from .voice import UnwritableError

    known = bool(words) and words[0] in SUBCOMMANDS
    name, rest = (words[0], words[1:]) if known else ("copy", words)
    prog = f"fastcopy {name}" if known else "fastcopy"
    _print_any_name()
    try:
        module = import_module(f".{name}", __package__)
        status: int = module.run(parse(module.parser(), rest))
        return status
    except KeyboardInterrupt as interrupt:
        from .interrupts import status_of

        return _say(prog, "interrupted; nothing is left behind", status_of(interrupt))
    except ImportError as error:
        return _say(prog, str(error), 1)
    except BrokenPipeError:
        raise
    except UnwritableError as error:
        return _unwritable(prog, str(error))
    except OSError as error:
        from .words import of_error

        return _say(prog, of_error(error), 1)


def _print_any_name() -> None:
    """A name that cannot be printed in this locale is printed with escapes, and is no reason to stop."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _nobody_listens() -> int:
    """The reader of our output went away (`| head`): we end too, as it is usual, and without a word."""
    import os

    # What is still in the buffer would raise once more when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return OUTPUT_CLOSED


def _unwritable(prog: str, why: str) -> int:
    _nobody_listens()  # nor is it tried again
    return _say(prog, f"the output cannot be written: {why}", 1)


def _say(prog: str, what: str, status: int) -> int:
    print(f"{prog}: {what}", file=sys.stderr)
    return status
