"""`fastcopy manual`: the man page, made from the parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from . import SUBCOMMANDS
from .completion import parser_of
from .parsing import Parser
from .streams import say

PROG = "fastcopy manual"

_STATUS = {
    "0": "all was done",
    "1": "something failed; each failure was said in a line of its own",
    "2": "the command line makes no sense; nothing was touched",
    "3": "a verification failed: a copy, or a file that was compared or checked, is not what it should be",
    "129, 130, 143": "ended by SIGHUP, Ctrl-C or SIGTERM; nothing unfinished is left behind",
    "141": "whoever read the output went away",
}


def parser() -> Parser:
    return Parser(
        PROG,
        "",
        "Print the man page.",
        "To read it: fastcopy manual | man -l -. To install it: fastcopy manual > ~/.local/share/man/man1/fastcopy.1.",
    )


def run(arguments: argparse.Namespace) -> int:
    from .. import __version__

    say("\n".join(page(__version__)))
    return 0


def page(version: str) -> Iterator[str]:
    """The lines of the page, for man(7)."""
    copy = parser_of("copy")
    yield f'.TH FASTCOPY 1 "" "fastcopy {version}" "User Commands"'
    yield from (".SH NAME", "fastcopy \\- copy files and directories, fast and safely", ".SH SYNOPSIS")
    yield ".B fastcopy\n[\\fIOPTION\\fR]... \\fISRC\\fR... \\fIDST\\fR"
    for name in SUBCOMMANDS:
        yield f".br\n.B fastcopy {name}\n[\\fIOPTION\\fR]... {_text(parser_of(name).operands)}"
    yield from (".SH DESCRIPTION", _text(copy.description or ""), ".PP", _text(copy.epilog or ""))
    for group in copy._action_groups:  # pyright: ignore[reportPrivateUsage]
        shown = [a for a in group._group_actions if a.help != argparse.SUPPRESS]  # pyright: ignore[reportPrivateUsage]
        if shown:
            yield f".SH {_text((group.title or 'options').upper())}"
            yield from _options(copy, shown)
    for name in SUBCOMMANDS:
        made = parser_of(name)
        yield f".SH FASTCOPY {name.upper()}"
        yield _text(made.description or "")
        if made.epilog:
            yield f".PP\n{_text(made.epilog)}"
        yield from _options(made, [a for a in made._actions if a.help != argparse.SUPPRESS])  # pyright: ignore[reportPrivateUsage]
    yield ".SH EXIT STATUS"
    for status, meaning in _STATUS.items():
        yield f".TP\n.B {status}\n{_text(meaning)}"
    yield ".SH ENVIRONMENT"
    yield _text("FASTCOPY_ENGINE, FASTCOPY_WORKERS and FASTCOPY_NO_ZERO_COPY=1 say what an option would, if none does.")
    yield from (".SH SEE ALSO", ".BR cp (1),\n.BR rsync (1)")


def _options(made: argparse.ArgumentParser, actions: list[argparse.Action]) -> Iterator[str]:
    formatter = made._get_formatter()  # pyright: ignore[reportPrivateUsage]
    for action in actions:
        if action.option_strings or isinstance(action.metavar, str):
            words = formatter._format_action_invocation(action)  # pyright: ignore[reportPrivateUsage]
            about = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
            yield f".TP\n.B {_text(words)}\n{_text(about)}"


def _text(text: str) -> str:
    """For roff: dashes that can be copied, and no line that looks like a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)
