"""The split of a file into regions, for any size, depth and least region."""

from hypothesis import given
from hypothesis import strategies as st

from fastcopy import _core

KIB, MIB = 1 << 10, 1 << 20

sizes = st.one_of(
    st.integers(0, 1 << 44),
    st.integers(0, 64 * MIB),
    st.builds(lambda n, d: max(0, n * 2 * MIB + d), st.integers(0, 64), st.integers(-2, 2)),
)
depths = st.integers(0, 10)
least = st.one_of(st.integers(1, 64 * MIB), st.sampled_from((64 * KIB, 2 * MIB, 2 * MIB - 1, 8 * MIB)))


@given(sizes, depths, least)
def test_leaves_cover_the_file_exactly_and_in_order(size: int, depth: int, min_region: int) -> None:
    leaves = _core.region_split(size, depth, min_region)
    at = 0
    for start, end in leaves:
        assert start == at  # no gap and no overlap
        assert end > start
        at = end
    assert at == size
    assert bool(leaves) == bool(size)


@given(sizes, depths, least)
def test_inner_borders_share_no_page_and_no_huge_page(size: int, depth: int, min_region: int) -> None:
    step = 2 * MIB if min_region >= 2 * MIB else 64 * KIB
    for _, end in _core.region_split(size, depth, min_region)[:-1]:
        assert end % step == 0


@given(sizes, depths, least)
def test_no_more_leaves_than_the_depth_allows_and_none_too_short(size: int, depth: int, min_region: int) -> None:
    leaves = _core.region_split(size, depth, min_region)
    assert len(leaves) <= 2**depth
    if len(leaves) > 1:
        assert all(end - start >= min_region for start, end in leaves)


@given(st.integers(1, 1 << 40), st.integers(1, 10), least)
def test_a_file_with_room_for_two_regions_is_split(size: int, depth: int, min_region: int) -> None:
    # Rounding moves the middle by half a step at most.
    if size >= 2 * min_region + 4 * MIB:
        assert len(_core.region_split(size, depth, min_region)) > 1


def test_the_split_of_a_gibibyte_is_what_the_documentation_says() -> None:
    leaves = _core.region_split(1 << 30, 7, 8 * MIB)
    assert leaves == [(i * 8 * MIB, (i + 1) * 8 * MIB) for i in range(128)]
