"""A scenario of the document as a table: for a terminal, or in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import floor, log10
from typing import Any

__all__ = ["duration", "markdown", "terminal", "times"]

Row = Mapping[str, Any]


def terminal(scenario: Mapping[str, Any]) -> str:
    """Columns aligned with blanks; the fastest first."""
    return _render(scenario, _aligned)


def markdown(scenario: Mapping[str, Any]) -> str:
    return _render(scenario, _piped)


def _render(scenario: Mapping[str, Any], lay_out: Callable[[Sequence[Sequence[str]]], str]) -> str:
    if scenario["problem"] is not None:
        return f"not measured: {scenario['problem']}"
    rows = sorted(scenario["rows"], key=lambda row: (row["problem"] is not None, row.get("median", 0)))
    against = f"against {scenario['baseline']}" if scenario["baseline"] else "ratio"
    files = scenario["files"]
    a_file = ["a file"] if files > 1 else []
    head = ["way", "median", "fastest", *a_file, "rate", against, "of the limit", "CPU", "memory", "path"]
    body = [_cells(row, files) for row in rows if row["problem"] is None]
    absent = [[row["way"], *_absence(row["problem"])] for row in rows if row["problem"] is not None]
    return lay_out([head, *body, *absent])


def _cells(row: Row, files: int) -> list[str]:
    ratio = row["ratio"]
    against = "" if ratio is None else times(ratio)
    return [
        row["way"],
        duration(row["median"]),
        duration(row["minimum"]),
        *([duration(row["median"] / files)] if files > 1 else []),
        "" if not row["rate"] or row["shares_extents"] else _rate(row["rate"]),
        against,
        "" if row["of_limit"] is None else f"{row['of_limit']:.0%}",
        duration(row["cpu_seconds"]),
        "" if row["peak_memory"] is None else f"{row['peak_memory'] / 2**20:.1f} MiB",
        _path(row),
    ]


def times(ratio: Mapping[str, float]) -> str:
    """With its interval.

    >>> times({"value": 1.873, "low": 1.8, "high": 1.95}), times({"value": 0.0012, "low": 0.001, "high": 0.002})
    ('1.87 x (1.80 to 1.95)', '0.0012 x (0.0010 to 0.0020)')
    """
    value, low, high = (ratio[name] for name in ("value", "low", "high"))
    places = 2 if value >= 0.1 or value <= 0 else 1 - floor(log10(value))
    return f"{value:.{places}f} x ({low:.{places}f} to {high:.{places}f})"


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e8 else f"{rate / 1e6:.3g} MB/s"


def _path(row: Row) -> str:
    path = row["path"]
    if path is None or "engine" not in path:
        return "shares blocks" if row["shares_extents"] else ""
    workers = f", {path['workers']} workers" if path["workers"] > 1 else ""
    return f"{path['engine']}{workers}"


def _absence(problem: Mapping[str, str]) -> list[str]:
    words = {"missing": "not here", "refused": "cannot run here", "time": "not measured"}
    return [f"{words.get(problem['kind'], problem['kind'].upper())}: {problem['text']}"]


def duration(seconds: float) -> str:
    """For people.

    >>> duration(0.25), duration(3.2), duration(15e-6)
    ('250 ms', '3.2 s', '15 us')
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.3g} us"


def _aligned(table: Sequence[Sequence[str]]) -> str:
    """The first and the last column to the left, numbers to the right; a row of two cells runs over."""
    full = [row for row in table if len(row) > 2]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    widths[0] = max(len(row[0]) for row in table)
    return "\n".join(_line(row, widths) for row in table)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    if len(row) == 2:
        return f"{row[0]:<{widths[0]}}  {row[1]}"
    first, *middle, last = row
    cells = [
        f"{first:<{widths[0]}}",
        *(f"{cell:>{width}}" for cell, width in zip(middle, widths[1:-1], strict=True)),
        last,
    ]
    return "  ".join(cells).rstrip()


def _piped(table: Sequence[Sequence[str]]) -> str:
    columns = len(table[0])
    lines = [_pipes(table[0]), _pipes(["---"] * columns)]
    lines += [_pipes([*row, *[""] * (columns - len(row))]) for row in table[1:]]
    return "\n".join(lines)


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
