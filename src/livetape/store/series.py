"""What charts are made of: the rows of one channel of a tape as exact series (floor 3).

The time of a row is the venue's where it gave one, else when it was received; that of a bar is its start.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import json

from ..core.bars import EXACT, Candle, candles
from ..core.book import Book
from ..core.errors import ConfigError
from ..core.instruments import Channel
from ..core.times import SECOND
from .segment import reading

_TABLES = {"trade": "trades", "quote": "quotes", "book": "books", "bar": "bars"}
MOST_CANDLES = 150  #: and, as each step is at most 2.5 times the one before, 60 at least
_PAGE = 5_000  #: rows read at once; while a read lasts, the recorder cannot reuse its log
_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND, "d": 86_400 * SECOND}
_STEPS = (
    *(
        "100ms",
        "200ms",
        "500ms",
        "1s",
        "2s",
        "5s",
        "10s",
        "15s",
        "30s",
        "1m",
        "2m",
        "5m",
        "10m",
        "15m",
        "30m",
    ),
    *("1h", "2h", "4h", "6h", "12h", "1d", "2d", "4d", "7d", "14d", "28d"),
)
_levels = json.Decoder(list[tuple[str, str]]).decode


class Extent(NamedTuple):
    """From the first to the last row, and how many there are."""

    first_ns: int
    last_ns: int
    rows: int


class Series:
    """The rows of ``channel`` from ``start_ns`` until before ``end_ns``, as exact series."""

    def __init__(
        self, segments: list[Path], channel: Channel, start_ns: int | None = None, end_ns: int | None = None
    ) -> None:
        self.kind, _, interval = channel.kind.partition(".")
        self.channel, self.start_ns, self.end_ns = channel, start_ns, end_ns
        self._segments, self._table = segments, _TABLES[self.kind]
        self._time = "start" if self.kind == "bar" else "coalesce(ts, recv)"
        self._whose, self._arguments = "venue = ? AND symbol = ?", [channel.venue, channel.symbol]
        if interval:
            self._whose += " AND interval = ?"
            self._arguments.append(interval)

    def extent(self) -> Extent | None:
        """Where the rows lie; None when there are none."""
        time = self._time
        query = f"SELECT min({time}), max({time}), count(*) FROM {self._table} WHERE {self._within()}"
        found: list[tuple[Any, ...]] = []
        for segment in self._segments:
            with reading(segment) as db:
                found += [row for row in db.execute(query, self._arguments) if row[2]]
        if not found:
            return None
        first, last, rows = zip(*found, strict=True)
        return Extent(min(first), max(last), sum(rows))

    def values(self, what: str) -> Iterator[tuple[int, Decimal]]:
        """Time and ``price`` of trades, ``close`` of bars, ``mid`` or ``spread`` of quotes and books.

        A trade that may not set the last price is left out.
        """
        match what:
            case "price":
                prints = self._prints()
                return ((ns, Decimal(price)) for ns, price, _, excluded in prints if '"last"' not in excluded)
            case "close":
                return ((bar.start_ns, bar.close) for bar in self.bars())
            case "spread":
                return ((ns, EXACT.subtract(ask, bid)) for ns, bid, ask in self.best())
            case _:
                return ((ns, EXACT.divide(EXACT.add(bid, ask), Decimal(2))) for ns, bid, ask in self.best())

    def candles(self, interval_ns: int) -> list[Candle]:
        """The trades in intervals that begin at multiples of ``interval_ns``, without the empty ones.

        What a trade's conditions forbid it to set, it does not set; what was amended counts as amended.
        """
        return candles(self._prints(), interval_ns)

    def bars(self) -> list[Candle]:
        """The venue's bars, each as it was told last."""
        names = ("open_text", "high_text", "low_text", "close_text", "volume_text")
        bars = {ns: Candle(ns, *map(Decimal, texts)) for _, ns, *texts in self._rows(self._table, *names)}
        return [bars[ns] for ns in sorted(bars)]

    def best(self) -> Iterator[tuple[int, Decimal, Decimal]]:
        """Time, best bid and best ask, whenever both sides have one: of quotes, or of the book."""
        if self._table == "quotes":
            for _, ns, bid, ask in self._rows("quotes", "bid_text", "ask_text"):
                if bid is not None and ask is not None:
                    yield ns, Decimal(bid), Decimal(ask)
            return
        for ns, book in self.books():
            bids, asks = book.bids.best(), book.asks.best()
            if bids and asks and (self.start_ns is None or ns >= self.start_ns):
                yield ns, Decimal(bids[0]), Decimal(asks[0])

    def books(self) -> Iterator[tuple[int, Book]]:
        """Time and book after each update, from the last snapshot before ``start_ns`` on."""
        book, kept = Book(), None
        for _, ns, snapshot, proved, bid_text, ask_text in self._updates():
            bids, asks = _levels(bid_text), _levels(ask_text)
            if snapshot:
                # A venue that proves the best levels only keeps as many as its snapshot has, and sends no
                # delete for a level that is pushed out of them.
                book, kept = Book(), None if proved is None else max(len(bids), len(asks))
            book.apply(bids, asks, depth=kept)
            yield ns, book

    def _updates(self) -> Iterator[tuple[Any, ...]]:
        names = ("snapshot", "depth", "bids", "asks")
        for segment in self._segments:
            begin, start_ns = 0, self.start_ns
            if start_ns is not None:
                query = f"SELECT max(n) FROM books WHERE {self._whose} AND snapshot AND {self._time} <= ?"
                with reading(segment) as db:
                    [[snapshot]] = db.execute(query, (*self._arguments, start_ns))
                begin = (snapshot or 1) - 1
            yield from self._pages(segment, "books", names, self._within(from_start=False), begin)

    def _prints(self) -> Iterator[tuple[int, str, str, str]]:
        origin: dict[str, str] = {}  # of a trade that is amended again
        amended: dict[str, tuple[str | None, str]] = {}
        changes = self._rows("amendments", "trade_id", "id", "price_text", "size_text")
        for _, _, old, new, price, size in changes:
            origin[new] = origin.get(old, old)
            amended[origin[new]] = price, size
        names = ("id", "price_text", "size_text", "excluded")
        for _, ns, name, price, size, excluded in self._rows("trades", *names):
            price, size = amended.get(name, (price, size))
            if price is not None:  # not cancelled
                yield ns, price, size, excluded or ""

    def _rows(self, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Number, time and ``columns``, in the order of recording."""
        where = self._whose if table == "amendments" else self._within()
        for segment in self._segments:
            yield from self._pages(segment, table, columns, where)

    def _pages(
        self, segment: Path, table: str, columns: Iterable[str], where: str, after: int = 0
    ) -> Iterator[tuple[Any, ...]]:
        with reading(segment) as db:
            known = {name for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))}
        if not known:  # an older segment
            return
        names = ", ".join(f'"{name}"' if name in known else "NULL" for name in columns)
        wanted = f"SELECT n, {self._time}, {names} FROM {table}"
        query = f"{wanted} WHERE n > ? AND {where} ORDER BY n LIMIT {_PAGE}"
        while True:
            with reading(segment) as db:
                page = list(db.execute(query, (after, *self._arguments)))
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _within(self, *, from_start: bool = True) -> str:
        where = self._whose
        if self.start_ns is not None and from_start:
            where += f" AND {self._time} >= {self.start_ns:d}"
        if self.end_ns is not None:
            where += f" AND {self._time} < {self.end_ns:d}"
        return where


def duration_ns(text: str) -> int:
    """``500ms``, ``30s``, ``5m``, ``2h`` or ``1d`` in ns. Raises ConfigError."""
    match = re.fullmatch(r"([1-9]\d{0,5})(ms|s|m|h|d)", text, re.ASCII)
    if match is None:
        raise ConfigError(f"{text!r} is not a duration", example="5m")
    return int(match[1]) * _UNITS[match[2]]


def candle_interval(length_ns: int) -> str:
    """The shortest of the usual intervals that makes at most ``MOST_CANDLES`` of a time so long."""
    return next((step for step in _STEPS if length_ns <= duration_ns(step) * MOST_CANDLES), _STEPS[-1])


def extremes(
    points: Iterable[tuple[int, Decimal]], extent: Extent, columns: int
) -> list[tuple[int, Decimal]]:
    """The first, lowest, highest and last point in each of ``columns`` parts of the time, in order."""
    width_ns = (extent.last_ns - extent.first_ns) // columns + 1
    kept: dict[int, list[tuple[int, Decimal]]] = {}
    for point in points:
        ns, value = point
        corners = kept.setdefault((ns - extent.first_ns) // width_ns, [point] * 4)
        if ns < corners[0][0]:
            corners[0] = point
        if value < corners[1][1]:
            corners[1] = point
        if value > corners[2][1]:
            corners[2] = point
        if ns >= corners[3][0]:
            corners[3] = point
    return sorted({point for corners in kept.values() for point in corners}, key=lambda point: point[0])
