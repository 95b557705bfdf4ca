"""Fresh filesystems to measure on, in image files. As root; nothing of them is left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

GIB = 1 << 30

MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "xfs-noreflink": ("mkfs.xfs", "-q", "-f", "-m", "reflink=0"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
MEMORY = Path("/dev/shm")


class NotHereError(Exception):
    """Why this filesystem cannot be had on this machine."""


@contextlib.contextmanager
def filesystem(name: str, work: Path, size: int = 4 * GIB) -> Iterator[Path]:
    """A directory on a filesystem of that kind. "here" is `work` itself."""
    if name == "here":
        yield work
    elif name == "tmpfs":
        if not MEMORY.is_dir():
            raise NotHereError(f"there is no {MEMORY}")
        with tempfile.TemporaryDirectory(prefix="fastcopy-bench-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        with _mounted(MAKE[name], work, size) as point:
            yield point


@contextlib.contextmanager
def _mounted(make: tuple[str, ...], work: Path, size: int) -> Iterator[Path]:
    if os.geteuid() != 0:
        raise NotHereError("mounting filesystems needs root")
    for tool in (make[0], "losetup", "mount"):
        if shutil.which(tool) is None:
            raise NotHereError(f"{tool} is not on the PATH")
    with tempfile.TemporaryDirectory(prefix="image-", dir=work) as folder, contextlib.ExitStack() as undo:
        image, point = Path(folder, "image"), Path(folder, "mounted")
        with image.open("wb") as stream:
            stream.truncate(size)
        point.mkdir()
        _run(*make, str(image))
        # What undoes it is noted first, and looks whether there is something to undo: a signal may come in between.
        undo.callback(_detach, image)
        # Directly, or every byte would be in the page cache twice.
        device = _run("losetup", "--find", "--show", "--direct-io=on", str(image)).strip()
        undo.callback(_unmount, point)
        _run("mount", device, str(point))
        yield point


def _detach(image: Path) -> None:
    for device in _run("losetup", "--noheadings", "--output", "NAME", "--associated", str(image)).split():
        _run("losetup", "--detach", device)


def _unmount(point: Path) -> None:
    if os.path.ismount(point):
        _run("umount", str(point))


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        raise NotHereError(f"{' '.join(command)}: {error.stderr.strip() or error.returncode}") from error
