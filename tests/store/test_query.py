"""History and books out of a store: the same while it is hot, when it is sealed, and in between."""

import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from random import Random

import pandas
import polars
import pyarrow as pa
import pytest

from livetape import open_store
from livetape.adapters.kraken import Kraken
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import Amendment, BookUpdate, Gap, MarketEvent, Status, Trade
from livetape.core.instruments import Channel
from livetape.core.times import SECOND
from livetape.store.journal import Journal
from livetape.store.plan import Rules
from livetape.store.query import moment_ns
from livetape.store.reader import Store
from livetape.store.scan import visible
from livetape.store.told import updates
from livetape.store.upkeep import keep_up

from ..recorded.recordings import crossbook
from ..sessions import opened
from .tape import SAMPLES, written

NAME = "kraken:BTC-USD/trade"
T0 = 1_795_253_400 * SECOND  #: 2026-11-21 09:30 UTC


def seal(directory: Path) -> None:
    keep_up(directory, Rules(compact=False))


@pytest.fixture(params=["hot", "sealed", "both"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The samples and a thousand trades, of which the venue's time runs backwards."""
    trades = [
        Trade(NAME, T0 - i * SECOND, f"{i}.50", "1", "buy", str(i), recv_ns=T0 + i, session=1, seq=i)
        for i in range(1_000)
    ]
    written(tmp_path, *SAMPLES, *trades[:600])
    if request.param != "hot":
        seal(tmp_path)
    written(tmp_path, *trades[600:])
    if request.param == "sealed":
        seal(tmp_path)
    return open_store(tmp_path)


def ids(events: list[MarketEvent]) -> list[int]:
    return [int(event.id or 0) for event in events if isinstance(event, Trade)]


def test_history_has_every_event_as_it_was_recorded(store: Store) -> None:
    for sample in SAMPLES:
        if not isinstance(sample, Amendment | Gap | Status):  # those are in tables of their own
            assert str(sample) in map(str, store.history(sample.channel)), sample.channel


def test_it_is_in_the_order_of_the_tape_and_chosen_by_the_time_of_the_market(store: Store) -> None:
    assert ids(store.history(NAME, T0 - 999 * SECOND).events()) == list(range(1_000))
    part = store.history(NAME, T0 - 20 * SECOND, T0 - 9 * SECOND)
    assert ids(part.events()) == list(range(10, 21))
    assert list(part) == part.events()
    assert len(part) == 11


@pytest.mark.parametrize("n", [1, 399, 400, 401, 1_000])
def test_the_last_are_the_newest_on_the_tape(store: Store, n: int) -> None:
    assert ids(store.history(NAME, last=n).events()) == list(range(1_000 - n, 1_000))
    assert ids(store.history(NAME, end=T0 - 500 * SECOND, last=3).events()) == [997, 998, 999]
    assert ids(store.history(NAME, start=T0 - 500 * SECOND, end=T0, last=3).events()) == [498, 499, 500]


def test_more_than_there_is_is_all_there_is(store: Store) -> None:
    assert len(store.history(NAME, last=5_000)) == 1_001


def test_a_symbol_may_be_spelt_as_the_venue_does(store: Store) -> None:
    assert len(store.history("kraken:btcusd/trade", last=5)) == 5
    assert len(store.history("kraken:XBT/USD/trade", last=5)) == 5


def test_frames_have_times_with_their_zone_to_the_nanosecond(store: Store) -> None:
    last = store.history(NAME, last=3)
    expected = [T0 + 997, T0 + 998, T0 + 999]
    assert last.arrow()["recv"].type == pa.timestamp("ns", "UTC")
    assert last.arrow()["recv"].cast(pa.int64()).to_pylist() == expected
    assert last.polars()["recv"].dtype == polars.Datetime("ns", "UTC")
    assert last.polars()["price"].to_list() == [997.5, 998.5, 999.5]
    assert last.pandas()["recv"].dtype == "datetime64[ns, UTC]"
    assert last.pandas()["recv"].astype("int64").tolist() == expected
    assert isinstance(last.pandas(), pandas.DataFrame)


def test_only_the_columns_that_are_named_come_with_their_exact_texts(store: Store) -> None:
    some = store.history(NAME, last=2, columns=["price_text", "price", "side"])
    assert some.arrow().to_pylist() == [
        {"price_text": "998.50", "price": 998.5, "side": "buy"},
        {"price_text": "999.50", "price": 999.5, "side": "buy"},
    ]
    with pytest.raises(ConfigError, match="events are made of all columns"):
        some.events()
    with pytest.raises(ConfigError, match=r"no column 'prize'; did you mean price"):
        store.history(NAME, columns=["prize"])


def test_texts_for_files_are_exact(store: Store) -> None:
    assert store.history(NAME, last=1).exact()["price"].to_pylist() == ["999.50"]
    [book] = store.history("kraken:BTC-USD/book").exact().to_pylist()
    assert book["levels"] == '{"bids":[["63004.1","0.790"],["63004.0","0"]],"asks":[]}'


def test_json_lines_are_those_of_events(store: Store) -> None:
    [line] = store.history(NAME, last=1).json_lines()
    assert b'"price":999.50,"size":1,"side":"buy","id":"999"' in line


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        ("kraken:BTC-USD", "names no kind; for example kraken:BTC-USD/trade"),
        (
            "kraken:BTC-USDT/trade",
            "'kraken:BTC-USDT/trade' is not on this tape; did you mean kraken:BTC-USD/trade",
        ),
        ("kraken:BTC-USD/bar.5m", "is not on this tape; did you mean kraken:BTC-USD/bar.1m"),
        ("gemini:BTC-USD/trade", "is not on this tape; did you mean"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(store: Store, channel: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        store.history(channel)


def test_a_channel_that_had_nothing_in_a_time_gives_nothing(store: Store) -> None:
    assert len(store.history(NAME, "2030-01-01")) == 0


def test_the_first_rows_are_read_without_duckdb_or_polars(store: Store) -> None:
    program = f"""
import sys
from livetape.store import arrow
arrow.without_pandas = True
from livetape.store.reader import open_store
store = open_store({str(store.directory)!r})
assert len(store.history({NAME!r}, last=10).events()) == 10
assert len(store.bars({NAME!r})) and list(store.history({NAME!r}, last=10).json_lines())
assert not {{"duckdb", "polars", "pandas"}} & {{*sys.modules}}
assert len(store.history({NAME!r}, last=10).pandas()) == 10
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# Moments


@pytest.mark.parametrize(
    ("moment", "ns"),
    [
        (None, None),
        (T0, T0),
        ("2026-11-21T09:30:00.000000001Z", T0 + 1),
        ("2026-11-21 09:30", T0),
        ("2026-11-21T10:30:00+01:00", T0),
        ("2026-11-21", T0 - 34_200 * SECOND),
        (date(2026, 11, 21), T0 - 34_200 * SECOND),
        (datetime(2026, 11, 21, 9, 30), T0),
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), T0),
        (pandas.Timestamp(T0 + 1, tz="UTC"), T0 + 1),
        ("-1h", T0 - 3_600 * SECOND),
        (str(T0), T0),
    ],
)
def test_moments_are_read_exactly(moment: object, ns: int | None) -> None:
    assert moment_ns(moment, T0) == ns  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", ["yesterday", "-1", "-1y", "2026-13-01", ""])
def test_what_is_no_moment_is_said(moment: str) -> None:
    with pytest.raises(ConfigError, match=r"for example|is not a"):
        moment_ns(moment, T0)


def test_a_span_that_ends_before_it_begins_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="is not before"):
        store.history(NAME, "2026-11-22", "2026-11-21")


# Books


@pytest.mark.parametrize("sealed", [False, True])
def test_the_book_at_a_time_is_the_one_that_was_live(recordings: Path, tmp_path: Path, sealed: bool) -> None:
    frames = crossbook(recordings / "kraken" / "crossbook_kraken_ethusd_sample.cbcap.gz")
    journal, name = Journal(tmp_path), "kraken:ETH-USD/book"
    had: dict[int, object] = {}

    def keep(event: MarketEvent) -> None:
        journal.record(event)
        if isinstance(event, BookUpdate):
            had[event.recv_ns] = (event.book.bids.top(1000), event.book.asks.top(1000), event.last)

    session = opened(Kraken({"depth": 25}), [Channel.parse(name)], frames[0][0], keep)
    for ns, frame in frames:
        session.receive(frame, ns)
    journal.close()
    if sealed:
        seal(tmp_path)
    store, times = open_store(tmp_path), sorted(had)
    for before, at in zip(times[::97], times[1::97], strict=False):
        for asked in (before, at - 1):
            book = store.book_at(name, asked)
            assert (book.bids.top(1000), book.asks.top(1000), book.seq) == had[before]
    assert store.book_update_at(name).recv_ns == times[-1]
    with pytest.raises(ConfigError, match="no book had been received by 20"):
        store.book_at(name, times[0] - 1)


def test_a_book_begins_anew_with_its_last_snapshot(tmp_path: Path) -> None:
    name = "gemini:BTC-USD/book"
    updates = [
        BookUpdate(name, None, True, [("1", "1")], [("9", "1")], recv_ns=T0, session=1, seq=1),
        BookUpdate(name, None, False, [("2", "1")], [], recv_ns=T0 + 5, session=1, seq=2),
        BookUpdate(name, None, True, [("3", "1")], [("8", "1")], recv_ns=T0 + 5, session=1, seq=3),
        BookUpdate(name, None, False, [("4", "1")], [], recv_ns=T0 + 5, session=1, seq=4),
        BookUpdate("gemini:ETH-USD/book", None, True, [("7", "1")], [], recv_ns=T0 + 6, session=1, seq=5),
    ]
    written(tmp_path, *updates[:2])
    seal(tmp_path)
    written(tmp_path, *updates[2:])
    store = open_store(tmp_path)
    assert store.book_at(name, T0 + 4).bids.top(9) == [("1", "1")]
    assert store.book_at(name, T0 + 5).bids.top(9) == [("4", "1"), ("3", "1")]
    seal(tmp_path)
    assert store.book_at(name).bids.top(9) == [("4", "1"), ("3", "1")]
    for channel, problem in ((NAME, "'trade' is no book"), ("gemini:LTC-USD/book", "is not on this tape")):
        with pytest.raises(ConfigError, match=problem):
            store.book_at(channel)


def book_updates(numbers: Iterable[int]) -> list[BookUpdate]:
    """Updates of one book, of two sessions, of which two in a row are received at once."""
    return [
        BookUpdate(
            *("gemini:BTC-USD/book", None, n == 0, [(str(n), "1")], []),
            recv_ns=T0 + n // 2,
            session=1 + n % 2,
            seq=n,
        )
        for n in numbers
    ]


def test_updates_of_a_book_come_in_the_order_of_the_tape_wherever_they_are(tmp_path: Path) -> None:
    """Files and segments that overlap in time, and were recorded in another order."""
    numbers = list(range(8_000))
    Random(7).shuffle(numbers)
    for part in range(4):
        written(tmp_path, *book_updates(numbers[part::4]))
        if part in (0, 1):
            seal(tmp_path)
    channel = Channel.parse("gemini:BTC-USD/book")
    with visible(tmp_path) as tape:
        assert len(tape.view.files) == len(tape.view.segments) == 2
        for since, end_ns, wanted in (
            (None, None, range(8_000)),
            ((T0 + 50, 2, 101), T0 + 3_000, range(101, 6_000)),
        ):
            found = [(update.seq, len(update.book.bids)) for update in updates(tape, channel, since, end_ns)]
            assert found == [(n, n - wanted[0] + 1) for n in wanted]


def test_updates_of_a_book_are_read_when_their_time_has_come(tmp_path: Path) -> None:
    for first in (0, 100):
        written(tmp_path, *book_updates(range(first, first + 100)))
        seal(tmp_path)
    channel = Channel.parse("gemini:BTC-USD/book")
    with visible(tmp_path) as tape:
        later = max(tape.view.files, key=lambda file: file.first_recv)
        (tmp_path / later.path).write_bytes(b"damaged")
        told = updates(tape, channel, None, None)
        assert [update.seq for update in islice(told, 100)] == [*range(100)]
        with pytest.raises(StoreError, match="parquet"):
            next(told)


@pytest.mark.parametrize("last", [0, -1])
def test_less_than_one_cannot_be_had(store: Store, last: int) -> None:
    for ask in (store.history, store.bars):
        with pytest.raises(ConfigError, match=f"the last {last} cannot be had"):
            ask("kraken:BTC-USD/trade", last=last)
