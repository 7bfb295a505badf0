"""The bars of a channel as they come, made from its trades or from the mids of its quotes (floor 3).

Rule 1: a running bar is told when it has changed, once in ``TICK_NS`` at most. It closes ``LATE_NS`` after
        its interval, counted by the venue's clock as its events show it. What comes later revises it.
Rule 2: what time brings, it brings on a grid: the same events make the same bars, told at the same times.
Rule 3: a bar is worth what the weakest of its prints is worth, and no more than ``resyncing`` where some may
        be missing.
"""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from functools import reduce

from msgspec import Struct, field
from msgspec.structs import replace

from .bars import EXACT, NOTHING, Grid, Partial, merged, partial
from .events import Amendment, Bar, Gap, MarketEvent, Origin, Proof, Quote, Status, Trade, Trust
from .instruments import INTERVALS, Channel
from .times import SECOND

MADE = frozenset(f"bar.{interval}" for interval in INTERVALS if interval != "1w")  #: what can be made
TICK_NS = SECOND // 5
LATE_NS = SECOND // 2
AHEAD_NS = 10 * SECOND  #: a time that is further ahead of ours does not tell how the venue's clock goes
DELAYS = 9  #: prints in a row that must be late until all are believed to be
KEPT = 1_000  #: bars that can still be revised
RECENT = 10_000  #: trades that can still be amended
MOST_GAPS = 1_000
_RANKS = (Trust.VERIFIED, Trust.LIVE, Trust.UNVERIFIABLE, Trust.RESYNCING, Trust.STALE)  # the worst last
_WELL = _RANKS[:3]


class _Making(Struct):
    """A bar: ``whole`` is of all its prints, ``settled`` of those that cannot be amended any more."""

    end_ns: int
    whole: Partial = NOTHING
    settled: Partial = NOTHING
    trades: dict[str, Trade] = field(default_factory=dict)
    trust: Trust = Trust.VERIFIED
    proof: Proof | None = None
    closed: bool = False
    told: Bar | None = None


class LiveBars:
    """Bars of ``channel`` on ``grid``, handed to ``publish`` as events of the session ``number``.

    Each event of the channel that they are made from goes to ``take``; ``tick`` is called a few times a
    second. The last ``recent`` trades can be amended. At any time ``received == delivered + discarded``:
    prints and amendments that came, that count in a bar, and that count in none.
    """

    def __init__(
        self,
        channel: Channel,
        grid: Grid,
        publish: Callable[[MarketEvent], None],
        number: int = 0,
        *,
        recent: int = RECENT,
    ) -> None:
        self.received = self.delivered = self.discarded = 0
        self._name, self._grid, self._publish = str(channel), grid, publish
        self._number, self._recent = number, recent
        self._seq = self._heard_ns = 0
        self._origin = Origin.LIVE
        self._delays_ns = deque([0] * DELAYS, DELAYS)
        self._bars: dict[int, _Making] = {}  # by start
        self._open: set[int] = set()
        self._changed: set[int] = set()
        self._forgotten_ns = -(1 << 63)  # the start of the last bar that cannot be revised any more
        self._starts: dict[str, int] = {}  # of the bars of the trades that can be amended, oldest trade first
        # Where prints may be missing, by start: first of all before the channel spoke.
        self._gaps = {0: Gap(self._name, 0, None, "", trust=Trust.RESYNCING)}

    def take(self, event: MarketEvent) -> None:
        """Look at a print, an amendment, or at what has become of the channel."""
        self.tick(event.recv_ns)
        self._heard_ns = max(self._heard_ns, event.recv_ns)
        if event.origin is not Origin.BACKFILLED:
            self._origin = event.origin
        match event:
            case Trade():
                self._count(counts=self._add(event, _of_trade(event)))
            case Quote():
                mid = _of_mid(event)
                self._count(counts=mid is not None and self._add(event, mid))
            case Amendment():
                self._count(counts=self._amend(event))
            case Gap():
                self._note(event)
                self._tell(replace(event, channel=self._name), event.recv_ns)
            case Status(state=state):
                if state in _WELL:
                    self._begin(event)
                self._tell(replace(event, channel=self._name), event.recv_ns)

    def tick(self, now_ns: int) -> None:
        """Let time pass: tell what has changed, close what is over."""
        while (due_ns := self.due_ns) is not None and due_ns <= now_ns:
            self._tell_bars(due_ns)

    @property
    def due_ns(self) -> int | None:
        """When there is something to tell; None while nothing is to come by itself."""
        if not (self._changed or self._open):
            return None
        soonest_ns = 0 if self._changed else min(map(self._close_ns, self._open))
        return max(soonest_ns, _next_tick(self._heard_ns))

    # Prints

    def _count(self, *, counts: bool) -> None:
        self.received += 1
        self.delivered += counts
        self.discarded += not counts

    def _add(self, event: Trade | Quote, part: Partial) -> bool:
        """Add a print to its bar; False when that bar cannot be revised any more."""
        self._begin(event)
        start_ns, delay_ns = self._grid.start(_ns(event)), event.recv_ns - _ns(event)
        if delay_ns >= -AHEAD_NS and event.origin is not Origin.BACKFILLED:
            self._delays_ns.append(delay_ns)
        if start_ns <= self._forgotten_ns:
            return False
        if (making := self._bars.get(start_ns)) is None:
            making = self._bars[start_ns] = _Making(self._grid.end(start_ns))
            self._open.add(start_ns)
        making.whole = merged(making.whole, part)
        making.trust, making.proof = _worst(making.trust, event.trust), event.proof or making.proof
        self._changed.add(start_ns)
        if self._recent:
            self._remember(start_ns, making, event, part)
        return True

    def _remember(self, start_ns: int, making: _Making, event: Trade | Quote, part: Partial) -> None:
        """Keep a trade that may be amended, and settle the oldest one that was kept."""
        if isinstance(event, Quote) or event.id is None or event.id in self._starts:
            making.settled = merged(making.settled, part)
            return
        making.trades[event.id] = event
        self._starts[event.id] = start_ns
        if len(self._starts) > self._recent:
            oldest = next(iter(self._starts))
            of = self._bars[self._starts.pop(oldest)]
            of.settled = merged(of.settled, _of_trade(of.trades.pop(oldest)))

    def _amend(self, amendment: Amendment) -> bool:
        """Take a trade back or correct it, at its place; False when it is not known any more."""
        start_ns = self._starts.pop(amendment.trade_id, None)
        if start_ns is None:
            return False
        making = self._bars[start_ns]
        wrong = making.trades.pop(amendment.trade_id)
        if amendment.price_text is not None and amendment.size_text is not None:
            name = amendment.id or amendment.trade_id
            texts = {"price_text": amendment.price_text, "size_text": amendment.size_text}
            making.trades[name] = replace(wrong, id=name, **texts)
            self._starts[name] = start_ns
        making.whole = reduce(merged, map(_of_trade, making.trades.values()), making.settled)
        self._changed.add(start_ns)
        return True

    # Trust

    def _begin(self, event: Trade | Quote | Status) -> None:
        """The channel speaks; what was before it first did is missing."""
        before = self._gaps.get(0)
        if before is None or before.end_ns is not None:
            return
        self._gaps[0] = replace(before, end_ns=event.recv_ns)
        if not isinstance(event, Status):  # it spoke to others before, and all is well
            state = Status(self._name, event.trust, trust=event.trust, proof=event.proof, origin=event.origin)
            self._tell(state, event.recv_ns)

    def _note(self, gap: Gap) -> None:
        """Remember a gap as it stands, or that it is healed."""
        self._changed.update(start_ns for start_ns, bar in self._bars.items() if self._begins_in(gap, bar))
        if gap.healed is not None:
            self._gaps.pop(gap.start_ns, None)
            return
        self._gaps[gap.start_ns] = gap
        if len(self._gaps) > MOST_GAPS:
            oldest = self._gaps.pop(next(iter(self._gaps)))
            for start_ns, making in self._bars.items():
                if self._is_in(oldest, start_ns, making):
                    making.trust = _worst(making.trust, _doubt(oldest))

    def _trust(self, start_ns: int, making: _Making) -> Trust:
        doubts = [_doubt(gap) for gap in self._gaps.values() if self._is_in(gap, start_ns, making)]
        return _worst(making.trust, *doubts)

    def _is_in(self, gap: Gap, start_ns: int, making: _Making) -> bool:
        """Whether prints of the bar may be missing in ``gap``, whose times are those of receipt."""
        begun = gap.end_ns is None or gap.end_ns - self._delay_ns > start_ns
        return begun and self._begins_in(gap, making)

    def _begins_in(self, gap: Gap, making: _Making) -> bool:
        return gap.start_ns < making.end_ns + self._delay_ns + LATE_NS

    @property
    def _delay_ns(self) -> int:
        """How far the venue's times are behind ours, at least."""
        return min(self._delays_ns)

    # Telling

    def _close_ns(self, start_ns: int) -> int:
        return _next_tick(self._bars[start_ns].end_ns + self._delay_ns + LATE_NS - 1)

    def _tell_bars(self, now_ns: int) -> None:
        """Tell the bars that have changed or are over, by time, and forget the oldest."""
        for start_ns in [start_ns for start_ns in self._open if self._close_ns(start_ns) <= now_ns]:
            self._open.remove(start_ns)
            self._changed.add(start_ns)
            self._bars[start_ns].closed = True
        for start_ns in sorted(self._changed):
            making = self._bars[start_ns]
            bar = self._bar(start_ns, making)
            if bar is not None and bar != making.told:
                is_revision = making.told is not None and making.told.closed
                making.told = replace(bar, revision=bar.revision + 1) if is_revision else bar
                self._tell(making.told, now_ns)
        self._changed.clear()
        if len(self._bars) > KEPT:
            for start_ns in sorted(self._bars)[:-KEPT]:
                self._forget(start_ns)

    def _bar(self, start_ns: int, making: _Making) -> Bar | None:
        """The bar as it stands; one that was told and lost all its trades keeps its prices, but no volume."""
        told, candle = making.told, making.whole.candle(start_ns)
        if candle is None or making.whole.last is None:
            bar = told and replace(told, volume_text="0", trades=0, vwap_text=None)
        else:
            bar = Bar(
                self._name,
                start_ns,
                f"{candle.open:f}",
                f"{candle.high:f}",
                f"{candle.low:f}",
                f"{candle.close:f}",
                f"{candle.volume:f}",
                trades=candle.trades,
                vwap_text=None if candle.vwap is None else f"{candle.vwap:f}",
                venue_ns=making.whole.last[0][0],
                revision=told.revision if told else 0,
                origin=self._origin,
            )
        trust = self._trust(start_ns, making)
        proof = making.proof if trust is Trust.VERIFIED else None
        return bar and replace(bar, closed=making.closed, trust=trust, proof=proof)

    def _forget(self, start_ns: int) -> None:
        self._forgotten_ns = start_ns
        self._open.discard(start_ns)
        for name in self._bars.pop(start_ns).trades:
            if self._starts.get(name) == start_ns:  # else a vendor has given an id twice
                del self._starts[name]

    def _tell(self, event: Bar | Gap | Status, now_ns: int) -> None:
        self._seq += 1
        self._publish(replace(event, recv_ns=now_ns, session=self._number, seq=self._seq))


def _next_tick(ns: int) -> int:
    return (ns // TICK_NS + 1) * TICK_NS


def _worst(*trusts: Trust) -> Trust:
    return max(trusts, key=_RANKS.index)


def _doubt(gap: Gap) -> Trust:
    """What a bar is worth at best that ``gap`` may have taken prints from."""
    return _worst(gap.trust, Trust.RESYNCING)


def _ns(event: Trade | Quote) -> int:
    return event.recv_ns if event.venue_ns is None else event.venue_ns


def _of_trade(trade: Trade) -> Partial:
    place = (_ns(trade), trade.recv_ns, trade.session, trade.seq)
    return partial(place, Decimal(trade.price_text), Decimal(trade.size_text), trade.excluded)


def _of_mid(quote: Quote) -> Partial | None:
    """The price in the middle, at which nothing was traded; None where a side is empty."""
    if quote.bid_text is None or quote.ask_text is None:
        return None
    both = EXACT.add(Decimal(quote.bid_text), Decimal(quote.ask_text))
    place = (_ns(quote), quote.recv_ns, quote.session, quote.seq)
    return partial(place, EXACT.divide(both, Decimal(2)), Decimal(0), ("volume",))
