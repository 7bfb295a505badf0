"""SQL over a tape: DuckDB sees the tables of both halves, and nothing else (floor 3).

Rule 1: DuckDB opens no file and loads no extension. It asks for columns of the rows that it wants, and they
        are read as everywhere, verified; its own reader of Parquet does not look at checksums.
Rule 2: nothing is read before DuckDB wants it, nor what a query cannot find anything in.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from ..core.errors import ConfigError, StoreError
from . import columns
from .catalog import SealedFile
from .parquet import Reader
from .result import Result
from .scan import Tape, Wanted, groups
from .schema import COLUMNS

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_LOCK = "SET enable_external_access = false; SET lock_configuration = true"
_FORMAT, _NOWHERE = ds.ParquetFileFormat(), fs.LocalFileSystem()
#: The texts of numbers, as numbers.py has them. A DOUBLE's own text has an exponent where it is long.
_MACROS = r"""
CREATE MACRO digits(text) AS replace(regexp_extract(text, '^-?([\d.]+)e', 1), '.', '');
CREATE MACRO exponent(text) AS regexp_extract(text, 'e-(\d+)$', 1)::INT;
CREATE MACRO plain(text) AS CASE
    WHEN text LIKE '%e-%' THEN
        if(text LIKE '-%', '-0.', '0.') || repeat('0', exponent(text) - 1) || digits(text)
    WHEN text LIKE '%e+%' THEN text::DECIMAL(38, 0)::VARCHAR
    ELSE regexp_replace(text, '\.0$', '') END;
CREATE MACRO exact(value, decimals, text) AS
    coalesce(text, format('{:.' || decimals || 'f}', value), plain(value::VARCHAR));
"""
_LEVELS = "book_levels"
_SIDE = """
SELECT session, seq, recv, ts, venue, symbol, trust, snapshot, date, '{side}' AS side,
    {side}_price[i] AS price, {side}_size[i] AS size,
    exact(price, price_decimals, levels_text ->> ('$.{side}s[' || (i - 1) || '][0]')) AS price_text,
    exact(size, size_decimals, levels_text ->> ('$.{side}s[' || (i - 1) || '][1]')) AS size_text
FROM stored_books, unnest(range(1, len({side}_price) + 1)) AS levels(i)
"""
_EXAMPLE = "SELECT symbol, count(*) FROM trades GROUP BY symbol"


def select(tape: Tape, query: str) -> Result:
    """What one SELECT statement gives. Raises ConfigError with what DuckDB says."""
    tables = [_Table(tape, table) for table in COLUMNS]
    with duckdb.connect(config=_CONFIG) as db:
        try:
            kinds = [statement.type for statement in db.extract_statements(query)]
            if kinds != [duckdb.StatementType.SELECT]:
                raise ConfigError("only one SELECT statement can be asked", example=_EXAMPLE)
            db.execute(_MACROS)
            for table in tables:
                db.register(f"stored_{table.name}", table)
                db.execute(_view(table))
            db.execute(_levels_view())
            db.execute(_LOCK)
            return Result(db.sql(query).to_arrow_table())
        except duckdb.Error as error:
            for failure in (table.failure for table in tables if table.failure):
                raise failure from error
            raise ConfigError(str(error)) from error


class _Table(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """A table of a tape. To DuckDB it is a set of files, but what reads them is ours."""

    def __init__(self, tape: Tape, name: str) -> None:
        self.name = name
        self.failure: StoreError | None = None  #: why reading ended early
        self._tape = tape
        fields = columns.schema(name)
        if "venue" not in fields.names:
            fields = fields.append(pa.field("venue", pa.string()))
        fields = fields.append(pa.field("date", pa.date32()))
        super().__init__([], fields, _FORMAT, _NOWHERE)

    def scanner(self, columns: list[str] | None = None, filter: pc.Expression | None = None) -> "_Scanner":
        """What reads ``columns`` of the rows of which ``filter`` is true."""
        return _Scanner(self, self.schema.names if columns is None else columns, filter)

    def read(self, names: list[str], filter: pc.Expression | None) -> Iterator[pa.Table]:
        """The columns ``names`` of rows, among them all of which ``filter`` is true."""
        files = self._tape.files(Wanted(self.name))
        stored = {name for name in columns.schema(self.name).names if name in names}
        try:
            for i in _satisfiable(map(_of_file, files), self.schema, filter):
                reader = Reader(self._tape.directory / files[i].path)
                stretches = [*groups(reader, 0, reader.rows)]
                for j in _satisfiable((_of_rows(reader, *each) for each in stretches), self.schema, filter):
                    start, end = stretches[j]
                    rows = reader.read([*stored | {"recv"}], first_row=start, rows=end - start)
                    yield _whole(rows, files[i].venue).select(names)
            for rows in self._tape.hot(Wanted(self.name)):
                yield _whole(rows, None).select(names)
        except StoreError as error:
            self.failure = error
            raise


class _Scanner(NamedTuple):
    table: _Table
    names: list[str]
    filter: pc.Expression | None

    def to_reader(self) -> pa.RecordBatchReader:
        """Reads while it is read from."""
        fields = pa.schema([self.table.schema.field(name) for name in self.names])
        return pa.RecordBatchReader.from_batches(fields, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        told = [] if self.filter is None else re.findall(r"\w+", str(self.filter))
        judged = [name for name in self.table.schema.names if name in told]
        for rows in self.table.read(list(dict.fromkeys((*self.names, *judged))), self.filter):
            chosen = rows if self.filter is None else rows.filter(self.filter)
            yield from chosen.select(self.names).to_batches()


def _satisfiable(
    known: Iterable[pc.Expression], schema: pa.Schema, filter: pc.Expression | None
) -> list[int]:
    """Which of what is ``known`` does not rule ``filter`` out; Arrow judges, as it does of files."""
    fragments = [_FORMAT.make_fragment(str(i), _NOWHERE, each) for i, each in enumerate(known)]
    found = ds.FileSystemDataset(fragments, schema, _FORMAT, _NOWHERE).get_fragments(filter)
    return [int(fragment.path) for fragment in found]


def _whole(rows: pa.Table, venue: str | None) -> pa.Table:
    """``rows`` with what the folder of a sealed file says of them."""
    if "venue" not in rows.column_names:
        rows = rows.append_column("venue", pa.array([venue] * rows.num_rows, pa.string()))
    return rows.append_column("date", rows["recv"].cast(pa.date32()))


def _of_file(file: SealedFile) -> pc.Expression:
    """What is true of all rows of a file."""
    day = ds.field("date") == date.fromisoformat(file.date)
    return (
        day
        & (ds.field("venue") == file.venue)
        & _between("recv", _time(file.first_recv), _time(file.last_recv))
    )


def _of_rows(reader: Reader, start: int, end: int) -> pc.Expression:
    """What is true of the rows from ``start`` until before ``end``."""
    runs = [run for run in reader.runs if run.first_row < end and start < run.first_row + run.rows]
    first, last = min(run.first_recv for run in runs), max(run.last_recv for run in runs)
    key = "session" if reader.table == "raw" else "symbol"
    return _between(key, runs[0].key, runs[-1].key) & _between("recv", _time(first), _time(last))


def _between(name: str, first: object, last: object) -> pc.Expression:
    return (ds.field(name) >= first) & (ds.field(name) <= last)


def _time(ns: int) -> pa.Scalar:
    return pa.scalar(ns, columns.TIME)


def _view(table: _Table) -> str:
    """The SQL of what people see of a table: with the text beside each number."""
    names: list[str] = []
    for name in table.schema.names:
        if name == "levels_text" or name.endswith("_decimals"):
            continue
        number = name.removesuffix("_text")
        names.append(
            f'"{name}"' if number == name else f"exact({number}, {number}_decimals, {name}) AS {name}"
        )
    return f"CREATE VIEW {table.name} AS SELECT {', '.join(names)} FROM stored_{table.name}"


def _levels_view() -> str:
    """The SQL of a view of one row for each level of each update of a book."""
    sides = (_SIDE.format(side=side) for side in ("bid", "ask"))
    return f"CREATE VIEW {_LEVELS} AS {' UNION ALL '.join(sides)}"
