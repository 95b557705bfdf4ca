"""Random trees are what they were after a copy, by either door, and after a second one over the first."""

import os
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import fastcopy
from support.trees import make_tree, state

OPTIONS = st.fixed_dictionaries(
    {
        "atomic": st.booleans(),
        "workers": st.integers(1, 4),
        "order": st.sampled_from(("as_found", "smallest_first", "largest_first")),
        "preserve": st.sampled_from(({"mode", "times", "links"}, {"mode", "times", "owner", "xattr", "links"})),
        "sync": st.sampled_from(("none", "data", "full")),
    }
)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), options=OPTIONS, again=st.sampled_from(("overwrite", "update", "skip")))
def test_a_copy_equals_its_source(seed: int, options: dict[str, object], again: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        src, dst = Path(name, "src"), Path(name, "dst")
        make_tree(src, random.Random(seed))
        fastcopy.transfer(src, dst, **options)
        assert state(dst) == state(src)
        fastcopy.transfer(src, dst, existing=again, **options)
        assert state(dst) == state(src)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), symlinks=st.booleans(), dangling=st.booleans(), there=st.booleans())
def test_copytree_does_what_shutil_does(seed: int, symlinks: bool, dangling: bool, there: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        src = Path(name, "src")
        make_tree(src, random.Random(seed), links=False)
        for path in src.rglob("*"):  # shutil follows them for ever
            if path.is_symlink() and path.is_dir():
                path.unlink()
        outcomes = []
        for copytree in (shutil.copytree, fastcopy.copytree):
            dst = Path(name, copytree.__module__)
            if there:
                dst.mkdir()
                (dst / "kept").write_bytes(b"kept")
                os.utime(dst / "kept", (1, 2))
            try:
                copytree(src, dst, symlinks, ignore_dangling_symlinks=dangling, dirs_exist_ok=there)
                errors = None
            except shutil.Error as error:
                errors = sorted((a, os.path.relpath(b, dst), why) for a, b, why in error.args[0])
            outcomes.append((errors, state(dst)))
        assert outcomes[0] == outcomes[1]
