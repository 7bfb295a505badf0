"""Bars are what a naive look at all prints finds, in whatever order and parts they are folded."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import reduce
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.calendars import day_starts, days_of
from livetape.core.bars import NOTHING, Bars, Candle, Grid, Partial, Place, candles, merged, partial
from livetape.core.instruments import INTERVALS, interval_ns
from livetape.core.times import SECOND, ns_of

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
NEW_YORK = ZoneInfo("America/New_York")
One = tuple[Place, Decimal, Decimal, frozenset[str]]
MARKETS = ("24/7", "forex", "XNYS")


def at(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    return ns_of(datetime.fromisoformat(text).replace(tzinfo=zone))


def local(ns: int, zone: ZoneInfo = NEW_YORK) -> str:
    return f"{datetime.fromtimestamp(ns // SECOND, UTC).astimezone(zone):%Y-%m-%d %H:%M}"


# Folding

decimals = st.decimals(Decimal("0.00000001"), Decimal("99999999"), allow_nan=False, places=None).map(
    lambda value: Decimal(f"{value:.8f}").normalize()
)
excluded = st.frozensets(st.sampled_from(["last", "range", "volume"]))


@st.composite
def prints(draw: st.DrawFn) -> list[One]:
    times = draw(st.lists(st.integers(0, 40), max_size=30))
    told = draw(st.permutations(range(len(times))))
    return [
        ((ns, recv, recv % 3, n), draw(decimals), draw(decimals), draw(excluded))
        for n, (ns, recv) in enumerate(zip(times, told, strict=True))
    ]


def naive(found: Sequence[One], start_ns: int) -> Candle | None:
    """The bar as its definition says."""
    prices = [
        (place, price) for place, price, _, no in sorted(found, key=lambda one: one[0]) if "last" not in no
    ]
    if not prices:
        return None
    opened, closed = prices[0][1], prices[-1][1]
    ranged = [price for _, price, _, no in found if "range" not in no] or [opened, closed]
    counted = [(price, size) for _, price, size, no in found if "volume" not in no]
    with localcontext(prec=100):
        volume = sum((size for _, size in counted), Decimal(0))
        turnover = sum((price * size for price, size in counted), Decimal(0))
    return Candle(start_ns, opened, max(ranged), min(ranged), closed, volume, len(counted), turnover)


@given(prints(), st.randoms(use_true_random=False), st.sampled_from([1, 7, 50]))
def test_any_partition_in_any_order_comes_to_what_all_prints_come_to(
    found: list[One], chance: Random, interval: int
) -> None:
    grid = Grid(interval)
    wanted = {
        start: candle
        for start in {grid.start(one[0][0]) for one in found}
        if (candle := naive([one for one in found if grid.start(one[0][0]) == start], start))
    }
    shuffled = chance.sample(found, len(found))
    parts = [Bars(grid) for _ in range(3)]
    for one in shuffled:
        chance.choice(parts).add(*one)
    whole = Bars(grid)
    for part in chance.sample(parts, 3):
        for start, some in part.partials.items():
            whole.merge(start, some)
    assert whole.candles() == [wanted[start] for start in sorted(wanted)]


@given(st.lists(prints(), min_size=3, max_size=3))
def test_merging_is_associative_and_does_not_care_about_order(found: list[list[One]]) -> None:
    one, other, third = (
        reduce(merged, (partial((*place[:3], n), *rest) for place, *rest in some), NOTHING)
        for n, some in enumerate(found)
    )
    assert merged(merged(one, other), third) == merged(one, merged(third, other))
    assert merged(NOTHING, one) == one == merged(one, NOTHING)


@given(st.lists(st.tuples(decimals, decimals), min_size=1))
def test_the_average_price_is_exact_to_four_decimals_more_than_the_prices(
    found: list[tuple[Decimal, Decimal]],
) -> None:
    [bar] = candles([(n, f"{price:f}", f"{size:f}", ()) for n, (price, size) in enumerate(found)], MINUTE)
    exact = Fraction(sum(Fraction(p) * Fraction(s) for p, s in found), sum(Fraction(s) for _, s in found))
    assert bar.vwap is not None
    finest = min(0, *(int(price.as_tuple().exponent) for price in (bar.open, bar.high, bar.low, bar.close)))
    assert bar.vwap.as_tuple().exponent == finest - 4
    assert abs(Fraction(bar.vwap) - exact) <= Fraction(10) ** (finest - 4) / 2


def test_a_bar_has_the_texts_of_the_venue_and_exact_sums() -> None:
    told = [
        (0, "100.10", "0.1", ()),
        (1, "100.5", "0.20", ()),
        (2, "99.00", "0.3", ()),
        (3, "100.1", "7", ()),
    ]
    [bar] = candles(told[:3], MINUTE)
    assert [str(price) for price in (bar.open, bar.high, bar.low, bar.close)] == [
        "100.10",
        "100.5",
        "99.00",
        "99.00",
    ]
    assert (str(bar.volume), bar.trades, str(bar.vwap)) == ("0.60", 3, "99.683333")
    [reverse] = candles([(0, *told[3][1:]), (1, *told[0][1:])], MINUTE)
    [forward] = candles([(0, *told[0][1:]), (1, *told[3][1:])], MINUTE)
    assert str(reverse.high) == str(forward.high)  # of two spellings of a price


def test_of_the_same_time_the_last_told_is_the_last_and_intervals_without_trades_have_no_bar() -> None:
    found = candles([(5, "1", "1", ()), (5, "2", "1", ()), (3 * MINUTE, "9", "1", ())], MINUTE)
    assert [(bar.start_ns, bar.open, bar.close) for bar in found] == [(0, 1, 2), (3 * MINUTE, 9, 9)]


def test_what_conditions_forbid_is_not_set() -> None:
    odd = [
        (0, "50", "1", ("last", "range")),
        (1, "10", "2", ()),
        (2, "99", "4", ("volume",)),
        (3, "1", "1", ("range",)),
    ]
    [bar] = candles(odd, MINUTE)
    assert (bar.open, bar.high, bar.low, bar.close) == (10, 99, 10, 1)
    assert (bar.volume, bar.trades, bar.turnover) == (4, 3, 71)
    assert candles(odd[:1], MINUTE) == []


def test_a_bar_without_volume_has_no_average_price() -> None:
    [bar] = candles([(0, "1.5", "0", ())], MINUTE)
    assert bar.vwap is None
    assert Partial().candle(0) is None


# Grids


def grid(interval: str, calendar: str) -> Grid:
    return Grid(interval_ns(interval), day_starts(calendar))


@given(
    st.integers(at("1990-01-05"), at("2059-12-25")),
    st.sampled_from(INTERVALS[:-1]),
    st.sampled_from(MARKETS),
)
def test_bars_follow_each_other_without_a_hole(ns: int, interval: str, market: str) -> None:
    bars = grid(interval, market)
    start, end = bars.start(ns), bars.end(bars.start(ns))
    assert start <= ns < end
    assert bars.start(start) == bars.start(end - 1) == start
    assert bars.start(end) == end
    days = day_starts(market)
    if days:
        day = days[bisect_right(days, ns) - 1]
        assert day <= start
        assert (start - day) % bars.interval_ns == 0


@given(st.integers(at("1990-01-05"), at("2059-12-25")), st.sampled_from(INTERVALS[:-1]))
def test_around_the_clock_bars_begin_at_multiples_of_their_interval(ns: int, interval: str) -> None:
    length = interval_ns(interval)
    assert grid(interval, "24/7").start(ns) == ns // length * length


@pytest.mark.parametrize("day", ["2026-03-06", "2026-03-09", "2026-07-01", "2026-11-02", "2026-12-01"])
def test_a_day_of_new_yorks_exchange_carries_the_sessions_date(day: str) -> None:
    for moment in ("04:00", "09:30", "15:59:59", "19:59"):
        assert local(grid("1d", "XNYS").start(at(f"{day} {moment}"))) == f"{day} 00:00"
    assert local(grid("4h", "XNYS").start(at(f"{day} 09:30"))) == f"{day} 08:00"
    assert local(grid("1h", "XNYS").start(at(f"{day} 09:30"))) == f"{day} 09:00"
    assert local(grid("30m", "XNYS").start(at(f"{day} 09:30"))) == f"{day} 09:30"


@pytest.mark.parametrize("day", ["2026-03-09", "2026-07-01", "2026-11-02", "2026-12-01"])
def test_a_day_of_forex_begins_at_five_in_the_afternoon_in_new_york(day: str) -> None:
    bars = grid("1d", "forex")
    assert local(bars.start(at(f"{day} 17:00"))) == f"{day} 17:00"
    assert local(bars.end(bars.start(at(f"{day} 16:59")))) == f"{day} 17:00"
    assert local(grid("4h", "forex").start(at(f"{day} 16:59"))) == f"{day} 13:00"


def test_a_day_on_which_the_clocks_change_is_one_bar() -> None:
    bars = grid("1d", "XNYS")
    for day, hours in (("2026-03-08", 23), ("2026-11-01", 25)):
        start = bars.start(at(f"{day} 00:00"))
        assert bars.end(start) - start == hours * HOUR
        assert bars.start(at(f"{day} 23:59")) == start
        last = grid("12h", "XNYS").start(at(f"{day} 23:59"))
        assert grid("12h", "XNYS").end(last) == bars.end(start)


def test_the_session_of_an_exchange_that_opens_on_the_evening_before_is_one_day() -> None:
    chicago = ZoneInfo("America/Chicago")
    start = grid("1d", "CMES").start(at("2026-06-03 12:00", chicago))
    assert local(start, chicago) == "2026-06-02 17:00"


def test_beyond_the_known_days_bars_go_on() -> None:
    bars = Grid(HOUR, (DAY + 5, 2 * DAY + 5))
    assert [bars.start(ns) for ns in (DAY + 4, DAY + 5, 2 * DAY + 5, 9 * DAY)] == [
        DAY + 5 - HOUR,
        DAY + 5,
        2 * DAY + 5,
        9 * DAY + 5 - HOUR,
    ]
    assert Grid(7 * DAY, bars.days).start(8 * DAY) == 7 * DAY


def test_the_days_of_a_symbol_are_those_of_its_market() -> None:
    assert days_of("kraken", "BTC-USD") == days_of("itick", "700$HK") == ()
    assert days_of("itick", "EUR-USD") == day_starts("forex")
    assert days_of("alpaca", "BRK-B") == day_starts("XNYS")
