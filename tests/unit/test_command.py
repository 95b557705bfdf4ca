"""The command `fastcopy`: bench and calibrate, what they print, and what they leave."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import fastcopy
from fastcopy import calibration
from fastcopy.cli import SUBCOMMANDS, bench, main
from fastcopy.cli.progress_line import ProgressLine
from fastcopy.cli.sizes import size, sizes
from fastcopy.measure import Ratio, numbers
from fastcopy.measure import kernel as kernel_module
from support.mounts import Mounts
from support.pictures import is_a_picture
from support.shapes import KIB, MIB
from support.shells import PACKAGES

pytestmark = pytest.mark.release

SCHEMA = json.loads((Path(__file__).parents[2] / "bench/schema.json").read_text(encoding="utf-8"))


def run(*words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-m", "fastcopy", *map(str, words)),
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": PACKAGES} | environment,
    )


# ---- the first word --------------------------------------------------------------------------------------


def test_the_version_and_the_help_are_told() -> None:
    assert run("--version").stdout == f"fastcopy {fastcopy.__version__}\n"
    told = run("--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in SUBCOMMANDS)


def test_the_version_is_told_before_anything_is_imported() -> None:
    """Scripts ask for it often; most of the time of a short command goes into imports."""
    code = "import sys; from fastcopy.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, env=os.environ | {"PYTHONPATH": PACKAGES}
    )
    told, modules = done.stdout.splitlines()
    assert told == f"fastcopy {fastcopy.__version__}"
    assert not {"argparse", "dataclasses", "json", "logging", "signal", "typing", "fastcopy.options"} & {
        *modules.split()
    }


def test_the_command_is_installed() -> None:
    scripts = distribution("fastcopy-io").entry_points.select(group="console_scripts", name="fastcopy")
    assert [script.load() for script in scripts] == [main]


@pytest.mark.parametrize("words", ((), ("nonsense",), ("bench",), ("bench", "/", "--sizes", "4X")))
def test_a_wrong_use_is_told_on_stderr_with_status_2(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: fastcopy" in done.stderr


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_explains_itself(name: str) -> None:
    told = run(name, "--help")
    assert told.returncode == 0
    assert f"usage: fastcopy {name}" in told.stdout


@pytest.mark.parametrize("name", ("bench", "calibrate"))
def test_what_fails_is_one_line(name: str, tmp_path: Path) -> None:
    done = run(name, tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"fastcopy {name}: {tmp_path / 'nowhere'}: no such directory\n"


@pytest.mark.parametrize("name", ("bench", "calibrate"))
def test_without_numpy_it_says_what_to_install(name: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules['numpy'] = None; from fastcopy.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        (sys.executable, "-c", code, name, str(tmp_path)),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": PACKAGES},
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'fastcopy-io[bench]'" in done.stderr


@pytest.mark.parametrize(
    ("text", "value"), (("0", 0), ("64K", 64 << 10), ("4M", 4 << 20), ("1.5GiB", 3 << 29), ("2 tb", 2 << 40), ("7B", 7))
)
def test_sizes_are_read_as_people_write_them(text: str, value: int) -> None:
    assert size(text) == value
    assert sizes(f"{text},1,{text}") == tuple(dict.fromkeys((value, 1)))


def test_progress_is_drawn_on_a_terminal_and_nowhere_else() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, quiet, shows in ((Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)):
        line = ProgressLine(stream, quiet)
        line(0.5, "half of it")
        line.close()
        assert ("50%" in stream.getvalue() and "half of it" in stream.getvalue()) is shows
        assert stream.getvalue().endswith("\x1b[K") is shows


# ---- bench -----------------------------------------------------------------------------------------------


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends it is the count of the rounds, and not the time, of which a slow machine needs more."""
    monkeypatch.setattr(bench, "_MOST_ROUNDS", 2)
    monkeypatch.setattr(bench, "_DEFAULT_SECONDS", 600.0)


@pytest.mark.usefixtures("few_rounds")
def test_bench_prints_one_document_that_fits_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(tmp_path), "--sizes", "0,4K,2M", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    document = json.loads(told.out)
    jsonschema.validate(document, SCHEMA)
    assert [scenario["bytes"] for scenario in document["scenarios"]] == [0, 4 * KIB, 2 * MIB]
    for scenario in document["scenarios"]:
        ways = {row["way"]: row for row in scenario["rows"]}
        assert {"shutil.copyfile", "fastcopy", *fastcopy.engines()} <= set(ways)
        assert scenario["baseline"] == "shutil.copyfile"
        assert ways["buffered"]["path"]["engine"] == "buffered"
    assert document["machine"]["cpus"] == len(os.sched_getaffinity(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_rounds")
def test_bench_prints_a_table_of_every_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(tmp_path), "--sizes", "1K,2M", "--existing", "--sync"]) == 0
    told = capsys.readouterr().out
    assert "1 KiB, warm, over an existing destination, with fsync" in told
    assert "against shutil.copyfile" in told
    for engine in fastcopy.engines():
        assert f"\n{engine}" in told


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize("suffix", (".png", ".svg"))
def test_bench_draws_a_picture(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / f"picture{suffix}"
    assert main(["bench", str(tmp_path), "--sizes", "4K,1M", "--plot", str(picture)]) == 0
    assert is_a_picture(picture)


def test_what_no_time_was_left_for_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(tmp_path), "--sizes", "4K,1M", "--seconds", "0"]) == 0
    told = capsys.readouterr().out
    assert told.count("not measured: the 0 s were over (--seconds, --sizes)") == 2


def test_bench_refuses_a_picture_that_it_cannot_draw_before_it_starts(tmp_path: Path) -> None:
    done = run("bench", tmp_path, "--plot", tmp_path / "picture.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert ".png" in done.stderr


def test_bench_refuses_too_little_room_before_it_starts(mounts: Mounts) -> None:
    here = mounts.small("tmpfs", 64 * MIB)
    os.utime(here, (0, 0))
    done = run("bench", here, "--sizes", "4K,40M")
    assert (done.returncode, done.stdout) == (1, "")
    assert "MiB are free" in done.stderr
    assert here.stat().st_mtime == 0


def test_bench_cleans_up_on_a_full_disk(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = mounts.small("tmpfs", 64 * MIB)
    monkeypatch.setattr(kernel_module, "check_room", lambda directory, needed: None)
    assert main(["bench", str(here), "--sizes", "40M"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_bench_refuses_to_call_memory_cold(mounts: Mounts, empty_directory: Any) -> None:
    here = empty_directory(mounts.use("tmpfs"))
    done = run("bench", here, "--sizes", "1M", "--cache", "cold")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be called cold" in done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_bench_cleans_up_after_ctrl_c_and_sigterm(number: signal.Signals, status: int, tmp_path: Path) -> None:
    running = subprocess.Popen(
        (sys.executable, "-m", "fastcopy", "bench", str(tmp_path), "--sizes", "16M", "--seconds", "100"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": PACKAGES},
    )
    while not list(tmp_path.glob("*/copy")):  # until copies are being made
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (status, "")
    assert err == "fastcopy bench: interrupted; nothing is left behind\n"
    assert list(tmp_path.iterdir()) == []


# ---- calibrate -------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "_known", None)
    return Path(calibration.file())


def found(**better: int) -> numbers.Numbers:
    ratio = Ratio(1.5, 1.4, 1.6)
    findings = tuple(numbers.Finding(name, 262144, value, ratio, "faster") for name, value in better.items())
    return numbers.Numbers(True, better, findings, {4 * MIB: ratio} if better else {})


def test_what_calibrate_keeps_is_what_copies_then_use(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(numbers, "find", lambda directory, progress: found(chunk=128 * KIB))
    assert main(["calibrate", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "256 KiB -> 128 KiB: faster (1.50 x, 1.40 to 1.60)" in told
    assert str(kept) in told
    (tmp_path / "src").write_bytes(bytes(2 * MIB))
    plan = fastcopy.plan(tmp_path / "src", tmp_path / "dst", engine="buffered")
    assert plan.chunk == 128 * KIB
    assert str(kept) in plan.explain()


def test_calibrating_again_takes_back_what_is_no_longer_better(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for numbers_found in (found(chunk=128 * KIB), found()):
        monkeypatch.setattr(numbers, "find", lambda directory, progress, now=numbers_found: now)
        assert main(["calibrate", str(tmp_path)]) == 0
    assert "The built-in numbers are the best here." in capsys.readouterr().out
    assert [entry["numbers"] for entry in calibration.read(str(kept))] == [{}]


def test_calibrate_does_not_overwrite_a_file_that_is_not_its_own(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    monkeypatch.setattr(numbers, "find", lambda directory, progress: pytest.fail("it was measured all the same"))
    assert main(["calibrate", str(tmp_path)]) == 1
    assert "move it away first" in capsys.readouterr().err
    assert kept.read_text() == "precious"
