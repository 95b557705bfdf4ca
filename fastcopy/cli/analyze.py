"""`fastcopy analyze [PATH]`: what this machine and this place can do."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .display import amount
from .parsing import Parser
from .place import Place, place_parser, run_at
from .voice import Voice

if TYPE_CHECKING:
    from ..transfer_door import Capabilities

PROG = "fastcopy analyze"


def parser() -> Parser:
    return place_parser(
        PROG,
        "Say what there is: CPUs, memory, the filesystem and the device of PATH (default: here), and which engine can "
        "run there, and why the others cannot. Of a file also its holes, and how much of it is in memory. Nothing is "
        "written and nothing is measured; `fastcopy bench` measures.",
        "print one JSON object",
    )


def run(arguments: argparse.Namespace) -> int:
    return run_at(PROG, arguments, _find, _say)


def _find(place: Place) -> tuple[Capabilities, dict[str, int] | None]:
    from ..transfer_door import capabilities

    file = _of_file(place.path) if stat.S_ISREG(os.stat(place.path).st_mode) else None
    return capabilities(place.directory), file


def _say(voice: Voice, place: Place, found: tuple[Capabilities, dict[str, int] | None]) -> None:
    can, file = found
    voice.event(
        "analysis", **_facts(place), engines={e: {"can": c.can, "why": c.why} for e, c in can.items()}, file=file
    )
    for line in _text(place, file):
        voice.line(line)
    voice.line("engines:")
    for line in str(can).splitlines():
        voice.line(f"  {line}")


def _facts(place: Place) -> dict[str, Any]:
    mount = place.mount
    return {
        "path": place.path,
        "kernel": place.kernel,
        "processor": place.cpu,
        "cpus": place.cpus,
        "cpus_of_machine": place.cpus_of_machine,
        "cpu_quota": place.cpu_quota,
        "memory": place.memory,
        "memory_available": place.memory_available,
        "memory_limit": place.memory_limit,
        "filesystem": mount.type if mount else None,
        "source": mount.source if mount else None,
        "mounted_at": mount.point if mount else None,
        "mount_options": mount.options if mount else None,
        "size": place.size,
        "free": place.free,
        "device": place.device,
        "rotational": {"0": False, "1": True}.get(place.setting("rotational") or ""),
    }


def _of_file(path: str) -> dict[str, int]:
    """Its length, its holes, and what of it is in memory (-1: the kernel does not say)."""
    from ..transfer_door import plan

    facts = plan(path, f"{path}.fastcopy-analyze").facts
    size = os.stat(path).st_size
    holes = list(_holes(path, size))
    return {
        "size": size,
        "holes": len(holes),
        "hole_bytes": sum(end - start for start, end in holes),
        "resident": facts["resident"],
    }


def _holes(path: str, size: int) -> Iterator[tuple[int, int]]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = 0
        while at < size:
            start = os.lseek(fd, at, os.SEEK_HOLE)
            if start >= size:
                return
            try:
                at = os.lseek(fd, start, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole is left
                at = size
            yield start, at
    finally:
        os.close(fd)


def _text(place: Place, file: dict[str, int] | None) -> Iterator[str]:
    quota = "" if place.cpu_quota is None else f", and the control group allows {place.cpu_quota:g}"
    yield f"CPU:        {place.cpu}, {place.cpus} of {place.cpus_of_machine} for this process{quota}"
    limit = "" if place.memory_limit is None else f", and the control group allows {amount(place.memory_limit)}"
    yield f"memory:     {amount(place.memory)}, {amount(place.memory_available)} available{limit}"
    yield f"kernel:     {place.kernel}"
    if place.mount is not None:
        m = place.mount
        yield f"filesystem: {m.type} on {m.source}, mounted at {m.point} ({m.options})"
    yield f"room:       {amount(place.free)} free of {amount(place.size)}"
    if place.device is not None:
        spins = {"0": "does not spin", "1": "says that it spins"}.get(
            place.setting("rotational") or "", "of unknown kind"
        )
        settings = f"scheduler {place.setting('scheduler')}, read-ahead {place.setting('read_ahead_kb')} KiB"
        yield f"device:     {place.device}, {spins}, {settings}"
    if file is not None:
        yield f"file:       {amount(file['size'])}, {file['holes']} holes of {amount(file['hole_bytes'])} in all"
        if file["resident"] >= 0:
            yield f"in memory:  {amount(min(file['resident'], file['size']))} of it"
        else:
            yield "in memory:  this kernel does not say"
