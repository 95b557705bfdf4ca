"""What the machine can do at best: no copy can be faster than its memory."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np

from .kernel import Told, Way

__all__ = ["memcpy", "memory"]

_MIB = 1 << 20
_AT_MOST = 512 * _MIB  # of memory; larger copies go over it again
_PIECE = 4 * _MIB


def memcpy(threads: int, size: int) -> Way:
    """Copying that many bytes of resident memory, on so many threads: each byte read and written once."""
    room = max(1, min(size, _AT_MOST))
    source: list[np.ndarray] = []  # made when it is first needed, and kept for the other rounds

    def copy(src: Path, dst: Path) -> Told:
        if not source:
            source.extend((np.full(room, 1, np.uint8), np.full(room, 2, np.uint8)))
        began = time.perf_counter()
        _copy(source[0], source[1], threads, size)
        return Told(seconds=time.perf_counter() - began)

    many = "1 core" if threads == 1 else f"{threads} cores"
    return Way(name=f"memcpy, {many}", copy=copy, kind="limit")


def memory(size: int) -> tuple[Way, ...]:
    """With one core and with all. None for a small file: what limits that is system calls."""
    cores = {1, len(os.sched_getaffinity(0))}
    return tuple(memcpy(threads, size) for threads in sorted(cores)) if size >= _MIB else ()


def _copy(a: np.ndarray, b: np.ndarray, threads: int, size: int) -> None:
    """Numpy lets go of the GIL while it copies."""

    def part(first: int) -> None:
        for at in range(first * _PIECE, size, threads * _PIECE):
            n = min(_PIECE, size - at, len(a))
            start = at % max(1, len(a) - n + 1)
            np.copyto(b[start : start + n], a[start : start + n])

    if threads == 1:
        part(0)
        return
    others = [threading.Thread(target=part, args=(number,)) for number in range(1, threads)]
    for thread in others:
        thread.start()
    part(0)
    for thread in others:
        thread.join()
