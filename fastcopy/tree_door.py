"""The transfer door for directories: what a tree's options become, and what its report says."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from . import _core, calibration
from .errors import CopyError, add_note
from .options import refuse_file_options
from .progress import tree_conductor, watched_tree
from .transfer_door import WARNINGS, Plan, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .options import Name, Options

__all__ = ["Entry", "EntryError", "TreeError", "TreePlan"]

log = logging.getLogger("fastcopy")


class Entry(NamedTuple):
    """What became of one entry of a tree; with `dry_run`, what would.

    >>> import fastcopy, os
    >>> os.makedirs("tree/sub")
    >>> _ = fastcopy.transfer("tree", "copied", on_entry=lambda entry: print(entry.outcome, repr(entry.path)))
    made ''
    made 'sub'
    """

    path: str | bytes  # below the root; empty is the root itself
    kind: str  # "file", "directory", "symlink", "special"; "unknown" of what could not be looked at
    outcome: str  # "copied", "cloned", "linked", "made", "entered", "skipped", "failed"
    why: str | None  # of what was skipped: "filter", "size", "special", "exists", "up_to_date"
    size: int  # bytes of what was copied or cloned
    errno: int  # of what failed; the TreeError says more


class EntryError(NamedTuple):
    """What failed about one entry of a tree.

    >>> import errno, fastcopy
    >>> print(fastcopy.EntryError("data/a.bin", "open", errno.EACCES, "source", None, None))
    data/a.bin: open of the source: Permission denied
    """

    path: str | bytes  # below the root; empty is the root itself
    operation: str | None  # the system call that was refused; None: a refusal of ours
    errno: int
    at: str  # "source", "destination" or "both"
    code: str | None  # one of the stable codes, or None: the system's own refusal
    why: str | None  # what the errno does not say

    def __str__(self) -> str:
        of = "" if self.at == "both" else f" of the {self.at}"
        what = f"{self.operation}{of}: " if self.operation else ""
        return f"{os.fsdecode(self.path) or '.'}: {what}{self.why or os.strerror(self.errno)}"


class TreeError(CopyError):
    """Entries of a tree could not be copied; all others were (unless `on_error="stop"`).

    >>> import fastcopy, os
    >>> os.makedirs("tree")
    >>> os.mkfifo("tree/pipe")
    >>> try:
    ...     fastcopy.transfer("tree", "copied", special="fail")
    ... except fastcopy.TreeError as error:
    ...     print(error.error_count, error.errors[0].path, error.report.directories)
    1 pipe 1
    """

    errors: tuple[EntryError, ...] = ()  # the first 1,000
    error_count: int = 0
    report: Report


class TreePlan(Plan):
    """How a directory will be copied: made by `plan()`, carried out by `run()`.

    What is in the directory is found out as it is copied, and each file of it is decided on as `plan()` of a file
    decides: so of the numbers of a plan there are none here, and `facts` is empty. To see what would be done to the
    whole, `dry_run=True`.

    >>> import fastcopy, os
    >>> os.makedirs("tree")
    >>> fastcopy.plan("tree", "copied").run().directories
    1
    """

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Empty: nothing was looked at."""
        return MappingProxyType({})

    def run(self) -> Report:
        """Copy, and report; raise TreeError at the end if anything failed."""
        o = self.options
        watch = tree_conductor(o.progress, o.cancel, self.src, self.dst)
        done = watched_tree(watch, self._run)
        report = _report(self, done)
        if log.isEnabledFor(logging.INFO):
            log.info("%s", performance(report))
        if report.error_count:
            raise _tree_error(report)
        return report

    def explain(self) -> str:
        """What will be done, in words.

        >>> import fastcopy, os
        >>> os.makedirs("tree")
        >>> print(fastcopy.plan("tree", "copied").explain())
        Copy the directory 'tree' to 'copied'. Each file gets its name when it is whole. What is there already is \
replaced. Symlinks are copied as symlinks.
        """
        return " ".join(_sentences(self))

    def _run(self, tick: _core.TreeTick | None) -> dict[str, Any]:
        o = self.options
        patterns = (_bytes(o.exclude), _bytes(o.include))
        return _core.tree(
            self.src,
            self.dst,
            o.to_core(),
            calibration.tuning(),
            tick=tick,
            told=None if o.on_entry is None else _one_by_one(o.on_entry, isinstance(self.src, bytes)),
            existing=o.existing,
            special=o.special,
            order=o.order,
            follow=o.symlinks == "follow",
            links="links" in o.preserve,
            one_filesystem=o.one_filesystem,
            dry_run=o.dry_run,
            stop_on_error=o.on_error == "stop",
            min_size=o.min_size,
            max_size=o.max_size,
            filter=_core.Filter(*patterns) if any(patterns) else None,
        )


def tree_plan(src: Name, dst: Name, options: Options) -> TreePlan:
    """The plan for a directory."""
    refuse_file_options(options)
    made = TreePlan(
        src=src,
        dst=dst,
        options=options,
        choice={},
        size=0,
        engine=options.engine,
        ladder=(),
        reason="tree",
        workers=0,
        workers_reason="tree",
        chunk=0,
        window=0,
        publish="rename" if options.atomic else "in_place",
        _core=cast("_core.Plan", None),  # nothing in it is asked
    )
    if log.isEnabledFor(logging.INFO):
        log.info("%s", _decision(made))
    return made


def _one_by_one(on_entry: Callable[[Entry], object], as_bytes: bool) -> _core.Told:
    def told(entries: list[tuple[bytes, str, str, str | None, int, int]]) -> None:
        for path, kind, outcome, why, size, err in entries:
            on_entry(Entry(path if as_bytes else os.fsdecode(path), kind, outcome, why, size, err))

    return told


def _bytes(patterns: tuple[str | bytes, ...]) -> tuple[bytes, ...]:
    return tuple(map(os.fsencode, patterns))


def _report(plan: TreePlan, done: Mapping[str, Any]) -> Report:
    def name(path: bytes) -> Name:
        return path if isinstance(plan.src, bytes) else os.fsdecode(path)

    return Report(
        src=plan.src,
        dst=plan.dst,
        bytes=done["bytes"],
        written=done["written"],
        elapsed=done["elapsed"],
        engine=plan.options.engine,
        reason=plan.reason,
        attempts=(),
        fallbacks=0,
        workers=done["workers"],
        regions=0,
        windows=0,
        flushes=0,
        buffer_bytes=done["buffer_bytes"],
        mapped_bytes=0,
        hash=None,
        digest=None,
        digest_of=None,
        verify=plan.options.verify,
        verify_detail="each_file" if plan.options.verify != "none" else "none",
        verify_elapsed=0.0,
        verified=plan.options.verify != "none" and done["error_count"] == 0 and not plan.options.dry_run,
        warnings=tuple(WARNINGS[word] for word in done["warnings"]),
        plan=plan,
        files=done["files"],
        directories=done["directories"],
        symlinks=done["symlinks"],
        links=done["links"],
        special=done["special"],
        shared=done["shared"],
        holes=done["holes"],
        skipped=done["skipped"],
        excluded=done["excluded"],
        error_count=done["error_count"],
        errors=tuple(
            EntryError(name(path), operation, err, at, code, why)
            for path, operation, err, code, at, why in done["errors"]
        ),
    )


def _tree_error(report: Report) -> TreeError:
    first = report.errors[0]
    count = "one entry" if report.error_count == 1 else f"{report.error_count} entries"
    error = TreeError(first.errno, f"{count} could not be copied; the first: {first}", report.src, None, report.dst)
    error.code = first.code
    error.errors = report.errors
    error.error_count = report.error_count
    error.report = report
    for one in report.errors[:10]:
        add_note(error, str(one))
    return error


# ---- words ---------------------------------------------------------------------------------------------


def _decision(p: TreePlan) -> str:
    o = p.options
    words: dict[str, object] = {
        "engine": o.engine,
        "reason": p.reason,
        "workers": o.workers,
        "existing": o.existing,
        "symlinks": o.symlinks,
        "special": o.special,
        "order": o.order,
        "publish": "rename" if o.atomic else "in_place",
        "dry_run": "yes" if o.dry_run else "no",
    }
    return "Decision: " + " ".join(f"{key}={value}" for key, value in words.items())


def performance(r: Report) -> str:
    """The `Perf:` line of a tree."""
    words: dict[str, object] = {
        "bytes": r.bytes,
        "elapsed_ms": round(r.elapsed * 1e3),
        "GBps": f"{r.bytes / r.elapsed / 1e9 if r.elapsed else 0:.2f}",
        "files": r.files,
        "directories": r.directories,
        "links": r.links,
        "skipped": r.skipped,
        "errors": r.error_count,
        "workers": r.workers,
    }
    return "Perf: " + " ".join(f"{key}={value}" for key, value in words.items())


def _sentences(p: TreePlan) -> list[str]:
    o = p.options
    src, dst = repr(os.fsdecode(p.src)), repr(os.fsdecode(p.dst))
    said = [f"{'Count what would be copied of' if o.dry_run else 'Copy'} the directory {src} to {dst}."]
    said.append("Each file gets its name when it is whole." if o.atomic else "Files are written under their own names.")
    said.append(
        {
            "overwrite": "What is there already is replaced.",
            "fail": "The destination must not exist.",
            "skip": "What is there already is left as it is.",
            "update": "What is there already is replaced where its size or time of modification differs.",
            "older": "What is there already is replaced where it is older.",
        }[o.existing]
    )
    said.append("Symlinks are followed." if o.symlinks == "follow" else "Symlinks are copied as symlinks.")
    if o.exclude or o.include:
        said.append("Patterns choose the entries.")
    if o.sync != "none":
        said.append(f"All is forced to the medium before this returns (sync={o.sync!r}).")
    return said
