"""The table of mounts of this process. Reading it touches no filesystem, so none can hold it up."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Mount", "mount_of"]


class Mount:
    """One row: where, what kind of filesystem, from what, how."""

    __slots__ = ("device", "options", "point", "source", "type")

    def __init__(self, line: str) -> None:
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, _, after = line.rstrip("\n").partition(" - ")
        _, _, device, _, point, mounted, *_ = before.split(" ")
        self.type, source, filesystem = after.split(" ", 2)
        self.point, self.source = _unescaped(point), _unescaped(source)
        major, minor = device.split(":")
        self.device = os.makedev(int(major), int(minor))  # of Btrfs, not the one that stat tells
        self.options = ",".join(dict.fromkeys((*mounted.split(","), *filesystem.split(","))))


def mount_of(directory: str) -> Mount | None:
    """The mount that shows this directory, a real path: the deepest, and of several at one place the last."""
    found = None
    for mount in _mounts():
        covers = (directory + "/").startswith(mount.point.rstrip("/") + "/")
        if covers and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _mounts() -> Iterator[Mount]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        yield from map(Mount, table)


def _unescaped(word: str) -> str:
    """The table writes blanks and backslashes as octal numbers."""
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(octal, character)
    return word
