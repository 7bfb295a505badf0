"""A tape as the market of a simulated vendor (floor 4).

Trades, books, marks and, where there is no book, the best quotes come as they were recorded. Bars and days
are made of the trades. What a session has filled from the venue's history is history here, too.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import count

from msgspec.structs import replace

from ..core.bars import NOTHING, Bars, Candle, Grid, Partial, merged, partial
from ..core.book import Book
from ..core.books import kept
from ..core.dialect import Action, Change, Day, Source
from ..core.events import Bar, BookUpdate, Mark, MarketEvent, Origin, Quote, Trade
from ..core.instruments import INTERVALS, Channel, Instrument, interval_ns
from ..core.times import SECOND

HISTORY = 1_000  #: prints that are kept of an instrument
MOST_DIGITS = 19  #: of a number
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
_KINDS = {interval_ns(interval): f"bar.{interval}" for interval in INTERVALS}


class Taped(Source):
    """What a tape tells of ``channels`` of one ``venue``: ``put`` its events, ``advance`` lets them happen.

    ``assets`` are the symbols' classes. It begins at ``now_ns``, with what ``begin`` lets have happened.
    """

    def __init__(
        self, venue: str, channels: Iterable[Channel], assets: Mapping[str, str], now_ns: int
    ) -> None:
        self.now_ns = now_ns  #: when what happened last was received
        self._venue = venue
        kinds: dict[str, set[str]] = {}
        for channel in channels:
            kinds.setdefault(channel.symbol, set()).add(channel.kind)
        self._traded = {symbol: _Traded(symbol, assets[symbol], kinds[symbol]) for symbol in kinds}
        self._waiting: deque[MarketEvent] = deque()
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """How many events have not happened yet."""
        return len(self._waiting)

    @property
    def empty(self) -> frozenset[str]:
        """The channels of books, and of best quotes where there is no book, that have no state yet."""
        empty = [traded for traded in self._traded.values() if traded.is_empty]
        return frozenset(str(Channel(self._venue, traded.symbol, traded.shows)) for traded in empty)

    def begin(self, event: MarketEvent) -> None:
        """Let ``event`` have happened before anybody came."""
        self._act(event)

    def put(self, event: MarketEvent) -> None:
        """Let ``event`` happen next."""
        self._waiting.append(event)

    def advance(self, now_ns: int) -> Iterator[Action]:
        """Every action of what was put; until the next one is asked for, books are those after it."""
        while self._waiting:
            event = self._waiting.popleft()
            self.now_ns = max(self.now_ns, event.recv_ns)
            if (action := self._act(event)) is not None:
                yield action

    def _act(self, event: MarketEvent) -> Action | None:
        traded = self._traded.get(event.symbol)
        if traded is None:
            return None
        ns = event.venue_ns or event.recv_ns
        match event:
            case Trade():
                trade = self._numbered(event)
                traded.add(trade)
                return None if event.origin is Origin.BACKFILLED else Action(event.symbol, ns, [trade], ())
            case BookUpdate():
                changes = traded.update(event)
            case Quote() if traded.shows == "quote":
                changes = traded.quote(event)
            case Mark():
                traded.mark = event
                return Action(event.symbol, ns, (), (), event)
            case _:
                return None
        return Action(event.symbol, ns, (), changes) if changes else None

    def _numbered(self, trade: Trade) -> Trade:
        """With the number by which vendors call it: its own, that in its id, else one that no other has."""
        number = trade.number
        if number is None:
            tail = (trade.id or "").rpartition("-")[2]
            number = int(tail) if tail.isdecimal() and len(tail) < MOST_DIGITS else next(self._numbers)
        return replace(trade, number=number)

    # The source of dialects

    def instruments(self) -> Sequence[Instrument]:
        return [traded.instrument for traded in self._traded.values()]

    def book(self, symbol: str) -> Book | None:
        traded = self._traded.get(symbol)
        return traded.book if traded else None

    def trades(self, symbol: str, n: int) -> Sequence[Trade]:
        """The last ``n`` prints, oldest first: at most 1000, none of an unknown symbol."""
        traded = self._traded.get(symbol)
        return list(traded.trades)[-n:] if traded and n else []

    def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> Sequence[Trade]:
        return [t for t in self.trades(symbol, HISTORY) if start_ns <= (t.venue_ns or t.recv_ns) < end_ns]

    def bars(self, symbol: str, interval_ns: int, start_ns: int, end_ns: int) -> Sequence[Bar]:
        """The bars that begin from ``start_ns`` to before ``end_ns``, as far as there were trades."""
        traded = self._traded.get(symbol)
        found = traded.candles(interval_ns, start_ns, end_ns) if traded else []
        return [self._bar(symbol, interval_ns, candle) for candle in found]

    def _bar(self, symbol: str, interval_ns: int, candle: Candle) -> Bar:
        return Bar(
            channel=f"{self._venue}:{symbol}/{_KINDS[interval_ns]}",
            start_ns=candle.start_ns,
            open_text=f"{candle.open:f}",
            high_text=f"{candle.high:f}",
            low_text=f"{candle.low:f}",
            close_text=f"{candle.close:f}",
            volume_text=f"{candle.volume:f}",
            trades=candle.trades,
            vwap_text=None if candle.vwap is None else f"{candle.vwap:f}",
            closed=candle.start_ns + interval_ns <= self.now_ns,
        )

    def day(self, symbol: str) -> Day | None:
        traded = self._traded.get(symbol)
        return traded.day(self.now_ns - self.now_ns % DAY) if traded else None

    def mark(self, symbol: str) -> Mark | None:
        traded = self._traded.get(symbol)
        return traded.mark if traded else None


class _Traded:
    """One instrument, as the tape has told of it so far."""

    def __init__(self, symbol: str, asset: str, kinds: set[str]) -> None:
        self.symbol, self.asset = symbol, asset
        self.shows = next((kind for kind in ("book", "quote") if kind in kinds), "")  #: what its book is of
        self.book = Book()
        self.trades: deque[Trade] = deque(maxlen=HISTORY)
        self.mark: Mark | None = None
        self._price_places = self._size_places = 0
        self._depth: int | None = None  # how many levels a side the venue keeps
        self._levels: dict[tuple[str, Decimal], tuple[str, str]] = {}  # price and size by side and price
        self._minutes: dict[int, Partial] = {}

    @property
    def instrument(self) -> Instrument:
        """With the finest steps seen so far."""
        price_step, size_step = (
            f"{Decimal((0, (1,), -places)):f}" for places in (self._price_places, self._size_places)
        )
        return Instrument(self.symbol, self.symbol, price_step, size_step, asset=self.asset)

    # Books

    @property
    def is_empty(self) -> bool:
        """Whether it has no book yet, and will have one."""
        return bool(self.shows) and not self._levels

    def update(self, update: BookUpdate) -> list[Change]:
        """Apply an update; what it changes."""
        told = [("bid", *level) for level in update.bids] + [("ask", *level) for level in update.asks]
        if update.snapshot:
            self._depth = kept(update)
            told = self._others(told) + told
        changes = self._apply(told)
        if self._depth is not None:
            sides = {"bid": self.book.bids, "ask": self.book.asks}
            beyond = {name: side.top(len(side))[self._depth :] for name, side in sides.items()}
            changes += self._apply([(name, price, "0") for name in beyond for price, _ in beyond[name]])
        return changes

    def quote(self, quote: Quote) -> list[Change]:
        """Make a book of the best levels alone; what that changes."""
        best = ("bid", quote.bid_text, quote.bid_size_text), ("ask", quote.ask_text, quote.ask_size_text)
        told = [(side, price, size) for side, price, size in best if price is not None and size is not None]
        return self._apply(self._others(told) + told)

    def _others(self, told: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """The removal of all levels but those that are ``told``."""
        known = {(side, Decimal(price)) for side, price, _ in told}
        return [(at[0], level[0], "0") for at, level in self._levels.items() if at not in known]

    def _apply(self, told: Iterable[tuple[str, str, str]]) -> list[Change]:
        return [change for side, price, size in told if (change := self._set(side, price, size))]

    def _set(self, side: str, price: str, size: str) -> Change | None:
        """Set or remove a level; None where it is so already."""
        at = side, Decimal(price)
        had = self._levels.pop(at, None)
        if float(size):
            self._levels[at] = price, size
            self._price_places = max(self._price_places, _places(price))
            self._size_places = max(self._size_places, _places(size))
        elif had is None:
            return None
        else:
            price, size = had[0], "0"
        if had == (price, size):
            return None
        (self.book.bids if side == "bid" else self.book.asks).apply([(price, size)])
        delta = Decimal(size) - Decimal(had[1] if had else 0)
        return Change(side, price, size, f"{delta:f}", "place" if delta > 0 else "cancel")

    # Trades

    def add(self, trade: Trade) -> None:
        """Remember a print."""
        self.trades.append(trade)
        ns = trade.venue_ns or trade.recv_ns
        price, size = Decimal(trade.price_text), Decimal(trade.size_text)
        minute_ns = ns - ns % MINUTE
        one = partial((ns, trade.recv_ns, trade.session, trade.seq), price, size, trade.excluded)
        self._minutes[minute_ns] = merged(self._minutes.get(minute_ns, NOTHING), one)

    def candles(self, interval_ns: int, start_ns: int, end_ns: int) -> list[Candle]:
        """Those that begin from ``start_ns`` to before ``end_ns``; the interval is in whole minutes."""
        bars = Bars(Grid(interval_ns))
        for minute_ns, some in self._minutes.items():
            if start_ns <= (begin_ns := bars.grid.start(minute_ns)) < end_ns:
                bars.merge(begin_ns, some)
        return bars.candles()

    def day(self, start_ns: int) -> Day | None:
        """The day that began then."""
        before = [some for ns, some in self._minutes.items() if ns < start_ns]
        today = [some for ns, some in self._minutes.items() if ns >= start_ns]
        previous, now = (reduce(merged, parts, NOTHING).candle(start_ns) for parts in (before, today))
        if previous is None and now is None:
            return None
        close = previous.close if previous else now.open if now else Decimal(0)
        now = now or Candle(start_ns, close, close, close, close, Decimal(0))
        numbers = now.open, now.high, now.low, now.close, close, now.volume, now.turnover
        return Day(start_ns, *[f"{number:f}" for number in numbers])


def _places(text: str) -> int:
    return len(text.partition(".")[2])
