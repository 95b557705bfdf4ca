"""A copy that is not what was written."""

import os
from pathlib import Path

import pytest

import fastcopy
from support.faults import needs_faults
from support.proofs import EXPECTED, Meanwhile, Own, being_written, flip
from support.rotten import (
    DIGESTS,
    DOORS,
    LONG,
    OLD,
    SIZE,
    SMALL,
    carry,
    check_mismatch,
    regions,
    set_source,
    slow_proof,
)
from support.shapes import KIB, noise
from support.state import notes, nothing_leaked, unpublished


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
