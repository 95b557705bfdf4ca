"""verify="media": it is the medium that answers, and what each level proves of it."""

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastcopy
from support.mounts import FILESYSTEMS, Mounts
from support.proofs import EXPECTED, Meanwhile, Own, being_written
from support.shapes import MIB, noise
from support.state import nothing_leaked, resident

pytestmark = pytest.mark.release

SIZE = 6 * MIB + 4096 + 77
OLD = noise(5000, "old")
ON_DISKS = [name for name in FILESYSTEMS if name != "tmpfs"]
LEVELS = ("compare", "hash", "media")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """On another filesystem than the copy, so that no medium below holds these bytes but for the copy."""
    path = tmp_path / "src"
    path.write_bytes(noise(SIZE))
    return path


def read_from_devices() -> int:
    """Bytes that this process had fetched from storage, whatever thread of it asked."""
    (line,) = (line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("read_bytes:"))
    return int(line.split()[1])


@pytest.mark.parametrize("engine", ("auto", "buffered", "direct", "mapped"))
@pytest.mark.parametrize("filesystem", ON_DISKS)
def test_the_device_is_read(
    filesystem: str, engine: str, src: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    dst = empty_directory(mounts.use(filesystem)) / "dst"
    named = {} if engine == "auto" else {"engine": engine}
    src.read_bytes()  # else to read it would count
    before = read_from_devices()
    report = fastcopy.transfer(src, dst, verify="hash", sync="data", **named)
    of_hash = read_from_devices() - before
    before = read_from_devices()
    report = fastcopy.transfer(src, dst, verify="media", **named)
    of_media = read_from_devices() - before
    assert of_media >= SIZE - 4096  # the last bytes may lie in a block that is in memory for other reasons
    if engine != "direct":  # which leaves nothing in memory: it is read from the device then too
        assert of_hash < SIZE // 2
    assert report.verified
    assert report.verify_detail == "source_on_copy+medium_after"
    assert report.digest == EXPECTED["blake3"](noise(SIZE))
    assert dst.read_bytes() == noise(SIZE)


@pytest.mark.parametrize("size", (0, 1, 100, 4096, 100_000, SIZE))
@pytest.mark.parametrize("door", ("atomic", "in place", "copyfile"))
@pytest.mark.parametrize("filesystem", ON_DISKS)
def test_media_of_any_size_by_any_door(
    filesystem: str, door: str, size: int, tmp_path: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    src, dst = tmp_path / "src", directory / "dst"
    src.write_bytes(noise(size))
    dst.write_bytes(OLD)
    with nothing_leaked(directory):
        if door == "copyfile":
            fastcopy.copyfile(src, dst, verify="media")
        else:
            assert fastcopy.transfer(src, dst, verify="media", atomic=door == "atomic").verified
    assert dst.read_bytes() == noise(size)


@pytest.mark.parametrize("engine", ("auto", "clone", "copy_range"))
@pytest.mark.parametrize("filesystem", ("xfs", "btrfs"))
def test_shared_extents_are_read_from_the_device_too(
    filesystem: str, engine: str, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use(filesystem))
    (directory / "src").write_bytes(noise(SIZE))
    named = {} if engine == "auto" else {"engine": engine}
    before = read_from_devices()
    report = fastcopy.transfer(directory / "src", directory / "dst", verify="media", **named)
    assert read_from_devices() - before >= SIZE - 4096
    assert report.verify_detail == "source_after+medium_after"
    assert report.digest_of == "reread"
    assert report.digest == EXPECTED["blake3"](noise(SIZE))


def spoil_medium(copy: str, medium: int, offset: int, in_memory: bool) -> None:
    """Once it is on the medium, change a block of the file there, and only there."""
    fd = os.open(copy, os.O_RDWR)
    try:
        os.fsync(fd)
        whole = os.pread(fd, SIZE if in_memory else 0, 0)
        block = os.pread(fd, 4096, offset)
        os.fsync(medium)
        with mmap.mmap(medium, 0) as image:
            at = image.find(block)
            assert at >= 0
            assert image.find(block, at + 1) < 0
            image[at + 100] ^= 0x40
            image.flush()
        if in_memory:
            assert os.pread(fd, SIZE, 0) == whole == noise(SIZE)  # which still holds the right bytes
        else:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


@pytest.mark.parametrize("verify", ("hash", "media"))
@pytest.mark.parametrize("filesystem", ("ext4", "xfs", "xfs-noreflink", "btrfs"))
def test_a_block_that_the_medium_has_wrong_is_seen_by_media_alone(
    filesystem: str, verify: str, src: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    root, medium = mounts.with_medium(filesystem)
    directory = empty_directory(root)
    dst = directory / "dst"
    dst.write_bytes(OLD)
    offset = 3 * MIB
    # Btrfs reads through memory what has checksums, O_DIRECT or not: there it is only right that it was dropped.
    in_memory = verify == "hash" or filesystem != "btrfs"
    meanwhile = Meanwhile(
        lambda: spoil_medium(being_written(directory), medium, offset, in_memory), hasher=3, at="made"
    )
    options = {"engine": "buffered", "verify": verify, "hash": meanwhile}
    with nothing_leaked(directory):
        if verify == "hash":
            # What was written and what is read agree, for both are memory's.
            report = fastcopy.transfer(src, dst, **options)
            assert report.verified
            assert meanwhile.acted
            with dst.open("rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                try:
                    assert f.read() != noise(SIZE)
                except OSError as error:  # Btrfs knows
                    assert (filesystem, error.errno) == ("btrfs", errno.EIO)
            return
        with pytest.raises(OSError) as failure:
            fastcopy.transfer(src, dst, **options)
    error = failure.value
    assert meanwhile.acted
    assert dst.read_bytes() == OLD
    if filesystem == "btrfs":  # its own checksums see it first
        assert error.errno == errno.EIO
        assert not isinstance(error, fastcopy.VerifyError)
        return
    assert isinstance(error, fastcopy.VerifyError)
    assert error.code == "VERIFY_E_MISMATCH"
    spoilt = bytearray(noise(SIZE))
    spoilt[offset + 100] ^= 0x40
    assert error.digests == (EXPECTED[Own](noise(SIZE)), EXPECTED[Own](bytes(spoilt)))


@pytest.mark.parametrize("filesystem", ON_DISKS)
def test_what_others_hold_in_memory_is_read_past_it_or_refused(
    filesystem: str, tmp_path: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    # Pages that somebody has mapped are not dropped; what the medium has is then read directly, or not at all.
    directory = empty_directory(mounts.use(filesystem))
    src, dst = tmp_path / "src", directory / "dst"
    src.write_bytes(noise(SIZE))
    dst.write_bytes(noise(SIZE, "old"))
    with dst.open("r+b") as f, mmap.mmap(f.fileno(), 0) as held:
        assert held[::4096]  # every page
        before = read_from_devices()
        try:
            report = fastcopy.transfer(
                src,
                dst,
                verify="media",
                atomic=False,
                engine="buffered",
                hash=Meanwhile(lambda: held[::4096], fed=SIZE),
            )
        except fastcopy.CopyError as refusal:
            assert refusal.code == "COPY_E_UNSUPPORTED"
            assert "page cache" in str(refusal)
            assert filesystem == "btrfs"
        else:
            assert report.verified
            assert read_from_devices() - before >= SIZE - 4096
            assert filesystem != "btrfs"
        assert held[:] == dst.read_bytes() == noise(SIZE)


# ---- where there is none -------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ("plan", "atomic", "in place", "copyfile"))
@pytest.mark.parametrize("exists", (False, True))
def test_what_has_no_medium_is_refused_before_copying(
    door: str, exists: bool, src: Path, mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    directory = empty_directory(mounts.use("tmpfs"))
    dst = directory / "dst"
    if exists:
        dst.write_bytes(OLD)
    before = directory.stat().st_mtime_ns
    with nothing_leaked(directory), pytest.raises(fastcopy.CopyError) as refusal:
        if door == "copyfile":
            fastcopy.copyfile(src, dst, verify="media")
        elif door == "plan":
            fastcopy.plan(src, dst, verify="media")
        else:
            fastcopy.transfer(src, dst, verify="media", atomic=door == "atomic")
    assert refusal.value.code == "COPY_E_UNSUPPORTED"
    assert refusal.value.errno == errno.EOPNOTSUPP
    assert "media" in str(refusal.value)
    if exists:
        assert dst.read_bytes() == OLD
    elif door == "copyfile":  # shutil's order: both files are opened first
        assert dst.read_bytes() == b""
    else:
        assert directory.stat().st_mtime_ns == before
        assert os.listdir(directory) == []


def test_a_source_without_a_medium_can_have_a_copy_with_one(
    mounts: Mounts, empty_directory: Callable[[Path], Path]
) -> None:
    src = empty_directory(mounts.use("tmpfs")) / "src"
    dst = empty_directory(mounts.use("ext4")) / "dst"
    src.write_bytes(noise(SIZE))
    assert fastcopy.transfer(src, dst, verify="media").verified


# ---- what is left in memory ------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", ("none", *LEVELS))
@pytest.mark.parametrize("options", ({}, {"hash": "xxh3_128"}), ids=("", "hash"))
@pytest.mark.parametrize("engine", ("auto", "buffered", "direct", "mapped", "copy_range", "clone"))
@pytest.mark.parametrize("filesystem", ("ext4", "xfs"))
def test_a_proof_leaves_no_pages_where_a_copy_leaves_none(
    filesystem: str,
    engine: str,
    options: dict[str, object],
    verify: str,
    mounts: Mounts,
    empty_directory: Callable[[Path], Path],
) -> None:
    if engine in FILESYSTEMS[filesystem].refuses:
        return
    directory = empty_directory(mounts.use(filesystem))
    src, dst = directory / "src", directory / "dst"
    size = 20 * MIB + 77
    src.write_bytes(noise(size))
    with src.open("rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert resident(src) == 0  # else nothing is tested
    named = {} if engine == "auto" else {"engine": engine}
    report = fastcopy.transfer(src, dst, verify=verify, cache="drop", sync="data", **named, **options)
    assert report.verified == (verify != "none")
    left = resident(src), resident(dst)
    assert max(left) <= MIB, left
    assert dst.read_bytes() == noise(size)
    # What was in memory before is somebody's and stays; unless the whole machine's cache was emptied meanwhile.
    other = directory / "other"
    other.write_bytes(noise(MIB))
    for _ in range(5):
        src.read_bytes(), other.read_bytes()
        fastcopy.transfer(src, dst, verify=verify, cache="drop", sync="data", **named, **options)
        left = resident(src)
        if resident(other) == MIB:
            break
    assert left >= size - MIB  # a page here and there is taken by the kernel when others need memory
