"""The day of an instrument from its own trades, where the venue sends no summary (floor 1)."""

from collections import Counter, deque
from decimal import Decimal

from .events import Amendment, Summary, Trade
from .times import SECOND

DAY = 86_400 * SECOND
RECENT = 1_000  #: trades that an amendment may still take the last price from


class Day:
    """One UTC day of ``channel``. What we did not see before ``since_ns`` is not in it, and it says so.

    Trades set only what their sale conditions allow.
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
        self._recent: deque[tuple[str | None, str]] = deque(maxlen=RECENT)
        self._volume = self._turnover = Decimal(0)

    def add(self, trade: Trade, now_ns: int) -> Summary:
        """The day after ``trade``, which we heard at ``now_ns``."""
        ns = trade.venue_ns if trade.venue_ns is not None else now_ns
        if ns // DAY * DAY > self._start_ns:
            self._begin(ns // DAY * DAY, now_ns)
        if "volume" not in trade.excluded:
            self._count(trade.price_text, trade.size_text, 1)
        if "range" not in trade.excluded:
            price = trade.price_text
            self._open = self._open or price
            self._range[price] += 1
            self._high = max(self._high or price, price, key=Decimal)
            self._low = min(self._low or price, price, key=Decimal)
        if "last" not in trade.excluded:
            self._recent.append((trade.id, trade.price_text))
        return self._summary(ns)

    def amend(self, amendment: Amendment) -> Summary:
        """The day without what was taken back, and with what stands in its place."""
        old, new = amendment.old_price_text, amendment.price_text
        self._count(old, amendment.old_size_text, -1)
        if self._range[old] > 0:
            self._range[old] -= 1
            if new is not None:
                self._range[new] += 1
            prices = [price for price, n in self._range.items() if n]
            self._high = max(prices, key=Decimal, default=None)
            self._low = min(prices, key=Decimal, default=None)
        if new is not None and amendment.size_text is not None:
            self._count(new, amendment.size_text, 1)
        kept = [(each, price) for each, price in self._recent if each != amendment.trade_id]
        if len(kept) < len(self._recent) and new is not None:
            at = [each for each, _ in self._recent].index(amendment.trade_id)
            kept.insert(at, (amendment.id, new))
        self._recent = deque(kept, RECENT)
        return self._summary(amendment.venue_ns)

    def _begin(self, start_ns: int, now_ns: int) -> None:
        """A new day. The first one began before us, a later one is whole."""
        self._since_ns = now_ns if self._start_ns < 0 else None
        self._start_ns, self._previous_close = start_ns, self._last
        self._open = self._high = self._low = None
        self._range.clear()
        self._recent.clear()
        self._volume = self._turnover = Decimal(0)

    @property
    def _last(self) -> str | None:
        return self._recent[-1][1] if self._recent else None

    def _count(self, price: str, size: str, sign: int) -> None:
        self._volume += sign * Decimal(size)
        self._turnover += sign * Decimal(size) * Decimal(price)

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
