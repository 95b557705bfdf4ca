"""Copy one big file with every engine, beside shutil.copyfile and cp, and show the times.

usage: python demo.py [DIRECTORY] [--size MIB] [--rounds N]

The contenders take turns, round after round, so that a slow minute of the machine hits them all; what is compared are
medians of one run. The source is warm in the page cache, the destination new each time. A first round is thrown away:
it gives the machine its first touch of the memory that the others use.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fastcopy

MIB = 1 << 20
GIB = 1 << 30

Copy = Callable[[Path, Path], object]


def contenders() -> dict[str, Copy]:
    def cp(src: Path, dst: Path) -> None:
        # By default cp clones where it can, and so does fastcopy: that is what each of them does for its user.
        subprocess.run(["cp", src, dst], check=True)

    def engine(name: str) -> Copy:
        return lambda src, dst: fastcopy.transfer(src, dst, engine=name)

    ours = {f"fastcopy {name}": engine(name) for name in fastcopy.engines()}
    return {"cp": cp, "shutil.copyfile": shutil.copyfile, **ours, "fastcopy (auto)": fastcopy.transfer}


def generate(path: Path, size: int) -> None:
    """A file of random bytes that are in the page cache and on the medium: nothing is left to be written later."""
    block = os.urandom(4 * MIB)
    with path.open("wb") as file:
        for offset in range(0, size, len(block)):
            file.write(memoryview(block)[: size - offset])
        file.flush()
        os.fsync(file.fileno())


def say(what: str) -> None:
    """What is being done, on one line of the terminal that is written over."""
    if sys.stderr.isatty():
        print(f"\r{what:<60}", end="\r", file=sys.stderr, flush=True)


def timed(copy: Copy, src: Path, dst: Path) -> float:
    dst.unlink(missing_ok=True)
    start = time.perf_counter()
    copy(src, dst)
    elapsed = time.perf_counter() - start
    if dst.stat().st_size != src.stat().st_size:
        raise RuntimeError(f"{dst} is {dst.stat().st_size} bytes long, and not {src.stat().st_size}")
    return elapsed


def race(src: Path, dst: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Times of those that ran, and of the others the reason why they did not."""
    running, times, refusals = contenders(), dict[str, list[float]](), dict[str, str]()
    for turn in range(rounds + 1):
        for name, copy in list(running.items()):
            say(f"round {turn} of {rounds}: {name}")
            try:
                elapsed = timed(copy, src, dst)
            except OSError as error:
                refusals[name] = error.strerror or str(error)
                del running[name]
                times.pop(name, None)
                continue
            if turn > 0:
                times.setdefault(name, []).append(elapsed)
    say("")
    dst.unlink(missing_ok=True)
    return times, refusals


def table(times: dict[str, list[float]], refusals: dict[str, str], size: int) -> str:
    median = {name: statistics.median(values) for name, values in times.items()}
    best_peer = min(median[name] for name in ("cp", "shutil.copyfile"))
    lines = [f"{'':<22} {'median':>9} {'fastest':>9} {'GB/s':>7}  against the faster of cp and shutil"]
    for name, seconds in sorted(median.items(), key=lambda item: item[1]):
        lines.append(
            f"{name:<22} {seconds * 1e3:>6.0f} ms {min(times[name]) * 1e3:>6.0f} ms"
            f" {size / seconds / 1e9:>7.2f}  {best_peer / seconds:.2f} x"
        )
    lines += [f"{name:<22} cannot run here: {why}" for name, why in refusals.items()]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("build/demo"), help="where to copy")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="size of the file, in MiB")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds that count")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    size, where = asked.size * MIB, asked.directory
    where.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(where).free, 2 * size + 256 * MIB
    if free < needed:
        print(f"{where} has {free / GIB:.1f} GiB free, the demo needs {needed / GIB:.1f}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="demo-", dir=where) as folder:
        src, dst = Path(folder, "source.bin"), Path(folder, "copy.bin")
        print(f"fastcopy {fastcopy.__version__}: {asked.size} MiB in {where}, {asked.rounds} rounds\n", flush=True)
        say("writing the source")
        generate(src, size)
        times, refusals = race(src, dst, asked.rounds)
        print(table(times, refusals, size))
        print(f"\n{fastcopy.plan(src, dst).explain()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
