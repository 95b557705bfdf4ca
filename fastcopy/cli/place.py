"""What can be read about this machine and one place on it. Nothing here writes, and nothing is measured.

And how the commands begin that say it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..calibration import processor
from ..mounts import Mount, mount_of
from .parsing import Parser
from .voice import Voice
from .words import name

__all__ = ["Place", "look", "place_parser", "run_at"]

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A path, the filesystem that it is on, and the machine."""

    path: str
    directory: str  # the path, or the one that holds it
    cpu: str
    cpus: int  # that this process may use
    cpus_of_machine: int
    cpu_quota: float | None  # CPUs that the control group allows
    memory: int
    memory_available: int
    memory_limit: int | None  # of the control group
    kernel: str
    mount: Mount | None
    free: int
    size: int
    queue: Path | None  # /sys/.../queue of the device behind it
    device: str | None

    def setting(self, word: str) -> str | None:
        """A setting of the device's queue; None where there is none."""
        return None if self.queue is None else _line(self.queue / word)


def look(path: str, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> Place:
    """Raises OSError if the path is not there."""
    status = os.stat(path)
    directory = path if os.path.isdir(path) else os.path.dirname(path) or "."
    room = os.statvfs(directory)
    quota, limit = _control_group(sys / "fs/cgroup")
    queue = _queue(sys, status.st_dev)
    return Place(
        path=path,
        directory=directory,
        cpu=processor(),
        cpus=len(os.sched_getaffinity(0)),
        cpus_of_machine=os.cpu_count() or 1,
        cpu_quota=quota,
        memory=_memory(proc, "MemTotal"),
        memory_available=_memory(proc, "MemAvailable"),
        memory_limit=limit,
        kernel=os.uname().release,
        mount=mount_of(os.path.realpath(directory)),
        free=room.f_bavail * room.f_frsize,
        size=room.f_blocks * room.f_frsize,
        queue=queue,
        device=None if queue is None else queue.parent.name,
    )


def place_parser(prog: str, description: str, json: str) -> Parser:
    made = Parser(prog, "[PATH]", description)
    made.add_argument("path", metavar="PATH", nargs="?", default=".", help=argparse.SUPPRESS)
    made.add_argument("--json", action="store_true", help=json)
    return made


def run_at(
    prog: str, arguments: argparse.Namespace, find: Callable[[Place], T], say: Callable[[Voice, Place, T], None]
) -> int:
    """Look, `find` more, `say` what was found: the exit status."""
    voice = Voice(prog, as_json=arguments.json)
    try:
        place = look(arguments.path)
        found = find(place)
    except OSError as error:
        voice.fail_with(f"cannot look at {name(arguments.path)}", error, arguments.path)
    else:
        say(voice, place, found)
    return voice.status


def _line(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # not every kernel has every setting, nor may everybody read it
        return None


def _memory(proc: Path, word: str) -> int:
    text = (proc / "meminfo").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{word}:"))


def _queue(sys: Path, device: int) -> Path | None:
    at = sys / f"dev/block/{os.major(device)}:{os.minor(device)}"
    if not at.exists():
        return None
    folder = at.resolve()
    return next((disk / "queue" for disk in (folder, folder.parent) if (disk / "queue").is_dir()), None)


def _control_group(root: Path) -> tuple[float | None, int | None]:
    """As the root of what this process sees has it: a container's own limits are there."""
    quota, limit = _line(root / "cpu.max"), _line(root / "memory.max")
    cpus = None
    if quota and not quota.startswith("max"):
        allowed, period = map(int, quota.split())
        cpus = allowed / period
    return cpus, int(limit) if limit and limit.isdecimal() else None
