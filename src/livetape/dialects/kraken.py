"""Kraken spot, WebSocket v2 and its public REST, in the server role. Source: as the adapter's."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import MsgspecError, Raw, Struct, json

from ..adapters.kraken import (
    CANDLES,
    DEPTHS,
    LEGACY,
    MINUTE,
    TRADES,
    BookFrame,
    Reply,
    Subscribed,
    TradeFrame,
    WireBook,
    WireLevel,
    WireTrade,
    fingerprint,
)
from ..core.book import Book
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Call, Dialect, House, Pushed, Source
from ..core.events import Bar, Trade
from ..core.instruments import Instrument
from ..core.times import SECOND, iso

HISTORY = 50  #: prints in the snapshot of the trade channel
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)  #: minutes of a bar
Sides = tuple[list[Level], list[Level]]  #: bids, then asks
Told = tuple[object, dict[str, object]]  #: of a pair, and what stands beside it


class Asked(Struct, frozen=True):
    """A question about a pair, and when it is asked."""

    source: Source
    instrument: Instrument
    book: Book
    query: Mapping[str, str]
    now_ns: int

    def count(self, name: str, usual: int) -> int:
        """The number in the query; ``usual`` where there is none."""
        text = self.query.get(name, "")
        return int(text) if _COUNT(text) else usual


Tell = Callable[[Asked], Told]


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
_sorted = json.Encoder(order="sorted").encode  # replies have their keys in alphabetical order [recorded]
_COUNT = re.compile(r"\d{1,20}", re.ASCII).fullmatch
_BUSY = {429: "EGeneral:Too many requests", 503: "EService:Unavailable"}


class KrakenDialect(Dialect):
    """Books with their CRC32, trades, best quotes and instruments."""

    venue = "kraken"
    path = re.compile(r"/v2/?")
    beat_s = 1.0

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self._trades: set[str] = set()
        self._books: dict[str, int] = {}  # symbol to depth
        self._windows: dict[str, Sides] = {}  # the levels the client has
        self._tickers: dict[str, tuple[Level | None, Level | None]] = {}
        # A deleted level has all its decimals too [recorded].
        self._nothing = {i.symbol: f"{0:.{_decimals(i.size_step)}f}" for i in source.instruments()}

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        status = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": now_ns}
        return [Pushed(_encode({"channel": "status", "type": "update", "data": [status]}))]

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [self._refuse(Request(""), "Malformed request", now_ns)]
        if request.method == "ping":
            return [_reply(Reply("pong", req_id=request.req_id), now_ns)]
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
            out += self._push_ticker("update", symbol, action.ns)
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        subscribed = self._books or self._trades or self._tickers
        return [Pushed(b'{"channel":"heartbeat"}')] if subscribed else []

    @classmethod
    def busy(cls, status: int) -> bytes:
        return _encode({"error": [_BUSY[status]]})

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        path, query = call.path, call.query
        if path == "/0/public/AssetPairs":
            return Answer(
                200, _encode({"error": [], "result": {_pair(i): _listing(i) for i in source.instruments()}})
            )
        tell = _OF_A_PAIR.get(path)
        return None if tell is None else _pair_answer(source, query, now_ns, tell)

    # Subscriptions

    def _change(self, request: Request, native: str, now_ns: int) -> Iterator[Pushed]:
        symbol, params = native.replace("/", "-"), request.params
        book = self.source.book(symbol)
        if book is None or "/" not in native:
            yield self._refuse(request, f"Currency pair not supported {native}", now_ns, native)
            return
        depth = params.depth if params.channel == "book" else 0
        leaves = request.method == "unsubscribe"
        confirmed = Subscribed(
            params.channel, native, depth=depth, snapshot=None if leaves else params.snapshot
        )
        yield _reply(Reply(request.method, result=confirmed, req_id=request.req_id), now_ns)
        if leaves:
            self._forget(params.channel, symbol)
        elif params.channel == "book":
            self._books[symbol] = depth
            self._windows[symbol] = window = (book.bids.top(depth), book.asks.top(depth))
            if params.snapshot:
                frame = _book_frame("snapshot", native, window, window, now_ns)
                yield Pushed(frame, (f"kraken:{symbol}/book",))
        elif params.channel == "trade":
            self._trades.add(symbol)
            if params.snapshot:  # history is no event: a client was not there
                yield Pushed(_encode(TradeFrame("snapshot", _prints(self.source.trades(symbol, HISTORY)))))
        elif params.snapshot:
            self._tickers[symbol] = (None, None)
            yield from self._push_ticker("snapshot", symbol, now_ns)
        else:
            self._tickers[symbol] = (book.bids.best(), book.asks.best())

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
        return [_reply(reply, now_ns), Pushed(_encode(snapshot))]

    def _refuse(self, request: Request, error: str, now_ns: int, native: str = "") -> Pushed:
        return _reply(Reply(request.method, False, None, error, native, request.req_id), now_ns)

    # Data

    def _push_book(self, action: Action, memo: dict[str, bytes]) -> Iterator[Pushed]:
        symbol = action.symbol
        book, depth = self.source.book(symbol), self._books[symbol]
        if book is None or not action.changes:
            return
        old, new = self._windows[symbol], (book.bids.top(depth), book.asks.top(depth))
        self._windows[symbol] = new
        gone = {
            (change.side, change.price): self._nothing[symbol]
            for change in action.changes
            if change.remaining == "0"
        }
        moves = _moves("bid", old[0], new[0], gone), _moves("ask", old[1], new[1], gone)
        if any(moves):
            key = f"book {depth}"
            if key not in memo:
                memo[key] = _book_frame("update", symbol.replace("-", "/"), moves, new, action.ns)
            yield Pushed(memo[key], (f"kraken:{symbol}/book",))

    def _push_ticker(self, kind: str, symbol: str, now_ns: int) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        bid, ask = (book.bids.best(), book.asks.best()) if book is not None else (None, None)
        if (bid, ask) == self._tickers[symbol] or bid is None or ask is None:
            return
        self._tickers[symbol] = (bid, ask)
        ticker = {
            "symbol": symbol.replace("-", "/"),
            **{"bid": Raw(bid[0].encode()), "bid_qty": Raw(bid[1].encode())},
            **{"ask": Raw(ask[0].encode()), "ask_qty": Raw(ask[1].encode())},
            **_summary(self.source.trades(symbol, HISTORY), bid),
            "timestamp": _moment(now_ns),
        }
        frame = _encode({"channel": "ticker", "type": kind, "data": [ticker]})
        yield Pushed(frame, (f"kraken:{symbol}/quote",))


def _moves(side: str, old: list[Level], new: list[Level], gone: Mapping[tuple[str, str], str]) -> list[Level]:
    """What turns ``old`` into ``new``, but nothing of levels that are only pushed out of range."""
    had = dict(old)
    moved = [level for level in new if had.get(level[0]) != level[1]]
    return moved + [(price, gone[side, price]) for price in had if (side, price) in gone]


def _book_frame(kind: str, native: str, levels: Sides, window: Sides, ns: int) -> bytes:
    """``levels`` are told, ``window`` is what the client has then."""
    (bids, asks), checksum = map(_wire, levels), fingerprint(window[1][:10], window[0][:10])
    return _encode(BookFrame(kind, [WireBook(native, bids, asks, checksum, _moment(ns))]))


def _summary(trades: Sequence[Trade], bid: Level) -> dict[str, float]:
    """What a ticker says of the known ``trades``; before the first one the best ``bid`` stands in."""
    prices = [float(trade.price_text) for trade in trades] or [float(bid[0])]
    volume = sum(float(trade.size_text) for trade in trades)
    turnover = sum(float(trade.price_text) * float(trade.size_text) for trade in trades)
    change = prices[-1] - prices[0]
    return {
        **{"last": prices[-1], "volume": volume, "vwap": turnover / volume if volume else prices[-1]},
        **{"low": min(prices), "high": max(prices), "change": change, "change_pct": 100 * change / prices[0]},
    }


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


def _reply(reply: Reply, now_ns: int) -> Pushed:
    said: dict[str, Any] = {"method": reply.method, "success": reply.success}
    if reply.error:
        said |= {"error": reply.error} | ({"symbol": reply.symbol} if reply.symbol else {})
    if reply.result is not None:
        said["result"] = reply.result
    if reply.req_id is not None:
        said["req_id"] = reply.req_id
    return Pushed(_sorted(said | {"time_in": iso(now_ns), "time_out": iso(now_ns)}))


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).replace(microsecond=ns % SECOND // 1000)


def _decimals(step: str) -> int:
    return len(step.partition(".")[2])


def _legacy(instrument: Instrument) -> str:
    """The symbol as REST writes it."""
    return "/".join(LEGACY.get(asset, asset) for asset in instrument.symbol.split("-"))


def _pair(instrument: Instrument) -> str:
    return _legacy(instrument).replace("/", "")


def _listing(i: Instrument) -> dict[str, Any]:
    return {
        **{"altname": _pair(i), "wsname": _legacy(i)},
        **{"pair_decimals": _decimals(i.price_step), "lot_decimals": _decimals(i.size_step)},
    }


def _instrument(i: Instrument) -> dict[str, Any]:
    base, _, quote = i.symbol.partition("-")
    return {
        **{"symbol": i.symbol.replace("-", "/"), "base": base, "quote": quote, "status": "online"},
        **{"price_precision": _decimals(i.price_step), "qty_precision": _decimals(i.size_step)},
        **{"price_increment": Raw(i.price_step.encode()), "qty_increment": Raw(i.size_step.encode())},
    }


def _pair_answer(source: Source, query: Mapping[str, str], now_ns: int, tell: Tell) -> Answer:
    wanted = query.get("pair", "").upper()
    for i in source.instruments():
        book = source.book(i.symbol)
        spellings = (_pair(i), _legacy(i), i.symbol.replace("-", ""), i.symbol.replace("-", "/"))
        if book is not None and wanted in spellings:
            try:
                told, more = tell(Asked(source, i, book, query, now_ns))
            except ValueError as error:
                return _error(str(error))
            return Answer(200, _encode({"error": [], "result": {_pair(i): told, **more}}))
    return _error("EQuery:Unknown asset pair")


def _error(reason: str) -> Answer:
    return Answer(200, _encode({"error": [reason]}))


def _depth(about: Asked) -> Told:
    n = about.count("count", 100)
    bids, asks = ([[*level, 0] for level in side.top(n)] for side in (about.book.bids, about.book.asks))
    return {"bids": bids, "asks": asks}, {}


def _ticker(about: Asked) -> Told:
    """Best ask and bid, last trade, then of the day: volume, its mean price, trades, low, high and open."""
    source, symbol, book = about.source, about.instrument.symbol, about.book
    (ask, asked), (bid, bidden) = (side.best() or ("0", "0") for side in (book.asks, book.bids))
    best = {"a": [ask, asked.partition(".")[0], asked], "b": [bid, bidden.partition(".")[0], bidden]}
    trades, day = source.trades(symbol, HISTORY), source.day(symbol)
    if day is None:
        return best, {}
    mean = float(day.turnover) / float(day.volume) if float(day.volume) else float(day.last)
    spans = {"v": day.volume, "p": f"{mean:.5f}", "t": len(trades), "l": day.low, "h": day.high}
    last = [day.last, trades[-1].size_text if trades else "0"]
    return best | {"c": last} | {key: [value, value] for key, value in spans.items()} | {"o": day.open}, {}


def _trades(about: Asked) -> Told:
    """The last ones, or the first after ``since`` in ns; then where the next begin: no moment is torn."""
    since_ns, n = about.count("since", 0), min(about.count("count", TRADES), TRADES)
    trades = about.source.trades_between(about.instrument.symbol, since_ns + 1, about.now_ns + 1)
    trades = trades if since_ns else trades[-n:]
    last_ns = max([trade.venue_ns or 0 for trade in trades[:n]], default=since_ns)
    rows = [_past_trade(trade) for trade in trades if (trade.venue_ns or 0) <= last_ns]
    return rows, {"last": str(last_ns)}


def _past_trade(trade: Trade) -> list[object]:
    ns, side = trade.venue_ns or 0, "b" if trade.side == "buy" else "s"
    time = Raw(f"{ns // SECOND}.{ns % SECOND // 100:07d}".encode())
    return [trade.price_text, trade.size_text, time, side, "l", "", trade.number]


def _candles(about: Asked) -> Told:
    """The last ones that begin after ``since``, in s, with the running one; and the last that is whole."""
    minutes, now_ns = about.count("interval", 1), about.now_ns
    if minutes not in INTERVALS:
        raise ValueError("EGeneral:Invalid arguments")
    length_ns = minutes * MINUTE
    since_ns = max(about.count("since", 0) * SECOND + 1, now_ns - CANDLES * length_ns)
    bars = about.source.bars(about.instrument.symbol, length_ns, since_ns, now_ns + 1)
    last_s = max([bar.start_ns // SECOND for bar in bars if bar.closed], default=0)
    return [_candle(bar) for bar in bars], {"last": last_s}


def _candle(bar: Bar) -> list[object]:
    prices = [bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.vwap_text]
    return [bar.start_ns // SECOND, *prices, bar.volume_text, bar.trades]


_OF_A_PAIR: dict[str, Tell] = {
    "/0/public/Depth": _depth,
    "/0/public/Ticker": _ticker,
    "/0/public/Trades": _trades,
    "/0/public/OHLC": _candles,
}
