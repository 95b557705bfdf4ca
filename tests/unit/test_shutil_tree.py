"""copytree and move of the shutil door: shutil's meaning to the letter, by the engine where nobody can tell."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fastcopy
from fastcopy import _core
from support.faults import calls, fails, faults, needs_faults
from support.state import nothing_leaked
from support.trees import state

COPYTREES = pytest.mark.parametrize("copytree", (shutil.copytree, fastcopy.copytree), ids=("shutil", "fastcopy"))


@pytest.fixture
def src(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a" * 1000)
    (root / "sub" / "b.o").write_bytes(b"b" * 300_000)
    (root / "sub" / "deep" / "c").touch()
    (root / "link").symlink_to("a.txt")
    (root / "sub" / "a.txt").write_bytes(b"x")
    (root / "sub").chmod(0o750)
    os.utime(root / "sub", (1, 2))
    return root


@pytest.fixture
def by_engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which trees the engine was given."""
    given: list[str] = []
    tree = _core.tree

    def watched(src: object, dst: object, *args: object, **options: object) -> object:
        given.append(os.fspath(dst))
        return tree(src, dst, *args, **options)

    monkeypatch.setattr(_core, "tree", watched)
    monkeypatch.setattr(_core, "somebody_audits", lambda: False)  # another test's hook stays for ever
    return given


@pytest.mark.release
@pytest.mark.parametrize("symlinks", (False, True))
def test_a_plain_copy_is_the_engines_and_is_shutils(src: Path, tmp_path: Path, symlinks: bool, by_engine) -> None:
    shutil.copytree(src, tmp_path / "1", symlinks)
    with nothing_leaked(tmp_path):
        assert fastcopy.copytree(src, tmp_path / "2", symlinks) == tmp_path / "2"
    assert by_engine == [str(tmp_path / "2")]
    assert state(tmp_path / "1") == state(tmp_path / "2")
    fastcopy.copytree(os.fsencode(src), os.fsencode(tmp_path / "3"), symlinks)
    assert state(tmp_path / "1") == state(tmp_path / "3")


@COPYTREES
def test_ignore_is_called_once_a_directory_on_this_thread(src: Path, tmp_path: Path, copytree) -> None:
    asked: list[tuple[str, list[str], int]] = []

    def ignore(path: str, names: list[str]) -> list[str]:
        asked.append((os.path.relpath(path, src), sorted(names), threading.get_ident()))
        return ["a.txt"]

    copytree(src, tmp_path / "dst", ignore=ignore, symlinks=True)
    assert sorted(asked) == sorted(
        (path, names, threading.get_ident())
        for path, names in ((".", ["a.txt", "link", "sub"]), ("sub", ["a.txt", "b.o", "deep"]), ("sub/deep", ["c"]))
    )
    assert sorted(str(p.relative_to(tmp_path / "dst")) for p in (tmp_path / "dst").rglob("*")) == [
        "link",
        "sub",
        "sub/b.o",
        "sub/deep",
        "sub/deep/c",
    ]


@COPYTREES
def test_a_function_of_ones_own_runs_one_at_a_time_on_this_thread(src: Path, tmp_path: Path, copytree) -> None:
    inside, seen = [0], []

    def function(a: str, b: str) -> str:
        inside[0] += 1
        assert inside[0] == 1 and threading.get_ident() == main
        seen.append((os.path.relpath(a, src), os.path.relpath(b, tmp_path / "dst")))
        shutil.copy2(a, b)
        inside[0] -= 1
        return b

    main = threading.get_ident()
    copytree(src, tmp_path / "dst", copy_function=function)
    assert sorted(seen) == [(name, name) for name in ("a.txt", "link", "sub/a.txt", "sub/b.o", "sub/deep/c")]


@pytest.mark.parametrize("symlinks", (False, True))
def test_errors_are_shutils_triples(src: Path, tmp_path: Path, symlinks: bool, by_engine) -> None:
    os.mkfifo(src / "sub" / "pipe")
    (src / "dangling").symlink_to("nowhere")
    told = []
    for name, copytree in (("1", shutil.copytree), ("2", fastcopy.copytree)):
        with pytest.raises(shutil.Error) as failure:
            copytree(src, tmp_path / name, symlinks)
        told.append(sorted((a, b.replace(str(tmp_path / name), "dst"), why) for a, b, why in failure.value.args[0]))
    assert told[0] == told[1] and len(told[0]) == 2 - symlinks
    assert state(tmp_path / "1") == state(tmp_path / "2") and by_engine


@needs_faults
def test_what_failed_once_is_done_by_shutils_loop(src: Path, tmp_path: Path, by_engine) -> None:
    for operation in ("open", "pread", "mkdirat", "getdents", "futimens", "fchmod", "fstatat"):
        for nth in (1, 2, 4):
            dst = tmp_path / f"{operation}{nth}"
            with faults(fails(operation, errno.EACCES, nth)):
                try:
                    fastcopy.copytree(src, dst)
                except OSError as error:
                    assert operation in ("open", "fstatat") and error.errno == errno.EACCES
                    continue
            kept = {name: entry[:3] for name, entry in state(dst).items() if name not in (b"link", b"")}
            assert kept == {name: entry[:3] for name, entry in state(src).items() if name not in (b"link", b"")}


@COPYTREES
def test_a_destination_that_is_there(src: Path, tmp_path: Path, copytree) -> None:
    """Written through as copy2 does it: inode, second name and symlink stay; what is a directory is written into."""
    dst = tmp_path / "dst"
    with pytest.raises(FileNotFoundError):
        copytree(tmp_path / "missing", dst)
    assert not dst.exists()
    dst.mkdir()
    with pytest.raises(FileExistsError):
        copytree(src, dst)
    (dst / "a.txt").write_bytes(b"old" * 1000)
    os.link(dst / "a.txt", tmp_path / "second")
    (dst / "link").symlink_to(tmp_path / "behind")
    (tmp_path / "behind").write_bytes(b"behind")
    (tmp_path / "elsewhere").mkdir()
    (dst / "sub").symlink_to(tmp_path / "elsewhere")
    copytree(src, dst, dirs_exist_ok=True)
    assert (tmp_path / "second").read_bytes() == b"a" * 1000
    assert (dst / "link").is_symlink() and (tmp_path / "behind").read_bytes() == b"a" * 1000
    assert (dst / "sub").is_symlink() and (tmp_path / "elsewhere" / "b.o").read_bytes() == b"b" * 300_000
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o750


@COPYTREES
def test_into_itself_copies_what_was_there(src: Path, copytree) -> None:
    copytree(src, src / "new" / "in")
    assert sorted(os.listdir(src / "new" / "in")) == ["a.txt", "link", "sub"]


def test_somebody_who_listens_hears_of_each_file(src: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "heard = []\n"
        "sys.addaudithook(lambda event, args: event.startswith('shutil.') and heard.append(event))\n"
        "import fastcopy\n"
        "fastcopy.copytree(sys.argv[1], sys.argv[2])\n"
        "print(heard.count('shutil.copyfile'), heard.count('shutil.copytree'), heard.count('shutil.copystat'))\n"
    )
    command = [sys.executable, "-c", program, src, tmp_path / "dst"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["5", "3", "8"]


def test_options_and_progress_go_to_the_engine(src: Path, tmp_path: Path, by_engine) -> None:
    seen: list[fastcopy.Progress] = []
    fastcopy.copytree(src, tmp_path / "dst", workers=1, engine="buffered", progress=seen.append)
    assert by_engine and seen[-1].files == 5
    with pytest.raises(ValueError, match="workers"):
        fastcopy.copytree(src, tmp_path / "other", workers=0)
    assert not (tmp_path / "other").exists()


@needs_faults
def test_move_between_filesystems_uses_the_engine(src: Path, tmp_path: Path, monkeypatch, by_engine) -> None:
    before = state(src)

    def refuse(*names: object) -> None:
        raise OSError(errno.EXDEV, "another filesystem")

    monkeypatch.setattr(os, "rename", refuse)
    with faults():
        assert fastcopy.move(str(src), str(tmp_path / "dst")) == str(tmp_path / "dst")
    assert calls["getdents"] > 0 and by_engine
    assert not src.exists() and state(tmp_path / "dst") == before
    with pytest.raises(shutil.Error, match="into itself"):
        fastcopy.move(str(tmp_path / "dst"), str(tmp_path / "dst" / "in"))
