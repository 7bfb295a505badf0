"""Both halves of a store, hot segments and sealed files, read as one (floor 3).

Rule 1: what is read together is read of one View, and nothing of it is unlinked meanwhile. So a segment that
        is sealed in between neither vanishes nor is read twice.
Rule 2: of a hot segment a bounded stretch of numbers is read at once, so that the recorder can reuse its log.
Rule 3: rows are as ``columns.schema`` has them, wherever they come from.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.instruments import Channel
from . import arrow, columns, locks
from .catalog import Catalog, SealedFile, Segment, View
from .parquet import GROUP_ROWS, Reader
from .segment import column_names, reading

arrow.settle()

STRETCH = 50_000  #: numbers of a hot segment that are looked at in one read
INDEXED = 5_000  #: rows of an indexed segment that are read at once
CHUNK = 1 << 18  #: rows of a sealed file that are read at once when its end is looked for
ORDER = ("recv", "session", "seq")  #: of the tape

Rows = list[tuple[Any, ...]]
Key = tuple[int, ...]  #: what ORDER says of a row
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Wanted(NamedTuple):
    """Rows of ``table``: of ``channel``, or of all, from ``start_ns`` until before ``end_ns``.

    ``by`` ``"time"`` they are chosen by their time in the market, the venue's where it gave one; by
    ``"recv"`` by when they were received. ``names`` are the columns to come, None for all; ``only`` is one
    that has to be true.
    """

    table: str
    channel: Channel | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    by: Literal["time", "recv"] = "time"
    names: tuple[str, ...] | None = None
    only: str = ""


class Tape:
    """What of the store in ``directory`` is visible: see ``visible``."""

    def __init__(self, directory: Path, view: View) -> None:
        self.directory, self.view = directory, view

    def scan(self, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows wanted: of each sealed file sorted by symbol, then of the hot segments as recorded."""
        for file in self.files(wanted):
            reader = Reader(self.directory / file.path)
            for start, end in groups(reader, *_stretch(reader, wanted)):
                some = reader.read(_needed(wanted), first_row=start, rows=end - start)
                yield _chosen(some, wanted)
        yield from self.hot(wanted)

    def hot(self, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows wanted that are not sealed yet, as recorded."""
        for segment in self.view.segments:
            yield from _hot(segment, wanted)

    def ordered(self, wanted: Wanted) -> pa.Table:
        """The rows wanted, in the order of the tape."""
        parts = self.scan(wanted._replace(names=_with(wanted.names, ORDER)))
        return _project(in_order(parts, wanted.table), wanted.names)

    def last(self, wanted: Wanted, n: int) -> pa.Table:
        """The last ``n`` of the rows wanted of a channel, in the order of the tape.

        The newest are read first, and no more than needed. A recorder may write what several sessions
        received in another order, by far less than a stretch.
        """
        newest = _Newest(wanted.table, n)
        inner = wanted._replace(names=_with(wanted.names, ORDER))
        for page in self._hot_backwards(inner):
            if not newest.add(page) and newest.oldest is not None:
                break
        for file in sorted(self.files(inner), key=lambda file: file.last_recv, reverse=True):
            if newest.oldest is not None and file.last_recv < newest.oldest[0]:
                break
            reader = Reader(self.directory / file.path)
            for part, first in _backwards(reader, inner, n):
                newest.add(part)
                if newest.oldest is not None and first <= newest.oldest:
                    break
        return _project(newest.rows, wanted.names)

    def files(self, wanted: Wanted) -> list[SealedFile]:
        """The sealed files that may have some of the rows wanted."""
        return [file for file in self.view.files if _may_have(file, wanted)]

    def _hot_backwards(self, wanted: Wanted) -> Iterator[pa.Table]:
        for segment in reversed(self.view.segments):
            yield from _hot(segment, wanted, backwards=True)


@contextmanager
def visible(directory: Path) -> Iterator[Tape]:
    """What is visible now; nothing of it is unlinked before the end. Raises StoreError."""
    with locks.readers(directory):
        yield Tape(directory, Catalog(directory).view())


def groups(reader: Reader, first: int, rows: int) -> Iterator[tuple[int, int]]:
    """``rows`` from the ``first`` on by row group, which is read whole at best: from, and until before."""
    end = first + rows
    inside = [start for start in reader.starts if first < start < end]
    return pairwise([first, *inside, end]) if rows else iter(())


def market_times(rows: pa.Table) -> Ints:
    """When each row was in the market, ns: the venue's time where it gave one, else that of receiving."""
    return ints(pc.coalesce(rows["ts"], rows["recv"]))


def in_order(parts: Iterable[pa.Table], table: str) -> pa.Table:
    """All rows of ``parts``, which have ORDER among their columns, in the order of the tape."""
    filled = [part for part in parts if part.num_rows]
    if not filled:
        return columns.schema(table).empty_table()
    rows = pa.concat_tables(filled)
    recv, session, seq = (ints(rows[name]) for name in ORDER)
    later = seq[1:] >= seq[:-1]
    for key in (session, recv):
        later = (key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & later)
    return rows if later.all() else rows.combine_chunks().take(pa.array(np.lexsort((seq, session, recv))))


def ints(column: pa.ChunkedArray) -> Ints:
    """Integers or times, none of them null, as they are kept."""
    made: Ints = column.cast(pa.int64()).to_numpy()
    return made


class _Newest:
    """The newest ``n`` of the rows that were added; ``oldest`` of them, once there are so many."""

    def __init__(self, table: str, n: int) -> None:
        self.rows = columns.schema(table).empty_table()
        self.oldest: Key | None = None
        self._table, self._n = table, n

    def add(self, part: pa.Table) -> bool:
        """Keep what is new enough of ``part``; whether any of it is."""
        if not part.num_rows:
            return False
        oldest, count = self.oldest, self.rows.num_rows
        rows = in_order([part, self.rows], self._table)
        self.rows = rows.slice(max(rows.num_rows - self._n, 0))
        self.oldest = _key(self.rows, 0) if self.rows.num_rows == self._n else None
        return (self.oldest, self.rows.num_rows) != (oldest, count)


# The sealed half


def _may_have(file: SealedFile, wanted: Wanted) -> bool:
    if file.table != wanted.table or (wanted.channel and file.venue != wanted.channel.venue):
        return False
    by_time = wanted.by == "time"
    first, last = (file.first_ns, file.last_ns) if by_time else (file.first_recv, file.last_recv)
    return (wanted.start_ns is None or last >= wanted.start_ns) and (
        wanted.end_ns is None or first < wanted.end_ns
    )


def _stretch(reader: Reader, wanted: Wanted) -> tuple[int, int]:
    """The first row, and how many, among which the rows wanted are."""
    first, rows = 0, reader.rows
    if wanted.channel is not None:
        runs = [run for run in reader.runs if run.key == wanted.channel.symbol]
        first, rows = (runs[0].first_row, runs[0].rows) if runs else (0, 0)
    if rows and wanted.by == "recv" and wanted.channel is not None:
        first, rows = _near(reader, wanted, range(first, first + rows))
    if rows and (wanted.start_ns is not None or wanted.end_ns is not None):
        times = reader.read(list(_time_names(wanted)), first_row=first, rows=rows)
        within = np.flatnonzero(_within(times, wanted))
        if not len(within):
            return first, 0
        first, rows = first + int(within[0]), int(within[-1] - within[0]) + 1
    return first, rows


def _near(reader: Reader, wanted: Wanted, run: range) -> tuple[int, int]:
    """Which rows of a channel, which are sorted by time of receipt, to look at: the rest stays unread."""

    def recv(row: int) -> int:
        return int(ints(reader.read(["recv"], first_row=row, rows=1)["recv"])[0])

    groups = run[::GROUP_ROWS]
    first, end = run.start, run.stop
    if wanted.start_ns is not None:
        first = groups[max(bisect_left(groups, wanted.start_ns, key=recv) - 1, 0)]
    if wanted.end_ns is not None:
        later = bisect_left(groups, wanted.end_ns, key=recv)
        end = groups[later] if later < len(groups) else end
    return first, max(end - first, 0)


def _backwards(reader: Reader, wanted: Wanted, n: int) -> Iterator[tuple[pa.Table, Key]]:
    """The rows wanted of a channel from the end on, and of each part the key before which the others lie."""
    first, rows = _stretch(reader, wanted)
    size = n
    while rows:
        size = min(size, rows)
        rows -= size
        some = reader.read(_needed(wanted), first_row=first + rows, rows=size)
        yield _chosen(some, wanted), _key(some, 0)
        size = CHUNK


def _needed(wanted: Wanted) -> list[str] | None:
    """The columns that come, and those by which rows are chosen."""
    names = _with(wanted.names, (*_time_names(wanted), *_marks(wanted), *filter(None, [wanted.only])))
    return None if names is None else list(names)


def _chosen(rows: pa.Table, wanted: Wanted) -> pa.Table:
    """Those of ``rows`` of a channel that are wanted, with the columns wanted."""
    chosen = np.ones(rows.num_rows, np.bool_)
    if wanted.start_ns is not None or wanted.end_ns is not None:
        chosen = _within(rows, wanted)
    for name, value in _marks(wanted).items():
        chosen &= pc.equal(rows[name], value).to_numpy()
    if wanted.only:
        chosen &= rows[wanted.only].to_numpy()
    return _project(rows if chosen.all() else rows.filter(pa.array(chosen)), wanted.names)


def _within(rows: pa.Table, wanted: Wanted) -> Mask:
    """Which rows are of the time wanted."""
    times = market_times(rows) if "ts" in _time_names(wanted) else ints(rows["recv"])
    chosen = np.ones(len(times), np.bool_)
    if wanted.start_ns is not None:
        chosen &= times >= wanted.start_ns
    if wanted.end_ns is not None:
        chosen &= times < wanted.end_ns
    return chosen


# The hot half


def _hot(segment: Segment, wanted: Wanted, *, backwards: bool = False) -> Iterator[pa.Table]:
    table, path = wanted.table, segment.path
    with reading(path) as db:
        known = column_names(db, table)
        ends = f"SELECT (SELECT min(n) FROM {table}), (SELECT max(n) FROM {table})"
        first, last = next(iter(db.execute(ends))) if known else (None, None)
        is_indexed = any(db.execute("SELECT 1 FROM pragma_index_list(?)", (table,)))
    if not isinstance(first, int) or not isinstance(last, int):
        return
    names = ", ".join(f'"{name}"' if name in known else "NULL" for name in columns.hot_names(table))
    where, arguments = _condition(wanted)
    query = f"SELECT {names} FROM {table} WHERE {where}"
    if is_indexed and wanted.channel is not None:
        pages = _by_index(path, f"{query} ORDER BY recv {'DESC' if backwards else 'ASC'}", arguments)
    else:
        stretches = (_halvings if backwards else _stretches)(first, last)
        pages = _by_number(path, f"{query} AND n BETWEEN ? AND ? ORDER BY n", arguments, stretches)
    for page in pages:
        yield _project(columns.from_hot(table, page), wanted.names)


def _by_number(
    path: Path, query: str, arguments: list[object], stretches: Iterator[tuple[int, int]]
) -> Iterator[Rows]:
    for stretch in stretches:
        with reading(path) as db:
            found = db.execute(query, (*arguments, *stretch)).fetchall()
        yield found


def _by_index(path: Path, query: str, arguments: list[object]) -> Iterator[Rows]:
    """A segment that has an index of venue, symbol and time of receipt is not written any more."""
    with reading(path) as db:
        cursor = db.execute(query, arguments)
        while page := list(islice(cursor, INDEXED)):
            yield page


def _stretches(first: int, last: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, STRETCH):
        yield start, min(start + STRETCH - 1, last)


def _halvings(first: int, last: int) -> Iterator[tuple[int, int]]:
    """From the end on, each twice as long as the one before."""
    size = STRETCH >> 4
    while first <= last:
        yield max(first, last - size + 1), last
        last, size = last - size, min(2 * size, STRETCH)


def _condition(wanted: Wanted) -> tuple[str, list[object]]:
    """What ``wanted`` says of rows, as SQL."""
    time = "coalesce(ts, recv)" if "ts" in _time_names(wanted) else "recv"
    said: dict[str, object] = {}
    if wanted.channel is not None:
        said = {"venue = ?": wanted.channel.venue, "symbol = ?": wanted.channel.symbol}
        said |= {f"{name} = ?": value for name, value in _marks(wanted).items()}
    said |= {f"{time} >= ?": wanted.start_ns} if wanted.start_ns is not None else {}
    said |= {f"{time} < ?": wanted.end_ns} if wanted.end_ns is not None else {}
    where = [*said, *filter(None, [wanted.only])]
    return " AND ".join(where) or "TRUE", list(said.values())


# What both share


def _time_names(wanted: Wanted) -> tuple[str, ...]:
    return ("recv",) if wanted.by == "recv" or wanted.table == "raw" else ("recv", "ts")


def _marks(wanted: Wanted) -> dict[str, str]:
    """What tells a channel's rows from those of the others of its symbol."""
    if wanted.channel is None:
        return {}
    match wanted.table:
        case "bars":
            return {"interval": wanted.channel.kind.removeprefix("bar.")}
        case "status" | "gaps":
            return {"kind": wanted.channel.kind}
    return {}


def _with(names: tuple[str, ...] | None, more: Iterable[str]) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys((*names, *more)))


def _project(rows: pa.Table, names: tuple[str, ...] | None) -> pa.Table:
    return rows if names is None else rows.select(names)


def _key(rows: pa.Table, at: int) -> Key:
    return tuple(int(ints(rows[name].slice(at, 1))[0]) for name in ORDER)
