"""`fastcopy plan SRC... DST`: how it would be copied, and why; nothing is copied."""

from __future__ import annotations

import argparse

from . import copy
from .parsing import Parser

PROG = "fastcopy plan"


def parser() -> Parser:
    return copy.parser(
        PROG,
        "Say how fastcopy would copy, and why. It takes the operands and options of a copy, looks at both ends, and "
        "touches nothing: the same as fastcopy --dry-run --explain.",
    )


def run(arguments: argparse.Namespace) -> int:
    arguments.dry_run = arguments.explain = True
    return copy.run(arguments, PROG)
