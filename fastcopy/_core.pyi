"""The binding: marshalling only. Each function converts, calls the core once without the GIL, converts back."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, TypeAlias

StrOrBytesPath: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]

ENGINES: tuple[str, ...]  # in the order of engines.def
CODES: dict[str, int]  # stable error code -> errno
OPERATIONS: tuple[str, ...]  # the names of the system calls, in the order of sys.def
HAS_FAULTS: bool  # the test build, whose system calls can be made to fail

# Called on the calling thread about every 50 ms while a copy runs; what it raises ends the copy and comes out.
Tick: TypeAlias = Callable[[int, int, str], object]  # bytes, total, phase: "copy" | "verify" | "sync"

# Makes what has `update(memoryview)`, which must not keep the view, and `hexdigest()`.
NewHasher: TypeAlias = Callable[[], Any]

class Options:
    """One `struct fc_options`: values were validated by fastcopy.options, here they are only stored.

    None, or 0 of a number, means no wish; `split_depth=-1` means no wish.
    """

    def __init__(
        self,
        *,
        engine: str | None = None,
        reflink: str = "auto",
        sparse: str = "auto",
        cache: str = "auto",
        sync: str = "none",
        verify: str = "none",
        digest: bool = False,  # is the report to have one
        atomic: bool = True,
        keep_failed: bool = False,
        on_change: str = "error",
        no_zero_copy: bool = False,
        preserve: frozenset[str] = ...,
        required: frozenset[str] = ...,  # of `preserve`, those that are an error when they cannot be kept
        withhold: int = 0,  # permissions that no copy is given; what replaces a file keeps its mode
        workers: int = 0,
        split_depth: int = -1,
        parallel_threshold: int = 0,
        min_region: int = 0,
        chunk: int = 0,
        window: int = 0,
        flush_every: int = 0,
    ) -> None: ...

BUILT_IN: dict[str, int]  # the numbers of the dispatcher that a calibration may replace

class Tuning:
    """The numbers of the dispatcher: the built-in ones, and those of filesystems that were calibrated."""

    def __init__(self, calibrated: Iterable[tuple[int, Mapping[str, int]]] = ()) -> None:
        """(device, what replaces BUILT_IN for copies within it); the last entry of a device counts."""

class Plan:
    """A decision (`struct fc_facts` + `struct fc_plan`). Holds no descriptor."""

    src: StrOrBytesPath
    dst: StrOrBytesPath

    def facts(self) -> dict[str, Any]:
        """src, dst (dicts: fs, size, dev, ino, mode, exists, rotational, free_bytes, dio_offset, flags ...),
        machine (cpus, batch_cpus, memory_available, kernel), resident, dirty, data_bytes."""
    def choice(self) -> dict[str, Any]:
        """engine (first rung), ladder (tuple of names), reason, reason_text, workers, workers_reason,
        workers_reason_text, split_depth, min_region, chunk, window, read_chunk, align, flush_every, size, small,
        has_holes, find_zeros, preallocate, keep_blocks, drop_cache, in_place, to_eof, calibrated, verify, digest,
        readers."""
    def run(self, tick: Tick | None = None, new: NewHasher | None = None) -> dict[str, Any]:
        """Carry it out; returns the report: bytes, written, elapsed (seconds), engine, attempts
        (tuple of (engine, errno, offset)), workers, regions, windows, flushes, buffer_bytes, mapped_bytes,
        warnings (tuple of words: "mode", "times", "owner", "xattr", "ctime", "changed", "setid"), digest (hex or
        None), digest_of ("written", "reread" or None), both_read, verified, verify_elapsed (seconds).
        `new` is needed where the plan's choice says "digest".
        Raises what fastcopy.errors.from_core makes of a failure."""

def plan(src: StrOrBytesPath, dst: StrOrBytesPath, options: Options, tuning: Tuning, fresh: bool = False) -> Plan:
    """Look and decide; nothing is created or changed. Raises as run() does.
    fresh: nothing is to have the name; what has it when the copy is published is FileExistsError, and stays."""

class Filter:
    """Patterns for `tree`, see csrc/filter.c."""

    def __init__(self, without: tuple[bytes, ...], only: tuple[bytes, ...]) -> None: ...

# Called on the calling thread about every 50 ms while a tree is copied: bytes, bytes found so far, files, files
# found so far, the path below the root that is being copied. What it raises ends the copy and comes out.
TreeTick: TypeAlias = Callable[[int, int, int, int, bytes], object]

# Called on the calling thread with what became of entries, in the order in which it happened: path below the root,
# kind, outcome, why it was skipped, bytes copied, errno. What it raises ends the copy and comes out.
Told: TypeAlias = Callable[[list[tuple[bytes, str, str, str | None, int, int]]], object]

def tree(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    options: Options,
    tuning: Tuning,
    *,
    tick: TreeTick | None = None,
    told: Told | None = None,
    told_room: int = 0,  # bytes of entries that wait to be told; 0: enough
    existing: str = "overwrite",
    special: str = "skip",
    order: str = "as_found",
    follow: bool = False,  # symlinks
    links: bool = False,  # hard links are kept
    one_filesystem: bool = False,
    dry_run: bool = False,
    stop_on_error: bool = False,
    as_shutil: bool = False,  # metadata as copystat leaves it
    min_size: int = 0,
    max_size: int | None = None,
    errors_kept: int = 1000,
    filter: Filter | None = None,
) -> dict[str, Any]:
    """Copy the directory `src` as `dst`. The counts of `struct fc_tree_counts`, error_count, errors (a list of
    (path below the root, operation, errno, code, at, why)), warnings (words), workers, elapsed, buffer_bytes.
    Raises where it is refused as a whole, and what `tick` raises."""

def somebody_audits() -> bool:
    """Whether there is an audit hook."""

def capabilities(path: StrOrBytesPath) -> dict[str, str | None]:
    """Engine -> None where it can run on the filesystem of `path`, else why not."""

def copyfile(src: StrOrBytesPath, dst: StrOrBytesPath, tuning: Tuning | Callable[[], Tuning]) -> bool:
    """shutil.copyfile with follow_symlinks=True and nothing else asked, in one go: audit events, same-file and
    FIFO checks, both opens, the copy. Raises exactly what shutil.copyfile raises, but for a destination that names
    no file, which is IsADirectoryError. False, and nothing was done: not a copy between regular files.
    `tuning` may be a way to find it, which is asked only when the file is not small."""

def copy_fds(
    src_fd: int,
    dst_fd: int,
    options: Options,
    tuning: Tuning,
    tick: Tick | None,
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    new: NewHasher | None = None,
) -> dict[str, Any]:
    """Copy between two open descriptors in place; the report as from Plan.run, plus "choice" (as Plan.choice).
    The names are for the exceptions, which are shutil's: with a code only where a condition is our own."""

def read_in_order(fd: int, update: Callable[[memoryview], object], tick: Tick | None) -> int:
    """Feed an open file to `update`, from its first byte to its last, in long views that are good for the call only.
    Returns how many bytes there were. What `update` and `tick` raise comes out; an OSError of reading has no name."""

def compare_fds(fd_a: int, fd_b: int, tick: Tick | None) -> int | None:
    """The offset of the first byte in which two open files differ, or where the shorter ends; None: nowhere."""

def region_split(size: int, depth: int, min_region: int) -> list[tuple[int, int]]:
    """The leaves of a file as (start, end), for the property tests."""

def plan_from_facts(facts: dict[str, Any], options: Options, tuning: Tuning) -> dict[str, Any]:
    """The dispatcher on invented facts (same keys as Plan.facts, missing ones are zero); returns Plan.choice."""

# Only where HAS_FAULTS:
def faults_set(script: list[tuple[str, int, bool, str, int]]) -> None:
    """Rules (operation, nth, for_ever, "errno" | "short" | "delay" | "flip", value); [] clears.
    value: errno; bytes at most; microseconds; the offset of the byte that pread or pwrite moves wrong, the nth time
    that it is moved."""

def faults_calls(operation: str) -> int: ...
def faults_struck(index: int) -> int: ...
