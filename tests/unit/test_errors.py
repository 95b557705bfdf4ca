"""An exception is caught by the name that a reader expects, says what, which and why, and survives a journey."""

import copy
import errno
import os
import pickle
import traceback

import pytest

import fastcopy
from fastcopy import errors


def failure(err=errno.EIO, code=None, **changed):
    said = {
        "op": "pwrite",
        "engine": "buffered",
        "offset": 4096,
        "at": "destination",
        "why": "the disk said no",
        "src": "a.bin",
        "dst": "b.bin",
        "kept": None,
    }
    return errors.from_core(err, code, **(said | changed))


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (errno.EACCES, PermissionError),
        (errno.EPERM, PermissionError),
        (errno.ENOENT, FileNotFoundError),
        (errno.EISDIR, IsADirectoryError),
        (errno.ENOTDIR, NotADirectoryError),
        (errno.EEXIST, FileExistsError),
        (errno.EINTR, InterruptedError),
        (errno.ETIMEDOUT, TimeoutError),
        (errno.ENOSPC, OSError),
    ],
)
@pytest.mark.parametrize("code", [None, "COPY_E_WRITE", "VERIFY_E_MISMATCH"])
def test_it_is_of_every_kind_that_it_should_be(err, kind, code):
    error = failure(err, code)
    assert isinstance(error, kind)
    assert error.errno == err
    assert isinstance(error, fastcopy.CopyError) is (code is not None)
    assert isinstance(error, fastcopy.VerifyError) is (code == "VERIFY_E_MISMATCH")
    assert getattr(error, "code", None) == code
    if code is None:
        assert type(error) is kind


def test_both_names_are_there_whichever_end_it_was():
    for at in ("both", "source", "destination"):
        for code in (None, "COPY_E_READ"):
            error = failure(code=code, at=at, src=b"a.bin", dst=os.fspath("b.bin"))
            assert (error.filename, error.filename2) == (b"a.bin", "b.bin")


def test_the_message_says_what_why_and_which():
    error = failure(errno.ECANCELED, "COPY_E_CANCELLED", why="cancel.is_set() is true")
    assert str(error) == "[Errno 125] the copy was cancelled: cancel.is_set() is true: 'a.bin' -> 'b.bin'"
    assert str(failure(errno.EIO)) == str(OSError(errno.EIO, os.strerror(errno.EIO), "a.bin", None, "b.bin"))


def test_every_code_of_the_core_has_its_words():
    from fastcopy import _core

    assert errors._MEANINGS.keys() == _core.CODES.keys()


def test_the_note_names_engine_operation_and_offset():
    (note,) = failure(errno.EIO, "COPY_E_WRITE", kept=".fastcopy-1").__notes__
    for part in (
        "engine=buffered",
        "operation=pwrite",
        "offset=4096",
        "the disk said no",
        ".fastcopy-1",
        "COPY_E_WRITE",
    ):
        assert part in note
    (note,) = failure(engine=None, op=None, why=None).__notes__
    assert note == f"engine=none operation=none offset=4096 at=destination: {os.strerror(errno.EIO)}"


def test_a_traceback_shows_the_note():
    if not hasattr(BaseException, "add_note"):
        pytest.skip("Python 3.10 prints no notes")
    assert "engine=buffered operation=pwrite" in "".join(traceback.format_exception(failure()))


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("code", [None, "COPY_E_WRITE", "VERIFY_E_MISMATCH"])
@pytest.mark.parametrize("err", [errno.EACCES, errno.ENOSPC])
def test_it_survives_a_journey(travel, err, code):
    before = failure(err, code)
    after = travel(travel(before))
    assert type(after) is type(before)
    assert str(after) == str(before)
    assert (after.errno, after.strerror) == (before.errno, before.strerror)
    assert (after.filename, after.filename2) == (before.filename, before.filename2)
    assert after.__notes__ == before.__notes__
    assert getattr(after, "code", None) == code


def test_it_can_be_made_by_hand_in_every_way_that_an_oserror_can():
    assert fastcopy.CopyError().args == ()
    assert str(fastcopy.CopyError("words")) == "words"
    assert type(fastcopy.CopyError(errno.EIO, "words")) is fastcopy.CopyError
    alone = fastcopy.CopyError(errno.EACCES, "words", "a.bin")
    assert isinstance(alone, PermissionError)
    assert type(alone).__name__ == "CopyError"
    for error in (fastcopy.CopyError(), fastcopy.CopyError("words"), alone):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_one_class_for_one_kind():
    assert type(failure(errno.EACCES, "COPY_E_READ")) is type(failure(errno.EPERM, "COPY_E_WRITE"))


def test_a_subclass_of_somebody_else_works():
    class Mine(fastcopy.CopyError):
        pass

    error = Mine(errno.EACCES, "words")
    assert isinstance(error, Mine)
    assert isinstance(error, PermissionError)


def test_the_kinds_of_shutil_are_shutils_own():
    import shutil

    assert fastcopy.SameFileError is shutil.SameFileError
    assert fastcopy.SpecialFileError is shutil.SpecialFileError
    same = failure(errno.EINVAL, "COPY_E_SAME_FILE")
    assert isinstance(same, shutil.SameFileError)
    assert isinstance(pickle.loads(pickle.dumps(same)), fastcopy.CopyError)
