"""The rules by which venues number their updates, and venue time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.core.sequence import Rule, Verdict, chained, counted, ranged
from livetape.core.times import iso, ns_of, ns_of_ms

APPLY, DROP, GAP = Verdict.APPLY, Verdict.DROP, Verdict.GAP


@pytest.mark.parametrize(
    ("rule", "first", "last", "verdict"),
    [
        (ranged, 11, 11, APPLY),
        (ranged, 11, 15, APPLY),
        (ranged, 5, 11, APPLY),  # the snapshot was taken in the middle of it
        (ranged, 5, 10, DROP),
        (ranged, 12, 12, GAP),
        (chained, 10, 11, APPLY),
        (chained, 10, 99, APPLY),
        (chained, 9, 10, DROP),
        (chained, 11, 12, GAP),
        (chained, 9, 12, GAP),
        (counted, 11, 11, APPLY),
        (counted, 10, 10, DROP),
        (counted, 12, 12, GAP),
    ],
)
def test_a_rule_judges_an_update_after_number_ten(
    rule: Rule, first: int, last: int, verdict: Verdict
) -> None:
    assert rule(10, first, last) is verdict


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(0, 10), st.data())
def test_a_loss_is_found_wherever_it_is(widths: list[int], start: int, data: st.DataObject) -> None:
    """Updates of several numbers each, as Binance sends them: all are applied, and none can be missing."""
    updates, at = [], start
    for width in widths:
        updates.append((at + 1, at + width))
        at += width
    lost = data.draw(st.integers(0, len(updates)))
    at = start
    for n, (first, last) in enumerate(updates):
        if n != lost:
            assert ranged(at, first, last) is (GAP if n > lost else APPLY)
            if n > lost:
                break
            assert ranged(last, first, last) is DROP
            at = last


def test_venue_time_is_exact_to_the_microsecond() -> None:
    moment = datetime(2026, 8, 2, 4, 23, 43, 220187, UTC)
    assert ns_of(moment) == 1785644623_220187_000
    assert ns_of(moment.astimezone(timezone(timedelta(hours=-5)))) == ns_of(moment)
    assert iso(ns_of(moment)) == "2026-08-02T04:23:43.220187Z"
    assert ns_of_ms(1666771877966) == 1666771877_966_000_000


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="without its zone"):
        ns_of(datetime(2026, 8, 2))
    for ms in (-1, 9_223_372_036_854):
        with pytest.raises(ValueError, match="not a time in milliseconds"):
            ns_of_ms(ms)
