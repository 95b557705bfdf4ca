"""The numbers of the dispatcher, measured on one filesystem: which of them are better than the built-in ones there.

A number is replaced only where that is sure. Many candidates are tried in a few rounds, and the fastest of many is fast
by luck too; so it is measured again, alone against the number it would replace, and must win beyond the noise there.
What is left is then held against the built-in numbers once more, all together and over several sizes, as copies that
choose by themselves meet them: one size at which they are slower, twice and beyond the noise, and none is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _core
from ..options import KIB, MIB, Options
from .interval import Ratio
from .kernel import Row, Told, Way, race
from .workloads import File, size_text

__all__ = ["ROOM", "Finding", "Numbers", "find", "text_of"]

Compare = Callable[[Sequence[Way], int, int], Mapping[str, Row]]  # ways, size, rounds -> rows, ratios to the first
Show = Callable[[float, str], object]  # share done, what now

_CHUNKS = (64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 4 * MIB, 8 * MIB)
_MOST_WORKERS = 8
_STREAMS = (1, 2, 4, 8, 16)
# Where the kernel's one copy may begin to lose against regions; below, there are no two regions.
_THRESHOLDS = (16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB, 256 * MIB)
_LARGE = 256 * MIB
ROOM = 2 * _LARGE  # for the largest file and its copy
_CHECKED_AT = (4 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB, 256 * MIB)

_TRIED = 5  # rounds in which candidates are tried
_CONFIRMED = 15  # rounds in which the best of them must win


@dataclass(frozen=True)
class Finding:
    """What became of one number."""

    number: str
    built_in: int
    chosen: int
    ratio: Ratio | None  # of the chosen one against the built-in, or of the best that was refused; None: nothing else
    why: str


@dataclass(frozen=True)
class Numbers:
    """What is to be kept, and how it was found."""

    local: bool  # the filesystem is one of this machine
    numbers: Mapping[str, int]  # those that differ from the built-in ones
    findings: tuple[Finding, ...]
    checks: Mapping[int, Ratio] = field(default_factory=dict[int, Ratio])  # size -> all of them against the built-in
    kept: bool = True  # False: together they were slower somewhere, so `numbers` is empty


def find(directory: Path, *, progress: Show | None = None, compare: Compare | None = None) -> Numbers:
    """Measure in `directory`. `compare` is for tests."""
    where = _Where(directory)
    search = _Search(where, compare or _compare_in(directory), progress or (lambda share, what: None))
    return search.run()


class _Where:
    """What the dispatcher sees of copies within this directory."""

    def __init__(self, directory: Path) -> None:
        self.device = directory.stat().st_dev
        facts = _core.plan(__file__, directory / ".fastcopy-calibrate", _options(), _core.Tuning()).facts()
        flags = facts["dst"]["flags"]
        self.local = "local" in flags
        self.network = "network" in flags
        self.streams = "streams" in flags
        self.fragile = "fragile" in flags
        self.cpus = len(os.sched_getaffinity(0))

    @property
    def chunk(self) -> str:
        return "chunk_network" if self.network else "chunk"

    @property
    def workers(self) -> str | None:
        """None: the dispatcher takes one there, and asks no number."""
        if self.network:
            return "network_workers" if self.streams else None
        return "max_workers" if self.cpus > 1 else None

    def worker_counts(self) -> tuple[int, ...]:
        if self.streams:
            return _STREAMS
        return tuple(sorted({1, 2, 3, 4, 6, _MOST_WORKERS, self.cpus} & {*range(1, min(self.cpus, _MOST_WORKERS) + 1)}))

    @property
    def has_threshold(self) -> bool:
        return self.local and not self.fragile and self.cpus > 1


class _Search:
    def __init__(self, where: _Where, compare: Compare, show: Show) -> None:
        self._where, self._compare, self._show = where, compare, show
        self._numbers: dict[str, int] = {}  # so far
        self._findings: list[Finding] = []

    def run(self) -> Numbers:
        self._show(0.0, "requests of several sizes")
        self._choose(self._where.chunk, _CHUNKS)
        self._show(0.3, "several counts of workers")
        if self._where.workers is not None:
            self._choose(self._where.workers, self._where.worker_counts())
        self._show(0.5, "the kernel's one copy against regions")
        if self._where.has_threshold:
            self._choose_threshold()
        self._show(0.8, "all of it together")
        checks = dict(self._check())
        kept = not any(ratio.slower for ratio in checks.values())
        return Numbers(self._where.local, self._numbers if kept else {}, tuple(self._findings), checks, kept)

    def _choose(self, number: str, candidates: Sequence[int]) -> None:
        """The best of the candidates, where it wins for sure."""
        built_in = _core.BUILT_IN[number]
        others = [value for value in candidates if value != built_in]
        ways = [self._buffered({number: value}, str(value)) for value in (built_in, *others)]
        tried = self._compare(ways, _LARGE, _TRIED)
        best = int(min(tried.values(), key=lambda row: row.median).way)
        if best == built_in:
            self._note(number, built_in, None, "nothing was faster")
            return
        two = [self._buffered({number: value}, str(value)) for value in (built_in, best)]
        ratio = _ratio_of(self._compare(two, _LARGE, _CONFIRMED)[str(best)])
        if ratio.faster:
            self._note(number, best, ratio, "faster")
        else:
            self._note(number, built_in, ratio, f"{text_of(number, best)} is not faster beyond the noise")

    def _choose_threshold(self) -> None:
        """From the built-in one outwards, as long as the other way wins for sure at each size."""
        number = "one_copy_below"
        built_in = _core.BUILT_IN[number]
        chosen, last = built_in, None
        for size in reversed([size for size in _THRESHOLDS if size < built_in]):
            ratio = self._regions_against_one_copy(size)
            if not ratio.faster:
                break
            chosen, last = size, ratio
        if chosen == built_in:
            for size in (size for size in _THRESHOLDS if size >= built_in):
                ratio = self._regions_against_one_copy(size)
                if not ratio.slower:
                    break
                chosen, last = 2 * size, Ratio(1 / ratio.value, 1 / ratio.high, 1 / ratio.low)
        self._note(number, chosen, last, "faster" if last else "neither way wins at another size")

    def _regions_against_one_copy(self, size: int) -> Ratio:
        """How many times as fast regions are as the kernel's one copy."""
        one = _way("one copy", self._where, {"one_copy_below": 2 * size})
        regions = _way("regions", self._where, self._numbers | {"one_copy_below": 1})
        return _ratio_of(self._compare([one, regions], size, _CONFIRMED)["regions"])

    def _check(self) -> Iterator[tuple[int, Ratio]]:
        if self._numbers:
            two = [_way("built-in", self._where, {}), _way("calibrated", self._where, self._numbers)]
            for size in _CHECKED_AT:
                ratio = _ratio_of(self._compare(two, size, _CONFIRMED)["calibrated"])
                if ratio.slower:  # of so many intervals one misses now and then: a loss is a loss when it comes again
                    ratio = _ratio_of(self._compare(two, size, _CONFIRMED)["calibrated"])
                yield size, ratio

    def _buffered(self, numbers: Mapping[str, int], name: str) -> Way:
        return _way(name, self._where, {**self._numbers, **numbers}, engine="buffered")

    def _note(self, number: str, chosen: int, ratio: Ratio | None, why: str) -> None:
        built_in = _core.BUILT_IN[number]
        if chosen != built_in:
            self._numbers[number] = chosen
        self._findings.append(Finding(number, built_in, chosen, ratio, why))


def _options(**options: Any) -> _core.Options:
    # Neither the environment nor an older calibration may speak here. Clones have no numbers.
    return Options(reflink="never", **options).to_core()


def _way(name: str, where: _Where, numbers: Mapping[str, int], **options: Any) -> Way:
    """A copy with these numbers instead of the built-in ones."""
    wishes, tuning = _options(**options), _core.Tuning([(where.device, numbers)])

    def copy(src: Path, dst: Path) -> Told:
        plan = _core.plan(src, dst, wishes, tuning)
        done, choice = plan.run(), plan.choice()
        words = ("engine", "attempts", "workers", "regions")
        return Told(
            path={word: done[word] for word in words} | {word: choice[word] for word in ("chunk", "calibrated")}
        )

    return Way(name=name, copy=copy, kind="ours", claim={"calibrated": True})


def _compare_in(directory: Path) -> Compare:
    def compare(ways: Sequence[Way], size: int, rounds: int) -> Mapping[str, Row]:
        result = race(ways, File(size), directory, rounds=rounds, baseline=ways[0].name)
        for row in result.rows:
            if row.problem is not None:
                raise OSError(f"a copy of {size_text(size)} failed: {row.problem.text}")
        return {row.way: row for row in result.rows}

    return compare


def _ratio_of(row: Row) -> Ratio:
    if row.ratio is None:
        raise ValueError(f"{row.way} was compared with nothing")
    return row.ratio


def text_of(number: str, value: int) -> str:
    return str(value) if "workers" in number else size_text(value)
