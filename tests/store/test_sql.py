"""SQL over both halves of a tape, and over nothing else."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape import open_store
from livetape.core.errors import ConfigError, StoreError
from livetape.core.events import BookUpdate
from livetape.core.raw import Direction, RawRecord
from livetape.store import numbers, sql
from livetape.store.catalog import Catalog
from livetape.store.parquet import Reader
from livetape.store.plan import Rules
from livetape.store.reader import Store
from livetape.store.schema import COLUMNS
from livetape.store.upkeep import keep_up

from .tape import NOW, SAMPLES, frame, trade, written

DAY = 86_400_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Half of it is sealed, of two days; the other half is not."""
    tomorrow = RawRecord(1, NOW + DAY, Direction.IN, b"{}")
    written(tmp_path, *SAMPLES, *map(trade, range(10)), frame(1), tomorrow)
    keep_up(tmp_path, Rules())
    written(tmp_path, *SAMPLES, *map(trade, range(10, 20)), frame(2))
    return open_store(tmp_path)


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in store.sql(query).arrow().to_pylist()]


@pytest.mark.parametrize("table", COLUMNS)
def test_every_table_is_whole_and_has_its_columns(store: Store, table: str) -> None:
    [[n]] = rows(store, f"SELECT count(*) FROM {table}")
    again = store.sql(f"SELECT * FROM {table}").arrow()
    assert n == len(again)
    hot = {name for name in COLUMNS[table] if name not in ("n", "bids", "asks") or table == "raw"}
    assert hot | {"venue", "date"} <= {*again.column_names}
    assert not [name for name in again.column_names if name.endswith("_decimals")]


def test_both_halves_are_one(store: Store) -> None:
    query = "SELECT symbol, count(*), min(price_text), max(size_text) FROM trades GROUP BY ALL ORDER BY ALL"
    assert rows(store, query) == [("AAPL", 2, "126.55", "1"), ("BTC-USD", 22, "63004.1", "1e-8")]


def test_levels_of_books_are_rows_with_their_exact_texts(store: Store) -> None:
    query = "SELECT DISTINCT side, price, size, price_text, size_text FROM book_levels ORDER BY price"
    assert rows(store, query) == [
        ("bid", 63004.0, 0.0, "63004.0", "0"),
        ("bid", 63004.1, 0.79, "63004.1", "0.790"),
    ]


def test_levels_that_no_float_gives_back_have_their_texts_too(tmp_path: Path) -> None:
    bids, asks = [("1.0", "2e-8"), ("0.5", "3")], [("1.00", "123456789.123456789123")]
    written(tmp_path, BookUpdate("a:B-C/book", None, True, bids, asks, recv_ns=NOW))
    query = "SELECT side, price_text, size_text FROM book_levels"
    expected = {("bid", *level) for level in bids} | {("ask", *level) for level in asks}
    assert {*rows(open_store(tmp_path), query)} == expected


def test_times_are_ns_in_sql_and_have_their_zone_outside(store: Store) -> None:
    said = store.sql("SELECT epoch_ns(max(recv)) AS ns, max(recv) AS at FROM trades").arrow()
    assert said["ns"].to_pylist() == [NOW + 19]
    assert said["at"].type == pa.timestamp("ns", "UTC")
    assert said["at"].cast(pa.int64()).to_pylist() == [NOW + 19]
    [line] = store.sql("SELECT max(recv) AS at FROM trades").json_lines()
    assert line == b'{"at":%d}' % (NOW + 19)


def test_naming_the_date_or_the_venue_leaves_the_other_files_unopened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Noted(Reader):
        def __init__(self, path: Path) -> None:
            opened.append(path.relative_to(store.directory).as_posix().rpartition("/")[0])
            super().__init__(path)

    monkeypatch.setattr(sql, "Reader", Noted)
    assert rows(store, "SELECT count(*) FROM raw WHERE date = '2026-11-19'") == [(1,)]
    assert opened == ["raw/date=2026-11-19/venue=unknown"]
    opened.clear()
    assert rows(store, "SELECT count(*) FROM trades WHERE venue = 'alpaca'") == [(2,)]
    assert opened == ["trades/date=2026-11-18/venue=alpaca"]
    opened.clear()
    rows(store, "SELECT 1")
    assert opened == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT prize FROM trades", 'Referenced column "prize" not found'),
        ("SELECT * FROM trade", 'Did you mean "trades"'),
        ("SELECT 1; SELECT 2", "only one SELECT statement"),
        ("", "only one SELECT statement"),
        ("COPY trades TO '{there}'", "only one SELECT statement"),
        ("CREATE TABLE t AS SELECT 1", "only one SELECT statement"),
        ("INSTALL httpfs", "only one SELECT statement"),
        ("SET enable_external_access = true", "only one SELECT statement"),
        ("ATTACH '{there}'", "only one SELECT statement"),
        ("SELECT * FROM read_text('{here}')", "disabled by configuration"),
        ("SELECT * FROM read_csv('{here}')", "disabled by configuration"),
        ("SELECT * FROM '{here}'", "disabled by configuration"),
        ("SELECT * FROM glob('/*')", "disabled by configuration"),
        ("SELECT * FROM store", "does not exist"),
    ],
)
def test_nothing_else_can_be_read_and_nothing_written(store: Store, query: str, problem: str) -> None:
    here, there = store.directory / "secret.csv", store.directory / "made"
    here.write_text("a\n1\n")
    with pytest.raises(ConfigError, match=problem):
        store.sql(query.format(here=here, there=there))
    assert not there.exists()


def test_the_rows_of_a_query_are_no_events(store: Store) -> None:
    with pytest.raises(ConfigError, match="events are made of all columns"):
        store.sql("SELECT * FROM trades").events()


def test_a_damaged_byte_is_an_error_and_never_another_answer(store: Store) -> None:
    [file] = [f for f in Catalog(store.directory).view().files if f.path.startswith("trades/") and f.rows > 2]
    path = store.directory / file.path
    whole = path.read_bytes()
    query = "SELECT sum(price), sum(size), count(DISTINCT id), max(recv) FROM trades"
    answer = rows(store, query)
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            assert rows(store, query) == answer  # nothing that it needs was hit
        except StoreError as error:
            assert str(path) in str(error)


TEXTS = st.decimals(0, 10**15, places=6).map(str) | st.floats(1e-20, 1e22).map(
    lambda value: format(Decimal(repr(value)), "f").removesuffix(".0")
)


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_sql_makes_the_texts_that_were_packed(texts: list[str]) -> None:
    values, decimals, kept = numbers.pack(pa.array(texts))
    packed = pa.table({"v": values, "d": decimals, "t": kept})
    with duckdb.connect() as db:
        db.execute(sql._MACROS)
        db.register("packed", packed)
        assert [text for (text,) in db.execute("SELECT exact(v, d, t) FROM packed").fetchall()] == texts
