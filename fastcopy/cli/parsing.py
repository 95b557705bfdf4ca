"""What all parsers of the command have in common, where argparse would have it otherwise.

Options and operands may be mixed, as GNU's programs allow. An option whose value may be left out takes one only after
`=`: `--verify a b` copies a to b. Long options are not abbreviated. An error is one line.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from .streams import flush, say

__all__ = [
    "Parser",
    "UsageError",
    "in_words_of_the_command_line",
    "option_strings",
    "options_in",
    "parse",
    "refuse_wrong_environment",
]


class UsageError(Exception):
    """The words on the command line make no sense together."""


def in_words_of_the_command_line(error: ValueError) -> UsageError:
    """`chunk=5: ...`, as the Python door says it, about `--chunk=5`."""
    return UsageError(re.sub(r"^([a-z_]+)=", lambda found: f"--{found[1].replace('_', '-')}=", str(error)))


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


def refuse_wrong_environment() -> None:
    """For what copies many times: FASTCOPY_ENGINE and the like are looked at before the work, not in its middle."""
    from ..options import environment

    try:
        environment()
    except ValueError as error:
        raise UsageError(str(error)) from None


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
        """Instead of printing it all and exiting."""
        raise UsageError(re.sub(r": ignored explicit argument (.*)", r" takes no value, and \1 was given", message))

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """After the help was printed."""
        flush()
        raise SystemExit(status)

    def _print_message(self, message: str, file: object = None) -> None:
        say(message, end="")


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
    options = options_in(words)
    before = [f"{word}={bares[word]}" if word in bares else word for word in options]
    # What follows `--` are names. One that begins with a dash is the same file with ./ before it.
    after = [f"./{word}" if word.startswith("-") else word for word in words[len(options) + 1 :]]
    try:
        arguments, unknown = parser.parse_known_intermixed_args([*before, *after])
        if unknown:
            raise UsageError("; ".join(_unknown(parser, word) for word in unknown))
        return arguments
    except UsageError as error:
        meant = (word for word in options if word.startswith("-") and word != "-" and os.path.lexists(word))
        raise UsageError("".join((str(error), *(f"; the file {word} is written ./{word}" for word in meant)))) from None


def options_in(words: Sequence[str]) -> Sequence[str]:
    """The words among which there may be options: those before `--`."""
    return words[: words.index("--")] if "--" in words else words


def option_strings(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All options of a parser."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        yield from action.option_strings


def _unknown(parser: argparse.ArgumentParser, word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one operand too many"
    begun = word.partition("=")[0]
    meant = [option for option in option_strings(parser) if begun.startswith("--") and option.startswith(begun)]
    return f"there is no option {word}{f' (do you mean {meant[0]}?)' if meant else ''}"
