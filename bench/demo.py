"""Copy one big file with every engine, beside shutil.copyfile and cp, and show the times: `make demo`.

usage: python demo.py [DIRECTORY] [--size SIZE] [--rounds N]

The source is warm in the page cache, the destination new each time. How it is measured: fastcopy/measure/kernel.py.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

import peers

import fastcopy
from fastcopy.cli.progress_line import ProgressLine
from fastcopy.cli.sizes import size
from fastcopy.measure import File, race, ways
from fastcopy.measure.document import scenario
from fastcopy.measure.limits import memory
from fastcopy.measure.tables import terminal


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path, default=Path("build/demo"), help="where to copy")
    parser.add_argument("--size", type=size, default="1GiB", help="size of the file")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds that count")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    where, what = asked.directory, File(asked.size)
    where.mkdir(parents=True, exist_ok=True)
    contenders = (*ways.every_engine(), ways.auto(), ways.shutil_copyfile(), peers.gnu_cp(), *memory(asked.size))
    print(f"fastcopy {fastcopy.__version__}: {what.title} in {where}, {asked.rounds} rounds\n", flush=True)
    try:
        with contextlib.closing(ProgressLine()) as line:
            result = race(
                contenders, what, where, rounds=asked.rounds, progress=lambda done, total, way: line(done / total, way)
            )
    except OSError as error:
        print(f"{where}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(terminal(scenario("demo", result, where)))
    print(f"\n{fastcopy.capabilities(where)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
