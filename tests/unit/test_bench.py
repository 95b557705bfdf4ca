"""The benchmark of the checkout: its scenarios as data, its peers, and a run of it on tiny sizes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from fastcopy.measure import File, Tree
from support.pictures import is_a_picture
from support.shapes import KIB, MIB
from support.shells import PACKAGES

pytestmark = pytest.mark.release

BENCH = Path(__file__).parents[2] / "bench"
SCHEMA = json.loads((BENCH / "schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """bench/run.py, which is a script in a folder of scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        yield import_module("run")


def module(bench: ModuleType, name: str) -> ModuleType:
    return sys.modules[name]


# ---- the data --------------------------------------------------------------------------------------------


def test_every_scenario_has_a_name_of_its_own_and_ways(bench: ModuleType) -> None:
    scenarios = bench.SCENARIOS
    assert len({s.name for s in scenarios}) == len({s.title for s in scenarios}) == len(scenarios)
    assert {s.ways for s in scenarios} == set(bench.GROUPS)
    places = {"here", "tmpfs", *module(bench, "places").MAKE}
    assert {s.where for s in scenarios} <= places


def test_the_runs_are_given_no_more_time_than_was_promised(bench: ModuleType) -> None:
    """Less, for making sources and the copy that is under way when the time is over are not in it."""
    assert sum(s.seconds for s in bench.SCENARIOS) <= 26.5 * 60
    assert sum(s.seconds for s in bench.quick()) <= 2.5 * 60
    assert {s.ways for s in bench.quick()} >= {"file", "tree", "cold", "clone", "zero-copy", "depths", "threads"}


def test_the_headlines_of_the_field_are_there(bench: ModuleType) -> None:
    by_name = {s.name: s for s in bench.SCENARIOS}
    mixed = Tree(((1000, 10**3), (100, 10**6), (10, 50 * 10**6), (1, 10**9)))
    assert by_name["mixed-tmpfs"].what == by_name["mixed-ext4"].what == mixed
    for where in ("tmpfs", "ext4", "xfs", "mode-tmpfs", "clone-xfs", "clone-btrfs"):
        small = by_name[f"tree-{where}"].what
        assert (small.files, small.directories, small.kinds) == (20_000, 350, ((20_000, range(100, 20_001)),))
    empty = by_name["tree-empty-tmpfs"].what
    assert (empty.files, empty.bytes, empty.directories) == (100_000, 0, 1)
    curve = [s for s in bench.SCENARIOS if s.ways == "curve"]
    assert [(s.what.files, s.once) for s in curve] == [(1000, False), (10**4, False), (10**5, False), (10**6, True)]
    assert by_name["one-1GB"].what == File(10**9)
    assert {by_name[f"zero-copy-{n}MB"].what.bytes for n in (100, 1000)} == {10**8, 10**9}
    assert by_name["depths"].what == File(200 * 10**6)
    assert {by_name[f"verified-{level}"].what for level in ("compare", "hash")} == {File(2 << 30)}
    for kind in ("new", "over"):
        sizes = [s.what.bytes for s in bench.SCENARIOS if s.name.startswith(f"size-{kind}-")]
        assert (min(sizes), max(sizes), len(sizes)) == (0, 4 << 30, 10)


def test_all_peers_are_there_or_say_why_not(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = module(bench, "peers")
    named = {"shutil.copyfile", "pathlib.Path.copy", "os.sendfile", "os.copy_file_range", "cp", "rsync -aW"}
    named |= {"dd bs=1M", "xcp", "cpz", "fcp", "uutils cp"}
    assert {way.name for way in peers.for_files()} == named
    assert {"shutil.copytree", "cp -a", "rsync -aW", "uutils cp"} == {way.name for way in peers.for_trees()}
    assert {way.name for way in peers.for_trees_mode()} == {"pathlib.Path.copy", "xcp", "cpz", "fcp"}
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(peers, "INSTALLED", Path("/nowhere"))
    everybody = (*peers.for_files(), *peers.for_trees(), *peers.for_trees_mode())
    missing = {way.name for way in everybody if way.missing is not None}
    assert missing >= {"cp", "cp -a", "rsync -aW", "dd bs=1M", "xcp", "cpz", "fcp", "uutils cp"}


# ---- a run -----------------------------------------------------------------------------------------------


def tiny(bench: ModuleType) -> tuple[Any, ...]:
    """One scenario of every group, small."""
    sizes = {
        "digest": MIB,
        "compare": MIB,
        "busy": MIB,
        "clone": MIB,
        "depths": 200 * MIB,
        "cold": MIB,
        "verified": MIB,
        "zero-copy": 32 * MIB,
        "counting": KIB,
    }
    trees = {
        "tree": Tree(((3, 100), (1, MIB))),
        "threads": Tree(((3, MIB),)),
        "tree-small": Tree(((30, range(100, 20_001)),), directories=4),
        "tree-mode": Tree(((30, range(5)),), directories=1),
        "tree-clone": Tree(((3, 4 * KIB),)),
        "curve": Tree(((20, 0),), directories=2),
    }
    found = {}
    for s in bench.SCENARIOS:
        what = trees.get(s.ways) or File(sizes.get(s.ways, 4 * KIB))
        found.setdefault(s.ways, replace(s, what=what, where="here", seconds=60))
    curve = found["curve"]
    return (*found.values(), replace(curve, name="curve-once", what=Tree(((40, 0),), directories=2), once=True))


@pytest.fixture(scope="module")
def one_run(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "MOST_ROUNDS", 2)
        cells = list(bench.run(tiny(bench), directory))
    assert list(directory.iterdir()) == []
    told: dict[str, Any] = bench.document(cells)
    return told


@pytest.fixture
def document(one_run: dict[str, Any]) -> dict[str, Any]:
    """The document of one run, to be spoiled as the test likes."""
    return deepcopy(one_run)


def test_a_run_is_a_document_that_fits_the_schema(bench: ModuleType, document: dict[str, Any]) -> None:
    jsonschema.validate(document, SCHEMA)
    assert [cell["problem"] for cell in document["scenarios"]] == [None] * (len(bench.GROUPS) + 1)
    rows = [(cell["name"], row) for cell in document["scenarios"] for row in cell["rows"]]
    faults = [(name, row["way"], row["problem"]) for name, row in rows if bench.report.is_fault(row)]
    # Where blocks cannot be shared, `--reflink=always` is a failure of cp; of ours a refusal.
    assert [fault for fault in faults if fault[1] != "cp -a --reflink=always"] == []
    # Whoever is here did copy.
    assert {row["way"] for _, row in rows if row["problem"] is None} >= {"cp", "cp -a", "shutil.copyfile", "fastcopy"}


def test_a_curve_tells_of_each_file_and_of_the_memory(bench: ModuleType, document: dict[str, Any]) -> None:
    cells = bench.report._curve(document)
    assert [(cell["files"], cell["rounds"]) for cell in cells] == [(20, 2), (40, 1)]
    for cell in cells:
        for row in cell["rows"]:
            assert row["problem"] is None and row["peak_memory"] is not None
            assert len(row["seconds"]) == cell["rounds"]
        for row, taken in zip(cell["rows"], (0.004, 0.008), strict=True):
            row.update(median=taken, peak_memory=3 * MIB)
    assert bench.report.curve_table(cells).splitlines()[2:] == [
        "| 20 | fastcopy, tree | 4 ms | 200 us | 3.0 MiB |",
        "| 20 | fastcopy, tree, in place | 8 ms | 400 us | 3.0 MiB |",
        "| 40 | fastcopy, tree | 4 ms | 100 us | 3.0 MiB |",
        "| 40 | fastcopy, tree, in place | 8 ms | 200 us | 3.0 MiB |",
    ]
    assert "| a file |" in bench.report.markdown(cells[0])


def test_sigterm_leaves_nothing_behind_and_tells_what_was_measured(tmp_path: Path) -> None:
    """Filesystems in image files too, where there is root to mount them."""
    root = os.geteuid() == 0
    name = "large-ext4" if root else "size-new-64MiB"
    running = subprocess.Popen(
        (sys.executable, str(BENCH / "run.py"), str(tmp_path), "--only", name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": PACKAGES},
    )
    made = "work-*/image-*/mounted/fastcopy-bench-*/copy" if root else "work-*/fastcopy-bench-*/copy"
    while not list(tmp_path.glob(made)):  # until copies are being made
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (143, "\ninterrupted: 0 of 1 scenarios\n")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert json.loads((tmp_path / "results/results.json").read_text(encoding="utf-8"))["scenarios"] == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    assert [loop for loop in loops if str(tmp_path) in loop.read_text(encoding="utf-8")] == []


def test_the_report_is_a_page_and_five_pictures(bench: ModuleType, document: dict[str, Any], tmp_path: Path) -> None:
    names = {"depths": "size-new-64MiB", "verified-compare": "size-over-64MiB"}
    for cell in document["scenarios"]:
        cell["name"] = names.get(cell["name"], cell["name"])
    bench.report.write(json.loads(json.dumps(document)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"results.md", *bench.report.PICTURES}
    assert all(is_a_picture(tmp_path / name) for name in bench.report.PICTURES)
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    for cell in document["scenarios"]:
        assert f"## {cell['name']}\n" in page
        assert all(f"| {row['way']} |" in page for row in cell["rows"])


def test_the_figures_of_the_readme_can_be_replaced(bench: ModuleType, document: dict[str, Any], tmp_path: Path) -> None:
    report, readme = bench.report, tmp_path / "README.md"
    readme.write_text((BENCH.parent / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    document["scenarios"][0]["name"] = "one-1GB"
    report.into_readme(document, readme)
    text = readme.read_text(encoding="utf-8")
    assert report.readme_table(document) in text
    shown = [cell["title"] for cell in document["scenarios"] if report._is_headline(cell["name"])]
    assert len(shown) >= 3
    assert all(f"| {title} |" in text for title in shown)
    before, after = text.split(report.BEGIN)[0], text.split(report.END)[1]
    original = (BENCH.parent / "README.md").read_text(encoding="utf-8")
    assert original.startswith(before) and original.endswith(after)
    readme.write_text("no place", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the figures"):
        report.into_readme(document, readme)


def test_a_filesystem_that_cannot_be_had_is_a_cell_that_says_so(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module(bench, "places").os, "geteuid", lambda: 1000)
    scenario = next(s for s in bench.SCENARIOS if s.where == "xfs")
    [cell] = bench.run((scenario,), tmp_path)
    assert (cell["problem"], cell["rows"]) == ("xfs: mounting filesystems needs root", [])
    jsonschema.validate(bench.document([cell]), SCHEMA)


def test_memory_is_never_cold(bench: ModuleType) -> None:
    scenario = next(s for s in bench.SCENARIOS if s.cache == "cold")
    with module(bench, "places").filesystem("tmpfs", Path("/")) as memory:
        cell = bench.measured(replace(scenario, what=File(MIB)), memory)
    assert "cannot be called cold" in cell["problem"]


@pytest.mark.parametrize("spoil", ("version", "rows", "kind", "seconds", "ratio"))
def test_the_schema_refuses_what_is_no_such_document(spoil: str, document: dict[str, Any]) -> None:
    row = next(row for row in document["scenarios"][0]["rows"] if row["problem"] is None)
    if spoil == "version":
        document["version"] = 2
    elif spoil == "rows":
        document["scenarios"][0]["rows"] = []
    elif spoil == "kind":
        row["kind"] = "theirs"
    elif spoil == "seconds":
        row["seconds"] = [-1]
    else:
        row["ratio"] = 2.0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)
