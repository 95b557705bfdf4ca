"""Sizes as people write them."""

from __future__ import annotations

import argparse
import re

__all__ = ["size", "sizes"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def size(text: str) -> int:
    """`64K`, `4M`, `1.5GiB`; all of them binary.

    >>> size("64K"), size("1.5GiB"), size("1000")
    (65536, 1610612736, 1000)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 4096, 64K, 4M and 1.5GiB are")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def sizes(text: str) -> tuple[int, ...]:
    """Several, with commas between them.

    >>> sizes("4K,1M")
    (4096, 1048576)
    """
    return tuple(dict.fromkeys(map(size, text.split(","))))
