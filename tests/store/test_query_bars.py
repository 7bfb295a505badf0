"""Bars out of a store: exact against a data provider's own, and which ones are given when."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from livetape import open_store
from livetape.core.errors import ConfigError
from livetape.core.events import Amendment, Bar, MarketEvent, Quote, Trade
from livetape.core.times import MILLISECOND, SECOND
from livetape.store.journal import Journal
from livetape.store.plan import Rules
from livetape.store.reader import Store
from livetape.store.upkeep import keep_up

from ..recorded.test_forex import DAYS, PUBLISHED, rows
from .tape import written

NAME = "oanda:EUR-USD/quote"
T0 = 1_795_253_400 * SECOND  #: 2026-11-21 09:30 UTC
INTERVALS = {"second": "1s", "minute": "1m"}


def published(recordings: Path, day: str, kind: str) -> list[list[Decimal]]:
    """Start in ms; open, high, low and close of bids, then of asks."""
    return [list(map(Decimal, row[:5] + row[6:10])) for row in rows(recordings, day, kind)]


def made(store: Store, interval: str) -> list[list[Decimal]]:
    names = ("open_text", "high_text", "low_text", "close_text")
    bids, asks = (store.bars(NAME, interval, of=side).events() for side in ("bid", "ask"))
    found = []
    for bid, ask in zip(bids, asks, strict=True):
        assert isinstance(bid, Bar) and isinstance(ask, Bar) and bid.start_ns == ask.start_ns
        prices = [Decimal(getattr(bar, name)) for bar in (bid, ask) for name in names]
        found.append([Decimal(bid.start_ns // MILLISECOND), *prices])
    return found


@pytest.mark.parametrize("day", DAYS)
def test_bars_are_those_that_were_published_hot_and_sealed(
    recordings: Path, tmp_path: Path, day: str
) -> None:
    journal = Journal(tmp_path, buffer_bytes=1 << 30)
    for seq, (ms, bid, ask, *_) in enumerate(rows(recordings, day, "tick")):
        ns = int(ms) * MILLISECOND
        journal.record(Quote(NAME, ns, bid, "0", ask, "0", recv_ns=ns, session=1, seq=seq))
    journal.close()
    for kind, interval in INTERVALS.items():
        assert made(open_store(tmp_path), interval) == published(recordings, day, kind)
    keep_up(tmp_path, Rules())
    for kind, interval in INTERVALS.items():
        assert made(open_store(tmp_path), interval) == published(recordings, day, kind)


def test_they_are_as_many_as_were_published(recordings: Path) -> None:
    counted = {kind: sum(len(published(recordings, day, kind)) for day in DAYS) for kind in INTERVALS}
    assert counted == PUBLISHED


# Which bars are given


def trade(ns: int, price: str, size: str = "1", **more: object) -> Trade:
    return Trade("kraken:BTC-USD/trade", ns, price, size, "buy", recv_ns=ns, **{"id": None, **more})  # type: ignore[arg-type]


def bar(start_ns: int, close: str, interval: str = "1m", *, told_ns: int = 0) -> Bar:
    name, told_ns = f"kraken:BTC-USD/bar.{interval}", told_ns or start_ns + SECOND
    return Bar(name, start_ns, "1", "1", "1", close, "1", recv_ns=told_ns)


def quote(ns: int, bid: str | None, ask: str | None) -> Quote:
    return Quote("kraken:BTC-USD/quote", ns, bid, "1", ask, "1", recv_ns=ns)


def store_of(directory: Path, *events: MarketEvent, sealed: bool = False) -> Store:
    written(directory, *events)
    if sealed:
        keep_up(directory, Rules())
    return open_store(directory)


def shown(bars: Iterable[MarketEvent]) -> list[tuple[int, str]]:
    """When each begins, in minutes since T0, and how it closed."""
    return [((b.start_ns - T0) // (60 * SECOND), b.close_text) for b in bars if isinstance(b, Bar)]


@pytest.mark.parametrize("sealed", [False, True])
def test_recorded_bars_come_before_made_ones_and_each_as_it_was_told_last(
    tmp_path: Path, sealed: bool
) -> None:
    told = [
        bar(T0, "3"),
        bar(T0, "4", told_ns=T0 + 9 * SECOND),
        bar(T0 + 60 * SECOND, "5"),
        bar(T0, "9", "5m"),
    ]
    store = store_of(tmp_path, trade(T0, "7"), *told, sealed=sealed)
    for channel in ("kraken:BTC-USD", "kraken:BTC-USD/bar.1m", "kraken:btcusd"):
        assert shown(store.bars(channel, "1m")) == [(0, "4"), (1, "5")]
    assert shown(store.bars("kraken:BTC-USD/bar.5m")) == [(0, "9")]
    assert shown(store.bars("kraken:BTC-USD", "1m", start=T0 + 1)) == [(1, "5")]
    assert shown(store.bars("kraken:BTC-USD", "1m", end=T0 + 60 * SECOND)) == [(0, "4")]
    assert shown(store.bars("kraken:BTC-USD", "1m", last=1)) == [(1, "5")]
    for made in ({"of": "trade"}, {"zone": "UTC"}):
        assert shown(store.bars("kraken:BTC-USD", "1m", **made)) == [(0, "7")]  # type: ignore[arg-type]
    assert shown(store.bars("kraken:BTC-USD/trade")) == [(0, "7")]
    assert shown(store.bars("kraken:BTC-USD", "30s")) == [(0, "7")]


@pytest.mark.parametrize("sealed", [False, True])
def test_bars_are_of_amended_trades_and_of_what_conditions_allow(tmp_path: Path, sealed: bool) -> None:
    store = store_of(
        tmp_path,
        trade(T0, "10.00", "1", id="a"),
        trade(T0 + 1, "99.00", "2", id="b", excluded=("last", "range")),
        trade(T0 + 2, "500.00", "8", id="c"),
        trade(T0 + 3, "501.00", "16", id="d"),
        Amendment("kraken:BTC-USD/trade", T0 + 4, "c", "500.00", "8", recv_ns=T0 + 4),
        Amendment("kraken:BTC-USD/trade", T0 + 5, "d", "501.00", "16", "9.5", "16", "d2", recv_ns=T0 + 5),
        sealed=sealed,
    )
    [made] = store.bars("kraken:BTC-USD")
    assert isinstance(made, Bar)
    assert (made.open_text, made.high_text, made.low_text, made.close_text) == (
        "10.00",
        "10.00",
        "9.5",
        "9.5",
    )
    assert (made.volume_text, made.trades, made.closed) == ("19", 3, True)
    assert made.vwap_text == "18.947368"  # (10 + 2 * 99 + 16 * 9.5) / 19


def test_where_there_are_no_trades_bars_are_of_the_mids_of_quotes(tmp_path: Path) -> None:
    store = store_of(tmp_path, quote(T0, "1.0", "1.1"), quote(T0 + 1, None, "9"), quote(T0 + 2, "2", "3"))
    for channel in ("kraken:BTC-USD", "kraken:BTC-USD/quote"):
        [made] = store.bars(channel, "1m").events()
        assert isinstance(made, Bar)
        assert (made.open_text, made.close_text, made.trades, made.volume_text) == ("1.05", "2.5", 0, "0")
    assert shown(store.bars("kraken:BTC-USD", of="ask")) == [(0, "3")]


def test_a_span_gives_whole_bars_that_begin_in_it(tmp_path: Path) -> None:
    store = store_of(tmp_path, *(trade(T0 + i * 20 * SECOND, str(i)) for i in range(9)))
    span = {"start": T0 + 30 * SECOND, "end": T0 + 90 * SECOND}
    assert shown(store.bars("kraken:BTC-USD", "1m", **span)) == [(1, "5")]  # type: ignore[arg-type]


@pytest.mark.parametrize("sealed", [False, True])
def test_the_last_bars_are_found_behind_a_pause(tmp_path: Path, sealed: bool) -> None:
    minutes = [0, 1, 2, 5_000, 5_001]
    trades = [trade(T0 + minute * 60 * SECOND, str(minute)) for minute in minutes]
    store = store_of(tmp_path, *trades, sealed=sealed)
    for n in range(1, 7):
        expected = [(minute, str(minute)) for minute in minutes[-n:]]
        assert shown(store.bars("kraken:BTC-USD", "1m", last=n)) == expected


def test_days_begin_when_they_are_said_to(tmp_path: Path) -> None:
    times = ["2026-10-31T20:59", "2026-10-31T21:00", "2026-11-01T21:59", "2026-11-01T22:00"]
    trades = [
        trade(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND, str(i))
        for i, text in enumerate(times)
    ]
    days = store_of(tmp_path, *trades).bars("kraken:BTC-USD", "1d", zone="America/New_York", day="17:00")
    assert [event.close_text for event in days if isinstance(event, Bar)] == ["0", "2", "3"]  # 25 hours


@pytest.mark.parametrize(
    ("channel", "options", "problem"),
    [
        ("kraken:BTC-USD/book", {}, "no bars of 1m are made of book; did you mean trade or quote"),
        ("kraken:BTC-USD/bar.5m", {"interval": "1m"}, "no bars of 1m are made of bar.5m"),
        ("kraken:BTC-USD", {"interval": "1x"}, "'1x' is not a duration"),
        ("kraken:BTC-USD", {"of": "last"}, "'last' is no price; did you mean trade or mid or bid or ask"),
        ("kraken:BTC-USD", {"of": "bid"}, "'kraken:BTC-USD/quote' is not on this tape"),
        ("kraken:ETH-USD", {}, "not on this tape; did you mean kraken:BTC-USD/trade"),
        ("kraken:BTC-USD", {"zone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone"),
        ("kraken:BTC-USD", {"day": "25:00"}, "'25:00' is no time of a day; for example 17:00"),
    ],
)
def test_what_cannot_be_made_says_what_can(
    tmp_path: Path, channel: str, options: dict[str, str], problem: str
) -> None:
    store = store_of(tmp_path, trade(T0, "1"))
    with pytest.raises(ConfigError, match=problem):
        store.bars(channel, **options)  # type: ignore[arg-type]


def test_nothing_in_a_time_is_no_mistake(tmp_path: Path) -> None:
    store = store_of(tmp_path, trade(T0, "1"))
    assert len(store.bars("kraken:BTC-USD", start=T0 + 3_600 * SECOND)) == 0
