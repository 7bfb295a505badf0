"""iTick. Source: https://docs.itick.org and https://github.com/itick-org/free-stock-api (read 2026-11-20).

Each asset class has a socket of its own; the key is a header of the upgrade. Control frames say ``code`` 1
for yes and 0 for no, REST the opposite, and older bars carry 0 as well [doc]: so whether a frame has data
is asked first, what it answers second, its code last.

Nothing is numbered and trades have no id: a loss cannot be seen. A book is sent whole each time, so it mends
itself with the next one. Nothing can be unsubscribed: a connection that asks for it is closed [user report].
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from typing import ClassVar, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType, json

from ..core.adapter import NOBODY, Adapter, Limits
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import (
    Ack,
    Bar,
    BookUpdate,
    Denied,
    Heartbeat,
    LoggedIn,
    Message,
    Status,
    Summary,
    Trade,
    Why,
)
from ..core.instruments import Channel, Instrument, unified
from ..core.times import MILLISECOND, ns_of_ms

T = TypeVar("T")


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
#: The codes of the bars that have a kind; 10, the month, has none.
PERIODS = {f"bar.{i}": n + 1 for n, i in enumerate(("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1w"))}
TYPES = {"trade": "tick", "summary": "quote", "status": "quote", "book": "depth"} | {
    kind: f"kline@{n}" for kind, n in PERIODS.items()
}
#: Where the instruments of an asset class are, unless they say so.
REGIONS = {"forex": "GB", "indices": "GB", "crypto": "BA", "stock": "US", "future": "US", "fund": "US"}
#: What the vendor calls an asset class, and what we do.
ASSETS = {"forex": "forex", "indices": "index", "crypto": "crypto", "stock": "stock"}
#: The options that list codes, and the asset class of these.
LISTS = {
    **{"forex": "forex", "indices": "indices", "crypto": "crypto"},
    **{"stocks": "stock", "futures": "future", "funds": "fund"},
}
#: Why REST refuses, by the code of its answer [doc].
_WHY = {"E001": Why.SYMBOL, "E002": Why.LOGIN, "E003": Why.LIMIT}
UNRESOLVED = "cannot be resolved action"
_minus = Context(prec=100).subtract  # exact: no number is as long
_NORMAL = 0
_STATES = {
    _NORMAL: ("resumed", "normal"),
    1: ("halted", "suspended"),
    2: ("delisted", "delisted"),
    3: ("halted", "circuit breaker"),
}

_words = re.compile(r"\w+").findall
_COUNTRIES = _words("AU BA BT CA CN DE ES FR GB HK ID IN IT JP KR MX MY NL SG SH SZ TH TR TW US VN")
_MONEY = frozenset(
    _words(
        "AED ARS AUD BRL CAD CHF CLP CNH CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW KWD MXN MYR NOK "
        "NZD PEN PHP PLN RON RUB SAR SEK SGD THB TRY TWD USD VND XAG XAU XPD XPT ZAR"
    )
)
_INDICES = frozenset(
    _words(
        "ASX200 AUS200 CAC40 DAX DAX40 DJI ES35 EU50 FCHI FRA40 FTSE GDAXI GER30 GER40 HK50 HSI IXIC JP225 "
        "KOSPI N225 NAS100 NDX NI225 NSEI RUT SENSEX SPX SPX500 STOXX50 UK100 US30 US500 VIX"
    )
)
_spelt = re.compile(rf"(.+?)(?:\$(\w*)|\.({'|'.join(_COUNTRIES)}))?", re.ASCII | re.DOTALL).fullmatch


class Kind(Struct, gc=False):
    """What is needed of any data to know what it is."""

    s: str = ""
    r: str = ""
    type: str = ""


# {"code":1,"resAc":"auth","msg":"authenticated","data":{"params":"<KEY>"}}                              [doc]
class Head(Struct, gc=False):
    code: int | None = None
    resAc: str = ""
    msg: str | None = None
    data: Kind | None = None


class Push(Struct, Generic[T], gc=False, kw_only=True):
    code: int = 1
    data: T


# {"code":1,"data":{"s":"EURUSD","r":"GB","ld":225.215,"v":16742235,"t":1731689407000,"type":"tick"}}    [doc]
class Tick(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    ld: Raw
    v: Raw
    t: int
    type: str | UnsetType = "tick"


# {"code":1,"data":{"s":"AAPL.US","ld":225.215,"o":226.27,"h":226.92,"l":224.44,"t":1731689407000,
#  "v":16742235,"tu":3774688301.452,"ts":0,"type":"quote"}}                                              [doc]
class Quote(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    ld: Raw
    o: Raw
    h: Raw
    l: Raw  # noqa: E741
    t: int
    v: Raw
    tu: Raw
    ts: int = 0
    type: str | UnsetType = "quote"


class WireLevel(Struct, gc=False, kw_only=True):
    po: int | None = None
    p: Raw
    v: Raw
    o: Raw = Raw(b"null")


# {"code":1,"data":{"s":"AAPL.US","a":[{"po":1,"p":3034.01,"v":10.6023,"o":10.6023}],
#  "b":[{"po":1,"p":3034,"v":20.9758,"o":20.9758}],"type":"depth"}}                                      [doc]
class Depth(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    a: list[WireLevel]
    b: list[WireLevel]
    type: str | UnsetType = "depth"


class Candle(Struct, gc=False, kw_only=True):
    t: int
    o: Raw
    h: Raw
    l: Raw  # noqa: E741
    c: Raw
    v: Raw
    tu: Raw


# {"code":1,"data":{"s":"EURUSD","r":"GB","type":"kline@1","t":1731660060000,"o":3055.36,"h":3061.41,
#  "l":3055.24,"c":3059.39,"v":28,"tu":157513}}                                                          [doc]
class Kline(Candle, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    type: str


# {"code":0,"msg":null,"data":{"s":"AAPL.US","t":1,"k":{"t":1731660060000,"o":3055.36,"h":3061.41,
#  "l":3055.24,"c":3059.39,"v":28,"tu":157513}}}                                                         [doc]
class NestedKline(Struct, gc=False, kw_only=True):
    s: str
    r: str | UnsetType = UNSET
    t: int
    k: Candle


class Request(Struct, gc=False, omit_defaults=True):
    ac: str
    params: str = ""
    types: str = ""


# a row of {"code":0,"msg":null,"data":[…]}: code and name; t, e, s and l are hardly explained           [doc]
class Listed(Struct, gc=False):
    c: str
    n: str | None = None


# {"code":"E002","msg":"auth failed","data":null}                                                        [doc]
class Verdict(Struct, gc=False):
    code: int | str = 0
    msg: str | None = None


class Listing(Struct, gc=False):
    code: int | str
    msg: str | None = None
    data: list[Listed] | None = None


_head, _listing, _verdict = json.Decoder(Head), json.Decoder(Listing), json.Decoder(Verdict)
_tick, _quote = json.Decoder(Push[Tick]), json.Decoder(Push[Quote])
_depth, _kline = json.Decoder(Push[Depth]), json.Decoder(Push[Kline])
_nested = json.Decoder(Push[NestedKline])
_BARS = {type_: kind for kind, type_ in TYPES.items() if kind in PERIODS}
_PERIOD_BARS = {n: kind for kind, n in PERIODS.items()}


class Place(NamedTuple):
    """Where the vendor has an instrument: its asset class, its code in our spelling, its region."""

    asset: str
    code: str
    region: str

    @property
    def native(self) -> str:
        """The vendor's spelling of the code: ``EURUSD``."""
        return self.code.replace("-", "") if self.asset in ("forex", "crypto") else self.code


def place(symbol: str, assets: Mapping[str, str] | None = None) -> Place:
    """Where ``symbol``, in our spelling, is; ``assets`` says it of codes that are not known for it.

    Where coins are, all are. A pair is money or has a coin in it; what else is in Great Britain, or has the
    name of an index, is one.
    """
    code, region = split(symbol)
    asset = (assets or {}).get(code) or _asset(code, region)
    return Place(asset, code, region or REGIONS[asset])


def split(symbol: str) -> tuple[str, str]:
    """Code and region of ``AAPL$US``, ``AAPL.US`` or ``AAPL``; "" where it names none."""
    spelt = _spelt(symbol)
    if spelt is None:
        raise ValueError(f"{symbol!r} is not a symbol")
    code, region, country = spelt.groups()
    return code, region or country or ""


def _asset(code: str, region: str) -> str:
    if region in ("BA", "BT"):
        return "crypto"
    base, _, quote = code.partition("-")
    if len(quote) >= 3:
        return "forex" if base in _MONEY and quote in _MONEY else "crypto"
    return "indices" if region == "GB" or (code in _INDICES and not region) else "stock"


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
        code, region = split(symbol.upper())
        code = unified(code)
        if len(code) == 6 and {code[:3], code[3:]} <= _MONEY:
            code = f"{code[:3]}-{code[3:]}"
        explicit = f"{code}.{region}" if region in _COUNTRIES else f"{code}${region}"
        return code if not region or place(code) == place(explicit) else explicit

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
        head = _head.decode(frame)
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
        listing, query = _listing.decode(body), parse_qs(urlsplit(path).query)
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
            verdict = _verdict.decode(body)
        except (MsgspecError, ValueError, RecursionError):
            return None
        if verdict.code == 0:
            return None
        why = _WHY.get(str(verdict.code), Why.OTHER)
        return Denied(f"{verdict.code} {verdict.msg or ''}".strip(), why=why)

    def price_path(self, symbol: str) -> str:
        at = self._place(symbol)
        return f"/{at.asset}/quote?region={at.region}&code={at.native}"

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
                return [self._trade(symbol, _tick.decode(frame).data)]
            case "quote":
                return self._summary(symbol, _quote.decode(frame).data)
            case "depth":
                depth = _depth.decode(frame).data
                return [BookUpdate(f"itick:{symbol}/book", None, True, _levels(depth.b), _levels(depth.a))]
            case "":
                nested = _nested.decode(frame).data
                return [_bar(f"itick:{symbol}/{_PERIOD_BARS[nested.t]}", nested.k)]
            case _:
                return [_bar(f"itick:{symbol}/{_BARS[kind]}", _kline.decode(frame).data)]

    def _trade(self, symbol: str, tick: Tick) -> Trade:
        name, venue_ns = f"itick:{symbol}/trade", ns_of_ms(tick.t)
        price, volume = _text(tick.ld), _text(tick.v)
        if not self._daily:
            return Trade(name, venue_ns, price, volume, None, None)
        before, self._volumes[symbol] = self._volumes.get(symbol), Decimal(volume)
        if before is None or before > self._volumes[symbol]:  # the first, or another day's: of unknown size
            return Trade(name, venue_ns, price, "0", None, None, excluded=("volume",))
        return Trade(name, venue_ns, price, f"{_minus(self._volumes[symbol], before):f}", None, None)

    def _summary(self, symbol: str, quote: Quote) -> Iterator[Message]:
        venue_ns = ns_of_ms(quote.t)
        opened, high, low, last, volume, turnover = map(
            _text, (quote.o, quote.h, quote.l, quote.ld, quote.v, quote.tu)
        )
        name = f"itick:{symbol}/summary"
        yield Summary(name, venue_ns, opened, high, low, last, volume_text=volume, turnover_text=turnover)
        if quote.ts != (before := self._states.get(symbol)):
            state, words = _STATES.get(quote.ts, ("notice", str(quote.ts)))
            if before is None and quote.ts == _NORMAL:
                state = "trading"
            yield Status(f"itick:{symbol}/status", state, words, venue_ns)
        self._states[symbol] = quote.ts


def _text(number: Raw) -> str:
    return checked(str(number, "ascii"))


def _levels(wire: Sequence[WireLevel]) -> list[Level]:
    return checked_levels([(str(level.p, "ascii"), str(level.v, "ascii")) for level in wire])


def _bar(name: str, candle: Candle) -> Bar:
    # t is where the bar begins: every example is on a whole minute [unverified]
    opened, high, low, close, volume = map(_text, (candle.o, candle.h, candle.l, candle.c, candle.v))
    return Bar(name, ns_of_ms(candle.t), opened, high, low, close, volume)
