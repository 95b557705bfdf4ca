"""`shutil.copytree` by the tree engine: for what nobody watches from Python.

The engine copies; whatever it could not do as an ordinary copy is done once more by shutil's own loop, entry by
entry, so that there is one place where shutil's errors are worded and its odd cases are decided: shutil.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from . import _core, calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Options

__all__ = ["copytree"]

_ALL_ERRORS = 0xFFFFFFFF
# What copystat keeps; and, of attributes, what cannot be kept is no error to it.
_KEPT = frozenset({"mode", "times", "xattr"})
_REQUIRED = frozenset({"mode", "times"})


def copytree(
    src: Any,
    dst: Any,
    *,
    symlinks: bool,
    dirs_exist_ok: bool,
    copy_function: Callable[..., object],
    options: Options,
    again: Callable[..., Any],
) -> Any:
    """Copy the tree, and raise what `shutil.copytree` raises.

    `copy_function` copies a file again that the engine could not copy, `again` is shutil's copytree for a directory.
    """
    with os.scandir(src):
        pass  # as shutil: a source that is no directory is told before anything is made
    os.makedirs(dst, exist_ok=dirs_exist_ok)
    report = _run(src, dst, symlinks, options)
    failed = {path: operation for path, operation, *_ in reversed(report["errors"])}  # the first of each
    paths: list[Any] = list(failed) if isinstance(os.fspath(src), bytes) else [os.fsdecode(path) for path in failed]
    errors: list[Any] = []
    for path, operation in zip(paths, failed.values(), strict=True):
        if path or operation == "getdents":  # else only the metadata of the tree itself
            _once_more(src, dst, path, symlinks, copy_function, again, errors)
    # Making them once more has moved the times of the directories that they are in; "" is the tree itself.
    for directory in dict.fromkeys(os.path.dirname(path) for path in paths):
        try:
            shutil.copystat(_below(src, directory), _below(dst, directory))
        except OSError as error:
            errors.append((_below(src, directory), _below(dst, directory), str(error)))
    if errors:
        raise shutil.Error(errors)
    return dst


def _run(src: Any, dst: Any, symlinks: bool, options: Options) -> dict[str, Any]:
    from .progress import tree_conductor, watched_tree

    watch = tree_conductor(options.progress, options.cancel, src, dst)
    return watched_tree(
        watch,
        lambda tick: _core.tree(
            src,
            dst,
            options.to_core(atomic=False, preserve=_KEPT, required=_REQUIRED),
            calibration.tuning(),
            tick=tick,
            special="fail",
            follow=not symlinks,
            as_shutil=True,
            errors_kept=_ALL_ERRORS,
        ),
    )


def _once_more(
    src: str,
    dst: str,
    path: str,
    symlinks: bool,
    copy_function: Callable[..., object],
    again: Callable[..., Any],
    errors: list[Any],
) -> None:
    """The body of the loop of `shutil.copytree`, for one entry."""
    srcname, dstname = _below(src, path), _below(dst, path)
    try:
        if symlinks and os.path.islink(srcname):
            os.symlink(os.readlink(srcname), dstname)
            shutil.copystat(srcname, dstname, follow_symlinks=False)
        elif os.path.isdir(srcname):
            again(srcname, dstname, symlinks, None, copy_function, False, True)
        else:
            copy_function(srcname, dstname)
    except shutil.Error as error:
        errors.extend(error.args[0])
    except OSError as error:
        errors.append((srcname, dstname, str(error)))


def _below(root: Any, path: str) -> Any:
    return os.path.join(root, path) if path else root


def lies_inside(dst: Any, src: Any) -> bool:
    """Is `dst`, or will it be, `src` itself or in it? Then shutil's order of steps decides what is copied."""
    try:
        above, below = os.path.realpath(src), os.path.realpath(dst)
        return bool(os.path.commonpath([above, below]) == above)
    except (OSError, ValueError, TypeError):
        return True  # not names that we understand: shutil's affair
