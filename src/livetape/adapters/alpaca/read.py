"""Alpaca's items as events, and its assets as instruments (floor 2)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...core.conditions import excluded
from ...core.decimals import Level, checked, checked_levels
from ...core.events import Amendment, Auction, Bar, BookUpdate, Luld, Message, News, Quote, Status, Trade
from ...core.instruments import Instrument, unified
from ...core.memo import Memo
from ...core.stamps import ns_of_stamp
from .wire import (
    Article,
    Asset,
    Band,
    Cancel,
    Correction,
    DailyBar,
    Halt,
    Imbalance,
    Number,
    Page,
    UpdatedBar,
    WireBar,
    WireBook,
    WireLevel,
    WireQuote,
    WireTrade,
)

#: What a trading status means, by its code: tapes A and B, then tape C.
_STATES = {
    **{"2": "halted", "3": "resumed"},
    **{"H": "halted", "P": "halted", "Q": "quoting", "T": "resumed"},
}
_SIDES = {"B": "buy", "S": "sell"}  # of the taker
_VOID = frozenset({"canceled", "incorrect"})  # what became of a trade
_STEPS = {"us_equity": ("stock", "0.01", "1"), "crypto": ("crypto", "0.01", "0.00000001")}


def _channels(kind: str) -> Memo[str, str]:
    """The channels of ``kind`` by the vendor's symbol."""
    return Memo(lambda native: f"alpaca:{unified(native)}/{kind}")


def _exclusions(tape: str) -> Memo[tuple[str, ...], tuple[str, ...]]:
    """What trades must not set, by their conditions; only stocks are on a ``tape``."""
    return Memo(lambda conditions: excluded(conditions, tape) if tape else ())


#: By type, since 1, 1.0 and True are equal; so are 0.0 and -0.0.
_TEXTS: dict[type, Memo[Number, str]] = {
    str: Memo(checked),
    int: Memo(lambda number: checked(str(number))),
    float: Memo(lambda number: checked(str(number + 0.0))),
}
#: Likewise; none where the price is 0: nobody is there.
_OFFERS: dict[type, Memo[Number, str | None]] = {
    type_: Memo(lambda number: _text(number) if _text(number).strip("0.") else None) for type_ in _TEXTS
}
_CHANNELS = Memo(_channels)
_TRADE, _QUOTE = _CHANNELS["trade"], _CHANNELS["quote"]
_EXCLUDED = Memo(_exclusions)


def _text(number: Number) -> str:
    return _TEXTS[type(number)][number]


def _id(exchange: str, number: int | None) -> str | None:
    """A number is unique on its exchange only [doc]."""
    return None if number is None else f"{exchange}-{number}" if exchange else str(number)


def _trade(item: WireTrade) -> Trade:
    price, size, conditions = item.p, item.s, item.c or ()
    if isinstance(conditions, str):
        conditions = (conditions,)
    return Trade(
        _TRADE[item.S],
        ns_of_stamp(item.t),
        _TEXTS[type(price)][price],
        _TEXTS[type(size)][size],
        _SIDES.get(item.tks),
        _id(item.x, item.i),
        None,
        conditions,
        _EXCLUDED[item.z][conditions],
    )


def _amendment(item: Correction | Cancel) -> Amendment:
    name, venue_ns = _CHANNELS["trade"][item.S], ns_of_stamp(item.t)
    if isinstance(item, Cancel):
        return Amendment(name, venue_ns, _id(item.x, item.i) or "", _text(item.p), _text(item.s))
    old = _id(item.x, item.oi) or "", _text(item.op), _text(item.os)
    return Amendment(name, venue_ns, *old, _text(item.cp), _text(item.cs), _id(item.x, item.ci))


def _quote(item: WireQuote) -> Quote:
    bid, bid_size, ask, ask_size = item.bp, item.bs, item.ap, item.ask_size
    bid, ask = _OFFERS[type(bid)][bid], _OFFERS[type(ask)][ask]
    bid_size, ask_size = _TEXTS[type(bid_size)][bid_size], _TEXTS[type(ask_size)][ask_size]
    name, venue_ns = _QUOTE[item.S], ns_of_stamp(item.t)
    return Quote(name, venue_ns, bid, bid_size if bid else None, ask, ask_size if ask else None)


def book(item: WireBook) -> BookUpdate:
    name, venue_ns = _CHANNELS["book"][item.S], ns_of_stamp(item.t)
    return BookUpdate(name, venue_ns, item.r, _levels(item.b), _levels(item.a))


def _levels(levels: list[WireLevel] | None) -> list[Level]:
    return checked_levels([(str(level.p), str(level.s)) for level in levels or ()])


def _bar(item: WireBar) -> Bar:
    return _bar_of(_CHANNELS["bar.1d" if isinstance(item, DailyBar) else "bar.1m"][item.S], item)


def _bar_of(channel: str, item: WireBar) -> Bar:
    return Bar(
        channel=channel,
        start_ns=ns_of_stamp(item.t),
        open_text=_text(item.o),
        high_text=_text(item.h),
        low_text=_text(item.l),
        close_text=_text(item.c),
        volume_text=_text(item.v),
        trades=item.n,
        vwap_text=None if item.vw is None else _text(item.vw),
        closed=not channel.endswith("/bar.1d"),  # that is the day so far
    )


def _luld(item: Band) -> Luld:
    return Luld(_CHANNELS["luld"][item.S], ns_of_stamp(item.t), _text(item.u), _text(item.d), item.i)


def _status(item: Halt) -> Status:
    words = ": ".join(each for each in (item.sm, item.rm) if each)
    detail = f"{words} ({item.rc})" if item.rc else words
    return Status(_CHANNELS["status"][item.S], _STATES.get(item.sc, "notice"), detail, ns_of_stamp(item.t))


def _auction(item: Imbalance) -> Auction:
    name, venue_ns = _CHANNELS["auction"][item.S], ns_of_stamp(item.t)
    return Auction(name, venue_ns, "imbalance", price_text=_text(item.p))


def news(item: Article) -> Iterator[Message]:
    """The article, once for each symbol it is about."""
    created_ns, updated_ns = ns_of_stamp(item.created_at), ns_of_stamp(item.updated_at)
    symbols = tuple(map(unified, item.symbols or ()))
    for symbol in symbols:
        yield News(
            *(f"alpaca:{symbol}/news", created_ns, str(item.id), item.headline, item.source),
            *(item.url or "", item.summary, symbols, updated_ns),
        )


def past(channel: str, native: str, page: Page) -> Iterator[Trade | Quote | Bar]:
    """What ``page`` tells of ``channel``; trades that were taken back or corrected since are left out."""
    for trade in (page.trades or {}).get(native, ()):
        trade.S = native
        if trade.u not in _VOID:
            yield _trade(trade)
    for quote in (page.quotes or {}).get(native, ()):
        quote.S = native
        yield _quote(quote)
    for bar in (page.bars or {}).get(native, ()):
        yield _bar_of(channel, bar)


#: How each item that is an event is read.
EVENTS: dict[type, Callable[[Any], Message]] = {
    **{WireTrade: _trade, WireQuote: _quote, WireBook: book, Correction: _amendment, Cancel: _amendment},
    **{WireBar: _bar, UpdatedBar: _bar, DailyBar: _bar, Band: _luld, Halt: _status, Imbalance: _auction},
}


def instruments(assets: Iterable[Asset]) -> list[Instrument]:
    """Those of ``assets`` whose prices and sizes have a known step."""
    return [_instrument(asset) for asset in assets if asset.kind in _STEPS]


def _instrument(asset: Asset) -> Instrument:
    kind, price_step, size_step = _STEPS[asset.kind]
    return Instrument(
        symbol=unified(asset.symbol),
        native=asset.symbol,
        price_step=asset.price_increment or price_step,
        size_step=asset.min_trade_increment or size_step,
        name=asset.name or "",
        asset=kind,
    )
