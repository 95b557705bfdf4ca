"""What is drawn on a terminal, asked there, and written elsewhere while a copy runs."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastcopy
from fastcopy.cli.display import Source, display_for, summary
from support.command import run, surroundings
from support.settings import unavailable
from support.shapes import MIB

pytestmark = pytest.mark.release


def on_a_terminal(
    words: tuple[str, ...], cwd: Path, answer: bytes = b"", code: str = "pass", terminal: str = "xterm"
) -> tuple[int, str]:
    """Status, and everything that the terminal was sent."""
    mine, its = pty.openpty()
    start = f"import sys; {code}; from fastcopy.cli import main; sys.exit(main(sys.argv[1:]))"
    running = subprocess.Popen(
        (sys.executable, "-c", start, *words),
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=cwd,
        env=surroundings(TERM=terminal),
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


def test_progress_names_the_source_and_which_of_them_it_is() -> None:
    p = fastcopy.Progress("copy", "a.bin", 0, 1)
    assert summary(p, Source("a.bin", 1, 1)).endswith(": a.bin")
    assert summary(p, Source("a.bin", 2, 3)).endswith(": a.bin (2 of 3)")
    below = fastcopy.Progress("copy", "sub/a.bin", 0, 1, files_total=7)
    assert summary(below, Source("data", 3, 3)).endswith("0 of 7 files: data/sub/a.bin (3 of 3)")


def test_progress_that_is_asked_for_is_shown_at_once_elsewhere_too(here: Path) -> None:
    done = run("--progress", "-r", "a", "tree", "into/../tree/sub", cwd=here)
    assert done.returncode == 1  # tree is not copied into itself
    Path("into").mkdir()
    done = run("--progress", "-r", "a", "tree", "into", cwd=here)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("fastcopy: copy 0 B of 3.0 KiB") and ": a (1 of 2)\n" in done.stderr


def test_a_terminal_that_cannot_be_drawn_on_is_not(here: Path) -> None:
    done, shown = on_a_terminal(("--progress", "-r", "tree", "copied"), here, terminal="dumb")
    assert (done, "copy 0 B" in shown) == (0, True)
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", ("20", "1"))
@pytest.mark.parametrize("code", ("pass", "sys.modules['rich.console'] = None"), ids=("rich", "without rich"))
def test_a_narrow_terminal_is_no_reason_to_stop(here: Path, code: str, columns: str) -> None:
    words = ("--progress", "-r", "tree", "copied")
    done, shown = on_a_terminal(words, here, code=f"{code}; import os; os.environ['COLUMNS'] = '{columns}'")
    assert done == 0
    assert "Traceback" not in shown


def test_without_colours_there_are_none(here: Path) -> None:
    code = "import os; os.environ['NO_COLOR'] = '1'"
    _, shown = on_a_terminal(("--progress", "-r", "tree", "copied"), here, code=code)
    assert re.findall(r"\x1b\[[0-9;]*3[0-7](?:;[0-9]+)*m", shown) == []


def test_a_terminal_that_goes_away_is_no_reason_to_stop(here: Path) -> None:
    """As under nohup, where its end is no signal: what is drawn then cannot be written."""
    mine, its = pty.openpty()
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from fastcopy.cli import display, main, progress_line\n"
        "display.can_be_drawn_on = progress_line.can_be_drawn_on = lambda stream: True  # it was, a moment ago\n"
        "sys.stdin.readline(); sys.exit(main(sys.argv[1:]))"
    )
    for without in ("", "sys.modules['rich.console'] = None; "):
        running = subprocess.Popen(
            (sys.executable, "-c", f"import sys; {without}{code}", "--progress", "-r", "tree", f"copied{without[:3]}"),
            stdin=subprocess.PIPE,
            stderr=its,
            cwd=here,
            env=surroundings(TERM="xterm", FORCE_COLOR="1"),  # so that rich takes it for one
        )
        os.close(mine)
        os.close(its)
        running.communicate(b"\n", timeout=60)
        assert running.returncode == 0
        mine, its = pty.openpty()
    os.close(mine)
    os.close(its)
