"""Scripts for the fault table of the test build."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from fastcopy import _core

needs_faults = pytest.mark.skipif(
    not _core.HAS_FAULTS, reason="this is the release build, in which no system call can be made to fail"
)


@dataclass(frozen=True)
class Rule:
    """The n-th call of an operation goes wrong."""

    operation: str
    kind: str  # "errno" | "short" | "delay" | "flip"
    value: int  # errno; bytes at most; microseconds; offset
    nth: int = 1
    for_ever: bool = False

    def __str__(self) -> str:
        what = errno.errorcode[self.value] if self.kind == "errno" else f"{self.kind}{self.value}"
        return f"{self.operation}#{self.nth}{'+' if self.for_ever else ''}={what}"

    def row(self) -> tuple[str, int, bool, str, int]:
        return (self.operation, self.nth, self.for_ever, self.kind, self.value)


def fails(operation: str, err: int, nth: int = 1, for_ever: bool = False) -> Rule:
    return Rule(operation, "errno", err, nth, for_ever)


def short(operation: str, at_most: int, nth: int = 1, for_ever: bool = False) -> Rule:
    return Rule(operation, "short", at_most, nth, for_ever)


def slow(operation: str, seconds: float, nth: int = 1, for_ever: bool = True) -> Rule:
    return Rule(operation, "delay", int(seconds * 1e6), nth, for_ever)


def flips(operation: str, offset: int, nth: int = 1) -> Rule:
    """The n-th time that pread or pwrite moves this byte of a file, it moves another."""
    return Rule(operation, "flip", offset, nth)


@contextmanager
def faults(*rules: Rule) -> Iterator[None]:
    """The rules hold inside the block; their counters can be read until the next block begins."""
    _core.faults_set([rule.row() for rule in rules])
    try:
        yield
    finally:
        struck.clear()
        struck.extend(_core.faults_struck(i) for i in range(len(rules)))
        calls.clear()
        calls.update({op: _core.faults_calls(op) for op in _core.OPERATIONS})
        _core.faults_set([])


struck: list[int] = []  # how often each rule of the last block struck
calls: dict[str, int] = {}  # how often each operation was called in it

# What system calls are refused with, by kernels, filesystems and the filters of containers.
ERRNOS = [
    *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EINTR, errno.EAGAIN, errno.ENOSYS),
    *(errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ETXTBSY, errno.EFBIG, errno.ENOMEM, errno.EMFILE),
    *(errno.EROFS, errno.ENOENT, errno.ENOTTY, errno.ESTALE, errno.ELOOP),
]

# The call that moves bytes, for each engine: to slow it down is to have time for what shall happen meanwhile.
BULK = {
    "clone": "ficlone",
    "copy_range": "copy_file_range",
    "buffered": "pwrite",
    "direct": "pwrite",
    "mapped": "mmap",
}
