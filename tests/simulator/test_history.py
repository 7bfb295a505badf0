"""Bars say exactly what was printed, and the past that is drawn joins them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import groupby, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.core.events import Bar, Trade
from livetape.core.instruments import INTERVALS, interval_ns
from livetape.core.times import SECOND, ns_of
from livetape.simulator.history import DAY, KEPT, MINUTE, Chart
from livetape.simulator.listings import CRYPTO, FOREX, INDICES, OPTIONS, STOCKS, Listing
from livetape.simulator.market import Market

START_NS = ns_of(datetime(2026, 11, 20, 15, 20, 7, tzinfo=UTC))  # a Friday, 10:20 in New York
MONDAY_NS = ns_of(datetime(2026, 11, 16, tzinfo=UTC))
FOREVER = 1 << 62
LENGTHS = {name: ns for name in INTERVALS if (ns := interval_ns(name)) % MINUTE == 0}
BTC, EUR, AAPL = CRYPTO[0], FOREX[0], STOCKS[0]
TABLES = (CRYPTO, STOCKS, FOREX, INDICES, OPTIONS)

Print = tuple[int, Decimal, Decimal]  #: when, price, size


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Decimals of these tests are never rounded by their context."""
    with localcontext() as context:
        context.prec = 100
        yield


def chart(listing: Listing = EUR, seed: int = 7, start_ns: int = START_NS) -> Chart:
    return Chart(listing, seed, start_ns, "itick", 1.0)


def market(*listings: Listing, seed: int = 7, start_ns: int = START_NS) -> Market:
    return Market(listings, seed, start_ns, "itick")


def run(of: Market, seconds: float) -> list[Trade]:
    """The prints of some time."""
    until = of.now_ns + int(seconds * SECOND)
    return [trade for action in of.advance(until) for trade in action.trades]


RUN = market(EUR)
run(RUN, 200)
WHOLE = {name: RUN.bars("EUR-USD", length, 0, FOREVER) for name, length in LENGTHS.items()}


def begin(ns: int, name: str) -> int:
    """When the interval of ``ns`` begins; those of a week on Monday, all others as the clock shows."""
    if name == "1w":
        return ns - datetime.fromtimestamp(ns // SECOND, UTC).weekday() * DAY - ns % DAY
    return ns - ns % LENGTHS[name]


def told(bar: Bar) -> tuple[object, ...]:
    return (
        bar.start_ns,
        *map(Decimal, (bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text)),
        bar.trades,
        bar.vwap_text,
    )


def reference(prints: Sequence[Print], name: str, tick: str) -> list[tuple[object, ...]]:
    """What ``told`` should be, from the prints alone."""
    bars: list[tuple[object, ...]] = []
    for start_ns, group in groupby(prints, lambda each: begin(each[0], name)):
        parts = list(group)
        prices, sizes = [price for _, price, _ in parts], [size for _, _, size in parts]
        mean = sum(price * size for _, price, size in parts) / sum(sizes)
        vwap = mean.quantize(Decimal(tick) / 100, ROUND_HALF_EVEN)
        first, high, low, last = prices[0], max(prices), min(prices), prices[-1]
        bars.append((start_ns, first, high, low, last, sum(sizes), len(parts), f"{vwap:f}"))
    return bars


waits = st.integers(0, 90 * SECOND) | st.integers(0, 30 * 3_600 * SECOND)


@given(
    listing=st.sampled_from([table[0] for table in TABLES]),
    prints=st.lists(st.tuples(waits, st.integers(1, 10**7), st.integers(1, 10**12)), max_size=60),
)
def test_bars_of_every_length_are_exactly_what_was_printed(
    listing: Listing, prints: list[tuple[int, int, int]]
) -> None:
    made, ns, printed = chart(listing, start_ns=MONDAY_NS), MONDAY_NS, []
    for wait, ticks, lots in prints:
        ns += wait
        made.add(ns, ticks, lots)
        printed.append((ns, ticks * Decimal(listing.price_step), lots * Decimal(listing.size_step)))
    for name, length in LENGTHS.items():
        bars = made.bars(length, MONDAY_NS, FOREVER, ns)
        assert [told(bar) for bar in bars] == reference(printed, name, listing.price_step)
        assert {bar.channel for bar in bars} <= {f"itick:{listing.symbol}/bar.{name}"}
        assert all(bar.closed == (bar.start_ns + length <= ns) for bar in bars)


def test_the_bars_of_a_market_are_what_its_engines_printed() -> None:
    listings = [table[0] for table in TABLES]
    made = market(*listings, start_ns=MONDAY_NS)
    trades = run(made, 400)
    for listing in listings:
        printed = [
            (trade.venue_ns or 0, Decimal(trade.price_text), Decimal(trade.size_text))
            for trade in trades
            if trade.symbol == listing.symbol
        ]
        assert len(printed) > 20
        for name in ("1m", "5m"):
            bars = made.bars(listing.symbol, LENGTHS[name], MONDAY_NS, FOREVER)
            assert [told(bar) for bar in bars] == reference(printed, name, listing.price_step)
            assert [bar.closed for bar in bars] == [True] * (len(bars) - 1) + [False]


@pytest.mark.parametrize("listing", [BTC, EUR, AAPL], ids=lambda listing: listing.symbol)
@pytest.mark.parametrize("name", LENGTHS)
def test_longer_bars_add_up_the_minutes_of_past_and_present(name: str, listing: Listing) -> None:
    made = market(listing)
    run(made, 130)
    minutes = made.bars(listing.symbol, MINUTE, 0, FOREVER)
    longer = made.bars(listing.symbol, LENGTHS[name], 0, FOREVER)
    groups = [list(group) for _, group in groupby(minutes, lambda bar: begin(bar.start_ns, name))]
    assert len(groups) == len(longer)
    for bar, parts in zip(longer, groups, strict=True):
        assert bar.start_ns == begin(parts[0].start_ns, name)
        assert (bar.open_text, bar.close_text) == (parts[0].open_text, parts[-1].close_text)
        assert bar.high_text == max((part.high_text for part in parts), key=Decimal)
        assert bar.low_text == min((part.low_text for part in parts), key=Decimal)
        assert Decimal(bar.volume_text) == sum(Decimal(part.volume_text) for part in parts)
        assert bar.trades == sum(part.trades or 0 for part in parts)


@given(data=st.data())
def test_a_window_has_the_bars_that_begin_in_it(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(WHOLE)))
    moments = st.integers(START_NS - 9 * DAY, RUN.now_ns + DAY)
    moments |= st.sampled_from([bar.start_ns for bar in WHOLE[name]])
    start_ns, end_ns = data.draw(moments), data.draw(moments)
    bars = RUN.bars("EUR-USD", LENGTHS[name], start_ns, end_ns)
    assert bars == [bar for bar in WHOLE[name] if start_ns <= bar.start_ns < end_ns]


@pytest.mark.parametrize("length", [0, -MINUTE, SECOND, MINUTE + 1])
def test_bars_are_of_whole_minutes(length: int) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        chart().bars(length, 0, FOREVER, START_NS)


def test_lengths_without_a_kind_are_named_in_minutes() -> None:
    bars = RUN.bars("EUR-USD", 7 * MINUTE, START_NS - DAY, FOREVER)
    assert {bar.kind for bar in bars} == {"bar.7m"}
    assert len(bars) in range(1440 // 7, 1440 // 7 + 3)


@pytest.mark.parametrize("listing", [table[0] for table in TABLES], ids=lambda listing: listing.symbol)
def test_the_past_leads_to_the_start_price_without_a_jump(listing: Listing) -> None:
    made = market(listing)
    run(made, 300)
    bars = made.bars(listing.symbol, MINUTE, 0, FOREVER)
    past = [bar for bar in bars if bar.start_ns < START_NS - START_NS % MINUTE]
    present = bars[len(past) :]
    assert present[0].start_ns >= START_NS - START_NS % MINUTE
    assert past[-1].close_text == listing.price
    assert START_NS - past[0].start_ns > 5 * DAY
    assert all(earlier.start_ns < later.start_ns for earlier, later in pairwise(bars))
    tick, largest = Decimal(listing.price_step), 6 * 60**0.5 * listing.volatility
    for earlier, later in pairwise(bars):
        close, opens = Decimal(earlier.close_text), Decimal(later.open_text)
        assert abs(opens - close) <= close * Decimal(largest) + 150 * tick


@pytest.mark.parametrize("listing", [BTC, AAPL, Listing("A-B", "", "3", "1", "0.5", 0.02, 0.05, 1.0)])
def test_a_minute_of_the_past_is_possible(listing: Listing) -> None:
    for bar in chart(listing).bars(MINUTE, 0, START_NS - MINUTE, START_NS):
        low, high = Decimal(bar.low_text), Decimal(bar.high_text)
        assert 0 < low <= min(Decimal(bar.open_text), Decimal(bar.close_text))
        assert max(Decimal(bar.open_text), Decimal(bar.close_text)) <= high
        assert low <= Decimal(bar.vwap_text or "") <= high
        assert bar.trades is not None
        assert Decimal(bar.volume_text) >= bar.trades * Decimal(listing.size_step) > 0
        assert bar.trades > 1 or low == high
        assert bar.closed


def test_the_past_is_as_busy_as_the_present() -> None:
    made = market(BTC)
    trades = run(made, 600)
    volume = sum(Decimal(trade.size_text) for trade in trades)
    past = made.bars("BTC-USD", MINUTE, START_NS - DAY, START_NS - MINUTE)
    assert 0.5 < (len(trades) / 10) / (sum(bar.trades or 0 for bar in past) / len(past)) < 2
    assert 0.5 < (volume / 10) / (sum(Decimal(bar.volume_text) for bar in past) / len(past)) < 2


def test_the_past_is_drawn_from_seed_and_symbol_and_does_not_touch_the_tape() -> None:
    past = market(EUR).bars("EUR-USD", MINUTE, 0, START_NS)
    assert past == market(BTC, EUR).bars("EUR-USD", MINUTE, 0, START_NS)
    assert past != market(EUR, seed=8).bars("EUR-USD", MINUTE, 0, START_NS)
    asked, unasked = market(EUR), market(EUR)
    asked.day("EUR-USD")
    assert run(asked, 60) == run(unasked, 60)
    assert asked.bars("EUR-USD", MINUTE, 0, FOREVER) == unasked.bars("EUR-USD", MINUTE, 0, FOREVER)
    assert market(EUR, BTC).bars("BTC-USD", MINUTE, 0, START_NS)[0].close_text != past[0].close_text


@pytest.mark.parametrize("listing", [AAPL, OPTIONS[1]], ids=["stock", "option"])
def test_stocks_and_options_have_a_past_in_the_session_of_new_york_alone(listing: Listing) -> None:
    tuesday = ns_of(datetime(2026, 11, 3, 16, 0, tzinfo=UTC))
    bars = chart(listing, start_ns=tuesday).bars(MINUTE, 0, FOREVER, tuesday)
    times = [datetime.fromtimestamp(bar.start_ns // SECOND, UTC) for bar in bars]
    days = {day: list(group) for day, group in groupby(times, lambda each: f"{each:%a %d}")}
    assert {day: f"{own[0]:%H:%M} {own[-1]:%H:%M}" for day, own in days.items()} == {
        "Tue 27": "13:30 19:59",
        "Wed 28": "13:30 19:59",
        "Thu 29": "13:30 19:59",
        "Fri 30": "13:30 19:59",
        "Mon 02": "14:30 20:59",  # the clocks were put back on Sunday
        "Tue 03": "14:30 15:59",
    }
    assert {len(own) for day, own in days.items() if day != "Tue 03"} == {390}


def test_others_have_a_past_around_the_clock() -> None:
    for listing in (BTC, EUR, INDICES[0]):
        bars = chart(listing).bars(MINUTE, 0, START_NS - MINUTE, START_NS)
        assert {later.start_ns - earlier.start_ns for earlier, later in pairwise(bars)} == {MINUTE}
        assert bars[0].start_ns % DAY == 0


def test_the_day_is_the_bar_of_the_day_beside_the_close_of_the_one_before() -> None:
    made = market(BTC, AAPL, start_ns=START_NS - START_NS % DAY + DAY - 100 * SECOND)
    for action in islice(made.advance(FOREVER), 0, 6_000, 40):  # past midnight
        day = made.day(action.symbol)
        [*_, yesterday, today] = made.bars(action.symbol, DAY, 0, FOREVER)
        assert day is not None
        assert (day.start_ns, day.open, day.high) == (today.start_ns, today.open_text, today.high_text)
        assert (day.low, day.last, day.volume) == (today.low_text, today.close_text, today.volume_text)
        assert day.previous_close == yesterday.close_text
        mean = Decimal(day.turnover) / Decimal(day.volume)
        assert abs(mean - Decimal(today.vwap_text or "")) <= Decimal("0.0005")
    assert made.now_ns % DAY < DAY / 2


def test_the_turnover_of_the_day_is_exactly_what_was_paid() -> None:
    made = market(EUR, start_ns=MONDAY_NS)
    trades = run(made, 200)
    day = made.day("EUR-USD")
    assert day is not None
    paid = sum(Decimal(trade.price_text) * Decimal(trade.size_text) for trade in trades)
    assert Decimal(day.turnover) == paid > 0


@pytest.mark.parametrize("quiet_days", [0, 1, 3])
def test_a_day_without_a_print_stands_at_the_previous_close(quiet_days: int) -> None:
    made, now_ns = chart(AAPL, start_ns=MONDAY_NS), MONDAY_NS + quiet_days * DAY + 5
    if quiet_days:
        assert made.day(now_ns - quiet_days * DAY).last == AAPL.price
        made.add(MONDAY_NS, 26_650, 7)
    close = "266.50" if quiet_days else AAPL.price
    day = made.day(now_ns)
    assert (day.open, day.high, day.low, day.last, day.previous_close) == (close,) * 5
    assert (day.start_ns, day.volume, day.turnover) == (MONDAY_NS + quiet_days * DAY, "0", "0.00")


def test_two_days_of_prints_are_kept_and_memory_is_bounded() -> None:
    made, step = chart(), MINUTE
    ends = START_NS + 3 * 2 * KEPT * step
    for ns in range(START_NS, ends, step):
        made.add(ns, 115_840, 1)
    bars = made.bars(MINUTE, START_NS, ends, ends)
    assert 2 * 1440 <= len(bars) <= 2 * KEPT
    assert bars[-1].start_ns == ends - MINUTE - START_NS % MINUTE
    assert {later.start_ns - earlier.start_ns for earlier, later in pairwise(bars)} == {MINUTE}
