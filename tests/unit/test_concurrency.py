"""Many copies: at once, and one after the other."""

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastcopy
from support.settings import FULL
from support.shapes import MANY_REGIONS, MIB, noise
from support.shells import python
from support.state import descriptors, nothing_leaked, private_bytes, sanitized, threads

pytestmark = pytest.mark.release


def test_many_threads_copy_at_once(tmp_path: Path) -> None:
    sizes = (0, 1, 5000, 300_000, MIB + 1, 3 * MIB)
    for size in sizes:
        (tmp_path / f"src-{size}").write_bytes(noise(size))

    def copy(number: int) -> None:
        size = sizes[number % len(sizes)]
        engine = ("buffered", "copy_range", "mapped")[number % 3]
        dst = tmp_path / f"dst-{number}"
        if number % 2:
            fastcopy.transfer(tmp_path / f"src-{size}", dst, engine=engine, **MANY_REGIONS)
        else:
            fastcopy.copyfile(tmp_path / f"src-{size}", dst)
        assert dst.read_bytes() == noise(size)
        dst.unlink()

    with nothing_leaked(tmp_path), ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(copy, number) for number in range(300)]:
            done.result()


def test_one_plan_can_be_run_by_many_threads(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(MIB))
    plan = fastcopy.plan(tmp_path / "src", tmp_path / "dst", **MANY_REGIONS)
    with nothing_leaked(tmp_path), ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(plan.run) for _ in range(40)]:
            assert done.result().bytes == MIB
    assert (tmp_path / "dst").read_bytes() == noise(MIB)


def test_writers_of_one_destination_leave_one_of_the_sources(tmp_path: Path) -> None:
    contents = [noise(MIB + i, str(i)) for i in range(4)]
    for i, content in enumerate(contents):
        (tmp_path / f"src-{i}").write_bytes(content)
    dst = tmp_path / "dst"
    stop = threading.Event()
    seen: set[bytes] = set()

    def look() -> None:
        while not stop.is_set():
            if dst.exists():
                seen.add(dst.read_bytes())

    with nothing_leaked(tmp_path):
        looker = threading.Thread(target=look)
        looker.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                for done in [pool.submit(fastcopy.transfer, tmp_path / f"src-{n % 4}", dst) for n in range(60)]:
                    done.result()
        finally:
            stop.set()
            looker.join()
    assert seen <= set(contents)  # never a mixture, never half
    assert dst.read_bytes() in contents


class Counter(threading.Thread):
    """Needs the GIL all the time."""

    counted = 0
    stop = False

    def run(self) -> None:
        while not self.stop:
            self.counted += 1


def test_python_threads_run_while_bytes_move(tmp_path: Path) -> None:
    # The GIL is free: another thread gets on while one call of the core copies.
    (tmp_path / "src").write_bytes(noise(8 * MIB))
    for options in ({"workers": 1}, {"workers": 2, "parallel_threshold": MIB, "min_region": MIB}):
        counter = Counter()
        counter.start()
        try:
            before = counter.counted
            for _ in range(5):
                fastcopy.transfer(tmp_path / "src", tmp_path / "dst", engine="buffered", **options)
            assert counter.counted > before
        finally:
            counter.stop = True
            counter.join()


@pytest.mark.parametrize("door", ("copyfile", "transfer", "regions", "failing", "plan"))
def test_bursts_leak_neither_descriptors_nor_threads_nor_memory(door: str, tmp_path: Path) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.write_bytes(noise(5000 if door != "regions" else MIB))

    def once() -> None:
        if door == "copyfile":
            fastcopy.copyfile(src, dst)
        elif door == "transfer":
            fastcopy.transfer(src, dst)
        elif door == "regions":
            fastcopy.transfer(src, dst, engine="buffered", **MANY_REGIONS)
        elif door == "plan":
            fastcopy.plan(src, dst).explain()
        else:
            with pytest.raises(OSError):
                fastcopy.transfer(src, tmp_path / "missing" / "dst")
            with pytest.raises(OSError):
                fastcopy.copyfile(tmp_path / "missing", dst)

    calls = (20_000 if FULL else 2_000) // (10 if door == "regions" else 1)
    for _ in range(calls):  # what is made once and kept
        once()
    gc.collect()
    open_before, threads_before, memory_before = descriptors(), threads(), private_bytes()
    for _ in range(calls):
        once()
    gc.collect()
    assert descriptors() == open_before
    assert threads() == threads_before
    if not sanitized():  # which keeps what is freed
        # A kilobyte a call would be 2 MiB; what the allocator keeps by the way is less.
        assert private_bytes() - memory_before < calls * 512 + MIB // 2


@pytest.mark.parametrize("engine", ("buffered", "copy_range", "direct", "mapped"))
@pytest.mark.parametrize("workers", (1, 4))
def test_a_large_copy_needs_little_memory_of_its_own(engine: str, workers: int, tmp_path: Path) -> None:
    if sanitized():
        return  # the sanitizer's own memory is larger than all of it
    # In a process of its own, whose memory nobody else moves; the hole costs no room at the source.
    src = tmp_path / "src"
    size = 160 * MIB
    with src.open("wb") as f:
        for at in range(0, size, MIB):
            os.pwrite(f.fileno(), noise(4096), at)
        f.truncate(size)
    sparse = "auto" if engine == "copy_range" else "never"  # which cannot fill holes
    said = python(
        """
import sys, threading
import fastcopy
from support.state import private_bytes
src, dst, engine, workers, sparse = sys.argv[1:]
fastcopy.transfer(src, dst, engine=engine, workers=int(workers), sparse=sparse)  # what is loaded once
before = private_bytes()
peak, stop = before, threading.Event()
def watch():
    global peak
    while not stop.wait(0.002):
        peak = max(peak, private_bytes())
watcher = threading.Thread(target=watch)
watcher.start()
try:
    report = fastcopy.transfer(src, dst, engine=engine, workers=int(workers), sparse=sparse)
finally:
    stop.set()
    watcher.join()
print(peak - before, report.buffer_bytes, report.mapped_bytes)
""",
        src,
        tmp_path / "dst",
        engine,
        workers,
        sparse,
    )
    grown, buffers, mapped = map(int, said.split())
    assert grown <= 32 * MIB
    assert buffers <= 32 * MIB
    assert (mapped > 0) == (engine == "mapped")
    assert mapped <= 2 * 64 * MIB * workers
