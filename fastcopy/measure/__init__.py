"""Timing ways of copying, so that a sceptic can repeat it: `kernel.py` says how. Needs `fastcopy-io[bench]`."""

from __future__ import annotations

from .interval import Ratio, ratio
from .kernel import Problem, Result, Row, Told, Way, measure, race
from .pages import CacheState, CacheStateError
from .workloads import File, Tree, Workload

__all__ = [
    "CacheState",
    "CacheStateError",
    "File",
    "Problem",
    "Ratio",
    "Result",
    "Row",
    "Told",
    "Tree",
    "Way",
    "Workload",
    "measure",
    "race",
    "ratio",
]
