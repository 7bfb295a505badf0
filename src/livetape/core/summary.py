"""The day of an instrument from its own trades, where the venue sends no summary (floor 1)."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from .events import Amendment, Summary, Trade
from .times import SECOND

DAY = 86_400 * SECOND
RECENT = 10_000  #: trades of the day that can still be amended


class Print(Struct, frozen=True, gc=False):
    """What the day keeps of a trade."""

    price: str
    size: str
    excluded: tuple[str, ...]


class Day:
    """One UTC day of ``channel``. What we did not see before ``since_ns`` is not in it, and it says so.

    Trades set only what their sale conditions allow; those that belong to a day before are left out.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._start_ns = -1
        self._since_ns: int | None = None
        self._previous_close: str | None = None
        self._open: str | None = None
        self._high: str | None = None
        self._low: str | None = None
        self._range: Counter[str] = Counter()  # prices that count for high and low
        self._prints: dict[object, Print] = {}  # the newest, by id, in order
        self._unnamed = 0
        self._volume = self._turnover = Decimal(0)

    def add(self, trade: Trade, now_ns: int) -> Summary:
        """The day after ``trade``, which we heard at ``now_ns``."""
        ns = trade.venue_ns if trade.venue_ns is not None else now_ns
        if (start_ns := ns // DAY * DAY) > self._start_ns:
            self._begin(start_ns, now_ns)
        if start_ns == self._start_ns:
            self._unnamed += 1
            self._prints[trade.id or self._unnamed] = one = Print(
                trade.price_text, trade.size_text, trade.excluded
            )
            if len(self._prints) > RECENT:
                del self._prints[next(iter(self._prints))]
            self._count(one, 1)
            if "range" not in one.excluded:
                self._open = self._open or one.price
                self._high = max(self._high or one.price, one.price, key=Decimal)
                self._low = min(self._low or one.price, one.price, key=Decimal)
        return self._summary(ns)

    def amend(self, amendment: Amendment) -> Summary:
        """The day without what was taken back, and with what stands in its place, if it is of this day."""
        wrong = self._prints.get(amendment.trade_id)
        if wrong is not None:
            self._count(wrong, -1)
            right = None
            if amendment.price_text is not None and amendment.size_text is not None:
                right = Print(amendment.price_text, amendment.size_text, wrong.excluded)
                self._count(right, 1)
            self._prints = dict(self._replaced(amendment.trade_id, amendment.id, right))
            prices = [price for price, n in self._range.items() if n]
            self._high = max(prices, key=Decimal, default=None)
            self._low = min(prices, key=Decimal, default=None)
        return self._summary(amendment.venue_ns)

    def _replaced(self, old: str, new: str | None, right: Print | None) -> Iterator[tuple[object, Print]]:
        """The prints with ``right`` in the place of ``old``, or without it."""
        for name, one in self._prints.items():
            if name != old:
                yield name, one
            elif right is not None:
                yield new or old, right

    def _begin(self, start_ns: int, now_ns: int) -> None:
        """A new day. The first one began before us, a later one is whole."""
        self._since_ns = now_ns if self._start_ns < 0 else None
        self._start_ns, self._previous_close = start_ns, self._last
        self._open = self._high = self._low = None
        self._range.clear()
        self._prints.clear()
        self._volume = self._turnover = Decimal(0)

    @property
    def _last(self) -> str | None:
        newest = reversed(self._prints.values())
        return next((one.price for one in newest if "last" not in one.excluded), None)

    def _count(self, one: Print, sign: int) -> None:
        if "volume" not in one.excluded:
            self._volume += sign * Decimal(one.size)
            self._turnover += sign * Decimal(one.size) * Decimal(one.price)
        if "range" not in one.excluded:
            self._range[one.price] += sign

    def _summary(self, venue_ns: int | None) -> Summary:
        return Summary(
            self._channel,
            venue_ns,
            self._open,
            self._high,
            self._low,
            self._last,
            self._previous_close,
            f"{self._volume:f}",
            f"{self._turnover:f}",
            self._since_ns,
        )
