"""What the command says and how it ends: statuses, errors, events, progress, interruptions."""

import io
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import fastcopy
from fastcopy import VerifyError, transfer_door
from fastcopy.cli import SUBCOMMANDS, completion, main, place, tuning
from fastcopy.cli.display import display_for, summary
from support.mounts import Mounts, filled
from support.settings import unavailable
from support.shapes import KIB, MIB, noise
from support.shells import PACKAGES
from support.state import unpublished

pytestmark = pytest.mark.release

COMMAND = (sys.executable, "-m", "fastcopy")
SCHEMA = json.loads((Path(fastcopy.__file__).parent / "cli/events.schema.json").read_text(encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(SCHEMA)


def surroundings(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": PACKAGES, "PYTHONUNBUFFERED": ""} | more


def run(*words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (*COMMAND, *map(str, words)), capture_output=True, text=True, timeout=120, env=surroundings(), **more
    )


def events(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        jsonschema.validate(event, SCHEMA)
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(noise(3 * KIB))
    Path("tree/sub").mkdir(parents=True)
    Path("tree/one").write_bytes(b"one")
    Path("tree/sub/two").write_bytes(noise(MIB))
    return tmp_path


def status(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as exit:
        assert isinstance(exit.code, int)
        return exit.code


# ---- statuses and errors ---------------------------------------------------------------------------------


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
        ("--no-such a b", 2, "unrecognized arguments: --no-such"),
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
    assert status(*words.split()) == expected
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == (1 if said else 0)
    assert err == "" or err.startswith("fastcopy")
    assert Path("b").exists() is (expected == 0 and words.startswith("a "))


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
    for copy in ("without", "with"):
        assert [path.name for path in Path(copy).rglob("*") if path.is_file()] == ["two"]


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
        ("-n a tree/one", {"result"}),
        ("-P link b", {"result"}),
        ("missing b", {"error"}),
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
    assert {event["event"] for event in events(capsys.readouterr().out)} == kinds


def test_a_name_that_is_no_text_is_no_reason_to_stop(here: Path) -> None:
    name = os.fsdecode(b"\xff\n")
    for words in (("-v",), ("--json",), ("--explain",)):
        done = subprocess.run((*COMMAND, *words, "a", name), capture_output=True, env=surroundings(), cwd=here)
        assert (done.returncode, done.stderr) == (0, b"")
    [result] = [event for event in events(run("--json", name, "b", cwd=here).stdout) if event["event"] == "result"]
    assert result["src"] == name


# ---- ends that nobody planned ----------------------------------------------------------------------------


def slow(code: str, *words: object, **more: Any) -> "subprocess.Popen[str]":
    """The command, in which every progress of a copy waits until it is killed or interrupted."""
    start = (
        "import sys, time; from fastcopy.cli import display, main\n"
        f"class Slow:\n    def __call__(self, p):\n        {code}\n    def clear(self): ...\n"
        "display.display_for = lambda **_: Slow()\n"
        "import fastcopy.cli.copy as c; c.display_for = display.display_for\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        (sys.executable, "-c", start, *map(str, words)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
        **more,
    )


def test_ctrl_c_leaves_the_old_file_and_says_what_is_left_to_do(here: Path) -> None:
    Path("into").mkdir()
    Path("into/two").write_bytes(b"old")
    running = slow("print('.', flush=True); time.sleep(60)", "a", "tree/sub/two", "tree/one", "into", cwd=here)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.count("\n") == 1
    assert "interrupted; 0 of 3 copied; 'a' is not copied; 2 more not begun; no unfinished file is left" in err
    assert Path("into/two").read_bytes() == b"old"
    assert unpublished(here / "into") == []


def test_ctrl_c_within_a_directory_keeps_what_is_whole(here: Path) -> None:
    running = slow("print('.', flush=True); time.sleep(60)", "-r", "tree", "copied", cwd=here)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "'copied' holds the files that were finished" in err
    assert "the same again with -u does the rest" in err
    assert status("-ru", "tree/.", "copied") == 0
    assert status("verify", "tree", "copied") == 0


@pytest.mark.parametrize("words", (("-v",), ("--json",), ("--explain",)))
def test_a_reader_that_goes_away_is_no_traceback(here: Path, words: tuple[str, ...]) -> None:
    for number in range(300):
        Path(f"file{number}").touch()
    Path("into").mkdir()
    line = f"{' '.join(COMMAND)} {' '.join(words)} file* into | head -n1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(("bash", "-c", line), capture_output=True, text=True, cwd=here, env=surroundings())
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.count("\n") == 1
    assert unpublished(here / "into") == []


@pytest.mark.parametrize("word", ("-v", "--json"))
def test_an_output_that_cannot_be_written_to_is_a_failure(here: Path, word: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            (*COMMAND, word, "a", "b"), stdout=full, stderr=subprocess.PIPE, text=True, env=surroundings()
        )
    assert done.returncode == 1
    assert done.stderr == "fastcopy: the output cannot be written: No space left on device\n"


def test_a_full_disk_is_one_line_and_the_old_file_stays(
    here: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    full = empty_directory(mounts.small("tmpfs", 64 * MIB))
    (full / "b").write_bytes(b"old")
    Path("large").write_bytes(noise(16 * MIB))
    with filled(full, leave=4 * MIB):
        done = subprocess.run((*COMMAND, "large", str(full / "b")), capture_output=True, text=True, env=surroundings())
    assert (done.returncode, done.stdout) == (1, "")
    assert "no space for the copy" in done.stderr and "free some space there" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (full / "b").read_bytes() == b"old"
    assert unpublished(full) == []


# ---- terminals -------------------------------------------------------------------------------------------


def on_a_terminal(words: tuple[str, ...], cwd: Path, answer: bytes = b"", code: str = "pass") -> tuple[int, str]:
    """Status, and everything that the terminal was sent."""
    mine, its = pty.openpty()
    start = f"import sys; {code}; from fastcopy.cli import main; sys.exit(main(sys.argv[1:]))"
    running = subprocess.Popen(
        (sys.executable, "-c", start, *words),
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=cwd,
        env=surroundings(TERM="xterm"),
    )
    os.close(its)
    if answer:
        os.write(mine, answer)
    shown = b""
    while True:
        ready, _, _ = select.select([mine], [], [], 60)
        assert ready, "the command hangs"
        try:
            piece = os.read(mine, 65536)
        except OSError:  # EIO: the other side is closed
            break
        shown += piece
    os.close(mine)
    return running.wait(), shown.decode(errors="replace")


@pytest.mark.parametrize("code", ("pass", "sys.modules['rich.console'] = None"), ids=("rich", "without rich"))
def test_progress_is_drawn_on_a_terminal(here: Path, code: str) -> None:
    if code == "pass" and find_spec("rich") is None:
        unavailable("rich is not installed")
    done, shown = on_a_terminal(("--progress", "-r", "tree", "copied"), here, code=code)
    assert done == 0
    assert "copy" in shown and ("━" in shown) is (code == "pass")
    assert "\x1b[" in shown
    assert "Traceback" not in shown


def test_what_is_over_at_once_draws_nothing(here: Path) -> None:
    assert on_a_terminal(("a", "b"), here) == (0, "")
    assert on_a_terminal(("--no-progress", "-r", "tree", "copied"), here) == (0, "")


@pytest.mark.parametrize(("answer", "content"), ((b"y\n", "new"), (b"n\n", "old"), (b"\n", "old")))
def test_asking_first(here: Path, answer: bytes, content: str) -> None:
    Path("new").write_text("new")
    Path("old").write_text("old")
    done, shown = on_a_terminal(("-i", "new", "old"), here, answer)
    assert (done, "replace 'old'?" in shown) == (0, True)
    assert Path("old").read_text() == content
    shutil.copytree("tree", "copied")
    Path("copied/one").write_text("old")
    done, shown = on_a_terminal(("-riT", "tree", "copied"), here, answer)
    assert (done, "replace files that are in 'copied' already?" in shown) == (0, True)
    assert Path("copied/one").read_text() == ("one" if content == "new" else "old")


def test_elsewhere_a_line_is_written_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    display = display_for(quiet=False, wanted=None, as_json=False, clock=lambda: now[0])
    assert display is not None
    for second in range(12):
        now[0] = float(second)
        display(fastcopy.Progress("copy", "a.bin", second * MIB, 100 * MIB, rate=float(MIB)))
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].split(" of")[0] for line in told] == [" copy 5.0 MiB", " copy 10 MiB"]
    assert "1.0 MiB/s, 1:35 left: a.bin" in told[0]


def test_a_name_does_not_move_the_cursor() -> None:
    assert "\x1b" not in summary(fastcopy.Progress("copy", "\x1b[2J", 0, 1))


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
