"""Being somebody without root's rights for a while."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def nobody_in(directory: Path) -> Iterator[None]:
    """The working directory becomes `directory`, and root becomes nobody there: use relative names."""
    before = os.getcwd()
    root = os.geteuid() == 0
    if root:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.chdir(directory)
    groups = os.getgroups()
    try:
        if root:
            os.setgroups([])
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
        os.chdir(before)
