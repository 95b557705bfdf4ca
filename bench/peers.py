"""The others: one small adapter each, to copy a file, a tree, or both. What is not here is a row that says so."""

from __future__ import annotations

import filecmp
import hashlib
import mmap
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from fastcopy.measure import Told, Way
from fastcopy.measure.ways import command, run, shutil_copyfile

# Where `make bench-peers` puts what cargo builds. uutils' cp has a folder of its own, for it is called cp too.
INSTALLED = Path(__file__).parents[1] / "build" / "peers"
os.environ["PATH"] = os.pathsep.join((os.environ["PATH"], str(INSTALLED / "bin")))

GIB = 1 << 30

Words = Callable[[Path, Path], Sequence[str | Path]]


# ---- Python's own ----------------------------------------------------------------------------------------


def _sendfile(src: Path, dst: Path) -> None:
    with open(src, "rb", buffering=0) as a, open(dst, "wb", buffering=0) as b:
        while os.sendfile(b.fileno(), a.fileno(), None, GIB):
            pass


def _copy_file_range(src: Path, dst: Path) -> None:
    with open(src, "rb", buffering=0) as a, open(dst, "wb", buffering=0) as b:
        while os.copy_file_range(a.fileno(), b.fileno(), GIB):
            pass


def sendfile() -> Way:
    return Way(name="os.sendfile", copy=_sendfile)


def copy_file_range() -> Way:
    return Way(name="os.copy_file_range", copy=_copy_file_range)


def pathlib_copy() -> Way:
    """Of Python 3.14; for files and trees."""
    method = getattr(pathlib.Path, "copy", None)
    missing = None if method else f"new in Python 3.14; this is {sys.version_info.major}.{sys.version_info.minor}"

    def copy(src: Path, dst: Path) -> None:
        src.copy(dst)  # type: ignore[attr-defined]

    return Way(name="pathlib.Path.copy", copy=copy, missing=missing)


def shutil_copytree() -> Way:
    def copy(src: Path, dst: Path) -> None:
        shutil.copytree(src, dst, dirs_exist_ok=True)

    return Way(name="shutil.copytree", copy=copy)


# ---- commands --------------------------------------------------------------------------------------------


def gnu_cp(*options: str) -> Way:
    """By default it clones where it can, and so does fastcopy: that is what each of them does for its user."""
    at = shutil.which("cp")
    version = subprocess.run((at, "--version"), capture_output=True, text=True).stdout if at else ""
    name = " ".join(("cp", *options))
    way = command(name, lambda src, dst: ("cp", *options, "-T", src, dst), tool="cp")
    if at and "GNU coreutils" not in version:
        return Way(name=name, copy=way.copy, missing=f"{at} is not GNU's cp")
    return way


def uutils_cp(*options: str) -> Way:
    at = INSTALLED / "uutils" / "bin" / "cp"
    return command(
        "uutils cp", lambda src, dst: ("cp", *options, src, dst), tool=str(at) if at.exists() else "uutils-cp"
    )


def rsync(tree: bool = False) -> Way:
    """Whole files, for there is no network that differences could spare."""

    def words(src: Path, dst: Path) -> Sequence[str | Path]:
        return ("rsync", "-aW", f"{src}/" if tree else src, f"{dst}/" if tree else dst)

    return command("rsync -aW", words, tool="rsync")


def dd(*options: str) -> Way:
    name = "dd, direct" if options else "dd bs=1M"
    return command(name, lambda src, dst: ("dd", f"if={src}", f"of={dst}", "bs=1M", "status=none", *options), tool="dd")


def dd_direct() -> Way:
    return dd("iflag=direct", "oflag=direct")


def _plain(tool: str, *options: str) -> Way:
    return command(tool, lambda src, dst: (tool, *options, src, dst))


# ---- copies that are verified ------------------------------------------------------------------------------


def cp_and_cmp() -> Way:
    copy, compare = shutil.which("cp"), shutil.which("cmp")

    def both(src: Path, dst: Path) -> Told:
        needed = (run([copy or "cp", src, dst]), run([compare or "cmp", src, dst]))
        return Told(peak_memory=max((peak for peak in needed if peak is not None), default=None))

    return Way(name="cp, then cmp", copy=both, missing=None if copy and compare else "cp or cmp is not on the PATH")


def shutil_and_filecmp() -> Way:
    def both(src: Path, dst: Path) -> None:
        shutil.copyfile(src, dst)
        if not filecmp.cmp(src, dst, shallow=False):
            raise RuntimeError("they differ")

    return Way(name="shutil.copyfile, then filecmp", copy=both)


def shutil_and_digests() -> tuple[Way, ...]:
    """Copying, and then the digests of both, one after the other, each library in its fastest form."""

    def in_turn(digest: Callable[[Path], object]) -> Callable[[Path, Path], None]:
        def copy(src: Path, dst: Path) -> None:
            shutil.copyfile(src, dst)
            if digest(src) != digest(dst):
                raise RuntimeError("they differ")

        return copy

    return tuple(
        Way(name=f"shutil.copyfile, then {name} of both", copy=in_turn(digest), missing=_missing(module))
        for name, module, digest in _DIGESTS
    )


def digests() -> tuple[Way, ...]:
    """Of the source, and no copy."""
    b3sum = command("b3sum", lambda src, dst: ("b3sum", src))
    return (
        replace(b3sum, reads=True),
        *(
            Way(name=f"{name}, mapped", copy=lambda src, dst, of=digest: of(src), reads=True, missing=_missing(module))
            for name, module, digest in _DIGESTS
        ),
    )


def cmp(src: Path, dst: Path) -> None:
    run([shutil.which("cmp") or "cmp", src, dst])


def _blake3(file: Path) -> str:
    from blake3 import blake3

    return blake3(max_threads=blake3.AUTO).update_mmap(file).hexdigest()


def _xxh3_128(file: Path) -> str:
    import xxhash

    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return xxhash.xxh3_128_hexdigest(mapped)


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return hashlib.sha256(mapped).hexdigest()


_DIGESTS = (("BLAKE3", "blake3", _blake3), ("XXH3-128", "xxhash", _xxh3_128), ("SHA-256", "hashlib", _sha256))


def _missing(module: str) -> str | None:
    return None if find_spec(module) else f"the package {module} is not installed"


# ---- all of them -----------------------------------------------------------------------------------------


def for_files() -> tuple[Way, ...]:
    return (
        shutil_copyfile(),
        pathlib_copy(),
        sendfile(),
        copy_file_range(),
        gnu_cp(),
        rsync(),
        dd(),
        _plain("xcp"),
        _plain("cpz", "--force"),
        _plain("fcp"),
        uutils_cp(),
    )


def for_trees() -> tuple[Way, ...]:
    """Those that keep the times too."""
    return (
        shutil_copytree(),
        gnu_cp("-a"),
        rsync(tree=True),
        uutils_cp("-a"),
    )


def for_trees_mode() -> tuple[Way, ...]:
    """Those that keep the mode alone, or can be told to."""
    return (pathlib_copy(), _plain("xcp", "-r", "--no-timestamps"), _plain("cpz", "--force"), _plain("fcp"))
