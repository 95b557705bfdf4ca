"""Looks at what a copy leaves behind: in the filesystem, and in this process."""

import ctypes
import mmap
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sanitized() -> bool:
    """Whether this is the address-sanitizer build, which keeps freed memory for a while."""
    return "libasan" in Path("/proc/self/maps").read_text()


def unpublished(directory: Path) -> list[str]:
    """The temporary files that a transfer into `directory` left."""
    return sorted(name for name in os.listdir(directory) if name.startswith(".fastcopy-"))


def descriptors() -> set[tuple[int, str]]:
    """Every open descriptor and what it stands for."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that listed the directory
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return found


def threads() -> set[int]:
    """Every thread of the process, Python's or not."""
    return {int(name) for name in os.listdir("/proc/self/task")}


def private_bytes() -> int:
    """Anonymous memory of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Anonymous line")


def mapped_files(directory: Path) -> list[str]:
    """Files of that directory that are still mapped."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if f"{directory}/" in line]


@contextmanager
def nothing_leaked(directory: Path, may_leave_file: bool = False) -> Iterator[None]:
    """The block leaves no descriptor, no thread, no mapping and no unpublished file."""
    before, threads_before = descriptors(), threads()
    yield
    leaked = descriptors() - before
    assert not leaked, f"descriptors left open: {leaked}"
    # A joined thread can stay listed for a moment after the join.
    for _ in range(1000):
        if threads() <= threads_before:
            break
        threading.Event().wait(0.001)
    assert threads() <= threads_before, "a thread of the copy lives on"
    assert not mapped_files(directory)
    left = unpublished(directory)
    for name in left:
        (directory / name).unlink()
    assert may_leave_file or not left, f"unpublished files left: {left}"


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory that two ways of copying must agree on."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(directory.rglob("*")):
        st = path.lstat()
        name = str(path.relative_to(directory))
        first = inodes.setdefault(st.st_ino, name)  # says which names are one file
        content: object = None
        if stat.S_ISLNK(st.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(st.st_mode):
            content = read_anyway(path)
        found[name] = (stat.filemode(st.st_mode), st.st_nlink, first, content)
    return found


def read_anyway(path: Path) -> bytes:
    """The content, also of a file without read permission (of our own)."""
    try:
        return path.read_bytes()
    except PermissionError:
        mode = path.stat().st_mode
        path.chmod(0o600)
        try:
            return path.read_bytes()
        finally:
            path.chmod(stat.S_IMODE(mode))


def stored_bytes(path: Path) -> int:
    """What the file owns on its medium."""
    return path.stat().st_blocks * 512


def resident(path: Path) -> int:
    """Bytes of the file in the page cache, by mincore."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    with path.open("rb") as f:
        size = os.fstat(f.fileno()).st_size
        at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, f.fileno(), 0)
        pages = ctypes.create_string_buffer((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE)
        assert libc.mincore(at, size, pages) == 0
        libc.munmap(at, size)
    return sum(byte & 1 for byte in pages.raw) * mmap.PAGESIZE


def notes(error: BaseException) -> str:
    """What was added to an error; before Python 3.11 there was no place for it."""
    return "\n".join(getattr(error, "__notes__", ()))


HAVE_NOTES = sys.version_info >= (3, 11)
