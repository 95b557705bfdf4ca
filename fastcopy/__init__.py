"""fastcopy: copy files as fast as the machine allows, say which way was chosen and why.

The shutil door (`copyfile`, `copy`, `copy2`, `copytree`, `move`) keeps shutil's contract; the transfer door
(`transfer`, `plan`) publishes the copy whole or not at all and reports what was done.
"""

from __future__ import annotations

try:
    from . import _core as _core
except ImportError as _error:
    raise ImportError(
        "fastcopy's compiled core (fastcopy._core) cannot be imported; it is built for one Python version, on Linux. "
        "In fastcopy's source folder, run `pip install .` with this interpreter, then start it in another folder. "
        f"The reason given: {_error}",
        name=_error.name,
        path=_error.path,
    ) from _error

from .errors import CopyError, SameFileError, SpecialFileError, VerifyError
from .shutil_door import copy, copy2, copyfile, copytree, install, move, patched, uninstall

# To a type checker this is typing.TYPE_CHECKING; importing typing for it would take longer than all of the above.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .manifests import CheckFailure, check, checksum_tree
    from .options import Options
    from .progress import Progress
    from .reading import compare, hash_file
    from .transfer_door import (
        Attempt,
        Capabilities,
        Capability,
        Plan,
        Report,
        capabilities,
        engines,
        plan,
        transfer,
    )
    from .tree_door import Entry, EntryError, TreeError, TreePlan

__version__ = "0.1.0"

__all__ = [
    # the transfer door
    "transfer",
    "plan",
    "Plan",
    "Report",
    "Attempt",
    "TreePlan",
    "Entry",
    "EntryError",
    "Options",
    "Progress",
    "engines",
    "capabilities",
    "Capabilities",
    "Capability",
    # what was copied, checked
    "hash_file",
    "compare",
    "checksum_tree",
    "check",
    "CheckFailure",
    # the shutil door
    "copyfile",
    "copy",
    "copy2",
    "copytree",
    "move",
    "patched",
    "install",
    "uninstall",
    # what goes wrong
    "CopyError",
    "VerifyError",
    "TreeError",
    "SameFileError",
    "SpecialFileError",
]

# What is imported when it is first asked for: the transfer door needs dataclasses and logging, the shutil door not.
_LAZY = {
    "Options": "options",
    "Progress": "progress",
    **dict.fromkeys(("compare", "hash_file"), "reading"),
    **dict.fromkeys(("CheckFailure", "check", "checksum_tree"), "manifests"),
    **dict.fromkeys(
        (
            "Attempt",
            "Capabilities",
            "Capability",
            "Plan",
            "Report",
            "capabilities",
            "engines",
            "plan",
            "transfer",
        ),
        "transfer_door",
    ),
    **dict.fromkeys(("Entry", "EntryError", "TreeError", "TreePlan"), "tree_door"),
}


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
