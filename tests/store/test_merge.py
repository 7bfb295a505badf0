"""Whatever files a tape lies in, its rows come in one order, each once."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest
from msgspec.structs import replace

from livetape.core.events import BookUpdate, MarketEvent, Origin, Quote, Status, Trade
from livetape.core.raw import Direction, RawRecord, Recipe
from livetape.store import merge
from livetape.store.catalog import Catalog
from livetape.store.merge import ALL, Selection
from livetape.store.seal import seal

from .tape import NOW, SAMPLES, frame, trade, written

SYMBOLS = ("BTC-USD", "ETH-USD", "AAPL")


def place(event: MarketEvent) -> tuple[int, int, int]:
    return event.recv_ns, event.session, event.seq


def told(n: int, seed: int = 7) -> list[MarketEvent]:
    """Events of three sessions, many at the same time, and not quite in the order of time."""
    random, made = Random(seed), []
    for i in range(n):
        venue, symbol = random.choice(("kraken", "gemini")), random.choice(SYMBOLS)
        whose = {"recv_ns": NOW + i // 4 - random.randrange(3), "session": random.randrange(1, 4), "seq": i}
        event: MarketEvent = random.choice(
            [
                Trade(f"{venue}:{symbol}/trade", NOW, f"{i}.10", "1", "buy", str(i)),
                Quote(f"{venue}:{symbol}/quote", None, "1.0", "2", None, None),
                BookUpdate(f"{venue}:{symbol}/book", NOW, i % 50 == 0, [(f"{i}.0", "1")], []),
                Status(venue, "connected"),
            ]
        )
        made.append(replace(event, **whose))
    return made


def as_replayed(events: Sequence[MarketEvent]) -> list[MarketEvent]:
    kept = [e if e.origin is Origin.BACKFILLED else replace(e, origin=Origin.REPLAYED) for e in events]
    return sorted(kept, key=place)


def read(directory: Path, selection: Selection = ALL) -> list[MarketEvent]:
    return [event for events in merge.events(directory, selection) for event in events]


def sealed(directory: Path) -> None:
    catalog = Catalog.writable(directory)
    for segment in catalog.view().segments:
        seal(catalog, segment)


@pytest.fixture(params=["whole files", "large files"])
def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds so small that every file is read in pieces, and many windows are made."""
    if request.param == "large files":
        bounds = {"SMALL_FILE": 10, "LARGE_FILE": 100, "LEAST_ROWS": 16}
        for name, value in (bounds | {"WINDOW_ROWS": 50, "MOST_WINDOW_ROWS": 100}).items():
            monkeypatch.setattr(merge, name, value)


def test_every_kind_of_event_comes_as_it_was_recorded(tmp_path: Path) -> None:
    events = [replace(event, session=1, seq=n) for n, event in enumerate(SAMPLES, 1)]
    written(tmp_path, *events)
    hot = read(tmp_path)
    sealed(tmp_path)
    assert hot == read(tmp_path) == as_replayed(events)


@pytest.mark.usefixtures("files")
def test_the_order_is_the_same_from_all_halves(tmp_path: Path) -> None:
    events = told(3_000)
    written(tmp_path, *events[:1_500])
    written(tmp_path, *events[1_500:])
    assert read(tmp_path) == as_replayed(events)
    catalog = Catalog.writable(tmp_path)
    seal(catalog, catalog.view().segments[0])
    assert read(tmp_path) == as_replayed(events)
    sealed(tmp_path)
    assert not catalog.view().segments
    assert read(tmp_path) == as_replayed(events)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("cold", [False, True])
def test_a_selection_is_exact(tmp_path: Path, *, cold: bool) -> None:
    events = told(2_000)
    written(tmp_path, *events)
    if cold:
        sealed(tmp_path)
    channels = frozenset({"kraken:BTC-USD/trade", "gemini:AAPL/book"})
    for some, start_ns, end_ns in (
        (channels, None, None),
        (None, NOW + 100, NOW + 300),
        (channels, NOW, NOW + 9),
    ):
        wanted = [
            event
            for event in as_replayed(events)
            if (some is None or event.channel in some)
            and (start_ns is None or event.recv_ns >= start_ns)
            and (end_ns is None or event.recv_ns < end_ns)
        ]
        assert read(tmp_path, Selection(start_ns, end_ns, some)) == wanted


@pytest.mark.usefixtures("files")
def test_batches_hold_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    events = told(2_000)
    written(tmp_path, *events)
    sealed(tmp_path)
    ids: list[str] = []
    last_ns = 0
    for table, rows in merge.batches(tmp_path, ALL):
        if table == "trades":
            ids += rows["id"].to_pylist()
        last_ns = max(last_ns, rows["recv"][-1].value)
    assert ids == [event.id for event in as_replayed(events) if isinstance(event, Trade)]
    assert last_ns == max(event.recv_ns for event in events)


@pytest.mark.usefixtures("files")
def test_raw_records_come_in_the_order_of_recording(tmp_path: Path) -> None:
    begun = [
        RawRecord(session, NOW, Direction.BEGIN, note=Recipe(venue).encode())
        for session, venue in ((1, "kraken"), (2, "gemini"))
    ]
    frames = [replace(frame(i, b"%d" % i), session=1 + i % 7 // 4) for i in range(1_000)]
    records = [*begun, *frames]
    written(tmp_path, *records[:600])
    written(tmp_path, *records[600:])
    assert list(merge.records(tmp_path)) == records
    catalog = Catalog.writable(tmp_path)
    seal(catalog, catalog.view().segments[0])
    assert list(merge.records(tmp_path)) == records
    sealed(tmp_path)
    assert list(merge.records(tmp_path)) == records
    assert merge.sessions(tmp_path) == {1, 2}


@pytest.mark.parametrize("cold", [False, True])
def test_a_book_opens_with_its_last_snapshot(tmp_path: Path, *, cold: bool) -> None:
    def book(n: int, symbol: str, *, snapshot: bool = False) -> BookUpdate:
        name = f"kraken:{symbol}/book"
        return BookUpdate(name, None, snapshot, [(str(n), "1")], [], recv_ns=NOW + n, session=1, seq=n)

    updates = [
        *(book(1, "BTC-USD", snapshot=True), book(2, "BTC-USD"), book(3, "ETH-USD", snapshot=True)),
        *(book(4, "BTC-USD", snapshot=True), book(5, "BTC-USD"), book(6, "ETH-USD"), book(7, "AAPL")),
        *(book(8, "BTC-USD", snapshot=True), book(9, "ETH-USD")),
    ]
    written(tmp_path, *updates, trade(3))
    if cold:
        sealed(tmp_path)
    some = merge.openings(tmp_path, Selection(start_ns=NOW + 7))
    assert [event.seq for events in some for event in events] == [3, 4, 5, 6]
    one = merge.openings(tmp_path, Selection(NOW + 7, None, frozenset({"kraken:ETH-USD/book"})))
    assert [event.seq for events in one for event in events] == [3, 6]
    assert not list(merge.openings(tmp_path, Selection(start_ns=NOW)))


def test_what_is_recorded_meanwhile_is_not_in_it(tmp_path: Path) -> None:
    written(tmp_path, *map(trade, range(10)))
    events = merge.events(tmp_path, ALL)
    first = next(events)
    written(tmp_path, *map(trade, range(10, 20)))
    assert len(first) + sum(map(len, events)) == 10


def test_raw_records_of_segments_that_each_count_from_one_come_one_after_the_other(tmp_path: Path) -> None:
    """As the first version wrote them."""
    frames = [frame(n, b"%d" % n) for n in range(6)]
    older, newer = written(tmp_path, *frames[:3]), written(tmp_path, *frames[3:])
    with closing(apsw.Connection(str(newer))) as db:
        db.execute("UPDATE raw SET n = n - 3")
    (tmp_path / "catalog.sqlite").unlink()
    assert older < newer
    assert list(merge.records(tmp_path)) == frames


def test_a_segment_far_on_in_the_store_is_read_without_its_numbers_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [frame(n, b"%d" % n) for n in range(6)]
    segment = written(tmp_path, *frames)
    with closing(apsw.Connection(str(segment))) as db:
        db.execute("UPDATE raw SET n = n + 1000000000")
    monkeypatch.setattr(merge, "PAGE", 4)
    assert list(merge.records(tmp_path)) == frames
