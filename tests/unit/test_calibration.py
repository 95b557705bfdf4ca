"""What `fastcopy calibrate` has kept: which copies it is for, and what becomes of a file that is not ours."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from fastcopy import _core, calibration, mounts
from support.invented import choice, facts
from support.shapes import MIB, noise
from support.shells import python

pytestmark = pytest.mark.release

NUMBERS = {"chunk": 64 << 10, "max_workers": 3, "one_copy_below": 2 * MIB}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the calibration of this test is kept; nothing is there yet, and this process has read none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "_known", None)
    path = Path(calibration.file())
    assert path.parent.parent == tmp_path / "cache"
    return path


def entry(directory: Path, numbers: dict[str, int] = NUMBERS, local: bool = True) -> dict[str, Any]:
    return calibration.identity(str(directory), local) | {"numbers": numbers}


# ---- what the numbers are for ----------------------------------------------------------------------------


def test_calibrated_numbers_are_for_copies_within_their_filesystem() -> None:
    tuning = _core.Tuning([(1, NUMBERS), (7, {"chunk": 4096})])
    within = choice(facts(size=4 * MIB), tuning)
    assert (within["calibrated"], within["chunk"], within["reason"]) == (True, 64 << 10, "local")
    assert choice(facts(), tuning)["workers"] == 3
    assert choice(facts(one_mount=False), tuning) == choice(facts(one_mount=False))
    elsewhere = _core.Tuning([(3, NUMBERS)])
    assert choice(facts(), elsewhere) == choice(facts())
    assert not choice(facts())["calibrated"]


def test_an_argument_beats_the_calibration() -> None:
    tuning = _core.Tuning([(1, NUMBERS)])
    assert choice(facts(), tuning, chunk=MIB)["chunk"] == MIB
    assert choice(facts(), tuning, workers=2)["workers"] == 2


def test_the_environment_beats_the_calibration(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibration.save(str(kept), entry(tmp_path))
    (tmp_path / "src").write_bytes(noise(32 * MIB))
    monkeypatch.setenv("FASTCOPY_WORKERS", "5")
    plan = fastcopy.plan(tmp_path / "src", tmp_path / "dst", reflink="never")
    assert (plan.workers, plan.chunk) == (5, 64 << 10)


def test_auto_uses_what_was_kept_and_explain_names_it(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(4 * MIB))
    calibration.save(str(kept), entry(tmp_path))
    plan = fastcopy.plan(tmp_path / "src", tmp_path / "dst", reflink="never")
    assert plan.chunk == 64 << 10
    assert plan.choice["calibrated"]
    assert str(kept) in plan.explain()
    assert plan.run().bytes == 4 * MIB


def test_without_a_calibration_explain_names_none(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(MIB))
    assert "fastcopy calibrate" not in fastcopy.plan(tmp_path / "src", tmp_path / "dst").explain()


# ---- which filesystem ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ("where", "type", "source", "fsid", "cpu", "cpus"))
def test_an_entry_for_another_filesystem_or_machine_is_not_used(field: str, tmp_path: Path) -> None:
    ours = entry(tmp_path)
    assert [device for device, _ in calibration.present([ours])] == [tmp_path.stat().st_dev]
    assert list(calibration.present([ours | {field: "/elsewhere"}])) == []


def test_each_filesystem_has_an_identity_of_its_own(somewhere: Path, tmp_path: Path) -> None:
    there = entry(somewhere)
    assert there["where"] == str(somewhere.parent)
    assert [device for device, _ in calibration.present([there])] == [somewhere.stat().st_dev]
    assert there["fsid"] != entry(tmp_path)["fsid"]


def test_a_subvolume_is_a_filesystem_of_its_own(
    filesystem: Callable[[str], Path], empty_directory: Callable[[Path], Path]
) -> None:
    here = empty_directory(filesystem("btrfs"))
    subprocess.run(("btrfs", "-q", "subvolume", "create", str(here / "sub")), check=True)
    inside = entry(here / "sub")
    assert inside["where"] == str(here / "sub")
    assert [device for device, _ in calibration.present([inside])] == [(here / "sub").stat().st_dev]
    subprocess.run(("btrfs", "-q", "subvolume", "delete", str(here / "sub")), check=True)
    assert list(calibration.present([inside])) == []


def test_a_network_filesystem_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        "2 1 0:42 / /net rw,noatime shared:3 - nfs4 server:/export rw,vers=4.2",
    )
    monkeypatch.setattr(mounts, "_mounts", lambda: map(mounts.Mount, table))

    def hangs(path: str) -> None:
        raise AssertionError(f"{path} was asked")

    here = {"cpu": calibration.processor(), "cpus": os.cpu_count(), "local": False, "fsid": None, "numbers": NUMBERS}
    there = here | {"where": "/net", "type": "nfs4", "source": "server:/export"}
    monkeypatch.setattr(os, "stat", hangs)
    monkeypatch.setattr(os, "statvfs", hangs)
    assert [device for device, _ in calibration.present([there])] == [os.makedev(0, 42)]


def test_the_table_of_mounts_is_read_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        r"1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        r"2 1 8:17 / /a\040b\134c rw,noatime - xfs /dev/sdb1 rw,attr2",
        r"3 2 0:9 / /a\040b\134c ro - tmpfs none ro",
    )
    monkeypatch.setattr(mounts, "_mounts", lambda: map(mounts.Mount, table))
    hidden, over, root = mounts.Mount(table[1]), mounts.mount_of("/a b\\c/d"), mounts.mount_of("/a bcd")
    assert (hidden.point, hidden.type, hidden.source, hidden.options) == (
        "/a b\\c",
        "xfs",
        "/dev/sdb1",
        "rw,noatime,attr2",
    )
    assert over is not None and over.type == "tmpfs"
    assert root is not None and root.point == "/"


# ---- the file --------------------------------------------------------------------------------------------


def test_a_filesystem_measured_again_replaces_its_entry_alone(kept: Path, tmp_path: Path) -> None:
    other = entry(tmp_path) | {"where": "/other"}
    for each in (other, entry(tmp_path), entry(tmp_path, {"chunk": 8192})):
        calibration.save(str(kept), each)
    assert calibration.read(str(kept)) == [other, entry(tmp_path, {"chunk": 8192})]
    assert os.listdir(kept.parent) == [kept.name]


FOREIGN = {
    "no JSON": "[filesystems]",
    "not ours": '{"format": "something else"}',
    "a list": "[]",
    "a later version": '{"format": "fastcopy calibration", "version": 99, "filesystems": []}',
    "no filesystems": '{"format": "fastcopy calibration", "version": 1}',
    "an entry that is none": '{"format": "fastcopy calibration", "version": 1, "filesystems": [3]}',
    "no identity": '{"format": "fastcopy calibration", "version": 1, "filesystems": [{"numbers": {}}]}',
    "no text": "\udcff",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_file_is_ignored_with_one_warning_and_is_not_overwritten(
    what: str, kept: Path, tmp_path: Path
) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_bytes(FOREIGN[what].encode(errors="surrogateescape"))
    with pytest.warns(RuntimeWarning, match="is ignored") as warned:
        for _ in range(2):
            assert calibration.tuning() is calibration.BUILT_IN
    assert len(warned) == 1
    with pytest.raises(ValueError):
        calibration.save(str(kept), entry(tmp_path))
    assert kept.read_bytes() == FOREIGN[what].encode(errors="surrogateescape")


@pytest.mark.parametrize(
    "numbers",
    (
        {"chunk": 0},
        {"chunk": 5000},
        {"chunk": "4096"},
        {"chunk": True},
        {"chunk": 1 << 40},
        {"max_workers": 0},
        {"max_workers": -1},
        {"small": 4096},
        {"chunk": 4096.0},
    ),
    ids=str,
)
def test_a_number_that_is_none_of_the_dispatchers_is_refused(numbers: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no number of the dispatcher"):
        calibration._checked(entry(tmp_path) | {"numbers": numbers})


def test_every_number_that_may_be_kept_is_one_of_the_cores() -> None:
    assert set(calibration._ALLOWED) == set(_core.BUILT_IN)


def test_a_file_that_cannot_be_read_is_ignored_with_one_warning(kept: Path) -> None:
    kept.mkdir(parents=True)
    with pytest.warns(RuntimeWarning, match="Is a directory"):
        assert calibration.tuning() is calibration.BUILT_IN


# ---- what it costs ---------------------------------------------------------------------------------------


def test_the_shutil_door_looks_for_it_only_when_a_file_is_not_small(kept: Path, tmp_path: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text("not ours")
    (tmp_path / "small").write_bytes(noise(4096))
    (tmp_path / "large").write_bytes(noise(MIB))
    python(
        """if True:
        import os, sys, fastcopy
        os.chdir(sys.argv[1])
        before = set(sys.modules)
        fastcopy.copyfile("small", "copied")
        assert set(sys.modules) == before, set(sys.modules) - before
        try:
            fastcopy.copyfile("large", "copied")
        except RuntimeWarning as warning:
            assert "is ignored" in str(warning)
        else:
            raise AssertionError("it was not looked for")
        fastcopy.copyfile("large", "copied")  # what was wrong has been said
        assert open("copied", "rb").read() == open("large", "rb").read()
        """,
        tmp_path,
        flags=("-W", "error"),
    )


def test_the_shutil_door_uses_it(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(4 * MIB))
    document = entry(tmp_path)
    calibration.save(str(kept), document)
    assert json.loads(kept.read_text())["filesystems"] == [document]
    python(
        """if True:
        import os, sys, fastcopy
        from fastcopy import _core, shutil_door
        os.chdir(sys.argv[1])
        fastcopy.copyfile("src", "dst")
        with open("src", "rb") as a, open("dst", "r+b") as b:
            done = _core.copy_fds(
                a.fileno(), b.fileno(), _core.Options(reflink="never"), shutil_door._tuning, None, "src", "dst"
            )
        assert done["choice"]["calibrated"], done
        assert done["choice"]["chunk"] == 64 << 10
        """,
        tmp_path,
    )
