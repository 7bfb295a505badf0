"""Gemini's new market data API in the server role. Source: as the adapter's."""

import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from msgspec import MsgspecError, Struct, field, json

from ..adapters.gemini_v3 import BookTicker, Depth, Partial, Print
from ..core.decimals import Level
from ..core.dialect import Action, Call, Change, Dialect, House, Pushed, Source
from ..core.events import Mark
from ..core.times import MILLISECOND
from .gemini import FUNDING_MINUTES, funding

Best = tuple[Level | None, Level | None]
_MARKS = ("markPrice", "fundingAmount")
_STREAM = re.compile(
    rf"([a-z0-9]+)@(bookTicker|trade|{'|'.join(_MARKS)}|(depth(5|10|20)?)(@100ms)?)", re.ASCII
).fullmatch
#: By how many powers of ten the index of a mark is moved; that of others is not published [user report].
_SHIFTS = {"BTCGUSDPERP": 2, "ETHGUSDPERP": 1}
_COUNT = re.compile(r"\d{1,6}", re.ASCII).fullmatch
_encode = json.Encoder().encode
#: Whether snapshots or the acknowledgement come first, and how partial books name their symbol.
_SWITCHES = {"ack": ("last", "first"), "partial-symbol": ("symbol", "s")}
_LIMITS = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": n, "limit": limit, "count": 1}
    for kind, interval, n, limit in (
        ("REQUEST_WEIGHT", "SECOND", 10, 7_000),
        ("CONNECTION_ATTEMPTS", "MINUTE", 5, 300),
    )
]


class Query(Struct):
    """The ``params`` of a one-shot book."""

    symbol: str
    limit: int = 100


class Request(Struct):
    method: str
    id: int | str | None = None
    params: list[str] | Query = field(default_factory=list)


_request = json.Decoder(Request)


class GeminiV3Dialect(Dialect):
    """Books chained by U and u, best prices, trades, and marks of perpetuals.

    What funding is settled on the hour is not told.
    """

    venue = "gemini"
    path = re.compile("/?")
    ping_s = 20.0
    switches = _SWITCHES

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self._natives = {i.symbol.replace("-", "").lower(): i.symbol for i in source.instruments()}
        self._streams: dict[str, tuple[str, str]] = {}  # as they were asked for, to symbol and kind
        self._levels: int | None = 0  # of a snapshot, None for all
        self._ids: dict[str, int] = {}  # of the last update of each symbol
        self._best: dict[str, Best] = {}  # as it was told last

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        asked = call.query.get("snapshot", "0")
        self._levels = None if asked == "-1" else int(asked) if _COUNT(asked) else 0
        return []

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [_failed(None, -1013, "Invalid request")]
        match request.method.lower(), request.params:
            case "subscribe" | "unsubscribe" as method, list(streams):
                return self._change(method, request.id, streams, now_ns)
            case "list_subscriptions", _:
                return [_granted(request.id, result=list(self._streams))]
            case "ping", _:
                return [_granted(request.id)]
            case "time", _:
                return [_granted(request.id, result={"serverTime": now_ns // MILLISECOND})]
            case "conninfo", _:
                return [_granted(request.id, rateLimits=_LIMITS)]
            case "depth", Query() as query:
                return [self._depth(request.id, query, now_ns)]
        return [_failed(request.id, -1020, "Unsupported operation")]

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol = action.symbol
        kinds = {kind: None for of, kind in self._streams.values() if of == symbol}
        out: list[Pushed] = []
        if "trade" in kinds:
            out += self._trades(action, memo)
        if action.mark is not None:
            out += self._mark(action.mark, kinds, memo)
        if kinds and action.changes:
            before, at = self._ids[symbol], self._next(symbol, action.ns)
            for kind in kinds:
                if kind == "depth":
                    key = f"v3 {before} {at}"
                    frame = memo.get(key) or memo.setdefault(key, _difference(action, before, at))
                    out.append(Pushed(frame, (f"gemini:{symbol}/book",)))
                elif kind == "bookTicker":
                    out += self._ticker(symbol, action.ns)
                elif kind.startswith("depth"):
                    out.append(self._partial(symbol, int(kind.removeprefix("depth"))))
        return out

    def _change(self, method: str, id: int | str | None, streams: list[str], now_ns: int) -> list[Pushed]:
        """All of a request or, for one bad name, nothing."""
        matches = {stream: _STREAM(_lowered(stream)) for stream in streams}
        wanted: dict[str, tuple[str, str]] = {}
        for stream, match in matches.items():
            if match is None or not self._offers(match[1], match[2]):
                return [_failed(id, -1013, f"Invalid stream name: {stream}")]
            wanted[match[0]] = self._natives[match[1]], match[3] or match[2]
        if method == "unsubscribe":
            for stream in wanted:
                self._streams.pop(stream, None)
            return [_granted(id)]
        followed = {symbol for symbol, _ in self._streams.values()}
        for symbol in {symbol for symbol, _ in wanted.values()} - followed:
            self._next(symbol, now_ns)  # it has moved on while nobody looked
        begun = [pushed for symbol, kind in wanted.values() for pushed in self._begin(symbol, kind, now_ns)]
        self._streams |= wanted
        return [_granted(id), *begun] if self.switch("ack") == "first" else [*begun, _granted(id)]

    def _offers(self, native: str, stream: str) -> bool:
        """Whether there is the symbol, and of what is no perpetual no mark is asked for."""
        symbol = self._natives.get(native)
        return symbol is not None and (stream not in _MARKS or self.source.mark(symbol) is not None)

    def _begin(self, symbol: str, kind: str, now_ns: int) -> Iterator[Pushed]:
        book = self.source.book(symbol)
        assert book is not None
        at = self._ids[symbol]
        self._best.pop(symbol, None)
        if kind == "depth" and self._levels != 0:
            bids, asks = (side.top(self._levels or len(side)) for side in (book.bids, book.asks))
            frame = _encode(Depth(now_ns, _native(symbol), at, at, bids, asks))
            yield Pushed(frame, (f"gemini:{symbol}/book",))

    def _next(self, symbol: str, ns: int) -> int:
        """The number of the next update: they increase, with holes, and stay below 2**53."""
        self._ids[symbol] = max(self._ids.get(symbol, 0) + 1, ns // 1_000)
        return self._ids[symbol]

    def _trades(self, action: Action, memo: dict[str, bytes]) -> Iterator[Pushed]:
        for i, t in enumerate(action.trades):
            if (key := f"v3 {i}") not in memo:
                sold = t.side == "sell"
                wire = Print(action.ns, _native(t.symbol), t.number or 0, t.price_text, t.size_text, sold)
                memo[key] = _encode(wire)
            yield Pushed(memo[key], (f"gemini:{t.symbol}/trade",))

    def _mark(self, mark: Mark, kinds: Collection[str], memo: dict[str, bytes]) -> Iterator[Pushed]:
        for kind in _MARKS if mark.funding_text else _MARKS[:1]:
            if kind in kinds:
                frame = memo.get(kind) or memo.setdefault(kind, _marked(kind, mark))
                yield Pushed(frame, (mark.channel,))

    def _ticker(self, symbol: str, ns: int) -> Iterator[Pushed]:
        """The best prices, when they have changed since they were told."""
        book = self.source.book(symbol)
        assert book is not None
        best = (book.bids.best(), book.asks.best())
        if best != self._best.get(symbol):
            self._best[symbol] = best
            (b, B), (a, A) = (side or ("", "") for side in best)
            last = [(t.price_text, t.size_text) for t in self.source.trades(symbol, 1)] or [("", "")]
            wire = BookTicker(self._ids[symbol], ns, _native(symbol), b, B, a, A, *last[0])
            yield Pushed(_encode(wire), (f"gemini:{symbol}/quote",))

    def _partial(self, symbol: str, depth: int) -> Pushed:
        book = self.source.book(symbol)
        assert book is not None
        wire = Partial(self._ids[symbol], book.bids.top(depth), book.asks.top(depth))
        setattr(wire, self.switch("partial-symbol"), _native(symbol))
        return Pushed(_encode(wire), (f"gemini:{symbol}/book",))

    def _depth(self, id: int | str | None, query: Query, now_ns: int) -> Pushed:
        symbol = self._natives.get(query.symbol.lower(), "")
        book = self.source.book(symbol)
        if book is None or query.limit < 1:
            return _failed(id, -1013, f"Invalid symbol: {query.symbol}")
        at = self._ids.get(symbol, now_ns // 1_000)
        return _granted(id, result=Partial(at, book.bids.top(query.limit), book.asks.top(query.limit)))


def _native(symbol: str) -> str:
    return symbol.replace("-", "").lower()


def _lowered(stream: str) -> str:
    """``stream`` with its symbol in lower case, as the venue understands any."""
    symbol, at, name = stream.partition("@")
    return symbol.lower() + at + name


def _difference(action: Action, before: int, at: int) -> bytes:
    bids, asks = _moved("bid", action.changes), _moved("ask", action.changes)
    return _encode(Depth(action.ns, _native(action.symbol), before, at, bids, asks))


def _marked(kind: str, mark: Mark) -> bytes:
    """A mark, or the funding with the next settlement for its time."""
    native, price = _native(mark.symbol), mark.mark_text
    if kind == "markPrice":
        index = Decimal(mark.index_text or 0).scaleb(_SHIFTS.get(mark.symbol, 0))
        return _encode({"e": kind, "E": mark.venue_ns, "s": native, "p": price, "i": f"{index:f}"})
    amount, at = funding(mark)
    told = {"e": kind, "E": at, "s": native, "T": at, "i": FUNDING_MINUTES, "f": amount}
    return _encode({**told, "r": mark.funding_text, "p": price, "R": False})


def _moved(side: str, changes: Sequence[Change]) -> list[Level]:
    return [(change.price, change.remaining) for change in changes if change.side == side]


def _granted(id: int | str | None, **more: Any) -> Pushed:
    return Pushed(_encode({"id": id, "status": 200, **more}))


def _failed(id: int | str | None, code: int, message: str) -> Pushed:
    return Pushed(_encode({"id": id, "status": 400, "error": {"code": code, "msg": message}}))
