"""`fastcopy SRC... DST`: the habits of GNU cp, on the transfer door."""

from __future__ import annotations

import argparse
import errno
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from .. import options as engine_options
from .._core import ENGINES
from ..errors import CopyError
from ..unpublished import unpublished
from . import SUBCOMMANDS, say_version
from .display import Source, amount, display_for
from .endings import FAILED, status_of
from .operands import Pair, pairs
from .parsing import Parser, UsageError, in_words_of_the_command_line, optional_value
from .sizes import size
from .streams import say_bytes, tell
from .voice import Voice
from .words import name, where

if TYPE_CHECKING:
    from ..options import Options
    from ..transfer_door import Plan, Report
    from ..tree_door import Entry

DESCRIPTION = (
    "Copy files and directories, fast and safely: each file gets its name when it is whole, and what was there before "
    "survives any failure. The options of cp mean what they mean to cp."
)
EPILOG = (
    "Sizes are written 4096, 64K, 4M, 1.5GiB. A first word that names a subcommand is one: ./hash is the file. "
    "Exit status: 0 done, 1 something failed and was listed, 2 usage, 3 a verification failed, 130 interrupted."
)

# What cp calls it -> what we call it.
_KEEPABLE = {
    "mode": {"mode"},
    "timestamps": {"times"},
    "times": {"times"},
    "ownership": {"owner"},
    "owner": {"owner"},
    "links": {"links"},
    "xattr": {"xattr"},
    "all": {"mode", "times", "owner", "links", "xattr"},
}
_SPECIAL = "a FIFO, socket or device"
_THERE = "left, for it is there already"
_DASH_P = "mode,ownership,timestamps"


def parser(prog: str = "fastcopy", description: str = DESCRIPTION) -> Parser:
    made = Parser(prog, "SRC... DST", description, EPILOG)
    if prog == "fastcopy":
        made.add_argument("-V", "--version", action="store_true", help="show the version, and exit")
    made.add_argument("operands", nargs="*", metavar="SRC... DST", help=argparse.SUPPRESS)
    if prog == "fastcopy":
        made.add_argument_group("subcommands", f"{', '.join(SUBCOMMANDS)}; fastcopy SUBCOMMAND --help says more")
    _options_of_cp(made.add_argument_group("as cp has them"))
    _options_of_copies(made.add_argument_group("how a copy is made"))
    _options_of_trees(made.add_argument_group("what of a directory is copied"))
    _options_of_talk(made.add_argument_group("what is said"))
    return made


def _options_of_cp(group: Any) -> None:
    add = group.add_argument
    add("-r", "-R", "--recursive", action="store_true", help="copy directories, with all that is in them")
    add("-a", "--archive", action="store_true", help="the same as -r -P --preserve=all")
    add("-p", dest="dash_p", action="store_true", help=f"the same as --preserve={_DASH_P}")
    preserve = add(
        "--preserve",
        metavar="LIST",
        type=_keepable,
        help=f"keep these: {', '.join(_KEEPABLE)}; alone the same as -p. What is named here and cannot be kept "
        "is an error",
    )
    optional_value(preserve, _DASH_P)
    add("-L", "--dereference", dest="symlinks", action="store_const", const="L", help="follow all symlinks")
    add("-P", "--no-dereference", dest="symlinks", action="store_const", const="P", help="copy symlinks as symlinks")
    add("-H", dest="symlinks", action="store_const", const="H", help="follow the symlinks that are named here only")
    add("-d", dest="dash_d", action="store_true", help="the same as -P --preserve=links")
    add("-n", "--no-clobber", dest="clash", action="store_const", const="n", help="leave what is there already")
    add("-i", "--interactive", dest="clash", action="store_const", const="i", help="ask before something is replaced")
    add("-f", "--force", action="store_true", help="replace files that may not be written to")
    add("-u", "--update", action="store_true", help="replace only what is older than its source")
    add("-t", "--target-directory", metavar="DIR", help="copy all SRC into DIR")
    add(
        "-T",
        "--no-target-directory",
        action="store_true",
        help="DST is the very name of the copy",
    )
    add("-x", "--one-file-system", action="store_true", help="leave out what is mounted within a source")
    whens = get_args(engine_options.When)
    reflink = add("--reflink", choices=whens, default="auto", help="share the blocks; alone: always")
    optional_value(reflink, "always")
    add("--sparse", choices=whens, default="auto", help="make holes")
    add("-v", "--verbose", action="store_true", help="print a line for every file, as it is copied")


def _options_of_copies(group: Any) -> None:
    add = group.add_argument
    add("--preset", choices=get_args(engine_options.Preset), help="fast (the default), safe, durable")
    add("--engine", choices=("auto", *ENGINES), help="demand this way of copying")
    add("--no-zero-copy", action="store_true", help="let fastcopy choose, but neither clone nor copy_range")
    add("-j", "--workers", type=_workers, metavar="N", help="threads; default auto")
    add("--split-depth", type=int, metavar="N", help="how often a large file is halved at most")
    add("--parallel-threshold", type=size, metavar="SIZE", help="from where one file is copied in regions")
    add("--min-region", type=size, metavar="SIZE", help="the smallest region")
    add("--chunk", type=size, metavar="SIZE", help="bytes of one request")
    add("--window", type=size, metavar="SIZE", help="bytes between two looks at progress, and of one mapping")
    verify = add("--verify", choices=get_args(engine_options.Verify), help="prove the copy; alone: auto")
    optional_value(verify, "auto")
    add("--hash", metavar="NAME", help="print the digest of each file that is copied: blake3, sha256, xxh3_128 ...")
    add("--sync", choices=get_args(engine_options.Sync), help="force to the medium: nothing, the data, the names too")
    add("--in-place", action="store_true", help="write into a file that is there, as cp does, and do not replace it")
    add("--cache", choices=get_args(engine_options.Cache), help="drop: leave no pages of the copy in memory")


def _options_of_trees(group: Any) -> None:
    add = group.add_argument
    add("--include", action="append", metavar="PATTERN", help="copy only files that match, as .gitignore does")
    add("--exclude", action="append", metavar="PATTERN", help="leave out what matches")
    add("--min-size", type=size, metavar="SIZE", help="leave out smaller files")
    add("--max-size", type=size, metavar="SIZE", help="leave out larger files")
    orders = tuple(word.replace("_", "-") for word in get_args(engine_options.Order))
    add("--order", choices=orders, help="of the files; default as-found")


def _options_of_talk(group: Any) -> None:
    add = group.add_argument
    add("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add("--explain", action="store_true", help="say how each SRC is copied, and why")
    add("--json", action="store_true", help="print one JSON object a line: decisions, progress, results, errors")
    add("--progress", action=argparse.BooleanOptionalAction, help="show progress at once; or never")
    add("-q", "--quiet", action="store_true", help="say nothing but errors")


def run(arguments: argparse.Namespace, prog: str = "fastcopy") -> int:
    if getattr(arguments, "version", False):
        return say_version()
    display = display_for(quiet=arguments.quiet, wanted=arguments.progress, as_json=arguments.json)
    voice = Voice(prog, as_json=arguments.json, quiet=arguments.quiet, display=display)
    try:
        todo = pairs(arguments.operands, arguments.target_directory, arguments.no_target_directory)
        copier = _Copier(arguments, voice, todo)
    except ValueError as error:
        raise in_words_of_the_command_line(error) from None
    except OSError as error:
        voice.fail_with(f"cannot copy to {name(error.filename)}", error, dst=os.fsdecode(error.filename), do="")
        return FAILED
    return copier.run()


class _Left(Exception):
    """Not an error: what is there stays."""


class _Refusal(OSError):
    """What this command refuses by itself; its words say what to do."""

    code: str | None = None


class _SameRefusal(_Refusal):
    code = "COPY_E_SAME_FILE"


class _SpecialRefusal(_Refusal):
    code = "COPY_E_UNSUPPORTED"


class _Copier:
    """One run of the command: the options, and what was made so far."""

    def __init__(self, arguments: argparse.Namespace, voice: Voice, todo: list[Pair]) -> None:
        self.a = arguments
        self.voice = voice
        self.todo = todo
        self.recursive: bool = arguments.recursive or arguments.archive
        self.keep, required = _what_to_keep(arguments)
        self.follow = _symlinks(arguments, self.recursive)
        self.umask = os.umask(0)
        os.umask(self.umask)
        self.made: dict[str, str] = {}  # the name of a copy -> its source
        self.links: dict[tuple[int, int], str] = {}  # a file with several names -> its copy
        chosen = self._options()
        # The words of one are refused by the other, so each is looked at before anything is touched.
        self.for_files = self._resolved(chosen | ({} if arguments.hash is None else {"hash": arguments.hash}), required)
        self.for_trees = self._resolved(chosen | self._tree_options(), required)
        if arguments.clash == "i" and not sys.stdin.isatty():
            raise UsageError("-i asks on a terminal, and the standard input is none")
        self._refuse_what_means_nothing()

    def run(self) -> int:
        done = 0
        try:
            for pair in self.todo:
                self.voice.source = Source(pair.src, done + 1, len(self.todo))
                self._one(pair)
                done += 1
        except KeyboardInterrupt as end:
            self._interrupted(done)
            return status_of(end)
        finally:
            self.voice.close()
        return self.voice.status

    # ---- what was asked --------------------------------------------------------------------------------

    def _options(self) -> dict[str, Any]:
        a = self.a
        chosen: dict[str, Any] = {
            "reflink": a.reflink,
            "sparse": a.sparse,
            "atomic": not a.in_place,
            "progress": self.voice.progress if self.voice.shows else None,
        }
        for word in (
            *("preset", "engine", "workers", "split_depth", "parallel_threshold", "min_region", "chunk", "window"),
            *("verify", "sync", "cache"),
        ):
            if getattr(a, word) is not None:
                chosen[word] = getattr(a, word)
        return chosen

    def _tree_options(self) -> dict[str, Any]:
        a = self.a
        chosen: dict[str, Any] = {
            "symlinks": "follow" if self.follow == "L" else "keep",
            "special": "recreate",
            "existing": "skip" if a.clash == "n" else "older" if a.update else "overwrite",
            "one_filesystem": a.one_file_system,
            "dry_run": a.dry_run,
        }
        for word in ("include", "exclude", "min_size", "max_size"):
            if getattr(a, word) is not None:
                chosen[word] = getattr(a, word)
        if a.order is not None:
            chosen["order"] = a.order.replace("-", "_")
        return chosen

    def _resolved(self, chosen: dict[str, Any], required: frozenset[str]) -> Options:
        wishes = engine_options.resolve(chosen | {"preserve": self.keep | {"mode"}})
        return replace(
            wishes,
            required=required,
            no_zero_copy=wishes.no_zero_copy or self.a.no_zero_copy,
            # As cp: without -p what is there keeps its mode, and what is new has the source's, less the umask.
            withhold=0 if "mode" in self.keep else self.umask | 0o7000,
        )

    def _refuse_what_means_nothing(self) -> None:
        directory = any(map(os.path.isdir, (pair.src for pair in self.todo)))
        for word in ("include", "exclude", "min_size", "max_size", "order"):
            if getattr(self.a, word) is not None and not directory:
                raise UsageError(f"--{word.replace('_', '-')} chooses within directories, and no SRC is one")
        if self.a.hash is not None and directory:
            raise UsageError("--hash is for files; `fastcopy hash DIR -o MANIFEST` writes the digests of a directory")

    # ---- one source ------------------------------------------------------------------------------------

    def _one(self, pair: Pair) -> None:
        src, dst = pair
        try:
            st = os.stat(src) if self.follow in ("L", "H") else os.lstat(src)
            if stat.S_ISDIR(st.st_mode):
                self._tree(src, dst)
            else:
                self._entry(src, dst, st)
        except _Left as left:
            if self.a.verbose:
                self.voice.line(f"{left}: {name(dst)}")
            self.voice.event("result", src=src, dst=dst, outcome="left", why=str(left))
        except OSError as error:
            self._failed(src, dst, error)

    def _entry(self, src: str, dst: str, st: os.stat_result) -> None:
        """What is no directory."""
        if dst.endswith("/") and not os.path.isdir(dst):
            raise _Refusal(errno.ENOTDIR, "there is no such directory; make it first")
        there = _status(dst)
        earlier = self.made.get(os.path.abspath(dst))
        if earlier is not None:
            if os.path.samefile(earlier, src):
                self.voice.warn(f"{name(src)} is named more than once", src)
                return
            raise _Refusal(errno.EEXIST, f"it was copied from {name(earlier)} a moment ago, and is not replaced")
        as_it_is = stat.S_ISLNK(st.st_mode) or (self.recursive and not stat.S_ISREG(st.st_mode))
        if not as_it_is and not stat.S_ISREG(st.st_mode):
            raise _SpecialRefusal(errno.EINVAL, f"it is {_SPECIAL}, and not read; -r makes another, cat reads it")
        if there is not None:
            self._ask_what_is_there(src, dst, st, there, as_it_is)
        self.made[os.path.abspath(dst)] = src
        first = self.links.get((st.st_dev, st.st_ino)) if "links" in self.keep else None
        if self.a.dry_run and (as_it_is or first is not None):
            self._done(src, dst, "would be copied", "hard_link" if first is not None else _kind(st))
        elif first is not None:
            self._make(dst, there, lambda new: os.link(first, new, follow_symlinks=False))
            self._done(src, dst, "hard link", "hard_link")
        elif as_it_is:
            self._recreate(src, dst, st, there)
        else:
            self._file(src, dst, st, there)
        if st.st_nlink > 1 and first is None:
            self.links[st.st_dev, st.st_ino] = dst

    def _ask_what_is_there(self, src: str, dst: str, st: os.stat_result, there: os.stat_result, as_it_is: bool) -> None:
        """Whether what has the name may be replaced."""
        target = there
        if stat.S_ISLNK(there.st_mode) and not as_it_is:
            try:
                target = os.stat(dst)
            except FileNotFoundError:
                raise _Refusal(errno.EEXIST, "a symlink that leads nowhere has that name; remove it first") from None
        if self.a.clash == "n":
            raise _Left(_THERE)
        if stat.S_ISDIR(there.st_mode):
            raise _Refusal(errno.EISDIR, "a directory has that name, and is not replaced by a file")
        if os.path.samestat(st, target):
            raise _SameRefusal(errno.EINVAL, "source and destination are the same file; name another destination")
        if stat.S_ISLNK(st.st_mode) and os.path.exists(src) and os.path.samestat(os.stat(src), target):
            raise _SameRefusal(errno.EINVAL, "the symlink leads there, and what it leads to would be gone")
        if not as_it_is and not stat.S_ISREG(target.st_mode):
            raise _SpecialRefusal(errno.EINVAL, f"what has that name is {_SPECIAL}, and not written to; cat does that")
        if self.a.update and target.st_mtime_ns >= st.st_mtime_ns:
            raise _Left("left, for it is not older")
        if self.a.clash == "i" and not self._yes(f"replace {name(dst)}?"):
            raise _Left("left, as you said")
        writable = as_it_is or self.a.force or self.a.dry_run or os.access(dst, os.W_OK, effective_ids=True)
        if not writable:
            raise _Refusal(errno.EACCES, "the file there may not be written to; -f replaces it")

    def _must_be_new(self, there: os.stat_result | None) -> bool:
        """With -n and -i nothing is replaced that came after the look."""
        return there is None and self.a.clash is not None

    def _came_meanwhile(self) -> Exception:
        """Something has the name that nothing had, and may not be replaced: -n says so, or -i did not ask."""
        if self.a.clash == "n":
            return _Left(_THERE)
        return _Refusal(errno.EEXIST, "something came to have that name meanwhile, and you were not asked; ask again")

    def _file(self, src: str, dst: str, st: os.stat_result, there: os.stat_result | None) -> None:
        exact = dst
        if there is not None and stat.S_ISLNK(there.st_mode):
            exact, there = os.path.realpath(dst), os.stat(dst)  # as cp: the file is meant, and the symlink stays
        owner = None
        if there is not None and "owner" not in self.keep and not self.a.in_place:
            owner = there.st_uid, there.st_gid
        wishes = self.for_files
        if self._must_be_new(there):
            wishes = replace(wishes, existing="fail")
        try:
            report = self._transfer(src, exact, wishes)
        except FileExistsError:
            raise self._came_meanwhile() from None
        if report is None:
            return
        if owner is not None:
            self._give_back(exact, owner)
        self._report(src, dst, report)

    def _give_back(self, dst: str, owner: tuple[int, int]) -> None:
        """What is replaced by a new file keeps its owner, as what is written through does."""
        now = os.stat(dst)
        if (now.st_uid, now.st_gid) != owner:
            try:
                os.chown(dst, *owner)
            except OSError as error:
                self.voice.warn(f"{name(dst)} belongs to you now: its owner could not be kept: {error.strerror}", dst)

    def _tree(self, src: str, dst: str) -> None:
        if not self.recursive:
            raise _Refusal(errno.EISDIR, "it is a directory; -r copies directories")
        there = _status(dst)
        if there is not None and not stat.S_ISDIR(there.st_mode):
            raise _Refusal(errno.ENOTDIR, "what has that name is no directory, and is not replaced by one")
        if there is not None and os.path.samestat(os.stat(src), there):
            raise _SameRefusal(errno.EINVAL, "source and destination are the same directory; name another destination")
        wishes = self.for_trees
        asks = there is not None and self.a.clash == "i"
        if asks and not self._yes(f"replace files that are in {name(dst)} already?"):
            wishes = replace(wishes, existing="skip")
        if self.a.verbose and self.voice.is_heard:
            wishes = replace(wishes, on_entry=self._teller(src, dst))
        report = self._transfer(src, dst, wishes)
        if report is not None:
            self._report(src, dst, report)

    def _transfer(self, src: str, dst: str, wishes: Options) -> Report | None:
        from ..transfer_door import planned

        plan = planned(src, dst, wishes)
        self.voice.event("decision", **_decision(plan))
        if self.a.explain:
            self.voice.line(plan.explain())
        if self.a.dry_run and not wishes.dry_run:
            self._done(src, dst, f"would be copied, {amount(plan.size)} by {plan.engine}", "file", self.a.explain)
            return None
        return plan.run()

    def _recreate(self, src: str, dst: str, st: os.stat_result, there: os.stat_result | None) -> None:
        """A symlink, FIFO, socket or device, made again."""
        target = os.readlink(src) if stat.S_ISLNK(st.st_mode) else None
        mode = st.st_mode if "mode" in self.keep else st.st_mode & ~self.umask

        def make(new: str) -> None:
            if target is not None:
                os.symlink(target, new)
            else:
                os.mknod(new, mode, st.st_rdev)
            if "owner" in self.keep:
                try:
                    os.chown(new, st.st_uid, st.st_gid, follow_symlinks=False)
                except PermissionError:
                    self.voice.warn(f"{name(dst)}: the owner of the source could not be kept", dst)
            if target is None and "mode" in self.keep:
                os.chmod(new, stat.S_IMODE(st.st_mode))
            if "times" in self.keep:
                os.utime(new, ns=(st.st_atime_ns, st.st_mtime_ns), follow_symlinks=False)

        self._make(dst, there, make)
        self._done(src, dst, "symlink" if target is not None else "special file", _kind(st))

    def _make(self, dst: str, there: os.stat_result | None, make: Callable[[str], object]) -> None:
        try:
            with unpublished(dst, fresh=self._must_be_new(there)) as new:
                make(new)
        except FileExistsError:
            raise self._came_meanwhile() from None

    def _yes(self, question: str) -> bool:
        self.voice.pause()
        tell(f"{self.voice.prog}: {question} ", end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    # ---- what is said ----------------------------------------------------------------------------------

    def _report(self, src: str, dst: str, report: Report) -> None:
        from .result import result_event, result_words

        for text in report.warnings:
            if "permissions" not in text or "mode" in self.keep:
                self.voice.warn(f"{name(dst)}: {text}", dst)
        self.voice.event("result", **result_event(report), src=src, dst=dst, outcome=self._outcome)
        if self.a.hash is not None and report.digest is not None and not self.voice.as_json:
            self._print_digest(report.digest, dst)
        elif self.a.verbose or (self.a.dry_run and not self.voice.as_json):
            self.voice.line(f"{name(src)} -> {name(dst)} ({result_words(report, self.a.dry_run)})")

    def _teller(self, src: str, dst: str) -> Callable[[Entry], None]:
        """Says what becomes of each entry of a directory: to a person as cp does, of what is made."""
        below_src, below_dst = os.path.join(src, ""), os.path.join(dst, "")

        def tell(entry: Entry) -> None:
            path = os.fsdecode(entry.path)
            from_, to = (below_src + path, below_dst + path) if path else (src, dst)
            if self.voice.as_json:
                fields = entry._asdict() | {"errno": errno.errorcode.get(entry.errno)}
                del fields["path"]
                self.voice.event("file", src=from_, dst=to, **fields)
            elif entry.outcome in ("copied", "cloned", "linked", "made"):
                self.voice.line(f"{name(from_)} -> {name(to)}")

        return tell

    @property
    def _outcome(self) -> str:
        return "planned" if self.a.dry_run else "copied"

    def _print_digest(self, digest: str, dst: str) -> None:
        from ..manifests import format_line

        self.voice.pause()
        say_bytes(format_line(digest, os.fsencode(dst)))

    def _done(self, src: str, dst: str, what: str, kind: str, explained: bool = False) -> None:
        if self.a.verbose or (self.a.dry_run and not explained):
            self.voice.line(f"{name(src)} -> {name(dst)} ({what})")
        self.voice.event("result", src=src, dst=dst, outcome=self._outcome, kind=kind)

    def _failed(self, src: str, dst: str, error: OSError) -> None:
        from ..tree_door import TreeError

        if not isinstance(error, TreeError):
            what = f"cannot copy {name(src)} to {name(dst)}{where(error)}"
            self.voice.fail_with(what, error, src, dst, self._advice(src, dst, error))
            return
        for one in error.errors:
            below = os.fsdecode(one.path)
            from_, to = (os.path.join(top, below) if below else top for top in (src, dst))
            raised = CopyError(one.errno, str(one).partition(": ")[2] or os.strerror(one.errno))
            raised.code = one.code
            self.voice.fail_with(f"cannot copy {name(from_)}", raised, from_, to, self._advice(from_, to, raised))
        more = error.error_count - len(error.errors)
        if more:
            self.voice.fail(f"{more} more below {name(src)} could not be copied", src=src)
        from .result import result_event

        self.voice.event("result", **result_event(error.report), src=src, dst=dst, outcome="incomplete")

    def _advice(self, src: str, dst: str, error: OSError) -> str | None:
        """What to do about it, where more is known here than the error says."""
        if isinstance(error, _Refusal):
            return ""
        if not isinstance(error, FileNotFoundError):
            return None
        if os.path.islink(src) and not os.path.exists(src):
            return "it is a symlink that leads nowhere; -P copies it as it is"
        if os.path.lexists(src) and not os.path.isdir(os.path.dirname(dst) or "."):
            return "make the directory that it is to be in first"
        return None

    def _interrupted(self, done: int) -> None:
        """What is there, and what is left to do."""
        src, dst = self.todo[done]
        later = len(self.todo) - done - 1
        tree = os.path.isdir(src)
        parts = [f"interrupted; {done} of {len(self.todo)} copied"]
        parts.append(f"{name(dst)} holds the files that were finished" if tree else f"{name(src)} is not copied")
        parts += [f"{later} more not begun"] if later else []
        parts.append("no unfinished file is left" if not self.a.in_place else "what was under way is cut short")
        # Again, a directory that is there now would be copied into.
        exact = (
            tree and not self.a.no_target_directory and self.a.target_directory is None and dst == self.a.operands[-1]
        )
        again = f"the same again with {'-uT' if exact else '-u'} does the rest"
        parts.append(again if tree or done else "the same again copies it")
        self.voice.fail("; ".join(parts), code="INTERRUPTED", src=src, dst=dst)


# ---- words ---------------------------------------------------------------------------------------------


def _workers(text: str) -> int | str:
    if text == "auto":
        return text
    if not re.fullmatch(r"-?\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; 4 is, and auto")
    return int(text)


def _keepable(text: str) -> frozenset[str]:
    kept: set[str] = set()
    for word in text.split(","):
        if word not in _KEEPABLE:
            raise argparse.ArgumentTypeError(f"{word!r} cannot be kept; {', '.join(_KEEPABLE)} can")
        kept |= _KEEPABLE[word]
    return frozenset(kept)


def _what_to_keep(a: argparse.Namespace) -> tuple[frozenset[str], frozenset[str]]:
    """What is kept, and of that, what must be. As with cp, -p and -a keep owners and attributes where that can be."""
    named: frozenset[str] = a.preserve or frozenset()
    kept, required = set(named), set(named)
    if a.archive:
        kept |= _KEEPABLE["all"]
    if a.dash_p:
        kept |= _keepable(_DASH_P)
    if a.archive or a.dash_p:
        required |= {"mode", "times"}
    if a.dash_d:
        kept.add("links")
    return frozenset(kept), frozenset(required)


def _symlinks(a: argparse.Namespace, recursive: bool) -> str:
    """L, P or H: as with cp, a plain copy follows, and a recursive one does not."""
    if a.symlinks is not None:
        chosen: str = a.symlinks
        return chosen
    return "P" if recursive or a.dash_d else "L"


def _kind(st: os.stat_result) -> str:
    return "symlink" if stat.S_ISLNK(st.st_mode) else "special"


def _status(path: str) -> os.stat_result | None:
    """Of the name itself; with a slash behind it, of where it leads."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _decision(plan: Plan) -> dict[str, Any]:
    return {
        "src": os.fsdecode(plan.src),
        "dst": os.fsdecode(plan.dst),
        "engine": plan.engine,
        "ladder": list(plan.ladder),
        "reason": plan.reason,
        "size": plan.size,
        "workers": plan.workers,
        "chunk": plan.chunk,
        "window": plan.window,
        "verify": plan.choice.get("verify", plan.options.verify),
        "publish": plan.publish,
        "explanation": plan.explain(),
    }
