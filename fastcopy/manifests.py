"""Manifests: lists of digests as b3sum, the sum programs of GNU and xxhsum write and read them.

A line is `digest  name`, or with a tag `BLAKE3 (name) = digest`. A name is bytes, whatever they are; only a backslash,
a line feed and a carriage return are escaped, and then a backslash begins the line. That is what the three families
have come to agree on (seen in coreutils 9.1, b3sum 1.8 and the source of xxhsum 0.8.3); b3sum 1.2 leaves a carriage
return as it is, and xxhsum 0.8.1 all three.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from .digests import Digest, resolve
from .options import check_callbacks, path_argument
from .progress import Conductor, conductor, watched
from .reading import PHASE, callers, callers_errors_pass, digests_of, open_regular
from .unpublished import unpublished

if TYPE_CHECKING:
    from ._core import StrOrBytesPath, Tick
    from .digests import Hasher
    from .options import CancelToken
    from .progress import Progress

__all__ = ["CheckFailure", "check", "checksum_tree", "format_line", "label_for", "parse_line"]

# What a tag says -> our name of the digest.
_TAGS = {
    "BLAKE3": "blake3",
    "XXH32": "xxh32",
    "XXH64": "xxh64",
    "XXH3": "xxh3_64",
    "XXH128": "xxh3_128",
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "SM3": "sm3",
    "BLAKE2b": "blake2b",
    "SHA3-224": "sha3_224",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}
_TAG_OF = {name: tag for tag, name in _TAGS.items()}

# What writes an untagged digest of so many hexadecimal digits. Where that is more than one, the files decide.
_BY_LENGTH = {
    8: ("xxh32",),
    16: ("xxh64",),
    32: ("md5", "xxh3_128"),
    40: ("sha1",),
    56: ("sha224",),
    64: ("blake3", "sha256"),
    96: ("sha384",),
    128: ("sha512", "blake2b"),
}

# An untagged digest of XXH3 is as long as one of XXH64. xxhsum writes it as XXH3_digest, which 0.8.1 does not
# read; the tag all versions read, so that is what is written.
_ALWAYS_TAGGED = frozenset({"xxh3_64"})

# Names that are the standard input to these programs.
_STDIN = frozenset({b"-", b"stdin"})


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """A file that is not what its manifest says.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> _ = Path("a.bin").write_bytes(b"abc")
    >>> _ = Path("SUMS").write_text("d41d8cd98f00b204e9800998ecf8427e  a.bin\\n")
    >>> [failure] = fastcopy.check("SUMS", "md5")
    >>> print(failure.path, failure.kind, failure.found)
    a.bin changed 900150983cd24fb0d6963f7d28e17f72
    """

    path: str  # as the manifest has it, os.fsdecode()d
    kind: Literal["changed", "missing", "unreadable"]
    expected: str  # the digest in the manifest
    found: str | None = None  # the digest of what is there, where it could be read
    error: OSError | None = field(default=None, compare=False)  # why not, where it could not

    def __str__(self) -> str:
        # As repr has it, for not every name can be printed.
        if self.error is not None:
            return f"{self.path!r}: {self.kind} ({self.error.strerror})"
        return f"{self.path!r}: {self.kind}: {self.found} and not {self.expected}"


@callers_errors_pass
def checksum_tree(
    directory: StrOrBytesPath,
    manifest: StrOrBytesPath,
    hash: str | Callable[[], Hasher] = "blake3",
    *,
    tag: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
    cancel: CancelToken | None = None,
) -> int:
    """Write a manifest of all regular files under `directory`; returns how many there are.

    Names are relative to `directory`, so that `cd directory && b3sum --check manifest` checks them. They are sorted
    by their bytes. Symlinks are not followed; they, and what is no regular file, are not listed, and neither is the
    manifest itself. It gets its name when it is whole, and not at all if a file cannot be read. `tag=True` writes
    lines that name the digest.

    >>> import fastcopy, os
    >>> from pathlib import Path
    >>> os.makedirs("data/sub")
    >>> _ = Path("data/sub/a.bin").write_bytes(b"abc")
    >>> fastcopy.checksum_tree("data", "data/MD5SUMS", "md5")
    1
    >>> Path("data/MD5SUMS").read_text()
    '900150983cd24fb0d6963f7d28e17f72  sub/a.bin\\n'
    """
    root, target = os.fsdecode(path_argument("directory", directory)), os.fsdecode(path_argument("manifest", manifest))
    digest = resolve(hash)
    check_callbacks(progress, cancel)
    label = label_for(digest, isinstance(hash, str), tag)

    with _published(target) as (file, temporary):
        listed = sorted(_files_under(root, {_real(target), _real(temporary)}), key=lambda found: os.fsencode(found[0]))
        total = sum(size for _, size in listed)
        watch = conductor(progress, cancel, root, None, PHASE)
        reader = _Reader(watch, total)

        def run(_: Tick | None) -> dict[str, Any]:
            for name, _size in listed:
                [found] = reader.digests(os.path.join(root, name), [digest])
                file.write(format_line(found, os.fsencode(name), label))
            return {"bytes": reader.done, "files": reader.files}

        watched(watch, total, run)
    return len(listed)


@callers_errors_pass
def check(
    manifest: StrOrBytesPath,
    hash: str | Callable[[], Hasher] | None = None,
    *,
    directory: StrOrBytesPath | None = None,
    progress: bool | Callable[[Progress], object] | None = None,
    cancel: CancelToken | None = None,
) -> list[CheckFailure]:
    """Read every file that a manifest lists, and return those that are not what it says: an empty list is a success.

    Names are relative to the directory that the manifest lies in, or to `directory`. A tag says which digest a line
    has, else `hash` does. Without either it is one that writes digests of that length; where that can be blake3 or
    sha256 (or md5 or xxh3_128, or sha512 or blake2b), files are tried for both until one of them fits.

    A line that cannot be understood is a ValueError with its number, before any file is read. So is a manifest that
    lists nothing.

    >>> import fastcopy
    >>> from pathlib import Path
    >>> Path("data").mkdir()
    >>> _ = Path("data/a.bin").write_bytes(b"abc")
    >>> fastcopy.checksum_tree("data", "data/B3SUMS")
    1
    >>> fastcopy.check("data/B3SUMS")
    []
    >>> Path("data/a.bin").unlink()
    >>> print(*fastcopy.check("data/B3SUMS"))
    'a.bin': missing (No such file or directory)
    """
    source = os.fsdecode(path_argument("manifest", manifest))
    if directory is None:
        base = os.path.dirname(source)
    else:
        base = os.fsdecode(path_argument("directory", directory))
        os.close(os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))  # else every file would be "missing"
    own = None if hash is None else resolve(hash)
    check_callbacks(progress, cancel)

    entries = _entries(source, own)
    watch = conductor(progress, cancel, source, None, PHASE)
    total = 0 if watch is None else sum(_size(os.path.join(base, entry.name)) for entry in entries)
    reader = _Reader(watch, total)
    failures: list[tuple[_Entry, dict[str, str] | OSError]] = []

    def run(_: Tick | None) -> dict[str, Any]:
        for entry in entries:
            try:
                digests = reader.digests(os.path.join(base, entry.name), entry.kinds)
            except OSError as error:
                failures.append((entry, error))
                continue
            found = {kind.name: digest for kind, digest in zip(entry.kinds, digests, strict=True)}
            fits = [kind for kind in entry.kinds if found[kind.name].lower() == entry.digest]
            if fits:
                entry.kinds[:] = fits  # and that of all lines like it
            else:
                failures.append((entry, found))
        return {"bytes": reader.done, "files": reader.files}

    watched(watch, total, run)
    return [_failure(entry, outcome) for entry, outcome in failures]


def _failure(entry: _Entry, outcome: dict[str, str] | OSError) -> CheckFailure:
    if isinstance(outcome, dict):
        # When all is read it is known which kind the lines are; it is the first that is left.
        return CheckFailure(entry.name, "changed", entry.digest, outcome[entry.kinds[0].name])
    gone = isinstance(outcome, (FileNotFoundError, NotADirectoryError))
    return CheckFailure(entry.name, "missing" if gone else "unreadable", entry.digest, error=outcome)


# ---- one line ------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """What one line says."""

    digest: str  # in small letters
    name: bytes
    tag: str | None = None


_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_UNTAGGED = re.compile(rb"(XXH3_)?([0-9a-fA-F]+) [ *](.+)", re.DOTALL)
_TAGGED = re.compile(rb"([\w/-]+) ?\((.+)\) ?= ?([0-9a-fA-F]+)", re.DOTALL)

_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}


def format_line(digest: str, name: bytes, tag: str | None = None) -> bytes:
    """The line that says it, with its line feed."""
    if not _HEXADECIMAL.fullmatch(digest):
        raise ValueError(f"hexdigest() gives {digest!r}, and a manifest takes hexadecimal digits alone")
    if name in _STDIN:
        name = b"./" + name
    escaped = re.sub(rb"[\\\n\r]", lambda found: _ESCAPES[found[0]], name)
    mark = b"" if escaped == name else b"\\"
    if tag is None:
        return b"%s%s  %s\n" % (mark, digest.encode(), escaped)
    return b"%s%s (%s) = %s\n" % (mark, tag.encode(), escaped, digest.encode())


def parse_line(line: bytes) -> Line:
    """What a line without its line feed says; ValueError says why it says nothing."""
    line = line.removesuffix(b"\r").lstrip(b" \t")
    escaped = line.startswith(b"\\")
    line = line[escaped:]
    if match := _UNTAGGED.fullmatch(line):
        prefix, digest, name = match.groups()
        tag = None if prefix is None else "XXH3"
    elif match := _TAGGED.fullmatch(line):
        tag, name, digest = match[1].decode("ascii", "replace"), match[2], match[3]
    else:
        raise ValueError("neither `digest  name` nor `TAG (name) = digest`, the digest in hexadecimal")
    if escaped:
        name = re.sub(rb"\\(?s:.)?", _unescape, name)
    if b"\0" in name:
        raise ValueError("a name has no null character")
    return Line(digest.decode().lower(), name, tag)


def _unescape(found: re.Match[bytes]) -> bytes:
    plain = _UNESCAPES.get(found[0])
    if plain is None:
        raise ValueError(f"the name is escaped, and {os.fsdecode(found[0])!r} is no escape; \\\\, \\n and \\r are")
    return plain


# ---- a manifest that is read ---------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A line that was understood."""

    name: str
    digest: str
    kinds: list[Digest]  # what the digest can be; one list for all lines of which the same is known


def _entries(path: str, own: Digest | None) -> list[_Entry]:
    with open_regular(path) as fd, os.fdopen(fd, "rb", closefd=False) as file:
        lines = file.read().split(b"\n")
    entries: list[_Entry] = []
    kinds: dict[str | int, list[Digest]] = {}  # by tag, or by length
    for number, text in enumerate(lines, 1):
        if not text.strip() or text.startswith(b"#"):
            continue
        try:
            line = parse_line(text)
            key = line.tag or len(line.digest)
            if key not in kinds:
                kinds[key] = _kinds(line, own)
            _check_length(line, kinds[key])
        except ValueError as error:
            raise ValueError(f"{path!r}, line {number}: {error}") from error
        entries.append(_Entry(os.fsdecode(line.name), line.digest, kinds[key]))
    if not entries:
        raise ValueError(f"{path!r} lists no file")
    return entries


def _kinds(line: Line, own: Digest | None) -> list[Digest]:
    """What the digest of `line` can be."""
    if line.tag is not None:
        return [_of_tag(line.tag)]
    if own is not None:
        return [own]
    names = _BY_LENGTH.get(len(line.digest))
    if names is None:
        raise ValueError(f"a digest of {len(line.digest)} digits can be many a one: name it with hash=")
    try:
        return [resolve(name) for name in names]
    except ValueError as error:
        raise ValueError(
            f"a digest of {len(line.digest)} digits is {' or '.join(names)}: name it with hash=. {error}"
        ) from error


def _of_tag(tag: str) -> Digest:
    if name := _TAGS.get(tag):
        return resolve(name)
    bits = int(tag[8:]) if re.fullmatch(r"BLAKE2b-\d{1,3}", tag) else 0
    if 0 < bits <= 512 and bits % 8 == 0:
        import hashlib

        return Digest(tag, lambda _: hashlib.blake2b(digest_size=bits // 8, usedforsecurity=False))
    raise ValueError(f"the tag {tag!r} is unknown; known are {', '.join(_TAGS)} and BLAKE2b-BITS")


def _check_length(line: Line, kinds: Sequence[Digest]) -> None:
    digits = len(kinds[0].new(1).hexdigest())
    if len(line.digest) != digits:
        raise ValueError(f"a digest of {kinds[0].name} has {digits} digits, and this has {len(line.digest)}")


# ---- a tree that is read, and the manifest that is written ----------------------------------------------


class _Reader:
    """Reads one file after the other, and tells how far it is with all of them."""

    def __init__(self, watch: Conductor | None, total: int) -> None:
        self.done = 0  # bytes of the files before this one
        self.files = 0
        self._watch = watch
        self._total = total
        self._tick: Callable[[int, int, str], None] | None = None if watch is None else callers(self._tell)

    def digests(self, path: str, digests: Sequence[Digest]) -> list[str]:
        if self._watch is not None:
            self._watch.next_file(path, self.files)
        if self._tick is not None:
            self._tick(0, 0, PHASE)
        self.files += 1
        with open_regular(path) as fd:
            length, found = digests_of(fd, path, digests, self._tick)
        self.done += length
        return found

    def _tell(self, done: int, _: int, phase: str) -> None:
        assert self._watch is not None
        self._watch.tick(self.done + done, self._total, phase)


def label_for(digest: Digest, known: bool, tag: bool) -> str | None:
    """The tag that the lines have, if any. What a user's own factory makes has none, whatever its name is."""
    label = _TAG_OF.get(digest.name) if known else None
    if tag and label is None:
        raise ValueError(f"tag=True with hash={digest.name!r}: there is no tag for it; there are {', '.join(_TAG_OF)}")
    return label if tag or digest.name in _ALWAYS_TAGGED else None


def _files_under(root: str, but: set[str]) -> Iterator[tuple[str, int]]:
    """Name and size of each regular file, but of those real paths."""
    real = os.path.realpath(root)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                name = os.path.join(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif entry.is_file(follow_symlinks=False) and os.path.join(real, name) not in but:
                    yield name, entry.stat(follow_symlinks=False).st_size


def _real(path: str) -> str:
    """The path by which a walk that follows no symlink comes to `path`."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _size(path: str) -> int:
    """0 if it cannot be known: what is wrong with the file is said when it is read."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


@contextmanager
def _published(path: str) -> Generator[tuple[BinaryIO, str]]:
    """A file to write and its temporary name, which becomes `path` if all goes well.

    It is made at once, so that nobody reads a tree for an hour to learn that there is no place for the manifest.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with unpublished(path) as temporary:
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            error.filename = path
            raise
        with os.fdopen(fd, "wb") as file:
            yield file, temporary
            file.flush()
            os.fsync(fd)  # else a power cut could leave the name and nothing in it
