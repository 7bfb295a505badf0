"""Alpaca market data, the v2 family. Source: https://docs.alpaca.markets/docs/real-time-stock-pricing-data
(read 2026-11-20) and the vendor's Python and Go clients.

One connection for each endpoint: stocks by feed, the test stream, crypto, options, news. Each frame is an
array; controls come alone. The vendor answers requests in order, a subscription always with its full list
[doc]. Nothing is numbered, so no loss can be noticed and crypto books are ``unverifiable``.

JSON numbers keep their text. Options speak msgpack alone [doc]; there a price is a float, and its text the
shortest that gives it back. Sizes of stock quotes are as sent: round lots or shares, the documents disagree
[unverified]. Orders and fills of an account (``trade_updates``) are not market data, and not here.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field, json, msgpack

from ..core.adapter import NOBODY, Adapter, Limits
from ..core.conditions import excluded
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import (
    Ack,
    Amendment,
    Auction,
    Bar,
    BookUpdate,
    Closing,
    Denied,
    Heartbeat,
    LoggedIn,
    Luld,
    Message,
    News,
    Quote,
    Status,
    Trade,
    Why,
)
from ..core.instruments import Channel, Instrument, unified
from ..core.memo import Memo
from ..core.stamps import Stamp, ns_of_stamp

Number = Any  #: JSON: an int, or the text of any other number; msgpack: an int or a float


# [{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],
#   "z":"C"}]                                                                                    stocks [doc]
# [{"T":"t","S":"AVAX/USD","p":47.299,"s":29.205707815,"t":"2024-03-12T10:27:48.858228144Z",
#   "i":3447222699101865076,"tks":"S"}]                                                          crypto [doc]
class WireTrade(Struct, gc=False, omit_defaults=True, tag_field="T", tag="t"):
    S: str
    p: Number
    s: Number
    t: Stamp
    i: int | None = None
    x: str = ""
    c: tuple[str, ...] | str | None = ()  # options have one code
    z: str = ""
    tks: str = ""


# [{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,
#   "t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}]                                            [doc]
class WireQuote(Struct, gc=False, omit_defaults=True, tag_field="T", tag="q"):
    S: str
    bp: Number
    bs: Number
    ap: Number
    ask_size: Number = field(name="as")
    t: Stamp
    bx: str = ""
    ax: str = ""
    c: list[str] | str | None = None
    z: str = ""


# [{"T":"b","S":"FAKEPACA","o":132.65,"h":136,"l":132.12,"c":134.65,"v":205,"t":"2024-07-24T07:56:00Z",
#   "n":16,"vw":133.7}]                                                                                 [doc]
class WireBar(Struct, gc=False, tag_field="T", tag="b"):
    S: str
    o: Number
    h: Number
    l: Number  # noqa: E741
    c: Number
    v: Number
    t: Stamp  # when it begins
    n: int | None = None
    vw: Number = None


class UpdatedBar(WireBar, gc=False, tag="u"):
    pass


class DailyBar(WireBar, gc=False, tag="d"):
    pass


# [{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],
#   "ci":52983525034326,"cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B",
#   "t":"2023-04-06T14:25:06.542305024Z"}]                                          [doc, in part unverified]
class Correction(Struct, gc=False, tag_field="T", tag="c"):
    S: str
    oi: int
    op: Number
    os: Number
    ci: int
    cp: Number
    cs: Number
    t: Stamp
    x: str = ""
    oc: list[str] = []
    cc: list[str] = []
    z: str = ""


# [{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C",
#   "t":"2023-04-06T13:15:42.83540958Z"}]                                                               [doc]
class Cancel(Struct, gc=False, tag_field="T", tag="x"):
    S: str
    i: int
    p: Number
    s: Number
    t: Stamp
    x: str = ""
    a: str = "C"  # or E: an error
    z: str = ""


# [{"T":"l","S":"IONM","u":3.24,"d":2.65,"i":"B","t":"2023-04-06T13:34:45.565004401Z","z":"C"}]         [doc]
class Band(Struct, gc=False, tag_field="T", tag="l"):
    S: str
    u: Number
    d: Number
    t: Stamp
    i: str = ""
    z: str = ""


# [{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"Trading Halted; For information
#   requested by NASDAQ","t":"2021-02-22T19:15:00Z","z":"C"}]                                           [doc]
class Halt(Struct, gc=False, tag_field="T", tag="s"):
    S: str
    sc: str
    t: Stamp
    sm: str = ""
    rc: str = ""
    rm: str = ""
    z: str = ""


# [{"T":"i","S":"INAQU","p":9.12,"z":"C","t":"2024-12-13T19:58:09.242138635Z"}]                         [doc]
class Imbalance(Struct, gc=False, tag_field="T", tag="i"):
    S: str
    p: Number
    t: Stamp
    z: str = ""


class WireLevel(Struct, gc=False):
    p: Number
    s: Number


# [{"T":"o","S":"BTC/USD","t":"2024-03-12T10:38:50.79613221Z","b":[{"p":71859.53,"s":0.27994}],"a":[],
#   "r":true}]                                                                                          [doc]
class WireBook(Struct, gc=False, omit_defaults=True, tag_field="T", tag="o"):
    S: str
    t: Stamp
    b: list[WireLevel] | None
    a: list[WireLevel] | None
    r: bool = False  # the whole book, throw the old one away


# [{"T":"n","id":24918784,"headline":"…","summary":"…","author":"Benzinga Newsdesk",
#   "created_at":"2022-01-05T22:00:37Z","updated_at":"2022-01-05T22:00:38Z","url":"https://…",
#   "content":"\u003cp\u003e…","symbols":["CRSR"],"source":"benzinga"}]                                 [doc]
class Article(Struct, gc=False, tag_field="T", tag="n"):
    id: int
    headline: str
    created_at: Stamp
    updated_at: Stamp
    summary: str = ""
    author: str = ""
    url: str | None = ""
    content: str = ""
    symbols: list[str] | None = None
    source: str = ""


class Success(Struct, gc=False, tag_field="T", tag="success"):
    msg: str


class Failure(Struct, gc=False, tag_field="T", tag="error"):
    code: int
    msg: str = ""


# [{"T":"subscription","trades":["AAPL"],"quotes":["AMD","CLDR"],"bars":["*"],"updatedBars":[],
#   "dailyBars":[],"statuses":[],"lulds":[],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]            [doc]
class Subscription(Struct, gc=False, tag_field="T", tag="subscription"):
    trades: list[str] | None = None  # none where the list is empty [user report]
    quotes: list[str] | None = None
    bars: list[str] | None = None
    dailyBars: list[str] | None = None
    statuses: list[str] | None = None
    lulds: list[str] | None = None
    imbalances: list[str] | None = None
    orderbooks: list[str] | None = None
    news: list[str] | None = None


Item = (
    WireTrade | WireQuote | WireBar | UpdatedBar | DailyBar | Correction | Cancel | Band | Halt | Imbalance
    | WireBook | Article | Success | Failure | Subscription
)  # fmt: skip
# As a hook ``strip`` does what ``str`` would do, in less time.
_from_json: json.Decoder[list[Item]] = json.Decoder(list[Item], float_hook=str.strip)
_from_msgpack: msgpack.Decoder[list[Item]] = msgpack.Decoder(list[Item])


class Asset(Struct, gc=False):
    symbol: str
    name: str | None = ""
    kind: str = field(name="class", default="")
    price_increment: str | None = None
    min_trade_increment: str | None = None


_BRACKET = ord("[")
FEEDS = ("iex", "sip", "delayed_sip", "test")
OPTIONS_FEEDS = ("indicative", "opra")
NEWS, CRYPTO, TEST = "/v1beta1/news", "/v1beta3/crypto/us", "/v2/test"
MSGPACK = {"Content-Type": "application/msgpack"}
_CONTRACT = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}").fullmatch  # AAPL240315C00172500
_TICKER = re.compile(r"[A-Z][A-Z.]{0,9}").fullmatch
#: The vendor's channels for each kind of ours; the first one tells whether it is subscribed.
_STREAMS = {
    **{"trade": ("trades",), "quote": ("quotes",), "book": ("orderbooks",), "news": ("news",)},
    **{"bar.1m": ("bars", "updatedBars"), "bar.1d": ("dailyBars",)},
    **{"status": ("statuses",), "luld": ("lulds",), "auction": ("imbalances",)},
}
_BARS = frozenset({"bar.1m", "bar.1d"})
_OF_STOCKS = frozenset({"trade", "quote", "status", "luld", "auction", "news", *_BARS})
_OF_CRYPTO = frozenset({"trade", "quote", "book", "news", *_BARS})
_OF_OPTIONS = frozenset({"trade", "quote"})
#: What a trading status means, by its code: tapes A and B, then tape C.
_STATES = {
    **{"2": "halted", "3": "resumed"},
    **{"H": "halted", "P": "halted", "Q": "quoting", "T": "resumed"},
}
#: Refusals of the whole connection; those of the request they answer; failures that end the connection.
_WHOLE = {402: Why.LOGIN, 406: Why.CONNECTIONS, 408: Why.PLAN}
_ASKED = {400: Why.SYMBOL, 405: Why.LIMIT, **dict.fromkeys((409, 410, 411, 412, 413), Why.PLAN)}
_ENDS = frozenset({401, 404, 407, 500})
_ALREADY = 403  # logged in: all is well
_SIDES = {"B": "buy", "S": "sell"}  # of the taker
_STEPS = {"us_equity": ("stock", "0.01", "1"), "crypto": ("crypto", "0.01", "0.00000001")}


class Alpaca(Adapter):
    """US stocks, crypto, options and news with a key.

    Options: ``feed`` of the stocks, ``options_feed``, ``encoding`` (``json`` or ``msgpack``) and ``plan``
    (``basic`` or ``paid``).
    """

    venue = "alpaca"
    title = "Alpaca (market data v2)"
    ws_url = "wss://stream.data.alpaca.markets"
    rest_url = "https://data.alpaca.markets"
    kinds = frozenset(_STREAMS)
    key_names = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    option_names = frozenset({"feed", "options_feed", "encoding", "plan"})
    limits = Limits(symbols_per_socket=30, sockets_per_key=1)
    awaits_login = True
    silence_s = 30.0  # nothing beats, but a question is answered

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        choose = _chooser(options or {})
        self._feed, self._options_feed = choose("feed", FEEDS), choose("options_feed", OPTIONS_FEEDS)
        self._msgpack = choose("encoding", ("json", "msgpack")) == "msgpack"
        # One connection an endpoint; the basic plan has 30 symbols of trades and quotes together [doc].
        most = {"basic": 30, "paid": 100_000}[choose("plan", ("basic", "paid"))]
        self.limits = Limits(symbols_per_socket=most, sockets_per_key=1)
        super().__init__(options, credentials)
        self.binary = self._msgpack
        self._asked: deque[tuple[Channel, ...]] = deque()  # what each request without an answer asked for

    @classmethod
    def canonical(cls, symbol: str) -> str:
        name = unified(symbol)
        if name == "TRADE-UPDATES":
            raise ConfigError(
                "trade_updates are an account's orders and fills, not market data", where="alpaca"
            )
        return name

    @classmethod
    def streams(cls, symbol: str) -> frozenset[str]:
        if not symbol:
            return cls.kinds
        if "-" in symbol:
            return _OF_CRYPTO
        return _OF_OPTIONS if _CONTRACT(symbol) else _OF_STOCKS

    # The endpoints

    def route(self, channel: Channel) -> str:
        if channel.kind == "news":
            return NEWS
        if "-" in channel.symbol:
            return CRYPTO
        if _CONTRACT(channel.symbol):
            return f"/v1beta1/{self._options_feed}"
        return TEST if channel.symbol == "FAKEPACA" else f"/v2/{self._feed}"

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        route = self.route(channels[0]) if channels else f"/v2/{self._feed}"
        self.binary = self._msgpack or route.endswith(OPTIONS_FEEDS)
        return ws_url.rstrip("/") + route

    def slot(self, channel: Channel) -> str | None:
        """Bars, books and news take none."""
        return f"{channel.kind} {channel.symbol}" if channel.kind in ("trade", "quote") else None

    def ws_headers(self) -> Mapping[str, str]:
        return MSGPACK if self.binary else {}

    def rest_headers(self) -> Mapping[str, str]:
        key, secret = self.credentials.key, self.credentials.secret
        return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret} if key else {}

    # What we say

    def login(self) -> list[bytes]:
        self._asked.clear()
        key, secret = self.credentials.key, self.credentials.secret
        return [self._encode({"action": "auth", "key": key, "secret": secret})]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """One request, and one for each channel that the vendor may refuse: it refuses whole requests."""
        usual = tuple(channel for channel in channels if self._usual(channel))
        odd = [(channel,) for channel in channels if not self._usual(channel)]
        return [self._request("subscribe", asked) for asked in ([usual] if usual else []) + odd]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("unsubscribe", channels)]

    def probe(self) -> bytes | None:
        return self._request("subscribe", ())

    def _usual(self, channel: Channel) -> bool:
        """Whether ``channel`` looks like one that its endpoint has."""
        symbol = channel.symbol
        known = "-" in symbol or _CONTRACT(symbol) or _TICKER(symbol)
        return bool(known) and channel.kind in self.streams(symbol)

    def _request(self, action: str, channels: Sequence[Channel]) -> bytes:
        self._asked.append(tuple(channels) if action == "subscribe" else ())
        streams: dict[str, list[str]] = {}
        for channel in channels:
            for stream in _STREAMS[channel.kind]:
                streams.setdefault(stream, []).append(_native(channel))
        return self._encode({"action": action, **streams})

    def _encode(self, request: object) -> bytes:
        return msgpack.encode(request) if self.binary else json.encode(request)

    # What the vendor says

    def parse(self, frame: bytes) -> Iterable[Message]:
        items = (_from_json if frame[0] == _BRACKET else _from_msgpack).decode(frame)
        read = _EVENTS.get(type(items[0]))
        if read is None:
            return [message for item in items for message in self._other(item)]
        if len(items) == 1:
            return [read(items[0])]
        return [_EVENTS[type(item)](item) for item in items]

    def _other(self, item: Item) -> Iterable[Message]:
        """News, and controls: never in one frame with anything else."""
        match item:
            case Article():
                return _news(item)
            case Success(msg=msg):
                return [LoggedIn() if msg == "authenticated" else Heartbeat()]
            case Subscription():
                return self._confirmed(item)
            case Failure(code=code, msg=msg):
                return [self._refused(code, f"{code} {msg}".rstrip())]
        raise ValueError(f"a {type(item).__name__} among others")

    def _confirmed(self, listed: Subscription) -> Iterator[Message]:
        """What was asked for is in the full list, or it was left out in silence."""
        yield Heartbeat()
        for channel in self._asked.popleft() if self._asked else ():
            if _native(channel) in (getattr(listed, _STREAMS[channel.kind][0]) or ()):
                yield Ack(str(channel))
            else:
                yield Denied("not in the vendor's list", (str(channel),), Why.SYMBOL)

    def _refused(self, code: int, reason: str) -> Message:
        if code in _ENDS:
            return Closing(reason)
        if code in _WHOLE:
            return Denied(reason, why=_WHOLE[code])
        if code == _ALREADY:
            return Heartbeat()
        why = _ASKED.get(code, Why.OTHER)
        if not self._asked:
            return Denied(reason, why=Why.OTHER if why is Why.SYMBOL else why)
        asked = self._asked.popleft()
        return Denied(reason, tuple(map(str, asked)), why) if asked else Heartbeat()

    # REST

    def symbols_paths(self) -> Sequence[str]:
        address = "https://paper-api.alpaca.markets/v2/assets?status=active&asset_class="
        return (f"{address}us_equity", f"{address}crypto")

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [_instrument(asset) for asset in json.decode(body, type=list[Asset]) if asset.kind in _STEPS]

    def price_path(self, symbol: str) -> str | None:
        if "-" in symbol:
            return f"{CRYPTO}/latest/trades?symbols={symbol.replace('-', '%2F')}"
        if _CONTRACT(symbol):
            return f"/v1beta1/options/trades/latest?symbols={symbol}&feed={self._options_feed}"
        tried = symbol == "FAKEPACA" or self._feed == "test"
        return None if tried else f"/v2/stocks/trades/latest?symbols={symbol}&feed={self._feed}"


def _chooser(options: Mapping[str, object]) -> Callable[[str, Sequence[str]], str]:
    def choose(name: str, values: Sequence[str]) -> str:
        value = options.get(name, values[0])
        if value not in values:
            raise ConfigError(f"{name} cannot be {value!r}", where="alpaca", allowed=list(values))
        return str(value)

    return choose


def _native(channel: Channel) -> str:
    """The vendor's spelling; news name a pair without its slash [unverified]."""
    return channel.symbol.replace("-", "" if channel.kind == "news" else "/")


def _channels(kind: str) -> Memo[str, str]:
    """The channels of ``kind`` by the vendor's symbol."""
    return Memo(lambda native: f"alpaca:{unified(native)}/{kind}")


def _exclusions(tape: str) -> Memo[tuple[str, ...], tuple[str, ...]]:
    """What trades must not set, by their conditions; only stocks are on a ``tape``."""
    return Memo(lambda conditions: excluded(conditions, tape) if tape else ())


#: By type, since 1, 1.0 and True are equal; so are 0.0 and -0.0.
_TEXTS: dict[type, Memo[Number, str]] = {
    str: Memo(checked),
    int: Memo(lambda number: checked(str(number))),
    float: Memo(lambda number: checked(str(number + 0.0))),
}
#: Likewise; none where the price is 0: nobody is there.
_OFFERS: dict[type, Memo[Number, str | None]] = {
    type_: Memo(lambda number: _text(number) if _text(number).strip("0.") else None) for type_ in _TEXTS
}
_CHANNELS = Memo(_channels)
_TRADE, _QUOTE = _CHANNELS["trade"], _CHANNELS["quote"]
_EXCLUDED = Memo(_exclusions)


def _text(number: Number) -> str:
    return _TEXTS[type(number)][number]


def _id(exchange: str, number: int | None) -> str | None:
    """A number is unique on its exchange only [doc]."""
    return None if number is None else f"{exchange}-{number}" if exchange else str(number)


def _trade(item: WireTrade) -> Trade:
    price, size, conditions = item.p, item.s, item.c or ()
    if isinstance(conditions, str):
        conditions = (conditions,)
    return Trade(
        _TRADE[item.S],
        ns_of_stamp(item.t),
        _TEXTS[type(price)][price],
        _TEXTS[type(size)][size],
        _SIDES.get(item.tks),
        _id(item.x, item.i),
        None,
        conditions,
        _EXCLUDED[item.z][conditions],
    )


def _amendment(item: Correction | Cancel) -> Amendment:
    name, venue_ns = _CHANNELS["trade"][item.S], ns_of_stamp(item.t)
    if isinstance(item, Cancel):
        return Amendment(name, venue_ns, _id(item.x, item.i) or "", _text(item.p), _text(item.s))
    old = _id(item.x, item.oi) or "", _text(item.op), _text(item.os)
    return Amendment(name, venue_ns, *old, _text(item.cp), _text(item.cs), _id(item.x, item.ci))


def _quote(item: WireQuote) -> Quote:
    bid, bid_size, ask, ask_size = item.bp, item.bs, item.ap, item.ask_size
    bid, ask = _OFFERS[type(bid)][bid], _OFFERS[type(ask)][ask]
    bid_size, ask_size = _TEXTS[type(bid_size)][bid_size], _TEXTS[type(ask_size)][ask_size]
    name, venue_ns = _QUOTE[item.S], ns_of_stamp(item.t)
    return Quote(name, venue_ns, bid, bid_size if bid else None, ask, ask_size if ask else None)


def _book(item: WireBook) -> BookUpdate:
    name, venue_ns = _CHANNELS["book"][item.S], ns_of_stamp(item.t)
    return BookUpdate(name, venue_ns, item.r, _levels(item.b), _levels(item.a))


def _levels(levels: list[WireLevel] | None) -> list[Level]:
    return checked_levels([(str(level.p), str(level.s)) for level in levels or ()])


def _bar(item: WireBar) -> Bar:
    daily = isinstance(item, DailyBar)
    return Bar(
        channel=_CHANNELS["bar.1d" if daily else "bar.1m"][item.S],
        start_ns=ns_of_stamp(item.t),
        open_text=_text(item.o),
        high_text=_text(item.h),
        low_text=_text(item.l),
        close_text=_text(item.c),
        volume_text=_text(item.v),
        trades=item.n,
        vwap_text=None if item.vw is None else _text(item.vw),
        closed=not daily,
    )


def _luld(item: Band) -> Luld:
    return Luld(_CHANNELS["luld"][item.S], ns_of_stamp(item.t), _text(item.u), _text(item.d), item.i)


def _status(item: Halt) -> Status:
    words = ": ".join(each for each in (item.sm, item.rm) if each)
    detail = f"{words} ({item.rc})" if item.rc else words
    return Status(_CHANNELS["status"][item.S], _STATES.get(item.sc, "notice"), detail, ns_of_stamp(item.t))


def _auction(item: Imbalance) -> Auction:
    name, venue_ns = _CHANNELS["auction"][item.S], ns_of_stamp(item.t)
    return Auction(name, venue_ns, "imbalance", price_text=_text(item.p))


def _news(item: Article) -> Iterator[Message]:
    """The article, once for each symbol it is about."""
    created_ns, updated_ns = ns_of_stamp(item.created_at), ns_of_stamp(item.updated_at)
    symbols = tuple(map(unified, item.symbols or ()))
    for symbol in symbols:
        yield News(
            *(f"alpaca:{symbol}/news", created_ns, str(item.id), item.headline, item.source),
            *(item.url or "", item.summary, symbols, updated_ns),
        )


#: How each item that is an event is read.
_EVENTS: dict[type, Callable[[Any], Message]] = {
    **{WireTrade: _trade, WireQuote: _quote, WireBook: _book, Correction: _amendment, Cancel: _amendment},
    **{WireBar: _bar, UpdatedBar: _bar, DailyBar: _bar, Band: _luld, Halt: _status, Imbalance: _auction},
}


def _instrument(asset: Asset) -> Instrument:
    kind, price_step, size_step = _STEPS[asset.kind]
    return Instrument(
        symbol=unified(asset.symbol),
        native=asset.symbol,
        price_step=asset.price_increment or price_step,
        size_step=asset.min_trade_increment or size_step,
        name=asset.name or "",
        asset=kind,
    )
