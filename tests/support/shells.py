"""Python in another process, for what could kill or hang this one."""

import os
import subprocess
import sys
from pathlib import Path

import fastcopy

PACKAGES = str(Path(fastcopy.__file__).parent.parent)
TESTS = str(Path(__file__).parent.parent)


def python(code: str, *args: object, flags: tuple[str, ...] = (), timeout: float = 120) -> str:
    """Run the code with sys.argv[1:] = args; what it prints. It must end by itself and without error."""
    path = os.pathsep.join((TESTS, PACKAGES, os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        (sys.executable, *flags, "-c", code, *map(str, args)),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
