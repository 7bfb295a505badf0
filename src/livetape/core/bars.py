"""Candles made of prices, exact; of those with the same time the last told is the last (floor 1)."""

from collections.abc import Container, Iterable
from decimal import Context, Decimal

from msgspec import Struct

EXACT = Context(prec=100)  #: more digits than any sum of sizes has
#: Time in ns, price and size as text, and what the conditions forbid it to set.
Print = tuple[int, str, str, Container[str]]


class Candle(Struct):
    """Open, high, low and close of one interval, and the sum of the sizes, exactly."""

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def candles(prints: Iterable[Print], interval_ns: int) -> list[Candle]:
    """The candles of intervals that begin at multiples of ``interval_ns``, without the empty ones."""
    making: dict[int, _Making] = {}
    for ns, price, size, excluded in prints:
        start_ns = ns - ns % interval_ns
        making.setdefault(start_ns, _Making(start_ns)).add(ns, Decimal(price), Decimal(size), excluded)
    return [made for _, each in sorted(making.items()) if (made := each.candle())]


class _Making:
    """A candle that is being made of trades that come in any order of time."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._first: tuple[int, Decimal] | None = None
        self._last: tuple[int, Decimal] | None = None
        self._range: tuple[Decimal, Decimal] | None = None
        self._volume = Decimal(0)

    def add(self, ns: int, price: Decimal, size: Decimal, excluded: Container[str]) -> None:
        if "volume" not in excluded:
            self._volume = EXACT.add(self._volume, size)
        if "last" not in excluded:
            if self._first is None or ns < self._first[0]:
                self._first = ns, price
            if self._last is None or ns >= self._last[0]:
                self._last = ns, price
        if "range" not in excluded:
            low, high = self._range or (price, price)
            self._range = min(low, price), max(high, price)

    def candle(self) -> Candle | None:
        """None while no trade may set a price."""
        if self._first is None or self._last is None:
            return None
        opened, closed = self._first[1], self._last[1]
        low, high = self._range or (min(opened, closed), max(opened, closed))
        return Candle(self._start_ns, opened, high, low, closed, self._volume)
