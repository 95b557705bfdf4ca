"""A `Report` in words, and as the fields of a result event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .display import amount

if TYPE_CHECKING:
    from ..transfer_door import Report

__all__ = ["result_event", "result_words"]

_FIELDS = (
    *("bytes", "written", "elapsed", "engine", "reason", "fallbacks", "workers", "hash", "digest", "digest_of"),
    *("verify", "verified", "files", "directories", "symlinks", "links", "special", "shared", "holes", "skipped"),
    *("excluded", "error_count"),
)


def result_event(report: Report) -> dict[str, Any]:
    """What a report says that a program may want to know."""
    return {
        "kind": "directory" if report.reason == "tree" else "file",
        **{field: getattr(report, field) for field in _FIELDS},
        "warnings": list(report.warnings),
    }


def result_words(report: Report, dry_run: bool = False) -> str:
    """For a person.

    What is zero is not said.
    """
    if report.reason != "tree":
        parts = [amount(report.bytes), report.engine]
    else:
        counts = {
            "file": report.files,
            "directory": report.directories,
            "symlink": report.symlinks,
            "hard link": report.links,
            "special file": report.special,
        }
        parts = [_count(number, what) for what, number in counts.items() if number]
        parts += [amount(report.bytes)]
        parts += [f"{report.skipped} left alone"] if report.skipped else []
        parts += [f"{report.excluded} left out"] if report.excluded else []
    parts += ["verified"] if report.verified else []
    return ", ".join(parts) if dry_run else f"{', '.join(parts)}, {report.elapsed:.2f} s"


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("y") else f"{number} {what}s"
