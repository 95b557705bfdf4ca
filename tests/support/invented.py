"""Facts that no machine at hand has, for the dispatcher."""

from typing import Any

from fastcopy import _core

GIB = 1 << 30


def end(fs: str = "ext4", **more: Any) -> dict[str, Any]:
    """One end of a copy; what is not said is what a plain file on a plain disk has."""
    facts: dict[str, Any] = {
        "fs": fs,
        "dev": 1,
        "ino": 1,
        "size": 0,
        "mode": 0o100644,
        "uid": 0,
        "gid": 0,
        "allocated": 0,
        "exists": False,
        "rotational": False,
        "free_bytes": 2**64 - 1,
        "dio_memory": 512,
        "dio_offset": 512,
    }
    return facts | more


def facts(
    src: str = "ext4",
    dst: str = "ext4",
    size: int = GIB,
    *,
    one_mount: bool = True,
    cpus: int = 8,
    memory: int = 64 * GIB,
    resident: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A source of `size` bytes, all of it in memory unless said otherwise, and a new destination."""
    there = {"src": {}, "dst": {}} | {key: more.pop(key) for key in ("src_more", "dst_more") if key in more}
    return {
        "src": end(src, size=size, allocated=size, exists=True, ino=2, **there.get("src_more", {})),
        "dst": end(dst, dev=1 if one_mount else 2, mode=0o40755, **there.get("dst_more", {})),
        "machine": {"cpus": cpus, "memory_available": memory, "kernel": 0x0612},
        "looked_at_machine": True,
        "resident": size if resident is None else resident,
        "dirty": 0,
        "data_bytes": size,
    } | more


BUILT_IN = _core.Tuning()


def choice(invented: dict[str, Any], tuning: _core.Tuning = BUILT_IN, **options: Any) -> dict[str, Any]:
    """What the dispatcher makes of it."""
    return _core.plan_from_facts(invented, _core.Options(**options), tuning)
