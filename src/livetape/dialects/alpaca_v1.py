"""Alpaca's first data stream in the server role. Source: as the adapter's.

The streams of an account are listened to like any other, and nothing comes on them.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import ClassVar

from msgspec import MsgspecError, Raw, json

from ..adapters.alpaca_v1 import AGAIN, ELSEWHERE, Data, Minute, Offer, Print, Reply, Request, Wish, Word
from ..core.book import Book
from ..core.dialect import Action, Call, Dialect, House, Pushed, Source
from ..core.events import Bar, Trade
from ..core.times import MILLISECOND, SECOND

MINUTE = 60 * SECOND
ROUND_LOT = 100  #: shares
TOO_MANY = "your subscription exceeds the limit of symbols"
_ACCOUNT = ("trade_updates", "account_updates")
_encode = json.Encoder().encode
_request = json.Decoder(Request)

Best = tuple[str, str, str, str]  #: price and lots of the best bid, then of the best ask; "0" where empty


class AlpacaV1Dialect(Dialect):
    """Trades, quotes and minute bars of stocks, after a login."""

    venue = "alpaca"
    path = re.compile(r"/stream/?")
    ping_s = 30.0
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "connections": ("any", "one"),  # of an account; alpaca-trade-api dials several times after a drop
        "cap": ("30", "N"),  # trades and quotes together
        "listen": ("adds", "replaces"),
        "unknown": ("omitted", "listed"),  # streams that do not exist, in the list that answers
    }

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self.key = ""  #: of whom this is, once logged in
        self._symbols = {i.symbol for i in source.instruments() if i.asset == "stock"}
        self._streams: dict[str, None] = {}  # listened to, in the order of asking
        self._best: dict[str, Best] = {}
        self._minute = 0  # the present one

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        self._minute = now_ns // MINUTE
        return []

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return []  # what the vendor answers is not known
        match request.action:
            case "authenticate":
                return [self._authenticate(request.data)]
            case "listen" | "unlisten" if not self.key:
                return [_said("authorization", Word(request.action, "unauthorized"))]
            case "listen" | "unlisten":
                streams = [name.removeprefix("alpacadatav1/") for name in request.data.streams or ()]
                return [self._listen(streams) if request.action == "listen" else self._unlisten(streams)]
        return []

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        out: list[Pushed] = []
        if action.ns // MINUTE > self._minute:
            out += self._minutes(self._minute * MINUTE, action.ns // MINUTE * MINUTE)
            self._minute = action.ns // MINUTE
        symbol = action.symbol
        if f"T.{symbol}" in self._streams:
            for i, trade in enumerate(action.trades):
                frame = memo.get(f"v1 {i}") or memo.setdefault(f"v1 {i}", _print(trade))
                out.append(Pushed(frame, (f"alpaca:{symbol}/trade",)))
        if f"Q.{symbol}" in self._streams and (best := self._top(symbol)) != self._best.get(symbol):
            self._best[symbol] = best
            out.append(Pushed(_offer(symbol, best, action.ns), (f"alpaca:{symbol}/quote",)))
        return out

    def _authenticate(self, wish: Wish) -> Pushed:
        if self.key:
            return _said("listening", Word(error=AGAIN))
        key = wish.key_id or wish.oauth_token
        if not self.house.admits(key, wish.secret_key):
            return _said("authorization", Word("authenticate", "unauthorized"))
        mine = [m for m in self.house.members if isinstance(m, AlpacaV1Dialect) and m.key == key]
        if mine and self.switch("connections") == "one":
            return _said("listening", Word(error=ELSEWHERE))
        self.key = key
        return _said("authorization", Word("authenticate", "authorized"))

    def _listen(self, streams: list[str]) -> Pushed:
        """Add ``streams``; an account's streams replace what there was [doc]."""
        replaces = self.switch("listen") == "replaces" or any(name in _ACCOUNT for name in streams)
        known = [name for name in streams if self._exists(name)]
        wanted = dict.fromkeys([*(() if replaces else self._streams), *known])
        if sum(name[:2] in ("T.", "Q.") for name in wanted) > int(self.switch("cap")):
            return _said("listening", Word(error=TOO_MANY))  # [unverified]
        for name in known:
            if name.startswith("Q.") and name not in self._streams:
                self._best[name[2:]] = self._top(name[2:])  # only what changes is told
        self._streams = wanted
        return self._listening()

    def _unlisten(self, streams: list[str]) -> Pushed:
        self._streams = {name: None for name in self._streams if name not in streams}
        return self._listening()

    def _listening(self) -> Pushed:
        return _said("listening", Word(streams=list(self._streams)))

    def _exists(self, name: str) -> bool:
        kind, _, symbol = name.partition(".")
        if name in _ACCOUNT or name == "AM.*":
            return True
        return kind in ("T", "Q", "AM") and (
            symbol in self._symbols or (self.switch("unknown") == "listed" and symbol not in ("", "*"))
        )

    def _top(self, symbol: str) -> Best:
        book = self.source.book(symbol) or Book()
        bid, ask = book.bids.best() or ("0", "0"), book.asks.best() or ("0", "0")
        return bid[0], _lots(bid[1]), ask[0], _lots(ask[1])

    def _minutes(self, start_ns: int, end_ns: int) -> Iterator[Pushed]:
        """The bars that have ended since the last ones were sent."""
        for symbol in sorted(self._symbols):
            if not self._streams.keys() & {f"AM.{symbol}", "AM.*"}:
                continue
            for bar in self.source.bars(symbol, MINUTE, start_ns, end_ns):
                frame = _encode(Data(f"AM.{symbol}", self._wire(symbol, bar)))
                yield Pushed(frame, (f"alpaca:{symbol}/bar.1m",))

    def _wire(self, symbol: str, bar: Bar) -> Minute:
        """``bar`` as it is sent, with the day so far."""
        day, ms = self.source.day(symbol), bar.start_ns // MILLISECOND
        assert day is not None, "what has a bar has a day"
        volume = Decimal(day.volume)
        return Minute(
            T=symbol,
            v=_raw(bar.volume_text),
            av=_raw(day.volume),
            op=_raw(day.open),
            vw=_raw(bar.vwap_text or bar.close_text),
            o=_raw(bar.open_text),
            c=_raw(bar.close_text),
            h=_raw(bar.high_text),
            l=_raw(bar.low_text),
            a=_raw(f"{Decimal(day.turnover) / volume:.6f}" if volume else day.last),
            s=ms,
            e=ms + MINUTE // MILLISECOND,
        )


def _said(stream: str, word: Word) -> Pushed:
    return Pushed(_encode(Reply(stream, word)))


def _lots(shares: str) -> str:
    """Whole round lots; what is less than one is told as one."""
    return str(max(1, int(shares) // ROUND_LOT)) if shares != "0" else "0"


def _raw(text: str) -> Raw:
    return Raw(text.encode())


def _print(trade: Trade) -> bytes:
    price, size = _raw(trade.price_text), _raw(trade.size_text)
    conditions = [37] if int(trade.size_text) < ROUND_LOT else []  # an odd lot
    wire = Print(trade.symbol, trade.number or 0, 2, price, size, trade.venue_ns or 0, conditions, 2)
    return _encode(Data(f"T.{trade.symbol}", wire))


def _offer(symbol: str, best: Best, ns: int) -> bytes:
    bid, bid_lots, ask, ask_lots = map(_raw, best)
    return _encode(Data(f"Q.{symbol}", Offer(symbol, 17, bid, bid_lots, 3, ask, ask_lots, [0], ns)))
