"""`fastcopy tuning [PATH]`: settings that matter for local copies here, each with its reason. It changes nothing."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .display import amount
from .parsing import Parser
from .place import Place, place_parser, run_at
from .voice import Voice

PROG = "fastcopy tuning"


@dataclass(frozen=True)
class Advice:
    """One setting that would better be another."""

    setting: str
    current: str
    recommended: str
    command: str
    reason: str


def parser() -> Parser:
    return place_parser(
        PROG,
        "Advise on settings of this machine that matter for local copies at PATH (default: here): the value that is, "
        "the value that would be better, the command, and the reason. What would not matter here is not mentioned. "
        "Nothing is changed; measure with `fastcopy bench` before and after.",
        "print one JSON object a line",
    )


def run(arguments: argparse.Namespace) -> int:
    return run_at(PROG, arguments, lambda place: list(advice(place)), _say)


def _say(voice: Voice, place: Place, found: list[Advice]) -> None:
    for one in found:
        voice.event("advice", **asdict(one))
        voice.line(f"{one.setting}: {one.current} -> {one.recommended}\n  {one.command}\n  {one.reason}\n")
    if not found:
        voice.line("nothing: no setting that is known to matter for local copies is amiss here")


def advice(place: Place, proc: Path = Path("/proc")) -> Iterator[Advice]:
    """What is amiss, the weightiest first."""
    for check in _CHECKS:
        found = check(place, proc)
        if found is not None:
            yield found


def _environment(place: Place, proc: Path) -> Advice | None:
    for word in ("FASTCOPY_ENGINE", "FASTCOPY_WORKERS", "FASTCOPY_NO_ZERO_COPY"):
        if os.environ.get(word):
            return Advice(
                word,
                os.environ[word],
                "unset",
                f"unset {word}",
                "it takes a choice from fastcopy that depends on the file; it is meant for trying something out",
            )
    return None


def _room(place: Place, proc: Path) -> Advice | None:
    if place.size == 0 or place.free >= place.size // 20:
        return None
    return Advice(
        "free space",
        f"{place.free / place.size:.0%}",
        "5% and more",
        f"du -xh --max-depth=1 {place.mount.point if place.mount else place.directory} | sort -h",
        "on a filesystem that is nearly full, free blocks lie scattered, and finding and writing them is slower",
    )


def _synchronous(place: Place, proc: Path) -> Advice | None:
    if place.mount is None or "sync" not in place.mount.options.split(","):
        return None
    return Advice(
        f"mount of {place.mount.point}",
        "sync",
        "async",
        f"mount -o remount,async {place.mount.point}",
        "every write waits for the medium; --sync=data or --sync=full waits once a file, where that is wanted",
    )


def _read_ahead(place: Place, proc: Path) -> Advice | None:
    current, rotational = place.setting("read_ahead_kb"), place.setting("rotational")
    if current is None or rotational != "1" or int(current) >= 1024:
        return None
    return Advice(
        f"read_ahead_kb of {place.device}",
        current,
        "4096",
        f"echo 4096 > /sys/block/{place.device}/queue/read_ahead_kb",
        "several workers read one file that is not in memory at several places; longer read-ahead means fewer seeks of "
        "a disk that spins. If it is virtual and does not, this does not matter",
    )


def _scheduler(place: Place, proc: Path) -> Advice | None:
    text = place.setting("scheduler") or ""
    current = text[text.find("[") + 1 : text.find("]")] if "[" in text else ""
    if not (place.device or "").startswith("nvme") or current in ("", "none") or "none" not in text:
        return None
    return Advice(
        f"scheduler of {place.device}",
        current,
        "none",
        f"echo none > /sys/block/{place.device}/queue/scheduler",
        "an NVMe device orders its requests itself, and sorting them before costs CPU time that copies need",
    )


def _dirty(place: Place, proc: Path) -> Advice | None:
    ratio = (proc / "sys/vm/dirty_ratio").read_text(encoding="ascii").strip()
    limit = int(ratio) * place.memory_available // 100
    if place.device is None or int(ratio) == 0 or limit < 16 << 30:
        return None
    return Advice(
        "vm.dirty_bytes",
        f"{ratio}% of memory, {amount(limit)}",
        f"{4 << 30}",
        f"sysctl -w vm.dirty_bytes={4 << 30} vm.dirty_background_bytes={1 << 30}",
        "so much may wait in memory to be written that a sync, or anybody's fsync, after a large copy takes minutes",
    )


_CHECKS: tuple[Callable[[Place, Path], Advice | None], ...] = (
    _environment,
    _synchronous,
    _room,
    _read_ahead,
    _scheduler,
    _dirty,
)
