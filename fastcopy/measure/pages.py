"""The page cache: how much of a file is in it, and bringing that to all or to nothing.

A measurement that is called cold and is not is the commonest lie of file copying benchmarks. So what is wanted is done,
then looked at, and where it is not so nothing is measured: `CacheStateError`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

__all__ = ["CacheState", "CacheStateError", "bring_to", "prime", "resident", "settle"]

CacheState = Literal["warm", "cold"]

# Of a file said to be cold, this share of the pages may be there: the kernel reads ahead, and others read too.
_TOLERATED = 0.01
_BLOCK = 1 << 20
_LOWEST_BIT = bytes(byte & 1 for byte in range(256))  # it says whether a page is there; the others are reserved


class CacheStateError(OSError):
    """The files are not as warm, or as cold, as the measurement says."""


def bring_to(state: CacheState, files: Iterable[Path]) -> None:
    """Bring these files into the page cache, or out of it, and look whether they are."""
    sizes = {file: size for file in files if (size := file.stat().st_size)}
    files, size = tuple(sizes), sum(sizes.values())
    there = _resident(files)
    if state == "warm" and there < size:
        for file in files:
            _read(file)
        there = _resident(files)
    if state == "cold" and there:
        for file in files:
            _drop(file)
        there = _resident(files)
        if there > _TOLERATED * size and os.geteuid() == 0:
            _drop_all()
            there = _resident(files)
    missing = there if state == "cold" else size - there
    if missing > _TOLERATED * size:
        raise CacheStateError(f"{there} of {size} bytes are in the page cache, so this cannot be called {state}")


def resident(file: Path) -> int:
    """Bytes of the file that are in the page cache, by pages."""
    with open(file, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size == 0:
            return 0
        # A private mapping that is never touched: it brings nothing in.
        with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY) as mapping:
            pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
            start = ctypes.c_char.from_buffer(mapping)
            try:
                if _libc.mincore(ctypes.byref(start), ctypes.c_size_t(size), pages) != 0:
                    raise OSError(ctypes.get_errno(), f"mincore: {os.strerror(ctypes.get_errno())}", str(file))
            finally:
                del start  # or the mapping could not be closed
            return min(size, bytes(pages).translate(_LOWEST_BIT).count(1) * mmap.PAGESIZE)


_libc = ctypes.CDLL(None, use_errno=True)


def _resident(files: Iterable[Path]) -> int:
    return sum(map(resident, files))


def _read(file: Path) -> None:
    block = bytearray(_BLOCK)
    with open(file, "rb", buffering=0) as stream:
        while stream.readinto(block):
            pass


def _drop(file: Path) -> None:
    """Only clean pages go, so what is dirty is written first."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _drop_all() -> None:
    """Of the whole machine, so only where asking for the one file did not do."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as switch:
        switch.write("1")


def settle(directory: Path) -> None:
    """What was written before is on the medium, and does not disturb what comes."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        if _libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), f"syncfs: {os.strerror(ctypes.get_errno())}", str(directory))
    finally:
        os.close(descriptor)


def prime(size: int) -> None:
    """Touch that much memory once: a guest's first touch of a page takes ten times as long as the next."""
    with mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1
