"""The programs that write and read manifests, and what of odd names the installed version of each can say."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support.settings import unavailable


@dataclass(frozen=True)
class Program:
    """One way of calling one of them."""

    command: tuple[str, ...]
    hash: str
    tag: bool = False

    def __str__(self) -> str:
        return " ".join(self.command)

    def write(self, directory: Path, names: Iterable[bytes]) -> bytes:
        """The manifest that it writes."""
        return self._run(directory, (*self.command, "--", *names))

    def check(self, directory: Path, manifest: Path) -> int:
        """How many files it finds to be as they should; none may be otherwise."""
        said = self._run(directory, (self.command[0], "--check", manifest))
        assert b"FAILED" not in said
        return len(re.findall(rb": OK$", said, re.MULTILINE))

    @cached_property
    def escapes(self) -> frozenset[bytes]:
        """Which of the three it escapes: older versions escape fewer."""
        with tempfile.TemporaryDirectory() as name:
            found = set()
            for byte in (b"\\", b"\n", b"\r"):
                (Path(name) / os.fsdecode(b"a" + byte + b"b")).touch()
                if self.write(Path(name), [b"a" + byte + b"b"]).startswith(b"\\"):
                    found.add(byte)
        return frozenset(found)

    def can_say(self, name: bytes) -> bool:
        try:
            name.decode()
        except UnicodeDecodeError:
            if self.command[0] == "b3sum":  # writes something else in their place, and reads none of it
                return False
        return all(byte in self.escapes or byte not in name for byte in (b"\\", b"\n", b"\r"))

    def _run(self, directory: Path, command: tuple[object, ...]) -> bytes:
        if shutil.which(self.command[0]) is None:
            unavailable(f"{self.command[0]} is not installed")
        done = subprocess.run(command, cwd=directory, capture_output=True, env={**os.environ, "LC_ALL": "C"})  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        return done.stdout


PROGRAMS = [
    Program(("b3sum",), "blake3"),
    Program(("md5sum",), "md5"),
    Program(("sha1sum",), "sha1"),
    Program(("sha224sum",), "sha224"),
    Program(("sha256sum",), "sha256"),
    Program(("sha256sum", "--binary"), "sha256"),
    Program(("sha256sum", "--tag"), "sha256", tag=True),
    Program(("sha384sum",), "sha384"),
    Program(("sha512sum",), "sha512"),
    Program(("sha512sum", "--tag"), "sha512", tag=True),
    Program(("b2sum",), "blake2b"),
    Program(("b2sum", "--tag"), "blake2b", tag=True),
    Program(("xxhsum", "-H0"), "xxh32"),
    Program(("xxhsum", "-H1"), "xxh64"),
    Program(("xxhsum", "-H2"), "xxh3_128"),
    Program(("xxhsum", "-H1", "--tag"), "xxh64", tag=True),
    Program(("xxhsum", "-H2", "--tag"), "xxh3_128", tag=True),
    Program(("xxhsum", "-H3", "--tag"), "xxh3_64", tag=True),
]

ODD_NAMES = [
    b"plain",
    b" leading",
    b"trailing ",
    b"two  spaces",
    b"*star",
    b"#hash",
    b"-",
    b"stdin",
    b"-n",
    b"a) = b",
    b"SHA256 (x) = 00",
    b"tab\there",
    b"\x01\x7f",
    "ünïcode \N{SNOWMAN}".encode(),
    b"back\\slash",
    b"\\n",
    b"line\nfeed",
    b"carriage\rreturn",
    b"ends in one\r",
    b"all\\\n\r\\",
    b"not utf-8 \xff\xfe",
    b"sub/dir/file",
    b"sub/line\nfeed/file",
]
