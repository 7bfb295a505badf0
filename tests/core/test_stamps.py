"""Times on a wire keep every nanosecond."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from livetape.core.stamps import extension, ns_of_stamp, rfc3339

MOMENT = 1_614_009_105 * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2021-02-22T15:51:45.335689322Z", MOMENT + 335_689_322),
        ("2021-02-22T15:51:45.3356Z", MOMENT + 335_600_000),
        ("2021-02-22T15:51:45Z", MOMENT),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_text_is_exact_and_trimmed(text: str, ns: int) -> None:
    assert ns_of_stamp(text) == ns
    assert rfc3339(ns) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-02-22",
        "2021-02-22T15:51:45",
        "2021-02-22T15:51:45.Z",
        "2021-02-22T15:51:45+01:00",
        "2021-02-30T15:51:45Z",
        "2021-02-22T15:51:45.1234567890Z",
        "1969-12-31T23:59:59Z",
        "2263-01-01T00:00:00Z",
        "٢٠٢١-02-22T15:51:45Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|out of range"):
        ns_of_stamp(text)


# The three forms, as the specification of msgpack lays them out.
@pytest.mark.parametrize(
    ("data", "ns"),
    [
        ((1_614_009_105).to_bytes(4, "big"), MOMENT),
        ((335_689_322 << 34 | 1_614_009_105).to_bytes(8, "big"), MOMENT + 335_689_322),
        ((335_689_322).to_bytes(4, "big") + (1_614_009_105).to_bytes(8, "big"), MOMENT + 335_689_322),
    ],
)
def test_each_length_of_the_extension_is_read(data: bytes, ns: int) -> None:
    assert ns_of_stamp(msgpack.Ext(-1, data)) == ns


@pytest.mark.parametrize(
    "ext",
    [
        msgpack.Ext(1, bytes(4)),
        msgpack.Ext(-1, bytes(5)),
        msgpack.Ext(-1, b""),
        msgpack.Ext(-1, b"\xff" * 8),  # more than 999 999 999 ns
        msgpack.Ext(-1, bytes(4) + b"\xff" * 8),  # before 1970
    ],
)
def test_an_extension_that_is_no_time_is_refused(ext: msgpack.Ext) -> None:
    with pytest.raises(ValueError, match=r"time|second"):
        ns_of_stamp(ext)


@given(st.integers(0, 2**63 - 1))
def test_both_ways_lose_nothing(ns: int) -> None:
    assert ns_of_stamp(rfc3339(ns)) == ns
    assert ns_of_stamp(extension(ns)) == ns


@given(st.integers(0, 2**62 // 1000))
def test_another_implementation_reads_the_same(us: int) -> None:
    moment = msgpack.decode(msgpack.encode(extension(us * 1000)))
    assert moment == datetime.fromtimestamp(us // 10**6, UTC).replace(microsecond=us % 10**6)
