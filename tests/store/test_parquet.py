"""Sealed files: what was written is read, in any part; what is damaged is named and never returned."""

import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livetape.core.errors import StoreError
from livetape.core.events import MarketEvent, Trade
from livetape.store import columns, parquet
from livetape.store.parquet import GROUP_ROWS, Reader, Run

from .tape import KINDS, NOW, SAMPLES, frame, select, written

FLIPS = 300


def _trades(**symbols: int) -> pa.Table:
    """Trades of so many rows of each symbol, as a sealed file has them."""
    template = {"session": 1, "venue": "kraken", "trust": "live", "origin": "live", "side": "buy"}
    rows = [
        template
        | {"seq": n, "recv": NOW + n, "ts": None if n % 10 else NOW, "symbol": symbol, "id": str(n)}
        | {"price_text": f"{n % 700 / 10:.1f}", "size_text": f"{n * 7919 % 100_003 / 1000}"}
        | {"conditions": '["@"]' if n % 3 else "[]", "excluded": "[]"}
        for symbol, count in symbols.items()
        for n in range(count)
    ]
    names = columns.hot_names("trades")
    return columns.from_hot("trades", [tuple(map(row.get, names)) for row in rows])


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A file of two short runs and two long ones, and what is in it."""
    path = tmp_path_factory.mktemp("sealed") / "trades.parquet"
    rows = _trades(A=50, B=200, LONG=40_000, LONGER=GROUP_ROWS + 10_000)
    parquet.write(path, "trades", rows)
    return path, rows


def test_events_of_every_kind_come_back(tmp_path: Path) -> None:
    segment = written(tmp_path, *SAMPLES)
    for table, kind in KINDS.items():
        names = ", ".join(f'"{name}"' for name in columns.hot_names(table))
        hot = select(segment, f"SELECT {names} FROM {table} ORDER BY symbol, recv, session, seq")
        parquet.write(tmp_path / table, table, columns.from_hot(table, hot))
        read = Reader(tmp_path / table).read()
        assert read.schema == columns.schema(table)
        recorded: list[MarketEvent] = [event for event in SAMPLES if type(event) is kind]
        recorded.sort(key=lambda event: (event.symbol, event.recv_ns, event.session, event.seq))
        assert columns.events(table, read) == recorded


def test_raw_records_come_back(tmp_path: Path) -> None:
    tapped = [frame(n, b"\x00" * n) for n in range(9)]
    names = columns.hot_names("raw")
    hot = select(written(tmp_path, *tapped), f"SELECT {', '.join(names)} FROM raw ORDER BY session, n")
    assert parquet.write(tmp_path / "raw", "raw", columns.from_hot("raw", hot)) == [
        Run(1, 0, 9, NOW, NOW + 8)
    ]
    assert columns.records(Reader(tmp_path / "raw").read()) == tapped


def test_runs_say_where_each_key_is(sealed: tuple[Path, pa.Table]) -> None:
    path, rows = sealed
    reader = Reader(path)
    assert (reader.table, reader.rows) == ("trades", rows.num_rows)
    assert [(run.key, run.first_row, run.rows) for run in reader.runs] == [
        *[("A", 0, 50), ("B", 50, 200), ("LONG", 250, 40_000), ("LONGER", 40_250, GROUP_ROWS + 10_000)]
    ]
    for run in reader.runs:
        assert (run.first_recv, run.last_recv) == (NOW, NOW + run.rows - 1)
        assert set(reader.read(["symbol"], run=run)["symbol"].to_pylist()) == {run.key}


def test_row_groups_are_bounded_and_the_newest_rows_of_a_long_run_are_few(
    sealed: tuple[Path, pa.Table],
) -> None:
    metadata = pq.read_metadata(sealed[0])
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [250, 40_000 - 4_096, 4_096, GROUP_ROWS, 10_000 - 4_096, 4_096]


_row = st.one_of(st.integers(0, 120), st.integers(0, 130_000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(-1, 3),
    _row,
    st.none() | _row,
    st.none() | _row,
    st.sampled_from([("seq",), ("side", "price")]),
)
def test_any_part_is_what_was_written(
    sealed: tuple[Path, pa.Table],
    at: int,
    first: int,
    rows: int | None,
    last: int | None,
    names: tuple[str, ...],
) -> None:
    path, expected = sealed
    reader = Reader(path)
    run = reader.runs[at] if at >= 0 else None
    if run is not None:
        expected = expected.slice(run.first_row, run.rows)
    expected = expected.slice(first, rows)
    if last is not None:
        expected = expected.slice(max(0, expected.num_rows - last))
    found = reader.read(names, run=run, first_row=first, rows=rows, last=last)
    assert found.equals(expected.select(names))


def test_a_file_without_rows_is_a_file(tmp_path: Path) -> None:
    for table in ("trades", "books"):
        assert parquet.write(tmp_path / "x", table, columns.schema(table).empty_table()) == []
        reader = Reader(tmp_path / "x")
        assert reader.read().equals(columns.schema(table).empty_table())
        assert list(reader.problems()) == []


def test_every_compression_level_holds_the_same(tmp_path: Path) -> None:
    rows = _trades(A=500)
    for level in (1, 9):
        parquet.write(tmp_path / "x", "trades", rows, level=level)
        assert Reader(tmp_path / "x").read().equals(rows)


def test_other_tools_read_it(sealed: tuple[Path, pa.Table]) -> None:
    path, rows = sealed
    assert (
        pq.read_table(path)
        .select(["recv", "symbol", "price"])
        .equals(rows.select(["recv", "symbol", "price"]))
    )
    query = f"SELECT count(*), max(recv)::VARCHAR, sum(price), max(len(conditions)) FROM '{path}'"
    [(count, last, total, most)] = duckdb.sql(query).fetchall()
    assert (count, most) == (rows.num_rows, 1)
    assert last == str(max(rows["recv"].to_pylist()))
    assert total == pytest.approx(sum(rows["price"].to_pylist()))


def test_every_byte_between_the_ends_is_under_a_checksum(sealed: tuple[Path, pa.Table]) -> None:
    metadata, end = pq.read_metadata(sealed[0]), 4
    for i in range(metadata.num_row_groups):
        for j in range(metadata.num_columns):
            chunk = metadata.row_group(i).column(j)
            assert end == (chunk.dictionary_page_offset or chunk.data_page_offset)
            end += chunk.total_compressed_size
    assert end < metadata.serialized_size + end < sealed[0].stat().st_size


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    rows = _trades(A=50, B=300)
    path = tmp_path / "x"
    parquet.write(path, "trades", rows)
    good, chance = path.read_bytes(), random.Random(5)
    for _ in range(FLIPS):
        bit = chance.randrange(8 * len(good))
        _flip(path, good, bit)
        try:
            reader = Reader(path)
            assert list(reader.problems()), bit
            assert reader.read().equals(rows), bit
        except StoreError as error:
            assert str(path) in str(error)


def test_damage_is_told_by_rows_and_column_and_spares_the_rest(
    sealed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    good, path = sealed[0].read_bytes(), tmp_path / "x"
    metadata = pq.read_metadata(sealed[0])
    [leaf] = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path == "size"]
    chunk = metadata.row_group(2).column(leaf)
    _flip(path, good, 8 * chunk.data_page_offset + 8 * 40)
    told = "rows 36154 to 40249 of the column size are damaged"
    reader = Reader(path)
    with pytest.raises(StoreError, match=told):
        reader.read(["price", "size"], run=reader.runs[2], last=10)
    assert list(reader.problems()) == [told]
    assert reader.read(["price"]).num_rows == reader.rows
    assert reader.read(run=reader.runs[3]).num_rows == reader.runs[3].rows


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    parquet.write(path, "trades", _trades(A=50))
    good = path.read_bytes()
    for size in (0, 3, 8, 40, len(good) // 2, len(good) - 100, len(good) - 8, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(StoreError):
            Reader(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(StoreError):
        Reader(path)


def test_what_is_no_sealed_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(_trades(A=5), tmp_path / "foreign")
    (tmp_path / "folder").mkdir()
    for name in ("foreign", "folder", "missing"):
        with pytest.raises(StoreError, match=name):
            Reader(tmp_path / name)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        parquet.write(tmp_path / "nowhere" / "x", "trades", _trades(A=5))


def test_a_newer_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "VERSION", parquet.VERSION + 1)
        parquet.write(tmp_path / "x", "trades", _trades(A=5))
    with pytest.raises(StoreError, match=r"schema version \d+ is newer"):
        Reader(tmp_path / "x")


def test_what_an_older_version_did_not_write_has_its_default(tmp_path: Path) -> None:
    rows = _trades(A=5)
    parquet.write(tmp_path / "x", "trades", rows.drop_columns(["conditions", "number"]))
    read = Reader(tmp_path / "x").read()
    assert read.schema == rows.schema
    made: list[Any] = columns.events("trades", read)
    assert [(each.conditions, each.number) for each in made if isinstance(each, Trade)] == [((), None)] * 5
    assert Reader(tmp_path / "x").read(["number"], last=2).to_pydict() == {"number": [None, None]}


def test_many_symbols_share_row_groups(tmp_path: Path) -> None:
    symbols = {f"S{n:04}": 7 for n in range(300)}
    runs = parquet.write(tmp_path / "x", "trades", _trades(**symbols))
    assert [run.key for run in runs] == list(symbols)
    assert pq.read_metadata(tmp_path / "x").num_row_groups == 1
    assert (
        Reader(tmp_path / "x").read(["symbol"], run=runs[123], last=3)["symbol"].to_pylist() == ["S0123"] * 3
    )


def _flip(path: Path, good: bytes, bit: int) -> None:
    bad = bytearray(good)
    bad[bit >> 3] ^= 1 << (bit & 7)
    path.write_bytes(bad)
