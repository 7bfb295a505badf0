"""What charts are made of: the rows of one channel of a tape as exact series (floor 3).

The time of a row is the venue's where it gave one, else when it was received; that of a bar is its start.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from ..core.bars import EXACT, Candle, candles
from ..core.book import Book
from ..core.errors import ConfigError
from ..core.instruments import Channel
from ..core.times import SECOND
from .scan import Wanted, ints, market_times, visible
from .told import amendments, exact_texts, named, snapshot_until, told_bars, updates

_TABLES = {"trade": "trades", "quote": "quotes", "book": "books"}
_BAR = ("open", "high", "low", "close", "volume")
MOST_CANDLES = 150  #: and, as each step is at most 2.5 times the one before, 60 at least
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


class Extent(NamedTuple):
    """From the first to the last row, and how many there are."""

    first_ns: int
    last_ns: int
    rows: int


class Series:
    """The rows of ``channel`` from ``start_ns`` until before ``end_ns``, as exact series."""

    def __init__(
        self, directory: Path, channel: Channel, start_ns: int | None = None, end_ns: int | None = None
    ) -> None:
        self.kind = channel.kind.partition(".")[0]
        self.channel, self.start_ns, self.end_ns = channel, start_ns, end_ns
        self._directory = directory

    def extent(self) -> Extent | None:
        """Where the rows lie; None when there are none."""
        times = self._times(self._bars() if self.kind == "bar" else self._rows(_TABLES[self.kind]))
        return Extent(min(times), max(times), len(times)) if times else None

    def values(self, what: str) -> Iterator[tuple[int, Decimal]]:
        """Time and ``price`` of trades, ``close`` of bars, ``mid`` or ``spread`` of quotes and books.

        A trade that may not set the last price is left out.
        """
        match what:
            case "price":
                prints = self._prints()
                return ((ns, Decimal(price)) for ns, price, _, excluded in prints if "last" not in excluded)
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
        rows = self._bars()
        numbers = (map(Decimal, filter(None, exact_texts(rows, name))) for name in _BAR)
        return list(map(Candle, self._times(rows), *numbers))

    def best(self) -> Iterator[tuple[int, Decimal, Decimal]]:
        """Time, best bid and best ask, whenever both sides have one: of quotes, or of the book."""
        if self.kind == "quote":
            rows = self._rows("quotes", *named("bid"), *named("ask"))
            for ns, bid, ask in zip(
                self._times(rows), exact_texts(rows, "bid"), exact_texts(rows, "ask"), strict=True
            ):
                if bid is not None and ask is not None:
                    yield ns, Decimal(bid), Decimal(ask)
            return
        for ns, book in self.books():
            best_bid, best_ask = book.bids.best(), book.asks.best()
            if best_bid and best_ask and (self.start_ns is None or ns >= self.start_ns):
                yield ns, Decimal(best_bid[0]), Decimal(best_ask[0])

    def books(self) -> Iterator[tuple[int, Book]]:
        """Time and book after each update until ``end_ns``, from the last snapshot before ``start_ns`` on."""
        with visible(self._directory) as tape:
            since = None if self.start_ns is None else snapshot_until(tape, self.channel, self.start_ns)
            for update in updates(tape, self.channel, since, self.end_ns):
                yield update.recv_ns if update.venue_ns is None else update.venue_ns, update.book

    def _bars(self) -> pa.Table:
        with visible(self._directory) as tape:
            return told_bars(tape, self.channel, self.start_ns, self.end_ns)

    def _prints(self) -> Iterator[tuple[int, str, str, list[str]]]:
        with visible(self._directory) as tape:
            changes = amendments(tape, self.channel)
        rows = self._rows("trades", *named("price"), *named("size"), "id", "excluded")
        texts = (exact_texts(rows, "price"), exact_texts(rows, "size"))
        for ns, name, excluded, *price_and_size in zip(
            self._times(rows), rows["id"].to_pylist(), rows["excluded"].to_pylist(), *texts, strict=True
        ):
            change = changes.get(name, price_and_size)
            if change is not None:  # not cancelled
                yield ns, *change, excluded

    def _rows(self, table: str, *names: str) -> pa.Table:
        """The columns ``names``, and those of time, in the order of the tape."""
        wanted = Wanted(table, self.channel, self.start_ns, self.end_ns, names=("recv", "ts", *names))
        with visible(self._directory) as tape:
            return tape.ordered(wanted)

    def _times(self, rows: pa.Table) -> list[int]:
        times = ints(rows["start"]) if self.kind == "bar" else market_times(rows)
        found: list[int] = times.tolist()
        return found


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
