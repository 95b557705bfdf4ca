"""The transfer door: decide, say why, carry it out, say what happened."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, calibration
from .options import MIB, Name, Options, path_argument, refuse_tree_options, resolve
from .progress import conductor, watched

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._core import StrOrBytesPath
    from .options import OptionArguments
    from .tree_door import EntryError

__all__ = ["Attempt", "Capabilities", "Capability", "Plan", "Report", "capabilities", "engines", "plan", "transfer"]

log = logging.getLogger("fastcopy")
log.addHandler(logging.NullHandler())

WARNINGS = {
    "mode": "the permissions of the source could not be kept",
    "times": "the times of the source could not be kept",
    "owner": "the owner of the source could not be kept",
    "xattr": "extended attributes of the source could not be kept",
    "ctime": "the status of the source (its mode, owner, links or attributes) changed while it was copied",
    "changed": "the source changed while it was copied",
    "setid": "the set-user-id and set-group-id bits were dropped, for the owner could not be kept",
}


class Attempt(NamedTuple):
    """One engine that was tried.

    >>> import errno, fastcopy
    >>> print(fastcopy.Attempt("clone", errno.EXDEV, 0))
    clone left at offset 0: Invalid cross-device link
    """

    engine: str
    errno: int  # why it was left; 0: it finished
    offset: int  # how far the copy had come when it was left

    def __str__(self) -> str:
        if self.errno == 0:
            return f"{self.engine} finished"
        return f"{self.engine} left at offset {self.offset}: {os.strerror(self.errno)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a transfer really did.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> report = fastcopy.transfer("a.bin", "b.bin", engine="buffered")
    >>> report.bytes, report.engine, report.reason, report.fallbacks
    (1000, 'buffered', 'engine_named', 0)
    """

    src: Name
    dst: Name
    bytes: int  # the length of the copy
    written: int  # of it, what was moved: not holes, not shared extents
    elapsed: float  # seconds
    engine: str  # that finished
    reason: str  # why the plan began with the engine that it did
    attempts: tuple[Attempt, ...]  # every engine that was tried, the last one finished
    fallbacks: int  # how many of them were left behind
    workers: int  # threads that copied; 1 is the caller's own
    regions: int
    windows: int
    flushes: int
    buffer_bytes: int  # private memory of the workers at its peak
    mapped_bytes: int  # mapped pages of files at their peak
    hash: str | None  # the name of the digest
    digest: str | None  # in hexadecimal; None: none was asked for, nor needed
    digest_of: str | None  # "written": the very bytes, on their way; "reread": the copy, read once it was whole
    verify: str  # how the copy was proved: "none", "compare", "hash", "media"
    verify_detail: str  # what was read for that, and when
    verify_elapsed: float  # of the seconds, those that it took after copying
    verified: bool
    warnings: tuple[str, ...]  # what could not be kept or was noticed, as sentences
    plan: Plan = field(repr=False)
    # What a tree has several of.
    files: int = 1  # regular files copied
    directories: int = 0  # made, or found there and gone through
    symlinks: int = 0
    links: int = 0  # hard links made instead of copies
    special: int = 0  # FIFOs, sockets and devices recreated
    shared: int = 0  # bytes whose blocks are the source's
    holes: int = 0  # bytes of holes kept
    skipped: int = 0  # left alone: there already, special, of a size not wanted
    excluded: int = 0  # left out by `include` and `exclude`
    error_count: int = 0
    errors: tuple[EntryError, ...] = ()  # the first 1,000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A decision, and why: made by `plan()`, carried out by `run()`. It holds no descriptor.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> p = fastcopy.plan("a.bin", "b.bin", sync="full")
    >>> p.size, p.workers, p.publish
    (1000, 1, 'rename')
    >>> p.run().bytes
    1000
    """

    src: Name
    dst: Name
    options: Options
    choice: Mapping[str, Any] = field(repr=False, hash=False)  # every number of the decision, as the core has it
    size: int  # of the source, as first seen
    engine: str
    ladder: tuple[str, ...]  # the engine, and those that take over where it cannot go on
    reason: str
    workers: int
    workers_reason: str
    chunk: int
    window: int
    publish: str  # "rename" | "in_place"
    _core: _core.Plan = field(repr=False, compare=False)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What was seen: `src`, `dst`, `machine`, `resident`, `dirty`, `data_bytes`, `replaces`."""
        return MappingProxyType(self._core.facts())

    def run(self) -> Report:
        """Carry out exactly this. COPY_E_SOURCE_CHANGED if the source is no longer what the plan saw."""
        o = self.options
        watch = conductor(o.progress, o.cancel, self.src, self.dst)
        new = o.hashers(self.size)
        done = watched(watch, self.size, lambda tick: self._core.run(tick, new))
        report = _report(self, done)
        if log.isEnabledFor(logging.INFO):
            log.info("%s", _performance(report))
        return report

    def explain(self) -> str:
        """One readable paragraph: what will be done, and why.

        >>> import fastcopy
        >>> from pathlib import Path
        >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
        >>> print(fastcopy.plan("a.bin", "b.bin", engine="buffered").explain())  # doctest: +ELLIPSIS
        Copy 'a.bin' (1000 bytes, ...) to 'b.bin' (...) with the engine 'buffered', because ...
        """
        return " ".join(_sentences(self))


class Capability(NamedTuple):
    """Whether an engine can run somewhere; true if it can.

    >>> import fastcopy
    >>> bool(fastcopy.Capability(False, "no shared extents here"))
    False
    """

    can: bool
    why: str | None  # why it cannot; None if it can

    def __bool__(self) -> bool:
        return self.can


class Capabilities(Mapping[str, Capability]):
    """Engine -> can it copy within the filesystem of `path`, and why not.

    >>> import fastcopy
    >>> here = fastcopy.capabilities(".")
    >>> here["buffered"].can, here["buffered"].why
    (True, None)
    """

    __slots__ = ("_engines", "path")

    def __init__(self, path: Name, refusals: Mapping[str, str | None]) -> None:
        self.path = path
        self._engines = {name: Capability(why is None, why) for name, why in refusals.items()}

    def __getitem__(self, engine: str) -> Capability:
        return self._engines[engine]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def __repr__(self) -> str:
        return f"<Capabilities of {self.path!r}: {', '.join(name for name in self if self[name]) or 'none'}>"

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {'yes' if self[name] else f'no: {self[name].why}'}" for name in self)


def engines() -> tuple[str, ...]:
    """The names of the engines.

    >>> import fastcopy
    >>> fastcopy.engines()
    ('clone', 'copy_range', 'buffered', 'direct', 'mapped')
    """
    return _core.ENGINES


def capabilities(path: StrOrBytesPath) -> Capabilities:
    """Which engines can copy a file within the filesystem of `path`, and why the others cannot.

    >>> import fastcopy
    >>> print(fastcopy.capabilities("/proc")["clone"].can)
    False
    """
    name = path_argument("path", path)
    return Capabilities(name, _core.capabilities(name))


def plan(src: StrOrBytesPath, dst: StrOrBytesPath, **options: Unpack[OptionArguments]) -> Plan:
    """Decide how `src` would be copied to `dst`, touching nothing.

    `dst` is the exact name of what will exist. The options are those of `transfer`.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> fastcopy.plan("a.bin", "b.bin", engine="direct").ladder
    ('direct',)
    """
    return planned(path_argument("src", src), path_argument("dst", dst), resolve(options))


def planned(source: Name, destination: Name, wishes: Options) -> Plan:
    """`plan`, for options that were looked at already."""
    if os.path.isdir(source):
        from .tree_door import tree_plan

        return tree_plan(source, destination, wishes)
    refuse_tree_options(wishes)
    core = _core.plan(source, destination, wishes.to_core(), calibration.tuning(), wishes.existing == "fail")
    choice = core.choice()
    made = Plan(
        src=source,
        dst=destination,
        options=wishes,
        choice=MappingProxyType(choice),
        size=choice["size"],
        engine=choice["engine"],
        ladder=choice["ladder"],
        reason=choice["reason"],
        workers=choice["workers"],
        workers_reason=choice["workers_reason"],
        chunk=choice["chunk"],
        window=choice["window"],
        publish="in_place" if choice["in_place"] else "rename",
        _core=core,
    )
    if log.isEnabledFor(logging.INFO):
        log.info("%s", _decision(made))
    return made


def transfer(src: StrOrBytesPath, dst: StrOrBytesPath, **options: Unpack[OptionArguments]) -> Report:
    """Copy the file `src` to `dst`, whole or not at all, and report what was done.

    `dst` is the exact name of what will exist: an existing file is replaced at once, or is left as it was by any
    failure. The options, all by keyword:

    - `engine`: one of `engines()`, a demand; by default the dispatcher chooses and `plan().explain()` says why
    - `reflink`, `sparse`: "auto", "always", "never", as `cp` means them
    - `workers`, `split_depth`, `parallel_threshold`, `min_region`, `chunk`, `window`, `flush_every`: numbers, sizes
      in bytes; by default as measured
    - `atomic`: False writes into the existing file instead of replacing it
    - `existing`: "overwrite", "fail" (FileExistsError if something has the name, even if it came while copying)
    - `sync`: "none", "data" (the content is on the medium when this returns), "full" (its name too)
    - `verify`: "none", "compare" (both files are read and compared), "hash" (the digest of what was copied against the
      one of the copy, read again), "media" (the same, read from the medium and not from memory), "auto" (compare, and
      from 1 GiB hash); a copy that differs is a VerifyError and is never published
    - `hash`: "blake3", "xxh3_128", "xxh64", a name of hashlib, or a callable that makes a hasher; given alone, the
      digest comes with the report
    - `cache`: "auto", "keep", "drop" (leave no pages of this copy in the page cache)
    - `preserve`: of "mode", "times", "owner", "xattr"; what is named and cannot be kept is an error. By default mode
      and times are kept where that can be
    - `on_change`: "error" or "warn", when the source changes while it is copied
    - `keep_failed`: True leaves the unfinished copy of a failure, whose note names it
    - `progress`: a callable that is given a `Progress`, or True for a bar
    - `cancel`: an object with `is_set()`
    - `preset`: "fast", "safe", "durable"

    An option beats the preset, the preset beats the environment (FASTCOPY_ENGINE, FASTCOPY_WORKERS,
    FASTCOPY_NO_ZERO_COPY=1), the environment beats calibration, and that the built-in numbers.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> report = fastcopy.transfer("a.bin", "b.bin", sync="full")
    >>> report.bytes, Path("b.bin").read_bytes() == Path("a.bin").read_bytes()
    (1000, True)
    """
    return plan(src, dst, **options).run()


def _report(plan: Plan, done: Mapping[str, Any]) -> Report:
    attempts = tuple(map(Attempt._make, done["attempts"]))
    return Report(
        src=plan.src,
        dst=plan.dst,
        bytes=done["bytes"],
        written=done["written"],
        elapsed=done["elapsed"],
        engine=done["engine"],
        reason=plan.reason,
        attempts=attempts,
        fallbacks=sum(attempt.errno != 0 for attempt in attempts),
        workers=done["workers"],
        regions=done["regions"],
        windows=done["windows"],
        flushes=done["flushes"],
        buffer_bytes=done["buffer_bytes"],
        mapped_bytes=done["mapped_bytes"],
        hash=plan.options.digest.name if done["digest"] is not None and plan.options.digest else None,
        digest=done["digest"],
        digest_of=done["digest_of"],
        verify=plan.choice["verify"],
        verify_detail=_verify_detail(plan, done["both_read"]),
        verify_elapsed=done["verify_elapsed"],
        verified=done["verified"],
        warnings=tuple(WARNINGS[word] for word in done["warnings"]),
        plan=plan,
        shared=done["bytes"] if done["engine"] == "clone" else 0,
        holes=0 if done["engine"] == "clone" else done["bytes"] - done["written"],
    )


# ---- words ---------------------------------------------------------------------------------------------


def _verify_detail(p: Plan, both_read: bool) -> str:
    """What is read to prove the copy, and when."""
    level = p.choice["verify"]
    if level in ("none", "compare"):
        return {"none": "none", "compare": "both_after"}[level]
    source = "source_after" if both_read else "source_on_copy"
    # Behind a network is a medium that only the server can ask: it is the server that answered.
    medium = "server_after" if "network" in p.facts["dst"]["flags"] else "medium_after"
    return f"{source}+{medium if level == 'media' else 'destination_after'}"


def size_text(size: int) -> str:
    """A size as the log writes it: exact, in the largest binary unit that divides it.

    >>> size_text(256 * 1024), size_text(1000)
    ('256KiB', '1000')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def _decision(p: Plan) -> str:
    """The `Decision:` line."""
    c, facts = p.choice, p.facts
    words = {
        "engine": p.engine,
        "reason": p.reason,
        "src": facts["src"]["fs"],
        "dst": facts["dst"]["fs"],
        "size": p.size,
        "workers": p.workers,
        "chunk": size_text(p.chunk),
        "window": size_text(p.window),
        "verify": c["verify"],
        "verify_detail": _verify_detail(p, p.engine in ("clone", "copy_range")),
        "algo": p.options.digest.name if c["digest"] and p.options.digest else "none",
        "prealloc": "yes" if c["preallocate"] else "no",
        "flush_every": c["flush_every"] if "mapped" in p.ladder else "n/a",
        "publish": p.publish,
    }
    return "Decision: " + _key_value(words)


def _performance(r: Report) -> str:
    """The `Perf:` line."""
    words = {
        "bytes": r.bytes,
        "elapsed_ms": round(r.elapsed * 1e3),
        "GBps": f"{r.bytes / r.elapsed / 1e9 if r.elapsed else 0:.2f}",
        "engine": r.engine,
        "windows": r.windows,
        "flushes": r.flushes,
        "regions": r.regions,
        "fallbacks": r.fallbacks,
        "verify_ms": round(r.verify_elapsed * 1e3),
        "peak_buffer": size_text(r.buffer_bytes),
    }
    return "Perf: " + _key_value(words)


def _key_value(words: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in words.items())


def _sentences(p: Plan) -> Iterator[str]:
    """The sentences of `Plan.explain`, one a decision."""
    c, src, dst = p.choice, p.facts["src"], p.facts["dst"]
    there = "over the existing file" if dst["exists"] else "in place of what is there" if p.facts["replaces"] else "new"
    size = "of unknown length" if c["to_eof"] else _amount(p.size)
    yield (
        f"Copy {_name(p.src)} ({size}, {src['fs']}{_residency(p)}) to {_name(p.dst)} ({dst['fs']}, {there}) "
        f"with the engine {p.engine!r}, because {c['reason_text']}."
    )
    if len(p.ladder) > 1:
        others = ", then ".join(repr(name) for name in p.ladder[1:])
        yield f"Where it cannot go on, {others} takes over at the offset reached."
    elif p.options.engine != "auto":
        yield "It was asked for by name, so nothing else takes its place."
    yield _workers_sentence(p)
    if c["calibrated"]:
        yield f"Its numbers were measured here by `fastcopy calibrate`, which keeps them in {calibration.file()!r}."
    yield from _preparation(p)
    yield _publication(p)
    yield {
        "none": "Nothing is forced to the medium (sync='none').",
        "data": "The content is forced to the medium before this returns (sync='data').",
        "full": "The content and its name are forced to the medium before this returns (sync='full').",
    }[p.options.sync]
    yield from _proof(p)
    if c["drop_cache"]:
        yield "Pages that were not in the page cache before are dropped from it."


def _workers_sentence(p: Plan) -> str:
    c = p.choice
    who = "One worker copies" if p.workers == 1 else f"{p.workers} workers copy"
    sentence = who if p.workers_reason == p.reason else f"{who}, because {c['workers_reason_text']}"
    if not c["small"] and p.engine not in ("clone", "copy_range"):  # these size their requests as they go
        sentence += f"; one request moves {_amount(p.chunk)}"
    if p.workers > 1 and c["split_depth"]:
        sentence += f", and regions are split down to {_amount(c['min_region'])}"
    return sentence + "."


def _preparation(p: Plan) -> Iterator[str]:
    c = p.choice
    if c["to_eof"]:
        yield "The end of the file is where reading ends, whatever its size says."
    if c["has_holes"]:
        yield "Holes of the source are holes of the copy."
    if c["find_zeros"]:
        yield "Blocks of zeros become holes."
    if c["preallocate"]:
        yield "Space is reserved before the first byte."
    if c["keep_blocks"]:
        yield "The existing file is written over and then cut to length, which keeps its blocks."


def _proof(p: Plan) -> Iterator[str]:
    c = p.choice
    name = p.options.digest.name if p.options.digest else None
    if c["verify"] == "compare":
        yield "Then both files are read and compared (verify='compare')."
    elif c["verify"] == "hash":
        yield f"Then the copy is read again, and its {name} digest is compared with the source's (verify='hash')."
    elif c["verify"] == "media":
        yield (
            f"Then the copy is forced to the medium, dropped from memory and read from there, and its {name} digest is "
            "compared with the source's (verify='media')."
        )
    if c["digest"] and p.engine not in ("clone", "copy_range"):
        yield "The bytes are hashed on their way."
    elif c["digest"]:
        yield "No bytes pass here, so what is hashed is read afterwards."


def _publication(p: Plan) -> str:
    if p.publish == "in_place":
        return "It is written in place: a reader sees it change, and a failure leaves the part that was written."
    return "It gets its name when it is whole; until then, and after a failure, what has that name now stays."


def _name(path: Name) -> str:
    return repr(os.fsdecode(path))


def _amount(size: int) -> str:
    """A size for a reader: rounded."""
    if size < 1024:
        return f"{size} bytes"
    units = ("KiB", "MiB", "GiB", "TiB", "PiB")
    power = min((size.bit_length() - 1) // 10, len(units))
    return f"{size / (1 << 10 * power):.4g} {units[power - 1]}"


def _residency(p: Plan) -> str:
    resident: int = p.facts["resident"]
    if resident < 0 or p.size < MIB:
        return ""
    return f", {min(1.0, resident / p.size):.0%} of it in the page cache"
