"""What was told of a channel, as it stands: amended trades, bars, updates since a snapshot (floor 3)."""

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter

import numpy as np
import pyarrow as pa

from ..core.books import Books
from ..core.events import BookUpdate
from ..core.instruments import Channel, interval_ns
from . import columns, numbers
from .catalog import Segment, View
from .scan import ORDER, Key, Tape, Wanted, ints
from .segment import column_names, reading

_PAGE = 5_000  #: updates of a book that are made at once

Amended = tuple[str, str] | None  #: the right price and size of a trade; None of one that was cancelled
_Placed = tuple[Key, BookUpdate | None]  #: a place on the tape, and the update there


def amendments(tape: Tape, channel: Channel) -> dict[str, Amended]:
    """What became of the trades of a channel that were amended, by their ids."""
    names = ("trade_id", "id", *named("price"), *named("size"))
    rows = tape.ordered(Wanted("amendments", channel, names=names))
    firsts: dict[str, str] = {}  # the id at first of a trade that got another one
    found: dict[str, Amended] = {}
    for old, new, price, size in zip(
        *(rows[name].to_pylist() for name in ("trade_id", "id")),
        *(exact_texts(rows, name) for name in ("price", "size")),
        strict=True,
    ):
        first = firsts.get(old, old)
        if new is not None:
            firsts[new] = first
        found[first] = None if price is None or size is None else (price, size)
    return found


def told_bars(tape: Tape, channel: Channel, start_ns: int | None, end_ns: int | None) -> pa.Table:
    """The bars that begin from ``start_ns`` until before ``end_ns``, each as it was told last, by time."""
    since_ns = None if start_ns is None else start_ns - interval_ns(channel.kind)  # no clock is that wrong
    rows = tape.ordered(Wanted("bars", channel, since_ns))
    _, latest = np.unique(ints(rows["start"])[::-1], return_index=True)
    return beginning(rows.take(pa.array(rows.num_rows - 1 - latest)), start_ns, end_ns)


def beginning(bars: pa.Table, start_ns: int | None, end_ns: int | None) -> pa.Table:
    """Those of ``bars`` that begin from ``start_ns`` until before ``end_ns``."""
    starts = ints(bars["start"])
    chosen = np.ones(len(starts), np.bool_)
    if start_ns is not None:
        chosen &= starts >= start_ns
    if end_ns is not None:
        chosen &= starts < end_ns
    return bars if chosen.all() else bars.filter(pa.array(chosen))


def snapshot_until(tape: Tape, channel: Channel, ns: int) -> Key | None:
    """The place on the tape of the last snapshot of a book that was received until ``ns``."""
    wanted = Wanted("books", channel, end_ns=ns + 1, by="recv", names=ORDER, only="snapshot")
    rows = tape.last(wanted, 1)
    return tuple(int(ints(rows[name])[0]) for name in ORDER) if rows.num_rows else None


def updates(tape: Tape, channel: Channel, since: Key | None, end_ns: int | None) -> Iterator[BookUpdate]:
    """The updates of a book with their books, from the place ``since`` on, received before ``end_ns``.

    Of a sealed file a row group is held at a time; of a segment, what it has of the book.
    """
    start_ns = None if since is None else since[0]
    wanted = Wanted("books", channel, start_ns, end_ns, by="recv")
    books = Books()
    for key, update in merge(*_sources(tape, wanted), key=itemgetter(0)):
        if update is not None and (since is None or key >= since):
            yield books.take(update)


def _sources(tape: Tape, wanted: Wanted) -> Iterator[Iterator[_Placed]]:
    """The updates in each file and in each segment, in the order of the tape."""
    for file in tape.files(wanted):
        alone = Tape(tape.directory, View((), (file,)))
        yield _placed(file.first_recv, alone.scan(wanted))
    for segment in tape.view.segments:
        alone = Tape(tape.directory, View((segment,), ()))
        first_recv = _first_recv(segment, wanted)
        if first_recv is not None:
            yield _placed(first_recv, _sorted(alone, wanted))


def _placed(bound_ns: int, parts: Iterator[pa.Table]) -> Iterator[_Placed]:
    """Updates and their places. Nothing is read until all before ``bound_ns`` is."""
    yield (bound_ns,), None
    for rows in parts:
        for at in range(0, rows.num_rows, _PAGE):
            for update in columns.events("books", rows.slice(at, _PAGE)):
                assert isinstance(update, BookUpdate)
                yield (update.recv_ns, update.session, update.seq), update


def _sorted(tape: Tape, wanted: Wanted) -> Iterator[pa.Table]:
    yield tape.ordered(wanted)


def _first_recv(segment: Segment, wanted: Wanted) -> int | None:
    """When the first of the rows wanted of a segment was received, or one before it; None where none is."""
    assert wanted.channel is not None
    venue, symbol, _ = wanted.channel
    with reading(segment.path) as db:
        if not column_names(db, wanted.table):
            return None
        query = f"SELECT min(recv) FROM {wanted.table} WHERE venue = ? AND symbol = ?"
        [[first_recv]] = db.execute(query, (venue, symbol))
    if first_recv is None or (wanted.end_ns is not None and first_recv >= wanted.end_ns):
        return None
    return int(str(first_recv))


def exact_texts(rows: pa.Table, name: str) -> list[str | None]:
    """The venue's texts of a number."""
    found: list[str | None] = []
    for part in rows.combine_chunks().to_batches():
        found += numbers.unpack(*(part[column] for column in named(name))).to_pylist()
    return found


def named(number: str) -> tuple[str, str, str]:
    """The columns of a number."""
    return number, f"{number}_decimals", f"{number}_text"
