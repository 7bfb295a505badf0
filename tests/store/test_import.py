"""Files of others on a tape: exact, as a whole or not at all, never twice."""

import gzip
import multiprocessing
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from livetape.adapters import find
from livetape.calendars import phase_of
from livetape.core.digest import Digest
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import Bar, BookUpdate, MarketEvent, Origin, Quote, Status, Trade, Trust
from livetape.core.raw import Recipe
from livetape.core.times import SECOND
from livetape.feeds.replay import Replay
from livetape.store import merge, staging
from livetape.store.importing import VENUE, Imported, importing
from livetape.store.journal import Journal
from livetape.store.moments import moment, zone_of
from livetape.store.recordings import Read, Recording, crossbook, cryptofeed
from livetape.store.tabular import JsonLines, Said, Table, read_csv, read_lean, read_parquet

from ..cli.running import livetape
from .sealed import left_over, tape_of

KRAKEN = Said("kraken", "BTC-USD")
NS = 1_795_266_352_231_000_000
TRADES = """\
time,price,size,side,id
2026-11-21T13:05:52.231Z,63004.10,1e-8,buy,000123
2026-11-21 13:05:52.231000001+00:00,63004.1000,0.50,SELL,
"""


def added(directory: Path, source: Table | Recording) -> Imported:
    with importing(directory) as importer:
        return importer.add(source)


def imported(directory: Path, source: Table | Recording) -> list[MarketEvent]:
    """The events that ``source`` brings onto a new tape."""
    brought = added(directory, source)
    events = [event for event in tape_of(directory)[0] if not event.channel.startswith(VENUE)]
    assert not brought.before
    assert not left_over(directory)
    return events


def table(directory: Path, content: str, said: Said = KRAKEN) -> Table:
    path = directory / "file.csv"
    path.write_text(content)
    return Table(path, said, read_csv)


def test_trades_keep_their_exact_text(tmp_path: Path) -> None:
    first, second = imported(tmp_path / "tape", table(tmp_path, TRADES))
    assert isinstance(first, Trade)
    assert isinstance(second, Trade)
    assert (first.price_text, first.size_text, first.side, first.id) == ("63004.10", "1e-8", "buy", "000123")
    assert (second.price_text, second.size_text, second.side, second.id) == (
        "63004.1000",
        "0.50",
        "sell",
        None,
    )
    assert (first.venue_ns, first.recv_ns, second.venue_ns) == (NS, NS, NS + 1)
    assert {first.channel, second.channel} == {"kraken:BTC-USD/trade"}
    assert {first.origin, second.origin} == {Origin.BACKFILLED}
    assert {first.trust, second.trust} == {Trust.UNVERIFIABLE}
    assert (first.seq, second.seq, first.session) == (1, 2, second.session)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("timestamp,local_timestamp,exchange,symbol,price,amount", "{0},{1},kraken,XBT/USD,5,2", Said()),
        ("Trade Time;Px;Qty;Pair", "{0};5;2;btcusd", Said("kraken")),
        ("a,b,c", "{0},5,2", Said("kraken", "BTC-USD", "trade", {"ts": "a", "price": "b", "size": "c"})),
        (
            "7,{0},5,2",
            "8,{0},5,2",
            Said("kraken", "BTC-USD", "trade", {"ts": "2", "price": "3", "size": "4"}),
        ),
        ("date\tnote\tprice\tsize", "{0}\tnoon\t5\t2", KRAKEN),
    ],
)
@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, SECOND])
def test_columns_and_units_are_found(header: str, row: str, said: Said, unit: int, tmp_path: Path) -> None:
    times = NS // unit, NS // unit + 1
    events = imported(tmp_path / "tape", table(tmp_path, f"{header}\n{row}\n".format(*times), said))
    assert [(e.channel, e.price_text, e.size_text) for e in events if isinstance(e, Trade)] == [
        ("kraken:BTC-USD/trade", "5", "2")
    ] * (2 if header.startswith("7") else 1)
    assert events[0].recv_ns // unit - times[0] == header.startswith("timestamp")


def test_who_bought_is_known_from_the_maker(tmp_path: Path) -> None:
    content = f"ts,price,qty,isBuyerMaker\n{NS},1,1,True\n{NS},1,1,false\n"
    assert [event.side for event in imported(tmp_path / "tape", table(tmp_path, content))] == ["sell", "buy"]  # type: ignore[union-attr]


def test_quotes_may_lack_a_side(tmp_path: Path) -> None:
    content = f"ts,bidPrice,bidQty,askPrice,askQty\n{NS},1.10,5,,\n"
    [quote] = imported(tmp_path / "tape", table(tmp_path, content))
    assert isinstance(quote, Quote)
    assert (quote.bid_text, quote.bid_size_text, quote.ask_text, quote.ask_size_text) == (
        "1.10",
        "5",
        None,
        None,
    )


def test_a_bar_was_received_when_it_ended(tmp_path: Path) -> None:
    content = f"open_time,open,high,low,close,volume,count\n{NS // 1_000_000},1.0,2.50,0.5,1,7,3\n"
    [bar] = imported(tmp_path / "tape", table(tmp_path, content, Said("binance", "BTC-USDT", "bar.1m")))
    assert isinstance(bar, Bar)
    assert (bar.channel, bar.start_ns, bar.recv_ns) == ("binance:BTC-USDT/bar.1m", NS, NS + 60 * SECOND)
    assert (bar.open_text, bar.high_text, bar.low_text, bar.close_text) == ("1.0", "2.50", "0.5", "1")
    assert (bar.volume_text, bar.trades, bar.closed) == ("7", 3, None)


@pytest.mark.parametrize(
    ("content", "said", "part"),
    [
        ("date,datetime,price,size\n1,1,1,1\n", KRAKEN, "date and datetime may both be its ts"),
        (f"ts,price,size\n{NS},1,1\n", Said("kraken"), "what symbol"),
        (f"ts,price,size\n{NS},1,1\n", Said("", "BTC-USD"), "what venue"),
        (f"ts,open,high,low,close\n{NS},1,1,1,1\n", KRAKEN, "how long its bars are"),
        ("price,size\n1,1\n", KRAKEN, "no column is a time"),
        ("ts,cost\n1,1\n", KRAKEN, "not known to be trades, quotes or bars; its columns are ts, cost"),
        (f"ts,price,size\n{NS},1,1\n", KRAKEN._replace(kind="book"), "cannot be imported"),
        (f"ts,price,size\n{NS},1,1\n", KRAKEN._replace(columns={"prise": "x"}), "did you mean price"),
        (f"ts,price,size\n{NS},1,1\n", KRAKEN._replace(columns={"price": "px"}), "no column 'px'"),
        ("", KRAKEN, "nothing in it"),
        ("ts,price,size\n", KRAKEN, "nothing in it that could be imported"),
    ],
)
def test_what_is_not_certain_is_asked(content: str, said: Said, part: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=part):
        added(tmp_path / "tape", table(tmp_path, content, said))


@pytest.mark.parametrize(
    "line",
    [
        f"{NS},1e99,1",
        f"{NS},-1,1",
        f"{NS},1.0x,1",
        f"{NS},1",
        f"{NS},1,1,1",
        "12,1,1",
        "2026-11-21 09:30,1,1",
        "21.11.2026 09:30,1,1",
        ",1,1",
        f'{NS},"1,1',
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(line: str, tmp_path: Path) -> None:
    good = f"{NS},1,1\n" * 12_000
    with pytest.raises(ConfigError, match=r"file\.csv:1200[23].*nothing of the file was imported"):
        added(tmp_path / "tape", table(tmp_path, f"ts,price,size\n{good}{line}\n"))
    assert tape_of(tmp_path / "tape") == ([], [])
    assert not left_over(tmp_path / "tape")


def test_the_same_is_not_imported_twice_but_may_be_read_otherwise(tmp_path: Path) -> None:
    source = table(tmp_path, TRADES)
    assert added(tmp_path / "tape", source) == Imported("file.csv", 2)
    before = tape_of(tmp_path / "tape")
    assert added(tmp_path / "tape", source) == Imported("file.csv", 2, before=True)
    assert tape_of(tmp_path / "tape") == before
    assert added(tmp_path / "tape", table(tmp_path, TRADES, Said("gemini", "BTC-USD"))) == Imported(
        "file.csv", 2
    )
    marks = [event for event in tape_of(tmp_path / "tape")[0] if isinstance(event, Status)]
    assert [(mark.channel, mark.state) for mark in marks] == [(VENUE, "imported")] * 2


def test_a_recorder_excludes_an_import(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tape")
    with pytest.raises(StoreError, match="another recorder is writing here"):
        added(tmp_path / "tape", table(tmp_path, TRADES))
    journal.close()


def test_a_long_file_becomes_visible_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "SEGMENT_ROWS", 5_000)
    rows = "".join(f"{NS + n},{n}.0,1\n" for n in range(23_000))
    events = imported(tmp_path / "tape", table(tmp_path, f"ts,price,size\n{rows}"))
    assert [event.price_text for event in events] == [f"{n}.0" for n in range(23_000)]  # type: ignore[union-attr]


class Dying(Table):
    """A file in the middle of which the process ends."""

    def records(self, session: int) -> Iterator[MarketEvent]:
        for n, event in enumerate(super().records(session)):
            if n == 7_000:
                os._exit(9)
            yield event


def test_a_killed_import_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    rows = f"{NS},1,1\n" * 9_000
    source = table(tmp_path, f"ts,price,size\n{rows}")
    dying = Dying(source.paths[0], KRAKEN, read_csv)
    process = multiprocessing.get_context("spawn").Process(target=added, args=(tmp_path / "tape", dying))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert tape_of(tmp_path / "tape") == ([], [])
    assert len(imported(tmp_path / "tape", source)) == 9_000


def test_parquet_keeps_decimals_and_zones(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "time": pa.array([NS, NS + 1], pa.timestamp("ns", "America/New_York")),
            "price": pa.array([0.1, 63004.25], pa.float64()),
            "size": pa.array(["1.50", "2"], pa.string()).cast(pa.decimal128(10, 4)),
            "side": pa.array(["buy", None]).dictionary_encode(),
        }
    )
    path = tmp_path / "ticks.parquet"
    pq.write_table(rows, path)
    events = imported(tmp_path / "tape", Table(path, KRAKEN, read_parquet))
    assert [(e.venue_ns, e.price_text, e.size_text, e.side) for e in events if isinstance(e, Trade)] == [
        (NS, "0.1", "1.5000", "buy"),
        (NS + 1, "63004.25", "2.0000", None),
    ]


def test_parquet_without_a_zone_is_doubtful(tmp_path: Path) -> None:
    path = tmp_path / "ticks.parquet"
    times = pa.array([NS], pa.timestamp("ns"))
    pq.write_table(pa.table({"ts": times, "price": [1.0], "size": [1.0]}), path)
    with pytest.raises(ConfigError, match="--tz"):
        added(tmp_path / "tape", Table(path, KRAKEN, read_parquet))
    [event] = imported(tmp_path / "tape", Table(path, KRAKEN._replace(zone=zone_of("UTC")), read_parquet))
    assert event.recv_ns == NS


def test_json_lines_of_other_types_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.jsonl.gz"
    told = b'{"type":"trade","venue":"kraken","symbol":"BTC-USD","ts":null,"recv":%d,"price":1.50,"size":2,'
    path.write_bytes(gzip.compress(told % NS + b'"side":"buy","id":"7"}\n{"type":"gap","from":1}\n'))
    [trade] = imported(tmp_path / "tape", JsonLines(path, Said()))
    assert isinstance(trade, Trade)
    assert (trade.venue_ns, trade.recv_ns, trade.price_text, trade.side, trade.id) == (
        None,
        NS,
        "1.50",
        "buy",
        "7",
    )
    assert "1 lines are no trades" in caplog.text


def test_times_are_never_guessed_where_they_are_doubtful() -> None:
    new_york = ZoneInfo("America/New_York")
    assert moment("2026-11-21 09:30", new_york) == moment("2026-11-21T14:30:00Z", None)
    for text in ("2026-11-01 01:30", "2026-03-08 02:30"):
        with pytest.raises(ValueError, match="twice or never"):
            moment(text, new_york)
    with pytest.raises(ValueError, match="no time zone"):
        moment("2026-11-21 09:30", None)
    with pytest.raises(ConfigError, match="no time zone"):
        zone_of("Mars/Base")


def test_ticks_of_lean_begin_at_midnight_of_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "ticks.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("20140505_eurusd_tick_quote.csv", "23668,1.38710,1.38726\n")
    with pytest.raises(ConfigError, match="--tz"):
        added(tmp_path / "tape", Table(path, Said("oanda"), read_lean))
    said = Said("oanda", zone=zone_of("America/New_York"))
    [quote] = imported(tmp_path / "tape", Table(path, said, read_lean))
    assert isinstance(quote, Quote)
    assert (quote.channel, quote.bid_text, quote.ask_text) == ("oanda:EUR-USD/quote", "1.38710", "1.38726")
    assert quote.recv_ns == moment("2014-05-05T04:00:23.668Z", None)


def recording(venue: str, read: Read, *paths: Path) -> Recording:
    recipe = Recipe(venue, origin=Origin.BACKFILLED)
    return Recording(paths, read, recipe, partial(find(venue), {}), phase_of)


@pytest.mark.parametrize(
    ("venue", "files", "read", "books"),
    [
        ("kraken", ["kraken/crossbook_kraken_btcusd_l2.cbcap.gz"], crossbook, 301),
        (
            "binance_us",
            [f"binance_us/cryptofeed_20211011_BINANCE_US.{name}.0.txt.gz" for name in ("ws.1", "http.0")],
            cryptofeed,
            336,
        ),
        ("gemini", ["gemini/cryptofeed_20210623_GEMINI.ws.1.0.txt.gz"], cryptofeed, 654),
    ],
)
def test_a_recording_becomes_raw_frames_and_their_events(
    venue: str, files: list[str], read: Read, books: int, recordings: Path, tmp_path: Path
) -> None:
    events = imported(tmp_path, recording(venue, read, *[recordings / file for file in files]))
    assert sum(isinstance(event, BookUpdate) for event in events) == books
    digests = Digest(), Digest()
    again = list(Replay(merge.records(tmp_path), phase=phase_of))
    for digest, told in zip(digests, (events, again), strict=True):
        for event in told:
            digest.add(event)
    assert str(digests[0]) == str(digests[1])
    assert digests[0].events == len(events)
    assert {event.origin for event in events} == {Origin.BACKFILLED}
    if venue == "kraken":
        assert {event.trust for event in events if isinstance(event, BookUpdate)} == {Trust.VERIFIED}


def test_a_recording_of_another_venue_is_refused(recordings: Path, tmp_path: Path) -> None:
    path = recordings / "kraken" / "crossbook_kraken_btcusd_l2.cbcap.gz"
    with pytest.raises(ConfigError, match="nothing that gemini would send"):
        added(tmp_path, recording("gemini", crossbook, path))


async def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(TRADES)
    (tmp_path / "bad.csv").write_text("ts,price,size\n7,1,1\n")
    command = ("import", "good.csv", "bad.csv", "--store", "tape", "--as", "kraken:BTC-USD")
    for said in ("2 records, imported", "2 records, was imported before"):
        _, err, code = await livetape(*command, cwd=tmp_path)
        assert code == 2
        assert f"good.csv: {said}" in err
        assert "bad.csv:2" in err
        assert "Traceback" not in err
