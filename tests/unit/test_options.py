"""Bad arguments are refused by name before a file is touched, and the four voices are heard in their order."""

import dataclasses
import pickle
import threading
from pathlib import Path

import pytest

import fastcopy
from fastcopy import options

KIB, MIB, GIB = options.KIB, options.MIB, options.GIB

WRONG_VALUES = [
    ("engine", "warp", ValueError),
    ("engine", 3, TypeError),
    ("engine", None, TypeError),
    ("reflink", "sometimes", ValueError),
    ("reflink", True, TypeError),
    ("sparse", "yes", ValueError),
    ("workers", 0, ValueError),
    ("workers", -1, ValueError),
    ("workers", 10**6, ValueError),
    ("workers", True, TypeError),
    ("workers", 2.0, TypeError),
    ("workers", None, TypeError),
    ("workers", "2", ValueError),
    ("split_depth", -1, ValueError),
    ("split_depth", 13, ValueError),
    ("split_depth", False, TypeError),
    ("parallel_threshold", -1, ValueError),
    ("parallel_threshold", "64MiB", TypeError),
    ("min_region", 64 * KIB - 1, ValueError),
    ("chunk", 4 * KIB - 1, ValueError),
    ("chunk", 4 * KIB + 1, ValueError),
    ("chunk", GIB + 4 * KIB, ValueError),
    ("chunk", "256KiB", TypeError),
    ("window", 0, ValueError),
    ("window", 100 * KIB, ValueError),
    ("window", 64.0 * KIB, TypeError),
    ("flush_every", 0, ValueError),
    ("flush_every", 1001, ValueError),
    ("atomic", 1, TypeError),
    ("atomic", None, TypeError),
    ("sync", "fully", ValueError),
    ("sync", False, TypeError),
    ("cache", "flush", ValueError),
    ("preserve", "mode", TypeError),
    ("preserve", {"mode", "colour"}, ValueError),
    ("preserve", [1], TypeError),
    ("preserve", None, TypeError),
    ("on_change", "ignore", ValueError),
    ("keep_failed", "yes", TypeError),
    ("progress", 1, TypeError),
    ("progress", "bar", TypeError),
    ("cancel", True, TypeError),
    ("cancel", threading.Event, None),  # a class has is_set too: nothing to tell it from an object by
    ("preset", "careful", ValueError),
    ("preset", None, TypeError),
]

RIGHT_VALUES = [
    ("engine", "auto"),
    ("workers", "auto"),
    ("workers", 1),
    ("split_depth", 0),
    ("split_depth", 12),
    ("split_depth", None),
    ("parallel_threshold", 0),
    ("min_region", 64 * KIB),
    ("chunk", 4 * KIB),
    ("chunk", GIB),
    ("window", 64 * KIB),
    ("window", GIB),
    ("flush_every", 1),
    ("flush_every", 1000),
    ("preserve", ()),
    ("preserve", ["mode", "owner", "xattr", "times", "links"]),
    ("progress", None),
    ("progress", False),
    ("progress", print),
    ("cancel", threading.Event()),
    *(("engine", name) for name in fastcopy.engines()),
    *(("preset", name) for name in options.PRESETS),
]

CONFLICTS = [
    *({"engine": name, "reflink": "always"} for name in fastcopy.engines() if name != "clone"),
    {"engine": "clone", "reflink": "never"},
    {"atomic": False, "keep_failed": True},
]


def ids(value: object) -> str:
    return str(value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize(("name", "value", "kind"), [w for w in WRONG_VALUES if w[2]], ids=ids)
@pytest.mark.parametrize("call", [fastcopy.plan, fastcopy.transfer], ids=["plan", "transfer"])
def test_a_wrong_value_is_named_and_nothing_is_touched(source, call, name, value, kind):
    with pytest.raises(kind) as refusal:
        call(source, source.with_name("dst"), **{name: value})
    assert str(refusal.value).startswith(f"{name}={value!r}: ")
    assert str(refusal.value).endswith(" allowed") or ", not " in str(refusal.value)
    assert not source.with_name("dst").exists()


@pytest.mark.parametrize(
    ("name", "value"), [w[:2] for w in WRONG_VALUES if w[2] and w[0] in options.SHUTIL_ARGUMENTS], ids=ids
)
@pytest.mark.parametrize("call", [fastcopy.copyfile, fastcopy.copy, fastcopy.copy2, fastcopy.move])
def test_the_shutil_door_refuses_it_too(source, call, name, value):
    with pytest.raises((ValueError, TypeError), match=f"^{name}="):
        call(source, source.with_name("dst"), **{name: value})
    assert source.exists()
    assert not source.with_name("dst").exists()


@pytest.mark.parametrize(("name", "value"), RIGHT_VALUES, ids=ids)
def test_every_border_of_what_is_allowed(name, value):
    options.resolve({name: value})


@pytest.mark.parametrize("together", CONFLICTS, ids=ids)
def test_what_can_never_hold_together_is_refused(together):
    with pytest.raises(ValueError) as refusal:
        options.resolve(together)
    for name in together:
        assert name in str(refusal.value)


@pytest.mark.parametrize("call", [fastcopy.plan, fastcopy.transfer, fastcopy.copyfile, fastcopy.copy2])
def test_an_unknown_option_is_named(source, call):
    with pytest.raises(TypeError, match=r"unknown option 'engin'; allowed are .*engine"):
        call(source, source.with_name("dst"), engin="buffered")
    assert not source.with_name("dst").exists()


def test_what_is_no_argument_is_refused():
    for inner in ("required", "no_zero_copy"):
        with pytest.raises(TypeError, match=f"unknown option '{inner}'"):
            options.resolve({inner: True})


@pytest.mark.parametrize("name", ["atomic", "preserve", "on_change", "keep_failed"])
def test_the_shutil_door_has_no_option_that_shutil_decides(source, name):
    with pytest.raises(TypeError, match=f"unknown option '{name}'"):
        fastcopy.copyfile(source, source.with_name("dst"), **{name: True})


@pytest.mark.parametrize("wrong", [None, 3, 1.5, ["a"]], ids=ids)
def test_a_path_that_is_none_is_named(source, wrong):
    with pytest.raises(TypeError, match=r"^src="):
        fastcopy.transfer(wrong, source)
    with pytest.raises(TypeError, match=r"^dst="):
        fastcopy.transfer(source, wrong)
    with pytest.raises(ValueError, match=r"^dst=.*null"):
        fastcopy.transfer(source, "a\0b")


def test_the_types_name_the_options_that_there_are():
    assert options.OptionArguments.__annotations__.keys() == options.ARGUMENTS
    assert options.SHUTIL_ARGUMENTS < options.ARGUMENTS


def test_an_integer_of_another_library_is_an_integer():
    class Count:
        def __index__(self) -> int:
            return 3

    workers = options.resolve({"workers": Count()}).workers
    assert workers == 3
    assert type(workers) is int


def test_only_what_the_caller_names_is_required():
    assert fastcopy.Options().required == frozenset()
    assert fastcopy.Options().preserve == {"mode", "times"}
    named = options.resolve({"preserve": ["mode", "owner"]})
    assert named.required == named.preserve == {"mode", "owner"}
    # A copy of the value asks for the same.
    assert dataclasses.replace(fastcopy.Options(), workers=2).required == frozenset()
    assert pickle.loads(pickle.dumps(fastcopy.Options())) == fastcopy.Options()
    assert pickle.loads(pickle.dumps(named)) == named


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fastcopy.Options().engine = "clone"


def test_presets_and_what_beats_them():
    assert options.resolve({"preset": "fast"}) == fastcopy.Options()
    assert options.resolve({"preset": "safe"}).sync == "data"
    assert options.resolve({"preset": "durable"}).sync == "full"
    assert options.resolve({"preset": "durable", "sync": "none"}).sync == "none"


def test_the_environment_and_what_beats_it(monkeypatch):
    monkeypatch.setenv("FASTCOPY_ENGINE", "direct")
    monkeypatch.setenv("FASTCOPY_WORKERS", "3")
    monkeypatch.setenv("FASTCOPY_NO_ZERO_COPY", "1")
    heard = options.resolve({})
    assert (heard.engine, heard.workers, heard.no_zero_copy) == ("direct", 3, True)
    assert options.resolve({"engine": "buffered", "workers": "auto"}).engine == "buffered"
    assert options.resolve({"engine": "buffered", "workers": "auto"}).workers == "auto"
    monkeypatch.setitem(options.PRESETS, "fast", {"workers": 7})
    assert options.resolve({"preset": "fast"}).workers == 7


def test_an_empty_variable_says_nothing(monkeypatch):
    for name in ("FASTCOPY_ENGINE", "FASTCOPY_WORKERS", "FASTCOPY_NO_ZERO_COPY"):
        monkeypatch.setenv(name, "")
    assert options.resolve({}) == fastcopy.Options()
    monkeypatch.setenv("FASTCOPY_NO_ZERO_COPY", "0")
    monkeypatch.setenv("FASTCOPY_WORKERS", "auto")
    assert options.resolve({}) == fastcopy.Options()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FASTCOPY_ENGINE", "warp"),
        ("FASTCOPY_WORKERS", "0"),
        ("FASTCOPY_WORKERS", "-2"),
        ("FASTCOPY_WORKERS", "two"),
        ("FASTCOPY_WORKERS", "2.5"),
        ("FASTCOPY_NO_ZERO_COPY", "yes"),
    ],
)
def test_a_malformed_variable_is_named_by_both_doors(monkeypatch, source, variable, value):
    monkeypatch.setenv(variable, value)
    for call in (fastcopy.transfer, fastcopy.plan, fastcopy.copyfile):
        with pytest.raises(ValueError, match=f"^{variable}="):
            call(source, source.with_name("dst"))
    assert not source.with_name("dst").exists()


def test_a_conflict_with_the_environment_says_where_it_comes_from(monkeypatch):
    monkeypatch.setenv("FASTCOPY_ENGINE", "buffered")
    with pytest.raises(ValueError, match="FASTCOPY_ENGINE"):
        options.resolve({"reflink": "always"})


def test_the_environment_reaches_the_shutil_door(monkeypatch, source):
    monkeypatch.setenv("FASTCOPY_ENGINE", "clone")
    proc = Path("/proc/self/status")  # no clone comes out of there
    with pytest.raises(fastcopy.CopyError) as refusal:
        fastcopy.copyfile(proc, source.with_name("dst"))
    assert refusal.value.code == "COPY_E_UNSUPPORTED"
