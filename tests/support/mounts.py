"""The filesystems under test, each mounted from an image on its first use, once a session."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.settings import unavailable

MIB = 1 << 20
SIZE = 512 * MIB  # mkfs.xfs refuses less than 300 MiB

CLONE_NEWNS = 0x00020000
FICLONE = 0x40049409


@dataclass(frozen=True)
class Filesystem:
    """One row of the table: what a filesystem is made with, and what cannot be had on it."""

    name: str
    mkfs: tuple[str, ...] = ()
    refuses: frozenset[str] = frozenset()  # the engines that cannot run there, so a named one must raise


FILESYSTEMS = {
    fs.name: fs
    for fs in (
        Filesystem("ext4", ("mkfs.ext4", "-q", "-F", "-m", "0"), frozenset({"clone"})),
        Filesystem("xfs", ("mkfs.xfs", "-q", "-f", "-m", "reflink=1")),
        Filesystem("xfs-noreflink", ("mkfs.xfs", "-q", "-f", "-m", "reflink=0"), frozenset({"clone"})),
        Filesystem("btrfs", ("mkfs.btrfs", "-q", "-f")),
        Filesystem("tmpfs", (), frozenset({"clone", "direct"})),
        # Over an ext4 below, so it can what ext4 can.
        Filesystem("overlay", ("mkfs.ext4", "-q", "-F", "-m", "0"), frozenset({"clone"})),
    )
}


def can_clone(directory: Path) -> bool:
    """Ask the kernel, past fastcopy, whether extents can be shared here."""
    a, b = directory / ".probe-a", directory / ".probe-b"
    try:
        a.write_bytes(b"x" * 4096)
        with a.open("rb") as src, b.open("wb") as dst:
            fcntl.ioctl(dst, FICLONE, src.fileno())
        return True
    except OSError:
        return False
    finally:
        a.unlink(missing_ok=True)
        b.unlink(missing_ok=True)


class Mounts:
    """Mounts on demand. Nothing outlives the process, even when it is killed.

    The mounts live in a mount namespace of this process, the images are unlinked as soon as they are
    mounted, and loop devices free themselves when their last user is gone.
    """

    def __init__(self) -> None:
        self._root: Path | None = None
        self._mounted: list[Path] = []
        self._ready: dict[str, Path] = {}
        self._broken: dict[str, str] = {}
        self._media: dict[str, int] = {}
        self._pid = os.getpid()

    def use(self, name: str) -> Path:
        """The root directory of the named filesystem."""
        if name in self._broken:
            unavailable(self._broken[name])
        if name not in self._ready:
            try:
                self._ready[name] = self._mount(FILESYSTEMS[name])
            except _NotHereError as e:
                self._broken[name] = str(e)
                unavailable(str(e))
        return self._ready[name]

    def small(self, name: str, size: int) -> Path:
        """Another filesystem of that kind, of its own and of the given size, for tests that fill it."""
        key = f"{name}-{size}"
        if key not in self._ready:
            try:
                self._ready[key] = self._mount(FILESYSTEMS[name], key, size)
            except _NotHereError as e:
                unavailable(str(e))
        return self._ready[key]

    def with_medium(self, name: str, size: int = SIZE) -> tuple[Path, int]:
        """Another filesystem of that kind, and a descriptor of the image that is its medium."""
        key = f"{name}-medium"
        if key not in self._ready:
            try:
                self._ready[key] = self._mount(FILESYSTEMS[name], key, size, keep_medium=True)
            except _NotHereError as e:
                unavailable(str(e))
        return self._ready[key], self._media[key]

    def bind(self, what: Path, where: Path) -> None:
        """A bind mount, undone with the others."""
        try:
            self._namespace()
            _run("mount", "--bind", str(what), str(where))
        except _NotHereError as e:
            unavailable(str(e))
        self._mounted.append(where)

    def close(self) -> None:
        """Unmount in reverse; anything still open is cut off only as a last resort."""
        if os.getpid() != self._pid:
            return  # a forked child must not undo what its parent uses
        while self._mounted:
            where = self._mounted.pop()
            if subprocess.run(("umount", str(where)), capture_output=True).returncode != 0:
                subprocess.run(("umount", "--lazy", str(where)), capture_output=True)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
        self._ready.clear()
        while self._media:
            os.close(self._media.popitem()[1])

    def _namespace(self) -> Path:
        if self._root is not None:
            return self._root
        if os.geteuid() != 0:
            raise _NotHereError("mounting filesystems needs root")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise _NotHereError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
        _run("mount", "--make-rprivate", "/")
        self._root = Path(tempfile.mkdtemp(prefix="fastcopy-tests-"))
        return self._root

    def _mount(self, fs: Filesystem, key: str = "", size: int = SIZE, keep_medium: bool = False) -> Path:
        for tool in (*fs.mkfs[:1], "mount", "umount"):
            if shutil.which(tool) is None:
                raise _NotHereError(f"{fs.name} needs {tool}")
        root = self._namespace() / (key or fs.name)
        where = root / "mnt"
        where.mkdir(parents=True)
        if not fs.mkfs:
            _run("mount", "-t", "tmpfs", "-o", f"size={size}", "fastcopy-tests", str(where))
            self._mounted.append(where)
            return where
        image = root / "image"
        try:
            with image.open("wb") as f:
                f.truncate(size)
            _run(*fs.mkfs, str(image))
            _run("mount", "-o", "loop", str(image), str(where))
            if keep_medium:
                self._media[key] = os.open(image, os.O_RDWR)
        finally:
            image.unlink(missing_ok=True)
        self._mounted.append(where)
        if fs.name != "overlay":
            return where
        for part in ("lower", "upper", "work"):
            (where / part).mkdir()
        merged = root / "merged"
        merged.mkdir()
        layers = f"lowerdir={where}/lower,upperdir={where}/upper,workdir={where}/work"
        _run("mount", "-t", "overlay", "-o", layers, "fastcopy-tests", str(merged))
        self._mounted.append(merged)
        return merged


class _NotHereError(Exception):
    """Why a filesystem cannot be mounted on this machine."""


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as e:
        raise _NotHereError(f"{' '.join(command)}: {e.stderr.strip() or e.returncode}") from e


@contextlib.contextmanager
def filled(directory: Path, leave: int) -> Iterator[None]:
    """Inside the block about `leave` bytes are free, and not more."""
    filler = directory / "filler"

    def room() -> int:
        fs = os.statvfs(directory)
        return fs.f_bavail * fs.f_frsize - leave

    before = room()
    try:
        with filler.open("wb") as f:
            step = 8 * MIB
            while step >= 4096:
                try:
                    if room() >= step:
                        os.write(f.fileno(), b"\xff" * step)
                        continue
                except OSError:
                    pass  # what a filesystem calls free is not always to be had
                step //= 2
            os.fsync(f.fileno())
        yield
    finally:
        filler.unlink(missing_ok=True)
        subprocess.run(("sync", "-f", str(directory)), check=True)  # Btrfs frees when it commits
        for _ in range(200):  # and XFS in the background
            if room() > before // 2:
                break
            time.sleep(0.01)
