"""Every public name says what it is, with an example that runs."""

import doctest
import inspect
import logging
import os
import subprocess
import sys
from importlib import import_module

import pytest

import fastcopy

HASHING = {"hashlib", "blake3", "xxhash", "fastcopy.digests"}
# shutil's own, which it documents.
NOT_OURS = {"SameFileError", "SpecialFileError"}


@pytest.mark.parametrize("name", [name for name in fastcopy.__all__ if name not in NOT_OURS])
def test_the_example_of_every_public_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = getattr(fastcopy, name)
    tests = doctest.DocTestFinder(recurse=False).find(value, name, module=False, globs={})
    examples = [test for test in tests if test.examples]
    assert examples, f"fastcopy.{name} has no example"
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in examples:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize(
    "module", ("measure.kernel", "measure.interval", "measure.workloads", "measure.tables", "cli.sizes")
)
def test_the_examples_of_measuring_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = doctest.testmod(import_module(f"fastcopy.{module}"), raise_on_error=True)
    assert tried.attempted > 0


def test_every_name_can_be_had_and_listed():
    for name in fastcopy.__all__:
        assert getattr(fastcopy, name) is not None
        assert name in dir(fastcopy)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fastcopy.nonsense  # noqa: B018


def test_public_functions_have_no_positional_options():
    for function in (fastcopy.plan, fastcopy.transfer):
        kinds = [p.kind for p in inspect.signature(function).parameters.values()]
        assert kinds == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 2 + [inspect.Parameter.VAR_KEYWORD]


def run_python(code, *flags, **environment):
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


def test_importing_it_imports_nothing_heavy():
    done = run_python("import sys, fastcopy; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    heavy = {"typing", "dataclasses", "inspect", "logging", "threading", "importlib.metadata", "tqdm", "rich", *HASHING}
    without = set(run_python("import sys, shutil; print(*sys.modules)").stdout.split())
    assert not (loaded - without) & heavy


def test_a_copy_that_asks_for_no_digest_imports_nothing_of_hashing(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x" * 1000)
    code = (
        "import sys, fastcopy; fastcopy.transfer('a.bin', 'b.bin'); fastcopy.copyfile('a.bin', 'c.bin', sync='data')"
        "; print(*sys.modules)"
    )
    done = run_python(f"import os; os.chdir({str(tmp_path)!r}); {code}")
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & HASHING


def test_without_the_core_the_import_says_how_to_build_it(tmp_path):
    code = "import sys; sys.modules['fastcopy._core'] = None; import fastcopy"
    done = run_python(code)
    assert done.returncode != 0
    assert "pip install" in done.stderr
    assert "ImportError: fastcopy's compiled core" in done.stderr


def test_the_logger_is_silent_by_itself():
    fastcopy.engines()
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("fastcopy").handlers)
