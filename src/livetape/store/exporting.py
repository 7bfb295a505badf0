"""The tape as files that every tool reads (floor 3).

Rule 1: what is written is exact, the venue's own text of each number, and in the order of the tape.
Rule 2: memory is bounded by a window of the merge, and the books in it.
Rule 3: ``OUT`` appears only once it is whole. Until then there is ``OUT.part``, and ``OUT.part.at`` says how
        far that reaches: the same export goes on from there. A Parquet file cannot be gone on with and
        begins anew; so does all that was begun for another wish, such as one of times that went on.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import Any

import apsw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import DecodeError, Struct, json
from msgspec.structs import replace
from pyarrow import csv

from .. import clock
from ..core.books import Books
from ..core.decimals import Level
from ..core.errors import ConfigError, StoreError
from ..core.events import BookUpdate
from ..core.times import SECOND
from ..core.wire import event_json
from . import columns, merge
from .catalog import Catalog
from .files import sync_folder
from .merge import Selection, Window
from .progress import Progress, quiet
from .result import Result
from .scan import ints
from .schema import COLUMNS

TABLES = tuple(table for table in COLUMNS if table != "raw")
_tape_order = attrgetter("recv_ns", "session", "seq")


class Wish(Struct, frozen=True):
    """What is exported: the rows of ``tables``, received in a time; without ``channels`` those of all.

    ``depth`` is how many levels a side the form ``orderbook-jsonl`` has.
    """

    form: str
    tables: tuple[str, ...] = TABLES
    channels: tuple[str, ...] | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    depth: int = 10


class _Mark(Struct, frozen=True):
    """How far an unfinished export is: ``rows``, all that were received before ``next_ns``, in ``bytes``."""

    wish: Wish
    end_ns: int
    next_ns: int | None = None
    rows: int = 0
    bytes: int = 0


class _Made(Struct, frozen=True):
    """Which tables an unfinished directory has, and how many ``rows`` of each: all before ``end_ns``."""

    wish: Wish
    end_ns: int
    rows: dict[str, int]


def export(directory: Path, wish: Wish, out: Path, progress: Progress = quiet) -> int:
    """Write what is wished of the store in ``directory`` into ``out``; returns how many rows that are.

    CSV and Parquet of several tables become a directory with a file for each, which must be new. Raises
    StoreError, and ConfigError where something is in the way.
    """
    several = len(wish.tables) > 1 and wish.form in ("csv", "parquet")
    if out.is_dir() or (several and out.exists()):
        raise ConfigError("is there already; name something new", where=str(out))
    try:
        return (_export_tables if several else _export_file)(directory, wish, out, progress)
    except (OSError, apsw.Error, pa.ArrowException) as error:
        problem = (
            f"cannot be written: {error}; the same command goes on from here,"
            " but begins anew where --from or --to are relative to now"
        )
        raise StoreError(str(out), problem) from error


def _export_tables(directory: Path, wish: Wish, out: Path, progress: Progress) -> int:
    folder, note = _beside(out, ".part"), _beside(out, ".part.at")
    made = _made(folder, note, wish) or _begun_tables(folder, note, wish)
    for table in wish.tables:
        if table not in made.rows:
            path = folder / f"{table}.{wish.form}"
            only = replace(wish, tables=(table,), end_ns=made.end_ns)
            if not (rows := _export_file(directory, only, path, progress)):
                path.unlink()
            made = replace(made, rows=made.rows | {table: rows})
            _put(note, json.encode(made))
    folder.rename(out)
    note.unlink()
    sync_folder(out.absolute().parent)
    return sum(made.rows.values())


def _made(folder: Path, note: Path, wish: Wish) -> _Made | None:
    """What an unfinished export of the same has made, if all of it is there."""
    try:
        made = json.decode(note.read_bytes(), type=_Made)
    except (OSError, DecodeError):
        return None
    files = [folder / f"{table}.{wish.form}" for table, rows in made.rows.items() if rows]
    there = folder.is_dir() and all(path.exists() for path in files)
    return made if made.wish == wish and there else None


def _begun_tables(folder: Path, note: Path, wish: Wish) -> _Made:
    """Begin anew: what is recorded from now on will be in none of the files."""
    if folder.is_file():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name.partition(".")[0] in TABLES:  # what others may have put there is left alone
            path.unlink()
    made = _Made(wish, _end_ns(wish), {})
    _put(note, json.encode(made))
    return made


def _export_file(directory: Path, wish: Wish, out: Path, progress: Progress) -> int:
    part, note = _beside(out, ".part"), _beside(out, ".part.at")
    mark = _found(part, note, wish) or _begun(part, note, wish)
    selection = Selection(
        mark.next_ns or wish.start_ns, mark.end_ns, frozenset(wish.channels) if wish.channels else None
    )
    first_ns, end_ns = _span(directory, selection)
    rows = mark.rows
    with closing(_FORMS[wish.form](part, mark)) as file:
        if isinstance(file, _OrderBooks):
            file.open_books(directory, selection)
        for window in merge.windows(directory, selection, wish.tables):
            if not window:
                continue
            file.write(window)
            rows += sum(map(len, (found for _, found in window)))
            next_ns = 1 + max(int(ints(found["recv"])[-1]) for _, found in window)
            _put(note, json.encode(_Mark(wish, mark.end_ns, next_ns, rows, file.settle())))
            progress(f"exporting {out.name}", (next_ns - first_ns) // SECOND, (end_ns - first_ns) // SECOND)
        file.finish()
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    part.rename(out)
    note.unlink()
    sync_folder(out.absolute().parent)
    return rows


def _found(part: Path, note: Path, wish: Wish) -> _Mark | None:
    """The mark of an unfinished export of the same, if it can be gone on with."""
    try:
        mark = json.decode(note.read_bytes(), type=_Mark)
        return mark if mark.wish == wish and part.stat().st_size >= mark.bytes > 0 else None
    except (OSError, DecodeError):
        return None


def _begun(part: Path, note: Path, wish: Wish) -> _Mark:
    """Begin anew: what is recorded from now on will not be in it."""
    part.unlink(missing_ok=True)
    mark = _Mark(wish, _end_ns(wish))
    _put(note, json.encode(mark))
    return mark


def _end_ns(wish: Wish) -> int:
    return clock.now_ns() if wish.end_ns is None else wish.end_ns


def _put(note: Path, content: bytes) -> None:
    """Replace the file ``note``, at once."""
    unborn = _beside(note, ".new")
    unborn.write_bytes(content)
    unborn.rename(note)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _span(directory: Path, selection: Selection) -> tuple[int, int]:
    """From when to when there is something, roughly: that is for people."""
    view = Catalog(directory).view()
    firsts = [each.first_recv for each in view.files] + [each.opened_ns for each in view.segments]
    lasts = [each.last_recv for each in view.files] + [clock.now_ns() for each in view.segments]
    end_ns = min(max(lasts, default=0), selection.end_ns or 0)
    return max(min(firsts, default=0), selection.start_ns or 0), end_ns


# Forms


class _File(ABC):
    """An unfinished file, from ``mark`` on; what lies beyond that is cut off."""

    @abstractmethod
    def __init__(self, path: Path, mark: _Mark) -> None: ...

    @abstractmethod
    def write(self, window: Window) -> None:
        """Add the rows of ``window``."""

    @abstractmethod
    def settle(self) -> int:
        """Let what was written survive this process; how many bytes that are, 0 where it cannot."""

    @abstractmethod
    def finish(self) -> None:
        """Nothing more will come."""

    @abstractmethod
    def close(self) -> None: ...


class _Text(_File):
    def __init__(self, path: Path, mark: _Mark) -> None:
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(mark.bytes)
        self._file.seek(mark.bytes)

    def settle(self) -> int:
        self._file.flush()
        return self._file.tell()

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Csv(_Text):
    def __init__(self, path: Path, mark: _Mark) -> None:
        super().__init__(path, mark)
        [self._table] = mark.wish.tables
        if not mark.bytes:
            self._write(columns.schema(self._table).empty_table(), with_names=True)

    def write(self, window: Window) -> None:
        for _, rows in window:
            self._write(rows, with_names=False)

    def _write(self, rows: pa.Table, *, with_names: bool) -> None:
        exact = Result(rows, self._table).exact()
        csv.write_csv(exact, self._file, csv.WriteOptions(include_header=with_names))


class _JsonLines(_Text):
    def write(self, window: Window) -> None:
        events = [event for table, rows in window for event in columns.events(table, rows)]
        if len(window) > 1:
            events.sort(key=_tape_order)
        self._file.writelines(event_json(event) + b"\n" for event in events)


class _OrderBooks(_Text):
    """After each update the best levels and the time of receiving in milliseconds."""

    def __init__(self, path: Path, mark: _Mark) -> None:
        super().__init__(path, mark)
        self._depth, self._books = mark.wish.depth, Books()

    def open_books(self, directory: Path, selection: Selection) -> None:
        """Have the books as they were when the time begins."""
        for updates in merge.openings(directory, selection):
            for update in updates:
                assert isinstance(update, BookUpdate)
                self._books.take(update)

    def write(self, window: Window) -> None:
        for table, rows in window:
            for update in columns.events(table, rows):
                assert isinstance(update, BookUpdate)
                book = self._books.take(update).book
                bids, asks = (_levels(side.top(self._depth)) for side in (book.bids, book.asks))
                line = f'{{"bids": {bids}, "asks": {asks}, "ts": {update.recv_ns // 1_000_000}}}\n'
                self._file.write(line.encode())


class _Parquet(_File):
    def __init__(self, path: Path, mark: _Mark) -> None:
        [self._table] = mark.wish.tables
        schema = self._public(columns.schema(self._table).empty_table()).schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)

    def write(self, window: Window) -> None:
        for _, rows in window:
            self._file.write_table(self._public(rows))

    def settle(self) -> int:
        return 0

    def finish(self) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()

    def _public(self, rows: pa.Table) -> pa.Table:
        return Result(rows, self._table, columns.public_names(self._table, texts=True)).arrow()


class _Sqlite(_File):
    """A table for each kind of event, with a ``timestamp`` as SQLite's own functions read it."""

    def __init__(self, path: Path, mark: _Mark) -> None:
        self._path = path
        self._db = apsw.Connection(str(path))
        with self._db:
            for table in mark.wish.tables:
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(_declared(table))})")
                if mark.next_ns is not None:
                    self._db.execute(f"DELETE FROM {table} WHERE recv >= ?", (mark.next_ns,))

    def write(self, window: Window) -> None:
        with self._db:
            for table, rows in window:
                made = _sqlite_rows(table, rows)
                names = ", ".join(f'"{name}"' for name in made.column_names)
                marks = ", ".join("?" * made.num_columns)
                query = f"INSERT INTO {table} ({names}) VALUES ({marks})"
                self._db.executemany(query, zip(*(column.to_pylist() for column in made), strict=True))

    def settle(self) -> int:
        return self._path.stat().st_size

    def finish(self) -> None:
        """Leave no empty tables, and let a symbol be found."""
        with self._db:
            for (table,) in self._db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                if self._db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None:
                    self._db.execute(f"DROP TABLE {table}")
                else:
                    self._db.execute(
                        f"CREATE INDEX IF NOT EXISTS {table}_by_symbol ON {table} (symbol, timestamp)"
                    )

    def close(self) -> None:
        self._db.close()


_FORMS: dict[str, type[_File]] = {
    "csv": _Csv,
    "jsonl": _JsonLines,
    "parquet": _Parquet,
    "sqlite": _Sqlite,
    "orderbook-jsonl": _OrderBooks,
}
FORMS = tuple(_FORMS)


def _levels(levels: list[Level]) -> str:
    return "[" + ", ".join(f"[{price}, {size}]" for price, size in levels) + "]"


def _declared(table: str) -> Iterator[str]:
    """The columns of ``table`` in SQLite."""
    yield "row INTEGER PRIMARY KEY"
    for field in _sqlite_rows(table, columns.schema(table).empty_table()).schema:
        kind = "REAL" if pa.types.is_floating(field.type) else "TEXT"
        yield f'"{field.name}" {"INTEGER" if pa.types.is_integer(field.type) else kind}'


def _sqlite_rows(table: str, rows: pa.Table) -> pa.Table:
    """``rows`` as SQLite keeps them: numbers as such and as the exact text, times as text and as ns."""
    exact, made = Result(rows, table).exact(), dict[str, Any]()
    time = pc.coalesce(rows["ts"], rows["recv"])
    made["timestamp"] = pc.strftime(time.cast(pa.timestamp("us"), safe=False), "%Y-%m-%d %H:%M:%S")
    for name in exact.column_names:
        column = exact[name]
        if pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type):
            made[name] = column.cast(pa.int64())
        elif name in rows.column_names and pa.types.is_floating(rows[name].type):
            made[name], made[f"{name}_text"] = rows[name], column
        else:
            made[name] = column
    return pa.table(made)
