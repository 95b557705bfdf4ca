"""The documentation is so: its examples run, its links lead somewhere, and it names all that there is to name.

An example is a fenced block of `python` in README.md or docs/. It runs in a process of its own, in a directory that
holds `a.bin` (24 MiB), `data/one.bin`, `data/sub/two.bin` and an empty `scratch/`. Where a block of `text` follows at
once, that is what it prints; `...` there stands for anything, and lines may be wrapped anywhere.

Blocks of `console` are run too, those of a page in one such directory, which is HOME as well: a line that begins with
`$ ` is a command, the lines below are all that it says, and `[2]` is its status if that is not 0. `fastcopy bench` and
`calibrate` take long, so their words are only read; what else is not run is in NOT_RUN.
"""

import dataclasses
import doctest
import errno
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

import fastcopy
from fastcopy import _core, manifests
from fastcopy.cli import SUBCOMMANDS, bench, completion, copy
from fastcopy.cli.parsing import UsageError, option_strings, parse
from fastcopy.options import ARGUMENTS, PRESETS, SHUTIL_ARGUMENTS
from support.shapes import KIB, MIB, noise
from support.shells import PACKAGES, python

pytestmark = pytest.mark.release

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
EXAMPLES_IN = [README, *sorted(DOCS.rglob("*.md"))]
PAGES = [*EXAMPLES_IN, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
# They say how it is, or hold what is made from elsewhere; there is nothing to try.
WITHOUT_EXAMPLES = {
    "docs/changes.md",
    "docs/command.md",  # which has commands
    "docs/contributing.md",
    "docs/figures.md",
    "docs/howto/index.md",
    "docs/internals.md",
    "docs/reference.md",
    "docs/results.md",
}

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


# ---- reading a page -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    page: str
    line: int
    code: str
    prints: str | None  # None: whatever it likes

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: str, text: str) -> list[Example]:
    blocks = list(BLOCK.finditer(text))
    found = []
    for block, after in zip_longest(blocks, blocks[1:]):
        if block[1] == "python":
            told = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
            line = text.count("\n", 0, block.start()) + 2
            found.append(Example(page, line, block[2], after[2] if told and after else None))
    return found


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def anchors(text: str) -> set[str]:
    """As GitHub makes them."""
    headings = (heading[2].replace("`", "").lower() for heading in HEADING.finditer(prose(text)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(prose(text)):
        name, _, anchor = link.partition("#")
        if "://" in name:
            continue
        target = page.parent / name if name else page
        there = target == page or target.is_file()
        if not there or (anchor and anchor not in anchors(text if target == page else target.read_text("utf-8"))):
            broken.append(link)
    return broken


def reached_from(page: Path) -> set[Path]:
    """The pages that a reader gets to by following links."""
    reached, todo = set(), [page]
    while todo:
        here = todo.pop().resolve()
        if here not in reached and here.suffix == ".md" and here.is_file():
            reached.add(here)
            names = (link.partition("#")[0] for link in LINK.findall(prose(here.read_text(encoding="utf-8"))))
            todo += [here.parent / name for name in names if name and "://" not in name]
    return reached


def section(text: str, heading: str) -> str:
    """What stands under a heading, down to the next."""
    headings = list(HEADING.finditer(text))
    for this, following in zip(headings, [*headings[1:], None], strict=True):
        if this[2] == heading:
            return text[this.end() : following.start() if following else None]
    raise AssertionError(f"there is no heading {heading!r}")


def table(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading: each name in the first cell -> the other cells of its row."""
    rows: dict[str, list[str]] = {}
    for line in section((DOCS / page).read_text(encoding="utf-8"), heading).splitlines():
        if line.startswith("|"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            rows |= dict.fromkeys(CODE.findall(first), others)
    assert rows, f"{page} has no table under {heading!r}"
    return rows


def source(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# ---- examples and links ---------------------------------------------------------------------------------


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.bin").write_bytes(noise(24 * MIB))
    for path in ("data/one.bin", "data/sub/two.bin"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(noise(KIB))
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(example: Example) -> None:
    # The lines are counted as on the page, so that a traceback tells where.
    printed = python("\n" * (example.line - 1) + example.code, flags=("-W", "error"))
    if example.prints is not None:
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        right = doctest.OutputChecker().check_output(example.prints, printed, options)
        assert right, f"{example} prints\n{printed}\nand not\n{example.prints}"


ALL_EXAMPLES = [
    example for page in EXAMPLES_IN for example in examples(name_of(page), page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("example", ALL_EXAMPLES, ids=str)
def test_every_example_runs_and_prints_what_is_said(example: Example, workplace: Path) -> None:
    run(example)


def test_the_tutorial_can_be_followed_from_its_beginning_to_its_end(workplace: Path) -> None:
    for example in examples("tutorial.md", source("docs/tutorial.md")):
        run(example)


# They install, need root or the source folder, take long, or are about places that are not here.
NOT_RUN = {".ci/run", ".venv/bin/python", "find", "make", "pip", "python3", "sudo"}


def session(page: Path) -> list[tuple[str, str]]:
    """Its commands, and what each is said to say."""
    blocks = "".join(block[2] for block in BLOCK.finditer(page.read_text(encoding="utf-8")) if block[1] == "console")
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", blocks, re.MULTILINE)


WITH_COMMANDS = [page for page in PAGES if session(page)]


@pytest.fixture
def shell(workplace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where `fastcopy` is a command."""
    commands = tmp_path_factory.mktemp("commands")
    command = commands / "fastcopy"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(PACKAGES)} exec {sys.executable} -m fastcopy "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(workplace))
    return workplace


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_every_command_says_what_is_said(page: Path, shell: Path) -> None:
    assert wrong_commands(session(page)) == []


def test_the_pages_that_are_followed_at_a_shell_have_commands_that_are_run() -> None:
    for page in (README, DOCS / "tutorial.md", DOCS / "command.md"):
        assert sum(command.startswith("fastcopy ") for command, _ in session(page)) > 2


def wrong_commands(commands: list[tuple[str, str]]) -> list[str]:
    """What does not say what is said of it."""
    return [wrong for command, told in commands if (wrong := wrong_command(command, told))]


def wrong_command(command: str, told: str) -> str:
    name, *words = shlex.split(command, comments=True)
    if name == "fastcopy" and words[0] in ("bench", "calibrate"):
        try:
            parse(completion.parser_of(words[0]), words[1:])
        except UsageError as error:
            return f"{command}: {error}"
        return ""
    if name in NOT_RUN:
        return f"{command}: it is not run, so it cannot be known what it says" if told else ""
    done = subprocess.run(("bash", "-c", command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    status = re.search(r"^\[(\d+)\]$", told, re.MULTILINE)
    expected = re.sub(r"^\[\d+\]\n", "", told, flags=re.MULTILINE)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    right = doctest.OutputChecker().check_output(expected, done.stdout, options)
    if right and done.returncode == (int(status[1]) if status else 0):
        return ""
    return f"{command}: {done.returncode} {done.stdout}"


def test_a_command_that_says_something_else_is_noticed(shell: Path) -> None:
    wrong = [
        ("fastcopy -v a.bin b.bin", ""),
        ("fastcopy missing b.bin", "fastcopy: ...\n"),
        ("fastcopy bench --no-such /data", ""),
        ("make coffee", "it is done\n"),
        ("no-such-command", ""),
    ]
    right = [
        ("fastcopy a.bin b.bin  # in silence", ""),
        ("fastcopy missing b.bin", "fastcopy: ...\n[1]\n"),
        ("make tea", ""),
    ]
    assert len(wrong_commands(wrong)) == len(wrong)
    assert wrong_commands(right) == []


def test_every_page_for_users_has_examples() -> None:
    assert {name_of(page) for page in EXAMPLES_IN} - {example.page for example in ALL_EXAMPLES} == WITHOUT_EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_between_the_pages_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_line_of_prose_is_longer_than_one_of_code(page: Path) -> None:
    """As [tool.ruff] has it. A row of a table is a line, and so is what a program prints."""
    lines = prose(page.read_text(encoding="utf-8")).splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_the_readme_leads_to_every_page_and_so_does_the_site() -> None:
    everything = {page.resolve() for page in PAGES}
    assert everything - reached_from(README) == set()
    assert everything - reached_from(DOCS / "index.md") == {README}


# ---- all that there is to name --------------------------------------------------------------------------


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")}


def test_every_option_is_described_and_no_other() -> None:
    assert set(table("transfer.md", "Options")) == set(ARGUMENTS)


def test_every_option_of_the_shutil_door_is_named() -> None:
    assert set(CODE.findall(section((DOCS / "shutil.md").read_text(encoding="utf-8"), "What is added"))) > set(
        SHUTIL_ARGUMENTS
    )


def test_every_field_that_a_caller_reads_is_described_and_no_other() -> None:
    assert set(table("transfer.md", "The report")) == fields(fastcopy.Report)
    assert set(table("transfer.md", "The plan")) == fields(fastcopy.Plan) | {"facts"}
    assert set(table("transfer.md", "Progress and cancelling")) == fields(fastcopy.Progress) | {"eta"}
    assert set(table("trees.md", "What became of each entry")) - {"Entry"} == set(fastcopy.Entry._fields)
    assert set(table("trees.md", "When something fails")) - {"EntryError"} == set(fastcopy.EntryError._fields)


def test_every_error_code_is_described_with_its_errno() -> None:
    described = table("failures.md", "Codes")
    assert set(described) == set(_core.CODES)
    for code, (_, numbers, _) in described.items():
        (first, *_) = CODE.findall(numbers)
        assert getattr(errno, first) == _core.CODES[code], f"{code} is {numbers}"


def test_every_field_of_a_check_failure_is_described_and_no_other() -> None:
    assert set(table("digests.md", "Manifests")) == fields(fastcopy.CheckFailure)


def test_every_length_of_a_digest_without_a_tag_is_described_as_it_is() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|$", source("docs/digests.md"), re.MULTILINE)
    assert {int(digits): tuple(names.split(" or ")) for digits, names in rows} == manifests._BY_LENGTH


def test_every_engine_is_described_and_no_other() -> None:
    assert set(table("engines.md", "The engines")) == set(fastcopy.engines())
    readme = section((ROOT / "README.md").read_text(encoding="utf-8"), "Engines")
    assert set(fastcopy.engines()) <= set(CODE.findall(readme))


def test_every_reason_is_described_and_no_other() -> None:
    reasons = set(re.findall(r"^REASON\((\w+),", source("csrc/reasons.def"), re.MULTILINE)) - {"none"}
    assert reasons
    assert set(table("engines.md", "The dispatcher")) | set(table("engines.md", "Workers")) == reasons


def test_the_dispatchers_table_has_the_dispatchers_order() -> None:
    function = re.search(r"^static int choose_ladder\(.*?^}", source("csrc/plan.c"), re.DOTALL | re.MULTILINE)
    assert function is not None
    in_the_code = re.findall(r"FC_REASON_(\w+)", function[0])
    assert list(table("engines.md", "The dispatcher")) == in_the_code


def test_every_number_of_the_dispatcher_is_described_as_it_is() -> None:
    set_to = re.findall(r"^ *\.(\w+) = (\d+)(?: \* FC_(.)IB)?,", source("csrc/tuning.c"), re.MULTILINE)
    assert set_to
    described = {name: cells[0] for name, cells in table("engines.md", "The numbers").items()}
    assert described == {name: f"{number} {unit}iB" if unit else number for name, number, unit in set_to}


def test_every_option_of_bench_is_described_and_no_other() -> None:
    options = {word for action in bench.parser()._actions for word in action.option_strings if word.startswith("--")}
    described = {name.split()[0] for name in table("benchmark.md", "In one command")}
    assert described == options - {"--help", "--quiet"}


def test_every_subcommand_event_and_status_of_the_command_is_described_and_no_other() -> None:
    described = {name.split()[0] for name in table("command.md", "Subcommands")}
    assert described == set(SUBCOMMANDS)
    schema = json.loads(source("fastcopy/cli/events.schema.json"))
    assert set(table("command.md", "For programs")) == {
        kind["properties"]["event"]["const"] for kind in schema["$defs"].values() if "properties" in kind
    }
    assert set(table("command.md", "How it ends")) == {"0", "1", "2", "3", "129", "130", "141", "143"}


def test_every_option_of_cp_that_is_said_to_be_the_same_is_there() -> None:
    ours = set(option_strings(copy.parser()))
    for options, (said, *_) in table("coming-from.md", "cp").items():
        word = re.split(r"[ =\[]", options)[0]
        if word.startswith("-"):  # and not the heading
            assert (word in ours) is (said != "not there"), options


def test_every_number_that_calibrate_may_keep_is_described() -> None:
    assert set(_core.BUILT_IN) <= set(CODE.findall(prose(section(source("docs/benchmark.md"), "Calibrating"))))


def test_every_variable_and_preset_is_described_and_no_other() -> None:
    variables = re.findall(r"\.get\(\"(FASTCOPY_\w+)\"\)", source("fastcopy/options.py"))
    assert set(table("engines.md", "Environment")) == set(variables) != set()
    assert set(table("engines.md", "Choosing yourself")) == set(PRESETS)


def test_every_public_name_is_in_the_reference_and_no_other() -> None:
    made = re.findall(r"^\.\. auto\w+:: fastcopy\.(\w+)$", source("docs/reference.md"), re.MULTILINE)
    named = re.findall(r"`fastcopy\.(\w+)`", source("docs/reference.md"))
    assert sorted([*made, *named]) == sorted(fastcopy.__all__)


def test_the_drawing_of_the_layers_names_every_source_of_the_core() -> None:
    drawn = set(re.findall(r"\b[\w*]+\.c\b", source("docs/layers.svg")))
    there = {file.name for file in (ROOT / "csrc").glob("*.c")}
    assert {name for name in there if not any(Path(name).match(pattern) for pattern in drawn)} == set()
    assert {pattern for pattern in drawn if not any(Path(name).match(pattern) for name in there)} == set()


# ---- all this can fail ----------------------------------------------------------------------------------

WRONG = """\
# A page

[gone](gone.md), [no such place](#nowhere), [itself](#a-page), [elsewhere](https://example.org/)

```python
print("one")
```

```text
two
```

```python
1 / 0
```

```text
in no python block: [gone too](gone-too.md)
```
"""


def test_a_wrong_example_is_noticed(workplace: Path) -> None:
    wrong_output, raises = examples("page.md", WRONG)
    assert (str(wrong_output), wrong_output.prints) == ("page.md:6", "two\n")
    with pytest.raises(AssertionError, match=r"page\.md:6 prints\s+one"):
        run(wrong_output)
    with pytest.raises(AssertionError, match="line 14, in <module>"):
        run(raises)


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    assert broken_links(tmp_path / "page.md", WRONG) == ["gone.md", "#nowhere"]


def test_a_missing_section_or_table_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no heading"):
        section(WRONG, "Another page")
    with pytest.raises(AssertionError, match="no table"):
        table("failures.md", "Fork")
