"""The shutil door: `copyfile`, `copy`, `copy2`, `copytree` and `move` with shutil's contract, and into shutil itself.

With nothing but shutil's own arguments a file goes to `_core.copyfile`, which keeps the contract by itself. Wherever
a call is about something else than the bytes of a regular file (a symlink not followed, a device, an error to word)
the original is asked, so that there is one place where it is defined: the interpreter's own shutil.

The originals are taken when this module is imported and are never looked up in shutil again: while `patched()` is in
force, what is found there is ourselves.
"""

# ruff: noqa: F811 (it takes our stand-in for typing.overload for something else)

from __future__ import annotations

import builtins
import errno
import os
import shutil
import stat
import sys
from _thread import allocate_lock
from types import FunctionType

from . import _core
from .errors import SameFileError, from_core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any, NoReturn, TypeVar, overload

    from typing_extensions import Unpack

    from ._core import StrOrBytesPath, Tick
    from .digests import Hasher
    from .options import ShutilArguments

    StrPath = str | os.PathLike[str]
    BytesPath = bytes | os.PathLike[bytes]
    P = TypeVar("P", bound=StrOrBytesPath)
    S = TypeVar("S", bound=StrPath)
    B = TypeVar("B", bound=BytesPath)
else:

    def overload(function):
        return function


__all__ = ["copy", "copy2", "copyfile", "copytree", "install", "move", "patched", "uninstall"]

_copyfile = shutil.copyfile
_copy2 = shutil.copy2
# What shutil's loop would call, and what somebody may have exchanged, as tests do.
_STEPS = [
    (module, name, getattr(module, name))
    for module, names in ((shutil, ("copystat",)), (os, ("scandir", "makedirs", "chmod", "utime", "symlink")))
    for name in names
]
_copytree = shutil.copytree
_move = shutil.move

_shutil = vars(shutil)

# The variables that are an option to every copy. Asking os.environ for each would cost a tenth of a small copy; the
# dict behind it answers for all three at once.
_VARIABLES = frozenset({b"FASTCOPY_ENGINE", b"FASTCOPY_WORKERS", b"FASTCOPY_NO_ZERO_COPY"})
_environment: dict[bytes, bytes] = getattr(os.environ, "_data", {})

_tuning: _core.Tuning | None = None  # from the first copy on that is large enough to ask for it


def _find_tuning() -> _core.Tuning:
    global _tuning
    from .calibration import tuning

    _tuning = tuning()
    return _tuning


def copyfile(src: StrOrBytesPath, dst: P, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> P:
    """`shutil.copyfile`, faster: copy the content of the file `src` to `dst` and return `dst`.

    An existing `dst` is written through: same inode, same hard links, same mode. The keyword-only options beside
    `follow_symlinks` are those of `transfer` that make sense for it, such as `engine`, `sync`, `progress`.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> fastcopy.copyfile("a.bin", "b.bin")
    'b.bin'
    >>> fastcopy.copyfile("a.bin", "c.bin", engine="buffered", sync="data")
    'c.bin'
    """
    # Somebody has put an `open` of his own into shutil, as CPython's tests do: only the original will call it.
    if "open" in _shutil:
        return _copyfile(src, dst, follow_symlinks=follow_symlinks)
    if options or not _environment.keys().isdisjoint(_VARIABLES):
        _copyfile_as_asked(src, dst, follow_symlinks, options)
        return dst
    if not follow_symlinks and _is_symlink(src):
        return _copyfile(src, dst, follow_symlinks=False)
    try:
        done = _core.copyfile(src, dst, _tuning or _find_tuning)
    except IsADirectoryError as error:
        _raise_about_directory(error, dst)
    return dst if done else _copyfile(src, dst)


@overload
def copy(src: StrPath, dst: S, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> S | str: ...
@overload
def copy(src: BytesPath, dst: B, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> B | bytes: ...
def copy(src: Any, dst: Any, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> Any:
    """`shutil.copy`, faster: content and mode; `dst` may be a directory. Returns what was written to.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> fastcopy.copy("a.bin", "b.bin")
    'b.bin'
    """
    dst = _file_in(dst, src)
    copyfile(src, dst, follow_symlinks=follow_symlinks, **options)
    shutil.copymode(src, dst, follow_symlinks=follow_symlinks)
    return dst


@overload
def copy2(src: StrPath, dst: S, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> S | str: ...
@overload
def copy2(src: BytesPath, dst: B, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> B | bytes: ...
def copy2(src: Any, dst: Any, *, follow_symlinks: bool = True, **options: Unpack[ShutilArguments]) -> Any:
    """`shutil.copy2`, faster: content and metadata; `dst` may be a directory. Returns what was written to.

    >>> import fastcopy, os
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> os.stat(fastcopy.copy2("a.bin", "b.bin")).st_mtime == os.stat("a.bin").st_mtime
    True
    """
    dst = _file_in(dst, src)
    copyfile(src, dst, follow_symlinks=follow_symlinks, **options)
    shutil.copystat(src, dst, follow_symlinks=follow_symlinks)
    return dst


def copytree(
    src: StrPath,
    dst: S,
    symlinks: bool = False,
    ignore: Callable[[Any, list[str]], Iterable[str]] | None = None,
    copy_function: Callable[[str, str], object] = copy2,
    ignore_dangling_symlinks: bool = False,
    dirs_exist_ok: bool = False,
    **options: Unpack[ShutilArguments],
) -> S:
    """`shutil.copytree`, faster: by the tree engine unless a callback is given. Returns `dst`.

    With `ignore` or a `copy_function` of your own shutil's loop runs, and calls them as ever: on this thread, one at
    a time. Options go with `copy2` and `copy` of this module only, for another `copy_function` takes none.

    >>> import fastcopy, os
    >>> from pathlib import Path
    >>> os.makedirs("tree/sub")
    >>> _ = Path("tree/sub/a.bin").write_bytes(b"x" * 1000)
    >>> fastcopy.copytree("tree", "copied", sync="none")
    'copied'
    >>> os.path.getsize("copied/sub/a.bin")
    1000
    """
    with_options = _with_options(copy_function, options)
    # shutil looks for what a dangling symlink names in the working directory, not in that of the symlink: whoever
    # asks for it gets it from shutil.
    looks_for_targets = ignore_dangling_symlinks and not symlinks
    # A digest that is named is one of Python's, which the engine's threads cannot make.
    callbacks = ignore is not None or not _is_ours(copy_function) or options.get("hash") is not None
    if callbacks or looks_for_targets or not _may_use_engine(src, dst):
        return _copytree(src, dst, symlinks, ignore, with_options, ignore_dangling_symlinks, dirs_exist_ok)
    from . import shutil_tree

    done: S = shutil_tree.copytree(
        src,
        dst,
        symlinks=symlinks,
        dirs_exist_ok=dirs_exist_ok,
        copy_function=with_options,
        options=_resolve(options),
        again=_copytree,
    )
    return done


def move(
    src: StrPath,
    dst: S,
    copy_function: Callable[[str, str], object] = copy2,
    **options: Unpack[ShutilArguments],
) -> S | str | Any:
    """`shutil.move`: a rename where that can be, else a copy with `copy2` of this module and a removal.

    >>> import fastcopy, os
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> fastcopy.move("a.bin", "moved.bin")
    'moved.bin'
    """
    with_options = _with_options(copy_function, options)

    def tree(src: Any, dst: Any, *, symlinks: bool, copy_function: Any) -> Any:
        del copy_function  # the one that we gave
        return copytree(src, dst, symlinks, copy_function=given, **options)

    given = copy_function
    # The interpreter's own steps, but for the one that copies a tree.
    steps = FunctionType(_move.__code__, {**_shutil, "copytree": tree})
    return steps(src, dst, with_options)


def _is_ours(copy_function: Any) -> bool:
    """copy2, of this module or of shutil: what the tree engine does by itself."""
    return copy_function is copy2 or copy_function is _copy2


def _may_use_engine(src: Any, dst: Any) -> bool:
    """Nobody listens to what a copy of each file would tell: audit events, functions of somebody's own."""
    from . import shutil_tree

    exchanged = "open" in _shutil or any(vars(module)[name] is not own for module, name, own in _STEPS)
    return not exchanged and not _core.somebody_audits() and not shutil_tree.lies_inside(dst, src)


def _file_in(dst: str, src: str) -> str:
    """Where `copy` writes: if `dst` is a directory, to the file in it that is named like `src` (bytes too)."""
    return os.path.join(dst, os.path.basename(src)) if os.path.isdir(dst) else dst


def _with_options(copy_function: Any, options: Mapping[str, Any]) -> Any:
    """`copy_function`, called with `options` too."""
    if not options:
        return copy_function
    if copy_function is not copy2 and copy_function is not copy:
        raise TypeError(f"copy_function={copy_function!r}: with options, fastcopy.copy2 or fastcopy.copy is allowed")
    _resolve(options)  # a wrong one is an error now, not one for each file

    def copy_with_options(src: Any, dst: Any, *, follow_symlinks: bool = True) -> Any:
        return copy_function(src, dst, follow_symlinks=follow_symlinks, **options)

    return copy_with_options


# ---- a copy with options -------------------------------------------------------------------------------


def _copyfile_as_asked(src: Any, dst: Any, follow_symlinks: bool, arguments: Mapping[str, Any]) -> None:
    """`copyfile` with options: from the arguments, or from the environment alone."""
    from .progress import conductor, watched

    options = _resolve(arguments)
    size = _size_of_plain_copy(src, dst, follow_symlinks)
    if size is None:
        if options.engine not in ("auto", "buffered"):
            _refuse_devices(options.engine, "an engine copies between regular files", src, dst)
        if options.digest is not None or options.verify != "none":
            _refuse_devices(None, "what is verified is read again, or hashed", src, dst)
        _copyfile(src, dst, follow_symlinks=follow_symlinks)
        return
    sys.audit("shutil.copyfile", src, dst)
    wishes = options.to_core(atomic=False, preserve=frozenset(), required=frozenset())
    reads = options.engine == "mapped" or options.digest is not None or options.verify != "none"
    opener = _open_uncut_to_read if reads else _open_uncut
    new = options.hashers(size)
    watch = conductor(options.progress, options.cancel, src, dst)
    watched(watch, size, lambda tick: _copy_opened(src, dst, opener, wishes, tick, new))


def _copy_opened(
    src: Any,
    dst: Any,
    opener: Callable[[str, int], int],
    wishes: _core.Options,
    tick: Tick | None,
    new: Callable[[], Hasher] | None,
) -> dict[str, Any]:
    """Open both ends as shutil does, in its order and with its audit events and errors, and copy."""
    with builtins.open(src, "rb", buffering=0) as source:
        try:
            destination = builtins.open(dst, "wb", buffering=0, opener=opener)  # noqa: SIM115
        except IsADirectoryError as error:
            _raise_about_directory(error, dst)
        with destination:
            _refuse_same_file(source.fileno(), destination.fileno(), src, dst)
            return _core.copy_fds(
                source.fileno(), destination.fileno(), wishes, _tuning or _find_tuning(), tick, src, dst, new
            )


def _raise_about_directory(error: IsADirectoryError, dst: Any) -> NoReturn:
    """As shutil says it (bpo-43219): "new/" is no directory that exists."""
    if os.path.exists(dst):
        raise error
    raise FileNotFoundError(f"Directory does not exist: {dst}") from error


def _resolve(arguments: Mapping[str, Any]) -> Any:
    from .options import SHUTIL_ARGUMENTS, resolve

    return resolve(arguments, SHUTIL_ARGUMENTS)


def _size_of_plain_copy(src: Any, dst: Any, follow_symlinks: bool) -> int | None:
    """The size of `src`, a regular file that is copied to another one or to a new one.

    None: all else, which the original knows how to do or to refuse.
    """
    if not follow_symlinks and _is_symlink(src):
        return None
    try:
        a = src.stat() if isinstance(src, os.DirEntry) else os.stat(src)
        b = _stat_or_none(dst)
    except (OSError, ValueError, TypeError):
        return None
    if b is not None and (not stat.S_ISREG(b.st_mode) or os.path.samestat(a, b)):
        return None
    return a.st_size if stat.S_ISREG(a.st_mode) else None


def _stat_or_none(path: StrOrBytesPath) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _refuse_devices(engine: str | None, why: str, src: Any, dst: Any) -> None:
    """What is demanded is done or raises, and what shutil does with a device is none of ours."""
    for path in (src, dst):
        try:
            mode = os.stat(path).st_mode
        except OSError:  # shutil words it
            return
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            reason = f"{why}, and this is a device"
            raise from_core(errno.EOPNOTSUPP, "COPY_E_UNSUPPORTED", None, engine, 0, "both", reason, src, dst)


def _is_symlink(path: Any) -> bool:
    """What is no path at all is refused later, after the audit event."""
    try:
        return path.is_symlink() if isinstance(path, os.DirEntry) else os.path.islink(path)
    except TypeError:
        return False


def _open_uncut(path: str, flags: int) -> int:
    """Open a destination that is cut to length after it was written over, not before: its blocks are kept."""
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def _open_uncut_to_read(path: str, flags: int) -> int:
    """The same for reading too, which a shared mapping needs, and a verification."""
    return _open_uncut(path, flags & ~os.O_ACCMODE | os.O_RDWR)


def _refuse_same_file(a: int, b: int, src: Any, dst: Any) -> None:
    """Once more on what is open, before the first write: a name may have been moved since."""
    if os.path.samestat(os.fstat(a), os.fstat(b)):
        raise SameFileError(f"{src!r} and {dst!r} are the same file")


# ---- into shutil ---------------------------------------------------------------------------------------

_OURS: dict[str, Any] = {"copyfile": copyfile, "copy": copy, "copy2": copy2, "copytree": copytree, "move": move}

_lock = allocate_lock()
_installed = 0  # how often, under the lock
_replaced: dict[str, Any] = {}  # what stood in shutil before the first


def install() -> None:
    """Put fastcopy's functions into `shutil`, for the whole process, until `uninstall()` is called as often.

    Whoever wrote `from shutil import copyfile` before keeps the function that he has.

    >>> import fastcopy, shutil
    >>> fastcopy.install()
    >>> shutil.copyfile is fastcopy.copyfile
    True
    >>> fastcopy.uninstall()
    """
    global _installed
    with _lock:
        if _installed == 0:
            for name, ours in _OURS.items():
                _replaced[name] = getattr(shutil, name)
                setattr(shutil, name, ours)
        _installed += 1


def uninstall() -> None:
    """Undo one `install()`; the last one puts back what stood in `shutil` before the first.

    What somebody else has replaced in the meantime is left to him. If he calls on to what he found there, he goes on
    copying through fastcopy, which works whether it is installed or not.

    >>> import fastcopy
    >>> fastcopy.uninstall()
    Traceback (most recent call last):
    RuntimeError: fastcopy.uninstall() without install()
    """
    global _installed
    with _lock:
        if _installed == 0:
            raise RuntimeError("fastcopy.uninstall() without install()")
        _installed -= 1
        if _installed == 0:
            for name, before in _replaced.items():
                if getattr(shutil, name) is _OURS[name]:
                    setattr(shutil, name, before)
            _replaced.clear()


class _Patched:
    """What `patched()` returns. It counts its own entries nowhere: `install` does, for the process."""

    def __enter__(self) -> None:
        install()

    def __exit__(self, *exc_info: object) -> None:
        uninstall()


def patched() -> AbstractContextManager[None]:
    """`install()` for the time of a `with` block, and for the whole process, other threads included.

    >>> import fastcopy, shutil
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"x" * 1000)
    >>> with fastcopy.patched():
    ...     shutil.copyfile("a.bin", "b.bin")
    'b.bin'
    """
    return _Patched()
