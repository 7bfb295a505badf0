"""A market to simulate vendors from: matching engines fed with random orders, repeatable by seed (floor 4).

Pure: time comes in as ns, chance from the seed. Prices are counted in ticks and sizes in lots, whole
multiples of an instrument's steps; text is made from these integers, so nothing is ever rounded.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from decimal import Decimal
from heapq import heapify, heapreplace
from itertools import islice
from math import exp
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from ..core.book import Book, Side
from ..core.dialect import Action, Change, Day, Source
from ..core.events import Bar, Mark, Trade
from ..core.instruments import Channel, Instrument
from ..core.times import SECOND
from .history import MINUTE, Chart
from .listings import Grid, Listing

HISTORY = 1000  #: prints kept of each instrument
ORDERS = 150  #: resting orders a side where placing and cancelling are equally likely
REACH = 1500  #: ticks behind the best possible price, within which orders are placed
EAGER = 0.3  #: how likely an action takes what is offered at the fair price or better
NOISE = 0.04  #: how likely an action takes what is not
SWEEP = 8.0  #: size of an order that takes, in typical sizes
WHOLE = 0.8  #: share of cancels that take away the whole order
LEASH = 0.1  #: how far a perpetual strays from its index, where others stray from their start by 1
MARK_PARTS = 500  #: of a tick, to which a mark price is rounded
FUNDINGS = 8  #: payments in which a premium would be paid off
NEVER = 2**63 - 1  #: the end of all times in ns


class Order(Struct, eq=False):
    """A resting order."""

    id: int
    rank: int
    lots: int


class Ladder:
    """The resting orders of one side, by price, then by time.

    A rank is a price in ticks, negated for bids: on both sides the best is the least, and a rank is the
    negative of the same price on the other side. ``view`` shows the same levels as text.
    """

    def __init__(self, side: str, sign: int, view: Side) -> None:
        self.side = side
        self.sign = sign
        self.view = view
        self.ranks: list[int] = []  #: of the levels, best first
        self.orders: dict[int, Order] = {}  #: by id, oldest first
        self._queues: dict[int, list[Order]] = {}  # by rank, oldest first

    def lots(self, rank: int) -> int:
        """The size of a level; 0 where there is none."""
        return sum(order.lots for order in self._queues.get(rank, ()))

    def add(self, order: Order) -> None:
        """Rest ``order`` behind those of the same price."""
        if order.rank not in self._queues:
            insort(self.ranks, order.rank)
            self._queues[order.rank] = []
        self._queues[order.rank].append(order)
        self.orders[order.id] = order

    def reduce(self, order: Order, lots: int) -> None:
        """Take ``lots`` off ``order``. It keeps its place in the queue until nothing is left of it."""
        order.lots -= lots
        if order.lots:
            return
        del self.orders[order.id]
        queue = self._queues[order.rank]
        queue.remove(order)
        if not queue:
            del self._queues[order.rank]
            del self.ranks[bisect_left(self.ranks, order.rank)]

    def take(self, limit: int, lots: int) -> list[tuple[int, int]]:
        """Match up to ``lots`` at ranks up to ``limit``: the rank and lots of each fill, in order."""
        fills = []
        while lots and self.ranks and self.ranks[0] <= limit:
            order = self._queues[self.ranks[0]][0]
            filled = min(lots, order.lots)
            self.reduce(order, filled)
            fills.append((order.rank, filled))
            lots -= filled
        return fills


class Engine:
    """One instrument: its matching engine, and the random orders and cancels that reach it.

    A fair price, in ticks, wanders. Orders are placed behind it; those it has overtaken invite takers.
    """

    def __init__(self, listing: Listing, seed: int, start_ns: int, venue: str, rate: float) -> None:
        self._random = Random(f"{seed} {listing.symbol}")
        self._listing = listing
        self._channel = str(Channel(venue, listing.symbol, "trade"))
        self._prices, self._sizes = Grid(listing.price_step), Grid(listing.size_step)
        self._halves = Grid(f"{Decimal(listing.price_step) / 2:f}")
        self._typical = listing.size / float(listing.size_step)
        self._rate = listing.rate * rate
        self._usual, self._reach = ORDERS * listing.depth, round(REACH * listing.depth)
        self._start = self._fair = self._prices.count(listing.price)
        self._away = 0.0  # logarithm of the fair over the start price
        self._last_id = 0
        self._number = self._random.randrange(100_000, 900_000)
        self._ns = start_ns
        self.due_ns = start_ns + self._wait()
        self.book = Book()
        self.bids = Ladder("bid", -1, self.book.bids)
        self.asks = Ladder("ask", 1, self.book.asks)
        self.trades: deque[Trade] = deque(maxlen=HISTORY)
        self.chart = Chart(listing, seed, start_ns, venue, rate)
        self._fill()

    def act(self) -> Action:
        """Do what is due at ``due_ns``, and set when the next action is due."""
        self._wander((self.due_ns - self._ns) / SECOND)
        self._ns = self.due_ns
        self.due_ns += self._wait()
        own, other = (self.bids, self.asks) if self._random.random() < 0.5 else (self.asks, self.bids)
        bargain = other.ranks[0] <= other.sign * self._fair
        if self._random.random() < (EAGER if bargain else NOISE):
            return self._cross(own, other)
        # The more orders rest, the more are cancelled: depth stays stationary. The last one never is.
        if self._random.random() * 2 * self._usual < len(own.orders) - 1:
            return self._cancel(own)
        return self._place(own, other)

    def middle(self) -> str:
        """The price in the middle of the best two."""
        return self._halves.text(self.asks.ranks[0] - self.bids.ranks[0])

    def _fill(self) -> None:
        """Make the book of the start: one order each side of the fair price, then as many as is usual."""
        for own, other in ((self.bids, self.asks), (self.asks, self.bids)):
            self._submit(own, other, own.sign * self._start + 1, self._lots())
        for _ in range(round(self._usual) - 1):
            self._place(self.bids, self.asks)
            self._place(self.asks, self.bids)

    def _wait(self) -> int:
        """Nanoseconds from one action to the next."""
        return 1 + int(self._random.expovariate(self._rate) * SECOND)

    def _wander(self, seconds: float) -> None:
        self._away = self._listing.wander(self._away, seconds, self._random)
        self._fair = max(1, round(self._worth()))

    def _worth(self) -> float:
        """The fair price in ticks, not rounded."""
        return self._start * exp(self._away)

    def _lots(self, scale: float = 1.0) -> int:
        """A random size: half of the orders are smaller than the typical one times ``scale``."""
        return 1 + int(self._random.lognormvariate(0.0, 1.0) * self._typical * scale)

    def _place(self, own: Ladder, other: Ladder) -> Action:
        """An order that rests: not better than fair, not crossing, mostly near to the best such price."""
        best = max(own.sign * self._fair, 1 - other.ranks[0])
        reach = min(self._reach, abs(best) - 1)  # keeps bids above zero
        return self._submit(own, other, best + int(reach * self._random.random() ** 4), self._lots())

    def _cross(self, own: Ladder, other: Ladder) -> Action:
        """An order that takes the other side's best level, and all that is not worse than fair."""
        limit = max(other.ranks[0], other.sign * self._fair)
        worst = other.ranks[-1]  # out of reach, so that no side is ever emptied
        return self._submit(own, other, -min(limit, worst - 1), self._lots(SWEEP))

    def _submit(self, own: Ladder, other: Ladder, rank: int, lots: int) -> Action:
        """A limit order: match what it can, rest what is left."""
        fills = other.take(-rank, lots)
        trades = [self._print(own, abs(level), filled) for level, filled in fills]
        taken: dict[int, int] = {}
        for level, filled in fills:
            taken[level] = taken.get(level, 0) + filled
        changes = [self._change(other, level, -filled, "trade") for level, filled in taken.items()]
        rest = lots - sum(taken.values())
        if rest:
            self._last_id += 1
            own.add(Order(self._last_id, rank, rest))
            changes.append(self._change(own, rank, rest, "place"))
        return Action(self._listing.symbol, self._ns, trades, changes)

    def _cancel(self, own: Ladder) -> Action:
        """Take away a random order, or a part of it."""
        nth = self._random.randrange(len(own.orders))
        order = next(islice(own.orders.values(), nth, None))
        lots = order.lots if self._random.random() < WHOLE else self._random.randint(1, order.lots)
        own.reduce(order, lots)
        change = self._change(own, order.rank, -lots, "cancel")
        return Action(self._listing.symbol, self._ns, (), [change])

    def _print(self, own: Ladder, ticks: int, lots: int) -> Trade:
        """One fill, as the venue reports it."""
        self._number += 1
        trade = Trade(
            channel=self._channel,
            venue_ns=self._ns,
            price_text=self._prices.text(ticks),
            size_text=self._sizes.text(lots),
            side="buy" if own is self.bids else "sell",
            id=str(self._number),
            number=self._number,
        )
        self.trades.append(trade)
        self.chart.add(self._ns, ticks, lots)
        return trade

    def _change(self, ladder: Ladder, rank: int, delta: int, reason: str) -> Change:
        """What just happened to a level, shown in the book too."""
        lots = ladder.lots(rank)
        price, remaining = self._prices.text(abs(rank)), self._sizes.text(lots) if lots else "0"
        ladder.view.apply([(price, remaining)])
        return Change(ladder.side, price, remaining, self._sizes.text(delta), reason)


class Perpetual(Engine):
    """A perpetual: its fair price, the mark price, keeps near the index, the middle of the ``spot`` book.

    The mark is told with its first action in a second. The funding rate, in percent an hour, is set with the
    first one in a minute: an eighth of the premium over the index at that moment.
    """

    def __init__(
        self, listing: Listing, seed: int, start_ns: int, venue: str, rate: float, *, spot: Engine
    ) -> None:
        super().__init__(listing, seed, start_ns, venue, rate)
        self._spot = spot
        self._ratio = self._start / float(spot.middle())  # with the premium of the start
        self._name = str(Channel(venue, listing.symbol, "mark"))
        self._marks = Grid(f"{Decimal(listing.price_step) / MARK_PARTS:f}")
        self.mark = self._marked(start_ns)

    def act(self) -> Action:
        before_ns = self._ns
        action = super().act()
        if action.ns // SECOND == before_ns // SECOND:
            return action
        mark = self._marked(action.ns)
        if action.ns // MINUTE == before_ns // MINUTE:
            mark = replace(mark, funding_text=None)
        self.mark = replace(mark, funding_text=mark.funding_text or self.mark.funding_text)
        return replace(action, mark=mark)

    def _worth(self) -> float:
        return self._ratio * float(self._spot.middle()) * exp(LEASH * self._away)

    def _marked(self, ns: int) -> Mark:
        """The mark, with the funding rate that would be set now."""
        index, price = self._spot.middle(), self._marks.text(round(self._worth() * MARK_PARTS))
        premium = 1 - Decimal(index) / Decimal(price)
        return Mark(self._name, ns, price, index, f"{premium * 100 / FUNDINGS:.5f}")


class Market(Source):
    """All instruments of one ``venue``. ``rate`` multiplies the rates of the ``listings``.

    Each instrument draws its own chance from ``seed``: it does the same whatever else is listed. Only a
    perpetual needs its spot to be listed before it, else it raises KeyError.
    The books of ``closed`` assets stand, and nothing happens in them.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        seed: int,
        start_ns: int,
        venue: str,
        *,
        rate: float = 1.0,
        closed: frozenset[str] = frozenset(),
    ) -> None:
        self.now_ns = start_ns  #: everything due until then has happened
        self.engines: dict[str, Engine] = {}
        for i in listings:
            if i.spot:
                spot = self.engines[i.spot]
                self.engines[i.symbol] = Perpetual(i, seed, start_ns, venue, rate, spot=spot)
            else:
                self.engines[i.symbol] = Engine(i, seed, start_ns, venue, rate)
        # How the venue spells a symbol is known to its dialect alone, so native is the unified spelling.
        self._instruments = [
            Instrument(i.symbol, i.symbol, i.price_step, i.size_step, i.name, i.asset) for i in listings
        ]
        self._due = [
            (NEVER if i.asset in closed else self.engines[i.symbol].due_ns, i.symbol) for i in listings
        ]
        heapify(self._due)

    @property
    def next_ns(self) -> int:
        """When the next action is due."""
        return self._due[0][0]

    def advance(self, now_ns: int) -> Iterator[Action]:
        """Every action due up to ``now_ns`` inclusive, in order of time.

        Each is performed when it is asked for: until the next one, books are those right after it.
        """
        while self.next_ns <= now_ns:
            engine = self.engines[self._due[0][1]]
            action = engine.act()
            heapreplace(self._due, (engine.due_ns, action.symbol))
            self.now_ns = action.ns
            yield action
        self.now_ns = max(self.now_ns, now_ns)

    def instruments(self) -> Sequence[Instrument]:
        return self._instruments

    def book(self, symbol: str) -> Book | None:
        engine = self.engines.get(symbol)
        return engine.book if engine else None

    def trades(self, symbol: str, n: int) -> Sequence[Trade]:
        """The last ``n`` prints, oldest first: at most 1000, none of an unknown symbol."""
        engine = self.engines.get(symbol)
        return list(islice(reversed(engine.trades), n))[::-1] if engine else []

    def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> Sequence[Trade]:
        """Those of the last 1000 prints from ``start_ns`` to before ``end_ns``, oldest first."""
        return [t for t in self.trades(symbol, HISTORY) if start_ns <= (t.venue_ns or 0) < end_ns]

    def bars(self, symbol: str, interval_ns: int, start_ns: int, end_ns: int) -> Sequence[Bar]:
        """The bars that begin from ``start_ns`` to before ``end_ns``, oldest first.

        They reach back seven days before the start; of a long run the last two days are sure to be there.
        An interval without a print has no bar, nor has an unknown symbol. Raises ValueError unless the
        interval is in whole minutes.
        """
        engine = self.engines.get(symbol)
        return engine.chart.bars(interval_ns, start_ns, end_ns, self.now_ns) if engine else []

    def day(self, symbol: str) -> Day | None:
        """The current UTC day; None of an unknown symbol."""
        engine = self.engines.get(symbol)
        return engine.chart.day(self.now_ns) if engine else None

    def mark(self, symbol: str) -> Mark | None:
        """Mark price, index and funding rate, in percent an hour; None of what is no perpetual."""
        engine = self.engines.get(symbol)
        return engine.mark if isinstance(engine, Perpetual) else None
