"""The day from its trades equals a count of all of them, amendments included."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters import find
from livetape.core.events import Amendment, Trade
from livetape.core.instruments import Channel
from livetape.core.summary import DAY, Day

from ..sessions import opened

CHANNEL = "v:A/summary"
NOON = 20_000 * DAY + DAY // 2


def trade(
    price: str, size: str = "1", ns: int = NOON, excluded: tuple[str, ...] = (), id: str = "1"
) -> Trade:
    return Trade("v:A/trade", ns, price, size, None, id, excluded=excluded)


def test_the_first_day_is_not_whole_and_the_next_knows_its_previous_close() -> None:
    day = Day(CHANNEL)
    first = day.add(trade("10.50", "2"), NOON + 5)
    assert (first.open_text, first.last_text, first.volume_text, first.turnover_text) == (
        "10.50",
        "10.50",
        "2",
        "21.00",
    )
    assert (first.since_ns, first.previous_close_text, first.change) == (NOON + 5, None, None)
    later = day.add(trade("11", "1", NOON + DAY), NOON + DAY)
    assert (later.since_ns, later.previous_close_text, later.change) == (None, "10.50", 0.5)
    assert (later.volume_text, later.high_text) == ("1", "11")


def test_a_trade_sets_only_what_its_conditions_allow() -> None:
    day = Day(CHANNEL)
    day.add(trade("10"), NOON)
    odd = day.add(trade("99", "3", excluded=("last", "range"), id="2"), NOON)
    assert (odd.last_text, odd.high_text, odd.volume_text) == ("10", "10", "4")
    free = day.add(trade("12", "5", excluded=("volume",), id="3"), NOON)
    assert (free.last_text, free.high_text, free.volume_text) == ("12", "12", "4")


prices = st.integers(1, 50).map(str)
sizes = st.integers(1, 9).map(str)


@given(st.lists(st.tuples(prices, sizes), min_size=1, max_size=30), st.data())
def test_amendments_leave_what_a_day_with_the_right_trades_has(
    trades: list[tuple[str, str]], data: st.DataObject
) -> None:
    day, right = Day(CHANNEL), dict(enumerate(trades))
    for n, (price, size) in right.items():
        said = day.add(trade(price, size, id=str(n)), NOON)
    for n in data.draw(st.lists(st.sampled_from(sorted(right)), unique=True, max_size=5)):
        new = data.draw(st.none() | st.tuples(prices, sizes))
        amendment = Amendment(
            "v:A/trade", NOON, str(n), *right[n], *(new or (None, None)), None if new is None else f"new {n}"
        )
        said = day.amend(amendment)
        if new is None:
            del right[n]
        else:
            right[n] = new
    left = list(right.values())
    decimals = [(Decimal(price), Decimal(size)) for price, size in left]
    assert Decimal(said.volume_text or 0) == sum(size for _, size in decimals)
    assert Decimal(said.turnover_text or 0) == sum(price * size for price, size in decimals)
    assert said.high_text == (str(max(price for price, _ in decimals)) if left else None)
    assert said.low_text == (str(min(price for price, _ in decimals)) if left else None)
    assert said.last_text == (left[-1][0] if left else None)


def test_a_summary_is_made_of_the_trades_of_a_venue_that_sends_none() -> None:
    session = opened(find("gemini")(), [Channel("gemini", "BTC-USD", "summary")], NOON)
    head = b'{"type":"trade","symbol":"BTCUSD","event_id":1,"timestamp":1560976400428,'
    frame = head + b'"price":"9004.21","quantity":"0.09","side":"buy"}'
    told = session.receive(frame, NOON)
    assert [event.channel for event in told if event.channel != "gemini"] == ["gemini:BTC-USD/summary"] * 2
    assert told[-1].volume_text == "0.09"  # type: ignore[union-attr]


def test_what_is_not_of_the_day_changes_nothing() -> None:
    day = Day(CHANNEL)
    day.add(trade("10", "2"), NOON)
    late = day.add(trade("99", "9", NOON - DAY, id="2"), NOON)
    assert (late.high_text, late.volume_text) == ("10", "2")
    unknown = day.amend(Amendment("v:A/trade", NOON, "77", "50", "100"))
    assert (unknown.volume_text, unknown.high_text) == ("2", "10")
    excluded = day.add(trade("50", "7", excluded=("volume", "range", "last"), id="3"), NOON)
    assert excluded.volume_text == "2"
    cancelled = day.amend(Amendment("v:A/trade", NOON, "3", "50", "7"))
    assert (cancelled.volume_text, cancelled.last_text) == ("2", "10")
