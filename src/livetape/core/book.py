"""An order book that never forgets a level it was told about, and knows how deep it was told (floor 1).

Prices are compared exactly. A float keeps 15 significant digits, so it is the key of a level as long as no
price has more; the first longer price turns every key of its side into a Decimal.
"""

from bisect import bisect_left, insort
from decimal import Decimal

from .decimals import Level, significant

Key = float | Decimal


class Side:
    """The price levels of one side. ``sign`` is 1 for bids and -1 for asks."""

    __slots__ = ("_horizon", "_keys", "_levels", "_number", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._levels: dict[Key, Level] = {}
        self._keys: list[Key] = []  # price * sign, ascending: the best is the last on both sides
        self._number: type[float] | type[Decimal] = float
        self._horizon: Key | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def apply(self, changes: list[Level]) -> None:
        """Set or remove levels; the last word on a price wins. Removing an unknown level is normal."""
        levels, keys, number, sign = self._levels, self._keys, self._number, self._sign
        for level in changes:
            price, size = level
            if number is float and len(price) > 15 and significant(price) > 15:
                self._widen()
                levels, keys, number = self._levels, self._keys, Decimal
            key = number(price) * sign
            if float(size) == 0.0:
                if levels.pop(key, None) is not None:
                    del keys[bisect_left(keys, key)]
            else:
                if key not in levels:
                    insort(keys, key)
                levels[key] = level

    def truncate(self, depth: int) -> None:
        """Forget all but the best ``depth`` levels."""
        surplus = len(self._keys) - depth
        if surplus > 0:
            for key in self._keys[:surplus]:
                del self._levels[key]
            del self._keys[:surplus]

    def close_horizon(self) -> None:
        """The worst level known now is the last that was told: beyond it others may be resting."""
        if self._keys:
            self._horizon = self._keys[0]

    @property
    def told(self) -> int | None:
        """How many of the best levels are certain to have no untold one among them; None for all."""
        if self._horizon is None:
            return None
        return len(self._keys) - bisect_left(self._keys, self._horizon)

    @property
    def price(self) -> float | None:
        """The best price, None when the side is empty."""
        return float(self._keys[-1] * self._sign) if self._keys else None

    def best(self) -> Level | None:
        """The best level as text, None when the side is empty."""
        return self._levels[self._keys[-1]] if self._keys else None

    def top(self, n: int) -> list[Level]:
        """The best ``n`` levels as text, best first."""
        levels = self._levels
        return [levels[key] for key in self._keys[: -n - 1 : -1]]

    def _widen(self) -> None:
        self._number = Decimal
        self._levels = {Decimal(level[0]) * self._sign: level for level in self._levels.values()}
        self._keys = sorted(self._levels)
        if self._horizon is not None:
            self._horizon = Decimal(repr(self._horizon))


class Book:
    """Both sides of one instrument's book. ``seq`` is the venue's number of the last update in it."""

    __slots__ = ("asks", "bids", "seq")

    def __init__(self) -> None:
        self.bids, self.asks = Side(1), Side(-1)
        self.seq: int | None = None

    def apply(self, bids: list[Level], asks: list[Level], *, depth: int | None = None) -> None:
        """Apply one message: all its levels, then keep the best ``depth`` of each side."""
        self.bids.apply(bids)
        self.asks.apply(asks)
        if depth is not None:
            self.bids.truncate(depth)
            self.asks.truncate(depth)

    def best(self) -> tuple[float | None, float | None]:
        """The best bid and ask price; None for an empty side."""
        return self.bids.price, self.asks.price

    def top(self, n: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The best ``n`` (price, size) of bids and of asks, best first; fewer when the book is thinner.

        Costs O(n): call it when you look, not on every update. ``book.bids.top(n)`` gives the exact text.
        """
        return (
            [(float(price), float(size)) for price, size in self.bids.top(n)],
            [(float(price), float(size)) for price, size in self.asks.top(n)],
        )

    @property
    def told(self) -> int | None:
        """How many levels of each side are certain to be complete; None for all of them."""
        bids, asks = self.bids.told, self.asks.told
        if bids is None or asks is None:
            return asks if bids is None else bids
        return min(bids, asks)

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask, which no matching engine leaves standing."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and Decimal(bid[0]) >= Decimal(ask[0])
