"""CPython's own test.test_shutil, with fastcopy's functions in shutil's place.

usage: python run.py            run the suite over fastcopy, and judge
       python run.py --bare     run it over shutil itself, and print what happened as JSON

Any interpreter runs this; it needs nothing but fastcopy and the `test` package. The suite is run twice, the second
time bare and in a process of its own: what counts is that every test which passes over shutil passes over fastcopy,
and that no more of them are skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import unittest
from collections.abc import Iterator

# They test shutil's private fast paths, by putting mocks into os.sendfile and shutil._fastcopy_*; whoever takes
# another way than those has nothing there to be tested. All else applies.
PRIVATE = "TestZeroCopy"

# Where the fewest apply (3.12 on Linux) 95 do; far fewer means that the suite was not found, not that all is well.
ENOUGH = 80

NO_SUITE = 77  # the exit status by which a test says that it cannot run here


class Result(unittest.TestResult):
    """Remembers the name of every test that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def startTest(self, test: unittest.TestCase) -> None:
        self.ran.append(test.id())
        super().startTest(test)


def tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests(item)
        else:
            yield item


def run() -> Result:
    from test import test_shutil
    from test.support import os_helper

    loaded = tests(unittest.defaultTestLoader.loadTestsFromModule(test_shutil))
    wanted = [test for test in loaded if not type(test).__name__.startswith(PRIVATE)]
    result = Result()
    with os_helper.temp_cwd():  # the suite writes where it stands
        unittest.TestSuite(wanted).run(result)
    return result


def outcome(result: Result) -> dict[str, list[str]]:
    return {
        "ran": result.ran,
        "skipped": [test.id() for test, _ in result.skipped],
        "failed": [test.id() for test, _ in result.failures + result.errors],
    }


def run_bare() -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, __file__, "--bare"], stdout=subprocess.PIPE, text=True, check=True)
    bare: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return bare


def main() -> int:
    try:
        import test.test_shutil
    except ImportError as missing:
        print(f"this interpreter comes without test.test_shutil: {missing}")
        return NO_SUITE
    if "--bare" in sys.argv[1:]:
        print(json.dumps(outcome(run())))
        return 0

    import shutil

    import fastcopy

    if sysconfig.get_config_var("Py_GIL_DISABLED") and sys._is_gil_enabled():
        print("importing fastcopy has switched the GIL on")
        return 1
    originals = {name: getattr(shutil, name) for name in ("copyfile", "copy", "copy2", "copytree", "move")}
    fastcopy.install()
    for name, original in originals.items():
        ours = getattr(test.test_shutil.shutil, name)
        assert ours is not original and ours is getattr(fastcopy, name), f"shutil.{name} is {ours!r}"
    result = run()
    fastcopy.uninstall()
    for name, original in originals.items():
        assert getattr(shutil, name) is original, f"uninstall() has left shutil.{name} as {getattr(shutil, name)!r}"

    here, bare = outcome(result), run_bare()
    for test_case, trace in result.failures + result.errors:
        known = " (and without fastcopy too)" if test_case.id() in bare["failed"] else ""
        print(f"FAILED {test_case.id()}{known}\n{trace}")
    worse = sorted(set(here["failed"]) - set(bare["failed"]))
    unseen = sorted(set(here["skipped"]) - set(bare["skipped"]))
    for name in unseen:
        print(f"SKIPPED over fastcopy alone: {name}")
    print(
        f"test_shutil over {fastcopy.__file__}: {len(here['ran'])} ran, {len(here['failed'])} failed, "
        f"{len(here['skipped'])} skipped; without fastcopy {len(bare['ran'])} ran, {len(bare['failed'])} failed, "
        f"{len(bare['skipped'])} skipped"
    )
    if len(here["ran"]) - len(here["skipped"]) < ENOUGH:
        print("too few tests ran to mean anything")
        return 1
    return 1 if worse or unseen or here["ran"] != bare["ran"] else 0


if __name__ == "__main__":
    sys.exit(main())
