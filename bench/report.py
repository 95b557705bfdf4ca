"""From the document of a run: a page of tables, the pictures, and the figures of the README. Nothing else is needed.

usage: python report.py RESULTS.json [FOLDER] [--readme FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastcopy.measure import plots
from fastcopy.measure.tables import duration, markdown, times

Document = Mapping[str, Any]

PICTURES = {
    "throughput-new.png": "Throughput over the size of a new file",
    "throughput-over.png": "Throughput over the size of an existing file",
    "ratio.png": "Against the fastest other way",
    "limit.png": "How much of what the machine can do",
    "curve.png": "A file of a tree, over the number of its files",
}

# The lines of the throughput pictures: all of them would hide one another.
DRAWN = {"fastcopy", "fastcopy.copyfile", "shutil.copyfile", "os.copy_file_range", "cp", "rsync -aW", "xcp", "direct"}

# Beside verified copies, to show what the proof costs.
UNVERIFIED = {"fastcopy, not verified", "fastcopy, hash=xxh3_128"}

# The rows of the README, where they were measured.
IN_README = (
    "large-ext4",
    "large-xfs-noreflink",
    "large-tmpfs",
    "over-4KiB-*",
    "small-tmpfs",
    "tree-tmpfs",
    "tree-ext4",
    "mixed-*",
    "one-1GB",
    "cold-1GiB",
)
BEGIN, END = "<!-- figures: `make bench-publish` writes them -->\n", "<!-- end of the figures -->\n"


def write(document: Document, folder: Path) -> None:
    """results.md and the pictures."""
    scenarios = document["scenarios"]
    (folder / "results.md").write_text(page(document), encoding="utf-8")
    for name, kind in (("throughput-new.png", "size-new-"), ("throughput-over.png", "size-over-")):
        plots.throughput([s for s in scenarios if s["name"].startswith(kind)], folder / name, PICTURES[name], drawn)
    plots.a_file(_curve(document), folder / "curve.png", PICTURES["curve.png"])
    plots.ratios(scenarios, folder / "ratio.png", PICTURES["ratio.png"], by_default)
    plots.of_limit(scenarios, folder / "limit.png", PICTURES["limit.png"])


def page(document: Document) -> str:
    machine = document["machine"]
    virtual = ", a virtual machine" if machine["hypervisor"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# The benchmark, as it ran",
        "",
        f"{machine['date']}: {machine['processor']}, {machine['cpus']} CPUs{virtual}, "
        f"{machine['memory'] / 2**30:.0f} GiB, {machine['kernel']}; {versions}; load at the end {machine['load']}.",
        "",
        "Medians of interleaved rounds; ratios against the fastest other way, with the interval that holds the true",
        "one 19 times of 20. [How to repeat it](../../docs/benchmark.md).",
        "",
        *(f"![{title}]({name})\n" for name, title in PICTURES.items()),
    ]
    if curve := _curve(document):
        lines += ["## Over the number of files", "", curve_table(curve), ""]
    for s in document["scenarios"]:
        lines += [f"## {s['name']}", "", f"{s['title']}. {_where(s)}", "", markdown(s), ""]
    return "\n".join(lines)


def _curve(document: Document) -> list[Mapping[str, Any]]:
    """The cells that differ in the number of files alone."""
    return [s for s in document["scenarios"] if s["name"].startswith("curve-") and s["problem"] is None]


def curve_table(cells: list[Mapping[str, Any]]) -> str:
    """What one file costs in a tree of so many, and the memory that the copy of the tree added."""
    lines = ["| files | way | median | a file | memory |", "|---|---|---|---|---|"]
    for s in cells:
        for row in s["rows"]:
            if row["problem"] is None:
                memory = "" if row["peak_memory"] is None else f"{row['peak_memory'] / 2**20:.1f} MiB"
                a_file = duration(row["median"] / s["files"])
                lines.append(f"| {s['files']:,} | {row['way']} | {duration(row['median'])} | {a_file} | {memory} |")
    return "\n".join(lines)


def _where(s: Mapping[str, Any]) -> str:
    if s["problem"] is not None:
        return ""
    place = s["filesystem"]
    return f"{place['type']} on {place['source']} ({place['options']}); {s['rounds']} rounds."


def drawn(row: Mapping[str, Any]) -> bool:
    return row["way"] in DRAWN


def by_default(row: Mapping[str, Any]) -> bool:
    """What users get without naming an engine; but where copies are verified, not those of ours that are not."""
    return bool(row["way"].startswith("fastcopy")) and row["way"] not in UNVERIFIED


def is_fault(row: Mapping[str, Any]) -> bool:
    return row["problem"] is not None and row["problem"]["kind"] in ("failed", "wrong", "path")


# ---- the README ------------------------------------------------------------------------------------------


def readme_table(document: Document) -> str:
    """Of each headline: our fastest default way, and the fastest other."""
    lines = ["| copy | fastcopy | the fastest other way | times as fast |", "|---|---|---|---|"]
    for s in document["scenarios"]:
        ours = [row for row in s["rows"] if row["problem"] is None and row["kind"] == "ours" and by_default(row)]
        if s["problem"] is not None or s["baseline"] is None or not ours or not _is_headline(s["name"]):
            continue
        best = min(ours, key=lambda row: row["median"])
        other = next(row for row in s["rows"] if row["way"] == s["baseline"])
        lines.append(
            f"| {s['title']} | {duration(best['median'])} | `{other['way']}`, {duration(other['median'])} "
            f"| {times(best['ratio'])} |"
        )
    return "\n".join(lines) + "\n"


def _is_headline(name: str) -> bool:
    return any(re.fullmatch(pattern.replace("*", ".*"), name) for pattern in IN_README)


def into_readme(document: Document, readme: Path) -> None:
    """Put picture and table between the two marks."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the figures: {BEGIN.strip()} ... {END.strip()}")
    picture = "![Throughput over the size of a new file](bench/results/throughput-new.png)\n"
    readme.write_text(f"{before}{BEGIN}\n{picture}\n{readme_table(document)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", nargs="?", type=Path, help="by default where the results are")
    parser.add_argument("--readme", type=Path)
    asked = parser.parse_args()
    document = json.loads(asked.results.read_text(encoding="utf-8"))
    write(document, asked.folder or asked.results.parent)
    if asked.readme is not None:
        into_readme(document, asked.readme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
