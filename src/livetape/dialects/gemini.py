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
_encode = json.Encoder().encode
_request = json.Decoder(Request)
_CANDLES = re.compile(r"candles_(1m|5m|15m|30m|1h|6h|1d)").fullmatch
_SIDE = {"bid": "buy", "ask": "sell"}


class GeminiDialect(Dialect):
    """Books, trades and candles; no acknowledgement, no sequence."""

    venue = "gemini"
    path = re.compile(r"/v2/marketdata/?")
    heartbeat_s = 5.0

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._l2: set[str] = set()
        self._candles: set[tuple[str, str]] = set()  # symbol and interval

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
            self._candles -= {(symbol, name.removeprefix("candles_")) for name, symbol in wanted}
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
            out += [self._candle(s, i, action.ns) for s, i in sorted(self._candles) if s == symbol]
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
                return reply(source, instrument, query) if instrument else invalid_symbol(native)
        return None

    def _subscribe(self, name: str, symbol: str) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        if name == "l2" and book is not None:
            self._l2.add(symbol)
            bids, asks = book.bids.top(len(book.bids)), book.asks.top(len(book.asks))
            history = [_print(trade) for trade in reversed(self.source.trades(symbol, HISTORY))]
            yield Pushed(_snapshot(symbol, bids, asks, history), (f"gemini:{symbol}/book",))
        elif match := _CANDLES(name):
            self._candles.add((symbol, match[1]))
            yield Pushed(_candle_frame(symbol, match[1], self.source.trades(symbol, 1000)))
        else:
            yield _error("InvalidJson")

    def _candle(self, symbol: str, interval: str, now_ns: int) -> Pushed:
        length = interval_ns(interval)
        trades = [
            t for t in self.source.trades(symbol, 1000) if (t.venue_ns or 0) // length == now_ns // length
        ]
        return Pushed(_candle_frame(symbol, interval, trades), (f"gemini:{symbol}/bar.{interval}",))


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


def _candle_frame(symbol: str, interval: str, trades: Sequence[Trade]) -> bytes:
    """Candles of ``trades``, newest first: ms, open, high, low, close, volume."""
    length = interval_ns(interval)
    by_start: dict[int, list[Trade]] = {}
    for trade in trades:
        by_start.setdefault((trade.venue_ns or 0) // length * length, []).append(trade)
    candles = []
    for start_ns, inside in sorted(by_start.items(), reverse=True):
        prices = [trade.price_text for trade in inside]
        by_value = sorted(prices, key=Decimal)
        volume = f"{sum(Decimal(trade.size_text) for trade in inside):f}"
        numbers = (prices[0], by_value[-1], by_value[0], prices[-1], volume)
        candles.append([start_ns // MILLISECOND, *(Raw(number.encode()) for number in numbers)])
    return _encode({"type": f"candles_{interval}_updates", "symbol": _native(symbol), "changes": candles})


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
        n = int(query[limit]) if query.get(limit, "").isdigit() else 50
        levels = side.top(n or len(side))
        sides[name] = [{"price": price, "amount": size, "timestamp": "0"} for price, size in levels]
    return Answer(200, _encode(sides))


def _trades(source: Source, i: Instrument, query: Mapping[str, str]) -> Answer:
    n = int(query["limit_trades"]) if query.get("limit_trades", "").isdigit() else 50
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
        for t in reversed(source.trades(i.symbol, min(n, 500)))
    ]
    return Answer(200, _encode(rows))
