"""The benchmark of the checkout: its scenarios as data, its peers, and a run of it on tiny sizes."""

import json
import sys
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
    assert sum(s.seconds for s in bench.SCENARIOS) <= 27 * 60
    assert sum(s.seconds for s in bench.quick()) <= 2.5 * 60
    assert {s.ways for s in bench.quick()} >= {"file", "tree", "cold", "clone", "zero-copy", "depths", "threads"}


def test_the_headlines_of_the_field_are_there(bench: ModuleType) -> None:
    by_name = {s.name: s for s in bench.SCENARIOS}
    assert by_name["mixed"].what == Tree(((1000, 10**3), (100, 10**6), (10, 50 * 10**6), (1, 10**9)))
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
    assert {"shutil.copytree", "cp -a", "rsync -aW", "xcp"} <= {way.name for way in peers.for_trees()}
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(peers, "INSTALLED", Path("/nowhere"))
    missing = {way.name for way in (*peers.for_files(), *peers.for_trees()) if way.missing is not None}
    assert missing >= {"cp", "cp -a", "rsync -aW", "dd bs=1M", "xcp", "cpz", "fcp", "uutils cp"}


def test_what_this_version_lacks_is_asked_of_it(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = module(bench, "ways")
    by_name = {s.name: s for s in bench.SCENARIOS}
    for name, question, way in (
        ("verified-hash", "can_verify", "fastcopy, verify=hash"),
        ("busy", "can_verify", "fastcopy, beside a busy thread"),
        ("mixed", "can_transfer_trees", "fastcopy, tree"),
    ):
        scenario = by_name[name]
        for can in (True, False):
            monkeypatch.setattr(ways, question, lambda can=can: can)
            missing = next(w.missing for w in ways.GROUPS[scenario.ways](scenario) if w.name == way)
            assert (missing is None) is can
            assert can or "not in this version" in missing


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
    trees = {"tree": Tree(((3, 100), (1, MIB))), "threads": Tree(((3, MIB),))}
    found = {}
    for s in bench.SCENARIOS:
        what = trees.get(s.ways) or File(sizes.get(s.ways, 4 * KIB))
        found.setdefault(s.ways, replace(s, what=what, where="here", seconds=60))
    return tuple(found.values())


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
    assert [cell["problem"] for cell in document["scenarios"]] == [None] * len(bench.GROUPS)
    rows = [(cell["name"], row) for cell in document["scenarios"] for row in cell["rows"]]
    faults = [(name, row["way"], row["problem"]) for name, row in rows if bench.report.is_fault(row)]
    assert faults == []
    # Whoever is here did copy.
    assert {row["way"] for _, row in rows if row["problem"] is None} >= {"cp", "cp -a", "shutil.copyfile", "fastcopy"}


def test_the_report_is_a_page_and_four_pictures(bench: ModuleType, document: dict[str, Any], tmp_path: Path) -> None:
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
