"""The bars of a simulated instrument: a past drawn from the seed, then the prints of its engine (floor 4).

Counted in ticks and lots, as the engine counts, so every sum is exact; text is made when it is asked for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, time
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import chain, groupby
from math import exp, sqrt
from random import Random
from zoneinfo import ZoneInfo

from msgspec import Struct

from ..core.dialect import Day
from ..core.events import Bar
from ..core.instruments import INTERVALS, interval_ns
from ..core.times import SECOND
from .listings import Grid, Listing

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
MONDAY = 4 * DAY  #: the first one: intervals are counted from it, so that weeks begin on Mondays
PAST = 7 * DAY  #: how far the past reaches back from the day of the start
KEPT = 2 * 1440  #: minutes with prints that are kept at least: yesterday's bar is always whole
PRINTS = 0.3  #: of an action, on average
FILL = 3.6  #: size of a print in typical orders, on average
POINTS = 4  #: prices of which a minute of the past is made
VWAP = 100  #: parts of a tick to which a mean price is rounded

_SESSION = frozenset({"stock", "option"})  # traded in New York's session; all else around the clock
_kinds = {interval_ns(interval): f"bar.{interval}" for interval in INTERVALS}


class Candle(Struct, gc=False):
    """What was printed in an interval: prices in ticks, volume in lots, turnover in ticks times lots."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    turnover: int = 0
    trades: int = 0

    def add(self, ticks: int, lots: int) -> None:
        """Count one print."""
        if ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks
        self.close = ticks
        self.volume += lots
        self.turnover += ticks * lots
        self.trades += 1


class Chart:
    """All minutes of one listing: its prints are added, its past is drawn as far as it is asked for."""

    def __init__(self, listing: Listing, seed: int, start_ns: int, venue: str, rate: float) -> None:
        self._listing, self._seed, self._start_ns, self._rate = listing, seed, start_ns, rate
        self._name = f"{venue}:{listing.symbol}/"
        self._prices, self._sizes = Grid(listing.price_step), Grid(listing.size_step)
        tick, lot = Decimal(listing.price_step), Decimal(listing.size_step)
        self._turnovers, self._vwaps = Grid(f"{tick * lot:f}"), Grid(f"{tick / VWAP:f}")
        self._start = self._prices.count(listing.price)
        self._drawn: list[Candle] = []  # before the start, latest first
        self._drawing = self._draw()
        self._kept: list[Candle] = []  # since the start, oldest first
        self._minute = _still(start_ns - start_ns % MINUTE, self._start)  # the latest one with prints
        self._ends_ns = start_ns  # the first print begins a minute of its own
        self._before = lru_cache(1)(self._sum_before)

    def add(self, ns: int, ticks: int, lots: int) -> None:
        """Count a print at ``ns``, which is never earlier than the one before."""
        if ns >= self._ends_ns:
            self._minute = _still(ns - ns % MINUTE, ticks)
            self._ends_ns = self._minute.start_ns + MINUTE
            self._kept.append(self._minute)
            if len(self._kept) > 2 * KEPT:
                del self._kept[:KEPT]
        self._minute.add(ticks, lots)

    def bars(self, length_ns: int, start_ns: int, end_ns: int, now_ns: int) -> list[Bar]:
        """The bars that begin from ``start_ns`` to before ``end_ns``, oldest first; none without a print.

        The mean price alone is rounded, to a hundredth of a tick. Raises ValueError unless ``length_ns`` is
        in whole minutes.
        """
        if length_ns <= 0 or length_ns % MINUTE:
            raise ValueError(f"{length_ns} ns are not whole minutes")
        first, end = (ns + (MONDAY - ns) % length_ns for ns in (start_ns, end_ns))
        minutes = groupby(self._between(first, end), lambda m: m.start_ns - (m.start_ns - MONDAY) % length_ns)
        candles = [_merged(begin, list(group)) for begin, group in minutes]
        return [self._bar(candle, length_ns, now_ns) for candle in candles]

    def day(self, now_ns: int) -> Day:
        """The UTC day of ``now_ns``. Costs little but for the first time in a minute."""
        start_ns = now_ns - now_ns % DAY
        previous_close, earlier = self._before(start_ns, self._minute.start_ns)
        parts = [part for part in (earlier, self._minute) if part.trades and part.start_ns >= start_ns]
        day = _merged(start_ns, parts or [earlier])
        price = self._prices.text
        return Day(
            start_ns=start_ns,
            open=price(day.open),
            high=price(day.high),
            low=price(day.low),
            last=price(day.close),
            previous_close=price(previous_close),
            volume=self._sizes.text(day.volume),
            turnover=self._turnovers.text(day.turnover),
        )

    def _sum_before(self, day_ns: int, minute_ns: int) -> tuple[int, Candle]:
        """The last close before a day, and what was printed on that day before a minute."""
        minutes = chain(reversed(self._kept), self._past(day_ns))
        previous_close = next((m.close for m in minutes if m.start_ns < day_ns), self._start)
        today = self._between(day_ns, minute_ns)
        return previous_close, _merged(day_ns, today or [_still(day_ns, previous_close)])

    def _between(self, start_ns: int, end_ns: int) -> list[Candle]:
        """The minutes from ``start_ns`` to before ``end_ns``, oldest first."""
        first, end = (bisect_left(self._kept, ns, key=lambda m: m.start_ns) for ns in (start_ns, end_ns))
        if start_ns >= self._start_ns:
            return self._kept[first:end]
        past = self._past(start_ns)
        newest, oldest = (bisect_right(past, -ns, key=lambda m: -m.start_ns) for ns in (end_ns, start_ns))
        return past[newest:oldest][::-1] + self._kept[first:end]

    def _past(self, ns: int) -> list[Candle]:
        """The minutes before the start, latest first, drawn at least as far as one that is before ``ns``."""
        while not self._drawn or self._drawn[-1].start_ns >= ns:
            if (minute := next(self._drawing, None)) is None:
                break
            self._drawn.append(minute)
        return self._drawn

    def _draw(self) -> Iterator[Candle]:
        """The past, drawn from the seed, latest minute first: its last close is the start price."""
        listing = self._listing
        random = Random(f"{self._seed} {listing.spot or listing.symbol} past")  # of a perpetual its spot's
        mean = listing.rate * self._rate * 60 * PRINTS
        lots = listing.size / float(listing.size_step) * FILL
        away = 0.0
        for minute_ns in _minutes_before(self._start_ns, listing.asset):
            points = []
            for _ in range(POINTS):  # backwards: a walk that is pulled home looks the same both ways
                points.append(max(1, round(self._start * exp(away))))
                away = listing.wander(away, 60 / POINTS, random)
            if (trades := round(random.gauss(mean, sqrt(mean)))) <= 0:
                continue
            del points[trades:]
            volume = trades + int(random.lognormvariate(0.0, 0.5) * trades * lots)
            turnover = sum(points) * volume // len(points)
            high, low = max(points), min(points)
            yield Candle(minute_ns, points[-1], high, low, points[0], volume, turnover, trades)

    def _bar(self, candle: Candle, length_ns: int, now_ns: int) -> Bar:
        price = self._prices.text
        return Bar(
            channel=self._name + _kinds.get(length_ns, f"bar.{length_ns // MINUTE}m"),
            start_ns=candle.start_ns,
            open_text=price(candle.open),
            high_text=price(candle.high),
            low_text=price(candle.low),
            close_text=price(candle.close),
            volume_text=self._sizes.text(candle.volume),
            trades=candle.trades,
            vwap_text=self._vwaps.text(round(Fraction(candle.turnover * VWAP, candle.volume))),
            closed=candle.start_ns + length_ns <= now_ns,
        )


def _still(start_ns: int, ticks: int) -> Candle:
    """A candle at ``ticks`` without a print yet."""
    return Candle(start_ns, ticks, ticks, ticks, ticks)


def _merged(start_ns: int, candles: Sequence[Candle]) -> Candle:
    """One candle of ``candles``, oldest first."""
    return Candle(
        start_ns,
        candles[0].open,
        max([candle.high for candle in candles]),
        min([candle.low for candle in candles]),
        candles[-1].close,
        sum([candle.volume for candle in candles]),
        sum([candle.turnover for candle in candles]),
        sum([candle.trades for candle in candles]),
    )


def _minutes_before(start_ns: int, asset: str) -> Iterator[int]:
    """When the whole minutes of the past begin in which ``asset`` trades, latest first."""
    latest, earliest = start_ns - start_ns % MINUTE - MINUTE, start_ns - start_ns % DAY - PAST
    minutes = iter(range(latest, earliest - 1, -MINUTE))
    return filter(_in_session, minutes) if asset in _SESSION else minutes


def _in_session(ns: int) -> bool:
    """Whether New York's exchanges are open: on weekdays from 09:30 to 16:00. Holidays are not known here."""
    local = datetime.fromtimestamp(ns // SECOND, ZoneInfo("America/New_York"))
    return local.weekday() < 5 and time(9, 30) <= local.time() < time(16)
