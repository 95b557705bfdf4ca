"""The figures that the engine is held to, measured here: ratios of medians, ways interleaved in one run.

usage: python figures.py [DIRECTORY] [--only NAME ...] [--rounds N] [--json FILE]

As root it makes ext4, XFS and Btrfs in image files below DIRECTORY; tmpfs is /dev/shm. The cold figure is
taken in DIRECTORY itself, whose disk it is about. Needs about 8 GiB of memory and 12 GiB of disk.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fastcopy

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HERE = Path(__file__).parent

Way = Callable[[], float | None]  # seconds, or None: time the call from outside
FIGURES: dict[str, Callable[[Path, int], None]] = {}
RESULTS: list[dict[str, object]] = []


def figure(function: Callable[[Path, int], None]) -> Callable[[Path, int], None]:
    FIGURES[function.__name__] = function
    return function


def medians(ways: dict[str, Way], rounds: int, before: Callable[[], object] = lambda: None) -> dict[str, float]:
    """The median time of each way; every round runs all of them in a shuffled order. The first is thrown away."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            before()
            began = time.perf_counter()
            seconds = ways[name]()
            seconds = time.perf_counter() - began if seconds is None else seconds
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(times) for name, times in taken.items()}


def tell(what: str, asked: str, reached: float, detail: str) -> None:
    RESULTS.append({"what": what, "asked": asked, "reached": round(reached, 3), "detail": detail})
    print(f"{what:58} {asked:>12}   {reached:6.2f}   {detail}", flush=True)


def show(times: dict[str, float], unit: float = 1e3, name: str = "ms") -> str:
    return ", ".join(f"{way} {seconds * unit:.4g} {name}" for way, seconds in times.items())


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def fill(path: Path, size: int) -> Path:
    block = os.urandom(MIB)
    with open(path, "wb") as f:
        for at in range(0, size, MIB):
            f.write(block[: min(MIB, size - at)])
    return path


# ---- filesystems ---------------------------------------------------------------------------------------

IMAGES = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "xfs without reflink": ["mkfs.xfs", "-q", "-f", "-m", "reflink=0"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


@contextlib.contextmanager
def filesystem(name: str, work: Path, size: int = 6 * GIB) -> Iterator[Path]:
    """A directory on a fresh filesystem of this kind."""
    if name == "tmpfs":
        with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
            yield Path(path)
        return
    image, point = work / "image", work / "mounted"
    with open(image, "wb") as f:
        f.truncate(size)
    subprocess.run([*IMAGES[name], image], check=True)
    point.mkdir()
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)
        point.rmdir()
        image.unlink()


def bare() -> ctypes.CDLL:
    built = Path(tempfile.gettempdir()) / f"fastcopy-bare-{os.getpid()}.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", built, HERE / "bare.c"], check=True)
    library = ctypes.CDLL(str(built))
    built.unlink()
    for name in ("bare_copy", "bare_clone"):
        getattr(library, name).restype = ctypes.c_long
    return library


def timed_in_c(result: int) -> float:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result * 1e-9


# ---- the figures ---------------------------------------------------------------------------------------


@figure
def large(work: Path, rounds: int) -> None:
    """1 GiB, warm, to a new file, against the faster of cp and shutil.copyfile."""
    for name, asked in (("ext4", 1.4), ("xfs without reflink", 1.4), ("tmpfs", 1.15)):
        with filesystem(name, work) as there:
            src, dst = fill(there / "src", GIB), there / "dst"
            os.sync()
            ways: dict[str, Way] = {
                "cp": lambda: void(subprocess.run(["cp", src, dst], check=True)),
                "shutil": lambda: void(shutil.copyfile(src, dst)),
                "copyfile": lambda: void(fastcopy.copyfile(src, dst)),
                "transfer": lambda: void(fastcopy.transfer(src, dst)),
            }
            times = medians(ways, rounds, before=lambda: remove(dst))
            rival = min(times["cp"], times["shutil"])
            for ours in ("copyfile", "transfer"):
                tell(f"1 GiB, {name}: {ours}", f">= {asked} x", rival / times[ours], show(times))


def void(_: object) -> None:
    return None


@figure
def overwrite(work: Path, rounds: int) -> None:
    """An existing file of equal size, against shutil.copyfile."""
    for name in ("ext4", "xfs", "xfs without reflink"):
        with filesystem(name, work) as there:
            for size in (4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB):
                src, dst = fill(there / "src", size), fill(there / "dst", size)
                os.sync()
                ways: dict[str, Way] = {
                    "shutil": lambda: void(shutil.copyfile(src, dst)),
                    "copyfile": lambda: void(fastcopy.copyfile(src, dst)),
                }
                times = medians(ways, rounds * 6)
                ratio = times["shutil"] / times["copyfile"]
                tell(f"overwrite {size // KIB} KiB, {name}", ">= 4 x", ratio, show(times, 1e6, "us"))


@figure
def small(work: Path, rounds: int) -> None:
    """4 KiB to a new file on tmpfs, against shutil.copyfile and the bare system calls."""
    library, buffer = bare(), ctypes.create_string_buffer(8 * KIB)
    with filesystem("tmpfs", work) as there:
        a, b = str(fill(there / "src", 4 * KIB)), str(there / "dst")
        a_bytes, b_bytes = a.encode(), b.encode()
        ways: dict[str, Way] = {
            "bare": lambda: timed_in_c(library.bare_copy(a_bytes, b_bytes, buffer, 8 * KIB)),
            "shutil": lambda: void(shutil.copyfile(a, b)),
            "copyfile": lambda: void(fastcopy.copyfile(a, b)),
            "transfer": lambda: void(fastcopy.transfer(a, b)),
        }
        times = medians(ways, rounds * 400, before=lambda: remove(Path(b)))
        detail = show(times, 1e6, "us")
        tell("4 KiB, tmpfs: copyfile against shutil", ">= 2.5 x", times["shutil"] / times["copyfile"], detail)
        tell("4 KiB, tmpfs: copyfile against bare calls", "<= 1.6 x", times["copyfile"] / times["bare"], detail)


@figure
def clone(work: Path, rounds: int) -> None:
    """Shared extents, against a C program that opens, creates, clones and closes."""
    library = bare()
    for name in ("xfs", "btrfs"):
        with filesystem(name, work) as there:
            a, b = str(fill(there / "src", GIB)), str(there / "dst")
            os.sync()
            a_bytes, b_bytes = a.encode(), b.encode()
            ways: dict[str, Way] = {
                "bare": lambda: timed_in_c(library.bare_clone(a_bytes, b_bytes)),
                "copyfile": lambda: void(fastcopy.copyfile(a, b)),
                "transfer": lambda: void(fastcopy.transfer(a, b)),
            }
            times = medians(ways, rounds * 10, before=lambda: remove(Path(b)))
            for ours in ("copyfile", "transfer"):
                tell(f"clone 1 GiB, {name}: {ours}", "<= 1.3 x", times[ours] / times["bare"], show(times, 1e6, "us"))


def drop(*paths: Path) -> None:
    os.sync()
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def fio_each_way(directory: Path, size: int) -> float:
    """Bytes a second that fio moves each way when it reads one file and writes another at once, directly."""
    common = ["--direct=1", "--bs=1M", "--ioengine=libaio", "--iodepth=4", f"--size={size}", "--end_fsync=1"]
    jobs = ["--name=in", "--rw=read", f"--filename={directory}/src", "--name=out", "--rw=write"]
    command = ["fio", "--output-format=json", *common, *jobs, f"--filename={directory}/fio"]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    remove(directory / "fio")
    return min(out["jobs"][0]["read"]["bw_bytes"], out["jobs"][1]["write"]["bw_bytes"])


@figure
def cold(work: Path, rounds: int) -> None:
    """1 GiB that is not in memory, forced to the disk, against cp with sync, and dd direct."""
    src, dst = fill(work / "src", GIB), work / "dst"

    def cp() -> None:
        subprocess.run(["cp", src, dst], check=True)
        subprocess.run(["sync", dst], check=True)

    def dd() -> None:
        flags = ["bs=1M", "iflag=direct", "oflag=direct", "conv=fsync", "status=none"]
        subprocess.run(["dd", f"if={src}", f"of={dst}", *flags], check=True)

    def before() -> None:
        remove(dst)
        drop(src)

    ways: dict[str, Way] = {
        "cp+sync": cp,
        "dd direct": dd,
        "fio": lambda: GIB / fio_each_way(work, GIB),
        "auto": lambda: void(fastcopy.transfer(src, dst, sync="data")),
        "direct": lambda: void(fastcopy.transfer(src, dst, engine="direct", sync="data")),
        "cache=drop": lambda: void(fastcopy.transfer(src, dst, cache="drop", sync="data")),
    }
    times = medians(ways, rounds, before)
    best = min(times["cp+sync"], times["dd direct"])
    tell("1 GiB cold and synced: auto", ">= 1 x", best / times["auto"], show(times))
    tell("1 GiB cold and synced: direct", ">= 1 x", best / times["direct"], show(times))
    tell("1 GiB cold and synced: direct against fio each way", ">= 0.9 x", times["fio"] / times["direct"], show(times))
    remove(src)
    remove(dst)


def anonymous() -> int:
    with open("/proc/self/smaps_rollup") as f:
        return next(int(line.split()[1]) * KIB for line in f if line.startswith("Anonymous:"))


@figure
def memory(work: Path, rounds: int) -> None:
    """Private memory that a copy of 4 GiB adds, with each engine."""
    src, dst = work / "src", work / "dst"
    with filesystem("tmpfs", work) as there:
        src, dst = fill(there / "src", 4 * GIB), there / "dst"
        for engine in fastcopy.engines():
            start, most = anonymous(), [0]

            def look(_: object, start: int = start, most: list[int] = most) -> None:
                most[0] = max(most[0], anonymous() - start)

            try:
                report = fastcopy.transfer(src, dst, engine=engine, progress=look)
            except fastcopy.CopyError as error:
                print(f"{engine}: {error}")
                continue
            detail = f"buffers {report.buffer_bytes / MIB:.2f} MiB, mapped {report.mapped_bytes / MIB:.0f} MiB"
            tell(f"private memory of 4 GiB, {engine} (MiB)", "<= 32", most[0] / MIB, detail)
            remove(dst)


@figure
def counting(work: Path, rounds: int) -> None:
    """The rate of a Python thread that counts, beside a copy with one worker, against its rate alone."""
    with filesystem("tmpfs", work) as there:
        src, dst = fill(there / "src", GIB), there / "dst"
        rates: dict[str, list[float]] = {"alone": [], "beside": []}
        for _ in range(rounds):
            for kind in rates:
                count, stop = [0], threading.Event()

                def spin(count: list[int] = count, stop: threading.Event = stop) -> None:
                    while not stop.is_set():
                        count[0] += 1

                thread = threading.Thread(target=spin)
                began = time.perf_counter()
                thread.start()
                if kind == "alone":
                    time.sleep(0.5)
                else:
                    remove(dst)
                    fastcopy.transfer(src, dst, workers=1)
                stop.set()
                thread.join()
                rates[kind].append(count[0] / (time.perf_counter() - began))
        alone, beside = statistics.median(rates["alone"]), statistics.median(rates["beside"])
        tell("rate of a counting Python thread, workers=1", ">= 0.9 x", beside / alone, f"{beside / 1e6:.1f} M/s")


def timed(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def mapped_xxh3(path: Path) -> str:
    import mmap

    import xxhash

    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        return xxhash.xxh3_128_hexdigest(m)


def mapped_blake3(path: Path) -> str:
    from blake3 import blake3

    return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()


@figure
def integrity(work: Path, rounds: int) -> None:
    """1 GiB, warm: verified copies and digests against the same libraries in their fastest form, one after another."""
    for name, asked in (("ext4", 1.05), ("tmpfs", 1.15)):
        with filesystem(name, work) as there:
            src, dst, equal = fill(there / "src", GIB), there / "dst", there / "equal"
            shutil.copyfile(src, equal)
            os.sync()

            def in_turn(digest: Callable[[Path], str], src: Path = src, dst: Path = dst) -> None:
                shutil.copyfile(src, dst)
                if digest(src) != digest(dst):
                    raise ValueError(f"{dst} is not {src}")

            ways: dict[str, Way] = {
                "in turn, blake3": lambda: in_turn(mapped_blake3),
                "in turn, xxh3_128": lambda: in_turn(mapped_xxh3),
                "hash, blake3": lambda: void(fastcopy.transfer(src, dst, verify="hash")),
                "hash, xxh3_128": lambda: void(fastcopy.transfer(src, dst, verify="hash", hash="xxh3_128")),
                "compare": lambda: void(fastcopy.transfer(src, dst, verify="compare")),
                "plain": lambda: void(fastcopy.transfer(src, dst)),
                "digest alone": lambda: void(fastcopy.transfer(src, dst, hash="xxh3_128")),
            }
            times = medians(ways, rounds, before=lambda: remove(dst))
            detail = show(times)
            tell(f"verified, blake3, {name}", f">= {asked} x", times["in turn, blake3"] / times["hash, blake3"], detail)
            tell(f"verified, xxh3_128, {name}", ">= 1.25 x", times["in turn, xxh3_128"] / times["hash, xxh3_128"], "")
            tell(f"digest alone against plain, {name}", "<= 1.25 x", times["digest alone"] / times["plain"], "")

            ways = {
                "b3sum": lambda: timed("b3sum", src),
                "update_mmap": lambda: void(mapped_blake3(src)),
                "hash_file": lambda: void(fastcopy.hash_file(src)),
                "cmp": lambda: timed("cmp", src, equal),
                "compare": lambda: void(fastcopy.compare(src, equal)),
            }
            times = medians(ways, rounds)
            rival = min(times["b3sum"], times["update_mmap"])
            tell(f"hash_file, {name}", ">= 1 x", rival / times["hash_file"], show(times))
            tell(f"compare, {name}", ">= 1 x", times["cmp"] / times["compare"], "")


@figure
def busy(work: Path, rounds: int) -> None:
    """A verified copy beside a Python thread that never rests, against one beside such a process."""
    with filesystem("ext4", work) as there:
        src, dst = fill(there / "src", GIB), there / "dst"
        os.sync()

        def beside_thread() -> float:
            stop = threading.Event()

            def spin() -> None:
                while not stop.is_set():
                    pass

            thread = threading.Thread(target=spin)
            thread.start()
            began = time.perf_counter()
            fastcopy.transfer(src, dst, verify="hash")
            seconds = time.perf_counter() - began
            stop.set()
            thread.join()
            return seconds

        def beside_process() -> float:
            spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            time.sleep(0.1)
            began = time.perf_counter()
            fastcopy.transfer(src, dst, verify="hash")
            seconds = time.perf_counter() - began
            spinning.kill()
            spinning.wait()
            return seconds

        times = medians({"thread": beside_thread, "process": beside_process}, rounds, before=lambda: remove(dst))
        tell("verified, beside a busy Python thread", ">= 0.8 x", times["process"] / times["thread"], show(times))


@figure
def verified_memory(work: Path, rounds: int) -> None:
    """Private memory that a verified copy of 4 GiB adds."""
    with filesystem("tmpfs", work) as there:
        src, dst = fill(there / "src", 4 * GIB), there / "dst"
        fastcopy.transfer(fill(there / "small", MIB), dst, verify="hash")  # what is imported is no memory of a copy
        start, most = anonymous(), [0]

        def look(_: object) -> None:
            most[0] = max(most[0], anonymous() - start)

        report = fastcopy.transfer(src, dst, verify="hash", progress=look)
        detail = f"ring {report.buffer_bytes / MIB:.0f} MiB"
        tell("private memory of 4 GiB, verified (MiB)", "<= 96", most[0] / MIB, detail)


def prime() -> None:
    """The first gigabytes that a guest ever touches are ten times slower than the next: touch them now."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as f:
        block = bytes(MIB)
        for _ in range(8 * KIB):
            f.write(block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("build/figures"))
    parser.add_argument("--only", nargs="+", choices=list(FIGURES), default=list(FIGURES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("figures.py mounts filesystems, so it needs root")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    prime()
    print(f"{'what':58} {'asked':>12}   reached   medians")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as work:
        for name in arguments.only:
            FIGURES[name](Path(work), arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(RESULTS, indent=1))


if __name__ == "__main__":
    main()
