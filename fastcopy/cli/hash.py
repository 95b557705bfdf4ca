"""`fastcopy hash PATH...`: digests, in lines that b3sum, the sum programs of GNU and xxhsum check."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from .compare import add_talk, voice_of
from .parsing import Parser, UsageError, in_words_of_the_command_line
from .streams import say_bytes
from .voice import Voice
from .words import name

PROG = "fastcopy hash"


def parser() -> Parser:
    made = Parser(
        PROG,
        "PATH...",
        "Print the digest of each file, and of each file below a directory. With -o, write a manifest of one "
        "directory, whose names are relative to it: `fastcopy check` reads it, and so does the program of that digest.",
        "Symlinks below a directory are not followed, and what is no regular file is not listed.",
    )
    made.add_argument("paths", metavar="PATH", nargs="+", help=argparse.SUPPRESS)
    made.add_argument(
        "-a", "--algorithm", default="blake3", metavar="NAME", help="default blake3; any name of hashlib, xxh64 ..."
    )
    made.add_argument("-o", "--output", metavar="MANIFEST", help="write the manifest of the one directory PATH")
    made.add_argument("--tag", action="store_true", help="lines that name the digest")
    add_talk(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    voice = voice_of(PROG, arguments)
    try:
        if arguments.output is not None:
            return _manifest(arguments, voice)
        return _lines(arguments, voice)
    except ValueError as error:
        raise in_words_of_the_command_line(error) from None
    finally:
        voice.close()


def _manifest(a: argparse.Namespace, voice: Voice) -> int:
    from ..manifests import checksum_tree

    if len(a.paths) != 1 or not os.path.isdir(a.paths[0]):
        raise UsageError("-o writes the manifest of one directory")
    [directory] = a.paths
    try:
        count = checksum_tree(
            directory, a.output, a.algorithm, tag=a.tag, progress=voice.progress if voice.shows else None
        )
    except OSError as error:
        path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else directory
        voice.fail_with(f"cannot write the manifest {name(a.output)}: {name(path)}", error, path, a.output)
        return voice.status
    voice.event(
        "result", kind="manifest", src=directory, dst=a.output, outcome="written", files=count, hash=a.algorithm
    )
    voice.line(f"{name(a.output)} lists {count} {'file' if count == 1 else 'files'}")
    return 0


def _lines(a: argparse.Namespace, voice: Voice) -> int:
    from ..digests import resolve
    from ..manifests import format_line, label_for
    from ..reading import hash_file

    label = label_for(resolve(a.algorithm, "algorithm"), True, a.tag)
    for path in _files(a.paths, voice):
        try:
            digest = hash_file(path, a.algorithm, progress=voice.progress if voice.shows else None)
        except OSError as error:
            voice.fail_with(f"cannot read {name(path)}", error, path)
            continue
        voice.event("result", kind="digest", src=path, dst=None, outcome="read", hash=a.algorithm, digest=digest)
        if not voice.as_json:
            voice.pause()
            say_bytes(format_line(digest, os.fsencode(path), label))
    return voice.status


def _files(paths: list[str], voice: Voice) -> Iterator[str]:
    def refused(error: OSError) -> None:
        voice.fail_with(f"cannot read {name(error.filename)}", error, os.fsdecode(error.filename))

    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, files in os.walk(path, onerror=refused):
            folders.sort()
            for file in sorted(files):
                found = os.path.join(folder, file)
                if os.path.isfile(found) and not os.path.islink(found):
                    yield found
