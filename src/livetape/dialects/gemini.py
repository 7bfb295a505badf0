"""Gemini v2 market data and public REST, in the server role. Source: as the adapter's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import MsgspecError, Raw, json

from ..adapters.gemini import Print, Request
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Change, Dialect, Pushed, Source
from ..core.events import Trade
from ..core.instruments import Instrument, interval_ns
from ..core.times import MILLISECOND, SECOND

HISTORY = 50  #: prints in a snapshot
PRINTS = 1000  #: from which the first candles are made
_encode = json.Encoder().encode
_request = json.Decoder(Request)
_CANDLES = re.compile(r"candles_(1m|5m|15m|30m|1h|6h|1d)").fullmatch
_COUNT = re.compile(r"\d{1,6}").fullmatch
_SIDE = {"bid": "buy", "ask": "sell"}


class GeminiDialect(Dialect):
    """Books, trades and candles; no acknowledgement, no sequence."""

    venue = "gemini"
    path = re.compile(r"/v2/marketdata/?")
    heartbeat_s = 5.0

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._l2: set[str] = set()
        self._candles: dict[tuple[str, str], Candle | None] = {}  # the newest, by symbol and interval

    def open(self, path: str, query: Mapping[str, str], now_ns: int) -> list[Pushed]:
        return []

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [_error("InvalidJson")]
        known = {_native(i.symbol): i.symbol for i in self.source.instruments()}
        natives = [native for subscription in request.subscriptions for native in subscription.symbols]
        if request.type not in ("subscribe", "unsubscribe") or not natives:
            return [_error("InvalidJson")]
        if not all(native in known for native in natives):
            return [_error("NoValidTradingPairs")]
        wanted = [(s.name, known[native]) for s in request.subscriptions for native in s.symbols]
        if request.type == "unsubscribe":
            self._l2 -= {symbol for name, symbol in wanted if name == "l2"}
            for name, symbol in wanted:
                self._candles.pop((symbol, name.removeprefix("candles_")), None)
            return []
        return [pushed for name, symbol in wanted for pushed in self._subscribe(name, symbol)]

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol, out = action.symbol, []
        if symbol in self._l2:
            for i, trade in enumerate(action.trades):
                frame = memo.get(f"v2 {i}") or memo.setdefault(f"v2 {i}", _encode(_print(trade)))
                out.append(Pushed(frame, (f"gemini:{symbol}/trade",)))
            if action.changes:
                frame = memo.get("l2") or memo.setdefault("l2", _changes(symbol, action.changes))
                out.append(Pushed(frame, (f"gemini:{symbol}/book",)))
        if action.trades:
            out += [
                _candles(key, self._draw(key, action.trades)) for key in self._candles if key[0] == symbol
            ]
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        return [Pushed(_encode({"type": "heartbeat", "timestamp": now_ns // MILLISECOND}))]

    @classmethod
    def answer(cls, source: Source, path: str, query: Mapping[str, str]) -> Answer | None:
        if path == "/v1/symbols":
            return Answer(200, _encode([_native(i.symbol).lower() for i in source.instruments()]))
        for prefix, reply in (
            ("/v1/symbols/details/", _details),
            ("/v1/book/", _book),
            ("/v1/trades/", _trades),
        ):
            if path.startswith(prefix):
                native = path.removeprefix(prefix)
                instrument = next(
                    (i for i in source.instruments() if _native(i.symbol) == native.upper()), None
                )
                if instrument is not None:
                    return reply(source, instrument, query)
                return _bad_request(native) if reply is _book else invalid_symbol(native)
        return None

    def _subscribe(self, name: str, symbol: str) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        if name == "l2" and book is not None:
            self._l2.add(symbol)
            bids, asks = book.bids.top(len(book.bids)), book.asks.top(len(book.asks))
            history = [_print(trade) for trade in reversed(self.source.trades(symbol, HISTORY))]
            yield Pushed(_snapshot(symbol, bids, asks, history), (f"gemini:{symbol}/book",))
        elif match := _CANDLES(name):
            key = (symbol, match[1])
            self._candles[key] = None
            yield _candles(key, self._draw(key, self.source.trades(symbol, PRINTS)))
        else:
            yield _error("InvalidJson")

    def _draw(self, key: tuple[str, str], trades: Sequence[Trade]) -> list["Candle"]:
        """Add ``trades`` to the candle of ``key``; those that changed, oldest first."""
        length, candle = interval_ns(key[1]), self._candles[key]
        drawn: list[Candle] = []
        for trade in trades:
            start_ns = (trade.venue_ns or 0) // length * length
            if candle is None or candle.start_ns != start_ns:
                candle = Candle(start_ns, trade)
            if candle not in drawn[-1:]:
                drawn.append(candle)
            candle.add(trade)
        self._candles[key] = candle
        return drawn


class Candle:
    """The prints of one interval, as far as this connection knows them."""

    def __init__(self, start_ns: int, first: Trade) -> None:
        self.start_ns = start_ns
        self._open = self._high = self._low = self._close = first.price_text
        self._volume = Decimal(0)

    def add(self, trade: Trade) -> None:
        """One more print."""
        self._close = trade.price_text
        self._high = max(self._high, self._close, key=Decimal)
        self._low = min(self._low, self._close, key=Decimal)
        self._volume += Decimal(trade.size_text)

    def row(self) -> list[int | Raw]:
        """ms, open, high, low, close, volume."""
        numbers = (self._open, self._high, self._low, self._close, f"{self._volume:f}")
        return [self.start_ns // MILLISECOND, *(Raw(number.encode()) for number in numbers)]


def _error(reason: str) -> Pushed:
    return Pushed(_encode({"result": "error", "reason": reason}))


def invalid_symbol(native: str) -> Answer:
    """What the vendor says of a symbol it does not know."""
    said = {
        "result": "error",
        "reason": "InvalidSymbol",
        "message": f"Received unsupported symbol '{native}'",
    }
    return Answer(400, _encode(said))


def _bad_request(native: str) -> Answer:
    """What the book answers instead."""
    message = f"Supplied value '{native}' is not a valid symbol"
    return Answer(400, _encode({"result": "error", "reason": "Bad Request", "message": message}))


def _native(symbol: str) -> str:
    return symbol.replace("-", "")


def _print(trade: Trade) -> Print:
    return Print(
        _native(trade.symbol),
        trade.number or 0,
        (trade.venue_ns or 0) // MILLISECOND,
        trade.price_text,
        trade.size_text,
        trade.side or "buy",
        trade.number,
    )


def _changes(symbol: str, changes: Sequence[Change]) -> bytes:
    moved = [(_SIDE[change.side], change.price, change.remaining) for change in changes]
    return _encode({"type": "l2_updates", "symbol": _native(symbol), "changes": moved})


def _snapshot(symbol: str, bids: list[Level], asks: list[Level], history: list[Print]) -> bytes:
    levels = [("buy", *level) for level in bids] + [("sell", *level) for level in asks]
    said: dict[str, Any] = {
        "type": "l2_updates",
        "symbol": _native(symbol),
        "changes": levels,
        "trades": history,
    }
    return _encode(said | {"auction_events": []})


def _candles(key: tuple[str, str], candles: Sequence[Candle]) -> Pushed:
    (symbol, interval), rows = key, [candle.row() for candle in reversed(candles)]  # newest first
    frame = _encode({"type": f"candles_{interval}_updates", "symbol": _native(symbol), "changes": rows})
    return Pushed(frame, (f"gemini:{symbol}/bar.{interval}",) * len(rows))


def _details(source: Source, i: Instrument, query: Mapping[str, str]) -> Answer:
    base, _, quote = i.symbol.partition("-")
    said = {
        **{"symbol": _native(i.symbol), "base_currency": base, "quote_currency": quote},
        **{"tick_size": Raw(i.size_step.encode()), "quote_increment": Raw(i.price_step.encode())},
        **{"min_order_size": i.size_step, "status": "open", "wrap_enabled": False, "product_type": "spot"},
    }
    return Answer(200, _encode(said))


def _book(source: Source, i: Instrument, query: Mapping[str, str]) -> Answer:
    book = source.book(i.symbol)
    sides = {}
    for name, limit in (("bids", "limit_bids"), ("asks", "limit_asks")):
        side = getattr(book, name)
        n = _count(query.get(limit, ""))
        levels = side.top(n or len(side))
        sides[name] = [{"price": price, "amount": size, "timestamp": "0"} for price, size in levels]
    return Answer(200, _encode(sides))


def _trades(source: Source, i: Instrument, query: Mapping[str, str]) -> Answer:
    rows = [
        {
            **{"timestamp": (t.venue_ns or 0) // SECOND, "timestampms": (t.venue_ns or 0) // MILLISECOND},
            **{
                "tid": t.number,
                "price": t.price_text,
                "amount": t.size_text,
                "exchange": "gemini",
                "type": t.side,
            },
        }
        for t in reversed(source.trades(i.symbol, min(_count(query.get("limit_trades", "")), 500)))
    ]
    return Answer(200, _encode(rows))


def _count(text: str) -> int:
    return int(text) if _COUNT(text) else 50
