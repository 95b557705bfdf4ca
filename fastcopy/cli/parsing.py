"""What all parsers of the command have in common, where argparse would have it otherwise.

Options and operands may be mixed, as GNU's programs allow. An option whose value may be left out takes one only after
`=`: `--verify a b` copies a to b. Long options are not abbreviated. An error is one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["Parser", "parse"]


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, action.metavar if isinstance(action.metavar, str) else action.dest.upper())
        *short, long = action.option_strings
        bare = getattr(action, "bare", None) is not None
        joined = f"{long}[={value}]" if bare else f"{long}={value}" if long.startswith("--") else f"{long} {value}"
        return ", ".join((*short, joined))


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with the habits of this command."""

    def __init__(self, prog: str, operands: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [OPTION]... {operands}".rstrip(),
            description=description,
            epilog=epilog,
            formatter_class=_Help,
            allow_abbrev=False,
            add_help=False,
        )
        self.operands = operands
        self.add_argument("-h", "--help", action="help", help="show this, and exit")

    def error(self, message: str) -> NoReturn:
        """Exit 2, with one line that says what is wrong."""
        self.exit(2, f"{self.prog}: {message} (usage: {self.usage}; {self.prog} --help)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            sys.stderr.write(message)
        sys.stdout.flush()
        raise SystemExit(status)


def optional_value(action: argparse.Action, bare: str) -> None:
    """Let the option stand without a value, and mean `bare` then."""
    action.bare = bare  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """The arguments; exits 2 where they are wrong."""
    bares: dict[str, str] = {}
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        bare: object = getattr(action, "bare", None)
        if isinstance(bare, str):
            bares |= dict.fromkeys(action.option_strings, bare)
    end = words.index("--") if "--" in words else len(words)
    before = [f"{word}={bares[word]}" if word in bares else word for word in words[:end]]
    # What follows `--` are names. One that begins with a dash is the same file with ./ before it.
    after = [f"./{word}" if word.startswith("-") else word for word in words[end + 1 :]]
    return parser.parse_intermixed_args([*before, *after])
