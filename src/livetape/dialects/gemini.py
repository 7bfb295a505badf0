"""Gemini v2 market data and public REST, in the server role. Source: as the adapter's."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from re import Pattern
from typing import Any

from msgspec import MsgspecError, Raw, Struct, json

from ..adapters.gemini import Print, Request
from ..adapters.gemini_v1 import AuctionIndicative, AuctionOpen, AuctionResult
from ..core.book import Book
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Call, Change, Dialect, House, Pushed, Source
from ..core.events import Bar, Mark, Trade
from ..core.instruments import Instrument, interval_ns, unified
from ..core.times import MILLISECOND, SECOND

HISTORY = 50  #: prints in a snapshot
PRINTS = 1000  #: as far as REST reaches back
DAY = 86_400 * SECOND
FUNDING_MINUTES = 60  #: from one settlement to the next
AUCTION = {"auction": ("0", "N")}  #: a switch: seconds from one auction to the next, in every symbol
_encode = json.Encoder().encode
_request = json.Decoder(Request)
_CANDLES = re.compile(r"candles_(1m|5m|15m|30m|1h|6h|1d)").fullmatch
_PERPETUAL = ("mark_price", "funding_amount")
_INTERVALS = {"1hr": "1h", "6hr": "6h", "1day": "1d"} | {i: i for i in ("1m", "5m", "15m", "30m")}
_COUNT = re.compile(r"\d{1,18}", re.ASCII).fullmatch
_SIDE = {"bid": "buy", "ask": "sell"}
_BUSY = {
    429: ("RateLimit", "Requests were made too frequently"),
    503: ("Maintenance", "The system is down for maintenance"),
}


class GeminiDialect(Dialect):
    """Books, trades, candles, auctions and marks of perpetuals; no acknowledgement, no sequence.

    A mark is sent at once, then as it changes. What is settled on the hour is not told.
    """

    venue = "gemini"
    path = re.compile(r"/v2/marketdata/?")
    beat_s = 5.0
    switches = AUCTION

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self._l2: set[str] = set()
        self._candles: set[tuple[str, str]] = set()  # symbol and interval
        self._marks: set[tuple[str, str]] = set()  # symbol and stream
        self._auctions = Auctions(int(self.switch("auction")))

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
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
            self._marks -= {(symbol, name) for name, symbol in wanted}
            return []
        return [pushed for name, symbol in wanted for pushed in self._subscribe(name, symbol, now_ns)]

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol, out = action.symbol, [*self._hold_auctions(action.ns)]
        if symbol in self._l2:
            for i, trade in enumerate(action.trades):
                frame = memo.get(f"v2 {i}") or memo.setdefault(f"v2 {i}", _encode(_print(trade)))
                out.append(Pushed(frame, (f"gemini:{symbol}/trade",)))
            if action.changes:
                frame = memo.get("l2") or memo.setdefault("l2", _changes(symbol, action.changes))
                out.append(Pushed(frame, (f"gemini:{symbol}/book",)))
        if action.trades:
            out += [self._candle(symbol, i, action.ns, memo) for of, i in self._candles if of == symbol]
        if action.mark is not None:
            out += self._mark(action.mark, memo)
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        return [Pushed(_encode({"type": "heartbeat", "timestamp": now_ns // MILLISECOND}))]

    @classmethod
    def busy(cls, status: int) -> bytes:
        reason, message = _BUSY[status]
        return _failed(status, reason, message).body

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        named = {_native(i.symbol): i for i in source.instruments()}
        if call.path == "/v1/symbols":
            return Answer(200, _encode([native.lower() for native in named]))
        if call.path == "/v1/pricefeed":
            return Answer(200, _encode([_price(Asked(source, i, now_ns)) for i in named.values()]))
        for path, reply in _REST.items():
            if match := path.fullmatch(call.path):
                native, *rest = match.groups()
                if (instrument := named.get(native.upper())) is not None:
                    return reply(Asked(source, instrument, now_ns, call.query, *rest))
                return _bad_request(native, "symbol") if reply is _book else invalid_symbol(native)
        return _failed(404, "EndpointNotFound", f"API entry point `{call.path}` not found")

    def _subscribe(self, name: str, symbol: str, now_ns: int) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        if name == "l2" and book is not None:
            self._l2.add(symbol)
            bids, asks = book.bids.top(len(book.bids)), book.asks.top(len(book.asks))
            history = [_print(trade) for trade in reversed(self.source.trades(symbol, HISTORY))]
            yield Pushed(_snapshot(symbol, bids, asks, history), (f"gemini:{symbol}/book",))
        elif match := _CANDLES(name):
            self._candles.add((symbol, match[1]))
            bars = _past(self.source, symbol, match[1], now_ns)
            yield Pushed(_candles(symbol, match[1], bars), (f"gemini:{symbol}/bar.{match[1]}",) * len(bars))
        elif name in _PERPETUAL and (mark := self.source.mark(symbol)) is not None:
            self._marks.add((symbol, name))
            yield Pushed(_marked(name, mark), (mark.channel,))
        else:
            yield _error("NoValidTradingPairs" if name in _PERPETUAL else "InvalidJson")

    def _mark(self, mark: Mark, memo: dict[str, bytes]) -> Iterator[Pushed]:
        for name in _PERPETUAL if mark.funding_text else _PERPETUAL[:1]:
            if (mark.symbol, name) in self._marks:
                frame = memo.get(name) or memo.setdefault(name, _marked(name, mark))
                yield Pushed(frame, (mark.channel,))

    def _candle(self, symbol: str, interval: str, ns: int, memo: dict[str, bytes]) -> Pushed:
        """The candle that prints at ``ns`` have changed."""
        length, key = interval_ns(interval), f"v2 {interval}"
        start_ns = ns - ns % length
        if key not in memo:
            memo[key] = _candles(symbol, interval, self.source.bars(symbol, length, start_ns, ns + 1))
        return Pushed(memo[key], (f"gemini:{symbol}/bar.{interval}",))

    def _hold_auctions(self, now_ns: int) -> Iterator[Pushed]:
        for step in self._auctions.due(now_ns):
            for symbol in sorted(self._l2):
                book, native = self.source.book(symbol), _native(symbol)
                assert book is not None
                event = step.event(book, native)
                yield Pushed(_encode(event), (f"gemini:{symbol}/auction",))
                if isinstance(event, AuctionResult):
                    price, size = event.auction_price, event.auction_quantity
                    fill = Print(native, event.eid, event.time_ms, price, size, "auction", event.eid)
                    yield Pushed(_encode(fill), (f"gemini:{symbol}/trade",))


class Auctions:
    """When auctions are held: in ``every_s`` seconds one opens, is indicated twice and has its result."""

    def __init__(self, every_s: int) -> None:
        self._quarter_ns = every_s * SECOND // 4
        self._done: int | None = None

    def due(self, now_ns: int) -> list["AuctionStep"]:
        """The steps since this was asked last."""
        if not self._quarter_ns:
            return []
        n = now_ns // self._quarter_ns
        done, self._done = n if self._done is None else self._done, n
        return [AuctionStep(each, self._quarter_ns) for each in range(done + 1, n + 1)]


class AuctionStep(Struct, frozen=True):
    """The ``n``-th quarter of an auction since 1970."""

    n: int
    quarter_ns: int

    @property
    def ns(self) -> int:
        """When it is due."""
        return self.n * self.quarter_ns

    def event(self, book: Book, native: str) -> AuctionOpen | AuctionIndicative | AuctionResult:
        """What is told of it. The first indication is that the auction would fail."""
        ms = [(self.n + i) * self.quarter_ns // MILLISECOND for i in range(4)]
        if self.n % 4 == 1:
            return AuctionOpen(ms[0], ms[3], ms[1], ms[2], native)
        (bid, _), (ask, size) = book.bids.best() or ("", ""), book.asks.best() or ("", "")
        eid = ms[0] * 1_000
        if self.n % 4 == 2:
            return AuctionIndicative(eid, "failure", ms[0], bid, ask, ask, symbol=native)
        if self.n % 4 == 3:
            return AuctionIndicative(eid, "success", ms[0], bid, ask, ask, ask, size, native)
        return AuctionResult(eid, "success", ms[0], bid, ask, ask, ask, size, native)


def _error(reason: str) -> Pushed:
    return Pushed(_encode({"result": "error", "reason": reason}))


def _failed(status: int, reason: str, message: str) -> Answer:
    return Answer(status, _encode({"result": "error", "reason": reason, "message": message}))


def invalid_symbol(native: str) -> Answer:
    """What the vendor says of a symbol it does not know."""
    return _failed(400, "InvalidSymbol", f"Received unsupported symbol '{native}'")


def _bad_request(value: str, what: str) -> Answer:
    """What the book answers instead."""
    return _failed(400, "Bad Request", f"Supplied value '{value}' is not a valid {what}")


def _native(symbol: str) -> str:
    return symbol.replace("-", "")


def _currencies(symbol: str) -> tuple[str, str]:
    """What is traded and what it is paid in: BTC and GUSD of BTCGUSDPERP."""
    base, _, quote = unified(symbol.removesuffix("PERP")).partition("-")
    return base, quote


def funding(mark: Mark) -> tuple[str, int]:
    """What a contract will pay, and when that is settled, in ns."""
    amount = Decimal(mark.mark_text) * Decimal(mark.funding_text or 0) / 100
    every = FUNDING_MINUTES * 60 * SECOND
    return f"{amount:.5f}", ((mark.venue_ns or 0) // every + 1) * every


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


def _marked(name: str, mark: Mark) -> bytes:
    change: dict[str, object]
    if name == "mark_price":
        change = {"mark_price": mark.mark_text, "spot_index": mark.index_text, "timestamp": mark.venue_ns}
    else:
        amount, settled_ns = funding(mark)
        change = {
            **{"funding_amount": amount, "funding_date_time": settled_ns},
            **{"funding_interval_in_minutes": FUNDING_MINUTES, "funding_rate": mark.funding_text},
            **{"is_realized": False, "mark_price": mark.mark_text, "timestamp": mark.venue_ns},
        }
    return _encode({"type": f"{name}_updates", "symbol": _native(mark.symbol), "changes": [change]})


def _past(source: Source, symbol: str, interval: str, now_ns: int) -> Sequence[Bar]:
    """The bars of a day, or two dozen of the longer ones, oldest first."""
    length = interval_ns(interval)
    return source.bars(symbol, length, now_ns - max(DAY, 24 * length), now_ns + 1)


def _rows(bars: Sequence[Bar]) -> list[list[int | Raw]]:
    """ms, open, high, low, close and volume of each, newest first."""
    return [
        [
            bar.start_ns // MILLISECOND,
            *(
                Raw(text.encode())
                for text in (bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text)
            ),
        ]
        for bar in reversed(bars)
    ]


def _candles(symbol: str, interval: str, bars: Sequence[Bar]) -> bytes:
    said = {"type": f"candles_{interval}_updates", "symbol": _native(symbol), "changes": _rows(bars)}
    return _encode(said)


# REST


class Asked(Struct, frozen=True):
    """A question about an instrument."""

    source: Source
    instrument: Instrument
    now_ns: int
    query: Mapping[str, str] = {}
    interval: str = ""

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def count(self, name: str, usual: int) -> int:
        """The number in the query; ``usual`` where there is none."""
        text = self.query.get(name, "")
        return int(text) if _COUNT(text) else usual

    def hours(self) -> Sequence[Bar]:
        """Those of the last day, oldest first."""
        return _past(self.source, self.symbol, "1h", self.now_ns)

    def last(self) -> str:
        """The last price."""
        day = self.source.day(self.symbol)
        assert day is not None
        return day.last

    def best(self) -> dict[str, str]:
        """The best prices, as tickers have them."""
        book = self.source.book(self.symbol)
        assert book is not None
        sides = {"bid": book.bids.best(), "ask": book.asks.best()}
        return {name: level[0] for name, level in sides.items() if level is not None}


def _details(asked: Asked) -> Answer:
    i = asked.instrument
    base, quote = _currencies(i.symbol)
    perpetual = asked.source.mark(i.symbol) is not None
    said = {
        **{"symbol": _native(i.symbol), "base_currency": base, "quote_currency": quote},
        **{"tick_size": Raw(i.size_step.encode()), "quote_increment": Raw(i.price_step.encode())},
        **{"min_order_size": i.size_step, "status": "open", "wrap_enabled": False},
        **{"product_type": "swap" if perpetual else "spot"},
        **{"contract_type": "linear" if perpetual else "vanilla", "contract_price_currency": quote},
    }
    return Answer(200, _encode(said))


def _book(asked: Asked) -> Answer:
    book = asked.source.book(asked.symbol)
    sides = {}
    for name, limit in (("bids", "limit_bids"), ("asks", "limit_asks")):
        side = getattr(book, name)
        levels = side.top(asked.count(limit, 50) or len(side))
        at = str(asked.now_ns // SECOND)
        sides[name] = [{"price": price, "amount": size, "timestamp": at} for price, size in levels]
    return Answer(200, _encode(sides))


def _trades(asked: Asked) -> Answer:
    """The last ones; with ``since_tid`` or ``timestamp`` (ms or s) the first ones after it [unverified]."""
    n = min(asked.count("limit_trades", 50), 500)
    trades = asked.source.trades(asked.symbol, PRINTS)
    if "since_tid" in asked.query:
        trades = [t for t in trades if (t.number or 0) > asked.count("since_tid", 0)][:n]
    elif since := asked.count("timestamp", 0) or asked.count("since", 0):  # the same [doc]
        since_ns = since * (MILLISECOND if since >= 10**11 else SECOND)
        trades = [t for t in trades if (t.venue_ns or 0) >= since_ns][:n]
    rows = [
        {
            **{"timestamp": (t.venue_ns or 0) // SECOND, "timestampms": (t.venue_ns or 0) // MILLISECOND},
            **{"tid": t.number, "price": t.price_text, "amount": t.size_text},
            **{"exchange": "gemini", "type": t.side},
        }
        for t in list(reversed(trades))[:n]
    ]
    return Answer(200, _encode(rows))


def _pubticker(asked: Asked) -> Answer:
    base, quote = _currencies(asked.symbol)
    traded = [(Decimal(bar.volume_text), Decimal(bar.vwap_text or 0)) for bar in asked.hours()]
    volume = {
        base: f"{sum(size for size, _ in traded):f}",
        quote: f"{sum(size * price for size, price in traded):f}",
        "timestamp": asked.now_ns // MILLISECOND,
    }
    return Answer(200, _encode({**asked.best(), "last": asked.last(), "volume": volume}))


def _ticker(asked: Asked) -> Answer:
    hours, last = asked.hours(), asked.last()
    said = {
        "symbol": _native(asked.symbol),
        "open": hours[0].open_text if hours else last,
        "high": max((bar.high_text for bar in hours), key=Decimal, default=last),
        "low": min((bar.low_text for bar in hours), key=Decimal, default=last),
        "close": last,
        "changes": [bar.close_text for bar in reversed(hours)][:24],
    }
    return Answer(200, _encode(said | asked.best()))


def _price(asked: Asked) -> dict[str, str]:
    hours, last = asked.hours(), asked.last()
    before = Decimal(hours[0].open_text if hours else last)
    change = (Decimal(last) - before) / before * 100
    return {"pair": _native(asked.symbol), "price": last, "percentChange24h": f"{change:.2f}"}


def _history(asked: Asked) -> Answer:
    interval = _INTERVALS.get(asked.interval)
    if interval is None:
        return _bad_request(asked.interval, "time frame")
    return Answer(200, _encode(_rows(_past(asked.source, asked.symbol, interval, asked.now_ns))))


_REST: dict[Pattern[str], Callable[[Asked], Answer]] = {
    re.compile(r"/v1/symbols/details/([^/]+)/?"): _details,
    re.compile(r"/v1/book/([^/]+)/?"): _book,
    re.compile(r"/v1/trades/([^/]+)/?"): _trades,
    re.compile(r"/v1/pubticker/([^/]+)/?"): _pubticker,
    re.compile(r"/v2/ticker/([^/]+)/?"): _ticker,
    re.compile(r"/v2/candles/([^/]+)/([^/]+)/?"): _history,
}
