"""Kraken spot, WebSocket v2 and its public REST, in the server role. Source: as the adapter's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import MsgspecError, Raw, Struct, json

from ..adapters.kraken import (
    DEPTHS,
    BookFrame,
    Reply,
    Subscribed,
    TradeFrame,
    WireBook,
    WireLevel,
    WireTrade,
    fingerprint,
)
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Dialect, Pushed, Source
from ..core.events import Trade
from ..core.instruments import Instrument
from ..core.times import SECOND

HISTORY = 50  #: prints in the snapshot of the trade channel


class Params(Struct, frozen=True):
    channel: str = ""
    symbol: list[str] = []
    depth: int = DEPTHS[0]
    snapshot: bool = True


class Request(Struct):
    method: str
    params: Params = Params()
    req_id: int | None = None


_request = json.Decoder(Request)
_encode = json.Encoder().encode


class KrakenDialect(Dialect):
    """Books with their CRC32, trades, best quotes and instruments."""

    venue = "kraken"
    path = re.compile(r"/v2/?")
    heartbeat_s = 1.0

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._trades: set[str] = set()
        self._books: dict[str, int] = {}  # symbol to depth
        self._windows: dict[str, tuple[list[Level], list[Level]]] = {}  # the levels the client has
        self._tickers: dict[str, tuple[Level | None, Level | None]] = {}

    def open(self, path: str, query: Mapping[str, str], now_ns: int) -> list[Pushed]:
        status = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": now_ns}
        return [Pushed(_encode({"channel": "status", "type": "update", "data": [status]}))]

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [Pushed(_encode({"error": "Malformed request", "success": False}))]
        if request.method == "ping":
            return [Pushed(_encode({"method": "pong", "req_id": request.req_id, "time_in": _text(now_ns)}))]
        if request.method not in ("subscribe", "unsubscribe"):
            return [self._refuse(request, "Unsupported method", now_ns)]
        if request.params.channel == "instrument":
            return self._instruments(request, now_ns)
        if request.params.channel not in ("book", "trade", "ticker"):
            return [self._refuse(request, "Unsupported channel", now_ns)]
        if request.params.channel == "book" and request.params.depth not in DEPTHS:
            return [self._refuse(request, "Subscription depth not supported", now_ns)]
        return [
            pushed for native in request.params.symbol for pushed in self._change(request, native, now_ns)
        ]

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol, out = action.symbol, []
        if action.trades and symbol in self._trades:
            frame = memo.get("trade") or memo.setdefault(
                "trade", _encode(TradeFrame("update", _prints(action.trades)))
            )
            out.append(Pushed(frame, (f"kraken:{symbol}/trade",) * len(action.trades)))
        if symbol in self._books:
            out += self._push_book(action, memo)
        if symbol in self._tickers:
            out += self._push_ticker(symbol, action.ns)
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        subscribed = self._books or self._trades or self._tickers
        return [Pushed(b'{"channel":"heartbeat"}')] if subscribed else []

    @classmethod
    def answer(cls, source: Source, path: str, query: Mapping[str, str]) -> Answer | None:
        if path == "/0/public/AssetPairs":
            return Answer(
                200, _encode({"error": [], "result": {_pair(i): _listing(i) for i in source.instruments()}})
            )
        if path == "/0/public/Depth":
            return _depth(source, query)
        return None

    # Subscriptions

    def _change(self, request: Request, native: str, now_ns: int) -> Iterator[Pushed]:
        symbol, params = native.replace("/", "-"), request.params
        book = self.source.book(symbol)
        if book is None or "/" not in native:
            yield self._refuse(request, f"Currency pair not supported {native}", now_ns, native)
            return
        depth = params.depth if params.channel == "book" else 0
        confirmed = Subscribed(params.channel, native, depth=depth, snapshot=params.snapshot or None)
        reply = Reply(request.method, result=confirmed, req_id=request.req_id)
        yield Pushed(_encode_reply(reply, now_ns))
        if request.method == "unsubscribe":
            self._forget(params.channel, symbol)
        elif params.channel == "book":
            self._books[symbol] = depth
            self._windows[symbol] = bids, asks = book.bids.top(depth), book.asks.top(depth)
            yield Pushed(
                _book_frame("snapshot", native, bids, asks, (bids, asks), now_ns), (f"kraken:{symbol}/book",)
            )
        elif params.channel == "trade":
            self._trades.add(symbol)
            if params.snapshot:
                yield Pushed(_encode(TradeFrame("snapshot", _prints(self.source.trades(symbol, HISTORY)))))
        else:
            self._tickers[symbol] = (None, None)
            yield from self._push_ticker(symbol, now_ns)

    def _forget(self, channel: str, symbol: str) -> None:
        if channel == "book":
            self._books.pop(symbol, None)
        elif channel == "trade":
            self._trades.discard(symbol)
        else:
            self._tickers.pop(symbol, None)

    def _instruments(self, request: Request, now_ns: int) -> list[Pushed]:
        reply = Reply(request.method, result=Subscribed("instrument"), req_id=request.req_id)
        pairs = [_instrument(i) for i in self.source.instruments()]
        snapshot = {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}}
        return [Pushed(_encode_reply(reply, now_ns)), Pushed(_encode(snapshot))]

    def _refuse(self, request: Request, error: str, now_ns: int, native: str = "") -> Pushed:
        return Pushed(
            _encode_reply(Reply(request.method, False, None, error, native, request.req_id), now_ns)
        )

    # Data

    def _push_book(self, action: Action, memo: dict[str, bytes]) -> Iterator[Pushed]:
        symbol = action.symbol
        book, depth = self.source.book(symbol), self._books[symbol]
        if book is None or not action.changes:
            return
        old, new = self._windows[symbol], (book.bids.top(depth), book.asks.top(depth))
        self._windows[symbol] = new
        gone = {(change.side, change.price) for change in action.changes if change.remaining == "0"}
        bids, asks = _moves("bid", old[0], new[0], gone), _moves("ask", old[1], new[1], gone)
        if bids or asks:
            key = f"book {depth}"
            if key not in memo:
                memo[key] = _book_frame("update", symbol.replace("-", "/"), bids, asks, new, action.ns)
            yield Pushed(memo[key], (f"kraken:{symbol}/book",))

    def _push_ticker(self, symbol: str, now_ns: int) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        if book is None:
            return
        best = (book.bids.best(), book.asks.best())
        if best == self._tickers[symbol] or best[0] is None or best[1] is None:
            return
        self._tickers[symbol] = best
        prints = [float(trade.price_text) for trade in self.source.trades(symbol, HISTORY)] or [
            float(best[0][0])
        ]
        ticker = {
            "symbol": symbol.replace("-", "/"),
            **{"bid": Raw(best[0][0].encode()), "bid_qty": Raw(best[0][1].encode())},
            **{"ask": Raw(best[1][0].encode()), "ask_qty": Raw(best[1][1].encode())},
            **{"last": prints[-1], "low": min(prints), "high": max(prints), "change": prints[-1] - prints[0]},
            "timestamp": _moment(now_ns),
        }
        yield Pushed(
            _encode({"channel": "ticker", "type": "update", "data": [ticker]}), (f"kraken:{symbol}/quote",)
        )


def _moves(side: str, old: list[Level], new: list[Level], gone: set[tuple[str, str]]) -> list[Level]:
    """What to tell a client that has ``old`` and shall have ``new``: nothing of levels pushed out of range."""
    had = dict(old)
    moved = [level for level in new if had.get(level[0]) != level[1]]
    return moved + [(price, "0") for price in had if (side, price) in gone]


def _book_frame(
    kind: str,
    native: str,
    bids: list[Level],
    asks: list[Level],
    window: tuple[list[Level], list[Level]],
    ns: int,
) -> bytes:
    checksum = fingerprint(window[1][:10], window[0][:10])
    return _encode(BookFrame(kind, [WireBook(native, _wire(bids), _wire(asks), checksum, _moment(ns))]))


def _wire(levels: list[Level]) -> list[WireLevel]:
    return [WireLevel(Raw(price.encode()), Raw(size.encode())) for price, size in levels]


def _prints(trades: Sequence[Trade]) -> list[WireTrade]:
    return [
        WireTrade(
            trade.symbol.replace("-", "/"),
            trade.side or "buy",
            Raw(trade.price_text.encode()),
            Raw(trade.size_text.encode()),
            trade.number or 0,
            _moment(trade.venue_ns or 0),
        )
        for trade in trades
    ]


def _encode_reply(reply: Reply, now_ns: int) -> bytes:
    said: dict[str, Any] = {"method": reply.method, "success": reply.success}
    said |= {"result": reply.result} if reply.result is not None else {"error": reply.error}
    said |= {"symbol": reply.symbol} if reply.symbol else {}
    said |= {"req_id": reply.req_id} if reply.req_id is not None else {}
    return _encode(said | {"time_in": _text(now_ns), "time_out": _text(now_ns)})


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).replace(microsecond=ns % SECOND // 1000)


def _text(ns: int) -> str:
    return _moment(ns).isoformat().replace("+00:00", "Z")


def _decimals(step: str) -> int:
    return len(step.partition(".")[2])


def _pair(instrument: Instrument) -> str:
    return instrument.symbol.replace("-", "").replace("BTC", "XBT")


def _listing(i: Instrument) -> dict[str, Any]:
    wsname = i.symbol.replace("-", "/").replace("BTC", "XBT")
    return {"altname": _pair(i), "wsname": wsname, "pair_decimals": _decimals(i.price_step), "lot_decimals": _decimals(i.size_step)}  # fmt: skip


def _instrument(i: Instrument) -> dict[str, Any]:
    base, _, quote = i.symbol.partition("-")
    return {
        **{"symbol": i.symbol.replace("-", "/"), "base": base, "quote": quote, "status": "online"},
        **{"price_precision": _decimals(i.price_step), "qty_precision": _decimals(i.size_step)},
        **{"price_increment": Raw(i.price_step.encode()), "qty_increment": Raw(i.size_step.encode())},
    }


def _depth(source: Source, query: Mapping[str, str]) -> Answer:
    count = query.get("count", "100")
    for i in source.instruments():
        book = source.book(i.symbol)
        if book is not None and query.get("pair", "").upper() in (
            _pair(i),
            i.symbol.replace("-", ""),
            i.symbol.replace("-", "/"),
        ):
            n = int(count) if count.isdigit() else 100
            sides = {
                "bids": [[p, s, 0] for p, s in book.bids.top(n)],
                "asks": [[p, s, 0] for p, s in book.asks.top(n)],
            }
            return Answer(200, _encode({"error": [], "result": {_pair(i): sides}}))
    return Answer(200, _encode({"error": ["EQuery:Unknown asset pair"]}))
