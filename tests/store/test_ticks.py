"""Bars made of columns are those that core/bars makes of the same prints, one by one."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.core.bars import EXACT, Bars, Candle, Grid
from livetape.core.times import SECOND
from livetape.store import columns, ticks
from livetape.store.query import days_at
from livetape.store.scan import in_order
from livetape.store.ticks import Prints
from livetape.store.told import Amended

T0 = 1_795_253_400 * SECOND
DAY = 86_400 * SECOND
NEW_YORK = days_at("17:00", "America/New_York")("", "")
GRIDS = [Grid(SECOND), Grid(60 * SECOND), Grid(4 * 3600 * SECOND, NEW_YORK), Grid(DAY, NEW_YORK)]
#: Some have more digits than a float, some are the same number with more zeros.
TEXTS = st.one_of(
    st.sampled_from(
        ["1", "1.0", "1.00", "0", "0.0", "10.5", "10.50", "9.99", "1e-8", "0.1000000000000000055"]
    ),
    st.decimals(0, 10**17, places=2).map(str),
    st.decimals(0, 10**4, places=8).map("{:f}".format),
    st.floats(1e-15, 10**16).map(lambda value: format(Decimal(repr(value)), "f")),
)
TIMES = st.integers(T0, T0 + 200_000 * SECOND) | st.integers(T0, T0 + 2 * SECOND)
EXCLUDED = st.lists(st.sampled_from(["last", "range", "volume"]), unique=True)
TRADES = st.tuples(TIMES, st.integers(0, SECOND), TEXTS, TEXTS, EXCLUDED, st.sampled_from("abcdef"))
QUOTES = st.tuples(TIMES, st.integers(0, SECOND), st.none() | TEXTS, st.none() | TEXTS)
CHANGES = st.dictionaries(st.sampled_from("abc"), st.none() | st.tuples(TEXTS, TEXTS), max_size=2)


def rows(table: str, told: Iterable[Mapping[str, object]]) -> Any:
    """A scanned table, in the order of the tape."""
    names = columns.hot_names(table)
    about = dict.fromkeys(names) | {"venue": "alpaca", "symbol": "AAPL", "trust": "live", "origin": "live"}
    made = [about | {"session": seq % 3, "seq": seq} | dict(row) for seq, row in enumerate(told)]
    return in_order([columns.from_hot(table, [tuple(row[n] for n in names) for row in made])], table)


def made(prints: Prints, changes: Mapping[str, Amended], grid: Grid) -> list[tuple[object, ...]]:
    """The bars with their exact texts."""
    bars = ticks.bars(prints, changes, grid)
    texts = [f"{name}_text" for name in ("open", "high", "low", "close", "volume", "vwap")]
    shown = columns.public("bars", bars, texts).to_pylist()
    starts = bars["start"].cast("int64").to_pylist()
    found = zip(starts, shown, bars["trades"].to_pylist(), strict=True)
    return [(start, *row.values(), trades) for start, row, trades in found]


def said(candles: Sequence[Candle]) -> list[tuple[object, ...]]:
    return [
        (
            candle.start_ns,
            *(f"{n:f}" for n in (candle.open, candle.high, candle.low, candle.close, candle.volume)),
            None if candle.vwap is None else f"{candle.vwap:f}",
            candle.trades,
        )
        for candle in candles
    ]


@pytest.mark.parametrize("grid", GRIDS)
@given(st.lists(TRADES, max_size=30), CHANGES)
def test_bars_of_trades_are_exact(
    grid: Grid, told: list[tuple[int, int, str, str, list[str], str]], changes: dict[str, Amended]
) -> None:
    one_by_one = Bars(grid)
    for seq, (ns, late, price, size, excluded, name) in enumerate(told):
        change = changes.get(name, (price, size))
        if change is not None:
            one_by_one.add((ns, ns + late, seq % 3, seq), *map(Decimal, change), excluded)
    table = rows(
        "trades",
        (
            {
                "recv": ns + late,
                "ts": ns,
                "price_text": price,
                "size_text": size,
                "id": name,
                "excluded": json.encode(excluded).decode(),
                "conditions": "[]",
            }
            for ns, late, price, size, excluded, name in told
        ),
    )
    assert made(Prints.of_trades(table), changes, grid) == said(one_by_one.candles())


@pytest.mark.parametrize("side", ["bid", "ask", "mid"])
@given(st.lists(QUOTES, max_size=30))
def test_bars_of_quotes_are_exact(side: str, told: list[tuple[int, int, str | None, str | None]]) -> None:
    one_by_one = Bars(GRIDS[0])
    for seq, (ns, late, bid, ask) in enumerate(told):
        sides = {"bid": [bid], "ask": [ask], "mid": [bid, ask]}[side]
        prices = [Decimal(text) for text in sides if text is not None]
        if len(prices) == len(sides):
            price = EXACT.divide(EXACT.add(prices[0], prices[-1]), Decimal(2)) if side == "mid" else prices[0]
            one_by_one.add((ns, ns + late, seq % 3, seq), price, Decimal(0), ("volume",))
    table = rows(
        "quotes",
        ({"recv": ns + late, "ts": ns, "bid_text": bid, "ask_text": ask} for ns, late, bid, ask in told),
    )
    assert made(Prints.of_quotes(table, side), {}, GRIDS[0]) == said(one_by_one.candles())


@given(st.lists(TIMES | st.integers(-DAY, DAY) | st.integers(NEW_YORK[-1] - DAY, NEW_YORK[-1] + DAY)))
def test_a_bar_begins_where_its_grid_says(times: list[int]) -> None:
    import numpy as np

    for grid in GRIDS:
        assert ticks.start_times(grid, np.array(times, np.int64)).tolist() == list(map(grid.start, times))


def test_sums_of_any_size_are_exact() -> None:
    import numpy as np

    one = np.array([10**15 - 1] * 7 + [3, 0], np.int64)
    at = np.array([0, 3, 8])
    expected = [3 * (10**15 - 1) ** 2, 4 * (10**15 - 1) ** 2 + 9, 0]
    assert ticks._sums(one, one, at) == expected
