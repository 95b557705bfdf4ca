"""One table of file shapes: every size at which some border lies, holes, and files that are not at rest."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20

# Small regions and windows bring many borders into a small file.
MANY_REGIONS: Mapping[str, object] = {
    "workers": 3,
    "parallel_threshold": 64 * KIB,
    "min_region": 64 * KIB,
    "split_depth": 6,
    "window": 64 * KIB,
}
SMALL_CHUNKS: Mapping[str, object] = {"chunk": 64 * KIB, "workers": 1, "split_depth": 0}


@dataclass(frozen=True)
class Shape:
    """A source: how long it is, where it has data, and what befalls it while it is copied."""

    name: str
    size: int
    data: tuple[tuple[int, int], ...] | None = None  # (start, end) of what is no hole; None: all of it
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    disturbed: str = ""  # "grows" | "shrinks", when the first progress is reported
    pseudo: str = ""  # a file of the kernel's that is there already, and whose size says nothing

    def __str__(self) -> str:
        return self.name

    @cached_property
    def content(self) -> bytes:
        """What the copy must hold."""
        if self.pseudo:
            return Path(self.pseudo).read_bytes()
        noise = random.Random(self.name).randbytes(self.size)
        if self.data is None:
            return noise
        whole = bytearray(self.size)
        for start, end in self.data:
            whole[start:end] = noise[start:end]
        return bytes(whole)

    @property
    def hole_bytes(self) -> int:
        """How much of it need not be stored."""
        if self.data is None:
            return 0
        return self.size - sum(end - start for start, end in self.data)

    def build(self, path: Path) -> Path:
        """The source, made at `path` where it is not there by itself."""
        if self.pseudo:
            return Path(self.pseudo)
        with path.open("wb") as f:
            for start, end in self.data if self.data is not None else [(0, self.size)]:
                f.seek(start)
                f.write(self.content[start:end])
            f.truncate(self.size)
        return path

    def disturb(self, path: Path) -> None:
        """What another process does to the source meanwhile."""
        if self.disturbed == "grows":
            with path.open("ab") as f:
                f.write(b"more" * 10_000)
        elif self.disturbed == "shrinks":
            os.truncate(path, self.size // 3)


def blocks(size: int, step: int) -> tuple[tuple[int, int], ...]:
    """Data and holes in turn."""
    return tuple((at, min(at + step, size)) for at in range(0, size, 2 * step))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("empty", 0),
        Shape("one-byte", 1),
        *(
            Shape(f"{name}{step:+d}" if step else name, size + step)
            for name, size in (
                ("page", 4 * KIB),  # also what O_DIRECT aligns to, at most
                ("64KiB", 64 * KIB),
                ("256KiB", 256 * KIB),
                ("1MiB", MIB),
                ("2MiB", 2 * MIB),  # to which the inner borders of regions are rounded
                ("8MiB", 8 * MIB),  # min_region
            )
            for step in (-1, 0, 1)
        ),
        Shape("sector-1", 3 * MIB + 511),
        Shape("sector+1", 3 * MIB + 513),
        Shape("17MiB+odd", 17 * MIB + 12_345),  # at the defaults: two regions, several chunks
        Shape("chunk-1", 5 * 64 * KIB - 1, options=SMALL_CHUNKS),
        Shape("chunk", 5 * 64 * KIB, options=SMALL_CHUNKS),
        Shape("chunk+1", 5 * 64 * KIB + 1, options=SMALL_CHUNKS),
        Shape("regions-1", 32 * 64 * KIB - 1, options=MANY_REGIONS),
        Shape("regions", 32 * 64 * KIB, options=MANY_REGIONS),
        Shape("regions+1", 32 * 64 * KIB + 1, options=MANY_REGIONS),
        Shape("regions-odd", 3 * MIB + 4097, options=MANY_REGIONS),
        Shape("hole-at-head", 4 * MIB, ((2 * MIB, 4 * MIB),)),
        Shape("hole-inside", 6 * MIB, ((0, MIB + 1), (4 * MIB, 6 * MIB))),
        Shape("hole-at-tail", 4 * MIB + 77, ((0, MIB),)),
        Shape("all-hole", 8 * MIB + 5, ()),
        Shape("small-all-hole", 100 * KIB, ()),
        Shape("small-hole-inside", 192 * KIB, ((0, 64 * KIB), (128 * KIB, 192 * KIB))),
        Shape("holes-in-turn", 6 * MIB + 100, blocks(6 * MIB + 100, 256 * KIB)),
        Shape("holes-in-regions", 4 * MIB + 9, blocks(4 * MIB + 9, 192 * KIB), MANY_REGIONS),
        Shape("hole-but-last-byte", 4 * MIB, ((4 * MIB - 1, 4 * MIB),), MANY_REGIONS),
        Shape("pseudo-without-size", 0, pseudo="/proc/filesystems"),
        Shape("pseudo-of-one-page", 0, pseudo="/sys/devices/system/cpu/online"),
        Shape("grows", MIB + 3, disturbed="grows"),
        Shape("grows-in-regions", 2 * MIB + 3, options=MANY_REGIONS, disturbed="grows"),
        Shape("shrinks", MIB + 3, disturbed="shrinks"),
        Shape("shrinks-in-regions", 2 * MIB + 3, options=MANY_REGIONS, disturbed="shrinks"),
    )
}


@cache
def noise(size: int, seed: str = "noise") -> bytes:
    """Bytes that no other seed gives."""
    return random.Random(seed).randbytes(size)
