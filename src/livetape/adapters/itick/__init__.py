"""iTick. Source: https://docs.itick.org and https://github.com/itick-org/free-stock-api (read 2026-11-20).

Each asset class has a socket of its own; the key is a header of the upgrade. Control frames say ``code`` 1
for yes and 0 for no, REST the opposite, and older bars carry 0 as well [doc]: so whether a frame has data
is asked first, what it answers second, its code last.

Nothing is numbered and trades have no id: a loss cannot be seen. A book is sent whole each time, so it mends
itself with the next one. Nothing can be unsubscribed: a connection that asks for it is closed [user report].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

from msgspec import MsgspecError, json

from ...core.adapter import NOBODY, Adapter, History, Limits, Span
from ...core.credentials import Credentials
from ...core.errors import ConfigError
from ...core.events import Ack, BookUpdate, Denied, Heartbeat, LoggedIn, Message, Trade, Why
from ...core.instruments import Channel, Instrument, interval_ns
from ...core.times import MILLISECOND
from .places import ASSETS, REGIONS, Place, canonical, place, split
from .read import bar, book, status, summary, trade, trade_of_day
from .wire import (
    BARS,
    CODED_BARS,
    PERIODS,
    TYPES,
    UNRESOLVED,
    Quote,
    Request,
    Tick,
    decode_depth,
    decode_head,
    decode_kline,
    decode_listing,
    decode_nested,
    decode_past,
    decode_quote,
    decode_tick,
    decode_verdict,
)


class Plan(NamedTuple):
    """What a plan allows: symbols on one connection, and connections to one asset class."""

    symbols: int
    sockets: int


#: https://itick.org/pricing (read 2026-09-16); no connection carries more than 500 [doc].
PLANS = {
    "free": Plan(3, 1),
    "base": Plan(200, 3),
    "professional": Plan(500, 6),
    "premium": Plan(500, 12),
}
#: The options that list codes, and the asset class of these.
LISTS = {
    **{"forex": "forex", "indices": "indices", "crypto": "crypto"},
    **{"stocks": "stock", "futures": "future", "funds": "fund"},
}
MOST_BARS = 500  #: asked for at once [unverified]
#: Why REST refuses, by the code of its answer [doc].
_WHY = {"E001": Why.SYMBOL, "E002": Why.LOGIN, "E003": Why.LIMIT}


class ITick(Adapter):
    """Trades, day summaries, books, bars and trading states; quotes follow from books.

    The option ``plan`` (free, base, professional, premium) sets how much is asked for. Without it a
    connection takes 500 symbols, as the protocol does, and each asset class has one; what your plan does not
    cover is then refused by the vendor and told as such. ``forex``, ``indices``, ``crypto``, ``stocks``,
    ``futures`` and ``funds`` list codes whose asset class would be guessed wrong. ``tick_v`` says what the
    vendor does not, whose volume a tick has: its own (``tick``) or the day's so far (``day``). Of the latter
    a trade has the rise since the symbol's last one.
    """

    venue = "itick"
    title = "iTick"
    ws_url = "wss://api.itick.org"
    rest_url = "https://api.itick.org"
    kinds = frozenset(TYPES)
    sample = "EUR-USD"
    key_names = ("ITICK_API_KEY",)
    option_names = frozenset({"plan", "tick_v", *LISTS})
    limits = Limits(symbols_per_socket=500, sockets_per_key=1)
    heartbeat_s = 20.0  # at least every 30 s; after 60 s without one it hangs up [doc]
    silence_s = 45.0  # each heartbeat is answered [doc]
    awaits_login = True
    #: The path of each asset class.
    paths: ClassVar[Mapping[str, str]] = {asset: asset for asset in REGIONS}

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        plan = (options or {}).get("plan")
        if plan is not None:
            if not isinstance(plan, str) or plan not in PLANS:
                raise ConfigError(f"unknown plan {plan!r}", where=self.venue, allowed=list(PLANS))
            most = PLANS[plan]
            self.limits = Limits(symbols_per_socket=most.symbols, sockets_per_key=most.sockets)
        super().__init__(options, credentials)
        tick_v = self.options.get("tick_v", "tick")
        if tick_v not in ("tick", "day"):
            raise ConfigError(f"unknown tick_v {tick_v!r}", where=self.venue, allowed=["tick", "day"])
        self._daily = tick_v == "day"
        self._volumes: dict[str, Decimal] = {}  # the last one of a symbol's day
        self._assets = {code: asset for name, asset in LISTS.items() for code in self._codes(name)}
        self._symbols: dict[tuple[str, str], str] = {}  # by code and region, of what was asked for
        self._waiting: list[tuple[str, ...]] = []  # channels of each request that is not answered yet
        self._states: dict[str, int] = {}  # the last one told of a symbol

    def _codes(self, name: str) -> Sequence[str]:
        """The codes that the option ``name`` lists, in our spelling."""
        codes = self.options.get(name, [])
        if not isinstance(codes, list | tuple) or not all(isinstance(code, str) and code for code in codes):
            raise ConfigError(f"{name} must list codes, not be {codes!r}", where=self.venue)
        return [split(self.canonical(code))[0] for code in codes]

    @classmethod
    def canonical(cls, symbol: str) -> str:
        return canonical(symbol)

    def route(self, channel: Channel) -> str:
        return self._place(channel.symbol).asset

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}/{self.paths[self.route(channels[0])]}"

    def ws_headers(self) -> Mapping[str, str]:
        return {"token": self.credentials.key}

    def rest_headers(self) -> Mapping[str, str]:
        return {"token": self.credentials.key, "accept": "application/json"}

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection owes no answers, and what it has missed is not known."""
        self._waiting.clear()
        self._volumes.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """One symbol a request: a refusal does not say which."""
        wanted: dict[str, list[Channel]] = {}
        for channel in channels:
            wanted.setdefault(channel.symbol, []).append(channel)
            if channel.kind == "status":
                self._states.pop(channel.symbol, None)  # it is to be told
        return [self._request(symbol, together) for symbol, together in wanted.items()]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    @property
    def dials_to_drop(self) -> bool:
        return True

    def heartbeat(self, now_ns: int) -> bytes:
        return json.encode(Request("ping", str(now_ns // MILLISECOND)))

    def stream(self, channel: Channel) -> str:
        return TYPES[channel.kind]

    def native(self, place: Place) -> str:
        """How a subscription spells what is at ``place``."""
        return f"{place.native}${place.region}"

    def parse(self, frame: bytes) -> Iterable[Message]:
        head = decode_head(frame)
        if head.data is not None and head.data.s:
            return self._data(self._symbol(head.data.s, head.data.r), head.data.type, frame)
        match head.resAc, head.code:
            case ("pong", _) | ("", 1):  # the latter greets
                return [Heartbeat()]
            case "auth", 1:
                return [LoggedIn()]
            case "subscribe", 1:
                return [Ack(name) for name in self._answered()]
            case "auth" | "subscribe" | "", 0:
                return [self._refusal(head.resAc, head.msg or "refused")]
        raise ValueError(f"unknown message {head.resAc!r}")

    def symbols_paths(self) -> Sequence[str]:
        """Four of the five calls a minute that the free plan allows [doc]."""
        return [f"/symbol/list?type={asset}&region={REGIONS[asset]}" for asset in ASSETS]

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        listing, query = decode_listing(body), parse_qs(urlsplit(path).query)
        if listing.code != 0 or listing.data is None:
            raise ValueError(f"{listing.code} {listing.msg or ''}")
        [asset], [region] = query["type"], query["region"]
        natives = [(f"{each.c}${region}", each.n or "") for each in listing.data]
        return [
            Instrument(self.canonical(native), native, name=name, asset=ASSETS[asset])
            for native, name in natives
        ]

    def refusal(self, body: bytes) -> Denied | None:
        try:
            verdict = decode_verdict(body)
        except (MsgspecError, ValueError, RecursionError):
            return None
        if verdict.code == 0:
            return None
        why = _WHY.get(str(verdict.code), Why.OTHER)
        return Denied(f"{verdict.code} {verdict.msg or ''}".strip(), why=why)

    def price_path(self, symbol: str) -> str:
        at = self._place(symbol)
        return f"/{at.asset}/quote?region={at.region}&code={at.native}"

    def audit_path(self, symbol: str) -> str:
        at = self._place(symbol)
        return f"/{at.asset}/depth?region={at.region}&code={at.native}"

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        return book(symbol, decode_depth(body).data)

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """The bars up to the end of ``span``. Trades have no id, and REST tells only the last one."""
        if (period := PERIODS.get(channel.kind)) is None:
            return None
        n = (span.end_ns - span.start_ns) // interval_ns(channel.kind) + 2
        at = self._place(channel.symbol)
        where = f"/{at.asset}/kline?region={at.region}&code={at.native}"
        return f"{where}&kType={period}&limit={n}&et={span.end_ns // MILLISECOND}" if n <= MOST_BARS else None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        candles = sorted(decode_past(body).data, key=lambda candle: candle.t)
        return History([bar(channel.symbol, channel.kind, candle) for candle in candles])

    # What was asked for

    def _place(self, symbol: str) -> Place:
        return place(symbol, self._assets)

    def _request(self, symbol: str, channels: Sequence[Channel]) -> bytes:
        at = self._place(symbol)
        self._symbols |= {(at.native, at.region): symbol, (at.native, ""): symbol}
        self._waiting.append(tuple(map(str, channels)))
        types = dict.fromkeys(TYPES[channel.kind] for channel in channels)
        return json.encode(Request("subscribe", self.native(at), ",".join(types)))

    def _symbol(self, s: str, r: str) -> str:
        code, region = split(s.upper())
        region = r.upper() or region
        known = self._symbols.get((code.replace("_", ""), region))
        return known or self.canonical(f"{code}${region}" if region else code)

    def _answered(self) -> tuple[str, ...]:
        """The channels of the oldest request without an answer: the venue answers in order."""
        return self._waiting.pop(0) if self._waiting else ()

    def _refusal(self, action: str, reason: str) -> Denied:
        beyond = "exceeding" in reason
        if action == "auth" or "auth failed" in reason:
            return Denied(reason, (), Why.CONNECTIONS if beyond else Why.LOGIN)
        refused = self._answered()
        if refused and UNRESOLVED in reason:  # all else of a request of ours is as documented
            return Denied(reason, refused, Why.SYMBOL)
        return Denied(reason, refused, Why.LIMIT if beyond else Why.OTHER)

    # Data

    def _data(self, symbol: str, kind: str, frame: bytes) -> Iterable[Message]:
        match kind:
            case "tick":
                return [self._trade(symbol, decode_tick(frame).data)]
            case "quote":
                return self._summary(symbol, decode_quote(frame).data)
            case "depth":
                return [book(symbol, decode_depth(frame).data)]
            case "":
                nested = decode_nested(frame).data
                return [bar(symbol, CODED_BARS[nested.t], nested.k)]
            case _:
                return [bar(symbol, BARS[kind], decode_kline(frame).data)]

    def _trade(self, symbol: str, tick: Tick) -> Trade:
        if not self._daily:
            return trade(symbol, tick)
        told, self._volumes[symbol] = trade_of_day(symbol, tick, self._volumes.get(symbol))
        return told

    def _summary(self, symbol: str, quote: Quote) -> Iterator[Message]:
        yield summary(symbol, quote)
        if quote.ts != (before := self._states.get(symbol)):
            yield status(symbol, quote, before)
        self._states[symbol] = quote.ts
