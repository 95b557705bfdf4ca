"""`fastcopy bench DIR`: every engine and shutil on the caller's own storage."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .parsing import Parser, refuse_wrong_environment
from .progress_line import ProgressLine
from .sizes import sizes
from .streams import say

if TYPE_CHECKING:
    from ..measure import Way

_DEFAULT_SIZES = "4K,1M,64M,256M"
# Of these seconds the measurements take at most 40 by default; what is under way then is finished.
_DEFAULT_SECONDS = 40.0
_MOST_ROUNDS = 200


def parser() -> Parser:
    made = Parser(
        "fastcopy bench",
        "DIR",
        "Time every engine of fastcopy, fastcopy's own choice, and shutil.copyfile on files in DIR. "
        "Everything that is written there is removed again.",
        "Needs numpy, and for --plot matplotlib: pip install 'fastcopy-io[bench]'.",
    )
    made.add_argument("directory", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    made.add_argument(
        "--sizes",
        type=sizes,
        default=_DEFAULT_SIZES,
        metavar="SIZE,...",
        help=f"of the files; default {_DEFAULT_SIZES}",
    )
    made.add_argument(
        "--cache", choices=("warm", "cold"), default="warm", help="whether the source is in memory; default warm"
    )
    made.add_argument("--existing", action="store_true", help="write over an existing file instead of a new one")
    made.add_argument("--sync", action="store_true", help="force every copy to the medium, and count that too")
    made.add_argument(
        "--seconds",
        type=float,
        default=_DEFAULT_SECONDS,
        metavar="N",
        help=f"begin no copy after that many; default {_DEFAULT_SECONDS:g}",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw throughput over size: .png, .svg or .pdf")
    made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    return made


def run(arguments: argparse.Namespace) -> int:
    # Before the first copy: what is missing is said now, not after the work.
    refuse_wrong_environment()
    from ..measure.document import document

    if arguments.plot is not None:
        from matplotlib.figure import Figure as _  # noqa: F401  # pyright: ignore[reportUnusedImport]

        _refuse_suffix(arguments.plot)
    _refuse_directory(arguments.directory, max(arguments.sizes))
    began = time.monotonic()
    scenarios = list(_scenarios(arguments, began))
    told = document(scenarios)
    if arguments.json:
        say(json.dumps(told, indent=1))
    else:
        say(_text(told, arguments))
    if arguments.plot is not None:
        from ..measure.plots import throughput

        throughput(scenarios, arguments.plot, f"{_place(scenarios)}, {arguments.cache}")
    return 1 if any(_is_fault(row) for scenario in scenarios for row in scenario["rows"]) else 0


def _refuse_directory(directory: Path, largest: int) -> None:
    from ..measure.kernel import check_room

    if not directory.is_dir():
        raise NotADirectoryError(20, "no such directory", str(directory))
    check_room(directory, 2 * largest)


def _refuse_suffix(file: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    known: dict[str, Any] = FigureCanvasBase.filetypes
    if file.suffix.removeprefix(".") not in known:
        raise OSError(22, f"pictures end in .png, .svg or .pdf, not in {file.suffix!r}", str(file))


def _ways(size: int) -> tuple[Way, ...]:
    from ..measure import limits, ways

    return (*ways.every_engine(), ways.auto(), ways.copyfile(), ways.shutil_copyfile(), *limits.memory(size))


def _scenarios(arguments: argparse.Namespace, began: float) -> Iterator[dict[str, Any]]:
    """Small files first; each size gets its share of the time that is left, by what its bytes will take."""
    from ..measure import File, race
    from ..measure.document import scenario, skipped

    todo = sorted(arguments.sizes)
    with contextlib.closing(ProgressLine(quiet=arguments.quiet)) as line:
        for number, size in enumerate(todo):
            left = arguments.seconds - (time.monotonic() - began)
            workload = File(size)
            if left <= 0:
                yield skipped(str(size), workload.title, f"the {arguments.seconds:g} s were over (--seconds, --sizes)")
                continue
            # Time goes with the bytes, but to find a median of small files takes a while too.
            share = max(0.5 / len(todo[number:]), size / max(1, sum(todo[number:])))
            since, budget = time.monotonic(), left * share

            def show(done: int, total: int, way: str) -> None:
                passed = max((time.monotonic() - since) / budget, done / total)  # noqa: B023
                line((number + min(1.0, passed)) / len(todo), f"{workload.title}: {way}")  # noqa: B023

            result = race(
                _ways(size),
                workload,
                arguments.directory,
                cache=arguments.cache,
                existing=arguments.existing,
                sync=arguments.sync,
                rounds=_MOST_ROUNDS,
                seconds=budget,
                progress=show,
            )
            yield scenario(str(size), result, arguments.directory)


def _text(told: dict[str, Any], arguments: argparse.Namespace) -> str:
    from ..measure.tables import terminal

    machine = told["machine"]
    parts = [
        f"{machine['kernel']}, {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['memory'] / 2**30:.0f} GiB; {_place(told['scenarios'])} ({arguments.directory})"
    ]
    for scenario in told["scenarios"]:
        rounds = "" if scenario["problem"] else f" ({scenario['rounds']} rounds)"
        parts += [f"\n{scenario['title']}{rounds}", terminal(scenario)]
    return "\n".join(parts)


def _place(scenarios: list[dict[str, Any]]) -> str:
    filesystems = [scenario["filesystem"] for scenario in scenarios if scenario["problem"] is None]
    return f"{filesystems[0]['type']} on {filesystems[0]['source']}" if filesystems else "nothing was measured"


def _is_fault(row: dict[str, Any]) -> bool:
    return row["problem"] is not None and row["problem"]["kind"] in ("failed", "wrong", "path")
