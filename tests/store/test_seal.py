"""Segments become sealed files: exactly the same rows, in their folders, in bounded memory."""

import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from livetape.core.errors import StoreError
from livetape.core.events import Bar, BookUpdate, Gap, MarketEvent, Proof, Quote, Status, Trade, Trust
from livetape.core.raw import Direction, RawRecord, Recipe
from livetape.store import seal as seal_module
from livetape.store.catalog import Catalog
from livetape.store.journal import Journal, renew
from livetape.store.parquet import Reader
from livetape.store.plan import DAY_NS, Rules
from livetape.store.schema import create_statements
from livetape.store.upkeep import is_due, keep_up

from .sealed import left_over, tape_of
from .tape import NOW, SAMPLES, frame, segments, trade, until, written
from .test_kill import recorder

SEAL = Rules(compact=False)


def begin(session: int, venue: str, ns: int = NOW) -> RawRecord:
    return RawRecord(session, ns, Direction.BEGIN, note=Recipe(venue).encode())


def test_what_is_sealed_is_what_was_recorded(tmp_path: Path) -> None:
    frames = [frame(n, bytes(n)) for n in range(50)]
    written(tmp_path, *SAMPLES, begin(1, "kraken"), *frames)
    before = tape_of(tmp_path)
    assert before[1] == [begin(1, "kraken"), *frames]
    assert is_due(tmp_path, SEAL)
    keep_up(tmp_path, SEAL)
    assert tape_of(tmp_path) == before
    assert segments(tmp_path) == []
    assert left_over(tmp_path) == set()
    assert not is_due(tmp_path, SEAL)


def test_each_folder_has_the_rows_of_one_day_and_one_venue_sorted_by_symbol(tmp_path: Path) -> None:
    midnight = NOW // DAY_NS * DAY_NS
    trades = [
        Trade(f"{venue}:{symbol}/trade", None, "1", "1", None, None, recv_ns=midnight + n, seq=n)
        for n, (venue, symbol) in enumerate([("a", "Z-Y"), ("a", "B-Y"), ("b", "B-Y"), ("a", "Z-Y")], -2)
    ]
    written(tmp_path, *trades)
    keep_up(tmp_path, SEAL)
    files = {(file.date, file.venue): file for file in Catalog(tmp_path).view().files}
    assert [*files] == [("2026-11-17", "a"), ("2026-11-18", "a"), ("2026-11-18", "b")]
    early = files["2026-11-17", "a"]
    assert early.path.startswith("trades/date=2026-11-17/venue=a/")
    assert (early.rows, early.first_recv, early.last_recv) == (2, midnight - 2, midnight - 1)
    assert (early.first_n, early.last_n) == (1, 2)
    reader = Reader(tmp_path / early.path)
    assert [(run.key, run.rows) for run in reader.runs] == [("B-Y", 1), ("Z-Y", 1)]


def test_a_venue_may_have_any_name(tmp_path: Path) -> None:
    event = Trade("../x y=ü:B-C/trade", None, "1", "1", None, None, recv_ns=NOW)
    written(tmp_path / "tape", event)
    keep_up(tmp_path / "tape", SEAL)
    assert tape_of(tmp_path / "tape")[0] == [event]
    assert {path.name for path in tmp_path.iterdir()} == {"tape"}


def test_raw_records_lie_with_the_venue_of_their_session(tmp_path: Path) -> None:
    written(tmp_path, begin(1, "kraken"), begin(2, "gemini"), frame(1))
    keep_up(tmp_path, SEAL)
    frames = [frame(2), RawRecord(2, NOW + 3, Direction.IN, b"{}"), RawRecord(3, NOW + 4, Direction.IN, b"?")]
    written(tmp_path, *frames)
    keep_up(tmp_path, SEAL)
    rows = {(file.venue, file.first_n): file.rows for file in Catalog(tmp_path).view().files}
    assert rows == {("kraken", 1): 2, ("gemini", 2): 1, ("kraken", 4): 1, ("gemini", 5): 1, ("unknown", 6): 1}
    assert tape_of(tmp_path)[1] == [begin(1, "kraken"), begin(2, "gemini"), frame(1), *frames]


def test_more_than_fits_into_memory_becomes_further_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_module, "PAGE", 100)
    monkeypatch.setattr(seal_module, "MOST_BYTES", 40_000)
    written(
        tmp_path, begin(1, "kraken"), *map(trade, range(1_000)), *(frame(n, bytes(500)) for n in range(300))
    )
    before = tape_of(tmp_path)
    keep_up(tmp_path, SEAL)
    parts = Counter(file.table for file in Catalog(tmp_path).view().files)
    assert parts["raw"] > 2
    assert parts["trades"] > 2
    assert tape_of(tmp_path) == before


def test_the_segment_that_is_being_recorded_is_left_alone_until_it_is_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n in range(100):
        journal.record(trade(n))
    until(lambda: journal.watermark.committed == 100)
    assert not is_due(tmp_path, SEAL)
    keep_up(tmp_path, SEAL)
    assert segments(tmp_path) == [journal.path]
    renew(tmp_path)
    assert is_due(tmp_path, SEAL)
    keep_up(tmp_path, SEAL)
    journal.record(trade(100))
    until(lambda: journal.watermark.committed == 101)
    assert segments(tmp_path) == [journal.path]
    assert tape_of(tmp_path)[0] == [trade(n) for n in range(101)]
    journal.close()
    keep_up(tmp_path, SEAL)
    assert segments(tmp_path) == []
    assert tape_of(tmp_path)[0] == [trade(n) for n in range(101)]


def test_what_a_killed_recorder_left_is_sealed(tmp_path: Path) -> None:
    with recorder(tmp_path, until=b"records"):
        time.sleep(0.3)
    events, raw = tape_of(tmp_path)
    assert events
    keep_up(tmp_path, SEAL)
    assert tape_of(tmp_path) == (events, raw)
    assert left_over(tmp_path) == set()


def test_a_segment_that_cannot_be_read_stays_and_keeps_no_other_from_being_sealed(tmp_path: Path) -> None:
    broken, newer, good = (written(tmp_path, trade(n)) for n in range(3))
    with closing(apsw.Connection(str(newer))) as db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    content = broken.read_bytes()
    broken.write_bytes(content[:100] + bytes(len(content) - 100))
    with pytest.raises(StoreError, match=broken.name):
        keep_up(tmp_path, SEAL)
    assert segments(tmp_path) == [broken, newer]
    assert [file.path.partition("venue=")[2] for file in Catalog(tmp_path).view().files] == [
        f"kraken/{good.stem}-0-0.parquet"
    ]


def test_values_that_nobody_recorded_are_named(tmp_path: Path) -> None:
    segment = written(tmp_path, *SAMPLES)
    before = segment.read_bytes()
    with closing(apsw.Connection(str(segment))) as db:
        db.execute("UPDATE trades SET excluded = '[1'")
    with pytest.raises(StoreError, match=segment.name):
        keep_up(tmp_path, SEAL)
    segment.write_bytes(before)
    keep_up(tmp_path, SEAL)
    assert len(tape_of(tmp_path)[0]) == len(SAMPLES)


# Stores of older versions

VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE raw ("n" INTEGER PRIMARY KEY, "session" INTEGER, "recv" INTEGER, "direction" TEXT, "note" TEXT,
  payload BLOB) STRICT;
CREATE TABLE trades ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "price_text" TEXT, "size_text" TEXT, "side" TEXT,
  "id" TEXT, price REAL AS (CAST(price_text AS REAL)) VIRTUAL, size REAL AS (CAST(size_text AS REAL)) VIRTUAL
  ) STRICT;
CREATE TABLE quotes ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "bid_text" TEXT, "bid_size_text" TEXT,
  "ask_text" TEXT, "ask_size_text" TEXT, "venue_seq" INTEGER) STRICT;
CREATE TABLE books ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "snapshot" INTEGER, "venue_first" INTEGER,
  "venue_last" INTEGER, "bids" TEXT, "asks" TEXT, "method" TEXT, "depth" INTEGER, "since" INTEGER) STRICT;
CREATE TABLE bars ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "interval" TEXT, "start" INTEGER,
  "open_text" TEXT, "high_text" TEXT, "low_text" TEXT, "close_text" TEXT, "volume_text" TEXT,
  "trades" INTEGER, "vwap_text" TEXT, "closed" INTEGER) STRICT;
CREATE TABLE status ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "kind" TEXT, "state" TEXT, "detail" TEXT) STRICT;
CREATE TABLE gaps ("n" INTEGER PRIMARY KEY, "session" INTEGER, "seq" INTEGER, "recv" INTEGER, "ts" INTEGER,
  "venue" TEXT, "symbol" TEXT, "trust" TEXT, "origin" TEXT, "kind" TEXT, "start" INTEGER, "end" INTEGER,
  "cause" TEXT, "healed" TEXT, "missing" INTEGER) STRICT;
INSERT INTO meta VALUES ('schema_version', 1), ('opened_ns', 1000);
INSERT INTO raw VALUES (1, 7, 1001, 'begin', '{"venue":"kraken"}', x''), (2, 7, 1002, 'in', '', x'7b7d');
INSERT INTO trades VALUES
  (3, 7, 1, 1003, 900, 'kraken', 'BTC-USD', 'live', 'live', '63004.10', '1e-8', 'buy', NULL);
INSERT INTO quotes VALUES
  (4, 7, 2, 1004, NULL, 'kraken', 'BTC-USD', 'live', 'live', '1', '2', NULL, NULL, 5);
INSERT INTO books VALUES
  (5, 7, 3, 1005, 901, 'kraken', 'BTC-USD', 'verified', 'live', 1, 1, 2, '[["1.0","2"]]', '[]', 'crc32', 10,
   800);
INSERT INTO bars VALUES
  (6, 7, 4, 1006, NULL, 'kraken', 'BTC-USD', 'live', 'live', '1m', 0, '1', '2', '1', '2', '9', NULL, NULL, 1);
INSERT INTO status VALUES (7, 7, 5, 1007, NULL, 'kraken', '', 'live', 'live', '', 'connected', '');
INSERT INTO gaps VALUES
  (8, 7, 6, 1008, NULL, 'kraken', 'BTC-USD', 'live', 'live', 'book', 1000, NULL, 'checksum', NULL, NULL);
"""
ABOUT = {"session": 7}
OLD: list[MarketEvent] = [
    Trade("kraken:BTC-USD/trade", 900, "63004.10", "1e-8", "buy", None, recv_ns=1003, seq=1, **ABOUT),
    Quote("kraken:BTC-USD/quote", None, "1", "2", None, None, 5, recv_ns=1004, seq=2, **ABOUT),
    BookUpdate(
        *("kraken:BTC-USD/book", 901, True, [("1.0", "2")], [], 1, 2),
        recv_ns=1005,
        seq=3,
        trust=Trust.VERIFIED,
        proof=Proof("crc32", 10, 800),
        **ABOUT,
    ),
    Bar("kraken:BTC-USD/bar.1m", 0, "1", "2", "1", "2", "9", closed=True, recv_ns=1006, seq=4, **ABOUT),
    Status("kraken", "connected", recv_ns=1007, seq=5, **ABOUT),
    Gap("kraken:BTC-USD/book", 1000, None, "checksum", recv_ns=1008, seq=6, **ABOUT),
]
OLD_RAW = [
    RawRecord(7, 1001, Direction.BEGIN, b"", '{"venue":"kraken"}'),
    RawRecord(7, 1002, Direction.IN, b"{}"),
]


def old_store(directory: Path) -> None:
    """Segments of the versions 1, 2 and 3, each with numbers from 1, and no catalogue."""
    (directory / "journal").mkdir(parents=True)
    with closing(apsw.Connection(str(directory / "journal" / "1000.sqlite"))) as db:
        db.execute(VERSION_1)
    for version in (2, 3):
        with closing(apsw.Connection(str(directory / "journal" / f"{version}000.sqlite"))) as db:
            for statement in create_statements():
                db.execute(statement)
            db.execute("ALTER TABLE bars DROP COLUMN revision")
            if version == 2:
                db.execute("DROP TABLE best_quotes")
            meta = (("schema_version", version), ("opened_ns", version * 1000))
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta)
            names = "n, session, seq, recv, venue, symbol, trust, origin, price_text, size_text"
            values = f"1, 7, {version}, {version}001, 'kraken', 'BTC-USD', 'live', 'live', '1.{version}', '2'"
            db.execute(
                f"INSERT INTO trades ({names}, conditions, excluded) VALUES ({values}, '[\"@\"]', '[]')"
            )
            db.execute("INSERT INTO raw VALUES (2, 7, ?, 'in', '', ?)", (version * 1000 + 2, b"%d" % version))


def test_a_store_of_older_versions_is_sealed_and_read_right(tmp_path: Path) -> None:
    old_store(tmp_path)
    keep_up(tmp_path, SEAL)
    assert segments(tmp_path) == []
    events, raw = tape_of(tmp_path)
    later: list[MarketEvent] = [
        Trade(
            *("kraken:BTC-USD/trade", None, f"1.{version}", "2", None, None, None, ("@",)),
            recv_ns=version * 1000 + 1,
            session=7,
            seq=version,
        )
        for version in (2, 3)
    ]
    assert events == OLD + later
    assert raw == [
        *OLD_RAW,
        RawRecord(7, 2002, Direction.IN, b"2"),
        RawRecord(7, 3002, Direction.IN, b"3"),
    ]
    files = [file for file in Catalog(tmp_path).view().files if file.table == "raw"]
    assert [(file.venue, file.first_n, file.last_n) for file in files] == [
        ("kraken", 1, 2),
        ("kraken", 10, 10),
        ("kraken", 12, 12),
    ]
    journal = Journal(tmp_path)
    journal.record(trade(1))
    journal.close()
    assert Catalog(tmp_path).view().segments[0].first_n == 13
