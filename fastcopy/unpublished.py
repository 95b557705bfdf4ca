"""What gets its name when it is whole: made under another, and renamed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["unpublished"]


@contextmanager
def unpublished(path: str, *, fresh: bool = False) -> Generator[str]:
    """A name beside `path`. What is made under it becomes `path` if all goes well, and is removed if not.

    `fresh`: it replaces nothing, not even what came meanwhile, which is a FileExistsError.
    """
    name = os.path.join(os.path.dirname(path), f".fastcopy-{os.urandom(8).hex()}")
    try:
        yield name
        if fresh:
            os.link(name, path, follow_symlinks=False)
        else:
            os.rename(name, path)
    finally:
        if os.path.lexists(name):
            os.unlink(name)
