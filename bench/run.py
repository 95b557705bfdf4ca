"""Run the scenarios, write one JSON document (schema.json), and from it tables and pictures (report.py).

usage: python run.py [DIRECTORY] [--quick] [--only NAME ...] [--seconds N] [--results FOLDER]

Copies are made in DIRECTORY, whose storage is what "here" means. As root also on ext4, XFS and Btrfs in image files
there. A full run needs 12 GiB of disk and 4 GiB of memory. Ctrl-C or SIGTERM ends it: nothing is
left behind, and what was measured until then is written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import report
from places import NotHereError, filesystem
from scenarios import SCENARIOS, Scenario, quick
from ways import GROUPS

from fastcopy.cli.endings import ended_by_signals, status_of
from fastcopy.cli.progress_line import ProgressLine
from fastcopy.measure import CacheStateError, race
from fastcopy.measure.document import document, scenario, skipped
from fastcopy.measure.tables import terminal

MOST_ROUNDS = 300


def measured(s: Scenario, directory: Path) -> dict[str, Any]:
    """One scenario; a cell that cannot be measured says why."""
    began = time.monotonic()
    with contextlib.closing(ProgressLine()) as line:

        def show(done: int, total: int, way: str) -> None:
            line((time.monotonic() - began) / s.seconds, f"{s.name}: {way}")

        try:
            result = race(
                GROUPS[s.ways](s),
                s.what,
                directory,
                cache=s.cache,
                existing=s.existing,
                sync=s.sync,
                rounds=1 if s.once else MOST_ROUNDS,
                warmups=0 if s.once else 1,
                seconds=s.seconds,
                progress=show,
            )
        except (CacheStateError, OSError) as error:  # no room, or memory that cannot be cold: the others can go on
            return skipped(s.name, s.title, error.strerror or str(error))
    return scenario(s.name, result, directory, s.verify, s.title)


def run(scenarios: tuple[Scenario, ...], directory: Path) -> Iterator[dict[str, Any]]:
    """All of them, one filesystem after the other; a filesystem that cannot be had is a cell that says so."""
    for where in dict.fromkeys(s.where for s in scenarios):
        here = [s for s in scenarios if s.where == where]
        try:
            with filesystem(where, directory) as place:
                for s in here:
                    yield measured(s, place)
        except NotHereError as error:
            for s in here:
                yield skipped(s.name, s.title, f"{where}: {error}")


def text_of(told: dict[str, Any]) -> str:
    """To be read, and compared line by line: what was taken in each round is one line, of five digits."""
    whole = json.dumps(told, indent=1)
    numbers = re.sub(r"(?<=[\s\[])-?\d+\.\d+(e-?\d+)?", lambda number: f"{float(number[0]):.5g}", whole)
    return re.sub(r"\[[^\[\]{}]*\]", lambda many: re.sub(r"\s+", " ", many[0]), numbers) + "\n"


def chosen(asked: argparse.Namespace) -> tuple[Scenario, ...]:
    scenarios = quick() if asked.quick else SCENARIOS
    if asked.seconds is not None:
        scenarios = tuple(replace(s, seconds=asked.seconds) for s in scenarios)
    return tuple(s for s in scenarios if not asked.only or any(fnmatch(s.name, pattern) for pattern in asked.only))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path, default=Path("build/bench"), help="where copies are made")
    parser.add_argument("--quick", action="store_true", help="fewer scenarios, less time each: three minutes in all")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="scenarios by name; * and ? stand for anything")
    parser.add_argument("--seconds", type=float, metavar="N", help="for each scenario, in place of its own time")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="for the document, tables and pictures")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="whose figures are to be replaced by these")
    parser.add_argument("--list", action="store_true", help="name the scenarios, and end")
    return parser.parse_args()


@ended_by_signals()
def main() -> int:
    asked = arguments()
    todo = chosen(asked)
    if asked.list or not todo:
        print(*(f"{s.name:<24} {s.title}" for s in todo), sep="\n")
        return 0 if todo else 2
    results = asked.results or asked.directory / "results"
    asked.directory.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    status = 0
    with tempfile.TemporaryDirectory(prefix="work-", dir=asked.directory) as work:
        try:
            for cell in run(todo, Path(work)):
                done.append(cell)
                print(f"\n{cell['name']}: {cell['title']}\n{terminal(cell)}", flush=True)
        except KeyboardInterrupt as end:
            print(f"\ninterrupted: {len(done)} of {len(todo)} scenarios", file=sys.stderr)
            status = status_of(end)
    told = document(done)
    (results / "results.json").write_text(text_of(told), encoding="utf-8")
    report.write(told, results)
    if asked.readme is not None and status == 0:
        report.into_readme(told, asked.readme)
    print(f"\n{results}: results.json, results.md and pictures")
    faults = [(cell["name"], row["way"]) for cell in done for row in cell["rows"] if report.is_fault(row)]
    for name, way in faults:
        print(f"FAULT: {way} in {name}", file=sys.stderr)
    return status or bool(faults)


if __name__ == "__main__":
    sys.exit(main())
