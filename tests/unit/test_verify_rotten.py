"""Verified copies to which something happens: a clear error, the old destination, and nothing left behind."""

import errno
import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import fastcopy
from fastcopy import _core
from support.faults import calls, fails, faults, needs_faults, slow
from support.mounts import Mounts
from support.proofs import EXPECTED, Meanwhile, Own, being_written, flip
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.state import notes, nothing_leaked, unpublished

SIZE = MIB + 7
SMALL = 100_000  # copied in one read and one write
LONG = 4 * MIB + 7  # so that reading it takes CHUNKS calls
CHUNK = 256 * KIB
CHUNKS = 17
OLD = noise(5000, "old")
PASSES = ("buffered", "direct", "mapped")
DIGESTS = ("hash", "media")


def regions(workers: int, size: int = SIZE) -> dict[str, object]:
    """Many borders in a small file."""
    if size == SMALL:
        return {}
    chunk = CHUNK if size == LONG else 64 * KIB
    return {"workers": workers, "parallel_threshold": chunk, "min_region": chunk, "chunk": chunk}


@pytest.fixture
def directory(mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path) -> Path:
    """Where every engine can run, with a source of long ago and an old destination."""
    path = empty_directory(mounts.use("xfs")) if os.geteuid() == 0 else tmp_path
    set_source(path, SIZE)
    (path / "dst").write_bytes(OLD)
    return path


def set_source(directory: Path, size: int) -> None:
    (directory / "src").write_bytes(noise(size))
    os.utime(directory / "src", ns=(10**18, 10**18))  # so that no coarse clock hides a change


def reads(directory: Path, door: str = "atomic", **options: object) -> int:
    """How often such a copy calls pread, the looks at the machine included."""
    with faults(slow("pread", 0)):
        carry(directory, door, **options)
    (directory / "dst").write_bytes(OLD)
    return calls["pread"]


def carry(directory: Path, door: str = "atomic", **options: object) -> fastcopy.Report | None:
    """A copy by one of the ways in."""
    engine = options.get("engine")
    if engine is not None and not fastcopy.capabilities(directory)[str(engine)]:
        unavailable(f"{engine} cannot run here")
    src, dst = directory / "src", directory / "dst"
    if door == "copyfile":
        fastcopy.copyfile(src, dst, **options)
        return None
    return fastcopy.transfer(src, dst, atomic=door == "atomic", **options)


def check_mismatch(error: fastcopy.VerifyError, directory: Path, door: str) -> None:
    assert error.code == "VERIFY_E_MISMATCH"
    assert error.errno == errno.EBADMSG
    assert (error.filename, error.filename2) == (str(directory / "src"), str(directory / "dst"))
    assert "code=VERIFY_E_MISMATCH" in notes(error)
    assert ("already overwritten" in str(error)) == (door != "atomic")
    if door == "atomic":
        assert (directory / "dst").read_bytes() == OLD


DOORS = ("atomic", "in place", "copyfile")


# ---- a copy that is not what was written ---------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("level", DIGESTS)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("engine", fastcopy.engines())
def test_a_copy_that_was_spoilt_has_another_digest(
    engine: str, workers: int, door: str, level: str, directory: Path
) -> None:
    # When its last byte was hashed, all of it is written.
    spoil = Meanwhile(lambda: flip(being_written(directory), SIZE // 3), fed=SIZE)
    with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, door, engine=engine, verify=level, hash=spoil, **regions(workers))
    error = failure.value
    check_mismatch(error, directory, door)
    spoilt = bytearray(noise(SIZE))
    spoilt[SIZE // 3] ^= 0x40
    assert error.digests == (EXPECTED[Own](noise(SIZE)), EXPECTED[Own](bytes(spoilt)))
    assert all(digest in str(error) for digest in error.digests)
    assert error.offset is None
    if door != "atomic":
        assert (directory / "dst").read_bytes() == spoilt


@pytest.mark.release
@pytest.mark.parametrize("offset", (0, 64 * KIB, SIZE // 2, SIZE - 1))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
def test_a_copy_that_was_spoilt_differs_from_its_first_other_byte_on(
    engine: str, workers: int, door: str, offset: int, directory: Path
) -> None:
    def spoil() -> None:
        flip(being_written(directory), offset)
        flip(being_written(directory), SIZE - 1) if offset != SIZE - 1 else None

    named = {} if engine == "auto" else {"engine": engine}
    meanwhile = Meanwhile(spoil, fed=SIZE)
    with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, door, verify="compare", hash=meanwhile, **named, **regions(workers))
    check_mismatch(failure.value, directory, door)
    assert failure.value.offset == offset
    assert failure.value.digests is None
    assert f"offset {offset} " in str(failure.value)


@needs_faults
@pytest.mark.parametrize("door", DOORS)
def test_a_comparison_without_a_digest_sees_it_too(door: str, directory: Path) -> None:
    # One worker, which reports while it reads: slowly, so that it does before it comes to the last byte.
    phases: list[str] = []

    def spoil(p: fastcopy.Progress) -> None:
        if p.phase == "verify" and "verify" not in phases:
            flip(being_written(directory), LONG - 1)
        phases.append(p.phase)

    set_source(directory, LONG)
    slowly = slow_proof(directory, door, engine="buffered")
    with nothing_leaked(directory), slowly, pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, door, engine="buffered", verify="auto", progress=spoil, **regions(1, LONG))
    check_mismatch(failure.value, directory, door)
    assert failure.value.offset == LONG - 1
    assert "verify" in phases


@pytest.mark.release
@pytest.mark.parametrize("level", ("compare", *DIGESTS))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("size", (0, SIZE // 2, SIZE - 1, SIZE + 1))
def test_a_copy_of_another_length_is_no_copy(size: int, door: str, level: str, directory: Path) -> None:
    meanwhile = Meanwhile(lambda: os.truncate(being_written(directory), size), fed=SIZE)
    with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, door, engine="buffered", verify=level, hash=meanwhile, **regions(2))
    check_mismatch(failure.value, directory, door)
    assert failure.value.offset == min(size, SIZE)


@pytest.mark.release
def test_a_small_copy_that_was_spoilt_is_not_published(directory: Path) -> None:
    set_source(directory, SMALL)
    for level in ("compare", *DIGESTS):
        for door in DOORS:
            (directory / "dst").write_bytes(OLD)
            meanwhile = Meanwhile(lambda: flip(being_written(directory), SMALL - 1), fed=SMALL)
            with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError) as failure:
                carry(directory, door, verify=level, hash=meanwhile, reflink="never")
            check_mismatch(failure.value, directory, door)
            assert failure.value.offset == (SMALL - 1 if level == "compare" else None)


@pytest.mark.release
@pytest.mark.parametrize("level", ("compare", "hash"))
def test_a_spoilt_copy_can_be_kept_and_is_named(level: str, directory: Path) -> None:
    meanwhile = Meanwhile(lambda: flip(being_written(directory), 0), fed=SIZE)
    with pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, engine="buffered", verify=level, hash=meanwhile, keep_failed=True)
    check_mismatch(failure.value, directory, "atomic")
    (left,) = unpublished(directory)
    assert left in notes(failure.value)
    assert (directory / left).read_bytes()[1:] == noise(SIZE)[1:]


@pytest.mark.release
def test_a_new_destination_that_was_spoilt_does_not_appear(directory: Path) -> None:
    (directory / "dst").unlink()
    meanwhile = Meanwhile(lambda: flip(being_written(directory), 0), fed=SIZE)
    with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError):
        carry(directory, verify="hash", hash=meanwhile)
    assert os.listdir(directory) == ["src"]


@pytest.mark.release
def test_a_digest_alone_proves_nothing_and_says_so(directory: Path) -> None:
    # It is of what was written; that something else became of it, nobody looked.
    meanwhile = Meanwhile(lambda: flip(being_written(directory), 0), fed=SIZE)
    report = carry(directory, engine="buffered", hash=meanwhile)
    assert report is not None
    assert (report.verified, report.digest_of) == (False, "written")
    assert report.digest == EXPECTED[Own](noise(SIZE))
    assert meanwhile.acted


# ---- a source that moves ---------------------------------------------------------------------------------


def rewrite(path: Path) -> None:
    path.write_bytes(noise(path.stat().st_size, "rewritten"))


def append(path: Path) -> None:
    with path.open("ab") as f:
        f.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, SIZE // 3)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


CHANGES = (rewrite, append, truncate, touch)


@pytest.mark.release
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("verify", ("none", "compare", "hash"))
@pytest.mark.parametrize("engine", PASSES)
def test_a_source_that_changes_while_it_is_copied_is_no_mismatch(
    engine: str, verify: str, change: Callable[[Path], None], directory: Path
) -> None:
    meanwhile = Meanwhile(lambda: change(directory / "src"), fed=1)
    with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as failure:
        carry(directory, engine=engine, verify=verify, hash=meanwhile, **regions(2))
    assert failure.value.code == "COPY_E_SOURCE_CHANGED"
    assert (directory / "dst").read_bytes() == OLD


@pytest.mark.release
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("verify", ("none", "hash", "media"))
@pytest.mark.parametrize("fed", (0, 1, 300_000, SIZE))
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("engine", PASSES)
def test_with_a_warning_the_digest_is_still_that_of_what_was_written(
    engine: str, workers: int, fed: int, verify: str, change: Callable[[Path], None], directory: Path
) -> None:
    at = "fed" if fed else "made"
    meanwhile = Meanwhile(lambda: change(directory / "src"), at=at, fed=fed)
    with nothing_leaked(directory):
        report = carry(directory, engine=engine, verify=verify, hash=meanwhile, on_change="warn", **regions(workers))
    assert report is not None
    copied = (directory / "dst").read_bytes()
    assert report.bytes == len(copied)
    assert report.digest == EXPECTED[Own](copied)
    assert any("changed" in warning for warning in report.warnings)


@pytest.mark.release
@pytest.mark.parametrize("engine", ("clone", "copy_range"))
@pytest.mark.parametrize("verify", ("compare", "hash"))
@pytest.mark.parametrize("spoilt_too", (False, True))
@pytest.mark.parametrize("door", ("atomic", "copyfile"))
def test_a_source_that_changes_while_it_is_compared_is_no_mismatch(
    engine: str, verify: str, spoilt_too: bool, door: str, directory: Path
) -> None:
    # The copy is right, and is compared with what is no longer its source.
    def change() -> None:
        rewrite(directory / "src")
        if spoilt_too:
            flip(being_written(directory), 5)

    meanwhile = Meanwhile(change, at="made")
    with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as failure:
        carry(directory, door, engine=engine, verify=verify, hash=meanwhile, **regions(2))
    assert failure.value.code == "COPY_E_SOURCE_CHANGED"
    if door == "atomic":
        assert (directory / "dst").read_bytes() == OLD


@pytest.mark.release
@pytest.mark.parametrize("engine", ("clone", "copy_range"))
@pytest.mark.parametrize("verify", ("compare", "hash"))
def test_with_a_warning_what_cannot_be_proved_is_still_an_error(engine: str, verify: str, directory: Path) -> None:
    meanwhile = Meanwhile(lambda: rewrite(directory / "src"), at="made")
    with nothing_leaked(directory), pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, engine=engine, verify=verify, hash=meanwhile, on_change="warn", **regions(2))
    check_mismatch(failure.value, directory, "atomic")


@pytest.mark.release
def test_a_source_that_changes_after_it_was_hashed_does_no_harm(directory: Path) -> None:
    # The digest is of what was copied, and the copy has it: nothing of the source is read any more.
    meanwhile = Meanwhile(lambda: rewrite(directory / "src"), hasher=3, at="made")
    report = carry(directory, engine="buffered", verify="hash", hash=meanwhile)
    assert report is not None
    assert report.verified
    assert report.digest == EXPECTED[Own](noise(SIZE)) == EXPECTED[Own]((directory / "dst").read_bytes())


# ---- hashers -------------------------------------------------------------------------------------------


@pytest.mark.release
@pytest.mark.parametrize("kind", (ValueError, OSError, MemoryError, KeyboardInterrupt, SystemExit))
@pytest.mark.parametrize(
    ("hasher", "at", "fed"),
    (
        (2, "made", 0),
        (2, "fed", 1),
        (2, "fed", SMALL),
        (2, "asked", 0),
        (3, "made", 0),
        (3, "fed", SMALL),
        (3, "asked", 0),
    ),
)
@pytest.mark.parametrize("size", (SMALL, SIZE))
def test_what_a_hasher_raises_comes_out_unchanged(
    size: int, hasher: int, at: str, fed: int, kind: type[BaseException], directory: Path
) -> None:
    set_source(directory, size)
    error = kind("mine")

    def fail() -> None:
        raise error

    for door in DOORS:
        for options in ({"reflink": "never"}, {"engine": "copy_range"}, {"engine": "mapped"}):
            (directory / "dst").write_bytes(OLD)
            with nothing_leaked(directory), pytest.raises(kind) as caught:
                carry(
                    directory, door, verify="hash", hash=Meanwhile(fail, hasher, at, fed), **options, **regions(2, size)
                )
            assert caught.value is error
            left = (directory / "dst").read_bytes()
            assert left == OLD if door == "atomic" else left in (OLD, noise(size)[: len(left)])


def keeps(part: Callable[[memoryview], object], kept: list[Any]) -> type[Own]:
    """A hasher that keeps a part of what it is given, to look at it later."""

    class Keeps(Own):
        def update(self, data: memoryview) -> None:
            super().update(data)
            kept.append(part(data))

    return Keeps


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
@pytest.mark.parametrize("verify", ("none", "hash"))
@pytest.mark.parametrize(
    "part",
    (memoryview, lambda data: data[:1], lambda data: data.cast("c"), lambda data: data.toreadonly()),
    ids=("view", "slice", "cast", "readonly"),
)
def test_a_hasher_cannot_keep_what_is_only_lent(
    part: Callable[[memoryview], object], verify: str, size: int, directory: Path
) -> None:
    # What it keeps is memory for as long as it keeps it, and nothing is copied with it.
    kept: list[Any] = []
    set_source(directory, size)
    with nothing_leaked(directory), pytest.raises(BufferError, match="hash"):
        carry(directory, reflink="never", verify=verify, hash=keeps(part, kept), **regions(2, size))
    assert (directory / "dst").read_bytes() == OLD
    with pytest.raises(BufferError, match="hash"):
        fastcopy.hash_file(directory / "src", keeps(part, kept))
    assert len(kept) == 2
    for view in kept:
        assert noise(size).startswith(bytes(view))
        assert len(view) > 0


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
def test_what_a_hasher_keeps_when_it_fails_is_still_memory(size: int, directory: Path) -> None:
    class Fails(Own):
        def update(self, data: memoryview) -> None:
            self.part = data[:1]
            raise ValueError("mine")

    kept: list[Fails] = []

    def factory() -> Fails:
        kept.append(Fails())
        return kept[-1]

    set_source(directory, size)
    with pytest.raises(ValueError, match="mine"):
        carry(directory, reflink="never", hash=factory, **regions(2, size))
    assert bytes(kept[-1].part) == noise(size)[:1]


@pytest.mark.release
@pytest.mark.parametrize("size", (1, SMALL, SIZE))
def test_what_was_lent_cannot_be_borrowed_again(size: int, directory: Path) -> None:
    lenders: list[Any] = []
    set_source(directory, size)
    carry(directory, reflink="never", hash=keeps(lambda data: data.obj, lenders), **regions(2, size))
    assert lenders
    for lender in lenders:
        with pytest.raises(BufferError, match="one call"):
            memoryview(lender)


@pytest.mark.release
def test_what_was_lent_is_closed_afterwards(directory: Path) -> None:
    kept: list[memoryview] = []
    carry(directory, reflink="never", hash=keeps(lambda data: data, kept), **regions(2))
    assert kept
    for view in kept:
        with pytest.raises(ValueError, match="released"):
            bytes(view)


@pytest.mark.release
def test_a_hasher_may_copy_files_itself(directory: Path) -> None:
    src, inner = directory / "src", directory / "inner"
    meanwhile = Meanwhile(lambda: fastcopy.transfer(src, inner, verify="hash", engine="buffered"), fed=1)
    report = carry(directory, engine="buffered", verify="hash", hash=meanwhile, **regions(2))
    assert report is not None
    assert report.verified
    assert inner.read_bytes() == (directory / "dst").read_bytes() == noise(SIZE)


@pytest.mark.release
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("size", (SMALL, SIZE))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("hasher", "at", "fed"),
    ((2, "made", 0), (2, "fed", 1), (2, "asked", 0), (3, "made", 0), (3, "fed", SMALL), (3, "asked", 0)),
)
def test_a_fork_inside_a_hasher_leaves_the_copy_to_the_parent(
    hasher: int, at: str, fed: int, door: str, size: int, directory: Path
) -> None:
    set_source(directory, size)
    children: list[int] = []
    parent = os.getpid()

    def fork() -> None:
        children.append(os.fork())
        if os.getpid() != parent:
            # What the child would take away, were it to clean up, must be there when the parent goes on.
            return
        _, status = os.waitpid(children[0], 0)
        children.append(os.waitstatus_to_exitcode(status))

    meanwhile = Meanwhile(fork, hasher, at, fed)
    try:
        with nothing_leaked(directory):
            carry(directory, door, reflink="never", verify="hash", hash=meanwhile, **regions(3, size))
    except OSError as error:
        if os.getpid() != parent:
            os._exit(7 if error.errno == errno.EOWNERDEAD and "fork" in notes(error) else 8)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(1)
    assert children[1:] == [7]
    assert (directory / "dst").read_bytes() == noise(size)


# ---- a medium that cannot be read --------------------------------------------------------------------------


@needs_faults
@pytest.mark.parametrize(
    ("engine", "verify", "nth", "at", "offset"),
    (
        ("buffered", "compare", 1, "source", 0),
        ("buffered", "compare", 2, "destination", 0),
        ("buffered", "compare", 2 * CHUNKS - 1, "source", LONG - 7),
        ("buffered", "compare", 2 * CHUNKS, "destination", LONG - 7),
        ("buffered", "hash", 1, "destination", 0),
        ("buffered", "hash", CHUNKS, "destination", LONG - 7),
        ("buffered", "media", 2, "destination", CHUNK),
        ("clone", "hash", 1, "source", 0),
        ("clone", "hash", CHUNKS, "source", LONG - 7),
        ("clone", "hash", CHUNKS + 1, "destination", 0),
        ("copy_range", "media", CHUNKS + 1, "destination", 0),
    ),
)
@pytest.mark.parametrize("door", DOORS)
def test_a_read_error_says_where_it_was_and_keeps_the_old_file(
    engine: str, verify: str, nth: int, at: str, offset: int, door: str, directory: Path
) -> None:
    set_source(directory, LONG)
    options = {"engine": engine, "verify": verify, **regions(1, LONG)}
    proof = CHUNKS if engine == "buffered" and verify != "compare" else 2 * CHUNKS
    nth += reads(directory, door, **options) - proof
    with nothing_leaked(directory), faults(fails("pread", errno.EIO, nth)), pytest.raises(OSError) as failure:
        carry(directory, door, **options)
    error = failure.value
    assert error.errno == errno.EIO
    assert not isinstance(error, fastcopy.VerifyError)  # whether it differs is not known
    # The engine that copied has nothing to do with it.
    assert f"engine=none operation=pread offset={offset} " in notes(error)
    assert f"at={at}" in notes(error)
    if door != "copyfile":
        assert ("reading the source failed" in str(error)) == (at == "source")
    if door == "atomic":
        assert (directory / "dst").read_bytes() == OLD


@needs_faults
@pytest.mark.parametrize("verify", ("compare", *DIGESTS))
def test_chunk_is_what_one_read_of_a_proof_asks_for(verify: str, directory: Path) -> None:
    set_source(directory, LONG)
    of_64, of_256 = (reads(directory, engine="clone", verify=verify, chunk=chunk) for chunk in (64 * KIB, CHUNK))
    assert of_64 - of_256 == 2 * (65 - CHUNKS)  # of both ends, for a clone is not read


# ---- giving up -------------------------------------------------------------------------------------------


def slow_proof(
    directory: Path, door: str = "atomic", seconds: float = 0.01, **options: object
) -> AbstractContextManager[None]:
    """Each read of the verification of a long file takes its time."""
    return faults(slow("pread", seconds, 1 + reads(directory, door, **options, **regions(1, LONG))))


@needs_faults
@pytest.mark.parametrize("engine", ("buffered", "clone"))
@pytest.mark.parametrize("verify", ("compare", "hash", "media"))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("workers", (1, 2))
def test_cancelled_in_the_verify_phase(engine: str, verify: str, door: str, workers: int, directory: Path) -> None:
    cancel = threading.Event()
    phases: list[str] = []

    def stop(p: fastcopy.Progress) -> None:
        phases.append(p.phase)
        if p.phase == "verify":
            cancel.set()

    set_source(directory, LONG)
    slowly = slow_proof(directory, door, engine=engine)
    with nothing_leaked(directory), slowly, pytest.raises(fastcopy.VerifyError) as failure:
        carry(directory, door, engine=engine, verify=verify, cancel=cancel, progress=stop, **regions(workers, LONG))
    assert failure.value.code == "VERIFY_E_CANCELLED"
    assert failure.value.errno == errno.ECANCELED
    assert phases[-1] == "verify"
    if door == "atomic":
        assert (directory / "dst").read_bytes() == OLD
    else:
        assert (directory / "dst").read_bytes() == noise(LONG)


@needs_faults
@pytest.mark.parametrize("verify", ("compare", "hash"))
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("workers", (1, 2))
def test_ctrl_c_in_the_verify_phase_with_nobody_listening(
    verify: str, door: str, workers: int, directory: Path
) -> None:
    # The alarm comes while the kernel reads: only the core's own look for signals can see it.
    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    meanwhile = Meanwhile(
        lambda: signal.setitimer(signal.ITIMER_REAL, 0.02), hasher=3 if verify == "hash" else 2, at="made"
    )
    set_source(directory, LONG)
    engine = "buffered" if verify == "hash" else "clone"
    slowly = slow_proof(directory, door, engine=engine)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        with nothing_leaked(directory), slowly, pytest.raises(KeyboardInterrupt):
            carry(directory, door, engine=engine, verify=verify, hash=meanwhile, **regions(workers, LONG))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert meanwhile.acted
    if door == "atomic":
        assert (directory / "dst").read_bytes() == OLD


@needs_faults
@pytest.mark.parametrize("nth", (1, 2))
@pytest.mark.parametrize("kind", (ValueError, SystemExit))
def test_what_progress_raises_in_the_verify_phase_comes_out_unchanged(
    nth: int, kind: type[BaseException], directory: Path
) -> None:
    error = kind("mine")
    seen: list[fastcopy.Progress] = []

    def progress(p: fastcopy.Progress) -> None:
        if p.phase == "verify":
            seen.append(p)
            if len(seen) == nth:
                raise error

    set_source(directory, LONG)
    slowly = slow_proof(directory, engine="buffered")
    with nothing_leaked(directory), slowly, pytest.raises(kind) as caught:
        carry(directory, engine="buffered", verify="compare", progress=progress, **regions(2, LONG))
    assert caught.value is error
    assert (directory / "dst").read_bytes() == OLD


@needs_faults
@pytest.mark.parametrize(
    ("engine", "options", "reads"),
    (
        ("buffered", {"verify": "compare"}, 1),
        ("buffered", {"verify": "hash"}, 1),
        ("clone", {"verify": "hash"}, 2),  # both ends, one after the other
        ("copy_range", {"verify": "media"}, 2),
        ("clone", {"verify": "compare", "hash": "sha256"}, 2),
        ("clone", {"hash": "sha256"}, 1),
    ),
)
@pytest.mark.parametrize("workers", (1, 2))
def test_progress_of_a_proof_only_grows_and_comes_to_its_end(
    engine: str, options: dict[str, object], reads: int, workers: int, directory: Path
) -> None:
    seen: list[fastcopy.Progress] = []
    set_source(directory, LONG)
    with slow_proof(directory, seconds=0.02, engine=engine):
        carry(directory, engine=engine, progress=seen.append, **options, **regions(workers, LONG))
    order = {"copy": 0, "verify": 1, "sync": 1}  # the medium is written to before it is read
    phases = [order[p.phase] for p in seen]
    assert phases == sorted(phases)
    proof = [p for p in seen if p.phase == "verify"]
    assert len(proof) >= 3
    done = [p.bytes for p in proof]
    assert done == sorted(done)
    assert {p.total for p in proof} == {reads * LONG}
    assert proof[-1] is seen[-1]
    assert (done[-1], proof[-1].files) == (reads * LONG, 1)
    if reads == 2:
        assert any(0 < n < LONG for n in done)
        assert any(LONG < n < 2 * LONG for n in done)
    assert {p.path for p in seen} == {str(directory / "src")}


def test_every_code_of_a_proof_is_a_verify_error() -> None:
    proofs = {code for code in _core.CODES if code.startswith("VERIFY_E_")}
    assert proofs == {"VERIFY_E_MISMATCH", "VERIFY_E_CANCELLED"}
