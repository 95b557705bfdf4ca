"""A directory with a source and an old destination, and verified copies there to which something happens."""

import errno
import os
from contextlib import AbstractContextManager
from pathlib import Path

import fastcopy
from support.faults import calls, faults, slow
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.state import notes

SIZE = MIB + 7
SMALL = 100_000  # copied in one read and one write
LONG = 4 * MIB + 7  # so that reading it takes CHUNKS calls
CHUNK = 256 * KIB
CHUNKS = 17
OLD = noise(5000, "old")
PASSES = ("buffered", "direct", "mapped")
DIGESTS = ("hash", "media")
DOORS = ("atomic", "in place", "copyfile")


def regions(workers: int, size: int = SIZE) -> dict[str, object]:
    """Many borders in a small file."""
    if size == SMALL:
        return {}
    chunk = CHUNK if size == LONG else 64 * KIB
    return {"workers": workers, "parallel_threshold": chunk, "min_region": chunk, "chunk": chunk}


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


def slow_proof(
    directory: Path, door: str = "atomic", seconds: float = 0.01, **options: object
) -> AbstractContextManager[None]:
    """Each read of the verification of a long file takes its time."""
    return faults(slow("pread", seconds, 1 + reads(directory, door, **options, **regions(1, LONG))))
