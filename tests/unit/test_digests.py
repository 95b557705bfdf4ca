"""Every digest can be had by its name, what cannot be had says why, and a child of fork is none the worse."""

import errno
import hashlib
import importlib
import os
import sys

import blake3
import pytest
import xxhash

import fastcopy
from fastcopy import digests
from support.shapes import MIB, noise
from support.shells import python

CONTENT = noise(5 * MIB + 3)


def digest_of(content: bytes, hash, threads: int = 1) -> str:
    hasher = digests.resolve(hash).new(threads)
    hasher.update(memoryview(content)[:1000])
    hasher.update(memoryview(content)[1000:])
    return hasher.hexdigest()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_blake3_is_blake3_with_any_number_of_threads(threads):
    assert digest_of(CONTENT, "blake3", threads) == blake3.blake3(CONTENT).hexdigest()


@pytest.mark.parametrize("name", ["xxh32", "xxh64", "xxh3_64", "xxh3_128"])
def test_xxhash_has_its_own_names(name):
    assert digest_of(CONTENT, name) == getattr(xxhash, name)(CONTENT).hexdigest()


def test_every_fixed_length_name_of_hashlib_does():
    done = 0
    for name in hashlib.algorithms_available:
        try:
            expected = hashlib.new(name, CONTENT)
        except ValueError:  # OpenSSL lists it and does not have it
            continue
        if expected.digest_size:
            assert digest_of(CONTENT, name) == expected.hexdigest()
            assert digests.resolve(name).name == name
            done += 1
    assert done >= len(hashlib.algorithms_guaranteed) - 2  # the two of shake


class Length:
    """A digest of one's own: how many bytes there were."""

    def __init__(self):
        self.length = 0

    def update(self, data):
        self.length += len(data)

    def hexdigest(self):
        return f"{self.length:x}"


def test_a_factory_of_ones_own_goes_by_its_name():
    digest = digests.resolve(Length)
    assert digest.name == "Length"
    assert digest_of(CONTENT, Length) == f"{len(CONTENT):x}"

    def sized():
        return hashlib.blake2b(digest_size=7)

    assert digests.resolve(sized).name == "sized"
    assert digest_of(b"abc", sized) == hashlib.blake2b(b"abc", digest_size=7).hexdigest()


def test_an_object_without_a_name_goes_by_its_type():
    class Maker:
        def __call__(self):
            return Length()

    assert digests.resolve(Maker()).name == "Maker"


@pytest.mark.parametrize("name", ["", "sha-256", "SHA256", "nonsense", "blake4"])
def test_an_unknown_name_is_told_what_is_there(name):
    with pytest.raises(ValueError, match=r"is unknown\. There are here: blake3, xxh32, .*sha256") as caught:
        digests.resolve(name)
    assert f"hash={name!r}" in str(caught.value)
    assert "shake" not in str(caught.value)


@pytest.mark.parametrize("name", ["shake_128", "shake_256"])
def test_a_digest_without_a_length_is_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=f"hash='{name}': .*no length of its own.*factory"):
        digests.resolve(name)


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [("blake3", "blake3", "pip install blake3"), ("xxh3_128", "xxhash", r"pip install 'fastcopy-io\[xxhash\]'")],
)
def test_a_missing_package_is_told_how_to_install_it(name, package, install, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(ValueError, match=f"hash='{name}': the package {package} .*{install}") as caught:
        digests.resolve(name)
    assert isinstance(caught.value.__cause__, ImportError)
    there = str(caught.value).split("There are here: ")[1]
    assert name not in there.split(", ")
    assert "sha256" in there.split(", ")


def test_what_openssl_lists_and_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr(hashlib, "algorithms_available", {"whirlpool-of-old", "sha256"})
    with pytest.raises(ValueError, match=r"hash='whirlpool-of-old': hashlib lists it and cannot make it"):
        digests.resolve("whirlpool-of-old")


@pytest.mark.parametrize("wrong", [None, 3, b"blake3", Length()])
def test_what_is_neither_name_nor_callable_is_refused(wrong):
    with pytest.raises(TypeError, match=r"hash=.*a name, or a callable"):
        digests.resolve(wrong)


def test_a_factory_is_tried_before_any_file_is_touched(tmp_path):
    class Bytes(Length):
        def hexdigest(self):
            return b"00"

    for wrong in (dict, Bytes):
        with pytest.raises(TypeError, match=r"update\(buffer\) and hexdigest|gives a str"):
            fastcopy.hash_file(tmp_path / "missing", wrong)

    def broken():
        raise OSError(errno.EIO, "mine")

    with pytest.raises(OSError, match="mine") as caught:
        fastcopy.hash_file(tmp_path / "missing", broken)
    assert caught.value.filename is None


def test_threads_are_for_large_inputs_and_always_a_number():
    assert digests.threads_for(0) == digests.threads_for(MIB) == 1
    assert 1 <= digests.threads_for(1 << 40) <= len(os.sched_getaffinity(0))


def test_a_child_of_fork_can_hash_after_its_parent_has():
    """With blake3's AUTO it would wait for ever, for threads that only the parent has."""
    print_digest = """
import os, sys, warnings
from fastcopy import digests
warnings.simplefilter("ignore")

def hash_it():
    hasher = digests.resolve("blake3").new(2)
    hasher.update(bytes(32 << 20))
    return hasher.hexdigest()

before = hash_it()
pid = os.fork()
if pid == 0:
    os._exit(hash_it() != before)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert python(print_digest) == "0\n"
