"""A source that moves while it is copied and proved."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.proofs import EXPECTED, Meanwhile, Own, being_written, flip
from support.rotten import OLD, PASSES, SIZE, carry, check_mismatch, regions
from support.shapes import noise
from support.state import nothing_leaked


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
