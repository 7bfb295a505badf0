"""What people ask a tape for: events, bars, the book at a time (floor 3).

Times are those of the market: the venue's where it gave one, else when it was received; of bars it is their
start. A book is the one that had been received by then.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from .. import clock
from ..core.bars import Grid
from ..core.consolidated import BEST
from ..core.decimals import nearest
from ..core.errors import ConfigError
from ..core.events import BookUpdate, Origin, Trust
from ..core.instruments import INTERVALS, Channel, interval_ns, split_source, unified
from ..core.times import iso, ns_of
from . import columns, moments, ticks
from .ledger import counts
from .result import Result
from .scan import ORDER, Tape, Wanted, ints, market_times
from .series import duration_ns
from .told import Amended, amendments, beginning, named, snapshot_until, told_bars, updates

Moment = int | str | date | None  #: a datetime is a date
#: When the days of the market of a venue's symbol begin, ns UTC, ascending; where they are UTC's, none.
DaysOf = Callable[[str, str], Sequence[int]]

_TABLES = {
    **{"trade": "trades", "quote": "quotes", "book": "books", "summary": "summaries", "mark": "marks"},
    **{"auction": "auctions", "luld": "lulds", "news": "news", "status": "status"},
}
SIDES = ("trade", "mid", "bid", "ask")  #: what bars can be made of
_TIMES = (*ORDER, "ts")
_TRADED = (*named("price"), *named("size"), "excluded")
_QUOTED = (*named("bid"), *named("ask"))
_WIDER = (1, 4, 16, 64)  #: how many times longer than full bars take the last ones are looked for


class Span(NamedTuple):
    """From ``start_ns`` until before ``end_ns``; None is without end."""

    start_ns: int | None = None
    end_ns: int | None = None

    @classmethod
    def of(cls, start: Moment, end: Moment, now_ns: int) -> "Span":
        """Raises ConfigError for what is no time, or the wrong way round."""
        span = cls(moment_ns(start, now_ns), moment_ns(end, now_ns))
        if span.start_ns is not None and span.end_ns is not None and span.start_ns >= span.end_ns:
            raise ConfigError(f"{start} is not before {end}")
        return span


def utc_days(venue: str, symbol: str) -> Sequence[int]:
    """The days of UTC, for any market."""
    return ()


class Wish(NamedTuple):
    """Which bars: of ``interval``, ``of`` a trade, mid, bid or ask, the ``last`` so many, by these days.

    What is empty is chosen: bars that were recorded, unless they have to be ``made``; else those of trades,
    else of the mids of quotes.
    """

    interval: str = ""
    of: str = ""
    last: int | None = None
    days_of: DaysOf = utc_days
    made: bool = False


@lru_cache
def days_at(clock_time: str, zone: str) -> DaysOf:
    """Days that begin at ``clock_time``, such as ``17:00``, in ``zone``; to 2059. Raises ConfigError."""
    try:
        begin, where = time.fromisoformat(clock_time), moments.zone_of(zone)
    except ValueError as error:
        raise ConfigError(f"{clock_time!r} is no time of a day", example="17:00") from error
    days = map(date.fromordinal, range(date(1990, 1, 1).toordinal(), date(2060, 1, 1).toordinal()))
    starts = tuple([ns_of(datetime.combine(day, begin, where)) for day in days])
    return lambda venue, symbol: starts


def moment_ns(moment: Moment, now_ns: int) -> int | None:
    """``moment`` in ns. It is ns; a datetime or a date, UTC without a zone; such text; or ``-1h``, from now.

    Raises ConfigError.
    """
    match moment:
        case None | int():
            return moment
        case datetime():
            whole = ns_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            return whole + int(getattr(moment, "nanosecond", 0))  # a pandas one has them
        case date():
            return ns_of(datetime.combine(moment, time(), UTC))
    if moment.startswith("-"):
        return now_ns - duration_ns(moment[1:])
    try:
        return moments.moment(moment, UTC)
    except ValueError as error:
        raise ConfigError(f"{moment!r} is not a time", example="2026-11-21T09:30:00Z, or -1h") from error


def history(
    tape: Tape, name: str, span: Span, last: int | None = None, names: Sequence[str] | None = None
) -> Result:
    """The events of the channel ``name`` in ``span``, or the ``last`` of them, in the order of the tape.

    ``names`` are columns; without them all come. Raises ConfigError for a channel that is not on the tape.
    """
    _check_last(last)
    channel = _spelt(tape, Channel.parse(name))
    table = table_of(channel)
    stored = None if names is None else tuple(columns.stored(table, names))
    wanted = Wanted(table, channel, *span, names=stored)
    rows = tape.ordered(wanted) if last is None else tape.last(wanted, last)
    if not rows.num_rows:
        check(tape, channel)
    return Result(rows, table, names)


def bars(tape: Tape, name: str, wish: Wish, span: Span) -> Result:
    """The bars of a channel, or of a symbol, that begin in ``span``, by time.

    Raises ConfigError for what is not on the tape, or cannot be made.
    """
    _check_last(wish.last)
    venue, symbol, kind = split_source(name)
    interval = wish.interval or kind.partition("bar.")[2] or "1m"
    if kind not in ("", "trade", "quote", f"bar.{interval}"):
        raise ConfigError(f"no bars of {interval} are made of {kind}", where=name, allowed=["trade", "quote"])
    if wish.of not in ("", *SIDES):
        raise ConfigError(f"{wish.of!r} is no price", where=name, allowed=list(SIDES))
    channel = _spelt(tape, Channel(venue, symbol, f"bar.{interval}"))
    grid = Grid(_length_ns(interval), wish.days_of(venue, symbol))
    made: _Told | _Made = _Told(tape, channel)
    if wish.made or wish.of or kind not in ("", channel.kind) or not is_known(tape, channel):
        made = _Made(tape, *_source(tape, channel, kind, wish.of), channel, grid)
    rows = made(span) if wish.last is None else _last(tape, made, span, wish.last, grid.interval_ns)
    if not rows.num_rows:
        check(tape, made.source)
    return Result(rows, "bars")


def book_at(tape: Tape, name: str, ns: int) -> BookUpdate:
    """The last update of a book that was received until ``ns``, with the book after it.

    Raises ConfigError where there is none.
    """
    channel = _spelt(tape, Channel.parse(name))
    if channel.kind != "book":
        raise ConfigError(
            f"{channel.kind!r} is no book", where=name, example=str(channel._replace(kind="book"))
        )
    since = snapshot_until(tape, channel, ns)
    if since is None:
        check(tape, channel)
        raise ConfigError(f"no book had been received by {iso(ns)}", where=str(channel))
    [last] = deque(updates(tape, channel, since, ns + 1), maxlen=1)
    return last


def table_of(channel: Channel) -> str:
    """The table that has the events of ``channel``."""
    if channel.kind.startswith("bar."):
        return "bars"
    return "best_quotes" if (channel.venue, channel.kind) == (BEST, "quote") else _TABLES[channel.kind]


def is_known(tape: Tape, channel: Channel) -> bool:
    """Whether the tape has anything of ``channel``."""
    wanted = Wanted(table_of(channel), channel, names=("recv",))
    return any(rows.num_rows for rows in tape.scan(wanted))


def check(tape: Tape, channel: Channel) -> None:
    """Raises ConfigError, which names what there is, where the tape has nothing of ``channel``."""
    if not is_known(tape, channel):
        known = counts(tape)
        problem = f"{str(channel)!r} is not on this tape"
        raise ConfigError(
            problem, where=str(tape.directory), allowed=nearest(str(channel), known, 5) or sorted(known)[:5]
        )


def _check_last(last: int | None) -> None:
    if last is not None and last < 1:
        raise ConfigError(f"the last {last} cannot be had", example="last=1000")


def _spelt(tape: Tape, channel: Channel) -> Channel:
    """With our spelling of the symbol, unless the tape has it as it was written."""
    ours = channel._replace(symbol=unified(channel.symbol))
    return channel if ours == channel or is_known(tape, channel) else ours


# Bars


class _Told(NamedTuple):
    """Bars as they were recorded."""

    tape: Tape
    source: Channel

    def __call__(self, span: Span) -> pa.Table:
        return told_bars(self.tape, self.source, *span)


class _Made(NamedTuple):
    """Bars of ``channel``, made of the prints of ``source``."""

    tape: Tape
    source: Channel
    side: str
    channel: Channel
    grid: Grid

    def __call__(self, span: Span) -> pa.Table:
        end_ns = span.end_ns and self.grid.end(self.grid.start(span.end_ns - 1))
        wanted = Wanted(table_of(self.source), self.source, span.start_ns, end_ns)
        changes: dict[str, Amended] = {}
        if self.side == "trade":
            changes = amendments(self.tape, self.source)
            names = (*_TIMES, *_TRADED, "id") if changes else (*_TIMES, *_TRADED)
            prints = ticks.Prints.of_trades(self.tape.ordered(wanted._replace(names=names)))
        else:
            rows = self.tape.ordered(wanted._replace(names=(*_TIMES, *_QUOTED)))
            prints = ticks.Prints.of_quotes(rows, self.side)
        return self._whole(beginning(ticks.bars(prints, changes, self.grid), *span))

    def _whole(self, made: pa.Table) -> pa.Table:
        """With all columns of the table ``bars``."""
        starts, now_ns = ints(made["start"]), clock.now_ns()
        closed = starts + 2 * self.grid.interval_ns <= now_ns  # of the others the end is looked up
        closed[~closed] = [self.grid.end(start_ns) <= now_ns for start_ns in starts[~closed].tolist()]
        constant = {"session": 0, "seq": 0, "revision": 0, "venue": self.channel.venue}
        constant |= {"symbol": self.channel.symbol, "interval": self.channel.kind.removeprefix("bar.")}
        constant |= {"trust": Trust.LIVE.value, "origin": Origin.REPLAYED.value}
        fields = columns.schema("bars")
        parts = {name: pa.repeat(value, made.num_rows) for name, value in constant.items()}
        parts |= {"closed": pa.array(closed)}
        parts |= {name: made[name] for name in made.column_names}
        arrays = [parts.get(field.name, pa.nulls(made.num_rows)).cast(field.type) for field in fields]
        return pa.table(arrays, schema=fields)


def _source(tape: Tape, channel: Channel, kind: str, of: str) -> tuple[Channel, str]:
    """What bars are made of, and of which of SIDES."""
    trades, quotes = channel._replace(kind="trade"), channel._replace(kind="quote")
    if of == "trade" or kind == "trade":
        return trades, "trade"
    if of or kind == "quote" or (not is_known(tape, trades) and is_known(tape, quotes)):
        return quotes, of or "mid"
    return trades, "trade"


def _length_ns(interval: str) -> int:
    return interval_ns(f"bar.{interval}") if interval in INTERVALS else duration_ns(interval)


def _last(tape: Tape, made: _Told | _Made, span: Span, n: int, length_ns: int) -> pa.Table:
    """The last ``n`` bars. Where the market sleeps they are in a longer time than they take."""
    source = made.source
    wanted = Wanted(table_of(source), source, end_ns=span.end_ns, names=("recv", "ts"))
    newest = market_times(tape.last(wanted, 1)).tolist()
    for wider in _WIDER if newest else ():
        since_ns = newest[0] - n * length_ns * wider
        if span.start_ns is not None and since_ns <= span.start_ns:
            break
        rows = made(Span(since_ns, span.end_ns))
        if rows.num_rows >= n:
            return rows.slice(rows.num_rows - n)
    rows = made(span)
    return rows.slice(max(rows.num_rows - n, 0))
