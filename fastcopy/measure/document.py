"""A run as one JSON document: what `fastcopy bench --json` prints and `make bench` keeps. bench/schema.json says how.

Tables and pictures are made from the document alone, so that whoever has it can make them again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .kernel import Result, Row
from .machine import describe, filesystem_of

__all__ = ["FORMAT", "VERSION", "document", "scenario", "skipped"]

FORMAT = "fastcopy benchmark"
VERSION = 1


def document(scenarios: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole run."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "machine": describe(),
        "scenarios": list(scenarios),
    }


def scenario(
    name: str, result: Result, directory: Path, verify: str = "none", title: str | None = None
) -> dict[str, Any]:
    """One cell of the benchmark: one thing copied in several ways."""
    title = title or _title(result)
    if result.rounds == 0 and not any(row.problem is not None and row.problem.is_fault for row in result.rows):
        return skipped(name, title, "not one round was finished in its time")
    return {
        "name": name,
        "title": title,
        "filesystem": filesystem_of(directory),
        "bytes": result.workload.bytes,
        "files": result.workload.files,
        "cache": result.cache,
        "existing": result.existing,
        "sync": result.sync,
        "verify": verify,
        "rounds": result.rounds,
        "baseline": result.baseline,
        "problem": None,
        "rows": [_row(row, result) for row in result.rows],
    }


def skipped(name: str, title: str, why: str) -> dict[str, Any]:
    """A cell that was not measured, and why."""
    return {"name": name, "title": title, "problem": why, "rows": []}


def _title(result: Result) -> str:
    words = [
        result.workload.title,
        result.cache,
        "over an existing destination" if result.existing else "to a new destination",
        *(["with fsync"] if result.sync else []),
    ]
    return ", ".join(words)


def _row(row: Row, result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"way": row.way, "kind": row.kind, "problem": None}
    if row.problem is not None:
        return told | {"problem": {"kind": row.problem.kind, "text": row.problem.text}}
    return told | {
        "median": row.median,
        "minimum": row.minimum,
        "seconds": list(row.seconds),
        "sync_seconds": list(row.sync_seconds),
        "rate": result.workload.bytes / row.median if row.median > 0 else None,
        "ratio": None if row.ratio is None else row.ratio._asdict(),
        "of_limit": _share_of_limit(row, result.limit),
        "cpu_seconds": _middle(row.cpu_seconds),
        "context_switches": _middle(row.context_switches),
        "peak_memory": row.peak_memory,
        "path": None if row.path is None else dict(row.path),
        "shares_extents": row.shares_extents,
    }


def _share_of_limit(row: Row, limit: Row | None) -> float | None:
    if limit is None or row.median <= 0:
        return None
    share = limit.median / row.median
    # What bounds the moving of bytes does not bound a clone, which moves none.
    return None if row.shares_extents and share > 1 else share


def _middle(values: Sequence[float]) -> float:
    return median(values)
