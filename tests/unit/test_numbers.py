"""Calibrating: a number is replaced only where it is surely better, and only if all together are nowhere worse."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from fastcopy import _core
from fastcopy.measure import Row, Way, numbers, ratio
from support.shapes import KIB, MIB

pytestmark = pytest.mark.release

Speed = Callable[[str, int, int], Sequence[float]]  # way, size, rounds -> the times of its rounds


def find(speed: Speed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpus: int = 4) -> numbers.Numbers:
    """With copies that take the time that the test says, on a machine with so many CPUs."""
    monkeypatch.setattr(numbers.os, "sched_getaffinity", lambda pid: set(range(cpus)))

    def compare(ways: Sequence[Way], size: int, rounds: int) -> Mapping[str, Row]:
        times = {way.name: tuple(speed(way.name, size, rounds)) for way in ways}
        first = times[ways[0].name]
        return {name: Row(way=name, kind="ours", seconds=own, ratio=ratio(first, own)) for name, own in times.items()}

    return numbers.find(tmp_path, compare=compare)


def even(rounds: int, middle: float = 1.0) -> list[float]:
    """Times that differ from round to round, as times do."""
    return [middle * (1 + 0.01 * (turn % 3)) for turn in range(rounds)]


def noisy(rounds: int, middle: float = 1.0) -> list[float]:
    return [middle * (0.5 + turn % 5 / 4) for turn in range(rounds)]


def test_where_nothing_is_faster_the_built_in_numbers_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find(lambda way, size, rounds: even(rounds), monkeypatch, tmp_path)
    assert (found.numbers, found.kept, found.checks) == ({}, True, {})
    assert [finding.number for finding in found.findings] == ["chunk", "max_workers", "one_copy_below"]
    assert all(finding.chosen == finding.built_in for finding in found.findings)


def test_a_number_that_is_surely_better_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quick = {str(MIB): 0.5, "3": 0.7, "calibrated": 0.4}
    found = find(lambda way, size, rounds: even(rounds, quick.get(way, 1.0)), monkeypatch, tmp_path)
    assert found.numbers == {"chunk": MIB, "max_workers": 3}
    by_name = {finding.number: finding for finding in found.findings}
    assert by_name["chunk"].ratio is not None and by_name["chunk"].ratio.low > 1.9
    assert set(found.checks) == set(numbers._CHECKED_AT)


def test_a_number_that_was_lucky_once_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def speed(way: str, size: int, rounds: int) -> Sequence[float]:
        lucky = way == str(512 * KIB) and rounds == numbers._TRIED
        return even(rounds, 0.5 if lucky else 1.0)

    found = find(speed, monkeypatch, tmp_path)
    assert found.numbers == {}
    assert "512 KiB is not faster beyond the noise" in found.findings[0].why


def test_a_number_that_wins_within_the_noise_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A twentieth faster, where times differ by a factor of two and in another order.
    def speed(way: str, size: int, rounds: int) -> Sequence[float]:
        return list(reversed(noisy(rounds, 0.95))) if way == str(MIB) else noisy(rounds)

    assert find(speed, monkeypatch, tmp_path).numbers == {}


def test_numbers_that_are_slower_together_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def speed(way: str, size: int, rounds: int) -> Sequence[float]:
        slow = way == "calibrated" and size == 32 * MIB
        return even(rounds, 1.2 if slow else 0.5 if way in (str(MIB), "calibrated") else 1.0)

    found = find(speed, monkeypatch, tmp_path)
    assert (found.numbers, found.kept) == ({}, False)
    assert found.checks[32 * MIB].slower


def test_numbers_that_were_unlucky_once_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unlucky = iter((32 * MIB,))

    def speed(way: str, size: int, rounds: int) -> Sequence[float]:
        if way == "calibrated" and size == 32 * MIB and next(unlucky, None):
            return even(rounds, 1.2)
        return even(rounds, 0.5 if way in (str(MIB), "calibrated") else 1.0)

    found = find(speed, monkeypatch, tmp_path)
    assert (found.numbers, found.kept) == ({"chunk": MIB}, True)
    assert found.checks[32 * MIB].faster


@pytest.mark.parametrize(
    ("regions_win_from", "threshold"),
    (
        (16 * MIB, 16 * MIB),
        (32 * MIB, 32 * MIB),
        (64 * MIB, 64 * MIB),
        (128 * MIB, 128 * MIB),
        (1 << 40, 512 * MIB),  # as far as was measured
    ),
)
def test_the_threshold_is_where_regions_begin_to_win(
    regions_win_from: int, threshold: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def speed(way: str, size: int, rounds: int) -> Sequence[float]:
        slow = (way == "regions") != (size >= regions_win_from) and way in ("regions", "one copy")
        return even(rounds, 2.0 if slow else 1.0)

    found = find(speed, monkeypatch, tmp_path)
    built_in = _core.BUILT_IN["one_copy_below"]
    assert found.numbers == ({} if threshold == built_in else {"one_copy_below": threshold})


def test_where_the_dispatcher_asks_no_number_none_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find(lambda way, size, rounds: even(rounds), monkeypatch, tmp_path, cpus=1)
    assert [finding.number for finding in found.findings] == ["chunk"]


def test_real_copies_with_these_numbers_take_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, somewhere: Path
) -> None:
    """The whole search on small files: each arm is held to its claim, that the dispatcher used what it was given."""
    monkeypatch.setattr(numbers, "_LARGE", 8 * MIB)
    monkeypatch.setattr(numbers, "_CHECKED_AT", (MIB,))
    monkeypatch.setattr(numbers, "_THRESHOLDS", (2 * MIB, 64 * MIB))
    monkeypatch.setattr(numbers, "_CHUNKS", (64 * KIB, 256 * KIB))
    monkeypatch.setattr(numbers, "_TRIED", 1)
    monkeypatch.setattr(numbers, "_CONFIRMED", 2)
    found = numbers.find(somewhere)
    assert found.local
    assert {finding.number for finding in found.findings} >= {"chunk"}
    assert list(somewhere.iterdir()) == []
