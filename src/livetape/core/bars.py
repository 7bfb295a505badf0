"""Bars made of prints, exact, in whatever order and parts the prints come (floor 1).

Rule 1: of two prints the one with the smaller place is the earlier one, so of prints of the same time the
        last told is the last. No two prints share a place.
Rule 2: order and grouping do not matter: what any parts of the prints come to, merged, is what all of them
        come to.
"""

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Sequence
from decimal import Context, Decimal
from typing import TypeVar

from msgspec import Struct

from .times import SECOND

DAY_NS = 86_400 * SECOND
EXACT = Context(prec=200)  #: more digits than any sum of products of prices and sizes has
_ZERO = Decimal(0)
_VWAP_DIGITS = 4  #: decimals of an average price beyond those of the prices themselves

#: Time in ns, price and size as text, and what the conditions forbid it to set.
Print = tuple[int, str, str, Container[str]]
#: Time in ns, then the order of telling: when it was received, by which session, and its number there.
Place = tuple[int, int, int, int]
Priced = tuple[Place, Decimal]
T = TypeVar("T")


class Grid:
    """Where bars of ``interval_ns`` begin: at multiples of it since 1970 UTC, or counted anew each day.

    ``days`` are the times at which the days of a market begin, ascending, without a missing one; a bar ends
    with its day at the latest. Bars of more than a day do not follow them.
    """

    def __init__(self, interval_ns: int, days: Sequence[int] = ()) -> None:
        self.interval_ns = interval_ns
        self.days = days if interval_ns <= DAY_NS else ()

    def start(self, ns: int) -> int:
        """When the bar begins that ``ns`` belongs to."""
        day_ns, next_ns = self._day(ns)
        if next_ns is not None and self.interval_ns == DAY_NS:  # such a day may have 23 or 25 hours
            return day_ns
        return ns - (ns - day_ns) % self.interval_ns

    def end(self, start_ns: int) -> int:
        """When the bar ends that begins at ``start_ns``."""
        _, next_ns = self._day(start_ns)
        if next_ns is None:
            return start_ns + self.interval_ns
        return next_ns if self.interval_ns == DAY_NS else min(start_ns + self.interval_ns, next_ns)

    def _day(self, ns: int) -> tuple[int, int | None]:
        """When the day of ``ns`` begins, and the next one; None where that is not known."""
        at = bisect_right(self.days, ns)
        if 0 < at < len(self.days):
            return self.days[at - 1], self.days[at]
        return self.days[-1] if self.days else 0, None


class Candle(Struct):
    """Open, high, low and close of one interval, and what was traded in it, exactly.

    ``turnover`` is the sum of price times size over the ``trades`` that count for the volume.
    """

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int = 0
    turnover: Decimal = _ZERO

    @property
    def vwap(self) -> Decimal | None:
        """The average price by volume, with four decimals more than the prices; None without volume."""
        if not self.volume:
            return None
        exponents = (price.as_tuple().exponent for price in (self.open, self.high, self.low, self.close))
        finest = min(exponent for exponent in exponents if isinstance(exponent, int))
        step = Decimal((0, (1,), min(finest, 0) - _VWAP_DIGITS))
        return EXACT.quantize(EXACT.divide(self.turnover, self.volume), step)


class Partial(Struct, frozen=True, gc=False):
    """What some prints of one interval come to.

    ``first`` and ``last`` are of those that may set the last price, ``high`` and ``low`` of those that may
    set the range, the rest of those that count for the volume. A column of plain prints can be reduced to one
    of these, and merged with others.
    """

    first: Priced | None = None
    last: Priced | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal = _ZERO
    turnover: Decimal = _ZERO
    trades: int = 0

    def candle(self, start_ns: int) -> Candle | None:
        """The bar that begins at ``start_ns``; None while no print may set a price."""
        if self.first is None or self.last is None:
            return None
        opened, closed = self.first[1], self.last[1]
        high = EXACT.max(opened, closed) if self.high is None else self.high
        low = EXACT.min(opened, closed) if self.low is None else self.low
        return Candle(start_ns, opened, high, low, closed, self.volume, self.trades, self.turnover)


NOTHING = Partial()


def partial(place: Place, price: Decimal, size: Decimal, excluded: Container[str] = ()) -> Partial:
    """What one print comes to; ``excluded`` as in ``Trade``."""
    priced = None if "last" in excluded else (place, price)
    ranged = None if "range" in excluded else price
    if "volume" in excluded:
        return Partial(priced, priced, ranged, ranged)
    return Partial(priced, priced, ranged, ranged, size, EXACT.multiply(price, size), 1)


def merged(one: Partial, other: Partial) -> Partial:
    """What the prints of both come to."""
    return Partial(
        _either(min, one.first, other.first),
        _either(max, one.last, other.last),
        _either(EXACT.max, one.high, other.high),
        _either(EXACT.min, one.low, other.low),
        EXACT.add(one.volume, other.volume),
        EXACT.add(one.turnover, other.turnover),
        one.trades + other.trades,
    )


def _either(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    return other if one is None else one if other is None else choose(one, other)


class Bars:
    """The bars of ``grid`` that prints make; add them in any order, one by one or reduced."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.partials: dict[int, Partial] = {}  #: by the start of their bar

    def add(self, place: Place, price: Decimal, size: Decimal, excluded: Container[str] = ()) -> None:
        """Add one print to the bar of its time."""
        self.merge(self.grid.start(place[0]), partial(place, price, size, excluded))

    def merge(self, start_ns: int, some: Partial) -> None:
        """Add what some prints of the bar that begins at ``start_ns`` come to."""
        before = self.partials.get(start_ns)
        self.partials[start_ns] = some if before is None else merged(before, some)

    def candles(self) -> list[Candle]:
        """The bars so far, by time, without the empty ones."""
        return [
            candle
            for start_ns, each in sorted(self.partials.items(), key=lambda item: item[0])
            if (candle := each.candle(start_ns))
        ]


def candles(prints: Iterable[Print], grid: Grid | int) -> list[Candle]:
    """The bars of ``prints``, which come in the order of telling, without the empty ones.

    ``grid`` may be just an interval in ns, for bars that begin at its multiples.
    """
    bars = Bars(Grid(grid) if isinstance(grid, int) else grid)
    for n, (ns, price, size, excluded) in enumerate(prints):
        bars.add((ns, 0, 0, n), Decimal(price), Decimal(size), excluded)
    return bars.candles()
