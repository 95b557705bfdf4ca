"""`fastcopy compare A B`: where two files first differ."""

from __future__ import annotations

import argparse

from .display import display_for
from .endings import UNVERIFIED
from .parsing import Parser
from .voice import Voice
from .words import name

PROG = "fastcopy compare"


def add_talk(made: argparse.ArgumentParser) -> None:
    """The options of all commands that read for a while."""
    made.add_argument("--json", action="store_true", help="print one JSON object a line")
    made.add_argument("--progress", action=argparse.BooleanOptionalAction, help="show progress at once; or never")
    made.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def voice_of(prog: str, arguments: argparse.Namespace) -> Voice:
    """The voice that those options ask for."""
    display = display_for(quiet=arguments.quiet, wanted=arguments.progress, as_json=arguments.json)
    return Voice(prog, as_json=arguments.json, quiet=arguments.quiet, display=display)


def parser() -> Parser:
    made = Parser(
        PROG,
        "A B",
        "Say where two files first differ.",
        "Exit status: 0 they are equal, 1 one could not be read, 2 usage, 3 they differ.",
    )
    made.add_argument("a", metavar="A", help=argparse.SUPPRESS)
    made.add_argument("b", metavar="B", help=argparse.SUPPRESS)
    add_talk(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    from ..reading import compare

    a, b = arguments.a, arguments.b
    voice = voice_of(PROG, arguments)
    try:
        offset = compare(a, b, progress=voice.progress if voice.shows else None)
    except OSError as error:
        voice.fail_with(f"cannot compare {name(a)} with {name(b)}", error, a, b)
        return voice.status
    finally:
        voice.close()
    voice.event(
        "result", kind="comparison", src=a, dst=b, outcome="equal" if offset is None else "different", offset=offset
    )
    if offset is None:
        voice.line(f"{name(a)} and {name(b)} are equal")
        return 0
    voice.line(f"{name(a)} and {name(b)} differ from byte {offset} on")
    return UNVERIFIED
