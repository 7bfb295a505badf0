"""What Alpaca's endpoints offer, and the market in the vendor's words (floor 2)."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec import json, msgpack
from msgspec.structs import replace

from ...adapters.alpaca.wire import (
    Article,
    Band,
    Cancel,
    Correction,
    Halt,
    Imbalance,
    WireBar,
    WireBook,
    WireLevel,
    WireQuote,
    WireTrade,
)
from ...core.decimals import Level
from ...core.dialect import Source
from ...core.events import Bar, Trade
from ...core.instruments import Instrument
from ...core.stamps import Stamp, extension, rfc3339
from ...core.times import SECOND

MINUTE = 60 * SECOND
FIRST_ID = 3_447_222_699_101_865_076  #: ids of crypto trades do not fit a float
CORRECTED = 1_000_000_000  #: from the id of a trade to that of its correction
BARS = ("bars", "updatedBars", "dailyBars")
_TAPES = {"F": "A", "FAKEPACA": "A", "SPY": "B"}  # the rest are listed at Nasdaq
_EXCHANGES = "DKNPQVZ"
_CENT = Decimal("0.01")

Request = dict[str, str | list[str] | None]


class Desk(NamedTuple):
    """What an endpoint offers: its channels, how its symbols look, and what it has."""

    streams: tuple[str, ...]
    symbol: re.Pattern[str]
    has: Callable[[Instrument], bool]
    capped: Sequence[str] = ("trades", "quotes")  #: the channels whose symbols are counted


STOCKS = Desk(
    ("trades", "quotes", *BARS, "statuses", "lulds", "imbalances"),
    re.compile(r"[A-Z][A-Z.]{0,9}"),
    lambda i: i.asset == "stock" and i.symbol != "FAKEPACA",
)
TEST = STOCKS._replace(has=lambda i: i.symbol == "FAKEPACA")
CRYPTO = Desk(
    ("trades", "quotes", "orderbooks", *BARS),
    re.compile(r"[A-Z0-9]{2,10}/[A-Z]{3,5}"),
    lambda i: i.asset == "crypto",
)
OPTIONS = Desk(
    ("trades", "quotes"), re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}"), lambda i: i.asset == "option", ("quotes",)
)
NEWSROOM = Desk(("news",), re.compile(r"[A-Z.]{1,12}"), lambda i: STOCKS.has(i) or CRYPTO.has(i), ())


class Wire(NamedTuple):
    """An encoding, chosen by the client's ``Content-Type``."""

    binary: bool
    encode: Callable[[object], bytes]
    request: Callable[[bytes], Request]
    stamp: Callable[[int], Stamp]


def _as_in_go(message: object) -> bytes:
    text = json.encode(message)
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


JSON = Wire(False, _as_in_go, json.Decoder(Request).decode, rfc3339)
MSGPACK = Wire(True, msgpack.encode, msgpack.Decoder(Request).decode, extension)


class Items:
    """Makes the items of an endpoint's frames. With ``lots`` sizes of stock quotes are in round lots."""

    def __init__(self, source: Source, desk: Desk, wire: Wire, *, iex: bool, lots: bool) -> None:
        self._source, self._desk, self._wire = source, desk, wire
        self._iex, self._lots = iex, lots
        self._stocks = desk in (STOCKS, TEST)

    def native(self, symbol: str) -> str:
        """The vendor's spelling."""
        return symbol.replace("-", "" if self._desk is NEWSROOM else "/")

    def trade(self, trade: Trade) -> WireTrade:
        """A print. Stocks tell odd lots, crypto the taker's side."""
        item = WireTrade(
            S=self.native(trade.symbol),
            p=number(trade.price_text),
            s=number(trade.size_text),
            t=self._wire.stamp(trade.venue_ns or 0),
        )
        n = trade.number or 0
        if self._desk is CRYPTO:
            return replace(item, i=FIRST_ID + n, tks="B" if trade.side == "buy" else "S")
        if self._desk is OPTIONS:
            return replace(item, x=self._exchange(n), c="I")
        codes = ["@"] if trade.size >= round_lot(trade.price) else ["@", "I"]
        return replace(item, i=n, x=self._exchange(n), c=codes, z=tape(item.S))

    def correction(self, trade: Trade, ns: int) -> Correction:
        """The price of a stock trade was a cent too low."""
        old = self.trade(trade)
        codes = list(old.c or ())
        return Correction(
            S=old.S,
            x=old.x,
            oi=old.i or 0,
            op=old.p,
            os=old.s,
            oc=codes,
            ci=(old.i or 0) + CORRECTED,
            cp=number(str(Decimal(trade.price_text) + _CENT)),
            cs=old.s,
            cc=codes,
            t=self._wire.stamp(ns),
            z=old.z,
        )

    def cancel(self, trade: Trade, ns: int) -> Cancel:
        """A stock trade never was."""
        old = self.trade(trade)
        return Cancel(S=old.S, i=old.i or 0, x=old.x, p=old.p, s=old.s, t=self._wire.stamp(ns), z=old.z)

    def quote(self, symbol: str, ns: int, bid: Level | None, ask: Level | None) -> WireQuote:
        """The best bid and offer; 0 where there is none."""
        (bid_price, bid_size), (ask_price, ask_size) = bid or ("0", "0"), ask or ("0", "0")
        item = WireQuote(
            S=self.native(symbol),
            bp=number(bid_price),
            bs=self._quoted(bid_price, bid_size),
            ap=number(ask_price),
            ask_size=self._quoted(ask_price, ask_size),
            t=self._wire.stamp(ns),
        )
        if self._desk is CRYPTO:
            return item
        where = {"bx": self._exchange(ns // SECOND), "ax": self._exchange(ns // SECOND + 1)}
        more = {"c": "A"} if self._desk is OPTIONS else {"c": ["R"], "z": tape(symbol)}
        return replace(item, **where, **more)

    def bars(self, kind: type[WireBar], symbol: str, start_ns: int, length_ns: int = MINUTE) -> list[WireBar]:
        """The bar that begins at ``start_ns``; without a print a crypto bar is the middle of the book."""
        found = self._source.bars(symbol, length_ns, start_ns, start_ns + 1)
        if found or self._desk is not CRYPTO:
            return [self.bar(kind, bar) for bar in found]
        book = self._source.book(symbol)
        bid, ask = (book.bids.best(), book.asks.best()) if book else (None, None)
        if bid is None or ask is None:
            return []
        middle = number(str((Decimal(bid[0]) + Decimal(ask[0])) / 2))
        stamp = self._wire.stamp(start_ns)
        return [kind(self.native(symbol), o=middle, h=middle, l=middle, c=middle, v=0, t=stamp, n=0, vw=0)]

    def bar(self, kind: type[WireBar], bar: Bar) -> WireBar:
        return kind(
            self.native(bar.symbol),
            o=number(bar.open_text),
            h=number(bar.high_text),
            l=number(bar.low_text),
            c=number(bar.close_text),
            v=number(bar.volume_text),
            t=self._wire.stamp(bar.start_ns),
            n=bar.trades,
            vw=number(bar.vwap_text or "0"),
        )

    def without_last(self, bar: WireBar, symbol: str, start_ns: int) -> WireBar:
        """``bar`` before its last print, if it has others, was reported: late, so not in its prices."""
        prints = self._source.trades_between(symbol, start_ns, start_ns + MINUTE)
        if len(prints) < 2 or bar.n is None:
            return bar
        volume = Decimal(str(bar.v)) - Decimal(prints[-1].size_text)
        return replace(bar, v=number(str(volume)), n=bar.n - 1)

    def book(self, symbol: str, ns: int, bids: Sequence[Level], asks: Sequence[Level]) -> WireBook:
        """Levels that changed, or all of them."""
        bid, ask = ([WireLevel(number(p), number(size)) for p, size in side] for side in (bids, asks))
        return WireBook(self.native(symbol), self._wire.stamp(ns), bid, ask)

    def whole(self, symbol: str, ns: int) -> WireBook:
        """The book of now, to begin with."""
        book = self._source.book(symbol)
        bids, asks = ([], []) if book is None else (side.top(len(side)) for side in (book.bids, book.asks))
        return replace(self.book(symbol, ns, bids, asks), r=True)

    def halt(self, symbol: str, ns: int, *, halted: bool) -> Halt:
        """The begin or the end of a halt of the whole market."""
        own, stamp = tape(symbol), self._wire.stamp(ns)
        if halted:
            why = "Market Wide Circuit Breaker Halt - Level 1"
            return Halt(symbol, "H" if own == "C" else "2", stamp, "Trading Halt", "MWC1", why, own)
        why = "Market Wide Circuit Breaker Resumption"
        return Halt(symbol, "T" if own == "C" else "3", stamp, "Trading Resumption", "MWCQ", why, own)

    def band(self, symbol: str, ns: int) -> Band:
        """Five per cent around the last price."""
        last = Decimal(self._last(symbol))
        up, down = (number(str((last * Decimal(f)).quantize(_CENT))) for f in ("1.05", "0.95"))
        return Band(symbol, up, down, self._wire.stamp(ns), "B", tape(symbol))

    def imbalance(self, symbol: str, ns: int) -> Imbalance:
        return Imbalance(symbol, number(self._last(symbol)), self._wire.stamp(ns), tape(symbol))

    def article(self, of: Instrument, n: int, ns: int, updated_ns: int) -> Article:
        """The ``n``-th article."""
        headline = f"{of.name} Trades At {self._last(of.symbol)}"
        return Article(
            id=n,
            headline=headline,
            created_at=self._wire.stamp(ns),
            updated_at=self._wire.stamp(updated_ns),
            summary=f"The last price of {of.name} is {self._last(of.symbol)}.",
            author="Market Newsdesk",
            url=f"https://news.example/{n}",
            content=f"<p>{headline}</p>",
            symbols=[self.native(of.symbol)],
            source="newsdesk",
        )

    def _last(self, symbol: str) -> str:
        day = self._source.day(symbol)
        return day.last if day else "0"

    def _exchange(self, n: int) -> str:
        """IEX on its own feed, else one or another."""
        return "V" if self._iex else _EXCHANGES[n % len(_EXCHANGES)]

    def _quoted(self, price: str, size: str) -> int | float:
        if not self._stocks or not self._lots or not float(size):
            return number(size)
        return max(1, int(float(size)) // round_lot(float(price)))


def number(text: str) -> int | float:
    """As the vendor writes it: an int where it is one. Its clients take no float for the size of a stock."""
    value = float(text)
    return int(value) if value.is_integer() else value


def round_lot(price: float) -> int:
    """Shares of a round lot, which depend on the price: https://www.law.cornell.edu/cfr/text/17/242.600."""
    return next((lot for most, lot in ((250, 100), (1_000, 40), (10_000, 10)) if price <= most), 1)


def tape(symbol: str) -> str:
    return _TAPES.get(symbol, "C")
