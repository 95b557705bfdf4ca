"""Copies from one filesystem to another."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.settings import FULL, dice
from support.shapes import MANY_REGIONS, MIB, noise
from support.state import nothing_leaked

PAIRS = [pair for pair in itertools.product(FILESYSTEMS, repeat=2) if pair[0] != pair[1]]
CASES = [(a, b, engine) for a, b in PAIRS for engine in ("auto", *fastcopy.engines())]
if not FULL:  # every pair of filesystems, and an engine by chance
    chance = dice("between filesystems")
    CASES = [chance.choice([case for case in CASES if case[:2] == pair]) for pair in PAIRS]


@pytest.mark.parametrize(("one", "other", "engine"), CASES)
def test_right_copy_or_a_refusal_from_one_filesystem_to_another(
    one: str, other: str, engine: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    src = empty_directory(mounts.use(one)) / "src"
    directory = empty_directory(mounts.use(other))
    dst = directory / "dst"
    content = noise(3 * MIB + 77)
    src.write_bytes(content)
    dst.write_bytes(b"old")
    named = {} if engine == "auto" else {"engine": engine}
    refusers = FILESYSTEMS[one].refuses | FILESYSTEMS[other].refuses
    with nothing_leaked(directory):
        try:
            report = fastcopy.transfer(src, dst, **MANY_REGIONS, **named)
        except fastcopy.CopyError as refusal:
            assert refusal.code == "COPY_E_UNSUPPORTED"
            # Two filesystems share no extents, and the kernel copies ranges only within one kind.
            assert engine in refusers | {"clone", "copy_range"}
            assert dst.read_bytes() == b"old"
            return
    # One end with a medium behind it is enough to go past the page cache there.
    refusers -= FILESYSTEMS[one].refuses ^ FILESYSTEMS[other].refuses
    assert engine not in refusers | {"clone"}
    assert engine in ("auto", report.engine)
    assert dst.read_bytes() == content


def test_between_two_filesystems_of_one_kind_nothing_is_shared_and_the_machine_is_looked_at(
    mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    src = empty_directory(mounts.use("xfs")) / "src"
    dst = empty_directory(mounts.small("xfs", 512 * MIB)) / "dst"
    src.write_bytes(noise(20 * MIB))
    plan = fastcopy.plan(src, dst)
    never = fastcopy.plan(src, dst, reflink="never")
    assert plan.facts["machine"] == never.facts["machine"]
    assert plan.facts["looked_at_machine"]
    assert plan.choice == never.choice
    assert plan.run().engine == "buffered"
    assert dst.read_bytes() == noise(20 * MIB)
