"""What trees are held to, measured here: ratios of medians, ways interleaved in one run.

usage: python trees.py DIRECTORY [--only NAME ...] [--rounds N]

DIRECTORY decides the filesystem; /dev/shm is a tmpfs. Needs 4 GiB there. Before each turn what was written is
forced out (sync), and the last copy removed, outside of the time that is taken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fastcopy

MIB = 1 << 20
Way = Callable[[Path, Path], object]


def command(*words: str) -> Way:
    return lambda src, dst: subprocess.run([*words, f"{src}/." if words[0] == "rsync" else src, dst], check=True)


def transfer(**options: object) -> Way:
    return lambda src, dst: fastcopy.transfer(src, dst, **options)


WAYS: dict[str, Way] = {
    "cp -a": command("cp", "-a"),
    "rsync -a": command("rsync", "-a"),
    "shutil.copytree": lambda src, dst: shutil.copytree(src, dst, symlinks=True),
    "in place": transfer(atomic=False),
    "atomic": transfer(),
    "copytree": lambda src, dst: fastcopy.copytree(src, dst, symlinks=True),
}
CLONES: dict[str, Way] = {
    "cp -a --reflink": command("cp", "-a", "--reflink=always"),
    "clone in place": transfer(atomic=False, reflink="always"),
    "clone atomic": transfer(reflink="always"),
}
VERIFIED: dict[str, Way] = {
    "cp -a": command("cp", "-a"),
    "rsync -a": command("rsync", "-a"),
    "in place": transfer(atomic=False),
    "atomic": transfer(),
    "hash": transfer(verify="hash"),
}


def fill(root: Path, files: int, directories: int, low: int, high: int) -> None:
    dice, blob, places = random.Random(1), os.urandom(MIB), [root]
    root.mkdir()
    for i in range(directories - 1):
        places.append(dice.choice(places) / f"directory {i}")
        places[-1].mkdir()
    for i in range(files):
        size = dice.randint(low, high)
        with open(dice.choice(places) / f"file{i:06}", "wb", 0) as file:
            if size:
                file.write(blob[:size])


def small(root: Path) -> None:
    """20,000 files of 0.1 to 20 KB in 350 directories."""
    fill(root, 20_000, 350, 100, 20_000)


def empty(root: Path) -> None:
    """100,000 empty files in one directory."""
    fill(root, 100_000, 1, 0, 0)


def mixed(root: Path) -> None:
    """1,000 files of 1 KB, 100 of 1 MB, 10 of 50 MB, one of 1 GB."""
    root.mkdir()
    blob = os.urandom(MIB)
    for count, size in ((1000, 1000), (100, 10**6), (10, 50 * 10**6), (1, 10**9)):
        for i in range(count):
            with open(root / f"{size}-{i}", "wb", 0) as file:
                for at in range(0, size, MIB):
                    file.write(blob[: min(MIB, size - at)])


SETS: dict[str, tuple[Callable[[Path], None], dict[str, Way]]] = {
    "small": (small, WAYS),
    "empty": (empty, WAYS),
    "mixed": (mixed, VERIFIED),
    "clones": (small, CLONES),
}


def measure(where: Path, name: str, rounds: int) -> None:
    make, ways = SETS[name]
    src, dst = where / "source", where / "copy"
    make(src)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way in random.sample(list(ways), len(ways)):
            os.sync()
            began = time.perf_counter()
            ways[way](src, dst)
            seconds = time.perf_counter() - began
            shutil.rmtree(dst)
            if turn:
                taken[way].append(seconds)
    shutil.rmtree(src)
    base = statistics.median(taken[next(iter(ways))])
    print(f"{name}: {make.__doc__}")
    for way, times in taken.items():
        middle = statistics.median(times)
        print(
            f"  {way:18} {middle:7.3f} s  ({min(times):.3f} to {max(times):.3f})   {base / middle:5.2f} x", flush=True
        )


def curve(where: Path) -> None:
    """Is the cost a straight line? Microseconds a file, and the private memory of the process."""
    for count in (1000, 10_000, 100_000, 1_000_000):
        src, dst = where / "source", where / "copy"
        fill(src, count, max(1, count // 1000), 0, 0)
        program = (
            "import sys, time, fastcopy\n"
            "began = time.perf_counter()\n"
            "fastcopy.transfer(sys.argv[1], sys.argv[2])\n"
            "took = time.perf_counter() - began\n"
            "private = next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
            "anon = next(l for l in open('/proc/self/status') if l.startswith('RssAnon'))\n"
            "print(f'{took:.3f} s', private.split(), anon.split())\n"
        )
        done = subprocess.run([sys.executable, "-c", program, src, dst], check=True, capture_output=True, text=True)
        print(f"  {count:9} files: {done.stdout.strip()}", flush=True)
        subprocess.run(["rm", "-rf", src, dst], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="*", default=["small", "empty", "mixed"])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    where = arguments.directory / f"fastcopy-trees-{os.getpid()}"
    where.mkdir(parents=True)
    try:
        for name in arguments.only:
            if name == "curve":
                curve(where)
            else:
                measure(where, name, arguments.rounds)
    finally:
        shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    main()
