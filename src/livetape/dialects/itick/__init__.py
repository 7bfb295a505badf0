"""iTick, its sockets and its REST, in the server role. Source: as the adapter's.

What the vendor's papers leave open, or tell in two ways, is a switch. Not here: months (``kline@10``), the
plans' calls a minute, and futures and funds, of which no market is made.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from msgspec import MsgspecError, UnsetType, json

from ...adapters.itick.places import REGIONS, Place, place
from ...adapters.itick.wire import (
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
)
from ...core.decimals import Level
from ...core.dialect import Action, Answer, Call, Dialect, Hangup, House, Pushed, Source
from ...core.events import Trade
from ...core.instruments import interval_ns
from ...core.times import MILLISECOND, SECOND
from . import rest
from .data import candle, catalogue, day_of, encode, figures, parts, raw, spelling, token, window, wire_levels
from .rest import AUTH_FAILED, EXCEEDING

_request = json.Decoder(Request)
_BARS = {f"kline@{n}": kind for kind, n in PERIODS.items()}
_TYPES = {"tick", "quote", "depth", *_BARS}


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
        self._names = catalogue(self.source, "" if self.mixed else self._asset)
        self._beaten_ns = now_ns
        greeting = _control({"code": 1, "msg": "Connected Successfully"})
        key = token(call)
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
        return rest.answer(source, house, call, now_ns)

    @classmethod
    def busy(cls, status: int) -> bytes:
        return rest.busy(status)

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
        codes = parts(request.params)
        types = {"kline@1" if each == "kline" else each for each in parts(request.types)}
        symbols = [self._names[code] for code in map(spelling, codes) if code in self._names]
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
            memo[key] = b"" if made is None else encode(made)
        return [Pushed(memo[key], (f"itick:{channel}",))] if memo[key] else []

    def _tick(self, trade: Trade) -> Push[Tick]:
        symbol = trade.symbol
        s, r = self.named(place(symbol))
        volume = trade.size_text if self.switch("tick_v") == "tick" else day_of(self.source, symbol).volume
        ms = (trade.venue_ns or 0) // MILLISECOND
        return Push(data=Tick(s=s, r=r, ld=raw(trade.price_text), v=raw(volume), t=ms))

    def _quote(self, symbol: str, ns: int) -> Push[Quote]:
        s, r = self.named(place(symbol))
        return Push(data=Quote(s=s, r=r, ts=int(self.switch("ts")), **figures(self.source, symbol, ns)))

    def _moved(self, symbol: str) -> bool:
        """Whether the levels the client sees have changed."""
        now = window(self.source, symbol)
        moved = now != self._windows.get(symbol)
        self._windows[symbol] = now
        return moved

    def _depth(self, symbol: str) -> Push[Depth]:
        s, r = self.named(place(symbol))
        bids, asks = map(wire_levels, self._windows[symbol])
        return Push(data=Depth(s=s, r=r, a=asks, b=bids))

    def _kline(self, symbol: str, kind: str, ns: int) -> object:
        """The bar in progress; None before its first print."""
        envelope, length = self.switch("kline"), interval_ns(kind)
        now = self.source.bars(symbol, length, ns - length + 1, ns + 1)
        if envelope == "none" or not now:
            return None
        (s, r), period, numbers = self.named(place(symbol)), PERIODS[kind], candle(now[-1])
        if envelope == "flat":
            return Push(data=Kline(s=s, r=r, type=f"kline@{period}", **numbers))
        return {"code": 0, "msg": None, "data": NestedKline(s=s, r=r, t=period, k=Candle(**numbers))}


def _control(said: Mapping[str, Any]) -> Pushed:
    return Pushed(encode(said))


def _no(reason: str, action: str = "") -> Pushed:
    return _control({"code": 0, **({"resAc": action} if action else {}), "msg": reason})
