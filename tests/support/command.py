"""The command `fastcopy`, in another process or in this one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

import fastcopy
from fastcopy.cli import main
from support.shells import PACKAGES

COMMAND = (sys.executable, "-m", "fastcopy")
SCHEMA = json.loads((Path(fastcopy.__file__).parent / "cli/events.schema.json").read_text(encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(SCHEMA)


def surroundings(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": PACKAGES, "PYTHONUNBUFFERED": ""} | more


def run(*words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    more = {"env": surroundings()} | more
    return subprocess.run((*COMMAND, *map(str, words)), capture_output=True, text=True, timeout=120, **more)


def events(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        jsonschema.validate(event, SCHEMA)
    return found


def status(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as exit:
        assert isinstance(exit.code, int)
        return exit.code
