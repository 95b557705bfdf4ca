"""How the command ends where nobody planned it: interrupted, killed, its output gone, closed or full, the disk full."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import COMMAND, events, run, status, surroundings
from support.mounts import Mounts, filled
from support.shapes import MIB, noise
from support.state import unpublished

pytestmark = pytest.mark.release


def slow(code: str, *words: object, **more: Any) -> "subprocess.Popen[str]":
    """The command, in which every progress of a copy waits until it is killed or interrupted."""
    start = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
        "import sys, time; from fastcopy.cli import display, main\n"
        f"class Slow:\n    def __call__(self, p, source):\n        {code}\n    def clear(self): ...\n"
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


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    """`fastcopy`, with the redirections of a shell."""
    command = f"{' '.join(COMMAND)} {line}"
    return subprocess.run(("bash", "-c", command), capture_output=True, text=True, env=surroundings(), timeout=120)


# SIGTERM and SIGHUP end it as Ctrl-C does, each with the status that a shell would say of it.
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_leaves_the_old_file_and_says_what_is_left_to_do(here: Path, number: signal.Signals) -> None:
    Path("into").mkdir()
    Path("into/two").write_bytes(b"old")
    running = slow("print('.', flush=True); time.sleep(60)", "a", "tree/sub/two", "tree/one", "into", cwd=here)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == SIGNALS[number]
    assert err.count("\n") == 1
    assert "interrupted; 0 of 3 copied; 'a' is not copied; 2 more not begun; no unfinished file is left" in err
    assert Path("into/two").read_bytes() == b"old"
    assert unpublished(here / "into") == []


def test_a_signal_that_is_ignored_stays_so(here: Path) -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); import os; os.execv(sys.argv[1], sys.argv[1:])"
    seen = "import signal; from fastcopy.cli.endings import ended_by_signals\nwith ended_by_signals():\n    "
    seen += "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, callable(signal.getsignal(signal.SIGTERM)))"
    line = (sys.executable, "-c", f"import sys; {code}", sys.executable, "-c", seen)
    done = subprocess.run(line, capture_output=True, text=True, env=surroundings())
    assert (done.stdout, done.stderr) == ("True True\n", "")


@pytest.mark.parametrize(
    ("words", "more", "copy"),
    (
        ("-r tree copied", "-uT", "copied"),
        ("-rT tree copied", "-u", "copied"),
        ("-r tree into", "-u", "into/tree"),
        ("-r tree/. into", "-uT", "into"),
        ("-rt into tree", "-u", "into/tree"),
    ),
)
def test_what_is_said_after_ctrl_c_within_a_directory_does_the_rest(
    here: Path, words: str, more: str, copy: str
) -> None:
    Path("into").mkdir()
    running = slow("print('.', flush=True); time.sleep(60)", *words.split(), cwd=here)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"'{copy}' holds the files that were finished" in err
    assert f"the same again with {more} does the rest" in err
    Path(copy).mkdir(exist_ok=True)  # as it is once a file of it is whole
    assert status(more, *words.split()) == 0
    assert status("verify", "tree", copy) == 0


@pytest.mark.parametrize("words", (("-av",), ("-av", "--json")))
def test_a_reader_that_goes_away_ends_the_copy_of_a_directory(here: Path, words: tuple[str, ...]) -> None:
    for number in range(20_000):
        os.close(os.open(f"tree/{number}", os.O_CREAT))
    line = f"{' '.join(COMMAND)} {' '.join(words)} tree copied | head -n3; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(("bash", "-c", line), capture_output=True, text=True, cwd=here, env=surroundings())
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.count("\n") == 3
    assert len(os.listdir("copied")) < 20_000
    assert unpublished(here / "copied") == []


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


FULL, CLOSED = "No space left on device", "Bad file descriptor"


@pytest.mark.parametrize(("where", "why"), ((">/dev/full", FULL), (">&-", CLOSED)), ids=("full", "closed"))
@pytest.mark.parametrize(
    "words",
    (
        *("-v a b", "--json a b", "--explain a b", "--hash=blake3 a b", "plan a b", "--help", "--version"),
        *("hash a", "hash --json a", "hash tree -o SUMS", "compare a a", "verify tree tree", "analyze", "tuning"),
        *("-r --version", "manual", "completion bash", "completion zsh", "bench --help"),
    ),
)
def test_an_output_that_cannot_be_written_to_is_one_line(here: Path, words: str, where: str, why: str) -> None:
    done = shell(f"{words} {where}")
    prog = "fastcopy" if words.startswith("-") else f"fastcopy {words.split()[0]}"
    assert (done.returncode, done.stderr) == (1, f"{prog}: the output cannot be written: {why}\n")


@pytest.mark.parametrize("closed", (">&-", "2>&-", "<&-", "<&- >&- 2>&-"))
def test_who_says_nothing_needs_no_output(here: Path, closed: str) -> None:
    done = shell(f"a b {closed} && cmp a b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("nowhere", ("2>&-", "2>/dev/full"))
@pytest.mark.parametrize(
    ("words", "expected"),
    (
        ("missing b", 1),
        ("--nope", 2),
        ("verify a tree/one", 3),
        ("--progress -r tree b", 0),
        ("missing a tree/one into", 1),
    ),
)
def test_where_errors_cannot_be_told_the_status_tells(here: Path, words: str, expected: int, nowhere: str) -> None:
    Path("into").mkdir()
    done = shell(f"{words} {nowhere}")
    assert (done.returncode, done.stderr) == (expected, "")
    assert Path("into/one").exists() is ("into" in words)  # and all else is copied


def test_an_error_does_not_get_into_the_output(here: Path) -> None:
    [error] = events(shell("--json missing b 2>&-").stdout)
    assert error["event"] == "error"


def test_who_cannot_be_asked_says_so(here: Path) -> None:
    done = shell("-i a tree/one <&-")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "-i asks on a terminal" in done.stderr


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


# ---- surroundings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ("a b", "-r ../tree .", "analyze", "tuning", "../a b"))
def test_a_directory_that_was_removed_is_named_as_the_reason(here: Path, words: str) -> None:
    Path("gone").mkdir()
    done = subprocess.run(
        ("bash", "-c", f"cd gone && rmdir ../gone && {' '.join(COMMAND)} {words}"),
        capture_output=True,
        text=True,
        env=surroundings(),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the directory that you are in was removed; go to another" in done.stderr


@pytest.mark.parametrize("content", ("garbage", "", None))
def test_a_calibration_that_is_none_is_one_line(here: Path, content: str | None) -> None:
    file = here / "cache/fastcopy/calibration.json"
    file.parent.mkdir(parents=True)
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    done = run("--json", "--no-progress", "a", "b", env=surroundings(XDG_CACHE_HOME=str(here / "cache")))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith(f"fastcopy: the calibration '{file}' is ignored: ")
    assert [event["event"] for event in events(done.stdout)] == ["warning", "decision", "result"]


def test_without_a_home_it_copies(here: Path) -> None:
    nobody = {name: value for name, value in surroundings().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    assert run("a", "b", env=nobody).stderr == ""


@pytest.mark.parametrize("locale", ("C", "POSIX", "en_US.ISO-8859-1", "C.UTF-8"))
def test_a_name_that_is_no_text_is_no_reason_to_stop(here: Path, locale: str) -> None:
    name = os.fsdecode(b"\xff\xc3\xa9\n")
    environment = surroundings(LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    for words in (("-v",), ("--json",), ("--explain",), ("--hash=sha256",)):
        done = subprocess.run((*COMMAND, *words, "a", name), capture_output=True, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
    done = subprocess.run((*COMMAND, name, "no/b"), capture_output=True, env=environment)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    [*_, result] = events(run("--json", name, "b").stdout)
    assert result["src"] == name


@pytest.mark.parametrize("variable", ("ENGINE", "WORKERS", "NO_ZERO_COPY"))
@pytest.mark.parametrize("words", ("a b", "bench .", "calibrate ."))
def test_a_variable_that_makes_no_sense_is_said_before_the_work(here: Path, words: str, variable: str) -> None:
    done = run(*words.split(), env=surroundings(**{f"FASTCOPY_{variable}": "nonsense"}))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"FASTCOPY_{variable}='nonsense': " in done.stderr
