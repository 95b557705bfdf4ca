"""`fastcopy check MANIFEST`: whether the files are what their manifest says."""

from __future__ import annotations

import argparse

from .compare import add_talk, voice_of
from .endings import UNVERIFIED
from .parsing import Parser, in_words_of_the_command_line
from .words import name

PROG = "fastcopy check"


def parser() -> Parser:
    made = Parser(
        PROG,
        "MANIFEST",
        "Read every file that a manifest lists, and list those that are changed, missing or unreadable. Manifests of "
        "fastcopy, b3sum, the sum programs of GNU and xxhsum are understood.",
        "Exit status: 0 all is as listed, 1 the manifest could not be read, 2 usage, 3 some file is not as listed.",
    )
    made.add_argument("manifest", metavar="MANIFEST", help=argparse.SUPPRESS)
    made.add_argument("-a", "--algorithm", metavar="NAME", help="of lines that do not say; default by their length")
    made.add_argument("-d", "--directory", metavar="DIR", help="that names are relative to; default that of MANIFEST")
    add_talk(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    from ..manifests import check

    manifest = arguments.manifest
    voice = voice_of(PROG, arguments)
    try:
        failures = check(
            manifest,
            arguments.algorithm,
            directory=arguments.directory,
            progress=voice.progress if voice.shows else None,
        )
    except ValueError as error:
        voice.pause()
        if arguments.algorithm is not None and str(error).startswith(("hash=", "name=")):
            raise in_words_of_the_command_line(error) from None
        voice.fail(f"{error}; name another manifest, or its digest with --algorithm", src=manifest)
        return voice.status
    except OSError as error:
        voice.fail_with(f"cannot read the manifest {name(manifest)}", error, manifest)
        return voice.status
    finally:
        voice.close()
    for failure in failures:
        voice.fail(str(failure), code="VERIFY_E_MISMATCH", errno="EBADMSG", src=failure.path)
    outcome = "different" if failures else "equal"
    voice.event("result", kind="check", src=manifest, dst=None, outcome=outcome, differences=len(failures))
    if failures:
        return UNVERIFIED
    voice.line(f"all files are as {name(manifest)} says")
    return 0
