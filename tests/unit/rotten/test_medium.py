"""A medium that cannot be read."""

import errno
from pathlib import Path

import pytest

import fastcopy
from support.faults import fails, faults, needs_faults
from support.rotten import (
    CHUNK,
    CHUNKS,
    DIGESTS,
    DOORS,
    LONG,
    OLD,
    carry,
    reads,
    regions,
    set_source,
)
from support.shapes import KIB
from support.state import notes, nothing_leaked


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
