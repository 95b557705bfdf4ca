"""What is measured: data, one row a cell of the benchmark. `run.py` runs them, `ways.py` knows the groups of ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastcopy.measure import CacheState, File, Tree, Workload
from fastcopy.measure.workloads import size_text

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
KB, MB, GB = 10**3, 10**6, 10**9


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    what: Workload
    ways: str  # a group of ways.GROUPS
    where: str = "here"  # the directory that was given; or a filesystem of places.py
    cache: CacheState = "warm"
    existing: bool = False
    sync: bool = False
    verify: str = "none"
    seconds: float  # no copy begins later than that
    once: bool = False  # one round, and none before it that is thrown away: a copy takes too long for more
    quick: float = 0  # the same in `make bench-quick`; 0: not part of it
    headline: str = ""  # the claim of the field that it stands beside

    @property
    def title(self) -> str:
        words = [self.headline or self.what.title, self.cache]
        words += ["over an existing destination"] if self.existing else []
        words += ["with fsync"] if self.sync else []
        words += [f"verify={self.verify}"] if self.verify != "none" else []
        return ", ".join((*words, self.where))


SIZES = (0, 4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, GIB, 4 * GIB)
MIXED = Tree(((1000, KB), (100, MB), (10, 50 * MB), (1, GB)))
SMALL = Tree(((20_000, range(100, 20_001)),), directories=350)
SMALL_WORDS = "20,000 files of 0.1 to 20 KB in 350 directories"
QUICK_SIZES = {4 * KIB: 5, MIB: 6, 64 * MIB: 15}


def _name(size: int) -> str:
    return size_text(size).replace(" ", "")


def _ways(size: int, existing: bool) -> str:
    """A round is to fit in several times; over an existing file each copy costs another one before it."""
    if size > GIB:
        return "huge"
    return "large" if size >= (256 * MIB if existing else GIB) else "file"


def _seconds(size: int, existing: bool) -> float:
    if size >= 256 * MIB:
        return 90 if size > GIB else 60 if existing and size == GIB else 40 if size == GIB else 25 if existing else 12
    return 8 if size >= 4 * MIB else 5


def _all() -> tuple[Scenario, ...]:
    found: list[Scenario] = []
    for existing, kind in ((False, "new"), (True, "over")):
        found += [
            Scenario(
                name=f"size-{kind}-{_name(size)}",
                what=File(size),
                ways=_ways(size, existing),
                existing=existing,
                seconds=_seconds(size, existing),
                quick=QUICK_SIZES.get(size, 0),
            )
            for size in SIZES
        ]
    # One gibibyte in memory, to a new file.
    found += [
        Scenario(name=f"large-{where}", what=File(GIB), ways="large", where=where, seconds=32)
        for where in ("ext4", "xfs-noreflink", "btrfs", "tmpfs")
    ]
    # Small files where they are rewritten most.
    found += [
        Scenario(
            name=f"over-{_name(size)}-{where}", what=File(size), ways="file", where=where, existing=True, seconds=5
        )
        for where in ("ext4", "xfs", "xfs-noreflink")
        for size in (4 * KIB, 64 * KIB, MIB, 16 * MIB)
    ]
    found += [
        Scenario(name="small-tmpfs", what=File(4 * KIB), ways="small", where="tmpfs", seconds=6, quick=5),
        # Shared extents, against the bare ioctl.
        *(
            Scenario(
                name=f"clone-{where}",
                what=File(GIB),
                ways="clone",
                where=where,
                seconds=8,
                quick=8 if where == "xfs" else 0,
                headline="a clone of 1 GiB",
            )
            for where in ("xfs", "btrfs")
        ),
        # The medium: not in memory, and forced to it; against fio, which reads and writes at once.
        Scenario(
            name="cold-1GiB",
            what=File(GIB),
            ways="cold",
            cache="cold",
            sync=True,
            seconds=70,
            headline="1 GiB, to the medium",
        ),
        Scenario(name="cold-64MiB", what=File(64 * MIB), ways="cold", cache="cold", sync=True, seconds=25, quick=15),
        # The headlines of the field.
        Scenario(
            name="few-small",
            what=Tree(((1000, KB),)),
            ways="tree",
            seconds=15,
            quick=12,
            headline="1,000 files of 1 KB",
        ),
        Scenario(name="one-1GB", what=File(GB), ways="file", seconds=35, headline="one 1 GB file"),
        *(
            Scenario(
                name=f"zero-copy-{number}MB",
                what=File(number * MB),
                ways="zero-copy",
                seconds=10 + number * 0.02,
                quick=10 if number == 100 else 0,
                headline=f"zero-copy against buffered, {number} MB",
            )
            for number in (100, 1000)
        ),
        Scenario(
            name="depths",
            what=File(200 * MB),
            ways="depths",
            seconds=12,
            quick=10,
            headline="region depths 1 to 4, 200 MB",
        ),
        *(
            Scenario(
                name=f"verified-{level}",
                what=File(2 * GIB),
                ways="verified",
                verify=level,
                seconds=55,
                headline="a verified copy of 2 GiB",
            )
            for level in ("compare", "hash")
        ),
        *(
            Scenario(
                name=f"{group}-{where}",
                what=File(GIB),
                ways=group,
                where=where,
                seconds=14,
                headline=headline,
            )
            for group, headline in (("digest", "a digest of 1 GiB"), ("compare", "two equal files of 1 GiB"))
            for where in ("ext4", "tmpfs")
        ),
        Scenario(
            name="busy",
            what=File(GIB),
            ways="busy",
            where="ext4",
            verify="hash",
            seconds=15,
            headline="a verified copy of 1 GiB beside who never rests",
        ),
        Scenario(
            name="threads",
            what=Tree(((8, 64 * MIB),)),
            ways="threads",
            seconds=25,
            quick=15,
            headline="8 files of 64 MiB on 1 to N threads of Python",
        ),
        Scenario(
            name="counting",
            what=File(256 * MIB),
            ways="counting",
            where="tmpfs",
            seconds=12,
            quick=10,
            headline="a thread of Python that counts, beside a copy",
        ),
    ]
    return (*found, *_trees())


def _trees() -> tuple[Scenario, ...]:
    return (
        *(
            Scenario(
                name=f"mixed-{where}",
                what=MIXED,
                ways="tree",
                where=where,
                seconds=50,
                headline="the mixed set of 1,000 x 1 KB, 100 x 1 MB, 10 x 50 MB, 1 x 1 GB",
            )
            for where in ("tmpfs", "ext4")
        ),
        *(
            Scenario(
                name=f"tree-{where}",
                what=SMALL,
                ways="tree-small",
                where=where,
                seconds=45 if where == "tmpfs" else 60,
                headline=SMALL_WORDS,
            )
            for where in ("tmpfs", "ext4", "xfs")
        ),
        Scenario(
            name="tree-mode-tmpfs",
            what=SMALL,
            ways="tree-mode",
            where="tmpfs",
            seconds=30,
            headline=f"{SMALL_WORDS}, their mode alone kept",
        ),
        *(
            Scenario(
                name=f"tree-clone-{where}",
                what=SMALL,
                ways="tree-clone",
                where=where,
                seconds=35,
                headline=f"{SMALL_WORDS}, as clones",
            )
            for where in ("xfs", "btrfs")
        ),
        Scenario(
            name="tree-empty-tmpfs",
            what=Tree(((100_000, 0),), directories=1),
            ways="tree-small",
            where="tmpfs",
            seconds=85,
            headline="100,000 empty files in one directory",
        ),
        # Is the cost a straight line, and the memory a level one?
        *(
            Scenario(
                name=f"curve-{files}",
                what=Tree(((files, 0),), directories=max(1, files // 1000)),
                ways="curve",
                where="tmpfs",
                seconds=seconds,
                quick=2 if files <= 10_000 else 0,
                once=files == 1_000_000,
                headline=f"{files:,} empty files",
            )
            for files, seconds in ((1000, 3), (10_000, 5), (100_000, 20), (1_000_000, 75))
        ),
    )


SCENARIOS = _all()


def quick() -> tuple[Scenario, ...]:
    """The short run: fewer cells, less time for each."""
    return tuple(replace(s, seconds=s.quick) for s in SCENARIOS if s.quick)
