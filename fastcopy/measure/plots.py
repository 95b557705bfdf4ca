"""Pictures of a document, readable in black and white: ways differ in marker and dash, not in colour alone.

The suffix of the file decides what is written: .png, .svg, .pdf. Needs matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

__all__ = ["a_file", "of_limit", "ratios", "throughput"]

Document = Mapping[str, Any]
Scenario = Mapping[str, Any]
Row = Mapping[str, Any]

_STYLES = tuple(
    (marker, dashes, shade)
    for shade in ("black", "0.45")
    for marker, dashes in (
        ("o", "-"),
        ("s", "--"),
        ("^", "-."),
        ("D", ":"),
        ("v", "-"),
        ("P", "--"),
        ("X", "-."),
        ("*", ":"),
    )
)
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oo")
_MIB = 1 << 20


def throughput(scenarios: Sequence[Scenario], file: Path, title: str, wanted: Callable[[Row], bool] = bool) -> None:
    """Bytes a second over the size of the file, a line a way, and one for the limit: the fastest one at each size.

    A clone moves no bytes, so it has no rate and no line.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    limit: list[tuple[int, float]] = []
    for scenario in sorted(_measured(scenarios), key=lambda scenario: scenario["bytes"]):
        moved = [
            row for row in scenario["rows"] if row["problem"] is None and row["rate"] and not row["shares_extents"]
        ]
        limit += sorted((scenario["bytes"], row["rate"] / 1e9) for row in moved if row["kind"] == "limit")[-1:]
        for row in moved:
            if row["kind"] != "limit" and wanted(row):
                lines.setdefault(row["way"], []).append((scenario["bytes"], row["rate"] / 1e9))
    figure, axes = _figure(title)
    if limit:
        axes.plot(*zip(*limit, strict=True), color="0.8", linewidth=4, label="limit of the machine")
    for (way, points), (marker, dashes, shade) in zip(lines.items(), cycle(_STYLES)):
        line = {"marker": marker, "linestyle": dashes, "color": shade, "label": way}
        axes.plot(*zip(*points, strict=True), **line, markerfacecolor="white")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(_size_tick)
    axes.set_xlabel("size of the file")
    axes.set_ylabel("GB/s")
    if lines or limit:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
    _save(figure, file)


def a_file(scenarios: Sequence[Scenario], file: Path, title: str) -> None:
    """Microseconds a file over the number of files, and the memory that a copy added: level lines, if all is well."""
    lines: dict[str, list[tuple[int, float, float | None]]] = {}
    for scenario in sorted(_measured(scenarios), key=lambda scenario: scenario["files"]):
        for row in scenario["rows"]:
            if row["problem"] is None:
                memory = None if row["peak_memory"] is None else row["peak_memory"] / _MIB
                point = (scenario["files"], row["median"] / scenario["files"] * 1e6, memory)
                lines.setdefault(row["way"], []).append(point)
    figure, (above, below) = _figure(title, panels=2)
    for (way, points), (marker, dashes, shade) in zip(lines.items(), cycle(_STYLES)):
        line = {"marker": marker, "linestyle": dashes, "color": shade, "label": way, "markerfacecolor": "white"}
        above.plot([files for files, _, _ in points], [taken for _, taken, _ in points], **line)
        told = [(files, memory) for files, _, memory in points if memory is not None]
        below.plot([files for files, _ in told], [memory for _, memory in told], **line)
    for axes, label in ((above, "microseconds a file"), (below, "MiB of memory")):
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(label)
    below.set_xlabel("files")
    if lines:
        above.legend(loc="best", fontsize="small")
    _save(figure, file)


def ratios(scenarios: Sequence[Scenario], file: Path, title: str, wanted: Callable[[Row], bool]) -> None:
    """How many times as fast as the baseline, with the interval: the fastest of our ways that are wanted."""
    bars: list[tuple[str, Mapping[str, float]]] = []
    for scenario in _measured(scenarios):
        ours = [
            row
            for row in scenario["rows"]
            if row["kind"] == "ours" and row["problem"] is None and row["ratio"] is not None and wanted(row)
        ]
        if ours:
            best = max(ours, key=lambda row: row["ratio"]["value"])
            bars.append((f"{scenario['title']}: {best['way']}", best["ratio"]))
    figure, axes = _figure(title, rows=len(bars))
    for at, (label, ratio) in enumerate(reversed(bars)):
        reach = [[ratio["value"] - ratio["low"]], [ratio["high"] - ratio["value"]]]
        axes.errorbar(ratio["value"], at, xerr=_not_negative(reach), fmt="o", color="black", capsize=3, markersize=4)
        axes.annotate(
            label,
            (0, at),
            (-6, 0),
            ("axes fraction", "data"),
            "offset points",
            ha="right",
            va="center",
            fontsize="x-small",
        )
    axes.axvline(1, color="0.45", linestyle="--")
    axes.set_yticks([])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(_times_tick)
    axes.set_xlabel("times as fast as the fastest other way, 95 % interval")
    _save(figure, file)


def of_limit(scenarios: Sequence[Scenario], file: Path, title: str) -> None:
    """The share of what the machine can do, which was measured in the same run: the best of ours and the best peer."""
    cells = [scenario for scenario in _measured(scenarios) if _best(scenario, "ours") is not None]
    figure, axes = _figure(title, rows=len(cells))
    for number, (kind, label) in enumerate((("peer", "fastest other way"), ("ours", "fastcopy, its fastest way"))):
        shares = [_best(scenario, kind) or 0.0 for scenario in reversed(cells)]
        places = [at + 0.38 * number for at in range(len(cells))]
        axes.barh(places, shares, height=0.36, color="white", edgecolor="black", hatch=_HATCHES[number], label=label)
    axes.set_yticks(
        [at + 0.19 for at in range(len(cells))], [scenario["title"] for scenario in reversed(cells)], fontsize="x-small"
    )
    axes.xaxis.set_major_formatter(_share_tick)
    axes.set_xlabel("of the limit that was measured in the same run")
    if cells:
        axes.legend(loc="lower right", fontsize="small")
    _save(figure, file)


def _measured(scenarios: Sequence[Scenario]) -> list[Scenario]:
    return [scenario for scenario in scenarios if scenario["problem"] is None]


def _best(scenario: Scenario, kind: str) -> float | None:
    shares = [
        row["of_limit"]
        for row in scenario["rows"]
        if row["kind"] == kind and row["problem"] is None and row["of_limit"] is not None
    ]
    return max(shares, default=None)


def _not_negative(reach: list[list[float]]) -> list[list[float]]:
    return [[max(0.0, value) for value in side] for side in reach]


def _times_tick(value: float, _: int) -> str:
    return f"{value:g} x"


def _share_tick(share: float, _: int) -> str:
    return f"{share:.0%}"


def _size_tick(size: float, _: int) -> str:
    for unit, name in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return f"{size:g}"


def _figure(title: str, rows: int = 0, panels: int = 1) -> tuple[Any, Any]:
    # Without pyplot: no window, no state between pictures.
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11 if rows > 20 else 8, max(4.5, 0.2 * rows + 1.5)), layout="constrained")
    axes: Any = figure.subplots(panels, sharex=True)
    for panel in figure.axes:
        panel.grid(True, color="0.85", linewidth=0.6)
        panel.set_axisbelow(True)
    figure.axes[0].set_title(title, fontsize="medium")
    return figure, axes


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=150)
