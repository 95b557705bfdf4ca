"""What a caller may ask for, checked in one place before any file is touched.

Four voices, the first that speaks wins: the argument, the preset, the environment, the calibration (which the core
applies to whatever is still None here).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, cast, get_args

from . import _core

if TYPE_CHECKING:
    from .digests import Digest, Hasher
    from .progress import Progress
    from .tree_door import Entry

__all__ = ["CancelToken", "Name", "OptionArguments", "Options", "ShutilArguments"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

When = Literal["auto", "always", "never"]
Cache = Literal["auto", "keep", "drop"]
Sync = Literal["none", "data", "full"]
Verify = Literal["none", "auto", "compare", "hash", "media"]
OnChange = Literal["error", "warn"]
Preset = Literal["fast", "safe", "durable"]
Symlinks = Literal["keep", "follow"]
Special = Literal["skip", "fail", "recreate"]
Existing = Literal["overwrite", "fail", "skip", "update", "older"]
Order = Literal["as_found", "smallest_first", "largest_first"]
OnError = Literal["collect", "stop"]
Pattern = str | bytes
Keepable = Literal["mode", "times", "owner", "xattr", "links"]


Name = str | bytes  # of a file


class CancelToken(Protocol):
    """Anything that says whether to stop: a `threading.Event` is one."""

    def is_set(self) -> bool: ...


class ShutilArguments(TypedDict, total=False):
    """The keyword-only options that the shutil door takes beside shutil's own."""

    preset: Preset
    engine: str
    reflink: When
    sparse: When
    workers: int | Literal["auto"]
    split_depth: int
    parallel_threshold: int
    min_region: int
    chunk: int
    window: int
    flush_every: int
    cache: Cache
    sync: Sync
    verify: Verify
    hash: str | Callable[[], Hasher] | None
    progress: bool | Callable[[Progress], object] | None
    cancel: CancelToken | None


class OptionArguments(ShutilArguments, total=False):
    """The keyword-only options of the transfer door."""

    atomic: bool
    preserve: Iterable[Keepable]
    on_change: OnChange
    keep_failed: bool
    # of directories
    symlinks: Symlinks
    special: Special
    existing: Existing
    include: Pattern | Iterable[Pattern]
    exclude: Pattern | Iterable[Pattern]
    min_size: int
    max_size: int | None
    one_filesystem: bool
    order: Order
    dry_run: bool
    on_error: OnError
    on_entry: Callable[[Entry], object] | None


PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "safe": {"verify": "auto", "sync": "data"},
    "durable": {"verify": "hash", "sync": "full"},
}

# What is kept where it can be, when the caller names nothing. What the caller names is kept or it is an error.
_KEPT_BY_DEFAULT = frozenset({"mode", "times"})

# Ceilings, so that nonsense is refused here and not by an allocation: a thread pool no machine has, half of off_t.
_MAX_WORKERS = 4096
_MAX_SIZE = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be asked of a copy. None of a number leaves it to the dispatcher.

    >>> import fastcopy
    >>> fastcopy.Options(workers=2, sync="data").workers
    2
    >>> fastcopy.Options(window=1000)
    Traceback (most recent call last):
    ValueError: window=1000: a multiple of 65536 from 65536 to 4611686018427387904 is allowed
    """

    engine: str = "auto"
    reflink: When = "auto"
    sparse: When = "auto"
    workers: int | Literal["auto"] = "auto"
    split_depth: int | None = None
    parallel_threshold: int | None = None
    min_region: int | None = None
    chunk: int | None = None
    window: int | None = None
    flush_every: int | None = None
    atomic: bool = True
    sync: Sync = "none"
    verify: Verify = "none"
    hash: str | Callable[[], Hasher] | None = None
    cache: Cache = "auto"
    preserve: frozenset[str] = _KEPT_BY_DEFAULT
    on_change: OnChange = "error"
    keep_failed: bool = False
    symlinks: Symlinks = "keep"
    special: Special = "skip"
    existing: Existing = "overwrite"
    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    min_size: int = 0
    max_size: int | None = None
    one_filesystem: bool = False
    order: Order = "as_found"
    dry_run: bool = False
    on_error: OnError = "collect"
    on_entry: Callable[[Entry], object] | None = field(default=None, compare=False)
    progress: bool | Callable[[Progress], object] | None = field(default=None, compare=False)
    cancel: CancelToken | None = field(default=None, compare=False)
    # Of `preserve`, what must be kept: everything that was named. None here means "work it out".
    required: frozenset[str] | None = field(default=None, repr=False)
    # Not an argument: FASTCOPY_NO_ZERO_COPY.
    no_zero_copy: bool = field(default=False, repr=False)
    # Nor this, of the command, whose copies get their mode as cp gives it: what the umask takes away.
    withhold: int = field(default=0, repr=False)
    # What `hash` stands for, blake3 where a verification needs one and none was named; None: nothing is hashed.
    digest: Digest | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            checked = check(name, value)
            if checked is not value:
                object.__setattr__(self, name, checked)
        if self.required is None:
            required = frozenset[str]() if self.preserve is _KEPT_BY_DEFAULT else self.preserve
            object.__setattr__(self, "required", required)
        if self.hash is not None or self.verify in ("auto", "hash", "media"):
            from .digests import resolve  # here alone: without a digest nothing of hashing is loaded

            object.__setattr__(self, "digest", resolve("blake3" if self.hash is None else self.hash))
        _refuse_conflicts(self)

    def hashers(self, size: int) -> Callable[[], Hasher] | None:
        """What makes the hashers of a copy of `size` bytes."""
        if self.digest is None:
            return None
        from .digests import threads_for

        return partial(self.digest.new, threads_for(size))

    def to_core(self, **overrides: Any) -> _core.Options:
        """The same for the core, where 0 (-1 of split_depth) is no wish."""
        required = self.required or frozenset()
        wishes: dict[str, Any] = {
            "engine": None if self.engine == "auto" else self.engine,
            "reflink": self.reflink,
            "sparse": self.sparse,
            "cache": self.cache,
            "sync": self.sync,
            "verify": self.verify,
            "digest": self.hash is not None,
            "atomic": self.atomic,
            "keep_failed": self.keep_failed,
            "on_change": self.on_change,
            # An argument beats the environment: who demands a clone gets one.
            "no_zero_copy": self.no_zero_copy and self.reflink != "always",
            "preserve": self.preserve - {"links"},  # means something in a tree only
            "required": required - {"links"},
            "withhold": self.withhold,
            "workers": 0 if self.workers == "auto" else self.workers,
            "split_depth": -1 if self.split_depth is None else self.split_depth,
            # "Always" is 0 for the caller, but 0 is "no wish" in the core; no file of 0 bytes is ever split.
            "parallel_threshold": 0 if self.parallel_threshold is None else max(1, self.parallel_threshold),
            "min_region": self.min_region or 0,
            "chunk": self.chunk or 0,
            "window": self.window or 0,
            "flush_every": self.flush_every or 0,
        }
        wishes.update(overrides)
        return _core.Options(**wishes)


def resolve(arguments: Mapping[str, Any], allowed: frozenset[str] | None = None) -> Options:
    """The options that `arguments`, their preset and the environment amount to.

    Raises ValueError or TypeError naming what is wrong.
    """
    _refuse_unknown(arguments, ARGUMENTS if allowed is None else allowed)
    merged = environment()
    from_environment = frozenset(merged)
    if "preset" in arguments:
        merged.update(PRESETS[_word("preset", arguments["preset"], tuple(PRESETS))])
    merged.update({name: value for name, value in arguments.items() if name != "preset"})
    try:
        return Options(**merged)
    except ValueError as error:
        if "engine" in from_environment and "engine" not in arguments:
            raise ValueError(f"{error} (engine comes from FASTCOPY_ENGINE)") from None
        raise


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The options that the environment sets. An empty variable sets nothing."""
    found: dict[str, Any] = {}
    if engine := variables.get("FASTCOPY_ENGINE"):
        found["engine"] = _word("FASTCOPY_ENGINE", engine, _engine_names())
    if workers := variables.get("FASTCOPY_WORKERS"):
        count = int(workers) if workers.isdecimal() else workers
        found["workers"] = _workers("FASTCOPY_WORKERS", count)
    if no_zero_copy := variables.get("FASTCOPY_NO_ZERO_COPY"):
        found["no_zero_copy"] = _word("FASTCOPY_NO_ZERO_COPY", no_zero_copy, ("0", "1")) == "1"
    return found


def _refuse_unknown(arguments: Mapping[str, Any], allowed: frozenset[str]) -> None:
    for name in arguments:
        if name not in allowed:
            raise TypeError(f"unknown option {name!r}; allowed are {', '.join(sorted(allowed))}")


def _refuse_conflicts(o: Options) -> None:
    """Wishes that no copy can fulfil together, whatever the files are."""
    if o.reflink == "always" and o.engine not in ("auto", "clone"):
        raise ValueError(
            f"engine={o.engine!r} with reflink='always': only the engine 'clone' shares extents for certain"
        )
    if o.engine == "clone" and o.reflink == "never":
        raise ValueError("engine='clone' with reflink='never': a clone is a reflink")
    if o.max_size is not None and o.min_size > o.max_size:
        raise ValueError(f"min_size={o.min_size!r} with max_size={o.max_size!r}: no file is that small and that large")
    if o.keep_failed and not o.atomic:
        raise ValueError("keep_failed=True with atomic=False: a copy in place has no unpublished file to keep")


# What means something for a directory alone, and for a file alone.
TREE_OPTIONS = (
    "symlinks",
    "special",
    "include",
    "exclude",
    "min_size",
    "max_size",
    "one_filesystem",
    "order",
    "dry_run",
    "on_error",
    "on_entry",
)
FILE_OPTIONS = ("keep_failed", "hash")


def refuse_tree_options(o: Options) -> None:
    """For a file: what is said about directories would be ignored."""
    why = "this is an option for directories, and the source is none"
    _refuse_but_default(o, TREE_OPTIONS, why)
    if o.existing not in ("overwrite", "fail"):
        raise ValueError(f"existing={o.existing!r}: {why}; 'overwrite' and 'fail' are for files too")


def refuse_file_options(o: Options) -> None:
    """For a directory: what is said about a file would be ignored."""
    _refuse_but_default(o, FILE_OPTIONS, "this is an option for a single file, and the source is a directory")


def _refuse_but_default(o: Options, names: tuple[str, ...], why: str) -> None:
    for name in names:
        value = getattr(o, name)
        if value != Options.__dataclass_fields__[name].default:
            raise ValueError(f"{name}={value!r}: {why}")


# ---- one check a kind of value: returns the value as it is stored, or raises ---------------------------


def path_argument(name: str, value: Any) -> Name:
    """A path that is an argument, as os.fspath gives it."""
    try:
        path = cast("Name", os.fspath(value))
    except TypeError:
        raise TypeError(f"{name}={value!r}: a str, bytes or os.PathLike is allowed") from None
    if (b"\0" if isinstance(path, bytes) else "\0") in path:  # type: ignore[operator]
        raise ValueError(f"{name}={value!r}: a path has no null character")
    return path


def check_callbacks(progress: Any, cancel: Any) -> None:
    """The two of them, for functions that take no other option."""
    _progress("progress", progress)
    _cancel("cancel", cancel)


def _engine_names() -> tuple[str, ...]:
    return ("auto", *_core.ENGINES)


def _word(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{name}={value!r}: one of {', '.join(map(repr, allowed))} is allowed")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: True or False is allowed")
    return value


def _number(name: str, value: Any, low: int, high: int, multiple: int = 1, otherwise: str = "") -> int:
    try:
        if isinstance(value, bool):  # an int to Python, a mistake here
            raise TypeError
        number = index(value)
        if low <= number <= high and number % multiple == 0:
            return number
        refusal: type[Exception] = ValueError
    except TypeError:
        refusal = TypeError
    kind = "an integer" if multiple == 1 else f"a multiple of {multiple}"
    raise refusal(f"{name}={value!r}: {kind} from {low} to {high}{otherwise} is allowed")


def _workers(name: str, value: Any) -> int | str:
    if isinstance(value, str):
        if value == "auto":
            return value
        raise ValueError(f"{name}={value!r}: an integer from 1 to {_MAX_WORKERS} or 'auto' is allowed")
    return _number(name, value, 1, _MAX_WORKERS, otherwise=" or 'auto'")


def _preserve(name: str, value: Any) -> frozenset[str]:
    if value is _KEPT_BY_DEFAULT:
        return value  # itself, for that is how it is told from the same names said by the caller
    allowed = f"a set of the names {', '.join(map(repr, get_args(Keepable)))} is allowed"
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name}={value!r}: {allowed}")
    items: tuple[Any, ...] = tuple(value)
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"{name}={value!r}: {allowed}, not {item!r}")
        if item not in get_args(Keepable):
            raise ValueError(f"{name}={value!r}: {allowed}, not {item!r}")
    return frozenset(items)


def _patterns(name: str, value: Any) -> tuple[Any, ...]:
    """A pattern or several; kept as they are, for they are compared as bytes."""
    given: tuple[Any, ...] = (value,) if isinstance(value, (str, bytes)) else ()
    allowed = "a pattern (str or bytes) or an iterable of them is allowed"
    if not given:
        if not hasattr(value, "__iter__"):
            raise TypeError(f"{name}={value!r}: {allowed}")
        given = tuple(value)
    for pattern in given:
        if not isinstance(pattern, (str, bytes)):
            raise TypeError(f"{name}={value!r}: {allowed}, not {pattern!r}")
        if os.fsencode(pattern).strip(b"!/") == b"" or b"\0" in os.fsencode(pattern):
            raise ValueError(f"{name}={value!r}: {pattern!r} matches nothing")
    return given


def _progress(name: str, value: Any) -> Any:
    if value is not None and not isinstance(value, bool) and not callable(value):
        raise TypeError(f"{name}={value!r}: a callable, True, False or None is allowed")
    return value


def _callable(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{name}={value!r}: a callable or None is allowed")
    return value


def _cancel(name: str, value: Any) -> Any:
    if value is not None and not callable(getattr(value, "is_set", None)):
        raise TypeError(f"{name}={value!r}: an object with is_set(), such as a threading.Event, or None is allowed")
    return value


def _one_of(*allowed: str) -> Callable[[str, Any], Any]:
    return lambda name, value: _word(name, value, allowed)


def _optional(low: int, high: int, multiple: int = 1) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else _number(name, value, low, high, multiple)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "engine": _one_of(*_engine_names()),
    "reflink": _one_of(*get_args(When)),
    "sparse": _one_of(*get_args(When)),
    "workers": _workers,
    "split_depth": _optional(0, 12),
    "parallel_threshold": _optional(0, _MAX_SIZE),
    "min_region": _optional(64 * KIB, _MAX_SIZE),
    "chunk": _optional(4 * KIB, GIB, 4 * KIB),
    "window": _optional(64 * KIB, _MAX_SIZE, 64 * KIB),
    "flush_every": _optional(1, 1000),
    "atomic": _flag,
    "sync": _one_of(*get_args(Sync)),
    "verify": _one_of(*get_args(Verify)),
    "cache": _one_of(*get_args(Cache)),
    "preserve": _preserve,
    "on_change": _one_of(*get_args(OnChange)),
    "keep_failed": _flag,
    "symlinks": _one_of(*get_args(Symlinks)),
    "special": _one_of(*get_args(Special)),
    "existing": _one_of(*get_args(Existing)),
    "include": _patterns,
    "exclude": _patterns,
    "min_size": lambda name, value: _number(name, value, 0, _MAX_SIZE),
    "max_size": _optional(0, _MAX_SIZE),
    "one_filesystem": _flag,
    "order": _one_of(*get_args(Order)),
    "dry_run": _flag,
    "on_error": _one_of(*get_args(OnError)),
    "on_entry": _callable,
    "progress": _progress,
    "cancel": _cancel,
}

SHUTIL_ARGUMENTS = frozenset(ShutilArguments.__annotations__)
ARGUMENTS = frozenset(
    {"preset", *(f.name for f in fields(Options))} - {"required", "no_zero_copy", "withhold", "digest"}
)
