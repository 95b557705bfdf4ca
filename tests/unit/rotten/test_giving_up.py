"""A proof that is broken off, and what is heard of it until then."""

import errno
import signal
import threading
from pathlib import Path
from types import FrameType

import pytest

import fastcopy
from fastcopy import _core
from support.faults import needs_faults
from support.proofs import Meanwhile
from support.rotten import (
    DOORS,
    LONG,
    OLD,
    carry,
    regions,
    set_source,
    slow_proof,
)
from support.shapes import noise
from support.state import nothing_leaked


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
