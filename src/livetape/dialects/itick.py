"""iTick, its sockets and its REST, in the server role. Source: as the adapter's.

What the vendor's papers leave open, or tell in two ways, is a switch. Not here: months (``kline@10``), the
plans' calls a minute, and futures and funds, of which no market is made.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from msgspec import UNSET, MsgspecError, Raw, UnsetType, json

from ..adapters.itick.places import REGIONS, Place, place, split
from ..adapters.itick.wire import (
    PERIODS,
    UNRESOLVED,
    Candle,
    Depth,
    Kline,
    NestedKline,
    Push,
    Quote,
    Request,
    Tick,
    WireLevel,
)
from ..core.decimals import Level
from ..core.dialect import Action, Answer, Call, Day, Dialect, Hangup, House, Pushed, Source
from ..core.events import Bar, Trade
from ..core.instruments import interval_ns
from ..core.times import MILLISECOND, SECOND

EXCEEDING = "exceeding the maximum subscription limit"
AUTH_FAILED = "auth failed"
NOT_FOUND = "not found this produce"  # the vendor's spelling
MOST_BARS = 1000  #: in a REST answer

_encode = json.Encoder().encode
_request = json.Decoder(Request)
_rest = re.compile(rf"/({'|'.join(REGIONS)})/(tick|quote|depth|kline)(s?)").fullmatch
_COUNT = re.compile(r"\d{1,15}").fullmatch
_BARS = {f"kline@{n}": kind for kind, n in PERIODS.items()}
_PERIODS = {str(n): kind for kind, n in PERIODS.items()}
_TYPES = {"tick", "quote", "depth", *_BARS}


class FullQuote(Quote, gc=False, kw_only=True):
    """As REST has it: with the previous close, the change and the change in percent."""

    p: Raw
    ch: Raw
    chp: Raw


class ITickDialect(Dialect):
    """Ticks, quotes, depth and bars of one asset class a socket."""

    venue = "itick"
    path = re.compile(rf"/(?:websocket/)?({'|'.join(REGIONS)})/?")
    beat_s = 5.0
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "policy": ("reject_new", "kick_old", "any"),  # beyond ``sockets`` of one key and asset class
        "sockets": ("6", "N"),  # as on the professional plan
        "cap": ("500", "N"),  # symbols of a connection; 3 on the free plan
        "scope": ("asset", "key"),  # whether ``sockets`` and ``cap`` are those of a key in all asset classes
        "counts": ("symbols", "streams"),  # what the cap counts
        "unknown": ("refuse", "ignore"),  # what becomes of a symbol that is not listed
        "present": ("yes", "no"),  # whether quote, depth and bars of now come with a subscription
        "heartbeat": ("answer", "close", "ignore"),  # to {"ac":"heartbeat"}, which is not documented
        "pings": ("count", "ignore"),  # whether a ping of the WebSocket protocol is a heartbeat
        "kline": ("flat", "nested", "none"),  # none on the free plan
        "tick_v": ("tick", "day"),  # whose volume a tick has
        "ts": ("0", "1", "2", "3"),  # the trading state of all quotes
        "idle_s": ("60", "N"),  # without a heartbeat, then it hangs up
        "close_code": ("1000", "N"),  # of every hang-up; 0 is a reset
    }
    #: The asset class by the last part of a path, and whether each socket serves all of them.
    assets: ClassVar[Mapping[str, str]] = {asset: asset for asset in REGIONS}
    mixed: ClassVar[bool] = False

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self._asset = self._key = ""
        self._names: dict[str, str] = {}  # the vendor's spellings to symbols
        self._types: dict[str, set[str]] = {}  # subscribed, by symbol
        self._windows: dict[str, tuple[list[Level], list[Level]]] = {}  # the levels the client has
        self._beaten_ns = 0

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        self._asset = self.assets[call.path.rstrip("/").rpartition("/")[2]]
        self._names = _catalogue(self.source, "" if self.mixed else self._asset)
        self._beaten_ns = now_ns
        greeting = _control({"code": 1, "msg": "Connected Successfully"})
        key = _token(call)
        return [greeting] if key is None else [greeting, self._login(key, {"data": {"params": key}})]

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = _request.decode(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [_no(UNRESOLVED)]
        match request.ac:
            case "ping":
                self._beaten_ns = now_ns
                return [_control({"resAc": "pong", "data": {"params": request.params}})]
            case "auth":
                return [self._login(request.params)]
            case "subscribe":
                return list(self._subscribe(request, now_ns))
            case "heartbeat":
                return self._heartbeat(now_ns)
            case "unsubscribe":  # [user report]
                self._hang_up("no action")
                return [_no("no action")]
        return [_no(UNRESOLVED)]

    def pinged(self, now_ns: int) -> None:
        if self.switch("pings") == "count":  # the vendor's own Python client sends no other
            self._beaten_ns = now_ns

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol, ns = action.symbol, action.ns
        types = self._types.get(symbol, set())
        out: list[Pushed] = []
        if action.trades:
            if "tick" in types:
                for trade in action.trades:
                    out += self._shared(memo, f"{symbol}/trade", trade.id, partial(self._tick, trade))
            if "quote" in types:
                out += self._shared(memo, f"{symbol}/summary", "", partial(self._quote, symbol, ns))
            for bars in sorted(types & _BARS.keys()):
                kind = _BARS[bars]
                out += self._shared(memo, f"{symbol}/{kind}", "", partial(self._kline, symbol, kind, ns))
        if action.changes and "depth" in types and self._moved(symbol):
            out += self._shared(memo, f"{symbol}/book", "", partial(self._depth, symbol))
        return out

    def beat(self, now_ns: int) -> list[Pushed]:
        if now_ns - self._beaten_ns > float(self.switch("idle_s")) * SECOND:
            self._hang_up("no heartbeat")
        return []

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        asked = _rest(call.path)
        if asked is None and call.path not in ("/symbol/list", "/symbol/holidays"):
            return None
        if not house.admits(_token(call) or ""):
            return _failed("E002", AUTH_FAILED)
        if asked is not None:
            return _market_data(source, asked, call.query, now_ns)
        if call.path == "/symbol/holidays":  # a simulated market has none
            return _ok([])
        return _ok(_listed(source, call.query))

    @classmethod
    def busy(cls, status: int) -> bytes:
        """Of too many calls a minute the vendor's papers say nothing: as of too many subscriptions."""
        return _failed("E003", EXCEEDING).body if status == 429 else b""

    # Who comes in, and who goes

    def _login(self, key: str, more: Mapping[str, Any] | None = None) -> Pushed:
        reason = AUTH_FAILED if not self.house.admits(key) else self._contend(key)
        if reason:
            self._hang_up(reason)
            return _no(reason, "auth")
        self._key = key
        return _control({"code": 1, "resAc": "auth", "msg": "authenticated", **(more or {})})

    def _contend(self, key: str) -> str:
        """Find a place among the connections of ``key``; why there is none, if so."""
        policy, most = self.switch("policy"), int(self.switch("sockets"))
        rivals = self._others(key)
        surplus = max(0, len(rivals) + 1 - most)
        if policy == "reject_new" and surplus:
            return EXCEEDING
        if policy == "kick_old":
            for rival in rivals[:surplus]:
                rival._hang_up("another connection")
        return ""

    def _others(self, key: str) -> list["ITickDialect"]:
        """The other connections of ``key`` in this asset class, or in all, the oldest first."""
        everywhere = self.switch("scope") == "key"
        return [
            member
            for member in self.house.members
            if isinstance(member, ITickDialect)
            and member is not self
            and member._key == key
            and (everywhere or member._asset == self._asset)
        ]

    def _heartbeat(self, now_ns: int) -> list[Pushed]:
        reply = self.switch("heartbeat")
        if reply == "answer":
            self._beaten_ns = now_ns
            return [_no(UNRESOLVED)]
        if reply == "close":
            self._hang_up("no action")
        return []

    def _hang_up(self, reason: str) -> None:
        self.leaving = Hangup(int(self.switch("close_code")) or None, reason)
        self._key = ""
        self._types.clear()

    # Subscriptions

    def _subscribe(self, request: Request, now_ns: int) -> Iterator[Pushed]:
        codes = _list(request.params)
        types = {"kline@1" if each == "kline" else each for each in _list(request.types)}
        symbols = [self._names[code] for code in map(_spelling, codes) if code in self._names]
        unknown = len(symbols) < len(codes) and self.switch("unknown") == "refuse"
        wanted = self._types | {symbol: self._types.get(symbol, set()) | types for symbol in symbols}
        if not self._key:
            yield _no(AUTH_FAILED, "subscribe")
        elif not codes or not types or not types <= _TYPES or unknown:
            yield _no(UNRESOLVED, "subscribe")
        elif self._taken(wanted) > int(self.switch("cap")):
            yield _no(EXCEEDING, "subscribe")
        else:
            self._types = wanted
            yield _control({"code": 1, "resAc": "subscribe", "msg": "subscribe Successfully"})
            for symbol in dict.fromkeys(symbols) if self.switch("present") == "yes" else ():
                yield from self._present(symbol, types, now_ns)

    def _taken(self, types: Mapping[str, set[str]]) -> int:
        """What ``types`` take of the cap, with those of the key's other connections if it is one for all."""
        others = self._others(self._key) if self.switch("scope") == "key" else ()
        having = [types, *[other._types for other in others]]
        if self.switch("counts") == "symbols":
            return sum(map(len, having))
        return sum(len(each) for types in having for each in types.values())

    def _present(self, symbol: str, types: set[str], now_ns: int) -> Iterator[Pushed]:
        """What is so now; without it a market that stands would say nothing."""
        if "quote" in types:
            yield from self._shared({}, f"{symbol}/summary", "", partial(self._quote, symbol, now_ns))
        if "depth" in types:
            self._moved(symbol)
            yield from self._shared({}, f"{symbol}/book", "", partial(self._depth, symbol))
        for kind in [_BARS[bars] for bars in sorted(types & _BARS.keys())]:
            yield from self._shared({}, f"{symbol}/{kind}", "", partial(self._kline, symbol, kind, now_ns))

    # Data

    def named(self, at: Place) -> tuple[str, str | UnsetType]:
        """How data name what is ``at``: symbol and region."""
        return at.native, at.region

    def _shared(
        self, memo: dict[str, bytes], channel: str, id: str | None, make: Callable[[], object]
    ) -> list[Pushed]:
        """What ``make`` makes, made once for all clients of this API; nothing where that is None."""
        key = f"{type(self).__name__} {channel} {id}"
        if key not in memo:
            made = make()
            memo[key] = b"" if made is None else _encode(made)
        return [Pushed(memo[key], (f"itick:{channel}",))] if memo[key] else []

    def _tick(self, trade: Trade) -> Push[Tick]:
        symbol = trade.symbol
        s, r = self.named(place(symbol))
        volume = trade.size_text if self.switch("tick_v") == "tick" else _day(self.source, symbol).volume
        ms = (trade.venue_ns or 0) // MILLISECOND
        return Push(data=Tick(s=s, r=r, ld=_raw(trade.price_text), v=_raw(volume), t=ms))

    def _quote(self, symbol: str, ns: int) -> Push[Quote]:
        s, r = self.named(place(symbol))
        return Push(data=Quote(s=s, r=r, ts=int(self.switch("ts")), **_figures(self.source, symbol, ns)))

    def _moved(self, symbol: str) -> bool:
        """Whether the levels the client sees have changed."""
        window = _window(self.source, symbol)
        moved = window != self._windows.get(symbol)
        self._windows[symbol] = window
        return moved

    def _depth(self, symbol: str) -> Push[Depth]:
        s, r = self.named(place(symbol))
        bids, asks = map(_wire, self._windows[symbol])
        return Push(data=Depth(s=s, r=r, a=asks, b=bids))

    def _kline(self, symbol: str, kind: str, ns: int) -> object:
        """The bar in progress; None before its first print."""
        envelope, length = self.switch("kline"), interval_ns(kind)
        now = self.source.bars(symbol, length, ns - length + 1, ns + 1)
        if envelope == "none" or not now:
            return None
        (s, r), period, figures = self.named(place(symbol)), PERIODS[kind], _candle(now[-1])
        if envelope == "flat":
            return Push(data=Kline(s=s, r=r, type=f"kline@{period}", **figures))
        return {"code": 0, "msg": None, "data": NestedKline(s=s, r=r, t=period, k=Candle(**figures))}


# What the vendor says of itself


def _control(said: Mapping[str, Any]) -> Pushed:
    return Pushed(_encode(said))


def _no(reason: str, action: str = "") -> Pushed:
    return _control({"code": 0, **({"resAc": action} if action else {}), "msg": reason})


def _ok(data: object) -> Answer:
    return Answer(200, _encode({"code": 0, "msg": None, "data": data}))


def _failed(code: str, reason: str) -> Answer:
    return Answer(200, _encode({"code": code, "msg": reason, "data": None}))


# What is asked


def _token(call: Call) -> str | None:
    return call.headers.get("token", call.query.get("token"))


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _spelling(code: str) -> str:
    """``code`` as ``_catalogue`` has it: ``EURUSD``, ``AAPL$US``."""
    bare, region = split(code.upper())
    return bare.replace("_", "") + (f"${region}" if region else "")


def _catalogue(source: Source, asset: str) -> dict[str, str]:
    """The symbols of ``asset``, "" for all, by their codes with and without a region."""
    names: dict[str, str] = {}
    for at, symbol, _ in _places(source):
        if asset in ("", at.asset):
            names |= {at.native: symbol, f"{at.native}${at.region}": symbol}
    return names


def _places(source: Source) -> list[tuple[Place, str, str]]:
    """Where the instruments are, their symbols and their names; there are no options."""
    return [(place(i.symbol), i.symbol, i.name) for i in source.instruments() if i.asset != "option"]


# What the market says


def _raw(number: str) -> Raw:
    return Raw(number.encode())


def _day(source: Source, symbol: str) -> Day:
    day = source.day(symbol)
    assert day is not None, "a listed symbol has a day"
    return day


def _figures(source: Source, symbol: str, ns: int) -> dict[str, Any]:
    day = _day(source, symbol)
    return {
        **{"ld": _raw(day.last), "o": _raw(day.open), "h": _raw(day.high), "l": _raw(day.low)},
        **{"t": ns // MILLISECOND, "v": _raw(day.volume), "tu": _raw(day.turnover)},
    }


def _window(source: Source, symbol: str) -> tuple[list[Level], list[Level]]:
    """The levels that are shown: one of forex, else five a side."""
    book, n = source.book(symbol), 1 if place(symbol).asset == "forex" else 5
    return ([], []) if book is None else (book.bids.top(n), book.asks.top(n))


def _wire(levels: Sequence[Level]) -> list[WireLevel]:
    """The count of orders repeats the size, as in the vendor's examples."""
    return [WireLevel(po=n + 1, p=_raw(p), v=_raw(v), o=_raw(v)) for n, (p, v) in enumerate(levels)]


def _candle(bar: Bar) -> dict[str, Any]:
    """The turnover is exact but for the rounding of the mean price."""
    turnover = Decimal(bar.vwap_text or bar.close_text) * Decimal(bar.volume_text)
    return {
        **{"t": bar.start_ns // MILLISECOND, "o": _raw(bar.open_text), "h": _raw(bar.high_text)},
        **{"l": _raw(bar.low_text), "c": _raw(bar.close_text), "v": _raw(bar.volume_text)},
        "tu": _raw(f"{turnover:f}"),
    }


# REST


def _market_data(source: Source, asked: re.Match[str], query: Mapping[str, str], now_ns: int) -> Answer:
    asset, what, many = asked.groups()
    names, region = _catalogue(source, asset), query.get("region", "").upper()
    codes = _list(query.get("codes" if many else "code", ""))
    known = {
        code: names[spelt]
        for code in codes
        if (spelt := _spelling(f"{code}${region}" if region else code)) in names
    }
    kind = _PERIODS.get(query.get("kType", "1"))
    if not known or kind is None:
        return _failed("E001", NOT_FOUND)
    if what == "kline":
        data: dict[str, Any] = {code: _klines(source, known[code], kind, query, now_ns) for code in known}
    else:
        data = {code: _one(source, known[code], what, now_ns) for code in known}
    return _ok(data if many else next(iter(data.values())))


def _one(source: Source, symbol: str, what: str, now_ns: int) -> Tick | Quote | Depth:
    at = place(symbol)
    named: dict[str, Any] = {"s": at.native, "r": at.region, "type": UNSET}
    if what == "depth":
        bids, asks = map(_wire, _window(source, symbol))
        return Depth(a=asks, b=bids, **named)
    if what == "tick":
        trades = source.trades(symbol, 1)
        price, size = (
            (trades[-1].price_text, trades[-1].size_text) if trades else (_day(source, symbol).last, "0")
        )
        ns = (trades[-1].venue_ns or now_ns) if trades else now_ns
        return Tick(ld=_raw(price), v=_raw(size), t=ns // MILLISECOND, **named)
    day = _day(source, symbol)
    before = Decimal(day.previous_close)
    change = Decimal(day.last) - before
    percent = (100 * change / before).quantize(Decimal("0.01"))
    figures = _figures(source, symbol, now_ns)
    moved: dict[str, Any] = {
        "p": _raw(day.previous_close),
        "ch": _raw(f"{change:f}"),
        "chp": _raw(f"{percent:f}"),
    }
    return FullQuote(**figures, **moved, **named)


def _klines(
    source: Source, symbol: str, kind: str, query: Mapping[str, str], now_ns: int
) -> list[dict[str, Any]]:
    """The last bars up to ``et``, newest first [user report]."""
    limit, until = query.get("limit", ""), query.get("et", "")
    n = min(int(limit), MOST_BARS) if _COUNT(limit) else 100
    end_ns = int(until) * MILLISECOND + 1 if _COUNT(until) else now_ns + 1
    length = interval_ns(kind)
    bars: Sequence[Bar] = []
    for start_ns in (end_ns - n * length, 0):  # further back where it has not always been open
        if len(bars) < n:
            bars = source.bars(symbol, length, start_ns, end_ns)
    return [_candle(bar) for bar in reversed(bars[max(0, len(bars) - n) :])]


def _listed(source: Source, query: Mapping[str, str]) -> list[dict[str, str]]:
    asset, region, code = (query.get(name, "") for name in ("type", "region", "code"))
    return [
        {"c": at.native, "n": name, "t": asset, "e": at.region, "s": "", "l": at.native.lower()}
        for at, _, name in _places(source)
        if at.asset == asset and region.upper() in ("", at.region) and code.upper() in ("", at.native)
    ]
