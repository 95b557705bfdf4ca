"""What goes wrong, in one line: what, which path, why, and what to do."""

from __future__ import annotations

import errno
import os
import re

__all__ = ["advice", "name", "of_error", "reason", "symbol", "where"]

_BY_CODE = {
    "COPY_E_NOSPACE": "free some space there, or copy to another filesystem",
    "COPY_E_UNSUPPORTED": "leave out the engine, --reflink=always or --verify=media to let fastcopy choose",
    "COPY_E_SOURCE_CHANGED": "copy it again when nothing writes to it any more",
    "COPY_E_SAME_FILE": "name another destination",
    "VERIFY_E_MISMATCH": "the destination is what it was before; copy it again, and if this comes back, suspect "
    "memory, cable or disk",
    "FINALIZE_E_METADATA": "leave out -p, -a or that word of --preserve if it need not be kept",
}

_BY_ERRNO = {
    errno.ENOENT: "check the name",
    errno.EACCES: "check the permissions, or run it as somebody who may",
    errno.EPERM: "run it as somebody who may",
    errno.ENOSPC: _BY_CODE["COPY_E_NOSPACE"],
    errno.EDQUOT: "free some of your quota, or copy to another filesystem",
    errno.EROFS: "that filesystem is mounted read-only; choose another",
    errno.ENOTDIR: "something in that path is no directory; check the name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "symlinks lead in a circle; check where they lead",
    errno.EIO: "the device failed; look at `dmesg`, and copy from a backup",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.EFBIG: "that filesystem, or `ulimit -f`, takes no file as large",
}


def name(path: str | bytes) -> str:
    """A path in quotes, with whatever cannot be printed escaped.

    >>> name(b"a\\xff.bin")
    "'a\\\\udcff.bin'"
    """
    return repr(os.fsdecode(path))


def reason(error: OSError) -> str:
    """Why, in words; without the number, and without the names."""
    return str(error.strerror or (error.args[-1] if error.args else type(error).__name__))


def symbol(error: OSError) -> str | None:
    """The name of the errno.

    >>> symbol(OSError(2, ""))
    'ENOENT'
    """
    return errno.errorcode.get(error.errno or 0)


_AT = re.compile(r"\boperation=(\w+) .*\bat=(source|destination)\b")


def where(error: OSError) -> str:
    """Of a missing right: at which end, and doing what, as the error's note has it."""
    notes: list[str] = getattr(error, "__notes__", []) if isinstance(error, PermissionError) else []
    found = next(filter(None, map(_AT.search, notes)), None)
    return f": {found[1]} of the {found[2]}" if found else ""


def advice(error: OSError) -> str:
    """What to do about it; empty where nobody can tell."""
    if error.errno == errno.ENOENT and os.stat(".").st_nlink == 0:
        return "the directory that you are in was removed; go to another"
    code = getattr(error, "code", None)
    return _BY_CODE.get(code or "", _BY_ERRNO.get(error.errno or 0, ""))


def of_error(error: OSError) -> str:
    """One line for an error that comes from somewhere: the path, why, what to do."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    what = advice(error) if getattr(error, "code", None) else ""
    return f"{where}{reason(error)}{f' ({what})' if what else ''}"
