"""Both halves of a store as one: each row once, whatever is sealed meanwhile, and the newest first."""

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pyarrow as pa
import pytest

from livetape import open_store
from livetape.core.events import Trade
from livetape.core.instruments import Channel
from livetape.store import scan
from livetape.store.catalog import Catalog
from livetape.store.files import collect
from livetape.store.journal import Journal
from livetape.store.plan import Rules
from livetape.store.scan import Wanted, visible
from livetape.store.upkeep import keep_up

from .tape import NOW, frame, trade, until, written

NAME = "kraken:BTC-USD/trade"
CHANNEL = Channel.parse(NAME)
WANTED = Wanted("trades", CHANNEL, names=("number",))


def numbers(rows: pa.Table | Iterator[pa.Table]) -> list[int]:
    parts = [rows] if isinstance(rows, pa.Table) else rows
    return [n for part in parts for n in part["number"].to_pylist()]


def shuffled(seed: int, n: int) -> list[Trade]:
    """Trades of two sessions and two symbols, of which some times are the same and some run backwards."""
    chance = random.Random(seed)
    recv = NOW
    trades = []
    for i in range(n):
        recv += chance.choice((0, 0, 1, 1_000))
        channel, session = chance.choice((NAME, "kraken:ETH-USD/trade")), chance.randrange(2)
        ts = chance.choice((None, recv - chance.randrange(5_000)))
        trades.append(Trade(channel, ts, "1", "1", None, None, i, recv_ns=recv, session=session, seq=i))
    return trades


@pytest.fixture(scope="module", params=[0, 1, 2, 3])
def layout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Trade]]:
    """A store of which some segments are sealed, or indexed, and what it has in the order of the tape."""
    directory, trades = tmp_path_factory.mktemp("layout"), shuffled(request.param, 900)
    for part in range(3):
        written(directory, *trades[part * 300 : part * 300 + 300])
        if part + 1 == request.param:
            keep_up(directory, Rules())
    if not request.param:
        keep_up(directory, Rules("sqlite"))
    ours = [trade for trade in trades if trade.channel == NAME]
    return directory, sorted(ours, key=lambda t: (t.recv_ns, t.session, t.seq))


def market_ns(trade: Trade) -> int:
    return trade.recv_ns if trade.venue_ns is None else trade.venue_ns


@pytest.mark.parametrize("by", ["time", "recv"])
def test_what_is_chosen_is_what_lies_in_the_time(
    layout: tuple[Path, list[Trade]], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "STRETCH", 64)
    monkeypatch.setattr(scan, "CHUNK", 7)
    monkeypatch.setattr(scan, "INDEXED", 5)
    directory, trades = layout
    chance = random.Random(7)
    for _ in range(40):
        start, end = sorted(chance.choice(trades).recv_ns + chance.randrange(-9, 9) for _ in range(2))
        bounds = chance.choice([(start, end), (start, None), (None, end), (None, None)])
        times = [market_ns(t) if by == "time" else t.recv_ns for t in trades]
        first, last = (0 if bounds[0] is None else start), (1 << 63 if bounds[1] is None else end)
        expected = [t.number for t, ns in zip(trades, times, strict=True) if first <= ns < last]
        wanted = WANTED._replace(start_ns=bounds[0], end_ns=bounds[1], by=by)
        with visible(directory) as tape:
            assert numbers(tape.ordered(wanted)) == expected
            for n in (1, 5, 100, 1_000):
                assert numbers(tape.last(wanted, n)) == expected[-n:]


def test_a_segment_that_is_sealed_meanwhile_neither_vanishes_nor_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "STRETCH", 10)
    written(tmp_path, *map(trade, range(50)))
    segment = Catalog(tmp_path).view().segments[0].path
    with visible(tmp_path) as tape:
        reading = tape.scan(WANTED)
        first = numbers(next(reading))
        keep_up(tmp_path, Rules())
        assert Catalog(tmp_path).view().segments == ()
        assert segment.exists()  # as long as somebody reads
        assert first + numbers(reading) == list(range(50))
    collect(Catalog(tmp_path))
    assert not segment.exists()
    assert numbers_of(tmp_path) == list(range(50))


def numbers_of(directory: Path) -> list[int]:
    with visible(directory) as tape:
        return numbers(tape.ordered(WANTED))


def test_files_that_are_compacted_meanwhile_are_read_to_their_end(tmp_path: Path) -> None:
    for part in range(3):
        written(tmp_path, *(trade(n) for n in range(part * 10, part * 10 + 10)))
        keep_up(tmp_path, Rules(compact=False))
    with visible(tmp_path) as tape:
        reading = tape.scan(WANTED)
        first = numbers(next(reading))
        keep_up(tmp_path, Rules())
        assert len(Catalog(tmp_path).view().files) == 1
        assert sorted(first + numbers(reading)) == list(range(30))
    assert numbers_of(tmp_path) == list(range(30))


def test_a_tape_can_be_read_at_any_moment_of_its_sealing(tmp_path: Path) -> None:
    written(tmp_path, *map(trade, range(300)))
    written(tmp_path, *map(trade, range(300, 600)))
    sealing = threading.Thread(target=keep_up, args=(tmp_path, Rules()))
    sealing.start()
    while sealing.is_alive():
        assert numbers_of(tmp_path) == list(range(600))
    sealing.join()
    assert numbers_of(tmp_path) == list(range(600))


def test_a_slow_reader_lets_the_recorder_reuse_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "STRETCH", 10)
    journal = Journal(tmp_path)
    for n in range(100):
        journal.record(trade(n))
    until(lambda: journal.watermark.committed == 100)
    with visible(tmp_path) as tape:
        reading = tape.scan(WANTED)
        next(reading)
        db = apsw.Connection(str(journal.path))
        db.set_busy_timeout(5_000)
        [[busy, _, _]] = db.execute("PRAGMA wal_checkpoint(RESTART)")  # waits for readers
        db.close()
        assert busy == 0
        assert numbers(reading) == list(range(10, 100))
    journal.close()


def test_older_segments_lack_columns_and_tables(tmp_path: Path) -> None:
    segment = written(tmp_path, trade(1), frame(1))
    db = apsw.Connection(str(segment))
    db.execute("ALTER TABLE trades DROP COLUMN excluded; DROP TABLE lulds")
    db.close()
    with visible(tmp_path) as tape:
        [row] = tape.ordered(Wanted("trades")).to_pylist()
        assert (row["number"], row["excluded"]) == (1, [])
        assert tape.ordered(Wanted("lulds")).num_rows == 0


def test_a_directory_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    written(tmp_path, *map(trade, range(3)))
    keep_up(tmp_path, Rules())
    (tmp_path / "readers.lock").unlink(missing_ok=True)
    tmp_path.chmod(0o555)
    try:
        if os.geteuid() == 0:  # nothing is forbidden to root but what is no directory
            (tmp_path / "readers.lock").symlink_to("/nosuch/lock")
        assert len(open_store(tmp_path).history(NAME)) == 3
    finally:
        tmp_path.chmod(0o755)
