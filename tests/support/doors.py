"""The ways into fastcopy by which every engine, shape and filesystem is walked."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import fastcopy
from support.shapes import Shape, noise

NEW, SHORTER, LONGER = "new", "shorter", "longer"


@dataclass(frozen=True)
class Door:
    """One call of the public interface, and what stood at the destination before it."""

    name: str
    atomic: bool  # whether a failure leaves the old destination as it was
    before: str  # NEW | SHORTER | LONGER
    shutil: bool = False

    def __str__(self) -> str:
        return self.name

    def old_content(self, shape: Shape) -> bytes | None:
        """What is at the destination before; it shares no byte sequence with the source."""
        if self.before == NEW:
            return None
        size = max(shape.size // 2, 1) if self.before == SHORTER else shape.size + 70_001
        return noise(size, "old")

    def carry(self, src: Path, dst: Path, **options: object) -> fastcopy.Report | None:
        """Copy through this door; only the transfer door has a report."""
        if self.shutil:
            assert fastcopy.copyfile(src, dst, **options) == dst
            return None
        return fastcopy.transfer(src, dst, atomic=self.atomic, **options)


DOORS = {
    door.name: door
    for door in (
        Door("transfer-new", True, NEW),
        Door("transfer-replaces", True, LONGER),
        Door("transfer-in-place-new", False, NEW),
        Door("transfer-in-place-shorter", False, SHORTER),
        Door("transfer-in-place-longer", False, LONGER),
        Door("copyfile-new", False, NEW, shutil=True),
        Door("copyfile-shorter", False, SHORTER, shutil=True),
        Door("copyfile-longer", False, LONGER, shutil=True),
    )
}


@dataclass(frozen=True)
class Destination:
    """A destination as it was before the copy, with a second hard link to tell who was written to."""

    path: Path
    link: Path
    old: bytes | None
    inode: int

    @classmethod
    def prepare(cls, path: Path, old: bytes | None) -> "Destination":
        link = path.with_name(path.name + ".link")
        if old is None:
            return cls(path, link, None, 0)
        path.write_bytes(old)
        path.chmod(0o640)
        os.link(path, link)
        return cls(path, link, old, path.stat().st_ino)

    def untouched(self) -> bool:
        """Everything is as it was before."""
        if self.old is None:
            return not os.path.lexists(self.path)
        return self.path.stat().st_ino == self.inode and self.path.read_bytes() == self.old

    def check_kept(self, door: Door) -> None:
        """The inode, hard link and mode of what was written through; else the old file lives on elsewhere."""
        if self.old is None:
            return
        if not door.atomic:
            st = self.path.stat()
            assert st.st_ino == self.inode
            assert st.st_nlink == 2
            if door.shutil:  # the transfer door gives it the mode of the source
                assert stat.S_IMODE(st.st_mode) == 0o640
        else:
            assert self.path.stat().st_ino != self.inode
            assert self.link.read_bytes() == self.old
