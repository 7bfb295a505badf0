"""Charts: the exact series they are made of, the files they become, and what is refused."""

import random
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from livetape import open_store
from livetape.adapters.kraken import Kraken
from livetape.core.errors import ConfigError
from livetape.core.events import Amendment, Bar, BookUpdate, Gap, MarketEvent, Quote, Trade
from livetape.core.instruments import Channel
from livetape.store.journal import Journal
from livetape.store.series import Extent, Series, candle_interval, duration_ns, extremes

from ..recorded.recordings import crossbook
from ..sessions import opened
from .tape import written

S = 1_000_000_000
T0 = 1_795_253_400 * S  #: 2026-11-21 09:30 UTC
TRADES = "kraken:BTC-USD/trade"


def recorded(directory: Path, events: Iterable[MarketEvent]) -> Path:
    written(directory, *events)
    return directory


def series(directory: Path, channel: str, start_ns: int | None = None, end_ns: int | None = None) -> Series:
    return Series(directory, Channel.parse(channel), start_ns, end_ns)


def trade(
    ns: int, price: str, size: str, id: str = "", *, excluded: tuple[str, ...] = (), channel: str = TRADES
) -> Trade:
    return Trade(channel, ns, price, size, "buy", id, excluded=excluded, recv_ns=ns)


def market(seed: int = 5, n: int = 2_000) -> list[Trade]:
    """Trades of half an hour, not always in the order of time, with more digits than a float has."""
    chance = random.Random(seed)
    return [
        trade(
            T0 + i * 900_000_000 - chance.randrange(3 * S),
            f"{96_800 + chance.randrange(-4_000, 4_000) / 100:.2f}00000000001",
            f"{chance.randrange(1, 10**9)}e-8",
            str(i),
        )
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of channel, a gap in the trades, and a recording after a recording."""
    directory = tmp_path_factory.mktemp("plot") / "tape"
    recorded(directory, [*market(), Gap(TRADES, T0 + 600 * S, None, "lost", recv_ns=T0 + 600 * S)])
    quotes = [
        Quote(
            "gemini:BTC-USD/quote", T0 + i * S, "96800.1", "1", f"96800.{2 + i % 5}", "1", recv_ns=T0 + i * S
        )
        for i in range(200)
    ]
    quotes.insert(7, Quote("gemini:BTC-USD/quote", T0 + 6 * S, None, None, "96801", "1", recv_ns=T0 + 6 * S))
    bars = [
        Bar(
            "gemini:BTC-USD/bar.1m",
            T0 + i // 2 * 60 * S,
            "10",
            "12",
            "9",
            f"1{i}",
            f"{i}",
            recv_ns=T0 + i * S,
        )
        for i in range(20)
    ]
    books = [
        BookUpdate("gemini:BTC-USD/book", T0, True, [("100", "1"), ("99", "2")], [("101", "3")], recv_ns=T0),
        BookUpdate("gemini:BTC-USD/book", T0 + S, False, [("100", "0")], [("102", "1")], recv_ns=T0 + S),
    ]
    closed = Gap(TRADES, T0 + 600 * S, T0 + 660 * S, "lost", "trades", recv_ns=T0 + 660 * S)
    return recorded(directory, [closed, *quotes, *bars, *books])


# The series


@pytest.mark.parametrize("interval", ["1s", "10s", "1m", "1h"])
def test_candles_are_exact_whatever_the_order_of_the_trades(tmp_path: Path, interval: str) -> None:
    trades, width = market(), duration_ns(interval)
    made = series(recorded(tmp_path, trades), TRADES).candles(width)
    ordered = sorted(enumerate(trades), key=lambda item: (item[1].venue_ns, item[0]))
    groups = groupby((t for _, t in ordered), key=lambda t: (t.venue_ns or 0) // width * width)
    expected = []
    for start_ns, group in groups:
        those = list(group)
        prices = [Fraction(t.price_text) for t in those]
        volume = sum((Fraction(t.size_text) for t in those), Fraction())
        expected.append((start_ns, prices[0], max(prices), min(prices), prices[-1], volume))
    assert [
        (c.start_ns, *(Fraction(n) for n in (c.open, c.high, c.low, c.close, c.volume))) for c in made
    ] == expected


def test_a_candle_is_made_of_what_its_trades_may_set_and_of_amended_ones_as_they_are_now(
    tmp_path: Path,
) -> None:
    events: list[MarketEvent] = [
        trade(T0, "10", "1", "a"),
        trade(T0 + 1, "99", "2", "b", excluded=("last", "range")),  # only its size counts
        trade(T0 + 2, "12", "4", "c", excluded=("volume",)),
        trade(T0 + 3, "500", "8", "d"),
        trade(T0 + 4, "501", "16", "e"),
        trade(T0 + 5, "11", "32", "f", excluded=("range",)),
        Amendment(TRADES, T0 + 6, "d", "500", "8", recv_ns=T0 + 6),  # cancelled
        Amendment(TRADES, T0 + 7, "e", "501", "16", "5", "64", "e2", recv_ns=T0 + 7),
        Amendment(TRADES, T0 + 8, "e2", "5", "64", "9", "64", "e3", recv_ns=T0 + 8),
    ]
    [candle] = series(recorded(tmp_path, events), TRADES).candles(60 * S)
    assert [candle.open, candle.high, candle.low, candle.close] == list(map(Decimal, ("10", "12", "9", "11")))
    assert candle.volume == 1 + 2 + 64 + 32
    values = [value for _, value in series(tmp_path, TRADES).values("price")]
    assert values == list(map(Decimal, ("10", "12", "9", "11")))


@given(st.integers(9 * S, 3_000 * 86_400 * S))
def test_the_interval_chosen_gives_60_to_200_candles(length_ns: int) -> None:
    assert 60 <= length_ns / duration_ns(candle_interval(length_ns)) <= 200


points = st.lists(st.tuples(st.integers(0, 10_000), st.decimals(-1000, 1000, places=2)), min_size=1)


@given(points, st.integers(1, 50))
def test_thinning_keeps_first_lowest_highest_and_last_of_each_column(
    given_points: list[tuple[int, Decimal]], columns: int
) -> None:
    times = [ns for ns, _ in given_points]
    extent = Extent(min(times), max(times), len(times))
    width = (extent.last_ns - extent.first_ns) // columns + 1
    kept = extremes(given_points, extent, columns)
    assert [ns for ns, _ in kept] == sorted(ns for ns, _ in kept)
    assert set(kept) <= set(given_points)

    def judged(those: list[tuple[int, Decimal]], column: int) -> tuple[object, ...]:
        values = [value for ns, value in those if (ns - extent.first_ns) // width == column]
        inside = [ns for ns, _ in those if (ns - extent.first_ns) // width == column]
        return (min(values), max(values), min(inside), max(inside)) if values else ()

    for column in range(columns):
        assert judged(kept, column) == judged(given_points, column)
    assert len(kept) <= 4 * columns


def test_a_book_is_made_again_as_the_session_had_it(recordings: Path, tmp_path: Path) -> None:
    frames = crossbook(recordings / "kraken" / "crossbook_kraken_ethusd_sample.cbcap.gz")
    journal, name = Journal(tmp_path), "kraken:ETH-USD/book"
    had: list[object] = []

    def keep(event: MarketEvent) -> None:
        journal.record(event)
        if isinstance(event, BookUpdate):
            had.append((event.book.bids.top(1000), event.book.asks.top(1000)))

    session = opened(Kraken({"depth": 25}), [Channel.parse(name)], frames[0][0], keep)
    for ns, frame in frames:
        session.receive(frame, ns)
    journal.close()
    made = [(book.bids.top(1000), book.asks.top(1000)) for _, book in series(tmp_path, name).books()]
    assert len(had) == 1129
    assert made == had
    whole = list(series(tmp_path, name).best())
    middle = whole[len(whole) // 2][0]
    assert list(series(tmp_path, name, start_ns=middle).best()) == [
        each for each in whole if each[0] >= middle
    ]


def test_the_best_of_quotes_has_both_sides(tape: Path) -> None:
    best = list(series(tape, "gemini:BTC-USD/quote").best())
    assert len(best) == 200
    spreads = {value for _, value in series(tape, "gemini:BTC-USD/quote").values("spread")}
    assert spreads == {Decimal(n) / 10 for n in range(1, 6)}


def test_a_bar_is_what_it_was_told_to_be_last(tape: Path) -> None:
    bars = series(tape, "gemini:BTC-USD/bar.1m").bars()
    assert [bar.start_ns for bar in bars] == [T0 + i * 60 * S for i in range(10)]
    assert [bar.close for bar in bars] == [Decimal(f"1{i}") for i in range(1, 20, 2)]


def test_an_older_recording_without_conditions_and_amendments_is_read(tmp_path: Path) -> None:
    [segment] = (recorded(tmp_path, market(n=50)) / "journal").glob("*.sqlite")
    db = apsw.Connection(str(segment))
    db.execute("DROP TABLE amendments; ALTER TABLE trades DROP COLUMN excluded")
    db.close()
    assert len(list(series(tmp_path, TRADES).values("price"))) == 50


# The files


@pytest.mark.parametrize(
    ("channel", "style", "said"),
    [
        (TRADES, "", ["price (USD)", "2,000 trades", "gap", "time (UTC)"]),
        (TRADES, "candle", ["2,000 trades, 121 candles of 15s", "volume (BTC)", "gap"]),
        ("gemini:BTC-USD/quote", "", ["mid (USD)", "201 quotes"]),
        ("gemini:BTC-USD/quote", "spread", ["spread (USD)"]),
        ("gemini:BTC-USD/book", "", ["cumulated size (BTC)", "bids", "asks", "3 levels"]),
        ("gemini:BTC-USD/book", "spread", ["2 updates"]),
        ("gemini:BTC-USD/book", "line", ["mid (USD)"]),
        ("gemini:BTC-USD/bar.1m", "", ["10 candles of 1m"]),
        ("gemini:BTC-USD/bar.1m", "line", ["close (USD)"]),
    ],
)
def test_every_style_is_drawn(tape: Path, tmp_path: Path, channel: str, style: str, said: list[str]) -> None:
    svg = open_store(tape).plot(channel, style=style, out=tmp_path / "chart.svg")
    ElementTree.parse(svg)
    written = " ".join(re.findall("<!-- (.*?) -->", svg.read_text()))
    for each in (channel, "2026-11-21", *said):
        assert each in written
    png = open_store(tape).plot(channel, style=style, out=tmp_path / "chart.png")
    with Image.open(png) as image:
        assert image.size == (1650, 900)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10


def test_a_gap_is_shaded_only_where_one_is_shown(tape: Path, tmp_path: Path) -> None:
    store, out = open_store(tape), tmp_path / "chart.svg"
    store.plot(TRADES, end_ns=T0 + 599 * S, out=out)
    assert "<!-- gap" not in out.read_text()
    store.plot(TRADES, start_ns=T0 + 599 * S, out=out)
    assert "<!-- gap" in out.read_text()


def test_the_last_of_the_time_is_counted_from_its_end(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "chart.svg"
    open_store(tape).plot("gemini:BTC-USD/quote", last_ns=10 * S, out=out)
    assert "<!-- 2026-11-21 09:33:09 to 09:33:19 UTC · 11 quotes" in out.read_text()
    open_store(tape).plot("gemini:BTC-USD/quote", last_ns=10 * S, end_ns=T0 + 60 * S, out=out)
    assert "<!-- 2026-11-21 09:30:50 to 09:30:59 UTC · 10 quotes" in out.read_text()


def test_depth_is_that_of_the_end_of_the_time(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "chart.svg"
    open_store(tape).plot("gemini:BTC-USD/book", end_ns=T0 + S, out=out)
    assert "<!-- 2026-11-21 09:30:00.000 UTC · 3 levels" in out.read_text()


def test_a_single_trade_and_tiny_prices_are_drawn_without_powers(tmp_path: Path) -> None:
    name = "binance:SHIB-USDT/trade"
    recorded(tmp_path, [trade(T0, "0.00001234", "1", channel=name)])
    out = tmp_path / "chart.svg"
    for style in ("line", "candle"):
        open_store(tmp_path).plot(name, style=style, out=out)
        assert "<!-- 0.0000" in out.read_text()
        assert "e-" not in "".join(line for line in out.read_text().splitlines() if "<!--" in line)


def test_the_file_is_named_by_the_channel(
    tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store(tape).plot("gemini:BTC-USD/bar.1m") == Path("gemini-BTC-USD-bar.1m.png")
    assert Path("gemini-BTC-USD-bar.1m.png").exists()


def test_threads_draw_at_the_same_time_what_one_draws_alone(tape: Path, tmp_path: Path) -> None:
    store = open_store(tape)
    alone = store.plot(TRADES, out=tmp_path / "alone.png").read_bytes()
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda n: store.plot(TRADES, out=tmp_path / f"{n}.png"), range(4)))
    assert {file.read_bytes() for file in files} == {alone}


def test_matplotlib_is_loaded_when_something_is_drawn_and_never_its_global_state(
    tape: Path, tmp_path: Path
) -> None:
    program = f"""
import sys, livetape
store = livetape.open_store({str(tape)!r})
import livetape.store.plot
assert "matplotlib" not in sys.modules
store.plot({TRADES!r}, out={str(tmp_path / "chart.png")!r})
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# What is refused


@pytest.mark.parametrize(
    ("channel", "options", "problem"),
    [
        (TRADES, {"style": "depth"}, r"'depth' is no style for a trade; did you mean line or candle\?"),
        ("gemini:BTC-USD/book", {"style": "candle"}, "did you mean depth or spread or line"),
        (TRADES, {"style": "pie"}, "'pie' is no style"),
        ("kraken:BTC-USD/luld", {}, "'luld' cannot be drawn, only trade, quote, book, bar"),
        ("kraken:BTC-USD/quote", {}, r"not on this tape; did you mean kraken:BTC-USD/trade or "),
        ("gemini:BTC-USD/bar.5m", {}, r"not on this tape; did you mean gemini:BTC-USD/bar.1m or "),
        ("kraken:BTC-USD", {}, "names no kind"),
        (TRADES, {"out": "chart.pdf"}, r"neither PNG nor SVG; did you mean chart.png or chart.svg\?"),
        (TRADES, {"out": "/nosuch/chart.png"}, "/nosuch/chart.png: cannot be written"),
        (TRADES, {"start_ns": T0 - 9 * S, "end_ns": T0 - 8 * S}, "nothing in that time, but from 2026-11-21"),
        (TRADES, {"interval": "1m"}, "an interval is for candles made of trades"),
        (TRADES, {"style": "candle", "interval": "1x"}, "'1x' is not a duration"),
        (TRADES, {"style": "candle", "interval": "100ms"}, "more than a chart can show; did you mean 15s"),
    ],
)
def test_what_cannot_be_drawn_says_what_can(
    tape: Path, channel: str, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        open_store(tape).plot(channel, **options)  # type: ignore[arg-type]


def test_trades_that_may_set_no_price_make_no_chart(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(T0, "1", "1", excluded=("last", "range"))])
    for style in ("line", "candle"):
        with pytest.raises(ConfigError, match="nothing in that time has a price"):
            open_store(tmp_path).plot(TRADES, style=style, out=tmp_path / "chart.png")
