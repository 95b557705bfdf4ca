"""Trees that somebody made to break a copy, and trees that change under it: nothing outside is ever written."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import fastcopy
from support.faults import Rule, calls, fails, faults, needs_faults, slow, struck
from support.state import descriptors, nothing_leaked
from support.trees import AWKWARD, state

# What a tree calls; a script of faults walks them.
OPERATIONS = [
    *("open", "close", "fstat", "fstatat", "fstatfs", "getdents", "readlinkat", "pread", "pwrite", "memory"),
    *("fchmod", "fchown", "fchownat", "futimens", "utimensat", "flistxattr", "fgetxattr", "thread", "getrandom"),
    *("linkat", "symlinkat", "mknodat", "mkdirat", "renameat", "unlinkat", "fsync", "syncfs"),
]


def make_deep(root: Path, levels: int, name: str = "a level with a name of some length") -> None:
    """Deeper than a path can be long: one level at a time."""
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    for level in range(levels):
        os.mkdir(name, dir_fd=fd)
        os.mkdir("beside", dir_fd=fd)
        file = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
        os.write(file, b"%d" % level)
        os.close(file)
        down = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = down
    os.close(fd)


def levels_of(root: Path, name: str = "a level with a name of some length") -> int:
    fd, level = os.open(root, os.O_RDONLY), 0
    with suppress(FileNotFoundError):
        while True:
            file = os.open("file", os.O_RDONLY, dir_fd=fd)
            assert os.read(file, 100) == b"%d" % level
            os.close(file)
            assert os.stat("beside", dir_fd=fd)
            down = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd, level = down, level + 1
    os.close(fd)
    return level


def remove(root: Path) -> None:
    """What is too deep for shutil.rmtree."""
    subprocess.run(["rm", "-rf", "--", root], check=True)


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(fd for fd, _ in descriptors()) + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """`act` is called over and over in a thread."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with suppress(OSError):
                act()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# ---- shapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", (1, 4))
def test_names_of_every_byte(tmp_path: Path, workers: int) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for i, name in enumerate(AWKWARD):
        path = os.path.join(os.fsencode(src), name)
        if i % 3 == 0:
            os.mkdir(path)
            path = os.path.join(path, name)
        if i % 3 == 2:
            os.symlink(b"to " + name, path)
        else:
            with open(path, "wb") as file:
                file.write(name * 100)
    fastcopy.transfer(src, tmp_path / "dst", workers=workers)
    assert state(src) == state(tmp_path / "dst")


def test_ten_thousand_levels(tmp_path: Path) -> None:
    make_deep(tmp_path / "src", 10_000)
    try:
        with few_descriptors(250):
            report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=4)
        assert report.directories == 20_001 and report.files == 10_000
        assert levels_of(tmp_path / "dst") == 10_000
    finally:
        remove(tmp_path / "src")
        remove(tmp_path / "dst")


def test_a_wide_directory_of_directories(tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / "src" / f"{i}" / "in").mkdir(parents=True)
    with few_descriptors(250):
        report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", workers=3)
    assert report.directories == 6001
    assert sorted(os.listdir(tmp_path / "dst")) == sorted(os.listdir(tmp_path / "src"))


def test_an_error_deep_down_names_its_path(tmp_path: Path) -> None:
    make_deep(tmp_path / "src", 300)
    try:
        with pytest.raises(fastcopy.TreeError) as failure:
            fd = os.open(tmp_path / "src", os.O_RDONLY)
            for _ in range(300):
                down = os.open("a level with a name of some length", os.O_RDONLY, dir_fd=fd)
                os.close(fd)
                fd = down
            os.mkfifo("pipe", dir_fd=fd)
            os.close(fd)
            fastcopy.transfer(tmp_path / "src", tmp_path / "dst", special="fail")
        (error,) = failure.value.errors
        assert error.path == "a level with a name of some length/" * 300 + "pipe"
    finally:
        remove(tmp_path / "src")
        remove(tmp_path / "dst")


def test_memory_does_not_grow_with_the_tree(tmp_path: Path) -> None:
    src = Path("/dev/shm") / f"fastcopy-{os.getpid()}"
    program = (
        "import fastcopy, resource, sys\n"
        "fastcopy.transfer(sys.argv[1], sys.argv[2])\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('RssAnon')).split()[1])"
    )
    try:
        grown = []
        for n in (1000, 100_000):
            (src / str(n)).mkdir(parents=True)
            for i in range(n):
                os.close(os.open(src / str(n) / str(i), os.O_CREAT | os.O_WRONLY))
            command = [sys.executable, "-c", program, str(src / str(n)), str(src / f"copy{n}")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            grown.append(int(done.stdout))
        assert grown[1] - grown[0] < 4096  # KiB
    finally:
        shutil.rmtree(src, ignore_errors=True)


# ---- somebody is at work meanwhile ----------------------------------------------------------------------


def tree_of_directories(root: Path) -> None:
    for i in range(30):
        (root / f"d{i}" / "in").mkdir(parents=True)
        for j in range(10):
            (root / f"d{i}" / f"f{j}").write_bytes(b"content")
            (root / f"d{i}" / "in" / f"f{j}").write_bytes(b"content")


@pytest.mark.parametrize("atomic", (True, False))
def test_a_symlink_swapped_into_the_destination_leads_nowhere(tmp_path: Path, atomic: bool) -> None:
    src, dst, outside = tmp_path / "src", tmp_path / "dst", tmp_path / "outside"
    tree_of_directories(src)
    (outside / "in").mkdir(parents=True)
    count = 0

    def swap() -> None:
        nonlocal count
        d = dst / f"d{count % 30}"
        count += 1
        os.rename(d, tmp_path / f"taken{count}")
        os.symlink(outside, d)
        time.sleep(0.0002)

    for _ in range(15):
        with meanwhile(swap), suppress(fastcopy.TreeError):
            fastcopy.transfer(src, dst, workers=3, atomic=atomic)
        assert os.listdir(outside) == ["in"] and not os.listdir(outside / "in")
        shutil.rmtree(dst, ignore_errors=True)
    assert count > 15


@needs_faults
@pytest.mark.parametrize("size", (5, 400_000))
@pytest.mark.parametrize("atomic", (True, False))
def test_a_file_that_came_since_the_look_is_skipped(tmp_path: Path, atomic: bool, size: int) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    src.mkdir()
    dst.mkdir()
    (src / "file").write_bytes(b"n" * size)

    def is_open() -> bool:
        """Then the look at the destination is over, for it is looked at before the source is opened."""
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}") == str(src / "file"):
                    return True
        return False

    came = False

    def come() -> None:
        nonlocal came
        if not came and is_open():
            (dst / "file").write_bytes(b"theirs")
            came = True

    # What is asked of a file that is no small one is asked before its destination is opened.
    with faults(slow("pread" if size < 1000 else "fstatfs", 0.3)), meanwhile(come):
        report = fastcopy.transfer(src, dst, existing="skip", atomic=atomic)
    assert came
    assert (report.files, report.skipped) == (0, 1)
    assert (dst / "file").read_bytes() == b"theirs"
    assert os.listdir(dst) == ["file"]


def test_a_symlink_swapped_into_the_source_is_not_followed(tmp_path: Path) -> None:
    src, dst, outside = tmp_path / "src", tmp_path / "dst", tmp_path / "outside"
    tree_of_directories(src)
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (outside / "f1").write_bytes(b"secret")
    count = 0

    def swap() -> None:
        nonlocal count
        d = src / f"d{count % 30}"
        count += 1
        os.rename(d, tmp_path / "taken")
        os.symlink(outside, d)
        os.unlink(d)
        os.rename(tmp_path / "taken", d)
        file = d / "f1"
        os.rename(file, d / "kept")
        os.symlink(outside / "secret", file)
        os.unlink(file)
        os.rename(d / "kept", file)

    for _ in range(15):
        with meanwhile(swap), suppress(fastcopy.TreeError):
            fastcopy.transfer(src, dst, workers=3)
        for directory, _, files in os.walk(dst):
            for name in files:
                path = Path(directory, name)
                assert path.is_symlink() or path.read_bytes() == b"content"
        shutil.rmtree(dst)
    assert count > 15


def test_files_that_come_go_and_grow(tmp_path: Path) -> None:
    src, dst = tmp_path / "src", tmp_path / "dst"
    tree_of_directories(src)
    count = 0

    def disturb() -> None:
        nonlocal count
        count += 1
        d = src / f"d{count % 30}"
        (d / "f1").unlink(missing_ok=True)
        (d / "f1").write_bytes(b"content")
        with (d / "f2").open("ab") as file:
            file.write(b"content")
        (d / "f3").unlink(missing_ok=True)
        os.replace(d / "in" / "f4", d / "f3")
        (d / "in" / "f4").write_bytes(b"content")
        shutil.rmtree(d / "in", ignore_errors=True)
        (d / "in").mkdir()

    for _ in range(10):
        with nothing_leaked(tmp_path), meanwhile(disturb):
            try:
                fastcopy.transfer(src, dst, workers=3)
            except fastcopy.TreeError as error:
                allowed = {errno.ENOENT, errno.ESTALE}
                assert {e.errno for e in error.errors} <= allowed
        for directory, _, files in os.walk(dst):
            for name in files:
                content = Path(directory, name).read_bytes()
                assert content == b"content" * (len(content) // 7)
        shutil.rmtree(dst)


def test_a_large_file_that_changes_is_an_error(tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    (src / "file").write_bytes(b"x" * (32 << 20))

    def touch() -> None:
        os.utime(src / "file")

    with meanwhile(touch), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, tmp_path / "dst", reflink="never")
    assert failure.value.code == "COPY_E_SOURCE_CHANGED"
    assert not os.listdir(tmp_path / "dst")


# ---- a system that refuses -----------------------------------------------------------------------------


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    src = tmp_path / "src"
    for i in range(4):
        (src / f"d{i}").mkdir(parents=True)
        for j in range(6):
            (src / f"d{i}" / f"f{j}").write_bytes(b"content" * j)
    (src / "large").write_bytes(b"x" * 600_000)
    (src / "there").symlink_to("large")
    os.mkfifo(src / "pipe")
    os.link(src / "large", src / "d0" / "linked")
    os.link(src / "d1" / "f3", src / "d2" / "linked")
    return src


@needs_faults
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("err", (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.ENOENT))
def test_any_call_that_fails_is_told_and_leaves_whole_files(small_tree: Path, operation: str, err: int) -> None:
    """Once, and for ever, at several places: the tree is right, or an error says what is not."""
    dst = small_tree.parent / "dst"
    wanted = state(small_tree)
    options = {"special": "recreate", "preserve": {"mode", "times", "owner", "xattr", "links"}, "sync": "full"}
    for nth, for_ever in ((1, False), (1, True), (3, False), (7, True), (20, False)):
        with nothing_leaked(small_tree.parent):
            with faults(Rule(operation, "errno", err, nth, for_ever)):
                try:
                    fastcopy.transfer(small_tree, dst, workers=1 + nth % 3, **options)
                    failed = False
                except OSError:
                    failed = True
            if not failed:
                assert state(dst) == wanted, (operation, nth, for_ever)
            else:
                assert struck[0] > 0
        for name, (mode, _, content, _) in state(dst).items() if dst.exists() else ():
            temporary = os.path.basename(name).startswith(b".fastcopy-")
            assert operation == "unlinkat" or not temporary
            if mode[0] == "-" and not temporary and operation != "close":
                assert content == wanted[name][2], (operation, nth, name)
        remove(dst)


@needs_faults
def test_every_operation_of_a_tree_is_among_them(small_tree: Path) -> None:
    called: set[str] = set()
    for sync in ("data", "full"):
        for existing in ("overwrite", "update"):
            with faults():
                options = {"special": "recreate", "preserve": {"mode", "times", "owner", "xattr", "links"}}
                fastcopy.transfer(small_tree, small_tree.parent / "dst", sync=sync, existing=existing, **options)
            called |= {operation for operation, count in calls.items() if count}
    assert called >= set(OPERATIONS)


@needs_faults
def test_short_reads_and_writes_are_gone_on_with(small_tree: Path) -> None:
    for operation in ("pread", "pwrite"):
        with faults(Rule(operation, "short", 5, 1, True)):
            fastcopy.transfer(small_tree, small_tree.parent / operation, special="recreate", preserve={"mode", "links"})
        copied = {name: (entry[0], entry[2]) for name, entry in state(small_tree.parent / operation).items()}
        assert copied == {name: (entry[0], entry[2]) for name, entry in state(small_tree).items()}


@needs_faults
def test_a_directory_closed_meanwhile_is_known_again(tmp_path: Path) -> None:
    """Far apart in a deep tree: what was closed is opened again and compared; what was exchanged is refused."""
    make_deep(tmp_path / "src", 400)
    try:
        with faults(fails("thread", errno.EAGAIN, for_ever=True)):
            report = fastcopy.transfer(tmp_path / "src", tmp_path / "dst", order="smallest_first")
        assert report.files == 400 and levels_of(tmp_path / "dst") == 400
    finally:
        remove(tmp_path / "src")
        remove(tmp_path / "dst")


def test_a_full_disk_in_the_middle(filesystem: Callable[[str], Path], tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    for i in range(40):
        (src / f"f{i}").write_bytes(os.urandom(100_000))
    room = filesystem("tmpfs") / "full"  # where it may be mounted on, in a namespace of our own
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "x", room], check=True)
    try:
        with pytest.raises(fastcopy.TreeError) as failure:
            fastcopy.transfer(src, room / "dst", workers=2)
        assert failure.value.code == "COPY_E_NOSPACE" and failure.value.report.files > 5
        assert failure.value.error_count + failure.value.report.files == 40
        for path in (room / "dst").iterdir():
            assert path.read_bytes() == (src / path.name).read_bytes()
    finally:
        subprocess.run(["umount", room], check=True)
        room.rmdir()


@needs_faults
def test_killed_in_the_middle_leaves_no_half_file(small_tree: Path) -> None:
    dst = small_tree.parent / "dst"
    program = (
        "import sys, fastcopy\n"
        "fastcopy._core.faults_set([('pwrite', 1, True, 'delay', 30000)])\n"
        "print(flush=True)\n"
        "fastcopy.transfer(sys.argv[1], sys.argv[2], workers=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, small_tree, dst], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    wanted = state(small_tree)
    for name, (mode, _, content, _) in state(dst).items():
        assert mode[0] != "-" or content == wanted[name][2]
    assert fastcopy.transfer(small_tree, dst, existing="update", special="recreate").error_count == 0
    assert {k: v[2] for k, v in state(dst).items()} == {k: v[2] for k, v in wanted.items()}


@needs_faults
def test_ctrl_c_stops_the_workers(small_tree: Path) -> None:
    import signal

    main = threading.get_ident()
    with faults(slow("pwrite", 0.02)), nothing_leaked(small_tree.parent):
        timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            fastcopy.transfer(small_tree, small_tree.parent / "dst", workers=1)
        timer.join()


# ---- names that are one name there -----------------------------------------------------------------------


@needs_faults
@pytest.mark.parametrize("size", (100, 300_000), ids=("small", "large"))
@pytest.mark.parametrize("options", ({}, {"atomic": False}, {"verify": "hash"}), ids=str)
def test_what_is_in_a_new_directory_already_is_not_overwritten(
    tmp_path: Path, options: dict[str, Any], size: int
) -> None:
    """As where two names of the source fold into one: whoever is first, here somebody else, keeps the name."""
    src, dst = tmp_path / "src", tmp_path / "dst"
    names = [f"{i:03}" for i in range(100)]
    src.mkdir()
    for name in names:
        (src / name).mkdir() if name.endswith("7") else (src / name).write_bytes(b"x" * size)
    ours: set[str] = set()

    def be_faster() -> None:
        while not dst.exists():
            pass
        for name in names:
            with suppress(FileExistsError), (dst / name).open("x") as file:
                file.write("mine")
                ours.add(name)

    thread = threading.Thread(target=be_faster)
    thread.start()
    with faults(slow("open", 0.01)), pytest.raises(fastcopy.TreeError) as failure:
        fastcopy.transfer(src, dst, workers=2, **options)
    thread.join()
    assert {(str(e.path), e.errno) for e in failure.value.errors} == {(name, errno.EEXIST) for name in ours}
    for name in set(names) - ours:
        assert (dst / name).is_dir() if name.endswith("7") else (dst / name).read_text() == "x" * size
    assert {(dst / name).read_text() for name in ours} == {"mine"}
    assert sorted(path.name for path in dst.iterdir()) == names
