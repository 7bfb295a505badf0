"""Reading a tape: what is refused, what is counted, how gaps are merged."""

import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from livetape import open_store
from livetape.core.errors import StoreError
from livetape.core.events import Gap
from livetape.store.catalog import NO_TAPE
from livetape.store.journal import Journal
from livetape.store.schema import VERSION

from .tape import NOW, SAMPLES, frame, trade, until, written


def tape(directory: Path) -> Path:
    return written(directory, *SAMPLES)


def alter(segment: Path, statement: str) -> None:
    with closing(apsw.Connection(str(segment))) as db:
        db.execute(statement)


def test_an_empty_directory_is_no_tape(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no recorded tape here") as caught:
        open_store(tmp_path)
    assert caught.value.exit_code == 6


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    alter(tape(tmp_path), f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'schema_version'")
    with pytest.raises(
        StoreError, match=f"schema version {VERSION + 1} is newer than this livetape's {VERSION}"
    ):
        open_store(tmp_path)


def test_one_newer_segment_among_older_ones_is_refused_too(tmp_path: Path) -> None:
    tape(tmp_path)
    alter(tape(tmp_path), f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'schema_version'")
    with pytest.raises(StoreError, match="newer"):
        open_store(tmp_path)


@pytest.mark.parametrize("statement", ["DELETE FROM meta", "UPDATE meta SET value = 'x'", "DROP TABLE meta"])
def test_a_database_that_is_no_segment_is_refused(tmp_path: Path, statement: str) -> None:
    alter(tape(tmp_path), statement)
    with pytest.raises(StoreError, match=r"no segment|no such table"):
        open_store(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    tape(tmp_path).write_bytes(b"no database at all, but long enough to have a header" * 20)
    with pytest.raises(StoreError, match="not a database"):
        open_store(tmp_path)


def test_counts_are_of_data_by_channel_over_all_segments(tmp_path: Path) -> None:
    tape(tmp_path)
    tape(tmp_path)
    assert open_store(tmp_path).counts() == {
        "kraken:BTC-USD/trade": 2,
        "gemini:ETH-USD/quote": 2,
        "kraken:BTC-USD/book": 2,
        "kraken:BTC-USD/bar.1m": 2,
        "alpaca:AAPL/trade": 2,
        "itick:SPX/summary": 2,
        "itick:DJI/summary": 2,
        "gemini:BTC-GUSD-PERP/mark": 2,
        "gemini:BTC-USD/auction": 2,
        "alpaca:IONM/luld": 2,
        "alpaca:CRSR/news": 2,
        "best:BTC-USD/quote": 4,
    }


def test_a_tape_of_the_first_schema_is_read(tmp_path: Path) -> None:
    segment = tape(tmp_path)
    with closing(apsw.Connection(str(segment))) as db:
        for table in ("amendments", "summaries", "marks", "auctions", "lulds", "news"):
            db.execute(f"DROP TABLE {table}")
        db.execute("UPDATE meta SET value = 1 WHERE key = 'schema_version'")
    tape(tmp_path)
    assert open_store(tmp_path).counts()["kraken:BTC-USD/trade"] == 2
    assert open_store(tmp_path).gaps()


def test_each_gap_is_found_once_as_it_stands_now_and_the_oldest_first(tmp_path: Path) -> None:
    book, trades = "kraken:BTC-USD/book", "kraken:BTC-USD/trade"
    written(
        tmp_path,
        Gap(book, NOW + 5, None, "silent", recv_ns=NOW + 6),
        Gap(trades, NOW + 1, None, "silent", recv_ns=NOW + 6),
        Gap(book, NOW + 5, NOW + 9, "silent", "snapshot", recv_ns=NOW + 9),
        Gap(book, NOW + 20, None, "checksum", recv_ns=NOW + 21),
        Gap("kraken", NOW + 7, NOW + 8, "maintenance", missing=3, recv_ns=NOW + 8),
    )
    written(tmp_path, Gap(trades, NOW + 1, NOW + 30, "silent", "complete", 0, recv_ns=NOW + 30))
    shown = [
        (gap["venue"], gap["symbol"], gap["kind"], gap["start"], gap["end"], gap["healed"], gap["missing"])
        for gap in open_store(tmp_path).gaps()
        if gap["venue"] == "kraken"
    ]
    assert shown == [
        ("kraken", "BTC-USD", "trade", NOW + 1, NOW + 30, "complete", 0),
        ("kraken", "BTC-USD", "book", NOW + 5, NOW + 9, "snapshot", None),
        ("kraken", "", "", NOW + 7, NOW + 8, None, 3),
        ("kraken", "BTC-USD", "book", NOW + 20, None, None, None),
    ]


def test_raw_records_of_all_segments_come_in_the_order_of_receiving(tmp_path: Path) -> None:
    records = [frame(n, b"%d" % n) for n in range(30)]
    for part in (records[:10], records[10:20], records[20:]):
        written(tmp_path, *part)
    assert list(open_store(tmp_path).raw()) == records


def test_a_tape_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n in range(5):
        journal.record(trade(n))
        journal.tap(frame(n))
        until(lambda: journal.watermark.committed == journal.rows)
        store = open_store(tmp_path)
        assert store.counts() == {"kraken:BTC-USD/trade": n + 1}
        assert len(list(store.raw())) == n + 1
    journal.close()


def test_a_tape_can_be_opened_at_any_moment_of_its_birth_and_end(tmp_path: Path) -> None:
    refused = set()
    for n in range(10):
        life = threading.Thread(target=lambda n=n: Journal(tmp_path / str(n)).close())
        life.start()
        while life.is_alive():
            try:
                open_store(tmp_path / str(n))
            except StoreError as error:
                refused.add(error.problem)
        life.join()
        assert open_store(tmp_path / str(n)).counts() == {}
    assert refused <= {NO_TAPE}


def test_a_slow_reader_of_raw_records_lets_the_recorder_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n in range(1_200):
        journal.tap(frame(n))
    until(lambda: journal.watermark.committed == 1_200)
    reading = open_store(tmp_path).raw()
    first = next(reading)
    for n in range(1_200, 1_300):
        journal.tap(frame(n))
    until(lambda: journal.watermark.committed == 1_300)
    assert [first, *reading] == [frame(n) for n in range(1_200)]
    journal.close()


def test_the_time_between_two_recordings_is_a_gap(tmp_path: Path) -> None:
    for n in (1, 2):
        journal = Journal(tmp_path)
        journal.record(trade(n))
        journal.close()
    [between] = open_store(tmp_path).gaps()
    assert (between["cause"], between["start"]) == ("nothing was recorded", trade(1).recv_ns)
    assert int(str(between["end"])) <= int(journal.path.stem) + 10**9
