"""iTick's data as events (floor 2)."""

from collections.abc import Sequence
from decimal import Context, Decimal

from msgspec import Raw

from ...core.decimals import Level, checked, checked_levels
from ...core.events import Bar, BookUpdate, Status, Summary, Trade
from ...core.times import ns_of_ms
from .wire import Candle, Depth, Quote, Tick, WireLevel

_minus = Context(prec=100).subtract  # exact: no number is as long
_NORMAL = 0
_STATES = {
    _NORMAL: ("resumed", "normal"),
    1: ("halted", "suspended"),
    2: ("delisted", "delisted"),
    3: ("halted", "circuit breaker"),
}


def trade(symbol: str, tick: Tick) -> Trade:
    """A trade whose tick has its own volume."""
    return Trade(f"itick:{symbol}/trade", ns_of_ms(tick.t), _text(tick.ld), _text(tick.v), None, None)


def trade_of_day(symbol: str, tick: Tick, before: Decimal | None) -> tuple[Trade, Decimal]:
    """A trade whose tick has the day's volume so far, and that volume; ``before`` is that of the last one."""
    name, venue_ns = f"itick:{symbol}/trade", ns_of_ms(tick.t)
    price, volume = _text(tick.ld), Decimal(_text(tick.v))
    if before is None or before > volume:  # the first, or another day's: of unknown size
        return Trade(name, venue_ns, price, "0", None, None, excluded=("volume",)), volume
    return Trade(name, venue_ns, price, f"{_minus(volume, before):f}", None, None), volume


def summary(symbol: str, quote: Quote) -> Summary:
    name, venue_ns = f"itick:{symbol}/summary", ns_of_ms(quote.t)
    opened, high, low, last, volume, turnover = map(
        _text, (quote.o, quote.h, quote.l, quote.ld, quote.v, quote.tu)
    )
    return Summary(name, venue_ns, opened, high, low, last, volume_text=volume, turnover_text=turnover)


def status(symbol: str, quote: Quote, before: int | None) -> Status:
    """The trading state; ``before`` is the one told last, None where none was."""
    state, words = _STATES.get(quote.ts, ("notice", str(quote.ts)))
    if before is None and quote.ts == _NORMAL:
        state = "trading"
    return Status(f"itick:{symbol}/status", state, words, ns_of_ms(quote.t))


def book(symbol: str, depth: Depth) -> BookUpdate:
    return BookUpdate(f"itick:{symbol}/book", None, True, _levels(depth.b), _levels(depth.a))


def bar(symbol: str, kind: str, candle: Candle) -> Bar:
    # t is where the bar begins: every example is on a whole minute [unverified]
    opened, high, low, close, volume = map(_text, (candle.o, candle.h, candle.l, candle.c, candle.v))
    return Bar(f"itick:{symbol}/{kind}", ns_of_ms(candle.t), opened, high, low, close, volume)


def _levels(wire: Sequence[WireLevel]) -> list[Level]:
    return checked_levels([(str(level.p, "ascii"), str(level.v, "ascii")) for level in wire])


def _text(number: Raw) -> str:
    return checked(str(number, "ascii"))
