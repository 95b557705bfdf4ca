"""One copy with system calls that go wrong, and what must hold of it however it ends."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import xxhash

import fastcopy
from fastcopy import _core
from support import faults as script
from support.faults import Rule, faults
from support.shapes import KIB, MIB, noise
from support.state import notes, nothing_leaked

SIZE = MIB + 300 * KIB + 77
HOLE = (512 * KIB, 768 * KIB)
MODES = ("atomic", "new", "in place", "copyfile")
SETTINGS: dict[str, dict[str, object]] = {
    "plain": {},
    "dense": {"sync": "data"},  # of a source without a hole, for which room can be reserved
    "thorough": {
        "sync": "full",
        "cache": "drop",
        "preserve": {"mode", "times", "owner", "xattr"},
        "flush_every": 2,
    },
}
# The same, proved: settings that are walked for the calls that come after copying.
PROOFS: dict[str, dict[str, object]] = {
    "compare": {"verify": "compare"},
    "hash": {"verify": "hash", "hash": "xxh3_128"},
    "media": {"verify": "media", "hash": "xxh3_128"},
    "digest": {"hash": "xxh3_128"},
    "thorough and hash": SETTINGS["thorough"] | {"verify": "hash", "hash": "xxh3_128"},
}
REGIONS: dict[str, object] = {
    "workers": 3,
    "parallel_threshold": 64 * KIB,
    "min_region": 128 * KIB,
    "chunk": 64 * KIB,
    "window": 128 * KIB,
}


def with_hole() -> bytes:
    whole = bytearray(noise(SIZE))
    whole[HOLE[0] : HOLE[1]] = bytes(HOLE[1] - HOLE[0])
    return bytes(whole)


def read(path: Path) -> bytes | None:
    return path.read_bytes() if os.path.lexists(path) else None


OLD = noise(SIZE + 90_001, "old")


_usual: dict[tuple[Path, str, str, str], dict[str, int]] = {}


@dataclass
class Outcome:
    report: fastcopy.Report | None = None
    error: OSError | None = None
    struck: list[int] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """A source, a destination and a way of copying between them."""

    directory: Path
    engine: str
    mode: str  # of MODES
    setting: str = "plain"  # of SETTINGS, or of PROOFS

    @property
    def src(self) -> Path:
        return self.directory / ("src-dense" if self.setting == "dense" else "src")

    @cached_property
    def content(self) -> bytes:
        return noise(SIZE) if self.setting == "dense" else with_hole()

    @property
    def dst(self) -> Path:
        return self.directory / "dst"

    def prepare(self) -> None:
        if not self.src.exists():
            with self.src.open("wb") as f:
                for start, end in ((0, SIZE),) if self.setting == "dense" else ((0, HOLE[0]), (HOLE[1], SIZE)):
                    f.seek(start)
                    f.write(self.content[start:end])
                f.flush()
                os.fsync(f.fileno())  # what is chosen depends on whether the source is on its medium
            with contextlib.suppress(OSError):  # not every filesystem has them
                os.setxattr(self.src, "user.fastcopy", b"kept")
        self.dst.unlink(missing_ok=True)
        if self.mode != "new":
            self.dst.write_bytes(OLD)

    def usual_calls(self) -> dict[str, int]:
        """How often this copy makes each call when nothing goes wrong; which it must survive."""
        key = (self.directory.parent, self.engine, self.mode, self.setting)
        if key not in _usual:
            outcome = self.copy()
            assert outcome.error is None
            _usual[key] = outcome.calls
        return _usual[key]

    def copy(self, *rules: Rule, **more: object) -> Outcome:
        """Copy while the rules hold, and check everything that must hold whether it fails or not."""
        self.prepare()
        options = REGIONS | (SETTINGS | PROOFS)[self.setting] | more
        if self.engine != "auto":
            options["engine"] = self.engine
        outcome = Outcome()
        with nothing_leaked(self.directory, may_leave_file=any(r.operation == "unlinkat" for r in rules)):
            with faults(*rules):
                try:
                    if self.mode == "copyfile":
                        options.pop("preserve", None)  # which is no option of this door
                        fastcopy.copyfile(self.src, self.dst, **options)
                    else:
                        atomic = self.mode != "in place"
                        outcome.report = fastcopy.transfer(self.src, self.dst, atomic=atomic, **options)
                except OSError as error:
                    outcome.error = error
            outcome.struck, outcome.calls = list(script.struck), dict(script.calls)
        try:
            self.check(outcome, rules)
        except AssertionError as e:
            raise AssertionError(f"{self} with {', '.join(map(str, rules))}: {e}") from e
        return outcome

    def check(self, outcome: Outcome, rules: Sequence[Rule]) -> None:
        if outcome.error is None:
            self.check_right_copy(outcome, rules)
        else:
            self.check_clear_error(outcome.error)
            self.check_nothing_spoilt(rules)

    def check_right_copy(self, outcome: Outcome, rules: Sequence[Rule]) -> None:
        got = self.dst.read_bytes()
        ends_early = any((rule.operation, rule.kind, rule.value) == ("pread", "short", 0) for rule in rules)
        if self.mode == "copyfile" and ends_early:
            # What shutil knows of the end of a file is that read says so.
            assert got == self.content[: len(got)], "no error, and a wrong copy"
            return
        assert got == self.content, "no error, and a wrong copy"
        if outcome.report is not None:
            assert outcome.report.bytes == SIZE
            assert self.engine in ("auto", outcome.report.engine), "a named engine became another"
            asked = (SETTINGS | PROOFS)[self.setting]
            assert outcome.report.verified == ("verify" in asked), "what was not proved was published"
            if outcome.report.hash == "xxh3_128":
                assert outcome.report.digest == xxhash.xxh3_128(got).hexdigest()
            else:
                assert (outcome.report.digest is None) == ("hash" not in asked and outcome.report.hash is None)

    def check_clear_error(self, error: OSError) -> None:
        assert error.errno, f"an error without errno: {error!r}"
        assert error.filename in (os.fspath(self.src), os.fspath(self.dst)), f"{error!r} names no file of ours"
        if isinstance(error, fastcopy.CopyError):
            assert error.code in _core.CODES
        if self.mode != "copyfile":
            assert "operation=" in notes(error), f"{error!r} does not say what was being done"

    def check_nothing_spoilt(self, rules: Sequence[Rule]) -> None:
        # What fails last is the directory's own fsync: then the new file has its name, and is whole.
        published = any(rule.operation == "fsync" for rule in rules) and read(self.dst) == self.content
        if self.mode == "atomic":
            assert published or read(self.dst) == OLD, "the old destination did not survive"
        elif self.mode == "new":
            assert published or read(self.dst) is None, "a file was published that is not the new one"
        elif not any(rule.operation == "ftruncate" for rule in rules):
            # In place: untouched, or cut to what was written of the new content from its start.
            left = self.dst.read_bytes()
            assert left == OLD or left == self.content[: len(left)], "neither the old file nor a prefix of the new"
