"""What every test may use: filesystems mounted on demand, and a guard against hanging."""

import faulthandler
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `support`

from support.mounts import FILESYSTEMS, Mounts
from support.settings import FULL, SEED

# No deadline, for a duration is never asserted; no database, for the seed is to decide alone.
hypothesis.settings.register_profile("fastcopy", deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("fastcopy")

HANGS_AFTER = 240.0  # seconds in one test; a copy that never returns ends the run with every stack


def pytest_report_header() -> str:
    how = "whole products" if FULL else "a sample of each product that covers every pair"
    return f"fastcopy: {how}, FASTCOPY_SEED={SEED}"


STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STDERR] = os.dup(2)  # the real one: what tests write to is captured
    # What the caller's shell says must not decide what is tested.
    for name in ("ENGINE", "WORKERS", "NO_ZERO_COPY"):
        os.environ.pop(f"FASTCOPY_{name}", None)
    os.environ["XDG_CACHE_HOME"] = "/nowhere"  # nor what was calibrated on this machine


@pytest.fixture(autouse=True)
def never_hangs(pytestconfig: pytest.Config) -> Iterator[None]:
    """Ends the run when a test hangs, even inside a system call and without the GIL."""
    faulthandler.dump_traceback_later(HANGS_AFTER, exit=True, file=pytestconfig.stash[STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def mounts() -> Iterator[Mounts]:
    all_of_them = Mounts()
    try:
        yield all_of_them
    finally:
        all_of_them.close()


@pytest.fixture(scope="session")
def filesystem(mounts: Mounts) -> Callable[[str], Path]:
    """The root of a filesystem by name; skips where it cannot be mounted."""
    return mounts.use


@pytest.fixture(params=sorted(FILESYSTEMS))
def somewhere(request: pytest.FixtureRequest, mounts: Mounts, empty_directory: Callable[[Path], Path]) -> Path:
    """An empty directory on each of the filesystems."""
    return empty_directory(mounts.use(request.param))


@pytest.fixture
def empty_directory() -> Iterator[Callable[[Path], Path]]:
    """Makes directories that are removed after the test, for the mounted filesystems are not large."""
    made: list[str] = []

    def make(parent: Path) -> Path:
        made.append(tempfile.mkdtemp(dir=parent))
        return Path(made[-1])

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)
