"""What the machine can do, measured in the same run: the fewest system calls, and what fio gets out of the medium."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastcopy.measure import Told, Way

HERE = Path(__file__).parent
MIB = 1 << 20


@functools.cache
def _bare() -> ctypes.CDLL | None:
    """bare.c, compiled; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "bare.so")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", built, HERE / "bare.c"], check=True)
        library = ctypes.CDLL(str(built))
    library.bare_copy.restype = library.bare_clone.restype = ctypes.c_long
    return library


def _timed_in_c(name: str, call: Callable[[ctypes.CDLL, bytes, bytes], int], shares: bool = False) -> Way:
    library = _bare()

    def copy(src: Path, dst: Path) -> Told:
        assert library is not None
        dst.unlink(missing_ok=True)
        nanoseconds = call(library, os.fsencode(src), os.fsencode(dst))
        if nanoseconds < 0:
            raise OSError(-nanoseconds, os.strerror(-nanoseconds), str(dst))
        return Told(seconds=nanoseconds * 1e-9, shares_extents=shares)

    return Way(name=name, copy=copy, kind="limit", missing=None if library else "cc is not on the PATH")


def bare_copy(size: int) -> Way:
    """Open, create, read, write, close, close, in C."""
    buffer = ctypes.create_string_buffer(size + 1)
    return _timed_in_c(
        "six system calls in C", lambda c, src, dst: c.bare_copy(src, dst, buffer, ctypes.c_ulong(size + 1))
    )


def bare_clone() -> Way:
    """Open, create, clone, close, close, in C."""
    return _timed_in_c("the bare ioctl in C", lambda c, src, dst: c.bare_clone(src, dst), shares=True)


def fio(size: int) -> Way:
    """Reading one file and writing another at once, past the page cache, until it is on the medium."""
    program = shutil.which("fio")

    def copy(src: Path, dst: Path) -> Told:
        common = ["--direct=1", "--bs=1M", "--ioengine=libaio", "--iodepth=4", f"--size={size}", "--end_fsync=1"]
        written = dst.with_name("fio")
        jobs = ["--name=in", "--rw=read", f"--filename={src}", "--name=out", "--rw=write", f"--filename={written}"]
        try:
            done = subprocess.run(
                [program or "fio", "--output-format=json", *common, *jobs], check=True, capture_output=True, text=True
            )
        finally:
            written.unlink(missing_ok=True)
        reading, writing = json.loads(done.stdout)["jobs"]
        return Told(seconds=size / min(reading["read"]["bw_bytes"], writing["write"]["bw_bytes"]))

    return Way(name="fio, each way", copy=copy, kind="limit", missing=None if program else "fio is not on the PATH")
