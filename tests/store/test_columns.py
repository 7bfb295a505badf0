"""The tape as columns: every event comes back as it was recorded."""

import gc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from livetape.core.book import Book
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import BookUpdate, Gap, MarketEvent, Origin, Proof, Quote, Status, Trade, Trust
from livetape.core.raw import Direction, RawRecord
from livetape.store import columns
from livetape.store.schema import COLUMNS

from .tape import KINDS, NOW, SAMPLES, select, trade, written
from .test_numbers import ODD, texts

LEVELS = [("63004.1", "0.790"), ("1e-8", "0"), ("63004.10", "000.5"), ('x\\"y', "\u00e9"), ("", ",")]


def _hot(segment: Path, table: str) -> pa.Table:
    names = ", ".join(f'"{name}"' for name in columns.hot_names(table))
    return columns.from_hot(table, select(segment, f"SELECT {names} FROM {table} ORDER BY n"))


def _back(segment: Path, table: str) -> list[MarketEvent]:
    return columns.events(table, _hot(segment, table))


def _book(bids: list[tuple[str, str]], asks: list[tuple[str, str]], n: int = 0) -> BookUpdate:
    return BookUpdate("kraken:BTC-USD/book", None, False, bids, asks, recv_ns=NOW + n, seq=n)


def test_events_of_every_kind_come_back(tmp_path: Path) -> None:
    segment = written(tmp_path, *SAMPLES)
    for table, kind in KINDS.items():
        recorded = [event for event in SAMPLES if type(event) is kind]
        assert recorded
        assert _back(segment, table) == recorded
    assert KINDS.keys() | {"raw"} == COLUMNS.keys()


def test_raw_records_come_back(tmp_path: Path) -> None:
    tapped = [
        RawRecord(1, NOW, Direction.BEGIN, note="{}"),
        RawRecord(1, NOW + 1, Direction.IN, b"\x00\xff{}"),
        RawRecord(2, NOW + 2, Direction.OUT, b""),
        RawRecord(1, NOW + 3, Direction.CLOSE, note="réseau \x00 \U0001f4c9"),
    ]
    assert columns.records(_hot(written(tmp_path, *tapped), "raw")) == tapped


def test_an_update_comes_without_its_book(tmp_path: Path) -> None:
    update = _book([("1.0", "2")], [])
    assert _back(written(tmp_path, replace(update, _book=Book())), "books") == [update]


def test_odd_texts_come_back_whatever_stands_beside_them(tmp_path: Path) -> None:
    trades = [replace(trade(n), price_text=text, size_text=text[::-1]) for n, text in enumerate(ODD, 1)]
    quotes: list[MarketEvent] = [
        Quote("a:B/quote", None, text, None, None, text, recv_ns=NOW)
        for text in ("1.50", None, "é\x00", *ODD)
    ]
    segment = written(tmp_path, *trades, *quotes)
    assert _back(segment, "trades") == trades
    assert _back(segment, "quotes") == quotes


def test_names_with_zero_and_other_characters_come_back(tmp_path: Path) -> None:
    strange = "\x00é\U0001f4c9'\";--"
    told: list[MarketEvent] = [
        Status(f"kraken:{strange}/book", strange, strange, recv_ns=1),
        Status("kraken", "connected", recv_ns=2),
        Status("kraken:BTC-USD/bar.1m", "stale", recv_ns=3),
    ]
    prints = [
        replace(trade(1), id=strange, conditions=(strange, ""), side=strange),
        replace(trade(2), id=None),
    ]
    segment = written(tmp_path, *told, *prints)
    assert _back(segment, "status") == told
    assert _back(segment, "trades") == prints


def test_levels_come_back_when_they_share_no_decimals(tmp_path: Path) -> None:
    updates: list[MarketEvent] = [
        _book(LEVELS, []),
        _book([], LEVELS[:2]),
        _book([], []),
        _book([("1.50", "1")], [("1.60", "2")]),
        _book([("1.5", "1.00")], [("1.6", "0.00")]),
    ]
    segment = written(tmp_path, *updates)
    assert _back(segment, "books") == updates
    whole = _hot(segment, "books")["levels_text"].to_pylist()
    assert [text is None for text in whole] == [False, False, True, True, True]


levels = st.lists(st.tuples(*[texts.filter(lambda text: text is not None)] * 2), max_size=4)


@given(st.lists(st.tuples(levels, levels), max_size=6))
def test_any_levels_come_back(given: list[tuple[Any, Any]]) -> None:
    common = (0, 0, 0, None, "v", "S", "live", "live", 0, None, None, None)
    rows = [(*common, *(json.encode(side).decode() for side in sides), None, None, None) for sides in given]
    made = columns.events("books", columns.from_hot("books", rows))
    assert [(update.bids, update.asks) for update in made if isinstance(update, BookUpdate)] == given


def test_what_varies_from_row_to_row_comes_back(tmp_path: Path) -> None:
    proofs = [None, Proof("crc32", 10, NOW), Proof("crc32", None, NOW), Proof("sequence", 10, NOW + 1)]
    trusts, origins = list(Trust), list(Origin)
    trades = [
        replace(
            trade(n),
            channel=f"v{n % 3}:S{n % 7}/trade",
            venue_ns=None if n % 5 == 0 else NOW - n,
            side=[None, "buy", "sell"][n % 3],
            number=None if n % 4 == 0 else n,
            conditions=("a",) * (n % 3),
            session=n // 10,
            trust=trusts[n % len(trusts)],
            origin=origins[n % len(origins)],
            proof=proofs[n % 4],
        )
        for n in range(100)
    ]
    segment = written(tmp_path, *trades)
    assert _back(segment, "trades") == trades
    rows = _hot(segment, "trades")
    parts = pa.concat_tables([rows.slice(at, 7) for at in range(0, 100, 7)])
    assert columns.events("trades", parts) == trades
    assert columns.events("trades", rows.slice(13, 20)) == trades[13:33]


def test_levels_of_a_slice_are_its_own(tmp_path: Path) -> None:
    updates: list[MarketEvent] = [_book([(f"{n}.5", "1")] * (n % 3), [("9.0", f"{n}")], n) for n in range(20)]
    rows = _hot(written(tmp_path, *updates), "books")
    assert columns.events("books", rows.slice(5, 9)) == updates[5:14]


@pytest.mark.parametrize("bids", ["garbage", "[[1", '[["1"]]', '[["1","2"]', '[["1","2","3"]]', ""])
def test_levels_that_were_damaged_in_the_journal_are_kept_and_not_read_as_none(bids: str) -> None:
    row = dict.fromkeys(columns.hot_names("books")) | {"session": 0, "seq": 0, "recv": 0, "venue": "v"}
    row |= {"symbol": "S", "trust": "live", "origin": "live", "snapshot": 1, "bids": bids, "asks": "[]"}
    rows = columns.from_hot("books", [tuple(row.values())])
    assert rows["levels_text"].to_pylist() == [f'{{"bids":{bids},"asks":[]}}']
    with pytest.raises(StoreError, match="damaged in the journal"):
        columns.events("books", rows)


def test_no_rows_are_no_events() -> None:
    for table in KINDS:
        assert columns.from_hot(table, []).schema == columns.schema(table)
        assert columns.events(table, columns.from_hot(table, [])) == []
    assert columns.records(columns.from_hot("raw", [])) == []


def test_what_an_older_version_did_not_write_has_its_default() -> None:
    row = dict.fromkeys(columns.hot_names("trades")) | {"session": 0, "seq": 0, "recv": 0, "venue": "v"}
    row |= {"symbol": "S", "trust": "live", "origin": "live", "price_text": "1", "size_text": "2"}
    rows = columns.from_hot("trades", [tuple(row.values())])
    assert columns.events("trades", rows) == [Trade("v:S/trade", None, "1", "2", None, None)]


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    rows = _hot(written(tmp_path, *SAMPLES), "trades")
    columns.events("trades", rows)
    assert gc.isenabled()
    gc.disable()
    try:
        columns.events("trades", rows)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_users_see_floats_and_the_texts_they_name(tmp_path: Path) -> None:
    trades = [replace(trade(n), price_text=text) for n, text in enumerate(["1.50", "1e-8", "7"], 1)]
    rows = _hot(written(tmp_path, *trades), "trades")
    usual = columns.public("trades", rows)
    assert not [name for name in usual.column_names if name.endswith(("_text", "_decimals"))]
    assert usual["price"].to_pylist() == [1.5, 1e-8, 7.0]
    named = columns.public(
        "trades", rows.select(columns.stored("trades", ["seq", "price_text"])), ["price_text"]
    )
    assert named.to_pydict() == {"price_text": ["1.50", "1e-8", "7"]}


def test_the_text_of_levels_is_whole_for_every_update(tmp_path: Path) -> None:
    updates = [_book([("1.50", "1")], [("1.60", "2")]), _book([("1.5", "1e2")], [])]
    rows = _hot(written(tmp_path, *updates), "books").select(columns.stored("books", ["levels_text"]))
    shown = columns.public("books", rows, ["levels_text"])["levels_text"].to_pylist()
    sides = [{"bids": update.bids, "asks": update.asks} for update in updates]
    assert shown == [json.encode(side).decode() for side in sides]


def test_a_column_that_is_not_there_is_named() -> None:
    assert columns.stored("trades", ["recv", "price"]) == ["recv", "price"]
    with pytest.raises(ConfigError, match=r"no column 'pric'.*price"):
        columns.stored("trades", ["pric"])
    with pytest.raises(ConfigError):
        columns.stored("trades", ["price_decimals"])


def test_a_gap_that_is_open_and_one_that_has_ended_come_back(tmp_path: Path) -> None:
    gaps = [Gap("v:S/book", 1, None, "x", recv_ns=1), Gap("v", 1, 9, "x", "history", 3, recv_ns=2)]
    assert _back(written(tmp_path, *gaps), "gaps") == gaps
