"""The dispatcher on invented facts: pinned choices, and what holds for any facts."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastcopy
from fastcopy import _core
from support.invented import GIB, choice, facts

KIB, MIB = 1 << 10, 1 << 20

CLONES = {"xfs", "btrfs", "bcachefs"}


@pytest.mark.parametrize(
    ("invented", "ladder", "reason"),
    (
        # The server copies, both ends being its own; else large requests are staged.
        (facts("nfs", "nfs"), ("copy_range", "buffered"), "server_copy"),
        (facts("smb", "smb"), ("copy_range", "buffered"), "server_copy"),
        (facts("cifs", "cifs"), ("copy_range", "buffered"), "server_copy"),
        (facts("nfs", "nfs", one_mount=False), ("buffered",), "network"),
        (facts("ext4", "nfs", one_mount=False), ("buffered",), "network"),
        (facts("smb", "xfs", one_mount=False), ("buffered",), "network"),
        (facts("unknown", "unknown"), ("buffered",), "network"),
        (facts("lustre", "lustre", one_mount=False), ("buffered",), "network"),
        (facts("fuse", "ext4", one_mount=False), ("buffered",), "network"),
        # Zero-copy calls have lost data there.
        (facts("zfs", "zfs"), ("buffered",), "zfs"),
        (facts("zfs", "ext4", one_mount=False), ("buffered",), "zfs"),
        # Shared extents.
        (facts("xfs", "xfs"), ("clone", "copy_range", "buffered"), "shared_extents"),
        (facts("btrfs", "btrfs"), ("clone", "copy_range", "buffered"), "shared_extents"),
        (facts("xfs", "xfs", one_mount=False), ("buffered",), "warm_local"),
        # Local.
        (facts(), ("buffered",), "warm_local"),
        (facts(size=8 * MIB), ("copy_range", "buffered"), "one_copy"),
        (facts("tmpfs", "ext4", one_mount=False), ("buffered",), "warm_local"),
        (facts(memory=GIB, resident=0), ("direct", "buffered"), "cache_pressure"),
        (facts(memory=GIB), ("buffered",), "warm_local"),  # all of it is in memory already
        # Sizes.
        (facts("proc", "ext4", 0), ("buffered",), "size_not_believed"),
        (facts("sysfs", "tmpfs", 4096), ("buffered",), "size_not_believed"),
        (facts(size=0), ("buffered",), "empty"),
        (facts(size=1), ("buffered",), "small_file"),
        (facts("xfs", "xfs", size=4096), ("buffered",), "small_file"),
    ),
    ids=lambda value: (
        f"{value['src']['fs']}-{value['dst']['fs']}-{value['src']['size']}" if isinstance(value, dict) else str(value)
    ),
)
def test_choice_and_reason(invented: dict[str, Any], ladder: tuple[str, ...], reason: str) -> None:
    made = choice(invented)
    assert tuple(made["ladder"]) == ladder
    assert made["engine"] == ladder[0]
    assert made["reason"] == reason
    assert made["reason_text"]


@pytest.mark.parametrize(
    ("invented", "workers", "reason"),
    (
        (facts(cpus=1, one_mount=False), 1, "one_cpu"),
        (facts(cpus=1), 1, "one_copy"),
        (facts(size=8 * MIB), 1, "one_copy"),
        (facts(cpus=2), 2, "cpus_allowed"),
        (facts(cpus=64), 2, "cpus_allowed"),  # the measured best, not the count
        (facts("lustre", "lustre", one_mount=False), 4, "streams"),
        (facts("ext4", "gpfs", one_mount=False, cpus=1), 4, "streams"),  # these wait for a server
        (facts("nfs", "ext4", one_mount=False), 1, "network"),
        (facts(src_more={"rotational": True}, resident=0), 1, "rotating"),
        (facts(src_more={"rotational": True}), 2, "cpus_allowed"),  # in memory already: no head moves
        (facts(dst_more={"rotational": True}), 2, "cpus_allowed"),  # the page cache takes what is written
        (facts(memory=GIB, resident=0), 4, "in_flight"),
        (facts(size=MIB, one_mount=False), 1, "below_threshold"),
        (facts("proc", "ext4", 0), 1, "no_region"),
    ),
)
def test_workers_and_their_reason(invented: dict[str, Any], workers: int, reason: str) -> None:
    made = choice(invented)
    assert made["workers"] == workers
    assert made["workers_reason"] == reason
    assert made["workers_reason_text"]


def test_a_batch_grant_is_an_upper_bound_of_auto_only() -> None:
    granted = facts(cpus=64)
    granted["machine"]["batch_cpus"] = 1
    assert choice(granted)["workers"] == 1
    assert choice(granted)["workers_reason"] == "batch_granted"
    assert choice(granted, workers=7)["workers"] == 7
    assert choice(granted, workers=7)["workers_reason"] == "workers_named"


def test_what_is_read_back_is_copied_where_a_clone_would_come_from_the_medium() -> None:
    xfs = facts("xfs", "xfs")
    for verify in ("compare", "hash", "auto"):
        made = choice(xfs, verify=verify)
        assert (tuple(made["ladder"]), made["reason"], made["workers"]) == (("buffered",), "read_back", 2)
    for shares in (
        choice(xfs, verify="media"),  # which asks the medium anyhow
        choice(xfs, verify="hash", sync="data"),  # so does this
        choice(xfs, verify="hash", reflink="always"),
        choice(facts("btrfs", "btrfs"), verify="hash"),  # there a clone is cheaper even so
        choice(facts("xfs", "xfs", memory=GIB), verify="hash"),  # it will not stay in memory
        choice(facts("xfs", "xfs", dst_more={"free_bytes": MIB}), verify="hash"),  # or not fit the disk
    ):
        assert shares["engine"] == "clone"


def test_requests_to_a_network_are_large_and_those_to_a_disk_fit_the_cache() -> None:
    assert choice(facts("nfs", "ext4", one_mount=False))["chunk"] == 4 * MIB
    assert choice(facts())["chunk"] == 256 * KIB
    assert choice(facts(), chunk=128 * KIB)["chunk"] == 128 * KIB


def test_what_is_read_again_is_read_in_requests_of_its_own_unless_they_were_named() -> None:
    cold = facts(memory=GIB, resident=0)
    assert (choice(cold, verify="compare")["chunk"], choice(cold, verify="compare")["read_chunk"]) == (MIB, 256 * KIB)
    assert choice(facts("nfs", "nfs"), verify="hash", digest=True)["read_chunk"] == 4 * MIB
    assert choice(facts(), verify="media", digest=True)["read_chunk"] == MIB
    for verify in ("compare", "hash", "media"):
        assert choice(facts(), verify=verify, chunk=64 * KIB)["read_chunk"] == 64 * KIB


def test_the_cache_option_decides_against_pressure_and_for_drop() -> None:
    cold = facts(memory=GIB, resident=0)
    assert choice(cold, cache="keep")["reason"] == "warm_local"
    assert choice(facts(resident=0), sync="data")["engine"] == "buffered"  # direct was slower, up to 4 GiB
    dropped = choice(facts(), cache="drop")
    assert (tuple(dropped["ladder"]), dropped["reason"]) == (("direct", "buffered"), "cache_drop")
    assert dropped["drop_cache"]


def test_reflink_never_and_no_zero_copy_leave_out_what_shares_extents() -> None:
    assert tuple(choice(facts("xfs", "xfs"), reflink="never")["ladder"]) == ("buffered",)
    assert tuple(choice(facts("xfs", "xfs"), no_zero_copy=True)["ladder"]) == ("buffered",)
    assert tuple(choice(facts("nfs", "nfs"), no_zero_copy=True)["ladder"]) == ("buffered",)
    assert tuple(choice(facts("xfs", "xfs"), reflink="always")["ladder"]) == ("clone",)
    with pytest.raises(OSError):
        choice(facts("ext4", "ext4"), reflink="always")


def test_finding_or_filling_holes_takes_an_engine_that_sees_the_bytes() -> None:
    for sparse in ("always", "never"):
        assert tuple(choice(facts("xfs", "xfs"), sparse=sparse)["ladder"]) == ("buffered",)


def test_a_file_with_holes_is_walked_and_not_preallocated() -> None:
    sparse = facts(data_bytes=MIB)
    assert choice(sparse)["has_holes"]
    assert not choice(sparse)["preallocate"]
    assert choice(facts())["preallocate"]
    assert not choice(sparse, sparse="never")["has_holes"]


def test_what_does_not_fit_is_refused_by_what_would_be_written() -> None:
    with pytest.raises(OSError):
        choice(facts(dst_more={"free_bytes": GIB - 1}))
    choice(facts(dst_more={"free_bytes": GIB}))
    choice(facts(dst_more={"free_bytes": MIB}, data_bytes=MIB))  # the rest is holes
    choice(facts("xfs", "xfs", dst_more={"free_bytes": 0}))  # shared
    owns = {"free_bytes": MIB, "allocated": GIB - MIB, "exists": True, "size": GIB - MIB}
    choice(facts(dst_more=owns), atomic=False)
    with pytest.raises(OSError):
        choice(facts(dst_more=owns), atomic=True)


# ---- what holds for any facts -----------------------------------------------------------------------

FILESYSTEMS = [
    *("unknown", "ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "vfat", "proc", "sysfs"),
    *("nfs", "smb", "cifs", "lustre", "gpfs", "ceph", "beegfs", "fuse"),
]

invented_facts = st.builds(
    facts,
    st.sampled_from(FILESYSTEMS),
    st.sampled_from(FILESYSTEMS),
    st.one_of(st.integers(0, MIB), st.integers(0, 1 << 45)),
    one_mount=st.booleans(),
    cpus=st.integers(0, 4096),
    memory=st.integers(0, 1 << 45),
    resident=st.integers(-1, 1 << 45),
    src_more=st.fixed_dictionaries({"rotational": st.booleans(), "dio_offset": st.sampled_from((0, 512, 4096))}),
    dst_more=st.fixed_dictionaries(
        {
            "exists": st.booleans(),
            "rotational": st.booleans(),
            "dio_offset": st.sampled_from((0, 512, 4096)),
            "free_bytes": st.integers(0, 2**64 - 1),
        }
    ),
    data_bytes=st.integers(0, 1 << 45),
)
wishes = {
    "reflink": st.sampled_from(("auto", "never")),
    "sparse": st.sampled_from(("auto", "always", "never")),
    "cache": st.sampled_from(("auto", "keep", "drop")),
    "atomic": st.booleans(),
    "no_zero_copy": st.booleans(),
    "split_depth": st.integers(-1, 12),
}
wished = st.fixed_dictionaries({}, optional=wishes)


@contextmanager
def refusing_is_fine() -> Iterator[None]:
    with contextlib.suppress(OSError):
        yield


@given(invented_facts, wished)
def test_auto_always_ends_in_the_way_that_always_works(invented: dict[str, Any], wish: dict[str, Any]) -> None:
    with refusing_is_fine():
        made = choice(invented, **wish)
        assert made["ladder"][-1] == "buffered"
        assert len(set(made["ladder"])) == len(made["ladder"])
        assert made["engine"] == made["ladder"][0]


@given(invented_facts, wished, st.sampled_from(fastcopy.engines()))
def test_a_named_engine_is_alone_on_its_ladder_or_refused(
    invented: dict[str, Any], wish: dict[str, Any], engine: str
) -> None:
    with refusing_is_fine():
        made = choice(invented, engine=engine, **wish)
        assert tuple(made["ladder"]) == (engine,)
        assert made["reason"] == "engine_named"


@given(invented_facts, wished)
def test_no_zero_copy_means_neither_clone_nor_copy_range(invented: dict[str, Any], wish: dict[str, Any]) -> None:
    with refusing_is_fine():
        assert not {"clone", "copy_range"} & set(choice(invented, **wish | {"no_zero_copy": True})["ladder"])


@given(invented_facts, wished, st.integers(1, 64))
def test_auto_takes_no_more_threads_than_were_allowed(
    invented: dict[str, Any], wish: dict[str, Any], batch: int
) -> None:
    invented["machine"]["batch_cpus"] = batch
    with refusing_is_fine():
        made = choice(invented, **wish)
        waiting = made["workers_reason"] in ("streams", "in_flight")  # for a server or a device, not a CPU
        assert made["workers"] >= 1
        assert waiting or made["workers"] <= max(1, min(invented["machine"]["cpus"], batch))


@given(invented_facts, wished, st.integers(1, 256))
def test_more_workers_than_named_never_run(invented: dict[str, Any], wish: dict[str, Any], workers: int) -> None:
    with refusing_is_fine():
        assert choice(invented, workers=workers, **wish)["workers"] in (1, workers)


@given(invented_facts, wished)
def test_a_plan_can_be_carried_out(invented: dict[str, Any], wish: dict[str, Any]) -> None:
    with refusing_is_fine():
        made = choice(invented, **wish)
        assert made["chunk"] > 0
        assert made["window"] > 0
        assert made["window"] % (64 * KIB) == 0
        assert 1 <= made["flush_every"] <= 1000
        assert made["size"] == invented["src"]["size"]
        assert made["in_place"] == (not wish.get("atomic", True))
        assert not (made["preallocate"] and (made["has_holes"] or made["find_zeros"]))


@given(invented_facts, wished)
def test_the_dispatcher_is_a_function(invented: dict[str, Any], wish: dict[str, Any]) -> None:
    try:
        first = choice(invented, **wish)
    except OSError as refusal:
        with pytest.raises(type(refusal)):
            choice(invented, **wish)
    else:
        assert choice(invented, **wish) == first


def test_engines_in_the_binding_and_in_the_package_are_the_same() -> None:
    assert fastcopy.engines() == _core.ENGINES
