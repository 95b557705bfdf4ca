"""The numbers that `fastcopy calibrate` measured: where they are kept, and for which filesystem each holds.

They are read once a process, at the first copy that could use them. What identifies a filesystem here:

- its root (`where`), type and source, as the table of mounts has them: "/data", "ext4", "/dev/sda1";
- for a local one also the id that `statvfs` gives, which most filesystems make from their UUID: another disk mounted
  at the same place is another filesystem. A network one is never asked, for a server that is gone would hold up a
  process that never meant to go there;
- the machine's CPUs, for a home directory may be shared by unlike machines.

All of it must be as it was, or the built-in numbers are used. From then on the device number decides, as the copy's own
look at both ends finds it: no further system call. Numbers hold for copies within one filesystem, for that is where
they were measured. The worst that a wrong entry can do is to make a copy slower.
"""

from __future__ import annotations

import os

from . import _core, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["file", "identity", "present", "processor", "read", "save", "tuning"]

FORMAT = "fastcopy calibration"
VERSION = 1
_MOST = 1 << 20  # characters of the file: no calibration is that long

_KIB, _GIB = 1 << 10, 1 << 30
_MAX_SIZE = 1 << 62
_WORKERS = (1, 4096, 1)
_CHUNK = (4 * _KIB, _GIB, 4 * _KIB)
# The numbers that may be there: from, to, a multiple of. As in `Options`, where there is such an option.
_ALLOWED = {
    "one_copy_below": (1, _MAX_SIZE, 1),
    "chunk": _CHUNK,
    "chunk_network": _CHUNK,
    "max_workers": _WORKERS,
    "network_workers": _WORKERS,
}
_IDENTITY = ("where", "type", "source", "fsid", "cpu", "cpus")

BUILT_IN = _core.Tuning()
_known: _core.Tuning | None = None  # two threads that look at once find the same


def file() -> str:
    """The name of the file, whether it is there or not."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the specification: a relative one is to be ignored
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "fastcopy", "calibration.json")


def tuning() -> _core.Tuning:
    """The numbers for this process. A file that is not what it should be is ignored, with one warning."""
    global _known
    if _known is None:
        path, _known = file(), BUILT_IN
        try:
            _known = _core.Tuning((device, entry["numbers"]) for device, entry in present(read(path)))
        except (OSError, ValueError) as error:
            import warnings

            warnings.warn(f"the calibration {path!r} is ignored: {error}", RuntimeWarning, stacklevel=2)
    return _known


# ---- the file ------------------------------------------------------------------------------------------


def read(path: str) -> list[dict[str, Any]]:
    """Its entries, one a filesystem; none if there is no such file. ValueError: it is not ours."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read(_MOST)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        if os.path.lexists(path):
            raise
        return []  # the home of somebody else, as daemons have it
    import json

    document = _table(json.loads(text), "it is no table")
    if document.get("format") != FORMAT:
        raise ValueError(f"it does not begin as a {FORMAT} does")
    if document.get("version") != VERSION:
        raise ValueError(f"its version is {document.get('version')!r}, and {VERSION} is known")
    if type(document.get("filesystems")) is not list:
        raise ValueError("it has no list of filesystems")
    return [_checked(entry) for entry in document["filesystems"]]


def save(path: str, entry: dict[str, Any]) -> None:
    """Put an entry into the file, in place of the one for the same filesystem. ValueError: the file is not ours."""
    import json

    from .unpublished import unpublished

    _checked(entry)
    others = [other for other in read(path) if any(other[name] != entry[name] for name in _IDENTITY)]
    document = {"format": FORMAT, "version": VERSION, "filesystems": [*others, entry]}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with unpublished(path) as name, open(name, "x", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2)
        stream.write("\n")


def _checked(value: Any) -> dict[str, Any]:
    entry = _table(value, "an entry is no table")
    if missing := [name for name in (*_IDENTITY, "local", "numbers") if name not in entry]:
        raise ValueError(f"an entry does not say {missing[0]!r}")
    for name, number in _table(entry["numbers"], "the numbers are no table").items():
        low, high, multiple = _ALLOWED.get(name, (1, 0, 1))
        if type(number) is not int or not low <= number <= high or number % multiple:
            raise ValueError(f"{name} = {number!r} is no number of the dispatcher")
    return entry


def _table(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(otherwise)
    table: dict[str, Any] = {}
    table |= value
    return table


# ---- which filesystem ----------------------------------------------------------------------------------


def identity(directory: str, local: bool) -> dict[str, Any]:
    """What identifies the filesystem of a directory, and the machine."""
    where = _root(os.path.realpath(directory))
    mount = mounts.mount_of(where)
    if mount is None:
        raise OSError(f"the table of mounts does not show where {directory!r} is mounted")
    return {
        "where": where,
        "type": mount.type,
        "source": mount.source,
        "fsid": _fsid(where) if local else None,
        "cpu": processor(),
        "cpus": os.cpu_count(),
        "local": local,
    }


def present(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of the entries, those whose filesystem is here and mounted as it was: its device, and the entry."""
    for entry in entries:
        if not entry["numbers"]:
            continue  # measured, and nothing was better than what is built in
        mount = mounts.mount_of(entry["where"])
        if mount is None or (mount.type, mount.source) != (entry["type"], entry["source"]):
            continue
        if (processor(), os.cpu_count()) != (entry["cpu"], entry["cpus"]):
            continue
        if not entry["local"]:
            yield mount.device, entry
            continue
        try:
            if _fsid(entry["where"]) == entry["fsid"]:
                # Of a subvolume of Btrfs, the table of mounts does not tell the device.
                yield os.stat(entry["where"]).st_dev, entry
        except FileNotFoundError:  # that subvolume is gone
            continue


def _root(directory: str) -> str:
    """The highest directory above this one that is on the same device: a mount point, or the root of a subvolume."""
    device = os.stat(directory).st_dev
    while (parent := os.path.dirname(directory)) != directory and os.stat(parent).st_dev == device:
        directory = parent
    return directory


def _fsid(directory: str) -> str:
    return f"{os.statvfs(directory).f_fsid:x}"


def processor() -> str:
    """The model, from the first lines of the list: reading all of it takes long on large machines."""
    with open("/proc/cpuinfo", encoding="utf-8") as listing:
        for line in listing.read(4096).splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return os.uname().machine
