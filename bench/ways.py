"""The groups of ways that the scenarios name: ours, the peers, and the limit that belongs to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import limits
import peers
from scenarios import Scenario

import fastcopy
from fastcopy.measure import Told, Way
from fastcopy.measure.limits import memory
from fastcopy.measure.proof import path_of
from fastcopy.measure.ways import auto, by_engine, copyfile, every_engine

MIB = 1 << 20
CORES = len(os.sched_getaffinity(0))
ALONE = Path(__file__).with_name("alone.py")


# ---- the groups ------------------------------------------------------------------------------------------


def _file(s: Scenario) -> tuple[Way, ...]:
    size = s.what.bytes
    bare = (limits.bare_copy(size),) if size < MIB and not s.existing else ()
    return (auto(), copyfile(), *every_engine(), *peers.for_files(), *bare, *memory(size))


def _large(s: Scenario) -> tuple[Way, ...]:
    """The same without those that are like others of them: a copy takes a second, and a round is to fit in."""
    ours = (auto(), copyfile(), by_engine("copy_range"), by_engine("buffered"), by_engine("direct"))
    others = (peers.shutil_copyfile(), peers.sendfile(), peers.copy_file_range(), peers.gnu_cp(), peers.rsync())
    return (*ours, *others, *memory(s.what.bytes))


def _huge(s: Scenario) -> tuple[Way, ...]:
    """What people would use: of anything more not two rounds fit in."""
    return (auto(), copyfile(), peers.shutil_copyfile(), peers.gnu_cp(), *memory(s.what.bytes))


def _small(s: Scenario) -> tuple[Way, ...]:
    """Without commands, whose start takes longer than the copy."""
    others = (peers.shutil_copyfile(), peers.pathlib_copy(), peers.sendfile(), peers.copy_file_range())
    return (auto(), copyfile(), *others, limits.bare_copy(s.what.bytes))


def _clone(s: Scenario) -> tuple[Way, ...]:
    return (auto(), copyfile(), by_engine("clone"), peers.gnu_cp(), peers.copy_file_range(), limits.bare_clone())


def _cold(s: Scenario) -> tuple[Way, ...]:
    ours = (
        auto("fastcopy, sync=data", sync="data"),
        by_engine("direct", "direct, sync=data", sync="data"),
        auto("fastcopy, cache=drop, sync=data", cache="drop", sync="data"),
        auto(),
    )
    others = (peers.shutil_copyfile(), peers.gnu_cp(), peers.dd(), peers.dd_direct(), peers.rsync())
    return (*ours, *others, limits.fio(s.what.bytes))


def _tree(s: Scenario) -> tuple[Way, ...]:
    """All that copy trees, where what is kept of a file costs little beside its bytes."""
    verified = _of_tree("fastcopy, tree, verify=hash", verify="hash")
    limit = memory(s.what.bytes) if s.what.bytes >= s.what.files * MIB else ()
    return (*_ours_of_trees(), _copytree(), verified, *peers.for_trees(), *peers.for_trees_mode(), *limit)


def _tree_small(s: Scenario) -> tuple[Way, ...]:
    """Those alone that keep mode and times, for these cost as much as the bytes."""
    return (*_ours_of_trees(), _copytree(), *peers.for_trees())


def _tree_mode(s: Scenario) -> tuple[Way, ...]:
    """The others, and ours when it keeps no more than they do."""
    return (*_ours_of_trees(preserve={"mode"}), *peers.for_trees_mode())


def _tree_clone(s: Scenario) -> tuple[Way, ...]:
    return (*_ours_of_trees(reflink="always"), peers.gnu_cp("-a", "--reflink=always"))


def _of_tree(name: str, **options: Any) -> Way:
    """Its report is about many files, and names no one path."""

    def copy(src: Path, dst: Path) -> None:
        fastcopy.transfer(src, dst, **options)

    return Way(name=name, copy=copy, kind="ours")


def _ours_of_trees(**options: Any) -> tuple[Way, ...]:
    return (_of_tree("fastcopy, tree", **options), _of_tree("fastcopy, tree, in place", atomic=False, **options))


def _copytree() -> Way:
    def copy(src: Path, dst: Path) -> None:
        fastcopy.copytree(src, dst, symlinks=True)

    return Way(name="fastcopy.copytree", copy=copy, kind="ours")


def _curve(s: Scenario) -> tuple[Way, ...]:
    """In a process of its own, so that the memory is that of this copy."""

    def alone(name: str, *words: str) -> Way:
        def copy(src: Path, dst: Path) -> Told:
            done = subprocess.run(
                [sys.executable, ALONE, *words, src, dst], check=True, stdout=subprocess.PIPE, text=True
            )
            return Told(**json.loads(done.stdout))

        return Way(name=name, copy=copy, kind="ours")

    return (alone("fastcopy, tree"), alone("fastcopy, tree, in place", "--in-place"))


def _zero_copy(s: Scenario) -> tuple[Way, ...]:
    ours = (by_engine("clone"), by_engine("copy_range"))
    buffered = tuple(by_engine("buffered", f"buffered, workers={n}", workers=n) for n in sorted({1, min(2, CORES)}))
    return (
        auto(),
        *ours,
        *buffered,
        peers.sendfile(),
        peers.copy_file_range(),
        peers.shutil_copyfile(),
        *memory(s.what.bytes),
    )


def _depths(s: Scenario) -> tuple[Way, ...]:
    def at_depth(depth: int) -> Way:
        way = by_engine("buffered", f"depth {depth}", workers=2, split_depth=depth)
        return Way(name=way.name, copy=way.copy, kind="ours", claim={**way.claim, "regions": 2**depth})

    return (
        *map(at_depth, (1, 2, 3, 4)),
        by_engine("buffered", "one region", workers=1),
        peers.shutil_copyfile(),
        *memory(s.what.bytes),
    )


def _verified(s: Scenario) -> tuple[Way, ...]:
    """A verified copy against copying and looking in turn, with the same libraries; and what looking costs."""
    ours = (
        auto(f"fastcopy, verify={s.verify}", verify=s.verify),
        *((auto("fastcopy, verify=hash, xxh3_128", verify="hash", hash="xxh3_128"),) if s.verify == "hash" else ()),
        auto("fastcopy, hash=xxh3_128", hash="xxh3_128"),
    )
    others = (peers.cp_and_cmp(), peers.shutil_and_filecmp(), *peers.shutil_and_digests())
    return (
        *ours,
        auto("fastcopy, not verified"),
        *others,
        *memory(s.what.bytes),
    )


def _digest(s: Scenario) -> tuple[Way, ...]:
    """Of the source alone: no copy is made."""

    def ours(name: str) -> Way:
        return Way(
            name=f"hash_file, {name}", copy=lambda src, dst: fastcopy.hash_file(src, name), kind="ours", reads=True
        )

    return (ours("blake3"), ours("xxh3_128"), *peers.digests(), *memory(s.what.bytes))


def _compare(s: Scenario) -> tuple[Way, ...]:
    """Two equal files: the copy is made first, and not timed."""

    def timed(name: str, kind: str, compare: Callable[[Path, Path], object]) -> Way:
        def copy(src: Path, dst: Path) -> Told:
            shutil.copyfile(src, dst)
            began = time.perf_counter()
            compare(src, dst)
            return Told(seconds=time.perf_counter() - began)

        return Way(name=name, copy=copy, kind=kind)

    return (timed("fastcopy.compare", "ours", fastcopy.compare), timed("cmp", "peer", peers.cmp))


def _busy(s: Scenario) -> tuple[Way, ...]:
    """A verified copy beside a thread of Python that never rests, against one beside such a process."""

    def beside_thread(src: Path, dst: Path) -> object:
        stop = threading.Event()

        def spin() -> None:
            while not stop.is_set():
                pass

        thread = threading.Thread(target=spin)
        thread.start()
        try:
            return fastcopy.transfer(src, dst, verify="hash")
        finally:
            stop.set()
            thread.join()

    def beside_process(src: Path, dst: Path) -> Told:
        spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            time.sleep(0.1)
            began = time.perf_counter()
            fastcopy.transfer(src, dst, verify="hash")
            return Told(seconds=time.perf_counter() - began)
        finally:
            spinning.kill()
            spinning.wait()

    return (
        Way(name="fastcopy, beside a busy thread", copy=beside_thread, kind="ours"),
        Way(name="fastcopy, beside a busy process", copy=beside_process),
    )


def _threads(s: Scenario) -> tuple[Way, ...]:
    """A tree whose files are copied by a pool of Python's threads."""

    def pooled(name: str, kind: str, one: Callable[[Path, Path], object], threads: int) -> Way:
        def copy(src: Path, dst: Path) -> Told:
            files = [path.relative_to(src) for path in src.rglob("*") if path.is_file()]
            for folder in {dst / file.parent for file in files}:
                folder.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(threads) as pool:
                told = list(pool.map(lambda file: one(src / file, dst / file), files))
            return Told(path=path_of(told[0]) if isinstance(told[0], fastcopy.Report) else None)

        return Way(name=f"{name}, {threads} thread{'s' if threads > 1 else ''}", copy=copy, kind=kind)

    counts = sorted({1, 2, CORES, 2 * CORES})
    ours = [pooled("fastcopy", "ours", fastcopy.transfer, n) for n in counts]
    return (*ours, *(pooled("shutil.copyfile", "peer", shutil.copyfile, n) for n in counts), *memory(s.what.bytes))


def _counting(s: Scenario) -> tuple[Way, ...]:
    """How long another thread of Python needs to count: a copy that kept the GIL would hold it up."""

    def counting(name: str, kind: str, copy: Callable[[Path, Path], object]) -> Way:
        def beside(src: Path, dst: Path) -> Told:
            took: list[float] = []

            def count() -> None:
                began = time.perf_counter()
                for _ in range(5_000_000):
                    pass
                took.append(time.perf_counter() - began)

            thread = threading.Thread(target=count)
            thread.start()
            while thread.is_alive():
                copy(src, dst)
            return Told(seconds=took[0])

        return Way(name=name, copy=beside, kind=kind)

    def one_worker(src: Path, dst: Path) -> None:
        fastcopy.transfer(src, dst, workers=1)

    return (
        counting("fastcopy, workers=1", "ours", one_worker),
        counting("fastcopy", "ours", fastcopy.transfer),
        counting("shutil.copyfile", "peer", shutil.copyfile),
        counting("alone", "limit", lambda src, dst: time.sleep(0.05)),
    )


GROUPS: dict[str, Callable[[Scenario], tuple[Way, ...]]] = {
    "file": _file,
    "large": _large,
    "huge": _huge,
    "small": _small,
    "clone": _clone,
    "cold": _cold,
    "tree": _tree,
    "tree-small": _tree_small,
    "tree-mode": _tree_mode,
    "tree-clone": _tree_clone,
    "curve": _curve,
    "zero-copy": _zero_copy,
    "depths": _depths,
    "verified": _verified,
    "digest": _digest,
    "compare": _compare,
    "busy": _busy,
    "threads": _threads,
    "counting": _counting,
}
