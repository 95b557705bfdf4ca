"""Every system call x what can go wrong with it x engine: the right copy by another way, or a clear error."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import fastcopy
from fastcopy import _core
from support.faults import BULK, ERRNOS, Rule, fails, faults, needs_faults, short, slow
from support.matrix import MODES, PROOFS, SETTINGS, SIZE, Bench, Outcome
from support.mounts import Mounts
from support.proofs import Meanwhile
from support.settings import FULL, dice, unavailable
from support.state import notes, unpublished

pytestmark = needs_faults

TRANSFERS = ("pread", "pwrite", "copy_file_range", "process_vm_readv")  # the calls that can be short


def rules_for(operation: str) -> list[Rule]:
    """Everything that can go wrong with it."""
    rules = [
        fails(operation, err, nth, for_ever)
        for err in ERRNOS
        for nth, for_ever in ((1, False), (2, False), (5, False), (1, True), (3, True))
    ]
    rules.append(slow(operation, 0.0005))
    if operation in TRANSFERS:
        rules += [short(operation, n, nth) for n in (0, 1, 511, 4095, 4097, 65_535) for nth in (1, 2, 6)]
        rules += [short(operation, n, 1, for_ever=True) for n in (0, 4097, 16_384, 65_537)]
    return rules


@pytest.fixture
def bench(mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path) -> Callable[[str, str, str], Bench]:
    # Every engine can run on XFS; who is not root tries those that can run where he is.
    directory = empty_directory(mounts.use("xfs")) if os.geteuid() == 0 else tmp_path

    def make(engine: str, mode: str, setting: str = "plain") -> Bench:
        if engine != "auto" and not fastcopy.capabilities(directory)[engine]:
            unavailable(f"{engine} cannot run here: {fastcopy.capabilities(directory)[engine].why}")
        return Bench(directory, engine, mode, setting)

    return make


@pytest.fixture
def bench_on(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> Callable[[str, str, str], Bench]:
    def make(filesystem: str, engine: str, mode: str) -> Bench:
        return Bench(empty_directory(mounts.use(filesystem)), engine, mode)

    return make


BenchMaker = Callable[[str, str, str], Bench]


@pytest.mark.parametrize("operation", _core.OPERATIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_right_copy_or_clear_error_whatever_call_fails(
    engine: str, mode: str, operation: str, bench: BenchMaker
) -> None:
    for setting in SETTINGS:
        setup = bench(engine, mode, setting)
        calls = setup.usual_calls()[operation]
        rules = rules_for(operation)
        if not calls:
            rules = rules[:1]  # which cannot strike, and must change nothing
        elif not FULL:
            rules = dice(f"{engine} {mode} {operation} {setting}").sample(rules, 4)
        for rule in rules:
            outcome = setup.copy(rule)
            if rule.nth == 1 and calls > 0:
                # The case is one only if the rule struck.
                assert outcome.struck[0] > 0, f"{rule} did not strike in {setup}"


def copy_with_late(rule: Rule, setup: Bench) -> Outcome:
    """A copy in which the rule holds from the moment when all bytes are at the destination, and counts from there."""
    passes = setup.engine in ("buffered", "direct", "mapped")
    arm = Meanwhile(
        lambda: _core.faults_set([rule.row()]),
        at="fed" if passes or setup.setting == "compare" else "made",
        fed=SIZE,
    )
    outcome = setup.copy(replace(rule, nth=1 << 31, for_ever=False), hash=arm)
    assert arm.acted
    return outcome


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_what_cannot_be_proved_is_not_published_whatever_call_fails(
    engine: str, mode: str, proof: str, bench: BenchMaker
) -> None:
    setup = bench(engine, mode, proof)
    chance = dice(f"{engine} {mode} {proof}")
    calls = copy_with_late(slow("pread", 0), setup).calls
    assert calls["pread"] >= 2 or proof == "digest"
    for operation in _core.OPERATIONS:
        if not calls[operation]:
            continue
        rules = rules_for(operation)
        for rule in rules if FULL else chance.sample(rules, 3):
            outcome = copy_with_late(replace(rule, nth=chance.randint(1, calls[operation])), setup)
            if operation == "pread" and rule.kind == "errno" and engine != "auto":
                assert outcome.struck[0] > 0
                # Past the page cache EINVAL means that it cannot be done so.
                again = (errno.EINTR, errno.EINVAL) if proof == "media" else (errno.EINTR,)
                assert outcome.error is not None or (rule.value in again and not rule.for_ever)


@pytest.mark.parametrize("proof", ("compare", "hash", "media"))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ("buffered", "clone", "copy_range", "mapped"))
def test_a_proof_that_reads_too_little_proves_nothing(engine: str, mode: str, proof: str, bench: BenchMaker) -> None:
    # A read that brings nothing before the end: whatever it means, not all of it was seen.
    setup = bench(engine, mode, proof)
    calls = copy_with_late(slow("pread", 0), setup).calls["pread"]
    first = 2 if mode == "copyfile" and engine in ("buffered", "mapped") else 1  # one looks whether the source grew
    for nth in {first, calls // 2 + 1, calls}:
        outcome = copy_with_late(short("pread", 0, nth), setup)
        assert outcome.struck == [1]
        assert isinstance(outcome.error, fastcopy.CopyError)
        assert outcome.error.code in ("VERIFY_E_MISMATCH", "COPY_E_SOURCE_CHANGED")


def test_every_operation_is_walked_by_some_copy(bench: BenchMaker) -> None:
    # An operation that no case calls is tested by none. These are called on other kernels, for larger files
    # than here, or after another call has failed.
    elsewhere = {"mincore", "unlinkat", "sync_file_range", "getrandom", "fremovexattr"}
    # And these for directories: unit/test_tree_hostile.py walks them.
    of_trees = {"getdents", "readlinkat", "symlinkat", "mknodat", "mkdirat", "fchownat", "utimensat", "syncfs"}
    called = set()
    for engine in ("auto", *fastcopy.engines()):
        for mode in MODES:
            for setting in SETTINGS:
                calls = bench(engine, mode, setting).copy().calls
                called |= {operation for operation, count in calls.items() if count}
    assert set(_core.OPERATIONS) - called <= elsewhere | of_trees


# ---- what must not even be an error ------------------------------------------------------------------

HARMLESS = [
    *((operation, name) for operation in ("fadvise", "cachestat", "thread") for name in ("EIO", "ENOMEM", "EPERM")),
    *(("fallocate", name) for name in ("EOPNOTSUPP", "ENOSYS")),
    ("sync_file_range", "ENOSYS"),
    ("statx", "ENOSYS"),
    ("statx", "EPERM"),
]


@pytest.mark.parametrize(("operation", "name"), HARMLESS)
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_what_only_helps_may_fail(engine: str, operation: str, name: str, bench: BenchMaker) -> None:
    for setting in SETTINGS:
        for mode in MODES:
            rule = fails(operation, getattr(errno, name), for_ever=True)
            assert bench(engine, mode, setting).copy(rule).error is None


@pytest.mark.parametrize("operation", [op for op in _core.OPERATIONS if op not in ("memory", "thread", "fadvise")])
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_an_interrupted_call_is_made_again(engine: str, operation: str, bench: BenchMaker) -> None:
    for nth in (1, 2):
        for setting in SETTINGS:
            assert bench(engine, "atomic", setting).copy(fails(operation, errno.EINTR, nth)).error is None


@pytest.mark.parametrize("engine", fastcopy.engines())
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_most", (1000, 4097, 65_537))
def test_short_transfers_are_continued(engine: str, mode: str, at_most: int, bench: BenchMaker) -> None:
    # O_DIRECT cannot go on from an odd offset: then the named engine says so, or finds its way.
    rules = [short(operation, at_most, for_ever=True) for operation in TRANSFERS]
    outcome = bench(engine, mode, "plain").copy(*rules)
    if engine == "direct" and outcome.error is not None:
        assert isinstance(outcome.error, fastcopy.CopyError)
    else:
        assert outcome.error is None
    if engine in ("buffered", "copy_range"):
        assert sum(outcome.struck) > 3


@pytest.mark.parametrize("mode", MODES)
def test_a_thread_that_cannot_be_made_is_no_error(mode: str, bench: BenchMaker) -> None:
    outcome = bench("buffered", mode, "plain").copy(fails("thread", errno.EAGAIN, for_ever=True))
    assert outcome.error is None
    assert outcome.struck[0] > 0
    assert outcome.report is None or outcome.report.workers == 1


# ---- handing over -------------------------------------------------------------------------------------

# In place on XFS a small file is rewritten and not cloned; on ext4 it goes with one copy of the kernel's,
# unless regions are asked for.
ONE_COPY: dict[str, object] = {"workers": "auto", "parallel_threshold": None}
HANDED_OVER = ("EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS", "EPERM", "EIO", "ENOENT", "EACCES", "ETXTBSY", "EFBIG")


@pytest.mark.parametrize("name", HANDED_OVER)
@pytest.mark.parametrize("nth", (1, 3))
@pytest.mark.parametrize("mode", MODES)
def test_auto_goes_on_where_the_kernels_copy_gave_up(name: str, nth: int, mode: str, bench_on: BenchMaker) -> None:
    err = getattr(errno, name)
    in_place = mode in ("in place", "copyfile")
    setup = bench_on("ext4" if in_place else "xfs", "auto", mode)
    outcome = setup.copy(
        fails("ficlone", errno.EOPNOTSUPP),
        fails("copy_file_range", err, nth, for_ever=True),
        **(ONE_COPY if in_place else {}),
    )
    assert outcome.error is None
    assert outcome.struck[0] == (0 if in_place else 1)
    if nth == 1:
        assert outcome.struck[1] > 0
    if outcome.report is not None and outcome.struck[1]:
        assert outcome.report.engine == "buffered"
        tried = [attempt.engine for attempt in outcome.report.attempts]
        assert tried == ["clone", "copy_range", "buffered"][in_place:]
        assert outcome.report.fallbacks == 2 - in_place


@pytest.mark.parametrize("name", ("EXDEV", "EOPNOTSUPP", "ENOSYS"))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("engine", "operation"), (("clone", "ficlone"), ("copy_range", "copy_file_range")))
def test_a_named_engine_that_cannot_run_raises(
    engine: str, operation: str, mode: str, name: str, bench: BenchMaker
) -> None:
    outcome = bench(engine, mode, "plain").copy(fails(operation, getattr(errno, name), for_ever=True))
    assert isinstance(outcome.error, fastcopy.CopyError)
    assert outcome.error.code == "COPY_E_UNSUPPORTED"
    assert outcome.struck[0] > 0


@pytest.mark.parametrize("name", ("EIO", "ENOMEM", "ENOSPC", "EDQUOT"))
@pytest.mark.parametrize("engine", ("auto", "clone"))
def test_a_clone_that_fails_for_real_is_final(engine: str, name: str, bench_on: BenchMaker) -> None:
    outcome = bench_on("xfs", engine, "atomic").copy(fails("ficlone", getattr(errno, name)))
    assert outcome.error is not None
    assert outcome.error.errno == getattr(errno, name)
    assert outcome.calls["pwrite"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_range_that_says_zero_before_the_end_is_not_believed(mode: str, bench_on: BenchMaker) -> None:
    outcome = bench_on("ext4" if mode in ("in place", "copyfile") else "xfs", "auto", mode).copy(
        fails("ficlone", errno.EOPNOTSUPP),
        short("copy_file_range", 0, for_ever=True),
        **(ONE_COPY if mode in ("in place", "copyfile") else {}),
    )
    assert outcome.error is None
    assert outcome.struck[1] > 0


# ---- what must be an error ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "name", "engine", "code"),
    (
        ("pread", "EIO", "buffered", None),
        ("pwrite", "EIO", "buffered", None),
        ("pwrite", "ENOSPC", "buffered", "COPY_E_NOSPACE"),
        ("pwrite", "EDQUOT", "buffered", None),
        ("pread", "EIO", "direct", None),
        ("pwrite", "EIO", "direct", None),
        ("pwrite", "ENOSPC", "direct", "COPY_E_NOSPACE"),
        ("mmap", "ENOMEM", "mapped", None),
        ("fsync", "EIO", "buffered", None),
        ("fsync", "ENOSPC", "direct", None),
        ("renameat", "EIO", "buffered", "FINALIZE_E_RENAME"),
        ("fchown", "EPERM", "buffered", "FINALIZE_E_METADATA"),
        ("fchmod", "EIO", "buffered", "FINALIZE_E_METADATA"),
        ("futimens", "EIO", "buffered", "FINALIZE_E_METADATA"),
        ("fsetxattr", "EOPNOTSUPP", "buffered", "FINALIZE_E_METADATA"),
    ),
)
def test_a_failure_is_never_swallowed(
    operation: str, name: str, engine: str, code: str | None, bench: BenchMaker
) -> None:
    err = getattr(errno, name)
    outcome = bench(engine, "atomic", "thorough").copy(fails(operation, err, for_ever=True))
    assert outcome.struck[0] > 0
    assert outcome.error is not None
    assert outcome.error.errno == err
    if code is not None:
        assert isinstance(outcome.error, fastcopy.CopyError)
        assert outcome.error.code == code


@pytest.mark.parametrize("mode", ("atomic", "new", "in place"))  # copyfile with options closes Python's files
@pytest.mark.parametrize("engine", fastcopy.engines())
def test_an_error_of_close_is_raised(engine: str, mode: str, bench: BenchMaker) -> None:
    # NFS and quotas report there what was not written. Only the destination's close matters.
    setup = bench(engine, mode, "plain")
    closes = setup.copy().calls["close"]
    raised = [setup.copy(fails("close", errno.EIO, nth)).error for nth in range(1, closes + 1)]
    assert any(error is not None and error.errno == errno.EIO for error in raised)


@pytest.mark.parametrize("engine", ("buffered", "direct", "mapped", "copy_range"))
def test_a_kept_file_is_named_in_the_error(engine: str, bench: BenchMaker) -> None:
    setup = bench(engine, "atomic", "plain")
    setup.prepare()
    with faults(fails(BULK[engine], errno.EIO, for_ever=True)), pytest.raises(OSError) as failure:
        fastcopy.transfer(setup.src, setup.dst, engine=engine, keep_failed=True, chunk=65536)
    (left,) = unpublished(setup.directory)
    assert left in notes(failure.value)


def test_a_write_that_accepts_nothing_ends_in_an_error(bench: BenchMaker) -> None:
    for mode in MODES:
        outcome = bench("buffered", mode, "plain").copy(short("pwrite", 0, for_ever=True))
        assert outcome.error is not None
        assert outcome.struck[0] < 10_000  # and does not spin


def test_the_error_nearest_to_the_start_of_an_in_place_copy_cuts_it_there(bench: BenchMaker) -> None:
    # Three workers write at once; what stays is only what is whole from the first byte on.
    for nth in range(1, 15):
        outcome = bench("buffered", "in place", "plain").copy(fails("pwrite", errno.EIO, nth))
        assert outcome.error is not None
