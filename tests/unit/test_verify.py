"""verify= and hash=: the right copy, the right digest, and a report that says what was read to prove it."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support import pairwise
from support.doors import DOORS, Destination
from support.mounts import Mounts
from support.proofs import EXPECTED, Own
from support.settings import FULL, dice, unavailable
from support.shapes import KIB, MIB, SHAPES, noise
from support.shells import python
from support.state import nothing_leaked, sanitized

pytestmark = pytest.mark.release

LEVELS = ("none", "auto", "compare", "hash", "media")
PASSES = ("buffered", "direct", "mapped")  # the engines through which the bytes pass
AXES = {
    "engine": ("auto", *fastcopy.engines()),
    "verify": LEVELS,
    "hash": (None, *EXPECTED),
    "shape": (
        *("empty", "one-byte", "page-1", "page", "256KiB-1", "256KiB", "256KiB+1", "sector-1", "sector+1"),
        *("regions-odd", "hole-at-head", "hole-inside", "hole-at-tail", "all-hole", "small-all-hole"),
        *("holes-in-turn", "hole-but-last-byte"),
    ),
    "workers": (1, 2, 3),
    "door": tuple(DOORS),
}


def all_valid(*case: object) -> bool:
    return True


CASES = pairwise.product(AXES, all_valid) if FULL else pairwise.sample(AXES, all_valid, dice("verify"))


def regions(workers: int) -> dict[str, object]:
    """Many borders in a small file."""
    return {"workers": workers, "parallel_threshold": 64 * KIB, "min_region": 64 * KIB, "chunk": 64 * KIB}


@pytest.fixture
def directory(mounts: Mounts, empty_directory: Callable[[Path], Path], tmp_path: Path) -> Path:
    """Where every engine can run; for who is not root, some of them."""
    return empty_directory(mounts.use("xfs")) if os.geteuid() == 0 else tmp_path


def named(engine: str, directory: Path) -> dict[str, object]:
    if engine == "auto":
        return {}
    if not fastcopy.capabilities(directory)[engine]:
        unavailable(f"{engine} cannot run here: {fastcopy.capabilities(directory)[engine].why}")
    return {"engine": engine}


@pytest.mark.parametrize(AXES, CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_right_copy_right_digest_and_a_true_report(
    engine: str,
    verify: str,
    hash: object,
    shape: str,
    workers: int,
    door: str,
    directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    case, way = SHAPES[shape], DOORS[door]
    options = {"verify": verify, "hash": hash, **regions(workers), **named(engine, directory)}
    src = case.build(directory / "src")
    dst = Destination.prepare(directory / "dst", way.old_content(case))
    caplog.set_level(logging.INFO, "fastcopy")
    with nothing_leaked(directory):
        report = way.carry(src, dst.path, **options)
    assert dst.path.read_bytes() == case.content
    dst.check_kept(way)
    if report is None:
        return

    level = "compare" if verify == "auto" else verify
    by_digest = level in ("hash", "media")
    name = "blake3" if hash is None and by_digest else hash
    passed = report.engine in PASSES
    assert report.bytes == case.size
    assert engine in ("auto", report.engine)
    assert report.verify == level
    assert report.verified == (level != "none")
    if name is None:
        assert (report.hash, report.digest, report.digest_of) == (None, None, None)
    else:
        assert report.hash == getattr(name, "__name__", name)
        assert report.digest == EXPECTED[name](case.content)
        assert report.digest_of == ("written" if passed else "reread")
    source = "source_on_copy" if passed else "source_after"
    assert (
        report.verify_detail
        == {
            "none": "none",
            "compare": "both_after",
            "hash": f"{source}+destination_after",
            "media": f"{source}+medium_after",
        }[level]
    )
    assert 0 <= report.verify_elapsed <= report.elapsed
    assert (report.verify_elapsed > 0) == (level != "none" or name is not None)

    decision, performance = (dict(pair.split("=", 1) for pair in line.split()[1:]) for line in caplog.messages)
    assert decision["verify"] == level
    assert decision["algo"] == (report.hash or "none")
    if engine != "auto":  # which may hand over, and then something else is read
        assert decision["verify_detail"] == report.verify_detail
    assert performance["verify_ms"] == str(round(report.verify_elapsed * 1e3))
    told = report.plan.explain()
    assert (f"verify={level!r}" in told) == (level != "none")
    assert ("hashed" in told) == (name is not None)


def test_a_sample_covers_every_pair_of_what_is_asked_for() -> None:
    wanted = set().union(*(pairwise.pairs(case) for case in pairwise.product(AXES, all_valid)))
    assert set().union(*(pairwise.pairs(case) for case in CASES)) == wanted


@pytest.mark.parametrize("engine", ("auto", *fastcopy.engines()))
@pytest.mark.parametrize("verify", ("none", "hash"))
def test_a_large_file_at_the_defaults(engine: str, verify: str, directory: Path) -> None:
    # Several stretches of the ring, which wraps round.
    size = 40 * MIB + 12_345
    content = noise(size)
    (directory / "src").write_bytes(content)
    report = fastcopy.transfer(
        directory / "src", directory / "dst", verify=verify, hash="xxh3_128", **named(engine, directory)
    )
    assert report.digest == EXPECTED["xxh3_128"](content)
    assert (directory / "dst").read_bytes() == content
    assert report.buffer_bytes <= 96 * MIB


# ---- what has no size of its own, or is not alone ------------------------------------------------------


@pytest.mark.parametrize("verify", ("none", "auto", "hash"))
def test_a_pseudo_file_is_proved_by_what_was_read_of_it_once(verify: str, tmp_path: Path) -> None:
    report = fastcopy.transfer("/proc/filesystems", tmp_path / "dst", verify=verify, hash="sha256")
    content = (tmp_path / "dst").read_bytes()
    assert content
    assert report.digest == EXPECTED["sha256"](content)
    assert report.digest_of == "written"
    assert report.verify == ("hash" if verify == "auto" else verify)


@pytest.mark.parametrize("hash", EXPECTED, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("verify", ("none", "hash"))
def test_beside_a_busy_python_thread_the_digest_is_right_and_memory_bounded(
    verify: str, hash: object, tmp_path: Path
) -> None:
    content = noise(24 * MIB + 3)
    (tmp_path / "src").write_bytes(content)
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    spinner = threading.Thread(target=spin)
    spinner.start()
    try:
        report = fastcopy.transfer(
            tmp_path / "src", tmp_path / "dst", engine="buffered", verify=verify, hash=hash, **regions(2)
        )
    finally:
        stop.set()
        spinner.join()
    assert report.digest == EXPECTED[hash](content)
    assert (tmp_path / "dst").read_bytes() == content
    assert report.buffer_bytes <= 96 * MIB


def test_a_verified_copy_needs_little_memory_of_its_own(tmp_path: Path) -> None:
    if sanitized():
        return  # the sanitizer's own memory is larger than all of it
    src = tmp_path / "src"
    with src.open("wb") as f:
        f.truncate(160 * MIB)
    said = python(
        """
import sys, threading
import fastcopy
from support.state import private_bytes
src, dst = sys.argv[1:]
how = dict(engine="buffered", sparse="never", verify="hash", hash="blake3")
open(src + ".small", "wb").write(bytes(8 << 20))
fastcopy.transfer(src + ".small", dst, **how)  # what is loaded once
before = private_bytes()
peak, stop = before, threading.Event()
def watch():
    global peak
    while not stop.wait(0.002):
        peak = max(peak, private_bytes())
watcher = threading.Thread(target=watch)
watcher.start()
try:
    fastcopy.transfer(src, dst, **how)
finally:
    stop.set()
    watcher.join()
print(peak - before)
""",
        src,
        tmp_path / "dst",
    )
    assert int(said) <= 96 * MIB


# ---- what is not asked for -------------------------------------------------------------------------------


def test_without_a_digest_nothing_of_hashing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(noise(MIB))
    python(
        """
import sys
import fastcopy
src, dst = sys.argv[1:]
fastcopy.transfer(src, dst)
fastcopy.transfer(src, dst, verify="none", hash=None, engine="buffered", sync="data")
fastcopy.transfer(src, dst, verify="compare", workers=2, parallel_threshold=0, min_region=65536)
fastcopy.copyfile(src, dst, verify="none", engine="buffered")
fastcopy.copyfile(src, dst)
loaded = {"blake3", "xxhash", "hashlib", "_hashlib", "fastcopy.digests"} & set(sys.modules)
assert not loaded, loaded
fastcopy.transfer(src, dst, verify="hash")
assert "fastcopy.digests" in sys.modules  # so the names above are those that would be there
assert "xxhash" not in sys.modules
""",
        tmp_path / "src",
        tmp_path / "dst",
    )


@pytest.mark.parametrize("verify", ("none", "compare", "hash"))
def test_no_more_hashers_are_made_than_there_are_digests(verify: str, tmp_path: Path) -> None:
    made: list[Own] = []

    def factory() -> Own:
        made.append(Own())
        return made[-1]

    (tmp_path / "src").write_bytes(noise(MIB + 5))
    report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", engine="buffered", verify=verify, hash=factory)
    # One to see whether the factory is one, one for what is written, one for what is read again.
    assert [hasher.fed for hasher in made] == [0, MIB + 5] + [MIB + 5] * (verify == "hash")
    assert report.hash == "factory"


# ---- what it is called -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "verify", "hash"), (("fast", "none", None), ("safe", "compare", None), ("durable", "hash", "blake3"))
)
def test_presets_stand_for_levels(preset: str, verify: str, hash: str | None, tmp_path: Path) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.write_bytes(noise(MIB))
    report = fastcopy.transfer(src, dst, preset=preset)
    assert (report.verify, report.hash, report.verified) == (verify, hash, verify != "none")
    assert fastcopy.copyfile(src, dst, preset=preset) == dst
    report = fastcopy.transfer(src, dst, preset=preset, verify="hash", hash="sha256")
    assert (report.verify, report.digest) == ("hash", EXPECTED["sha256"](noise(MIB)))
    assert fastcopy.transfer(src, dst, preset=preset, verify="none").verified is False


def test_auto_compares_what_is_small_and_hashes_what_is_large(tmp_path: Path) -> None:
    for size, level in (((1 << 30) - 1, "compare"), (1 << 30, "hash")):
        with (tmp_path / "src").open("wb") as f:
            f.truncate(size)
        plan = fastcopy.plan(tmp_path / "src", tmp_path / "dst", verify="auto")
        assert plan.choice["verify"] == level
        assert f"verify={level!r}" in plan.explain()


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    (
        ("hash", "sha-256", ValueError),
        ("hash", "", ValueError),
        ("hash", "shake_128", ValueError),
        ("hash", 7, TypeError),
        ("hash", dict, TypeError),
        ("verify", "yes", ValueError),
        ("verify", True, TypeError),
        ("verify", None, TypeError),
    ),
)
@pytest.mark.parametrize("call", (fastcopy.transfer, fastcopy.plan, fastcopy.copyfile))
def test_a_wrong_word_is_refused_before_a_file_is_touched(
    call: Callable[..., object], option: str, value: object, kind: type[Exception], tmp_path: Path
) -> None:
    dst = tmp_path / "dst"
    with pytest.raises(kind, match=option) as refusal:
        call(tmp_path / "missing", dst, **{option: value})
    assert not isinstance(refusal.value, OSError)
    assert repr(value) in str(refusal.value)
    assert os.listdir(tmp_path) == []


def test_a_factory_that_fails_at_once_touches_no_file(tmp_path: Path) -> None:
    error = LookupError("mine")

    def broken() -> Own:
        raise error

    with pytest.raises(LookupError) as caught:
        fastcopy.transfer(tmp_path / "missing", tmp_path / "dst", hash=broken)
    assert caught.value is error
    assert os.listdir(tmp_path) == []


def test_the_environment_says_nothing_about_proofs_and_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").write_bytes(noise(MIB))
    for name in ("VERIFY", "HASH"):
        monkeypatch.setenv(f"FASTCOPY_{name}", "nonsense")
    monkeypatch.setenv("FASTCOPY_ENGINE", "mapped")
    before = dict(os.environ)
    report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", verify="hash")
    assert (report.engine, report.verified) == ("mapped", True)
    assert dict(os.environ) == before


def test_trees_of_shutil_are_proved_file_by_file(tmp_path: Path) -> None:
    made = []

    def factory() -> Own:
        made.append(Own())
        return made[-1]

    for i in range(3):
        (tmp_path / "a" / str(i)).mkdir(parents=True)
        (tmp_path / "a" / str(i) / "file").write_bytes(noise(5000 + i))
    fastcopy.copytree(tmp_path / "a", tmp_path / "b", verify="hash", hash=factory)
    for i in range(3):
        assert (tmp_path / "b" / str(i) / "file").read_bytes() == noise(5000 + i)
    assert sorted(hasher.fed for hasher in made if hasher.fed) == [5000, 5000, 5001, 5001, 5002, 5002]


@pytest.mark.parametrize("options", ({"verify": "compare"}, {"hash": "sha256"}))
def test_what_a_device_takes_cannot_be_proved(options: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(b"x")
    with pytest.raises(fastcopy.CopyError) as refusal:
        fastcopy.copyfile(tmp_path / "src", "/dev/null", **options)
    assert refusal.value.code == "COPY_E_UNSUPPORTED"
