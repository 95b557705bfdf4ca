"""Run run.py with every CPython from 3.10 on that this machine has, each with a release build of its own.

usage: python every_interpreter.py DIRECTORY

They are looked for on PATH and among the versions of pyenv; free-threaded ones count. An environment for each is
kept under DIRECTORY and built anew when a source is younger. Where the interpreter is the one that runs this script,
the fastcopy installed beside it is taken.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = re.compile(r"python3(\.\d+t?)?")

PROBE = """
import importlib.util, json, os, sys, sysconfig
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
has = {
    "test.test_shutil": there("test.test_shutil"),
    "its headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "venv": there("venv") and there("ensurepip"),
}
if sys.implementation.name == "cpython" and sys.version_info >= (3, 10):
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print(json.dumps(["%d.%d.%d" % sys.version_info[:3] + free_threaded, [what for what in has if not has[what]]]))
"""


def probe(python: Path) -> tuple[str, list[str]] | None:
    """The version of `python` and what it lacks; None: not for us, or it does not run (a shim with nothing behind)."""
    try:
        done = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60)
        version, lacks = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return version, lacks


def candidates() -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(entry) for entry in os.get_exec_path() if entry] + sorted(pyenv.glob("versions/*/bin"))
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [Path(sys.executable), *(path for path in files if NAME.fullmatch(path.name))]


def interpreters() -> dict[str, tuple[Path, list[str]]]:
    """Version -> the first interpreter of that version, and what it lacks."""
    found: dict[str, tuple[Path, list[str]]] = {}
    seen: set[Path] = set()
    for python in candidates():
        if python.resolve() in seen:
            continue
        seen.add(python.resolve())
        if facts := probe(python):
            version, lacks = facts
            found.setdefault(version, (python, lacks))
    return dict(sorted(found.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]))


def sources() -> list[Path]:
    core = [*ROOT.glob("csrc/**/*.[ch]"), *ROOT.glob("csrc/**/*.def"), *ROOT.glob("fastcopy/**/*.p*")]
    return [ROOT / "pyproject.toml", ROOT / "CMakeLists.txt", *(path for path in core if path.suffix != ".pyc")]


def call(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def environment(python: Path, home: Path) -> Path:
    """An environment of `python` in which the fastcopy of today is installed; the path of its interpreter."""
    inside, built = home / "venv/bin/python", home / "built"
    youngest = max(path.stat().st_mtime for path in sources())
    if built.exists() and built.stat().st_mtime >= youngest:
        return inside
    if not built.exists():
        requirements = subprocess.run(
            [sys.executable, ROOT / "tools/requirements.py"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.split()
        call(python, "-m", "venv", "--clear", home / "venv")
        call(inside, "-m", "pip", "install", "-q", *requirements)
    call(
        *(inside, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--force-reinstall"),
        *("--config-settings", f"build-dir={home / 'cmake'}", ROOT),
    )
    built.touch()
    os.utime(built, (youngest, youngest))
    return inside


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1]).resolve()
    # The environment that runs this has cmake and ninja beside its interpreter.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.pop("PYTHONPATH", None)
    verdicts: dict[str, str] = {}
    for version, (python, lacks) in interpreters().items():
        if lacks:
            verdicts[version] = f"not run: {python} comes without {' and '.join(lacks)}"
            continue
        print(f"-- Python {version}: {python}", flush=True)
        try:
            inside = python if python == Path(sys.executable) else environment(python, folder / version)
            status = subprocess.run([inside, HERE / "run.py"], cwd=folder).returncode
            verdicts[version] = "passed" if status == 0 else f"FAILED ({status})"
        except subprocess.CalledProcessError as error:
            verdicts[version] = f"FAILED to build ({error.returncode})"
    print("\ntest.test_shutil over fastcopy:")
    for version, verdict in verdicts.items():
        print(f"    {version:<8} {verdict}")
    if "passed" not in verdicts.values():
        print("no interpreter here could run it")
        return 1
    return 1 if any(verdict.startswith("FAILED") for verdict in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
