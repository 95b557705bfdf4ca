"""The whole public interface as a user writes it. mypy --strict and pyright read this; nothing runs it."""

import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import blake3
from typing_extensions import assert_type

import fastcopy

src, dst = Path("a.bin"), Path("b.bin")


def show(p: fastcopy.Progress) -> None:
    assert_type(p.phase, str)
    assert_type(p.path, str)
    assert_type(p.bytes, int)
    assert_type(p.total, int)
    assert_type(p.files, int)
    assert_type(p.rate, float)
    assert_type(p.eta, float | None)


def shutil_door(entry: "os.DirEntry[str]") -> None:
    assert_type(fastcopy.copyfile("a", "b"), str)
    assert_type(fastcopy.copyfile(b"a", b"b"), bytes)
    assert_type(fastcopy.copyfile(src, dst, follow_symlinks=False), Path)
    assert_type(fastcopy.copyfile(entry, dst, engine="buffered", workers=2, progress=show), Path)
    assert_type(fastcopy.copy(src, dst), Path | str)
    assert_type(fastcopy.copy("a", "b", sync="data"), str)
    assert_type(fastcopy.copy(b"a", b"b"), bytes)
    assert_type(fastcopy.copy2(src, dst, cancel=threading.Event()), Path | str)
    assert_type(fastcopy.copytree(src, dst), Path)
    fastcopy.copytree("a", "b", True, None, fastcopy.copy, dirs_exist_ok=True, preset="safe")
    fastcopy.copytree("a", "b", ignore=lambda directory, names: {"x"}, copy_function=lambda a, b: None)
    fastcopy.move("a", "b")
    fastcopy.move(src, dst, copy_function=fastcopy.copy, cache="drop")
    assert_type(fastcopy.copyfile("a", "b", verify="compare", hash="sha256"), str)
    fastcopy.copytree(src, dst, verify="media", hash=Own)
    fastcopy.move(src, dst, verify="auto", hash=None)
    assert_type(fastcopy.patched(), AbstractContextManager[None])
    with fastcopy.patched():
        pass
    fastcopy.install()
    fastcopy.uninstall()


def transfer_door() -> None:
    report = fastcopy.transfer(
        src,
        dst,
        engine="auto",
        reflink="never",
        sparse="always",
        workers="auto",
        split_depth=0,
        parallel_threshold=1 << 20,
        min_region=1 << 20,
        chunk=1 << 20,
        window=1 << 26,
        flush_every=16,
        atomic=True,
        sync="full",
        verify="media",
        hash="xxh3_128",
        cache="drop",
        preserve={"mode", "times", "owner", "xattr", "links"},
        on_change="warn",
        keep_failed=True,
        progress=True,
        cancel=threading.Event(),
        preset="durable",
    )
    assert_type(report, fastcopy.Report)
    assert_type(report.src, str | bytes)
    assert_type(report.dst, str | bytes)
    assert_type(report.bytes, int)
    assert_type(report.written, int)
    assert_type(report.elapsed, float)
    assert_type(report.engine, str)
    assert_type(report.reason, str)
    assert_type(report.attempts, tuple[fastcopy.Attempt, ...])
    assert_type(report.fallbacks, int)
    assert_type(report.workers + report.regions + report.windows + report.flushes, int)
    assert_type(report.buffer_bytes + report.mapped_bytes, int)
    assert_type(report.hash, str | None)
    assert_type(report.digest, str | None)
    assert_type(report.digest_of, str | None)
    assert_type(report.verify + report.verify_detail, str)
    assert_type(report.verified, bool)
    assert_type(report.verify_elapsed, float)
    assert_type(report.warnings, tuple[str, ...])
    assert_type(report.plan, fastcopy.Plan)
    for attempt in report.attempts:
        assert_type(attempt.engine, str)
        assert_type(attempt.errno + attempt.offset, int)

    fastcopy.transfer(src, dst, verify="none", hash=None)
    fastcopy.transfer(src, dst, verify="hash", hash=hashlib.sha256)
    fastcopy.transfer(src, dst, verify="auto", hash=lambda: blake3.blake3(max_threads=2))
    fastcopy.transfer(src, dst, verify="compare", hash=Own)

    plan = fastcopy.plan("a", b"b", progress=show)
    assert_type(plan, fastcopy.Plan)
    assert_type(plan.explain(), str)
    assert_type(plan.ladder, tuple[str, ...])
    assert_type(plan.engine + plan.reason + plan.workers_reason + plan.publish, str)
    assert_type(plan.size + plan.workers + plan.chunk + plan.window, int)
    assert_type(plan.options, fastcopy.Options)
    assert_type(plan.run(), fastcopy.Report)

    assert_type(fastcopy.engines(), tuple[str, ...])
    can: Mapping[str, fastcopy.Capability] = fastcopy.capabilities("/scratch")
    assert_type(can["clone"].can, bool)
    assert_type(can["clone"].why, str | None)
    assert_type(fastcopy.capabilities(src), fastcopy.Capabilities)
    assert_type(fastcopy.Options(workers=2).workers, int | Literal["auto"])
    assert_type(fastcopy.__version__, str)


class Own:
    def update(self, data: memoryview) -> None: ...
    def hexdigest(self) -> str:
        return ""


def what_was_copied() -> None:
    assert_type(fastcopy.hash_file(src), str)
    fastcopy.hash_file("a", "sha256", progress=show, cancel=threading.Event())
    fastcopy.hash_file(b"a", hashlib.sha256)
    fastcopy.hash_file(b"a", lambda: blake3.blake3(max_threads=2))
    fastcopy.hash_file(b"a", Own)
    assert_type(fastcopy.compare(src, b"b", progress=True, cancel=threading.Event()), int | None)
    assert_type(fastcopy.checksum_tree(src, "SUMS", "xxh3_128", tag=True, progress=show), int)
    failures = fastcopy.check("SUMS", directory=src, progress=show, cancel=threading.Event())
    assert_type(failures, list[fastcopy.CheckFailure])
    fastcopy.check("SUMS", hashlib.md5)
    for failure in failures:
        assert_type(failure.path + failure.expected, str)
        assert_type(failure.kind, Literal["changed", "missing", "unreadable"])
        assert_type(failure.found, str | None)
        assert_type(failure.error, OSError | None)


def tell(entry: fastcopy.Entry) -> None:
    assert_type(entry.path, str | bytes)
    assert_type(entry.kind + entry.outcome, str)
    assert_type(entry.why, str | None)
    assert_type(entry.size + entry.errno, int)


def trees() -> None:
    report = fastcopy.transfer(
        src,
        dst,
        existing="update",
        symlinks="follow",
        special="recreate",
        include="*.py",
        exclude=["build/", b"\xff*"],
        min_size=1,
        max_size=None,
        one_filesystem=True,
        order="largest_first",
        dry_run=True,
        on_error="stop",
        on_entry=tell,
        preserve={"mode", "times", "owner", "xattr", "links"},
    )
    entries: list[fastcopy.Entry] = []
    fastcopy.transfer(src, dst, on_entry=entries.append)
    assert_type(report.files + report.directories + report.symlinks + report.links + report.special, int)
    assert_type(report.shared + report.holes + report.skipped + report.excluded + report.error_count, int)
    assert_type(report.errors, tuple[fastcopy.EntryError, ...])
    try:
        fastcopy.plan(src, dst).run()
    except fastcopy.TreeError as error:
        assert_type(error.report, fastcopy.Report)
        assert_type(error.error_count, int)
        for entry in error.errors:
            assert_type(entry.path, str | bytes)
            assert_type(entry.operation, str | None)
            assert_type(entry.errno, int)


def errors() -> None:
    try:
        fastcopy.transfer(src, dst)
    except fastcopy.VerifyError as error:
        assert_type(error.code, str | None)
        assert_type(error.offset, int | None)
        assert_type(error.digests, tuple[str, str] | None)
    except fastcopy.CopyError as error:
        assert_type(error.code, str | None)
        assert_type(error.errno, int | None)
    except (fastcopy.SameFileError, fastcopy.SpecialFileError) as error:
        assert_type(error.strerror, str | None)


def what_is_wrong() -> None:
    fastcopy.transfer(src, dst, engin="buffered")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fastcopy.transfer(src, dst, sync="fully")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.transfer(src, dst, verify="maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.transfer(src, dst, verify=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.transfer(src, dst, hash=str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.transfer(src, dst, hash=hashlib.sha256())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.copyfile(src, dst, atomic=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fastcopy.hash_file(src, str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fastcopy.copy(b"a", "b")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def measuring() -> None:
    from fastcopy.measure import File, Ratio, Result, Tree, Way, measure, race

    def copy(a: Path, b: Path) -> object:
        return fastcopy.transfer(a, b, engine="buffered")

    ways = [Way(name="ours", copy=copy, claim={"engine": "buffered"}), Way(name="theirs", copy=os.link)]
    assert_type(measure(ways, [0, 4096], src, rounds=3, cache="cold"), tuple[Result, ...])
    result = race(ways, File(1), "there", existing=True, sync=True, seconds=1.5, baseline="theirs")
    race(ways, Tree(((3, 100), (1, 1000))), src, progress=lambda done, total, way: None)
    assert_type(result["ours"].ratio, Ratio | None)
    assert_type(result["ours"].seconds, tuple[float, ...])
