"""One copy of a tree in a process of its own: its seconds and the memory that it added at most, as JSON.

usage: python alone.py [--in-place] SRC DST
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import fastcopy


def of_status(name: str) -> int:
    """A row of /proc/self/status, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--in-place", action="store_true")
    parser.add_argument("src")
    parser.add_argument("dst")
    asked = parser.parse_args()
    copy = fastcopy.transfer  # imported now, and not when time is taken
    before = of_status("VmRSS")
    began = time.perf_counter()
    copy(asked.src, asked.dst, atomic=not asked.in_place)
    seconds = time.perf_counter() - began
    json.dump({"seconds": seconds, "peak_memory": max(0, of_status("VmHWM") - before)}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
