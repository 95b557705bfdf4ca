"""Deciding without touching anything, and saying why."""

import logging
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.shapes import MANY_REGIONS, MIB, noise
from support.state import descriptors, snapshot

pytestmark = pytest.mark.release


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(noise(5 * MIB))
    return path


@pytest.mark.parametrize("existing", (True, False))
@pytest.mark.parametrize("atomic", (True, False))
def test_a_plan_touches_nothing_and_holds_nothing(src: Path, tmp_path: Path, existing: bool, atomic: bool) -> None:
    dst = tmp_path / "dst"
    if existing:
        dst.write_bytes(b"old")
    before, open_before = snapshot(tmp_path), descriptors()
    times = [path.stat() for path in tmp_path.iterdir()]
    plan = fastcopy.plan(src, dst, atomic=atomic, sync="full")
    plan.explain()
    assert snapshot(tmp_path) == before
    assert descriptors() == open_before
    after = [path.stat() for path in tmp_path.iterdir()]
    assert [(s.st_mtime_ns, s.st_ctime_ns) for s in after] == [(s.st_mtime_ns, s.st_ctime_ns) for s in times]


@pytest.mark.parametrize("engine", fastcopy.engines())
def test_a_plan_of_a_named_engine_is_that_engine_or_an_error(
    engine: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    for name, filesystem in FILESYSTEMS.items():
        directory = empty_directory(mounts.use(name))
        src = directory / "src"
        src.write_bytes(noise(MIB))
        if engine in filesystem.refuses:
            with pytest.raises(fastcopy.CopyError) as refusal:
                # What lies below an overlay is found out when it is tried.
                fastcopy.plan(src, directory / "dst", engine=engine).run()
            assert refusal.value.code == "COPY_E_UNSUPPORTED"
        else:
            plan = fastcopy.plan(src, directory / "dst", engine=engine)
            assert plan.ladder == (engine,)
            assert plan.run().engine == engine
        assert "dst" not in os.listdir(directory) or engine not in filesystem.refuses


def test_the_plan_of_a_transfer_is_the_plan_that_is_run(src: Path, tmp_path: Path) -> None:
    plan = fastcopy.plan(src, tmp_path / "dst", **MANY_REGIONS)
    report = plan.run()
    assert report.plan == plan
    assert report.engine in plan.ladder
    assert report.workers <= plan.workers
    assert plan.size == 5 * MIB


def test_explain_is_one_paragraph_that_names_the_choice_and_its_reason(src: Path, tmp_path: Path) -> None:
    plan = fastcopy.plan(src, tmp_path / "dst", engine="mapped", sync="full")
    text = plan.explain()
    assert "\n" not in text
    for word in ("src", "dst", "'mapped'", "named by the caller", "sync='full'"):
        assert word in text


def test_explain_says_what_becomes_of_what_is_there(src: Path, tmp_path: Path) -> None:
    dst = tmp_path / "dst"
    assert ", new) with" in fastcopy.plan(src, dst).explain()
    dst.write_bytes(b"old")
    assert ", in place of what is there) with" in fastcopy.plan(src, dst).explain()
    assert ", over the existing file) with" in fastcopy.plan(src, dst, atomic=False).explain()


def test_explain_gives_a_reason_once(src: Path, tmp_path: Path) -> None:
    for engine in (*fastcopy.engines(), "auto"):
        if engine == "auto" or fastcopy.capabilities(tmp_path)[engine]:
            text = fastcopy.plan(src, tmp_path / "dst", engine=engine).explain()
            reasons = [sentence.partition("because ")[2] for sentence in text.split(". ") if "because " in sentence]
            assert len(set(reasons)) == len(reasons) > 0


def test_the_facts_are_those_of_the_machine(src: Path, tmp_path: Path) -> None:
    facts = fastcopy.plan(src, tmp_path / "dst").facts
    assert facts["src"]["size"] == 5 * MIB
    assert facts["src"]["ino"] == src.stat().st_ino
    assert facts["src"]["dev"] == src.stat().st_dev == facts["dst"]["dev"]
    assert not facts["dst"]["exists"]
    assert 1 <= facts["machine"]["cpus"] <= len(os.sched_getaffinity(0))
    major, minor = os.uname().release.split(".")[:2]
    assert facts["machine"]["kernel"] == int(major) << 8 | int("".join(c for c in minor if c.isdigit()))


def test_the_filesystems_are_known_by_name(mounts: Mounts, empty_directory: Callable[[Path], Path]) -> None:
    for name in FILESYSTEMS:
        directory = empty_directory(mounts.use(name))
        src = directory / "src"
        src.write_bytes(noise(5 * MIB))
        facts = fastcopy.plan(src, directory / "dst").facts
        assert facts["src"]["fs"] == facts["dst"]["fs"] == name.removesuffix("-noreflink")


@pytest.mark.parametrize(
    ("variable", "value", "workers"),
    (
        ("SLURM_CPUS_PER_TASK", "1", 1),
        ("PBS_NP", "1", 1),
        ("LSB_DJOB_NUMPROC", "1", 1),
        ("NSLOTS", "1", 1),
        ("NSLOTS", "nonsense", None),
        ("NSLOTS", "-3", None),
        ("NSLOTS", "", None),
    ),
)
def test_what_the_batch_system_granted_bounds_the_workers(
    src: Path, tmp_path: Path, variable: str, value: str, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"reflink": "never", "parallel_threshold": MIB, "min_region": MIB}
    usual = fastcopy.plan(src, tmp_path / "dst", **options).workers
    monkeypatch.setenv(variable, value)
    bound = fastcopy.plan(src, tmp_path / "dst", **options).workers
    assert bound == (usual if workers is None else workers)
    assert fastcopy.plan(src, tmp_path / "dst", workers=5, **options).workers == 5


def test_one_cpu_means_one_worker(src: Path, tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        plan = fastcopy.plan(src, tmp_path / "dst", reflink="never", parallel_threshold=MIB, min_region=MIB)
    finally:
        os.sched_setaffinity(0, allowed)
    assert plan.workers == 1
    assert plan.workers_reason in ("one_cpu", "rotating")  # what the disk below says of itself


def test_the_log_has_one_line_of_decision_and_one_of_performance(
    src: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fastcopy"):
        report = fastcopy.transfer(src, tmp_path / "dst")
    decision, performance = (record.getMessage() for record in caplog.records)
    assert decision.startswith("Decision: ")
    assert performance.startswith("Perf: ")
    said = dict(word.split("=", 1) for line in (decision, performance) for word in shlex.split(line)[1:])
    assert said["size"] == said["bytes"] == str(report.bytes) or said["bytes"] == str(report.bytes)
    assert said["engine"] == report.engine
    assert said["reason"] == report.reason
    assert said["regions"] == str(report.regions)


def test_the_log_is_silent_unless_configured(src: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fastcopy.transfer(src, tmp_path / "dst")
    assert capfd.readouterr() == ("", "")
