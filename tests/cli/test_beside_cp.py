"""`cp` and `fastcopy` meet the same situations, and leave the same trees and the same statuses behind.

Where they mean to differ, a test of its own says how, and docs/coming-from.md says it to users.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastcopy.cli import main
from support.mounts import Mounts
from support.people import nobody_in

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(shutil.which("cp") is None, reason="there is no cp here"),
]

LONG_AGO = 1_000_000_000
LATER = 1_100_000_000
FAR_FUTURE = 4_000_000_000


def put(path: Path, content: str, mode: int = 0o644, mtime: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    os.utime(path, (mtime, mtime))


def build(root: Path) -> None:
    """The situation: a bit of everything."""
    root.mkdir()
    for name, mode in (("file", 0o644), ("program", 0o755), ("secret", 0o600), ("open", 0o666), ("setuid", 0o4755)):
        put(root / name, f"content of {name}", mode)
    put(root / "empty", "")
    put(root / "-dash", "dash")
    put(root / "there", "what was there", 0o640)
    put(root / "newer", "newer", mtime=FAR_FUTURE)
    put(root / "dir/one", "one", 0o640)
    put(root / "dir/sub/two", "two", 0o755)
    put(root / "dir/empty", "")
    (root / "dir/link").symlink_to("one")
    (root / "dir/broken").symlink_to("nowhere")
    (root / "dir/up").symlink_to("sub")
    (root / "dir/sub").chmod(0o777)
    put(root / "other/one", "other's one", mtime=LATER)
    put(root / "other/three", "three")
    put(root / "twin/file", "the twin of file")
    put(root / "into/file", "into's file", 0o600, LATER)
    put(root / "into/dir/one", "into's one", 0o600, FAR_FUTURE)
    put(root / "into/dir/extra", "extra")
    put(root / "merged/dir/three", "what is merged with")
    put(root / "blocked/dir", "a file where a directory would be")
    (root / "occupied/file").mkdir(parents=True)
    (root / "link").symlink_to("file")
    (root / "broken").symlink_to("nowhere")
    (root / "dirlink").symlink_to("dir")
    (root / "intolink").symlink_to("into")
    (root / "therelink").symlink_to("there")
    put(root / "linked/a", "linked")
    os.link(root / "linked/a", root / "linked/b")
    os.mkdir(root / "special")
    os.mkfifo(root / "special/fifo", 0o640)
    for path in (root / "dir/sub", root / "dir", root / "other", root / "linked", root / "special"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    for path in (root / "link", root / "dir/link"):
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def look(root: Path) -> dict[str, tuple[object, ...]]:
    """Kinds, modes, owners, contents, links, and times but for those of this very run."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        st = path.lstat()
        name = str(path.relative_to(root))
        content: object = None
        if stat.S_ISREG(st.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(st.st_mode):
            content = os.readlink(path)
        time = st.st_mtime if st.st_mtime in (LONG_AGO, LATER, FAR_FUTURE) else "now"
        same = first.setdefault(st.st_ino, name) if not stat.S_ISDIR(st.st_mode) else None
        found[name] = (stat.filemode(st.st_mode), st.st_uid, st.st_gid, time, content, same)
    return found


def fastcopy(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as exit:
        assert isinstance(exit.code, int)
        return exit.code


def both(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both statuses are said to agree where both are 0 or neither: cp calls wrong usage 1, and we 2."""
    for name in ("cp", "fastcopy"):
        build(tmp_path / name)
    by_cp = subprocess.run(("cp", *words), cwd=tmp_path / "cp", capture_output=True, text=True, env={"LC_ALL": "C"})
    monkeypatch.chdir(tmp_path / "fastcopy")
    status = fastcopy(*words)
    told = f"cp {' '.join(words)}: {by_cp.returncode} {by_cp.stderr}"
    assert (status == 0) == (by_cp.returncode == 0), told
    assert look(tmp_path / "fastcopy") == look(tmp_path / "cp"), told


CASES = [
    # one file
    *("file new", "file new/", "file nowhere/new", "missing new", "file there", "file into", "file into/", "file ."),
    *(
        "program new",
        "secret new",
        "open new",
        "setuid new",
        "empty new",
        "secret there",
        "./file new",
        "dir/../file new",
    ),
    *("-- -dash new", "file -- -dash"),
    # one directory
    *("dir new", "-r dir new", "-r dir new/", "-r dir/ new", "-r dir/ new/", "-r dir into", "-r dir/ into"),
    *("-r dir/. into", "-r dir/. new", "-r dir/sub/.. new", "-r dir/sub/.. into", "-R dir nowhere/new"),
    *("-r dir merged", "-r other/. merged/dir", "-r dir blocked", "-r dir file", "-r missing new"),
    # a file and a directory
    *("file occupied", "-T file into", "-T file occupied/file", "-rT dir file"),
    # several sources
    *("file program into", "file program new", "file missing program into", "file dir into", "-r file dir into"),
    *("file twin/file into", "file file into", "file ./file into", "file program empty", "-r dir dir into"),
    *("-r dir other/ into",),
    # -t, -T
    *("-t into file program", "--target-directory=into file", "-t new file", "-t file program", "-rt into dir"),
    *(
        "-T file new",
        "-T file there",
        "-rT dir into",
        "-rT dir new",
        "-T file program into",
        "-T -t into file",
        "-t into",
    ),
    *("-rT dir intolink", "-r dir intolink", "file intolink", "file intolink/", "-rT dir intolink/"),
    # what is there
    *(
        "-n file there",
        "-n file new",
        "-n file into",
        "-rn dir into",
        "-f file there",
        "-u file there",
        "-u file newer",
    ),
    *("-u newer there", "-u file new", "-ru dir into", "-ru other into", "-u file into"),
    # itself
    *("file file", "file ./file", "file link", "link file", "-a file file"),
    # symlinks
    *(
        "link new",
        "-P link new",
        "-d link new",
        "-a link new",
        "-r link new",
        "-H link new",
        "-L link new",
        "-rL link new",
    ),
    *(
        "broken new",
        "-P broken new",
        "-r broken new",
        "-rL broken new",
        "file therelink",
        "file broken",
        "-P link there",
    ),
    *("-P link therelink", "dirlink new", "-r dirlink new", "-rH dirlink new", "-rL dirlink new", "-rP dirlink new"),
    *("-r dirlink/ new", "-r dirlink/. new", "-rH dirlink/ into", "-rL dir/sub new", "-rH dir new"),
    # metadata
    *(
        "-p file new",
        "-p program there",
        "-p setuid new",
        "-p secret there",
        "-rp dir new",
        "-a dir new",
        "-a dir into",
    ),
    *("-a file dir link broken into", "-a linked new", "-r linked new", "-a linked/a linked/b into", "-a special new"),
    *("-r special new", "-a special/fifo new", "--preserve=mode file new", "--preserve=timestamps file new"),
    *("--preserve=mode,timestamps,links linked/a linked/b into", "--preserve setuid new", "-pr dir/sub into"),
    # the rest
    *(
        "-v file new",
        "-x -r dir new",
        "--reflink=never file new",
        "--reflink=auto file new",
        "--sparse=always file new",
    ),
    *(
        "--archive dir new",
        "--recursive dir new",
        "--no-clobber file there",
        "--update file newer",
        "--force file there",
    ),
    *("file -r dir -t into", "file", ""),
]

# The same again, closer: every way to spell a place, to lead to one, and to have a clash there.
MORE_CASES = """
file new// | file into// | file into/. | file into/.. | file ./ | file .. | file /nowhere/x | dir/ new
-r dir// new | -r dir into/ | -r dir into/. | -r dir ./new | -r dir/. dirlink | -r dir file/ | -r dir there
-r dirlink into | -r dirlink/ into | -r dirlink/. into | -r -L dirlink into | -a dirlink into | -a dirlink/ into
-a dirlink/. into | -a dir/. into | -a dir/. new | -a dir/. merged | -a dir/ merged | -a dir merged
-a dir/sub/. merged/dir | -aT dir new | -aT dir merged/dir | -T dir new | -T file new/ | -T file intolink
-T file therelink | -rT dir there | -rT dir therelink | -rT dir dirlink | -rT dirlink new | -rT other merged/dir
-t into file file | -t intolink file | -t into/ file program | -t there file | -t nowhere file
-t into -- -dash | -t into dir | -rt into dir other | -rt intolink dir | -t into file missing | -t . file
-t dir/sub file dir/one | -T file | -T file new extra | twin/file file into | -n file twin/file into
-u file twin/file into | -f file twin/file into | -r dir/one other/one into | -r dir other/dir into
-r dir other into/dir | dir/one other/one twin | file file file into | -r dir dir/ into | -p file there
-p file into | -p newer there | -p secret open new | -p secret new | -p setuid there | -p empty there
-p link new | -pP link new | -p -r dir into | -p dir/sub/two into/dir/one | --preserve=all file new
--preserve=mode file there | --preserve=timestamps file there | --preserve=ownership file there
--preserve=links linked/a linked/b new | --preserve=nothing file new | --preserve=mode,nothing file new
-u there file | -u newer file | -u -r dir into | -u -a dir into | -ua other into | -ru other/. into/dir
-u dir into | -u missing there | -u link there | -uP link there | -un file newer | -n newer there | -n dir into
-nr dir into | -na dir into | -n missing there | -n link there | -nP link there | -nP link new | -n file link
-n file broken | -n file file | -n -f file there | -f -n file there | -nv file there | -nT file there
-nT file into | -f missing there | -f file into | -f dir there | -rf dir there | -f file broken
-f file therelink | -fP link there | -f file file | -f file link | --sparse=never file new
--sparse=always empty new | --sparse=auto secret new | --sparse=sometimes file new | --sparse file new
--reflink=never -r dir new | --reflink=maybe file new | -x dir new | -rx dir into | -R dir new | -d broken new
-d dirlink new | -d link there | -d linked/a linked/b into | -dr linked new | -P dirlink new | -P broken into
-P link broken | -P link link | -P link file | -P file link | -a link file | -a file link | -a broken new
-a broken there | -L broken new | -L link there | -Lr dir new | -HL dirlink new | -rHP dirlink new
-rPH dirlink new | -rLP dirlink new | -RH link new | -rH link into | file dirlink | file dirlink/
file dirlink/new | -r dir intolink/ | -r dir intolink/new | link therelink | therelink there | there therelink
-a there therelink | -r special/fifo new | -a special into | -r special/fifo there | -r special/fifo into
file special/fifo/ | -a linked/a linked/b new | -a linked/. into | -a linked into | -r linked/a linked/b into
linked/a linked/b | linked/a linked/a | -f linked/a linked/b | -p linked/a linked/b | -a linked/a linked/b
dir/one/ new | dir/one/. new | file/ new | file/. new | file file/ | -r file/ new | -r dir/one/. new | . new
.. new | -r . . | -r dir . | -r ./dir ./ | -r dir/sub . | -r dir/sub ./dir | -r dir/sub dir
-r other dir/sub/new | -r other dir/link | -r other dir/up | -r dir occupied/file | -r dir blocked/
-r dir blocked/dir | -r dir blocked/dir/ | file blocked/dir/new | file blocked/dir/ | file occupied/
-r file occupied | -r file into | -r file broken | file nowhere/ | -r dir nowhere/ | -r dir nowhere/x/
-r missing into | missing1 missing2 into | missing into | missing file/ | file program there
file program therelink | file program intolink | file program broken | file program new/ | file dir other into
-r file dir missing other into | -- file new | -- file -- new | -t into -T file | --target-directory into file
--no-target-directory file into | --recursive --dereference dirlink new | --archive --no-dereference link new
-rpP dir new | -rp dir into | -rdp dir into | -Rp --no-clobber dir into | -a -n dir into
"""

# Refused as a whole, where cp copies some of it first.
INTO_ITSELF = (
    "-r . into",
    "-r ./ new",
    "-r dir/.. into",
    "-r dir dir",
    "-r dir dir/.",
    "-r dir/sub dir/sub/inner",
    "-a dir dir/sub",
)


@pytest.mark.parametrize("words", (*CASES, *re.split(r" \| |\n", MORE_CASES.strip())))
def test_both_do_the_same(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both(tuple(words.split()), tmp_path, monkeypatch)


@pytest.mark.parametrize("words", INTO_ITSELF)
def test_a_directory_is_not_copied_into_itself_and_not_begun(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "place")
    before = look(tmp_path / "place")
    assert subprocess.run(("cp", *words.split()), cwd=tmp_path / "place", capture_output=True).returncode == 1
    shutil.rmtree(tmp_path / "place")
    build(tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    assert fastcopy(*words.split()) == 1
    assert look(tmp_path / "place") == before


@pytest.mark.parametrize("umask", (0o000, 0o027, 0o077))
@pytest.mark.parametrize("words", ("open new", "-r dir new", "-a dir new", "program there", "-r special new"))
def test_both_heed_the_umask(words: str, umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(umask)
    try:
        both(tuple(words.split()), tmp_path, monkeypatch)
    finally:
        os.umask(before)


@pytest.mark.parametrize("words", ("file there", "file new", "-r dir into", "-a dir new", "-u file there"))
def test_in_place_is_what_cp_does_to_every_name_of_a_file(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cp", "fastcopy"):
        build(tmp_path / name)
        os.link(tmp_path / name / "there", tmp_path / name / "other name")
    subprocess.run(("cp", *words.split()), cwd=tmp_path / "cp", check=True)
    monkeypatch.chdir(tmp_path / "fastcopy")
    assert fastcopy("--in-place", *words.split()) == 0
    assert look(tmp_path / "fastcopy") == look(tmp_path / "cp")


def test_without_it_one_name_gets_the_new_file_and_the_other_keeps_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    os.link("there", "other name")
    assert fastcopy("file", "there") == 0
    assert Path("there").read_text() == "content of file"
    assert Path("other name").read_text() == "what was there"


def contents(root: Path) -> dict[str, object]:
    """Of files that are not empty: those of a directory have no blocks to share, and are copied."""
    return {name: facts[4] for name, facts in look(root).items() if isinstance(facts[4], bytes) and facts[4]}


@pytest.mark.parametrize("words", ("file new", "empty new", "file there", "-r dir new", "-r dir into"))
def test_blocks_that_cannot_be_shared_are_a_refusal_that_leaves_no_empty_files(
    words: str, mounts: Mounts, empty_directory: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = empty_directory(mounts.use("tmpfs")) / "place"
    build(place)
    before = contents(place)
    assert subprocess.run(("cp", "--reflink=always", *words.split()), cwd=place, capture_output=True).returncode == 1
    shutil.rmtree(place)
    build(place)
    monkeypatch.chdir(place)
    assert fastcopy("--reflink=always", *words.split()) == 1
    assert contents(place) == before
    assert not os.path.isfile("new")


RIGHTS = [
    *("locked new", "readable locked", "-f readable locked", "readable closed/new", "-r closed new", "-r tree new"),
    *(
        "readable closed",
        "-p readable new",
        "-a tree new",
        "readable open/new",
        "-n readable locked",
        "-u readable locked",
    ),
]


@pytest.mark.parametrize("words", RIGHTS)
def test_both_are_stopped_by_missing_rights(words: str, tmp_path: Path) -> None:
    seen = []
    for name in ("cp", "fastcopy"):
        root = tmp_path / name
        put(root / "readable", "readable")
        put(root / "locked", "locked", mtime=LONG_AGO - 1)
        put(root / "closed/inside", "inside")
        put(root / "tree/a", "a")
        put(root / "tree/locked", "locked")
        (root / "open").mkdir()
        for path in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
            path.chmod(path.stat().st_mode | 0o111)
        with nobody_in(root):
            for path, mode in (("locked", 0o444 if "readable" in words else 0), ("tree/locked", 0), ("closed", 0o444)):
                os.chmod(path, mode)
            # A fork of this process, which is nobody: the program cp has no need of more.
            status = subprocess.run(("cp", *words.split())).returncode if name == "cp" else fastcopy(*words.split())
            for path in ("locked", "tree/locked", "closed", "new"):
                if os.path.lexists(path):
                    os.chmod(path, 0o755)
            if os.path.lexists("new/locked"):
                os.chmod("new/locked", 0o644)
        seen.append((status != 0, {name: facts[4] for name, facts in look(root).items()}))
    assert seen[0] == seen[1]


NAMED = [
    *("-av dir new", "-rv dir into", "-rvT dir into", "-av dir/. into", "-av dir/ merged", "-rLv dir/sub new"),
    *(
        "-auv dir into",
        "-anv dir into",
        "-rnv other into",
        "-av linked new",
        "-av special new",
        "-av linked special into",
    ),
    *("-rv --in-place dir into", "-rv dirlink/ new"),
]


@pytest.mark.parametrize("words", NAMED)
def test_both_name_the_same_files(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = []
    for name in ("cp", "fastcopy"):
        build(tmp_path / name)
    ours = words.split()
    theirs = [word for word in ours if word != "--in-place"]
    by_cp = subprocess.run(("cp", *theirs), cwd=tmp_path / "cp", capture_output=True, text=True, check=True).stdout
    by_cp = by_cp.replace("'into/./", "'into/")  # its name of dir/. in there
    # What it removes first, to make a link or a node, is replaced here; newer ones say what they skip.
    said.append(sorted(line for line in by_cp.splitlines() if not line.startswith(("removed ", "skipped "))))
    monkeypatch.chdir(tmp_path / "fastcopy")
    assert fastcopy("--dry-run", *ours) == 0
    said.append(sorted(line for line in capfd.readouterr().out.splitlines() if not line.endswith(")")))
    assert fastcopy(*ours) == 0
    said.append(sorted(line for line in capfd.readouterr().out.splitlines() if not line.endswith(" s)")))
    assert said[0] == said[1] == said[2]


def test_the_comparison_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "one")
    build(tmp_path / "two")
    assert look(tmp_path / "one") == look(tmp_path / "two")
    (tmp_path / "two/file").chmod(0o600)
    os.utime(tmp_path / "two/there", (LATER, LATER))
    different = {name for name, facts in look(tmp_path / "one").items() if look(tmp_path / "two")[name] != facts}
    assert different == {"file", "there"}
    (tmp_path / "again").mkdir()
    with pytest.raises(AssertionError, match="cp --reflink=always"):
        monkeypatch.setattr(sys.modules[__name__], "fastcopy", lambda *words: 0)
        both(("--reflink=always", "missing", "new"), tmp_path / "again", monkeypatch)
