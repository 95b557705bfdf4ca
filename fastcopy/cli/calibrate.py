"""`fastcopy calibrate DIR`: measure the numbers of the dispatcher on a filesystem, and keep what is better there."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .parsing import Parser, refuse_wrong_environment
from .progress_line import ProgressLine
from .streams import say

if TYPE_CHECKING:
    from ..measure.numbers import Finding, Numbers


def parser() -> Parser:
    made = Parser(
        "fastcopy calibrate",
        "DIR",
        "Measure the numbers that fastcopy's own choice rests on, on the filesystem of DIR, and keep those "
        "that are surely better there than the built-in ones. Copies within that filesystem then use them. It takes a "
        "minute or two, half a gibibyte of room, and as quiet a machine as can be had. Everything that is written to "
        "DIR is removed again.",
        "Needs numpy: pip install 'fastcopy-io[bench]'. Removing the file that it names brings the built-in "
        "numbers back.",
    )
    made.add_argument("directory", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    return made


def run(arguments: argparse.Namespace) -> int:
    refuse_wrong_environment()
    from .. import calibration
    from ..measure.kernel import check_room
    from ..measure.numbers import ROOM, find

    directory: Path = arguments.directory
    if not directory.is_dir():
        raise NotADirectoryError(20, "no such directory", str(directory))
    check_room(directory, ROOM)
    path = calibration.file()
    try:
        calibration.read(path)  # a file that is not ours is not overwritten, and better said before the work
    except ValueError as error:
        raise OSError(22, f"{error}; move it away first", path) from error
    with contextlib.closing(ProgressLine(quiet=arguments.quiet)) as line:
        found = find(directory, progress=line)
    entry = _entry(directory, found)
    calibration.save(path, entry)
    say(_text(found, entry, path))
    return 0


def _entry(directory: Path, found: Numbers) -> dict[str, Any]:
    from .. import __version__, calibration

    return {
        **calibration.identity(str(directory), found.local),
        "numbers": dict(found.numbers),
        "measured": {
            "date": datetime.date.today().isoformat(),
            "kernel": platform.release(),
            "fastcopy": str(__version__),
            "against_built_in": {
                finding.number: [round(value, 3) for value in finding.ratio]
                for finding in found.findings
                if finding.ratio is not None and finding.number in found.numbers
            },
        },
    }


def _text(found: Numbers, entry: dict[str, Any], path: str) -> str:
    from ..measure.workloads import size_text

    lines = [f"{entry['type']} on {entry['source']}, mounted at {entry['where']}", ""]
    lines += [_line(finding) for finding in found.findings]
    if found.checks:
        lines += ["", "all of it together, against the built-in numbers:"]
        lines += [f"  {size_text(size):>8}  {_ratio(ratio)}" for size, ratio in found.checks.items()]
    if not found.kept:
        lines += ["", "Together they are slower somewhere, beyond the noise: the built-in numbers stay."]
    elif not found.numbers:
        lines += ["", "The built-in numbers are the best here."]
    return "\n".join([*lines, "", f"kept in {path}"])


def _line(finding: Finding) -> str:
    from ..measure.numbers import text_of

    built_in, chosen = (text_of(finding.number, value) for value in (finding.built_in, finding.chosen))
    change = f"{built_in} stays" if chosen == built_in else f"{built_in} -> {chosen}"
    sure = "" if finding.ratio is None else f" ({_ratio(finding.ratio)})"
    return f"{finding.number:<16} {change}: {finding.why}{sure}"


def _ratio(ratio: tuple[float, float, float]) -> str:
    value, low, high = ratio
    return f"{value:.2f} x, {low:.2f} to {high:.2f}"
