"""What the machine is: a figure without this is a rumour."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import calibration
from ..mounts import mount_of

__all__ = ["describe", "filesystem_of", "memory"]


def describe() -> dict[str, Any]:
    """Kernel, processor, memory, versions, and how busy it is now."""
    return {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": calibration.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": memory("MemTotal"),
        "memory_available": memory("MemAvailable"),
        "load": round(os.getloadavg()[0], 2),
        "hypervisor": "hypervisor" in _cpu_flags(),
        "root": os.geteuid() == 0,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {
            "fastcopy": version("fastcopy-io"),
            "python": platform.python_version(),
            "numpy": version("numpy"),
        },
    }


def filesystem_of(directory: Path) -> dict[str, Any]:
    """Where the copies lie."""
    mount = mount_of(os.path.realpath(directory))
    if mount is None:
        return {"type": "unknown", "source": "unknown", "options": "", "device": None, "calibrated": False}
    entries = calibration.present(calibration.read(calibration.file()))
    return {
        "type": mount.type,
        "source": mount.source,
        "options": mount.options,
        "device": _device(os.stat(directory).st_dev),
        "calibrated": os.stat(directory).st_dev in {device for device, _ in entries},
    }


def memory(name: str) -> int:
    """A row of /proc/meminfo, in bytes."""
    with open("/proc/meminfo", encoding="ascii") as table:
        return next(int(line.split()[1]) * 1024 for line in table if line.startswith(f"{name}:"))


def _cpu_flags() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as listing:
        return next((line for line in listing.read(8192).splitlines() if line.startswith("flags")), "")


def _device(number: int) -> str | None:
    """The block device behind it, and what it calls itself; None where there is none."""
    at = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not at.exists():
        return None
    folder = at.resolve()
    disk = folder if (folder / "queue").is_dir() else folder.parent
    model = disk / "device" / "model"
    backing = disk / "loop" / "backing_file"
    words = [folder.name, *(file.read_text(encoding="utf-8").strip() for file in (model, backing) if file.is_file())]
    return " ".join(words)
