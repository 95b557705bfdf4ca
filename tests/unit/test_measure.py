"""The timing kernel: its arithmetic, on a clock of the test's own, and what it refuses to believe."""

import errno
import mmap
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from fastcopy.measure import CacheStateError, File, Tree, Way, measure, pages, race, ratio
from fastcopy.measure import kernel as kernel_module
from fastcopy.measure.kernel import Told, check_room
from fastcopy.measure.proof import shares_extents
from fastcopy.measure.ways import by_engine, command
from fastcopy.measure.workloads import difference
from support.mounts import Mounts
from support.shapes import KIB, MIB, noise

pytestmark = pytest.mark.release


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def takes(self, seconds: float, copy: Callable[[Path, Path], object] = shutil.copyfile) -> Callable[..., object]:
        def timed(src: Path, dst: Path) -> object:
            self.now += seconds
            return copy(src, dst)

        return timed


def way(copy: Callable[[Path, Path], object], name: str = "ours", **more: Any) -> Way:
    return Way(name=name, copy=copy, **more)


# ---- arithmetic ------------------------------------------------------------------------------------------


def test_a_way_three_times_as_slow_comes_out_three_times_as_slow(tmp_path: Path) -> None:
    clock = Clock()
    ways = (way(clock.takes(1.0), "quick"), way(clock.takes(3.0), "slow"))
    result = race(ways, File(KIB), tmp_path, rounds=7, clock=clock)
    assert result.baseline == "quick"
    assert result["slow"].seconds == (3.0,) * 7
    assert result["slow"].ratio == (1 / 3, 1 / 3, 1 / 3)
    assert (result["slow"].ratio.slower, result["slow"].ratio.faster) == (True, False)
    assert race(ways, File(KIB), tmp_path, rounds=1, clock=clock, baseline="slow")["quick"].ratio.value == 3.0


def test_what_slows_a_whole_round_does_not_blur_the_ratio() -> None:
    dice = random.Random(1)
    weather = [dice.uniform(1, 10) for _ in range(15)]
    same_rounds = ratio([3 * w for w in weather], weather)
    assert same_rounds == pytest.approx((3, 3, 3))
    other_rounds = ratio([3 * w for w in sorted(weather)], weather)
    assert other_rounds.high - other_rounds.low > 0.5


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    dice = random.Random(2)

    def times(middle: float) -> list[float]:
        return [middle * dice.lognormvariate(0, 0.2) for _ in range(15)]

    held = sum(low <= 2 <= high for _, low, high in (ratio(times(2), times(1)) for _ in range(300)))
    assert 0.90 <= held / 300 <= 1


@pytest.mark.parametrize("times", (([1.0], []), ([], []), ([1.0], [1.0, 2.0])))
def test_times_that_are_no_pairs_are_refused(times: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="as many of each"):
        ratio(*times)


def test_the_first_rounds_are_thrown_away(tmp_path: Path) -> None:
    clock, takes = Clock(), iter((100.0, 50.0, 1.0, 2.0, 3.0))
    first_is_slow = way(lambda src, dst: clock.takes(next(takes))(src, dst))
    result = race([first_is_slow], File(KIB), tmp_path, rounds=3, warmups=2, clock=clock)
    assert result["ours"].seconds == (1.0, 2.0, 3.0)
    assert (result["ours"].median, result["ours"].minimum) == (2.0, 1.0)


def test_what_is_measured_once_is_checked_too(tmp_path: Path) -> None:
    ways = (way(shutil.copyfile), way(flip(5), "wrong"))
    result = race(ways, File(KIB), tmp_path, rounds=1, warmups=0)
    assert (result.rounds, len(result["ours"].seconds)) == (1, 1)
    assert result["wrong"].problem is not None and result["wrong"].problem.kind == "wrong"
    for nothing in ({"rounds": 0}, {"warmups": -1}):
        with pytest.raises(ValueError, match="nothing that would count"):
            race(ways, File(KIB), tmp_path, **nothing)


def test_a_tree_is_the_one_that_it_says(tmp_path: Path) -> None:
    tree = Tree(((40, range(100, 140)), (2, 5000)), directories=7)
    for name in ("a", "b"):
        tree.make(tmp_path / name)
    sizes = sorted(part.stat().st_size for part in tree.parts(tmp_path / "a"))
    assert sizes == [*range(100, 140), 5000, 5000]
    assert (tree.bytes, tree.files) == (sum(sizes), len(sizes))
    assert sum(path.is_dir() for path in tmp_path.joinpath("a").rglob("*")) == 6
    assert difference(tree, tmp_path / "a", tmp_path / "b") is None
    flat = Tree(((3, 1),), directories=1)
    flat.make(tmp_path / "flat")
    assert all(part.parent == tmp_path / "flat" for part in flat.parts(tmp_path / "flat"))


def test_every_round_runs_every_way_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    ran: list[str] = []

    def noted(name: str) -> Way:
        return way(lambda src, dst: (ran.append(name), shutil.copyfile(src, dst)), name)

    race([noted(name) for name in "abcd"], File(1), tmp_path, rounds=20, warmups=1, seed=3)
    rounds = [tuple(ran[at : at + 4]) for at in range(0, len(ran), 4)]
    assert len(rounds) == 21
    assert all(sorted(each) == list("abcd") for each in rounds)
    assert len(set(rounds)) > 5


def test_the_copy_and_its_fsync_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def fsync(file: Path) -> None:
        assert file.is_file()
        clock.now += 5.0

    monkeypatch.setattr(kernel_module, "_fsync", fsync)
    ways = (way(clock.takes(1.0)), way(clock.takes(1.0), "without"))
    result = race(ways, File(KIB), tmp_path, rounds=2, sync=True, clock=clock)
    assert (result["ours"].seconds, result["ours"].sync_seconds) == ((1.0, 1.0), (5.0, 5.0))
    assert result["ours"].median == 6.0
    assert race(ways, File(KIB), tmp_path, rounds=2, clock=clock)["ours"].sync_seconds == ()


def test_no_copy_begins_after_its_time_and_whole_rounds_count(tmp_path: Path) -> None:
    clock = Clock()
    ways = [way(clock.takes(1.0), name) for name in "ab"]
    result = race(ways, File(KIB), tmp_path, rounds=100, seconds=7.0, clock=clock)
    assert clock.now == 7.0
    assert result.rounds == 2  # and one more that was thrown away, and half of one
    assert [len(row.seconds) for row in result.rows] == [2, 2]
    none = race(ways, File(KIB), tmp_path, rounds=100, seconds=1.5, clock=clock)
    assert {row.problem.kind for row in none.rows if row.problem} == {"time"}
    assert none.rounds == 0


def test_a_way_may_time_itself(tmp_path: Path) -> None:
    def copy(src: Path, dst: Path) -> Told:
        shutil.copyfile(src, dst)
        return Told(seconds=0.125)

    assert race([way(copy)], File(KIB), tmp_path, rounds=2)["ours"].seconds == (0.125, 0.125)


def test_a_limit_copies_nothing_and_is_what_the_share_is_of(tmp_path: Path) -> None:
    limits = [Way(name=f"limit {t}", copy=lambda src, dst, t=t: Told(seconds=t), kind="limit") for t in (0.5, 0.25)]
    result = race([*limits, way(shutil.copyfile)], File(KIB), tmp_path, rounds=1)
    assert result.limit is not None and result.limit.way == "limit 0.25"
    assert result["limit 0.5"].ratio is None


def test_measure_runs_every_size(tmp_path: Path) -> None:
    results = measure([way(shutil.copyfile)], [0, 1, 5000], tmp_path, rounds=1)
    assert [result.workload.bytes for result in results] == [0, 1, 5000]
    assert all(row.problem is None for result in results for row in result.rows)


# ---- what a copy cost ------------------------------------------------------------------------------------


def test_what_a_copy_cost_is_counted(tmp_path: Path) -> None:
    def costly(src: Path, dst: Path) -> None:
        block = bytearray(64 * MIB)
        for _ in range(10):
            time.sleep(0.0001)
        shutil.copyfile(src, dst)
        del block

    row = race([way(costly)], File(KIB), tmp_path, rounds=2)["ours"]
    assert row.peak_memory is not None and row.peak_memory > 60 * MIB
    assert min(row.context_switches) >= 10
    assert min(row.cpu_seconds) > 0


def test_what_a_command_cost_is_counted(tmp_path: Path) -> None:
    # The kernel counts what this process had until the program is loaded: only more than that can be told.
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 64 * MIB
    code = "import shutil, sys; b = bytearray(int(sys.argv[1])); shutil.copyfile(*sys.argv[2:])"
    ways = [
        command(name, lambda src, dst, size=size: ("python", "-c", code, str(size), src, dst), tool=sys.executable)
        for name, size in (("large", more), ("small", 0))
    ]
    result = race(ways, File(KIB), tmp_path, rounds=1)
    assert [row.problem for row in result.rows] == [None, None]
    assert result["large"].peak_memory is not None and result["large"].peak_memory > more
    assert result["small"].peak_memory is None
    assert min(row.cpu_seconds[0] for row in result.rows) > 0


# ---- the page cache --------------------------------------------------------------------------------------


def test_residency_is_what_the_kernel_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(noise(3 * MIB + 5))
    assert pages.resident(file) == 3 * MIB + 5
    pages.bring_to("cold", [file])
    assert pages.resident(file) == 0
    with file.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
        stream.read(1)
    assert 0 < pages.resident(file) < MIB
    pages.bring_to("warm", [file])
    assert pages.resident(file) == 3 * MIB + 5
    empty = tmp_path / "empty"
    empty.touch()
    assert pages.resident(empty) == 0


@pytest.mark.parametrize("state", ("warm", "cold"))
def test_every_copy_begins_with_the_cache_as_it_is_said_to_be(state: pages.CacheState, tmp_path: Path) -> None:
    seen: list[int] = []

    def copy(src: Path, dst: Path) -> None:
        seen.append(pages.resident(src))
        shutil.copyfile(src, dst)
        pages.bring_to("cold" if state == "warm" else "warm", [src])

    race([way(copy, name) for name in "ab"], File(MIB), tmp_path, rounds=3, cache=state)
    assert seen == [MIB if state == "warm" else 0] * 8


def test_what_cannot_be_cold_is_not_called_cold(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> None:
    memory = empty_directory(mounts.use("tmpfs"))
    copied: list[Path] = []
    with pytest.raises(CacheStateError, match="cannot be called cold"):
        race([way(lambda src, dst: copied.append(dst))], File(MIB), memory, cache="cold")
    assert copied == []
    assert list(memory.iterdir()) == []


def test_a_source_that_stays_in_memory_is_not_called_cold(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(noise(MIB))
    with file.open("rb") as stream:
        populate = mmap.MAP_SHARED | mmap.MAP_POPULATE
        # Pages that somebody has mapped are not dropped, whatever is asked: only looking tells.
        with (
            mmap.mmap(stream.fileno(), 0, flags=populate, prot=mmap.PROT_READ),
            pytest.raises(CacheStateError, match="cannot be called cold"),
        ):
            pages.bring_to("cold", [file])
    pages.bring_to("cold", [file])


def test_what_cannot_be_warm_is_not_called_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_read", lambda file: None)
    file = tmp_path / "file"
    file.write_bytes(noise(MIB))
    pages.bring_to("cold", [file])
    with pytest.raises(CacheStateError, match="cannot be called warm"):
        pages.bring_to("warm", [file])


# ---- is it a copy, and did it go the way it is named after -------------------------------------------------


def flip(at: int) -> Callable[[Path, Path], None]:
    def copy(src: Path, dst: Path) -> None:
        shutil.copyfile(src, dst)
        with dst.open("r+b") as stream:
            stream.seek(at)
            byte = stream.read(1)
            stream.seek(at)
            stream.write(bytes([byte[0] ^ 1]))

    return copy


def swap_pages(src: Path, dst: Path) -> None:
    data = src.read_bytes()
    dst.write_bytes(data[:4096] + data[8192:12288] + data[4096:8192] + data[12288:])


WRONG = {
    "one bit": (flip(1_000_000), "offset 1000000"),
    "pages exchanged": (swap_pages, "offset 4097"),
    "too short": (lambda src, dst: dst.write_bytes(src.read_bytes()[:-1]), f"offset {2 * MIB - 1}"),
    "too long": (lambda src, dst: dst.write_bytes(src.read_bytes() + b"x"), f"offset {2 * MIB}"),
    "nothing": (lambda src, dst: None, "no copy"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_copy_has_no_figures(what: str, tmp_path: Path) -> None:
    copy, why = WRONG[what]
    result = race([way(copy, "wrong"), way(shutil.copyfile)], File(2 * MIB), tmp_path, rounds=2)
    problem = result["wrong"].problem
    assert problem is not None and problem.is_fault
    assert (problem.kind, why in problem.text) == ("wrong", True)
    assert result["wrong"].seconds == ()
    assert result["ours"].ratio == (1, 1, 1)


def test_over_an_existing_file_doing_nothing_is_no_copy(tmp_path: Path) -> None:
    result = race([way(lambda src, dst: None)], File(MIB), tmp_path, existing=True)
    assert result["ours"].problem is not None
    assert result["ours"].problem.kind == "wrong"


def test_an_existing_destination_is_there_and_looks_old(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []

    def copy(src: Path, dst: Path) -> None:
        seen.append((dst.stat().st_size, dst.stat().st_mtime))
        shutil.copy2(src, dst)

    race([way(copy)], File(KIB), tmp_path, existing=True, rounds=3)
    assert seen == [(KIB, 0.0)] * 4


def test_a_copied_tree_is_compared_too(tmp_path: Path) -> None:
    tree = Tree(((150, 10), (2, 5000)))

    def forgetful(src: Path, dst: Path) -> None:
        shutil.copytree(src, dst)
        next(dst.rglob("00149.bin")).unlink()

    result = race([way(forgetful, "forgetful"), way(shutil.copytree)], tree, tmp_path, rounds=1)
    assert result["ours"].problem is None
    assert result["forgetful"].problem is not None
    assert "00149.bin is in one of the trees only" in result["forgetful"].problem.text
    assert (tree.bytes, tree.files) == (11_500, 152)


def test_no_two_pages_of_a_source_are_equal(tmp_path: Path) -> None:
    File(2 * MIB).make(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    assert len({data[at : at + 4096] for at in range(0, len(data), 4096)}) == len(data) // 4096
    File(2 * MIB).make(tmp_path / "b", salt=1)
    assert difference(File(2 * MIB), tmp_path / "a", tmp_path / "b") is not None


def test_an_arm_that_took_another_path_than_it_claims_has_no_figures(tmp_path: Path) -> None:
    def buffered(src: Path, dst: Path) -> object:
        return fastcopy.transfer(src, dst, engine="buffered")

    ways = (
        way(buffered, "liar", claim={"engine": "mapped"}),
        way(shutil.copyfile, "silent", claim={"engine": "buffered"}),
        by_engine("buffered"),
    )
    result = race(ways, File(MIB), tmp_path, rounds=1)
    for name, why in (("liar", "engine=buffered"), ("silent", "reports nothing")):
        problem = result[name].problem
        assert problem is not None and problem.kind == "path" and why in problem.text
    assert result["buffered"].path is not None
    assert result["buffered"].path["attempts"] == [["buffered", 0, MIB]]


def test_an_arm_that_was_finished_by_another_engine_has_no_figures(tmp_path: Path) -> None:
    def copy(src: Path, dst: Path) -> Told:
        shutil.copyfile(src, dst)
        return Told(path={"engine": "buffered", "attempts": [["clone", errno.EXDEV, 0], ["buffered", 0, 0]]})

    problem = race([way(copy, claim={"engine": "buffered"})], File(1), tmp_path, rounds=1)["ours"].problem
    assert problem is not None and "begun by clone" in problem.text


def test_shared_extents_are_seen_whoever_made_them(filesystem: Callable[[str], Path], empty_directory: Any) -> None:
    here = empty_directory(filesystem("xfs"))
    ways = (by_engine("clone"), by_engine("buffered"), command("cp", lambda src, dst: ("cp", src, dst)))
    result = race(ways, File(MIB), here, rounds=1)
    assert [row.shares_extents for row in result.rows] == [True, False, True]
    (here / "empty").touch()
    assert shares_extents(here / "empty") is None


def test_a_way_that_cannot_run_is_a_row_that_says_so(tmp_path: Path) -> None:
    def breaks(src: Path, dst: Path) -> None:
        raise LookupError("no reason")

    ways = (
        command("no-such-tool", lambda src, dst: ("no-such-tool", src, dst)),
        by_engine("clone"),
        way(breaks, "breaks"),
        command("cp --no-such-option", lambda src, dst: ("cp", "--no-such-option", src, dst)),
        way(shutil.copyfile),
    )
    on_memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    result = race(ways, File(KIB), on_memory, rounds=2)
    said = {row.way: (row.problem.kind, row.problem.text) for row in result.rows if row.problem is not None}
    assert {name: kind for name, (kind, _) in said.items()} == {
        "no-such-tool": "missing",
        "clone": "refused",
        "breaks": "failed",
        "cp --no-such-option": "failed",
    }
    assert "not on the PATH" in said["no-such-tool"][1]
    assert "LookupError: no reason" in said["breaks"][1]
    assert "exit status 1" in said["cp --no-such-option"][1]
    assert result.baseline == "ours"


def test_two_ways_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one name"):
        race([way(shutil.copyfile), way(shutil.copy)], File(1), tmp_path)


# ---- leaving nothing behind ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", (KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), MemoryError()), ids=repr)
def test_whatever_ends_it_nothing_is_left(error: BaseException, tmp_path: Path) -> None:
    def copy(src: Path, dst: Path) -> None:
        dst.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        race([way(copy)], File(KIB), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_it_and_nothing_is_left(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    here = mounts.small("tmpfs", 64 * MIB)
    monkeypatch.setattr(kernel_module, "check_room", lambda directory, needed: None)
    for copy in (shutil.copyfile, fastcopy.copyfile, fastcopy.transfer):
        with pytest.raises(OSError) as full:
            race([way(copy)], File(40 * MIB), here)
        assert full.value.errno == errno.ENOSPC
        assert list(here.iterdir()) == []


def test_too_little_room_is_noticed_before_anything_is_written(mounts: Mounts) -> None:
    here = mounts.small("tmpfs", 64 * MIB)
    os.utime(here, (0, 0))
    with pytest.raises(OSError, match="nothing was written") as refused:
        race([way(shutil.copyfile)], File(40 * MIB), here)
    assert refused.value.errno == errno.ENOSPC
    assert here.stat().st_mtime == 0
    with pytest.raises(OSError):
        check_room(here, 1)  # the reserve is counted in
