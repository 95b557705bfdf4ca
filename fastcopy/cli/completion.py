"""`fastcopy completion SHELL`: completion scripts, made from the parsers, so that they never fall behind."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from . import SUBCOMMANDS
from .parsing import Parser
from .streams import say

PROG = "fastcopy completion"
SHELLS = ("bash", "zsh", "fish")


class Option(NamedTuple):
    """An option, as a shell needs to know it."""

    names: tuple[str, ...]
    about: str
    values: tuple[str, ...]  # those there are; none: anything
    takes: bool  # a value
    may: bool  # stand without it

    @property
    def longs(self) -> tuple[str, ...]:
        return tuple(word for word in self.names if word.startswith("--"))


def parser() -> Parser:
    made = Parser(
        PROG,
        "SHELL",
        "Print the completion script for bash, zsh or fish.",
        "bash: fastcopy completion bash > ~/.local/share/bash-completion/completions/fastcopy. "
        "zsh: fastcopy completion zsh > DIR/_fastcopy, for a DIR in $fpath. "
        "fish: fastcopy completion fish > ~/.config/fish/completions/fastcopy.fish.",
    )
    made.add_argument("shell", choices=SHELLS, metavar="SHELL", help=argparse.SUPPRESS)
    return made


def run(arguments: argparse.Namespace) -> int:
    say({"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell](), end="")
    return 0


def parser_of(subcommand: str) -> Parser:
    """The parser of a subcommand; "copy" is that of a copy."""
    made: Parser = import_module(f".{subcommand}", __package__).parser()
    return made


def options_of(made: argparse.ArgumentParser) -> Iterator[Option]:
    for action in made._actions:  # pyright: ignore[reportPrivateUsage]
        if action.option_strings and action.help != argparse.SUPPRESS:
            choices: Any = action.choices or ()
            yield Option(
                tuple(action.option_strings),
                re.sub(r"\s+", " ", (action.help or "").replace("%%", "%")).partition(";")[0],
                tuple(map(str, choices)),
                action.nargs != 0,
                getattr(action, "bare", None) is not None,
            )


# ---- bash ----------------------------------------------------------------------------------------------


def bash() -> str:
    cases: list[str] = []
    for name in ("copy", *SUBCOMMANDS):
        words = " ".join(sorted(_bash_words(name)))
        pattern = "*" if name == "copy" else name
        values = "".join(
            f"            {'|'.join(option.names)}) values={' '.join(option.values)!r} ;;\n"
            for option in options_of(parser_of(name))
            if option.values
        )
        chosen = f'        case "$option" in\n{values}        esac\n' if values else ""
        case = f"    {pattern})\n        options='{words}'\n{chosen}        ;;\n"
        cases.append(case)
    in_order = "".join([*cases[1:], cases[0]])
    return f"""\
# bash completion of fastcopy, made by `fastcopy completion bash`.
_fastcopy() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" option="${{COMP_WORDS[COMP_CWORD-1]}}" options='' values=''
    COMPREPLY=()
    # `=` is a word of its own to bash.
    if [[ $option == '=' ]]; then option="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    if [[ $current == '=' ]]; then current=''; fi
    case "${{COMP_WORDS[1]}}" in
{in_order}    esac
    if [[ -n $values ]]; then
        COMPREPLY=($(compgen -W "$values" -- "$current"))
    elif [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]]; then compopt -o nospace; fi
    else
        if [[ $COMP_CWORD -eq 1 ]]; then
            COMPREPLY=($(compgen -W "{" ".join(SUBCOMMANDS)}" -- "$current"))
        elif [[ ${{COMP_WORDS[1]}} == completion ]]; then
            COMPREPLY=($(compgen -W "{" ".join(SHELLS)}" -- "$current"))
            return
        fi
        compopt -o filenames -o default 2>/dev/null
        local file
        while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
    fi
}}
complete -F _fastcopy fastcopy
"""


def _bash_words(name: str) -> Iterator[str]:
    for option in options_of(parser_of(name)):
        for word in option.names:
            yield f"{word}=" if option.takes and word.startswith("--") else word
            if option.may:
                yield word


# ---- zsh -----------------------------------------------------------------------------------------------


def zsh() -> str:
    functions: list[str] = []
    for name in ("copy", *SUBCOMMANDS):
        specs = "".join(f"        {spec} \\\n" for option in options_of(parser_of(name)) for spec in _zsh_specs(option))
        operands = f"'1:shell:({' '.join(SHELLS)})'" if name == "completion" else "'*:file:_files'"
        functions.append(f"_fastcopy_{name}() {{\n    _arguments -s -S \\\n{specs}        {operands}\n}}\n")
    subcommands = "\n".join(f"        {_quoted(f'{name}:{about}')}" for name, about in SUBCOMMANDS.items())
    return f"""\
#compdef fastcopy
# zsh completion of fastcopy, made by `fastcopy completion zsh`.

{"".join(functions)}
_fastcopy() {{
    local -a subcommands=(
{subcommands}
    )
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe -t commands 'subcommand' subcommands
        _files
    elif (( CURRENT > 2 )) && (( $+functions[_fastcopy_$words[2]] )) && [[ $words[2] != copy ]]; then
        local subcommand=$words[2]
        shift words
        (( CURRENT-- ))
        _fastcopy_$subcommand
    else
        _fastcopy_copy
    fi
}}

_fastcopy "$@"
"""


def _zsh_specs(option: Option) -> Iterator[str]:
    about = option.about.replace("[", "(").replace("]", ")").replace(":", ",")
    for word in option.names:
        value = ""
        if option.takes:
            mark = "=-" if option.may else "=" if word.startswith("--") else "+"
            what = f"({' '.join(option.values)})" if option.values else "_files"
            value = f"{mark}[{about}]{':' * (2 if option.may else 1)}value:{what}"
        yield _quoted(f"{word}{value or f'[{about}]'}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# ---- fish ----------------------------------------------------------------------------------------------


def fish() -> str:
    lines = ["# fish completion of fastcopy, made by `fastcopy completion fish`.", ""]
    known = " ".join(SUBCOMMANDS)
    lines += [
        "function __fastcopy_subcommand",
        "    set -l words (commandline -opc)",
        "    test (count $words) -gt 1; and contains -- $words[2] $argv",
        "end",
        "function __fastcopy_first",
        "    test (count (commandline -opc)) -eq 1",
        "end",
    ]
    for name, about in SUBCOMMANDS.items():
        lines.append(f"complete -c fastcopy -n __fastcopy_first -a {name} -d {_fish_quoted(about)}")
    lines.append(f"complete -c fastcopy -f -n '__fastcopy_subcommand completion' -a '{' '.join(SHELLS)}'")
    for name in ("copy", *SUBCOMMANDS):
        condition = f"not __fastcopy_subcommand {known}" if name == "copy" else f"__fastcopy_subcommand {name}"
        lines += [f"complete -c fastcopy -n '{condition}' {_fish_spec(o)}" for o in options_of(parser_of(name))]
    return "\n".join(lines) + "\n"


def _fish_spec(option: Option) -> str:
    words = [f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in option.names]
    if option.takes and not option.may:
        words.append("-x" if option.values else "-r")  # with nothing but those, or with files too
    if option.values:
        words.append(f"-a '{' '.join(option.values)}'")
    return f"{' '.join(words)} -d {_fish_quoted(option.about)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
