"""Holes: kept, made and filled, as the option says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.shapes import KIB, MANY_REGIONS, MIB, noise
from support.state import stored_bytes

GIB = 1 << 30
MOVERS = [name for name in fastcopy.engines() if name != "clone"]  # those that move bytes
CASES = [(engine, name) for engine in MOVERS for name in FILESYSTEMS if engine not in FILESYSTEMS[name].refuses]


@pytest.mark.parametrize(("engine", "filesystem"), CASES)
def test_a_huge_file_with_little_data_costs_only_the_data(
    engine: str, filesystem: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    # The filesystem itself is a two hundredth of the file: whatever fills holes fails at once.
    directory = empty_directory(mounts.use(filesystem))
    src, dst = directory / "src", directory / "dst"
    middle = 50 * GIB
    with src.open("wb") as f:
        f.truncate(100 * GIB)
        os.pwrite(f.fileno(), noise(MIB), middle)
    report = fastcopy.transfer(src, dst, engine=engine)
    assert report.bytes == 100 * GIB
    assert dst.stat().st_size == 100 * GIB
    assert stored_bytes(dst) <= stored_bytes(src) + 256 * KIB
    with dst.open("rb") as f:
        assert os.pread(f.fileno(), MIB, middle) == noise(MIB)
        assert os.lseek(f.fileno(), 0, os.SEEK_DATA) >= middle - MIB


@pytest.mark.parametrize(("engine", "filesystem"), CASES)
@pytest.mark.parametrize("parallel", (False, True), ids=("one worker", "regions"))
def test_never_sparse_fills_every_hole(
    engine: str,
    filesystem: str,
    parallel: bool,
    mounts: Mounts,
    empty_directory: Callable[[Path], Path],
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    src, dst = directory / "src", directory / "dst"
    size = 2 * MIB + 100
    with src.open("wb") as f:
        f.truncate(size)
        os.pwrite(f.fileno(), noise(MIB), 64 * KIB)
    options = MANY_REGIONS if parallel else {}
    try:
        fastcopy.transfer(src, dst, engine=engine, sparse="never", **options)
    except fastcopy.CopyError as refusal:
        assert refusal.code == "COPY_E_UNSUPPORTED"
        assert engine == "copy_range"  # some filesystems share the extents, holes and all
        return
    assert dst.read_bytes() == src.read_bytes()
    if filesystem != "btrfs":  # it compresses nothing here, but counts what it has not yet written otherwise
        assert stored_bytes(dst) >= size


@pytest.mark.parametrize(("engine", "filesystem"), [case for case in CASES if case[0] in ("buffered", "direct")])
@pytest.mark.parametrize("parallel", (False, True), ids=("one worker", "regions"))
def test_always_sparse_turns_zeros_into_holes(
    engine: str,
    filesystem: str,
    parallel: bool,
    mounts: Mounts,
    empty_directory: Callable[[Path], Path],
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    src, dst = directory / "src", directory / "dst"
    content = noise(256 * KIB) + bytes(3 * MIB) + noise(256 * KIB) + bytes(MIB)
    src.write_bytes(content)
    options = MANY_REGIONS if parallel else {}
    fastcopy.transfer(src, dst, engine=engine, sparse="always", **options)
    assert dst.read_bytes() == content
    assert stored_bytes(dst) <= 1 * MIB


@pytest.mark.parametrize("engine", ("auto", *MOVERS))
@pytest.mark.parametrize("sparse", ("auto", "always"))
@pytest.mark.parametrize("parallel", (False, True), ids=("one worker", "regions"))
def test_a_hole_over_old_data_reads_as_zeros(
    engine: str, sparse: str, parallel: bool, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    # In place the destination's old bytes lie where the source has nothing to write.
    directory = empty_directory(mounts.use("ext4"))
    src, dst = directory / "src", directory / "dst"
    with src.open("wb") as f:
        f.truncate(4 * MIB + 3)
        os.pwrite(f.fileno(), noise(MIB), MIB + 5)
    options: dict[str, object] = dict(MANY_REGIONS) if parallel else {}
    if engine != "auto":
        options["engine"] = engine
    for old_size in (100, 2 * MIB, 4 * MIB + 3, 6 * MIB):
        dst.write_bytes(noise(old_size, "old"))
        try:
            fastcopy.transfer(src, dst, atomic=False, sparse=sparse, **options)
        except fastcopy.CopyError as refusal:
            # To look for zeros, an engine must see the bytes; to demand both may be refused.
            assert refusal.code == "COPY_E_UNSUPPORTED"
            assert (engine, sparse) in {("copy_range", "always"), ("mapped", "always")}
            return
        assert dst.read_bytes() == src.read_bytes()
        if engine == "auto":
            dst.write_bytes(noise(old_size, "old"))
            fastcopy.copyfile(src, dst)
            assert dst.read_bytes() == src.read_bytes()
