"""The timing kernel: several ways of copying one thing, timed so that they can be compared.

What it does about the ways in which such comparisons go wrong:

- the machine changes while it runs: every round times every way once, in an order shuffled anew, and what is compared
  are the times of the same rounds;
- the first touch of memory is slow: memory is primed, and the first rounds are thrown away;
- the cache is not in the state that is claimed: it is looked at before each copy (`pages.py`);
- what one way left to be written later is paid by the next: it is removed, or written, in between;
- a way does not do what it is called: it is held to its report, and its copy is compared byte for byte in the first of
  the rounds that are thrown away, over other content than the source's where the destination exists;
- a copy in memory is taken for one on the medium: the fsync is timed by itself.
"""

from __future__ import annotations

import errno
import gc
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from ..transfer_door import Report
from . import pages
from .interval import Ratio, ratio
from .machine import memory
from .pages import CacheState
from .proof import broken_claim, path_of, shares_extents
from .workloads import File, Workload, difference, remove

__all__ = ["Problem", "Result", "Row", "Told", "Way", "measure", "race"]

MIB = 1 << 20

# Below this, forcing what was left behind to the medium takes longer than all the copies; it is too little to disturb.
_SETTLE_FROM = MIB
# A reserve beside source and destination: metadata, and what the filesystem frees late.
_SPARE_ROOM = 64 * MIB
_PRIME_AT_MOST = 12 << 30
_INODE = 1024  # of memory, about: what a file takes besides its bytes

Clock = Callable[[], float]
Show = Callable[[int, int, str], object]  # copies done, of how many, what comes now


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a way tells of itself, where it can: all of it optional."""

    seconds: float | None = None  # timed from within, or of something that is no copy
    path: Mapping[str, Any] | None = None
    peak_memory: int | None = None
    shares_extents: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to copy. `copy(src, dst)` returns a `Report`, a `Told`, or anything else, which tells nothing.

    >>> import shutil
    >>> Way(name="shutil", copy=shutil.copyfile).kind
    'peer'
    """

    name: str
    copy: Callable[[Path, Path], object]
    kind: str = "peer"  # "ours", "peer", or "limit": what the machine can do; no copy is made
    claim: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what its report must say
    missing: str | None = None  # why it is not here
    reads: bool = False  # it makes no copy, but only reads the source: a digest, say

    @property
    def makes_a_copy(self) -> bool:
        return not self.reads and self.kind != "limit"


@dataclass(frozen=True)
class Problem:
    """Why a row has no figures."""

    kind: str  # "missing", "refused", "failed", "wrong", "path", "time"
    text: str

    @property
    def is_fault(self) -> bool:
        """Something is broken: not merely absent here."""
        return self.kind in ("failed", "wrong", "path")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way, measured: one entry of each list a round, or else the problem."""

    way: str
    kind: str
    seconds: tuple[float, ...] = ()  # the copy
    sync_seconds: tuple[float, ...] = ()  # the fsync after it, where that was asked for
    cpu_seconds: tuple[float, ...] = ()  # of all threads and children
    context_switches: tuple[int, ...] = ()
    peak_memory: int | None = None  # added at most, bytes; None: of a command, too little to be told
    path: Mapping[str, Any] | None = None
    shares_extents: bool | None = None
    ratio: Ratio | None = None  # against the baseline
    problem: Problem | None = None

    @property
    def totals(self) -> tuple[float, ...]:
        if not self.sync_seconds:
            return self.seconds
        return tuple(map(sum, zip(self.seconds, self.sync_seconds, strict=True)))

    @property
    def median(self) -> float:
        return median(self.totals)

    @property
    def minimum(self) -> float:
        return min(self.totals)


@dataclass(frozen=True, kw_only=True)
class Result:
    """All ways on one thing to copy."""

    workload: Workload
    cache: CacheState
    existing: bool
    sync: bool
    rounds: int
    baseline: str | None  # the way that the ratios are against: the one named, else the fastest peer
    rows: tuple[Row, ...]

    def __getitem__(self, way: str) -> Row:
        return next(row for row in self.rows if row.way == way)

    @property
    def limit(self) -> Row | None:
        """The fastest of the limits."""
        limits = (row for row in self.rows if row.kind == "limit" and row.problem is None)
        return min(limits, key=lambda row: row.median, default=None)


def measure(
    ways: Sequence[Way], sizes: Sequence[int], directory: str | os.PathLike[str], **how: Any
) -> tuple[Result, ...]:
    """Time every way on a file of every size, in `directory`. The options are those of `race`.

    >>> import shutil, fastcopy
    >>> ways = (Way(name="ours", copy=fastcopy.copyfile), Way(name="shutil", copy=shutil.copyfile))
    >>> [result] = measure(ways, [1000], ".", rounds=3, baseline="shutil")
    >>> result.baseline, len(result["ours"].seconds), result["shutil"].ratio.value
    ('shutil', 3, 1.0)
    """
    return tuple(race(ways, File(size), directory, **how) for size in sizes)


def race(
    ways: Sequence[Way],
    workload: Workload,
    directory: str | os.PathLike[str],
    *,
    cache: CacheState = "warm",
    existing: bool = False,
    sync: bool = False,
    rounds: int = 5,
    warmups: int = 1,
    seconds: float | None = None,
    baseline: str | None = None,
    seed: int | None = None,
    progress: Show | None = None,
    clock: Clock = time.perf_counter,
) -> Result:
    """Time every way on `workload`, in a folder of its own in `directory` that is gone afterwards, whatever happens.

    - `cache`: whether the source is in the page cache ("warm") or not ("cold"); `CacheStateError` where it cannot be
    - `existing`: the destination is there already, with other content, and is written over
    - `sync`: force each copy to the medium, and time that by itself; ratios are then of both together
    - `rounds`, `warmups`: those that count, and those thrown away before them. In the first of all copies are checked
    - `seconds`: no copy begins later than that; whole rounds count
    - `baseline`: the way that ratios are against; by default the fastest peer of this run
    - `seed`: of the order of the ways
    - `progress`: called before each copy with (copies done, of how many, name of the way)

    A full disk is an error, and so is too little room for source and destination: then nothing is begun.
    """
    if rounds < 1 or warmups < 0:
        raise ValueError(f"rounds={rounds}, warmups={warmups}: there is nothing that would count")
    check_room(Path(directory), 2 * workload.bytes)
    ends_at = None if seconds is None else clock() + seconds
    with tempfile.TemporaryDirectory(prefix="fastcopy-bench-", dir=directory) as folder:
        run = _Run(workload, Path(folder), cache, existing, sync, clock)
        run.prepare()
        racing = {way.name: _Arm(way) for way in ways}
        if len(racing) != len(ways):
            raise ValueError("two ways have one name")
        done = _rounds(racing, run, rounds, warmups, ends_at, seed, progress)
    return _result(racing, run, done, baseline)


def check_room(directory: Path, needed: int) -> None:
    """OSError(ENOSPC), before anything is written, where source and destination would not fit."""
    free = shutil.disk_usage(directory).free
    if free < needed + _SPARE_ROOM:
        text = f"{free / MIB:.0f} MiB are free, {(needed + _SPARE_ROOM) / MIB:.0f} MiB are needed; nothing was written"
        raise OSError(errno.ENOSPC, text, str(directory))


# ---- one run -------------------------------------------------------------------------------------------


@dataclass
class _Arm:
    """One way in the race, with what was measured so far."""

    way: Way
    problem: Problem | None = None
    seconds: list[float] = field(default_factory=list[float])
    sync_seconds: list[float] = field(default_factory=list[float])
    cpu_seconds: list[float] = field(default_factory=list[float])
    context_switches: list[int] = field(default_factory=list[int])
    peak_memory: list[int] = field(default_factory=list[int])
    path: Mapping[str, Any] | None = None
    shared: bool | None = None

    def keep_rounds(self, count: int) -> None:
        for times in (self.seconds, self.sync_seconds, self.cpu_seconds, self.context_switches):
            del times[count:]


class _OutOfTimeError(Exception):
    pass


@dataclass
class _Run:
    """Where one race takes place, and what holds for all its copies."""

    workload: Workload
    folder: Path
    cache: CacheState
    existing: bool
    sync: bool
    clock: Clock

    def __post_init__(self) -> None:
        self.src, self.dst = self.folder / "source", self.folder / "copy"

    def prepare(self) -> None:
        needed = 2 * (self.workload.bytes + self.workload.files * _INODE)
        pages.prime(min(needed, memory("MemAvailable") // 2, _PRIME_AT_MOST))
        self.workload.make(self.src)

    def before(self, check: bool) -> None:
        """The state in which every copy begins."""
        if self.existing and (check or not self.dst.exists()):
            remove(self.dst)
            self.workload.make(self.dst, salt=1)
        elif not self.existing:
            remove(self.dst)
        if self.existing:
            # Tools that compare times before they copy must find a reason to.
            for part in self.workload.parts(self.dst):
                os.utime(part, (0, 0))
        if self.workload.bytes >= _SETTLE_FROM or self.workload.files > 1:
            pages.settle(self.folder)
        pages.bring_to(self.cache, self.workload.parts(self.src))

    def copy(self, arm: _Arm, check: bool) -> None:
        """One copy, timed. What is wrong with it is raised."""
        way = arm.way
        if way.makes_a_copy:
            self.before(check)
        elif way.reads or self.cache == "cold":
            pages.bring_to(self.cache, self.workload.parts(self.src))
        peak_before = _reset_peak()
        cpu, switches = _usage()
        began = self.clock()
        told = way.copy(self.src, self.dst)
        ended = self.clock()
        cpu_after, switches_after = _usage()
        peak = max(0, _peak() - peak_before)
        seconds = ended - began
        path: Mapping[str, Any] | None = None
        added: int | None = peak
        if isinstance(told, Report):
            path = path_of(told)
        elif isinstance(told, Told):
            seconds = seconds if told.seconds is None else told.seconds
            path, added = told.path, told.peak_memory
            arm.shared = arm.shared if told.shares_extents is None else told.shares_extents
        if (broken := broken_claim(way.claim, path)) is not None:
            raise _BrokenError(Problem("path", broken))
        if way.makes_a_copy:
            arm.sync_seconds += [self._force()] if self.sync else []
            if check:
                self._compare(arm)
        elif self.sync:
            arm.sync_seconds.append(0.0)
        arm.path = path
        arm.seconds.append(seconds)
        arm.cpu_seconds.append(cpu_after - cpu)
        arm.context_switches.append(switches_after - switches)
        if added is not None:
            arm.peak_memory.append(added)

    def _force(self) -> float:
        began = self.clock()
        if self.dst.is_file():
            _fsync(self.dst)
        else:
            pages.settle(self.folder)
        return self.clock() - began

    def _compare(self, arm: _Arm) -> None:
        if not self.dst.exists():
            raise _BrokenError(Problem("wrong", "there is no copy"))
        wrong = difference(self.workload, self.src, self.dst)
        if wrong is not None:
            raise _BrokenError(Problem("wrong", wrong))
        # The largest of a tree: a small file may lie in its inode, where nothing can be shared.
        if largest := max(self.workload.parts(self.dst), key=lambda part: part.stat().st_size, default=None):
            arm.shared = shares_extents(largest)


class _BrokenError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def _rounds(
    racing: Mapping[str, _Arm],
    run: _Run,
    rounds: int,
    warmups: int,
    ends_at: float | None,
    seed: int | None,
    progress: Show | None,
) -> int:
    """How many rounds count: those that were finished in time."""
    dice = random.Random(seed)
    counted, done, total = 0, 0, (rounds + warmups) * len(racing)
    for arm in racing.values():
        if arm.way.missing is not None:
            arm.problem = Problem("missing", arm.way.missing)
    collecting = gc.isenabled()
    gc.disable()  # as timeit does: a collection would be charged to whichever way it falls on
    try:
        for turn in range(-warmups, rounds):
            for name in dice.sample(list(racing), len(racing)):
                if ends_at is not None and run.clock() >= ends_at:
                    raise _OutOfTimeError
                if progress is not None:
                    progress(done, total, name)
                done += 1
                if racing[name].problem is None:
                    racing[name].problem = _try(racing[name], run, check=turn == -warmups)
            if turn < 0:
                for arm in racing.values():
                    arm.keep_rounds(0)
            else:
                counted += 1
    except _OutOfTimeError:
        pass  # what was finished counts; an arm without a round says so
    finally:
        if collecting:
            gc.enable()
    return counted


def _try(arm: _Arm, run: _Run, check: bool) -> Problem | None:
    try:
        run.copy(arm, check)
    except _BrokenError as broken:
        return broken.problem
    except (pages.CacheStateError, MemoryError):
        raise  # these are about the run itself, and so is a full disk; all else is this way's own affair
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        refused = error.errno == errno.EOPNOTSUPP  # COPY_E_UNSUPPORTED too
        return Problem("refused" if refused else "failed", error.strerror or str(error))
    except Exception as error:
        return Problem("failed", f"{type(error).__name__}: {error}")
    return None


def _result(racing: Mapping[str, _Arm], run: _Run, counted: int, baseline: str | None) -> Result:
    if baseline is not None and baseline not in racing:
        raise ValueError(f"baseline={baseline!r}: no way has this name")
    rows: dict[str, Row] = {}
    for name, arm in racing.items():
        arm.keep_rounds(counted)
        problem = arm.problem
        if problem is None and len(arm.seconds) < max(1, counted):
            problem = Problem("time", "there was no time for it")
        if problem is not None:
            rows[name] = Row(way=name, kind=arm.way.kind, problem=problem)
            continue
        rows[name] = Row(
            way=name,
            kind=arm.way.kind,
            seconds=tuple(arm.seconds),
            sync_seconds=tuple(arm.sync_seconds),
            cpu_seconds=tuple(arm.cpu_seconds),
            context_switches=tuple(arm.context_switches),
            peak_memory=max(arm.peak_memory, default=None),
            path=arm.path,
            shares_extents=arm.shared,
        )
    if baseline is None:
        peers = [row for row in rows.values() if row.kind == "peer" and row.problem is None]
        baseline = min(peers, key=lambda row: row.median).way if peers else None
    if baseline is not None and rows[baseline].problem is None:
        against = rows[baseline].totals
        for name, row in rows.items():
            if row.problem is None and row.kind != "limit":
                rows[name] = replace(row, ratio=ratio(against, row.totals))
    return Result(
        workload=run.workload,
        cache=run.cache,
        existing=run.existing,
        sync=run.sync,
        rounds=counted,
        baseline=baseline,
        rows=tuple(rows.values()),
    )


# ---- what a copy cost ----------------------------------------------------------------------------------


def _usage() -> tuple[float, int]:
    """CPU seconds and context switches so far: of all threads, and of children that have ended."""
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime
    return seconds, ours.ru_nvcsw + ours.ru_nivcsw + theirs.ru_nvcsw + theirs.ru_nivcsw


def _reset_peak() -> int:
    """Let the kernel's high-water mark of this process begin at what it uses now: which is returned."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as switch:
        switch.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _fsync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
