"""The whole tape in one order: typed rows by (recv, session, seq), raw ones by their number (floor 3).

Rule 1: rows stay columns until the last step. A piece of each source is loaded; what is known to come before
        all that is not loaded yet leaves as one window, which is sorted at once.
Rule 2: memory is bounded: a small file, and a segment of the journal, are loaded whole when their time has
        come, of a large file some rows of each run.
Rule 3: what is recorded while the merge goes on is not in it.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from ..core.events import MarketEvent, Origin
from ..core.instruments import Channel
from ..core.raw import Direction, RawRecord
from . import columns, hot
from .catalog import Catalog, SealedFile, Segment, View
from .parquet import GROUP_ROWS, Reader, Run
from .scan import Ints, ints, visible
from .schema import COLUMNS
from .segment import bounds, column_names, reading

WINDOW_ROWS, MOST_WINDOW_ROWS = 1 << 16, 1 << 17  #: a window has no fewer while there are more, nor many more
SMALL_FILE = 1 << 20  #: rows of a file that is loaded whole
LARGE_FILE = 1 << 21  #: rows of a large file that are loaded at once; of each run no fewer than
LEAST_ROWS = 1 << 12
PAGE = 20_000  #: numbers of a segment that are read at once, so that the recorder can reuse its log
PIECE = 1 << 10  #: events that are handed over at once
_NEVER = 2**63 - 1
_PLACE = {table: place for place, table in enumerate(COLUMNS)}
_TYPED = [table for table in COLUMNS if table != "raw"]

Window = list[tuple[str, pa.Table]]  #: rows of each table, the tables in the order of COLUMNS


class Selection(Struct, frozen=True):
    """Typed rows received from ``start_ns`` to before ``end_ns``, of ``channels``; None for all."""

    start_ns: int | None = None
    end_ns: int | None = None
    channels: frozenset[str] | None = None

    def of(self, table: str, rows: pa.Table) -> pa.Table:
        """Those of ``rows`` of ``table``."""
        chosen = np.ones(len(rows), np.bool_)
        if self.start_ns is not None:
            chosen &= ints(rows["recv"]) >= self.start_ns
        if self.end_ns is not None:
            chosen &= ints(rows["recv"]) < self.end_ns
        if self.channels is not None:
            names = pa.array(self.channels, pa.string())
            chosen &= pc.is_in(_channels(table, rows), names).to_numpy(zero_copy_only=False)
        return rows if chosen.all() else rows.filter(pa.array(chosen))

    def meets(self, venue: str, first_recv: int, last_recv: int, symbol: str | int = "") -> bool:
        """Whether there may be some among rows of ``venue`` ("" for all), or of a symbol of it."""
        if self.start_ns is not None and last_recv < self.start_ns:
            return False
        if self.end_ns is not None and first_recv >= self.end_ns:
            return False
        within = f"{venue}:{symbol}/" if symbol else f"{venue}:" if venue else ""
        return self.channels is None or any(channel.startswith(within) for channel in self.channels)


ALL = Selection()


def events(directory: Path, selection: Selection) -> Iterator[list[MarketEvent]]:
    """The events recorded, in the order of the tape. Book updates come without their book."""
    with visible(directory) as tape:
        for window in _windows(_typed(tape.directory, tape.view, _TYPED, selection), "recv"):
            made = _made(window)
            for at in range(0, len(made), PIECE):
                yield made[at : at + PIECE]


def batches(directory: Path, selection: Selection) -> Iterator[tuple[str, pa.Table]]:
    """The same as tables, in the order of the tape: one for each kind of event, then on from there."""
    with visible(directory) as tape:
        for window in _windows(_typed(tape.directory, tape.view, _TYPED, selection), "recv"):
            for table, rows in window:
                yield table, columns.public(table, _in_order(rows))


def windows(
    directory: Path, selection: Selection, wanted: Collection[str] = tuple(_TYPED)
) -> Iterator[Window]:
    """The rows of the tables ``wanted`` as they were recorded; those of each table in the order of the tape.

    All rows of a window were received before all of the next one.
    """
    with visible(directory) as tape:
        for window in _windows(_typed(tape.directory, tape.view, wanted, selection), "recv"):
            yield [(table, _in_order(rows)) for table, rows in window]


def records(directory: Path) -> Iterator[RawRecord]:
    """The raw records, in the order of recording."""
    with visible(directory) as tape:
        for window in _windows(_raw(tape.directory, tape.view), "n"):
            for _, rows in window:
                yield from columns.records(rows.take(pa.array(np.argsort(ints(rows["n"])))))


def sessions(directory: Path) -> set[int]:
    """Those whose beginning was recorded raw: the sessions of connections."""
    with visible(directory) as tape:
        found = {*Catalog(directory).sessions()}
        for segment in tape.view.segments:
            with reading(segment.path) as db:
                begun = db.execute("SELECT session FROM raw WHERE direction = ?", (Direction.BEGIN,))
                found |= {int(str(session)) for (session,) in begun}
        return found


def openings(directory: Path, selection: Selection) -> Iterator[list[MarketEvent]]:
    """What makes the books at ``start_ns``: of each its last snapshot before, and the updates since."""
    if selection.start_ns is None:
        return
    with visible(directory) as tape:
        since = _snapshots(tape.directory, tape.view, selection.channels, selection.start_ns)
        earlier = Selection(min(since.values(), default=0), selection.start_ns, frozenset(since))
        for window in _windows(_typed(tape.directory, tape.view, ["books"], earlier), "recv"):
            yield [event for event in _made(window) if event.recv_ns >= since[event.channel]]


def _channels(table: str, rows: pa.Table) -> pa.ChunkedArray:
    """The name of each row's channel."""
    if table == "bars":
        kind = pc.binary_join_element_wise("bar", rows["interval"], ".")
    else:
        kind = columns.KIND.get(table) or rows["kind"]
    names = pc.binary_join_element_wise(rows["venue"], rows["symbol"], ":")
    return pc.binary_join_element_wise(names, kind, "/")


# Windows


Stream = tuple[str, Iterator[pa.Table]]  #: a name, and pieces sorted by the key, each after the one before


class _Source(NamedTuple):
    """Rows of one table, none with a key below ``bound``, as streams.

    Rows of the same place on the tape come in the order of the streams' names.
    """

    table: str
    bound: int
    streams: Callable[[], Iterable[Stream]]


class _Loaded:
    """A stream, and what is loaded of it. It has ``more`` rows only beyond its last key."""

    def __init__(self, table: str, key: str, stream: Stream) -> None:
        name, self._pieces = stream
        self.table, self.place = table, (_PLACE[table], name)
        self._key = key
        self._held: pa.Table | None = None  # what has the key at which a piece ended
        self.load()

    def load(self) -> None:
        """Load the next piece."""
        self.rows, self.more = columns.schema(self.table).empty_table(), False
        for piece in self._pieces:
            rows = piece if self._held is None else pa.concat_tables([self._held, piece])
            keys = ints(rows[self._key])
            cut = int(np.searchsorted(keys, keys[-1])) if len(keys) else 0
            self.rows, self._held, self.more = rows.slice(0, cut), rows.slice(cut), True
            if cut:
                break
        else:
            self.rows, self._held, self.more = self._held or self.rows, None, False
        self.keys = ints(self.rows[self._key])

    def count(self, horizon: int) -> int:
        """How many rows are not beyond ``horizon``."""
        return int(np.searchsorted(self.keys, horizon, "right"))

    def take(self, n: int) -> pa.Table:
        """The next ``n`` rows."""
        taken = self.rows.slice(0, n)
        self.rows, self.keys = self.rows.slice(n), self.keys[n:]
        if not len(self.keys) and self.more:
            self.load()
        return taken


def _windows(sources: Iterable[_Source], key: str) -> Iterator[Window]:
    """All rows; those of a window come before those of the next one, which a thread makes meanwhile."""
    windows = _made_windows(sources, key)
    with ThreadPoolExecutor(1, "livetape-merge") as thread:
        coming = thread.submit(next, windows, None)
        while (window := coming.result()) is not None:
            coming = thread.submit(next, windows, None)
            yield window


def _made_windows(sources: Iterable[_Source], key: str) -> Iterator[Window]:
    waiting = deque(sorted(sources, key=lambda source: source.bound))
    loaded: list[_Loaded] = []
    while waiting or loaded:
        known = min((each.keys[-1] for each in loaded if each.more), default=_NEVER)
        horizon = min(known, waiting[0].bound - 1) if waiting else known
        counts = [each.count(horizon) for each in loaded]
        if waiting and horizon < known and sum(counts) < WINDOW_ROWS:
            source = waiting.popleft()
            for stream in source.streams():
                insort(loaded, _Loaded(source.table, key, stream), key=lambda each: each.place)
            continue
        if (surplus := sum(counts) / MOST_WINDOW_ROWS) > 1:
            horizon = min(each.keys[int(n / surplus)] for each, n in zip(loaded, counts, strict=True) if n)
            counts = [each.count(horizon) for each in loaded]
        window: dict[str, list[pa.Table]] = {}
        for each, n in zip(loaded, counts, strict=True):
            if n:
                window.setdefault(each.table, []).append(each.take(n))
        yield [(table, pa.concat_tables(parts)) for table, parts in window.items()]
        loaded = [each for each in loaded if len(each.keys)]


def _made(window: Window) -> list[MarketEvent]:
    """The events of a window, in the order of the tape. Rows of one run are made faster than mixed ones."""
    order = _order([rows for _, rows in window])
    made = np.empty(len(order), object)
    at = 0
    for table, rows in window:
        made[at : at + len(rows)] = columns.events(table, _replayed(rows))
        at += len(rows)
    ordered: list[MarketEvent] = made[order].tolist()
    return ordered


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(_order([rows])))


def _order(parts: list[pa.Table]) -> Ints:
    """The places of all rows of ``parts`` in the order of the tape."""
    if not parts:
        return np.empty(0, np.int64)
    recv, session, seq = (
        np.concatenate([ints(rows[name]) for rows in parts]) for name in ("recv", "session", "seq")
    )
    order: Ints = np.argsort(recv, kind="stable")  # far faster than by three keys, where they are sorted
    same = recv[order[1:]] == recv[order[:-1]]
    tied = np.zeros(len(order), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    those = order[tied]
    order[tied] = those[np.lexsort((seq[those], session[those], recv[those]))]
    return order


def _replayed(rows: pa.Table) -> pa.Table:
    at = rows.schema.get_field_index("origin")
    was = rows["origin"]
    if pc.any(pc.equal(was, Origin.BACKFILLED)).as_py():
        now = pc.if_else(pc.equal(was, Origin.BACKFILLED), was, Origin.REPLAYED.value)
    else:
        now = pa.repeat(Origin.REPLAYED.value, len(rows))
    return rows.set_column(at, "origin", now)


# Where rows come from


def _typed(directory: Path, view: View, wanted: Collection[str], selection: Selection) -> Iterator[_Source]:
    for file in view.files:
        if file.table in wanted and selection.meets(file.venue, file.first_recv, file.last_recv):
            yield _Source(file.table, file.first_recv, partial(_runs, directory, file, selection))
    for segment, (_, last) in _segments(view):
        for table in wanted:
            for first_recv, last_recv in _bounds(segment, table, last):
                if selection.meets("", first_recv, last_recv):
                    streams = partial(_whole_segment, segment, table, last, selection)
                    yield _Source(table, first_recv, streams)


def _raw(directory: Path, view: View) -> Iterator[_Source]:
    for file in view.files:
        if file.table == "raw":
            yield _Source("raw", file.first_n, partial(_runs, directory, file, ALL))
    for segment, (first, last) in _segments(view):
        yield _Source("raw", segment.first_n, partial(_in_pages, segment, first, last))


def _runs(directory: Path, file: SealedFile, selection: Selection) -> Iterator[Stream]:
    """The runs of a file, which are sorted; a small one is loaded at once."""
    reader = Reader(directory / file.path)
    runs = [run for run in reader.runs if selection.meets(file.venue, run.first_recv, run.last_recv, run.key)]
    if file.rows <= SMALL_FILE:
        rows = reader.read()
        for run in runs:
            mine = selection.of(file.table, rows.slice(run.first_row, run.rows))
            yield f"{file.venue}:{run.key}", iter([mine])
        return
    step = GROUP_ROWS
    while step > LEAST_ROWS and step * len(runs) > LARGE_FILE:
        step //= 2
    for run in runs:
        yield f"{file.venue}:{run.key}", _run(reader, run, step, selection)


def _run(reader: Reader, run: Run, step: int, selection: Selection) -> Iterator[pa.Table]:
    """Pieces that end where the groups do that are read as a whole."""
    at, end = run.first_row, run.first_row + run.rows
    if selection.start_ns is not None:
        places = range(at, end, step)
        later = bisect_left(places, selection.start_ns, key=lambda row: _recv(reader, row))
        at = places[max(later - 1, 0)]
    while at < end and (selection.end_ns is None or _recv(reader, at) < selection.end_ns):
        to = min(end, at - at % step + step)
        rows = selection.of(reader.table, reader.read(first_row=at, rows=to - at))
        yield rows if step == GROUP_ROWS else rows.take(pa.array(np.arange(len(rows))))  # without the group
        at = to


def _recv(reader: Reader, row: int) -> int:
    return int(ints(reader.read(["recv"], first_row=row, rows=1)["recv"])[0])


def _segments(view: View) -> Iterator[tuple[Segment, tuple[int, int]]]:
    """Each segment that has records, and the numbers of its first and last so far, as the segment counts."""
    for segment in view.segments:
        with reading(segment.path) as db:
            found = bounds(db)
        if found is not None:
            yield segment, found


def _bounds(segment: Segment, table: str, last: int) -> Iterator[tuple[int, int]]:
    """When the first and the last row of a table were received; nothing where there is no row."""
    with reading(segment.path) as db:
        query = f"SELECT min(recv), max(recv) FROM {table} WHERE n <= ?"
        found = db.execute(query, (last,)) if column_names(db, table) else ()
        for first_recv, last_recv in found:
            if isinstance(first_recv, int) and isinstance(last_recv, int):
                yield first_recv, last_recv


def _in_pages(segment: Segment, first: int, last: int) -> Iterator[Stream]:
    shift, names = segment.first_n - first, columns.schema("raw").names
    yield "", (page.numbered(shift).select(names) for page in _pages(segment, "raw", last))


def _whole_segment(segment: Segment, table: str, last: int, selection: Selection) -> Iterator[Stream]:
    pages = [selection.of(table, page.rows) for page in _pages(segment, table, last)]
    if pages:
        rows = pa.concat_tables(pages)
        if pc.any(pc.equal(rows["session"], 0)).as_py():  # which have no numbers: as sealed files have them
            rows = rows.sort_by([(name, "ascending") for name in ("venue", "symbol")])
        yield "", iter([_sorted(rows)])


def _pages(segment: Segment, table: str, last: int) -> Iterator[hot.Page]:
    """The rows of a segment up to the number ``last``, in the order of recording."""
    after = 0
    while True:
        with reading(segment.path) as db:
            page = hot.page(db, table, after, PAGE, last)
        if page is None:
            return
        yield page
        after = page.last


def _sorted(rows: pa.Table) -> pa.Table:
    keys = ints(rows["recv"])
    if bool((keys[1:] >= keys[:-1]).all()):
        return rows
    return rows.take(pa.array(np.argsort(keys, kind="stable")))


def _snapshots(directory: Path, view: View, channels: frozenset[str] | None, start_ns: int) -> dict[str, int]:
    """By channel, when the last snapshot of its book before ``start_ns`` was received."""
    found: dict[str, int] = {}
    query = "SELECT venue, symbol, max(recv) FROM books WHERE snapshot AND recv < ? GROUP BY 1, 2"
    for segment in view.segments:
        with reading(segment.path) as db:
            for venue, symbol, recv in db.execute(query, (start_ns,)):
                found[str(Channel(str(venue), str(symbol), "book"))] = int(str(recv))
    for file in sorted(view.files, key=lambda file: file.last_recv, reverse=True):
        if file.table == "books" and file.first_recv < start_ns:
            reader = Reader(directory / file.path)
            for run in reader.runs:
                channel = str(Channel(file.venue, str(run.key), "book"))
                if channel not in found and run.first_recv < start_ns:
                    rows = reader.read(["recv", "snapshot"], run=run)
                    recv = ints(rows["recv"].filter(rows["snapshot"]))
                    found.update((channel, int(ns)) for ns in recv[recv < start_ns][-1:])
    return {channel: ns for channel, ns in found.items() if channels is None or channel in channels}
