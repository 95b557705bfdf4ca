"""What the core will do, in Python until it does: read a file in order, and compare two."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Tick

_CHUNK = 4 << 20


def read_in_order(fd: int, update: Callable[[memoryview], object], tick: Tick | None, phase: str) -> int:
    """Feed the open file `fd`, from its start to its real end, to `update`; returns its length."""
    size = os.fstat(fd).st_size
    buffer = memoryview(bytearray(min(_CHUNK, max(size, 1 << 16))))
    done = 0
    while count := os.preadv(fd, [buffer], done):
        update(buffer[:count].toreadonly())
        done += count
        if tick is not None:
            tick(done, max(done, size), phase)
    return done


def compare_fds(fd_a: int, fd_b: int, tick: Tick | None) -> int | None:
    """The offset of the first byte in which two open files differ, or where the shorter ends; None if in none."""
    size = os.fstat(fd_a).st_size
    a, b = memoryview(bytearray(_CHUNK)), memoryview(bytearray(_CHUNK))
    done = 0
    while True:
        left, right = _fill(fd_a, a, done), _fill(fd_b, b, done)
        both = min(left, right)
        if a[:both] != b[:both]:
            return done + next(i for i in range(both) if a[i] != b[i])
        done += both
        if left != right:
            return done
        if left < len(a):
            return None
        if tick is not None:
            tick(done, max(done, size), "verify")


def _fill(fd: int, buffer: memoryview, offset: int) -> int:
    done = 0
    while done < len(buffer) and (count := os.preadv(fd, [buffer[done:]], offset + done)):
        done += count
    return done
