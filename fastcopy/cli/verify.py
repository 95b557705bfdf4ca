"""`fastcopy verify A B`: whether two files, or two trees, are the same."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .compare import add_talk, voice_of
from .display import amount
from .endings import UNVERIFIED
from .parsing import Parser
from .voice import Voice
from .words import name

PROG = "fastcopy verify"

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symlink",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def parser() -> Parser:
    made = Parser(
        PROG,
        "A B",
        "Compare two files, or two directories with all that is below them: names, kinds, contents, and where symlinks "
        "lead. Every difference is listed.",
        "Exit status: 0 they are the same, 1 something could not be read, 2 usage, 3 they differ.",
    )
    made.add_argument("a", metavar="A", help=argparse.SUPPRESS)
    made.add_argument("b", metavar="B", help=argparse.SUPPRESS)
    made.add_argument("-m", "--metadata", action="store_true", help="compare modes, owners and times too")
    add_talk(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    voice = voice_of(PROG, arguments)
    verifier = _Verifier(voice, arguments.metadata)
    try:
        # The two that are named may be symlinks to what is meant.
        verifier.pair(arguments.a, arguments.b, follow=True)
    finally:
        voice.close()
    counts = verifier.counts
    outcome = "different" if counts.differences else "incomplete" if voice.status else "equal"
    voice.event(
        "result",
        kind="verification",
        src=arguments.a,
        dst=arguments.b,
        outcome=outcome,
        files=counts.files,
        bytes=counts.bytes,
        differences=counts.differences,
    )
    if outcome == "equal":
        voice.line(
            f"{name(arguments.a)} and {name(arguments.b)} are the same "
            f"({counts.files} {'file' if counts.files == 1 else 'files'}, {amount(counts.bytes)} compared)"
        )
    return UNVERIFIED if counts.differences else voice.status


class _Counts:
    files = 0
    bytes = 0
    differences = 0


class _Both(NamedTuple):
    a: os.stat_result
    b: os.stat_result


class _Verifier:
    def __init__(self, voice: Voice, metadata: bool) -> None:
        self.voice = voice
        self.metadata = metadata
        self.counts = _Counts()

    def pair(self, a: str, b: str, follow: bool = False) -> None:
        """Two things of one name, and what is below them. As deep as a tree may be, so it does not recurse."""
        waiting = [(a, b, follow)]
        while waiting:
            here_a, here_b, through = waiting.pop()
            try:
                waiting.extend((x, y, False) for x, y in self._look(here_a, here_b, through))
            except OSError as error:
                self.voice.fail_with(f"cannot compare {name(here_a)} with {name(here_b)}", error, here_a, here_b)

    def _look(self, a: str, b: str, follow: bool) -> Iterator[tuple[str, str]]:
        found = _Both(os.stat(a, follow_symlinks=follow), os.stat(b, follow_symlinks=follow))
        kinds = [_KINDS.get(stat.S_IFMT(st.st_mode), "something else") for st in found]
        if kinds[0] != kinds[1]:
            self._differ(a, b, f"the one is {kinds[0]}, the other {kinds[1]}")
            return
        if self.metadata:
            self._metadata(a, b, found)
        if stat.S_ISDIR(found.a.st_mode):
            yield from self._names(a, b)
        elif stat.S_ISREG(found.a.st_mode):
            self._contents(a, b, found)
        elif stat.S_ISLNK(found.a.st_mode):
            if os.readlink(a) != os.readlink(b):
                self._differ(a, b, f"they lead to {name(os.readlink(a))} and {name(os.readlink(b))}")
        elif found.a.st_rdev != found.b.st_rdev:
            self._differ(a, b, "they are different devices")

    def _names(self, a: str, b: str) -> Iterator[tuple[str, str]]:
        in_a, in_b = set(os.listdir(a)), set(os.listdir(b))
        for only, here, there in ((in_a - in_b, a, b), (in_b - in_a, b, a)):
            for entry in sorted(only):
                self._differ(
                    os.path.join(a, entry), os.path.join(b, entry), f"it is in {name(here)}, not in {name(there)}"
                )
        for entry in sorted(in_a & in_b, reverse=True):  # the last to be put away is the first to be looked at
            yield os.path.join(a, entry), os.path.join(b, entry)

    def _contents(self, a: str, b: str, found: _Both) -> None:
        from ..reading import compare

        if found.a.st_size != found.b.st_size:
            self._differ(a, b, f"they have {found.a.st_size} and {found.b.st_size} bytes")
            return
        offset = compare(a, b, progress=self.voice.progress if self.voice.shows else None)
        self.counts.files += 1
        self.counts.bytes += found.a.st_size if offset is None else offset
        if offset is not None:
            self._differ(a, b, f"they differ from byte {offset} on")

    def _metadata(self, a: str, b: str, found: _Both) -> None:
        what: dict[str, list[object]] = {
            "modes": [stat.filemode(st.st_mode) for st in found],
            "owners": [f"{st.st_uid}:{st.st_gid}" for st in found],
            "times": [st.st_mtime_ns for st in found],
        }
        for word, (one, other) in what.items():
            if one != other:
                self._differ(a, b, f"their {word} are {one} and {other}")

    def _differ(self, a: str, b: str, how: str) -> None:
        self.counts.differences += 1
        self.voice.fail(f"{name(a)} and {name(b)}: {how}", code="VERIFY_E_MISMATCH", errno="EBADMSG", src=a, dst=b)
