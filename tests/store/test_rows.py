"""What is recorded is what is found: every field of every event, every byte of every frame."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livetape.core.book import Book
from livetape.core.events import (
    Amendment,
    Auction,
    Bar,
    BestQuote,
    BookUpdate,
    Event,
    Gap,
    Luld,
    Mark,
    MarketEvent,
    News,
    Origin,
    Proof,
    Quote,
    Status,
    Summary,
    Trade,
    Trust,
    Why,
)
from livetape.core.raw import Direction, RawRecord
from livetape.store.journal import Journal
from livetape.store.reader import open_store
from livetape.store.schema import COLUMNS, VERSION

from .disk import disk
from .tape import (
    FIELDS,
    KINDS,
    NOW,
    SAMPLES,
    STREAM,
    events,
    frame,
    numbers,
    segments,
    select,
    trade,
    written,
)


def test_every_kind_of_event_comes_back_as_it_was(tmp_path: Path) -> None:
    assert events(written(tmp_path, *SAMPLES)) == SAMPLES


integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
decimals = st.from_regex(r"(0|[1-9]\d{0,19})(\.\d{1,20})?([eE][+-]?(1[0-8]|0?\d))?", fullmatch=True)
levels = st.lists(st.tuples(decimals, decimals), max_size=5)
proofs = st.none() | st.builds(Proof, texts, st.none() | integers, integers)
common: dict[str, st.SearchStrategy[object]] = {
    "recv_ns": integers,
    "session": integers,
    "seq": integers,
    "trust": st.sampled_from(Trust),
    "origin": st.sampled_from(Origin),
    "proof": proofs,
    "venue_ns": st.none() | integers,
}
optional = st.none() | integers
maybe = st.none() | decimals
codes = st.lists(texts, max_size=3).map(tuple)
names = st.from_regex(r"[a-z]{1,5}:[A-Z0-9.:-]{1,8}", fullmatch=True)
places = st.sampled_from(["venue", "venue:BTC-USD/book", "venue:BTC-USD/bar.1m"])


def made(
    kind: Callable[..., MarketEvent], **fields: st.SearchStrategy[object]
) -> st.SearchStrategy[MarketEvent]:
    channel = names.map(f"{{}}/{STREAM[kind]}".format) if kind in STREAM else places
    return st.fixed_dictionaries({"channel": channel} | common | fields).map(lambda given: kind(**given))


any_event = st.one_of(
    made(
        Trade,
        price_text=decimals,
        size_text=decimals,
        side=st.sampled_from(["buy", "sell", None]),
        id=st.none() | texts,
        number=optional,
        conditions=codes,
        excluded=codes,
    ),
    made(
        Amendment,
        trade_id=texts,
        old_price_text=decimals,
        old_size_text=decimals,
        price_text=maybe,
        size_text=maybe,
        id=st.none() | texts,
    ),
    made(
        Summary,
        open_text=maybe,
        last_text=maybe,
        previous_close_text=maybe,
        turnover_text=maybe,
        since_ns=optional,
    ),
    made(Mark, mark_text=decimals, index_text=maybe, funding_text=maybe),
    made(
        Auction,
        state=texts,
        id=st.none() | texts,
        auction_ns=optional,
        success=st.none() | st.booleans(),
        price_text=maybe,
        collar_text=maybe,
    ),
    made(Luld, up_text=decimals, down_text=decimals, indicator=texts),
    made(
        News,
        id=texts,
        headline=texts,
        symbols=codes,
        updated_ns=optional,
    ),
    made(
        Quote,
        bid_text=maybe,
        bid_size_text=maybe,
        ask_text=maybe,
        ask_size_text=maybe,
        venue_seq=optional,
    ),
    made(
        BestQuote,
        bid_text=maybe,
        ask_size_text=maybe,
        bid_venue=st.none() | texts,
        ask_venue=st.none() | texts,
        state=texts,
    ),
    made(
        BookUpdate,
        snapshot=st.booleans(),
        bids=levels,
        asks=levels,
        first=optional,
        last=optional,
        checksum=optional,
    ),
    made(
        Bar,
        channel=names.map("{}/bar.1m".format),
        start_ns=integers,
        open_text=decimals,
        high_text=decimals,
        low_text=decimals,
        close_text=decimals,
        volume_text=decimals,
        trades=optional,
        vwap_text=maybe,
        closed=st.none() | st.booleans(),
    ),
    made(Status, state=texts, detail=texts, why=st.sampled_from(Why)),
    made(
        Gap,
        start_ns=integers,
        end_ns=optional,
        cause=texts,
        healed=st.none() | texts,
        missing=optional,
    ),
)


@given(st.lists(any_event, min_size=1, max_size=20))
@settings(max_examples=40)
def test_any_event_comes_back_as_it_was(some: list[MarketEvent]) -> None:
    with TemporaryDirectory() as directory, disk():
        assert events(written(Path(directory), *some)) == some


@given(st.lists(st.builds(RawRecord, integers, integers, st.sampled_from(Direction), st.binary(), texts)))
@settings(max_examples=40)
def test_any_raw_record_comes_back_byte_for_byte(some: list[RawRecord]) -> None:
    with TemporaryDirectory() as directory, disk():
        written(Path(directory), *some)
        assert list(open_store(directory).raw()) == some


def test_large_and_empty_payloads_keep_their_bytes_and_places(tmp_path: Path) -> None:
    every_byte = bytes(range(256))
    payloads = [
        b"",
        every_byte * 4096,
        b"",
        b"\x00",
        every_byte,
        b"",
        b'{"utf-8":"\xc3\xa9"}',
        b"\xff\xfe" * 600_000,
    ]
    records = [frame(n, payload) for n, payload in enumerate(payloads)]
    segment = written(tmp_path, *records)
    assert list(open_store(tmp_path).raw()) == records
    assert {kind for (kind,) in select(segment, "SELECT typeof(payload) FROM raw")} == {"blob"}


def test_an_empty_payload_is_empty_and_not_absent(tmp_path: Path) -> None:
    segment = written(tmp_path, frame(1, b""))
    assert select(segment, "SELECT typeof(payload), length(payload) FROM raw") == [("blob", 0)]


def test_more_raw_records_than_are_read_at_once_come_in_order(tmp_path: Path) -> None:
    records = [frame(n, b"%d" % n) for n in range(1_201)]
    written(tmp_path, *records)
    assert list(open_store(tmp_path).raw()) == records


def test_every_field_of_an_event_has_a_column() -> None:
    made_of = {"channel": ["venue", "symbol"], "proof": ["method", "depth", "since"], "_book": []}
    columns = {field: [column] for column, field in FIELDS.items()} | made_of
    for table, kind in KINDS.items():
        names = {name for field in kind.__struct_fields__ for name in columns.get(field, [field])}
        assert names | {"n"} <= set(COLUMNS[table]) <= names | {"n", "kind", "interval"}


def test_types_in_sql_are_what_they_say(tmp_path: Path) -> None:
    segment = written(tmp_path, *SAMPLES)
    columns = "typeof(recv), typeof(price_text), price_text, typeof(price), price, size_text, size, id"
    assert select(segment, f"SELECT {columns} FROM trades") == [
        ("integer", "text", "63004.10", "real", 63004.1, "1e-8", 1e-8, "000123"),
        ("integer", "text", "126.55", "real", 126.55, "1", 1.0, "96921"),
    ]
    assert select(segment, "SELECT typeof(conditions), conditions FROM trades WHERE id = '96921'") == [
        ("text", '["@","I"]')
    ]
    query = "SELECT typeof(snapshot), snapshot, typeof(venue_last), asks FROM books"
    assert select(segment, query) == [("integer", 1, "integer", "[]")]
    assert select(segment, "SELECT typeof(bid_text), typeof(bid), ask FROM quotes") == [
        ("null", "null", 1877.65)
    ]
    query = "SELECT side, price_text, size_text FROM book_levels"
    assert select(segment, query) == [("bid", "63004.1", "0.790"), ("bid", "63004.0", "0")]
    assert select(segment, "SELECT interval, closed FROM bars") == [("1m", 0)]


def test_a_book_update_is_written_without_the_book_that_it_refers_to(tmp_path: Path) -> None:
    update = BookUpdate("a:B/book", None, False, [("1", "2")], [])
    segment = written(tmp_path, replace(update, _book=Book()))
    assert events(segment) == [update]


UNWRITABLE: list[MarketEvent | RawRecord] = [
    replace(trade(1), id="\ud800"),
    replace(trade(1), number=2**63),
    replace(trade(1), number=2**64),
    replace(trade(1), recv_ns=-(2**63) - 1),
    replace(trade(1), venue_ns="soon"),
    replace(trade(1), side=object()),
    replace(frame(1), note="\udcff"),
    replace(frame(1), session=2**63),
]


@pytest.mark.parametrize("bad", UNWRITABLE)
def test_what_cannot_be_written_gives_its_number_to_a_gap(
    tmp_path: Path, bad: MarketEvent | RawRecord, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = [trade(n) for n in range(50)], [trade(n) for n in range(50, 100)]
    segment = written(tmp_path, *before, frame(1), bad, frame(2), *after)
    assert numbers(segment) == list(range(1, 104))
    assert [event for event in events(segment) if isinstance(event, Trade)] == before + after
    [gap] = open_store(tmp_path).gaps()
    assert gap["missing"] == 1
    assert f"a {type(bad).__name__} cannot be written" in str(gap["cause"])
    assert "records lost: 1" in caplog.text
    assert select(segment, "SELECT n FROM gaps") == [(52,)]


def test_a_record_of_a_kind_that_has_no_table_is_told_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record(Event())  # type: ignore[arg-type]
    journal.record(trade(1))
    journal.close()
    assert (journal.rows, journal.dropped) == (2, 1)
    assert numbers(journal.path) == [1, 2]
    assert [(gap["venue"], gap["missing"]) for gap in open_store(tmp_path).gaps()] == [("store", 1)]


def test_a_segment_is_named_by_its_time_and_holds_what_wrote_it(tmp_path: Path) -> None:
    segment = written(tmp_path, trade(1))
    assert segments(tmp_path) == [segment]
    assert int(segment.stem) > NOW - 10**18
    meta = dict(select(segment, "SELECT key, value FROM meta"))
    assert meta["schema_version"] == VERSION
    assert set(meta) == {"schema_version", "livetape", "opened_ns"}
