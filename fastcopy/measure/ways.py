"""The ways that are there without installing anything: fastcopy's own, and shutil's. And a command as a way."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import copyfile as our_copyfile
from .. import engines, transfer
from .kernel import Told, Way

__all__ = ["auto", "by_engine", "command", "copyfile", "every_engine", "shutil_copyfile"]


def by_engine(engine: str, name: str | None = None, **options: Any) -> Way:
    """`fastcopy.transfer` with one engine. Its report must say that this engine did it, and it alone."""
    claim: dict[str, Any] = {"engine": engine, "reason": "engine_named"}
    if "workers" in options:
        claim["workers"] = options["workers"]

    def copy(src: Path, dst: Path) -> object:
        return transfer(src, dst, engine=engine, **options)

    return Way(name=name or engine, copy=copy, kind="ours", claim=claim)


def every_engine(**options: Any) -> tuple[Way, ...]:
    return tuple(by_engine(engine, **options) for engine in engines())


def auto(name: str = "fastcopy", **options: Any) -> Way:
    """`fastcopy.transfer`, which chooses by itself: its report says what."""

    def copy(src: Path, dst: Path) -> object:
        return transfer(src, dst, **options)

    return Way(name=name, copy=copy, kind="ours")


def copyfile() -> Way:
    """`fastcopy.copyfile`, which has shutil's contract and returns no report."""
    return Way(name="fastcopy.copyfile", copy=our_copyfile, kind="ours")


def shutil_copyfile() -> Way:
    return Way(name="shutil.copyfile", copy=shutil.copyfile)


def command(name: str, words: Callable[[Path, Path], Sequence[str | Path]], tool: str | None = None) -> Way:
    """A command. Its time includes its start, for whoever uses it waits for that too."""
    program = tool or name.split()[0]
    at = shutil.which(program)

    def copy(src: Path, dst: Path) -> Told:
        _, *rest = words(src, dst)
        return Told(peak_memory=run([at or program, *rest]))

    return Way(name=name, copy=copy, missing=None if at else f"{program} is not on the PATH")


def run(words: Sequence[str | Path]) -> int | None:
    """Run it to its end; its peak memory, if that can be told: the kernel counts ours in until the program is loaded,
    so nothing below our own peak can.

    What it says on stderr becomes the error when it fails.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: it got that too, or is to
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing was said"]
            raise RuntimeError(f"exit status {process.returncode}: {last[0]}")
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * 1024 if usage.ru_maxrss > ours else None
