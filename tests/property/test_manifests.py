"""Any name that a file can have goes into a line of a manifest and comes out of it."""

from hypothesis import example, given
from hypothesis import strategies as st

from fastcopy.manifests import format_line, parse_line

# Every byte but NUL; those that mean something are drawn more often. What is in one path, slashes too.
troublesome = st.sampled_from(b"\\\n\r nr*()=# \t/").map(lambda byte: bytes((byte,)))
anything = st.integers(1, 255).map(lambda byte: bytes((byte,)))
names = st.lists(troublesome | anything, min_size=1, max_size=40).map(b"".join)
digests = st.binary(min_size=4, max_size=64).map(bytes.hex)
tags = st.none() | st.sampled_from(["BLAKE3", "SHA256", "SHA3-256", "BLAKE2b-256", "XXH3"])


@given(names, digests, tags)
@example(b"-", "00" * 16, None)
@example(b"stdin", "00" * 16, "MD5")
@example(b"\r", "00" * 16, None)
@example(b") = 00", "00" * 16, "MD5")
@example(bytes(range(1, 256)), "00" * 16, None)
def test_a_name_comes_out_as_it_went_in(name: bytes, digest: str, tag: str | None) -> None:
    line = format_line(digest, name, tag)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b"\r" not in line
    read = parse_line(line[:-1])
    assert read == (digest, b"./" + name if name in (b"-", b"stdin") else name, tag)
    # Whoever gives the file the line ends of DOS changes nothing.
    assert parse_line(line[:-1] + b"\r") == read


@given(st.binary(max_size=200))
def test_a_line_is_understood_or_refused_and_nothing_else(line: bytes) -> None:
    try:
        read = parse_line(line)
    except ValueError:
        return
    assert read.name
    assert b"\0" not in read.name
    assert parse_line(format_line(read.digest, read.name, read.tag)[:-1]).digest == read.digest
