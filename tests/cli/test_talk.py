"""What the command says and how it ends: statuses, errors, events."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from fastcopy import VerifyError, transfer_door
from fastcopy.cli import SUBCOMMANDS, completion, copy, place, tuning
from support.command import COMMAND, events, run, status, surroundings
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.state import unpublished

pytestmark = pytest.mark.release


class Terminal(io.StringIO):
    """At which nobody says yes."""

    def isatty(self) -> bool:
        return True


# ---- statuses and errors ---------------------------------------------------------------------------------


def odd(here: Path) -> None:
    """What is easily tripped over."""
    Path("-dash").write_bytes(b"dash")
    Path("dangling").symlink_to("nowhere")
    Path("links").mkdir()
    Path("links/dangling").symlink_to("nowhere")
    os.mkfifo("fifo")


@pytest.mark.parametrize(
    ("words", "expected", "said"),
    (
        ("a b", 0, ""),
        ("missing b", 1, "cannot copy 'missing' to 'b': No such file or directory; check the name"),
        ("a nowhere/b", 1, "make the directory that it is to be in first"),
        ("tree b", 1, "-r copies directories"),
        ("a tree/one/b", 1, "Not a directory"),
        ("a missing tree/one", 1, "it is no directory to copy into"),
        ("--engine=clone --reflink=never a b", 2, "a clone is a reflink"),
        ("a", 2, "a destination is missing after 'a'"),
        ("--no-such a b", 2, "there is no option --no-such ("),
        ("--recursiv tree b", 2, "there is no option --recursiv (do you mean --recursive?)"),
        ("--recursive=yes tree b", 2, "--recursive takes no value, and 'yes' was given"),
        ("-dash b", 2, "; the file -dash is written ./-dash"),
        ("-j lots a b", 2, "'lots' is no number of threads; 4 is, and auto"),
        ("manual a", 2, "'a' is one operand too many"),
        ("bench", 2, "the following arguments are required: DIR"),
        ("a a", 1, "source and destination are the same file; name another destination"),
        ("-r tree tree/../tree -T", 1, "source and destination are the same directory; name another destination"),
        ("dangling b", 1, "it is a symlink that leads nowhere; -P copies it as it is"),
        ("-rL links b", 1, "it is a symlink that leads nowhere; -P copies it as it is"),
        ("a dangling", 1, "a symlink that leads nowhere has that name; remove it first"),
        ("a b/", 1, "there is no such directory; make it first"),
        ("/dev/null b", 1, "it is a FIFO, socket or device, and not read; -r makes another, cat reads it"),
        ("a fifo", 1, "what has that name is a FIFO, socket or device, and not written to; cat does that"),
        ("--chunk=5 a b", 2, "--chunk=5: a multiple of 4096"),
        ("--chunk=4X a b", 2, "'4X' is no size"),
        ("--hash=nonsense a b", 2, "--hash='nonsense' is unknown"),
        ("--preserve=smell a b", 2, "'smell' cannot be kept"),
        ("--exclude=x a b", 2, "chooses within directories"),
        ("-i a b", 2, "-i asks on a terminal"),
        ("a host:b", 2, "looks like a place on another machine"),
        ("a user@host:/b", 2, "looks like a place on another machine"),
        ("-t host:b a", 2, "write ./host:b if it is a local name"),
        ("a s3://bucket/b", 2, "is a URL"),
        ("compare a b", 1, "cannot compare 'a' with 'b': No such file"),
        ("check missing", 1, "cannot read the manifest 'missing'"),
        ("hash missing", 1, "cannot read 'missing'"),
        ("hash -a nonsense a", 2, "unknown"),
        ("analyze missing", 1, "cannot look at 'missing'"),
        ("completion csh", 2, "invalid choice: 'csh'"),
        ("compare a tree/one", 3, ""),
        ("verify a a", 0, ""),
        ("verify a tree/one", 3, "they have 3072 and 3 bytes"),
    ),
)
def test_every_end_has_its_status_and_its_line(
    here: Path,
    words: str,
    expected: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    odd(here)
    assert status(*words.split()) == expected
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == (1 if said else 0)
    assert err == "" or err.startswith("fastcopy")
    assert Path("b").exists() is ((expected == 0 and words.startswith("a ")) or words.startswith("-rL"))


def test_a_name_with_a_colon_is_a_file_if_it_is_written_so(here: Path) -> None:
    assert status("a", "./host:b") == 0
    assert Path("host:b").read_bytes() == Path("a").read_bytes()


def test_a_file_that_is_called_like_a_subcommand_is_reached_with_a_dot(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile("a", "hash")
    assert status("./hash", "b") == 0
    assert status("hash", "b") == 0
    assert capsys.readouterr().out == f"{fastcopy.hash_file('b')}  b\n"


def test_a_copy_that_differs_is_status_3_and_the_old_one_stays(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differs(plan: Any) -> Any:
        error = VerifyError(74, "the copy differs from its source", plan.src, None, plan.dst)
        error.code = "VERIFY_E_MISMATCH"
        raise error

    monkeypatch.setattr(transfer_door.Plan, "run", differs)
    Path("b").write_bytes(b"old")
    assert status("--verify", "a", "b") == 3
    assert "suspect memory, cable or disk" in capsys.readouterr().err


def test_all_else_is_copied_when_one_thing_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("into").mkdir()
    assert status("-r", "a", "missing", "tree", "into") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert Path("into/a").exists() and Path("into/tree/sub/two").exists()


def test_every_failure_below_a_directory_has_a_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "sub/two"):
        Path("there", name).mkdir(parents=True)
    assert status("-rT", "tree", "there") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert any("'tree/sub/two': " in line for line in told)


# ---- what else a copy does -------------------------------------------------------------------------------


def test_options_of_ours_reach_the_copy(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--engine=buffered -j2 --chunk=64K --window=1M --min-region=64K --split-depth=2 --parallel-threshold=128K"
    more = "--verify=hash --hash=sha256 --sync=data --cache=keep --sparse=never --preset=safe --json"
    assert status(*words.split(), *more.split(), "tree/sub/two", "b") == 0
    decision, *_, result = events(capsys.readouterr().out)
    assert (decision["engine"], decision["chunk"], decision["window"]) == ("buffered", 64 * KIB, MIB)
    assert (decision["workers"], decision["verify"]) == (2, "hash")
    assert (result["digest"], result["verified"]) == (fastcopy.hash_file("b", "sha256"), True)


def test_an_optional_value_is_taken_after_an_equals_sign_only(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--json", "--verify", "a", "b") == 0
    assert [event["verified"] for event in events(capsys.readouterr().out) if event["event"] == "result"] == [True]


def test_the_digest_is_printed_as_b3sum_prints_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--hash=blake3", "a", "b") == 0
    assert capsys.readouterr().out == f"{fastcopy.hash_file('a')}  b\n"


def test_patterns_and_sizes_choose_within_a_directory(here: Path) -> None:
    assert status("-r", "--exclude=one", "tree", "without") == 0
    assert status("-r", "--include=*wo", "--min-size=1K", "--max-size=1.5MiB", "tree", "with") == 0
    for copied in ("without", "with"):
        assert [path.name for path in Path(copied).rglob("*") if path.is_file()] == ["two"]


@pytest.mark.parametrize("words", ("--dry-run", "--dry-run --explain", "plan"))
def test_a_dry_run_and_a_plan_touch_nothing_and_say_what_would_be(
    here: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link").symlink_to("a")
    before = sorted(here.rglob("*"))
    Path("into").mkdir()
    assert status(*words.split(), "-r", "a", "tree", "link", "into") == 0
    told = capsys.readouterr().out
    assert all(f"'into/{name}'" in told for name in ("a", "tree", "link"))
    assert ("because" in told) is ("--explain" in words or words == "plan")
    assert sorted(path for path in here.rglob("*") if path.name != "into") == before


def test_quiet_says_nothing_but_errors(here: Path) -> None:
    done = run("-qv", "--progress", "a", "missing", "tree", cwd=here)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(("word", "expected"), (("-n", 0), ("-i", 1)))
@pytest.mark.parametrize("source", ("a", "link", "fifo", "twin"))
def test_what_comes_after_the_look_is_not_replaced_either(
    here: Path,
    source: str,
    word: str,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """-n says so, and with -i nobody was asked."""
    Path("link").symlink_to("a")
    os.mkfifo("fifo")
    os.link("a", "twin")
    monkeypatch.setattr(sys, "stdin", Terminal())
    Path("into").mkdir()

    def faster(what: Callable[..., object]) -> Callable[..., object]:
        def instead(*words: object, **more: object) -> object:
            if f"into/{source}" in words:
                Path("into", source).write_bytes(b"somebody was faster")
            return what(*words, **more)

        return instead

    monkeypatch.setattr(copy._Copier, "_transfer", faster(copy._Copier._transfer))
    monkeypatch.setattr(copy._Copier, "_make", faster(copy._Copier._make))
    sources = ("a", "twin") if source == "twin" else (source,)  # the latter is a hard link to the copy of the former
    assert status("-a", word, *sources, "into") == expected
    assert Path("into", source).read_bytes() == b"somebody was faster"
    assert ("you were not asked" in capsys.readouterr().err) is (word == "-i")
    assert unpublished(Path("into")) == []


# ---- reading commands ------------------------------------------------------------------------------------


def test_two_trees_are_the_same_or_every_difference_is_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("tree", "same")
    assert status("verify", "tree", "same") == 0
    assert "are the same (2 files, 1.0 MiB compared)" in capsys.readouterr().out
    with open("same/sub/two", "r+b") as file:
        file.seek(1000)
        file.write(b"rot")
    Path("same/extra").touch()
    Path("same/one").unlink()
    Path("same/one").symlink_to("extra")
    assert status("verify", "tree", "same") == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 3
    for said in (
        "differ from byte 1000 on",
        "it is in 'same', not in 'tree'",
        "the one is a file, the other a symlink",
    ):
        assert said in told


def test_verify_looks_at_metadata_where_it_is_asked_to(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("tree", "same")
    os.chmod("same/one", 0o600)
    assert status("verify", "tree", "same") == 0
    assert status("verify", "-m", "tree", "same") == 3
    assert "their modes are -rw-r--r-- and -rw-------" in capsys.readouterr().err


def test_a_manifest_that_hash_writes_is_one_that_check_reads(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("hash", "tree", "-o", "SUMS") == 0
    assert status("check", "SUMS", "-d", "tree") == 0
    Path("tree/one").write_bytes(b"two")
    assert status("check", "SUMS", "-d", "tree") == 3
    assert "'one': changed" in capsys.readouterr().err
    assert status("hash", "--tag", "-a", "md5", "tree", "a") == 0
    assert [line.split(" = ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "MD5 (tree/one)",
        "MD5 (tree/sub/two)",
        "MD5 (a)",
    ]


def test_analyze_tells_the_holes_of_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open("sparse", "wb") as file:
        file.truncate(8 * MIB)
        file.seek(4 * MIB)
        file.write(noise(MIB))
    assert status("analyze", "--json", "sparse") == 0
    [event] = events(capsys.readouterr().out)
    assert (event["file"]["holes"], event["file"]["hole_bytes"]) == (2, 7 * MIB)
    assert event["engines"]["buffered"] == {"can": True, "why": None}
    assert status("analyze", "sparse") == 0
    told = capsys.readouterr().out
    assert "2 holes of 7.0 MiB" in told
    assert all(f"\n  {engine}" in told for engine in fastcopy.engines())


def test_tuning_advises_on_what_is_amiss_and_on_nothing_else(tmp_path: Path) -> None:
    queue = tmp_path / "nvme0n1/queue"
    queue.mkdir(parents=True)
    proc = tmp_path / "proc/sys/vm"
    proc.mkdir(parents=True)

    def advised(scheduler: str, rotational: str, ahead: str, ratio: str, **facts: Any) -> list[str]:
        for word, value in (("scheduler", scheduler), ("rotational", rotational), ("read_ahead_kb", ahead)):
            (queue / word).write_text(f"{value}\n")
        (proc / "dirty_ratio").write_text(f"{ratio}\n")
        known = {**vars(place.look(str(tmp_path))), "queue": queue, "device": "nvme0n1", "mount": None}
        known |= {"memory_available": 64 << 30, "free": 1 << 30, "size": 2 << 30, **facts}
        return [advice.setting for advice in tuning.advice(place.Place(**known), tmp_path / "proc")]

    assert advised("[none] mq-deadline", "0", "128", "20") == []
    assert advised("none [mq-deadline]", "0", "128", "20") == ["scheduler of nvme0n1"]
    assert advised("[none]", "1", "128", "20") == ["read_ahead_kb of nvme0n1"]
    assert advised("[none]", "0", "128", "40") == ["vm.dirty_bytes"]
    assert advised("[none]", "0", "128", "20", free=1 << 20) == ["free space"]


# ---- events ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kinds"),
    (
        ("a b", {"decision", "progress", "result"}),
        ("--no-progress a b", {"decision", "result"}),
        ("-r tree b", {"decision", "progress", "result"}),
        ("-rv tree b", {"decision", "file", "progress", "result"}),
        ("-rvq --dry-run tree b", {"decision", "file", "result"}),
        ("-rvTu tree tree/sub", {"decision", "error", "progress"}),
        ("-n a tree/one", {"result"}),
        ("-P link b", {"result"}),
        ("missing b", {"error"}),
        ("a", {"error"}),
        ("--no-such a b", {"error"}),
        ("a host:b", {"error"}),
        ("a b c", {"error"}),
        ("--chunk=5 a b", {"error"}),
        ("tree b", {"error"}),
        ("a a", {"error"}),
        ("-r tree missing b/c", {"error"}),
        ("hash -a nonsense a", {"error"}),
        ("hash missing", {"error"}),
        ("check a", {"error"}),
        ("check missing", {"error"}),
        ("verify a", {"error"}),
        ("verify missing a", {"error", "result"}),
        ("compare missing a", {"error"}),
        ("analyze missing", {"error"}),
        ("tuning missing", {"error"}),
        ("plan missing b", {"error"}),
        ("--dry-run a b", {"decision", "result"}),
        ("plan a b", {"decision", "result"}),
        ("verify tree tree", {"progress", "result"}),
        ("verify a tree/one", {"error", "result"}),
        ("compare a tree/one", {"progress", "result"}),
        ("hash a", {"progress", "result"}),
        ("hash tree -o SUMS", {"progress", "result"}),
        ("analyze a", {"analysis"}),
    ),
)
def test_every_event_fits_the_schema(
    here: Path, words: str, kinds: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link").symlink_to("a")
    first, *rest = words.split()
    status(*((first, "--json", *rest) if first in SUBCOMMANDS else ("--json", first, *rest)))
    told = capsys.readouterr()
    assert {event["event"] for event in events(told.out)} == kinds
    # What is an error for a person is one for a program, in the same words.
    errors = [event["message"] for event in events(told.out) if event["event"] == "error"]
    assert [line.partition(": ")[2] for line in told.err.splitlines()] == errors


def test_each_file_of_a_directory_is_an_event(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tree/link").symlink_to(os.fsdecode(b"\xff"))
    Path(os.fsdecode(b"tree/\xff")).touch()
    Path("b/sub").mkdir(parents=True)
    Path("b/sub/two").mkdir()
    assert status("-rTv", "--json", "--exclude=one", "tree", "b") == 1
    told = {event["dst"]: event for event in events(capsys.readouterr().out) if event["event"] == "file"}
    assert {dst: (event["kind"], event["outcome"], event["why"], event["errno"]) for dst, event in told.items()} == {
        "b": ("directory", "entered", None, None),
        "b/one": ("file", "skipped", "filter", None),
        "b/sub": ("directory", "entered", None, None),
        "b/sub/two": ("file", "failed", None, "EISDIR"),
        "b/link": ("symlink", "made", None, None),
        "b/\udcff": ("file", "copied", None, None),
    }
    assert all(event["src"] == f"tree{dst.removeprefix('b')}" for dst, event in told.items())


# ---- made from the parsers -------------------------------------------------------------------------------

CHECKERS: dict[str, tuple[str, ...]] = {"bash": ("bash", "-n"), "zsh": ("zsh", "-n"), "fish": ("fish", "--no-execute")}


@pytest.mark.parametrize("shell", CHECKERS)
def test_a_completion_script_can_be_read_by_its_shell(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("completion", shell) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    told = script.read_text()
    for name in ("copy", *SUBCOMMANDS):
        for option in completion.options_of(completion.parser_of(name)):
            assert all((word[2:] if shell == "fish" else word) in told for word in option.longs)
    if shutil.which(shell) is None:
        unavailable(f"{shell} is not installed: its script was not read by it")
    subprocess.run((*CHECKERS[shell], str(script)), check=True, capture_output=True)


@pytest.mark.parametrize(
    ("line", "expected"),
    (
        (("fastcopy", "--no-cl"), {"--no-clobber"}),
        (("fastcopy", "--engine", "=", "co"), {"copy_range"}),
        (("fastcopy", "hash", "--al"), {"--algorithm="}),
        (("fastcopy", "calib"), {"calibrate"}),
        (("fastcopy", "completion", "f"), {"fish"}),
        (("fastcopy", "a", "tre"), {"tree"}),
    ),
)
def test_bash_completes(here: Path, line: tuple[str, ...], expected: set[str]) -> None:
    words = " ".join(f"'{word}'" for word in line)
    code = (
        f"source <({' '.join(COMMAND)} completion bash); compopt() {{ :; }}; COMP_WORDS=({words}); "
        f"COMP_CWORD={len(line) - 1}; _fastcopy; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(("bash", "-c", code), capture_output=True, text=True, cwd=here, env=surroundings())
    assert (set(done.stdout.split()), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("line", "expected"),
    (
        ("fastcopy --no-cl", {"--no-clobber"}),
        ("fastcopy --engine co", {"copy_range"}),
        ("fastcopy --engine=co", {"--engine=copy_range"}),
        ("fastcopy --cache ", {"auto", "drop", "keep"}),
        ("fastcopy hash --al", {"--algorithm"}),
        ("fastcopy calib", {"calibrate"}),
        ("fastcopy completion f", {"fish"}),
        ("fastcopy -r tre", {"tree/"}),
    ),
)
def test_fish_completes(here: Path, line: str, expected: set[str]) -> None:
    if shutil.which("fish") is None:
        unavailable("fish is not installed")
    code = f"{' '.join(COMMAND)} completion fish | source; complete -C '{line}'"
    done = subprocess.run(("fish", "-c", code), capture_output=True, text=True, env=surroundings(HOME=str(here)))
    assert ({found.split("\t")[0] for found in done.stdout.splitlines()}, done.stderr) == (expected, "")


def test_the_man_page_renders_and_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("manual") == 0
    source = capsys.readouterr().out
    if shutil.which("groff") is None:
        unavailable("groff is not installed: the page was not rendered")
    page = subprocess.run(
        ("groff", "-man", "-Tascii", "-P-cbou", "-ww", "-rLL=100n"),
        input=source,
        capture_output=True,
        text=True,
        check=True,
    )
    assert page.stderr == ""
    for name in ("copy", *SUBCOMMANDS):
        for option in completion.options_of(completion.parser_of(name)):
            assert all(word in page.stdout for word in option.longs), option
