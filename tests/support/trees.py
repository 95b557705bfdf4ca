"""Trees to copy, and what two of them must agree on."""

import os
import random
import stat
from pathlib import Path

AWKWARD = [bytes([byte]) * 3 for byte in range(1, 256) if byte != ord("/")]


def state(root: Path, times: bool = True) -> dict[bytes, tuple[object, ...]]:
    """Everything below `root` that a copy keeps: kinds, modes, times, contents, and which names are one file."""
    found: dict[bytes, tuple[object, ...]] = {}
    firsts: dict[int, bytes] = {}

    def look(path: bytes, name: bytes) -> None:
        st = os.lstat(path)
        content: object = None
        if stat.S_ISLNK(st.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(st.st_mode):
            content = Path(os.fsdecode(path)).read_bytes()
        first = firsts.setdefault(st.st_ino, name) if not stat.S_ISDIR(st.st_mode) else None
        found[name] = (stat.filemode(st.st_mode), st.st_mtime_ns if times else None, content, first)

    top = os.fsencode(root)
    look(top, b"")
    for directory, directories, files in os.walk(top):
        directories.sort()  # which name is the first of its file is not to depend on where it lies
        for name in sorted(directories + files):
            path = os.path.join(directory, name)
            look(path, os.path.relpath(path, top))
    return dict(sorted(found.items()))


def make_tree(root: Path, dice: random.Random, entries: int = 60, links: bool = True) -> None:
    """A tree of everything, with chance in it."""
    root.mkdir()
    directories, files = [root], []
    for i in range(entries):
        where = dice.choice(directories)
        path = where / f"{dice.choice(['a', 'b.o', 'c d', 'é'])}{i}"
        kind = dice.choice(["file"] * 6 + ["empty", "directory", "directory", "symlink", "link", "large"])
        if kind == "directory":
            path.mkdir()
            directories.append(path)
        elif kind == "symlink":
            path.symlink_to(dice.choice(["nowhere", "..", "/", f"b.o{i - 1}"]))
        elif kind == "link" and links and files:
            os.link(dice.choice(files), path)
        else:
            size = {"empty": 0, "large": 700_000}.get(kind, dice.randrange(1, 30_000))
            path.write_bytes(dice.randbytes(size))
            path.chmod(dice.choice([0o644, 0o600, 0o755, 0o444, 0o4755]))
            files.append(path)
    for path in reversed(directories):
        os.utime(path, ns=(dice.randrange(10**18), dice.randrange(10**18)))
        path.chmod(dice.choice([0o755, 0o700, 0o555, 0o2755]))
    for path in files:
        os.utime(path, ns=(dice.randrange(10**18), dice.randrange(10**18)))
