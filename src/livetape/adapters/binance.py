"""Binance spot.

Source: https://github.com/binance/binance-spot-api-docs, web-socket-streams.md (read 2026-11-20).

The stream carries differences only, numbered ``U..u``; the starting book is fetched over REST and bridged:
drop what ends at or before ``lastUpdateId``; the next must cover ``lastUpdateId + 1`` [recorded].
The REST book holds 1000 levels a side at most; what lies beyond was never told and is not shown [doc].
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import UNSET, Raw, Struct, UnsetType, field, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Closing, Denied, Heartbeat, Message, Quote, Trade
from ..core.instruments import Channel, Instrument, interval_ns
from ..core.sequence import ranged
from ..core.times import MILLISECOND, ns_of_ms

PAGE = 1000  #: trades or bars of a page of history, at most [doc]


# {"e":"depthUpdate","E":1633998512068,"s":"NKNUSDT","U":499869750,"u":499869752,
#  "b":[["0.35130000","6195.00000000"]],"a":[]}                                       [recorded 2021-10-12]
class Depth(Struct, gc=False):
    s: str
    E: int
    U: int
    u: int
    b: list[Level]
    a: list[Level]


# {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
#  "T":1723161255342,"m":true,"M":true}                                               [recorded 2024-08-08]
class Print(Struct, gc=False):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


# {"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}
class BookTicker(Struct, gc=False):
    s: str
    u: int
    b: str
    B: str
    a: str
    A: str


class Candle(Struct, gc=False):
    i: str
    t: int
    o: str
    h: str
    l: str  # noqa: E741 the venue's name
    c: str
    v: str
    n: int
    x: bool


class Kline(Struct, gc=False):
    s: str
    E: int
    k: Candle


class Envelope(Struct, gc=False):
    stream: str = ""
    data: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    id: int | str | None = None
    code: int = 0
    msg: str = ""
    error: Raw | UnsetType = UNSET


# {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,
#  "isBuyerMaker":true,"isBestMatch":true}                                                              [doc]
class PastTrade(Struct, gc=False):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool


# [1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
#  "2434.19055334",308,"1756.87402397","28.46694368","0"]                                               [doc]
class PastCandle(Struct, gc=False, array_like=True):
    t: int
    o: str
    h: str
    l: str  # noqa: E741 as in the stream
    c: str
    v: str
    end: int
    turnover: str
    n: int


class Snapshot(Struct, gc=False):
    lastUpdateId: int
    bids: list[Level]
    asks: list[Level]


class Filter(Struct, gc=False):
    filterType: str
    tickSize: str = ""
    stepSize: str = ""


class Market(Struct, gc=False):
    symbol: str
    baseAsset: str
    quoteAsset: str
    status: str = "TRADING"
    contractStatus: str = "TRADING"  # what COIN-M futures have instead
    filters: list[Filter] = []


class Markets(Struct, gc=False):
    symbols: list[Market] = field(default_factory=list)


_envelope = json.Decoder(Envelope)
_depth, _print = json.Decoder(Depth), json.Decoder(Print)
_ticker, _kline = json.Decoder(BookTicker), json.Decoder(Kline)
_snapshot, _markets = json.Decoder(Snapshot), json.Decoder(Markets)
_past_trades, _past_candles = json.Decoder(list[PastTrade]), json.Decoder(list[PastCandle])
BARS = {f"bar.{i}": f"kline_{i}" for i in ("1m", "5m", "15m", "30m", "1h", "4h", "6h", "1d")}
STREAMS = {"book": "depth@100ms", "trade": "trade", "quote": "bookTicker", **BARS}


class Binance(Adapter):
    """Key-less market data: trades, books, quotes and bars."""

    venue = "binance"
    title = "Binance spot"
    ws_url = "wss://data-stream.binance.vision/stream"
    rest_url = "https://data-api.binance.vision"
    rest_path: ClassVar[str] = "/api/v3"
    names: ClassVar[Mapping[str, str]] = {**STREAMS, "bar.1s": "kline_1s"}  #: the venue's, of each kind
    kinds = frozenset(names)
    never_closes = True
    sample = "BTC-USDT"
    guarantees: Mapping[str, Guarantee] = {
        "book": Guarantee("sequence U/u"),
        "trade": Guarantee("trade id"),
    }
    limits = Limits(symbols_per_socket=250, connects_per_minute=60)  # 1024 streams a socket [doc]
    silence_s = 30.0
    sequence = staticmethod(ranged)
    snapshot_depth = 1000

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._symbols: dict[str, str] = {}  # native to unified, of what was asked for
        self._asked: dict[int, list[str]] = {}  # request id to channel names
        self._ids = 0

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        for channel in channels:
            self._symbols[self.native(channel.symbol)] = channel.symbol
        request = self._request("SUBSCRIBE", channels)
        self._asked[self._ids] = [str(channel) for channel in channels]
        return [request] if channels else []

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("UNSUBSCRIBE", channels)]

    def probe(self) -> bytes:
        self._ids += 1
        return json.encode({"method": "LIST_SUBSCRIPTIONS", "id": self._ids})

    def stream(self, channel: Channel) -> str:
        return self.names[channel.kind]

    def parse(self, frame: bytes) -> Iterable[Message]:
        envelope = _envelope.decode(frame)
        data, name = envelope.data, envelope.stream.partition("@")[2]
        if data is UNSET or not name:
            return self._answer(envelope)
        return [self.event(name, data)]

    def event(self, name: str, data: Raw) -> Message:
        """What ``data`` says; ``name`` is its stream's without the symbol."""
        if name.startswith("depth"):
            d = _depth.decode(data)
            bids, asks = checked_levels(d.b), checked_levels(d.a)
            return BookUpdate(self._name(d.s, "book"), ns_of_ms(d.E), False, bids, asks, d.U, d.u)
        if name == "trade":
            return self._trade(_print.decode(data))
        if name == "bookTicker":
            return self._quote(_ticker.decode(data), None)
        if name.startswith("kline_"):
            kline = _kline.decode(data)
            name, candle = self._name(kline.s, f"bar.{kline.k.i}"), kline.k
            return _bar(name, candle, closed=candle.x, venue_ns=ns_of_ms(kline.E))
        return Heartbeat()  # a stream that we did not ask for

    @classmethod
    def native(cls, symbol: str) -> str:
        """The venue's spelling of our ``symbol``."""
        return symbol.replace("-", "")

    def snapshot_path(self, symbol: str) -> str:
        return f"{self.rest_path}/depth?symbol={self.native(symbol)}&limit={self.snapshot_depth}"

    def parse_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        book = _snapshot.decode(body)
        at, name = book.lastUpdateId, str(Channel(self.venue, symbol, "book"))
        return BookUpdate(name, None, True, checked_levels(book.bids), checked_levels(book.asks), at, at)

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Bars that end within ``span``; of trades the last ones: older ones want a key [doc]."""
        native = self.native(channel.symbol)
        if channel.kind == "trade" and span.numbers:
            return f"{self.rest_path}/trades?symbol={native}&limit={PAGE}"
        if channel.kind.startswith("bar."):
            length_ns, interval = interval_ns(channel.kind), channel.kind.removeprefix("bar.")
            start, end = ((ns - length_ns) // MILLISECOND for ns in (span.start_ns, span.end_ns))
            begun = f"startTime={page or start}&endTime={end}"
            return f"{self.rest_path}/klines?symbol={native}&interval={interval}&{begun}&limit={PAGE}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        name = str(channel)
        if channel.kind == "trade":
            return History([_past_trade(name, trade) for trade in _past_trades.decode(body)])
        candles = _past_candles.decode(body)
        page = str(candles[-1].t + 1) if len(candles) == PAGE else ""
        return History([_bar(name, candle, closed=True) for candle in candles], page)

    def price_path(self, symbol: str) -> str:
        return f"{self.rest_path}/ticker/bookTicker?symbol={self.native(symbol)}"

    def symbols_paths(self) -> Sequence[str]:
        return (f"{self.rest_path}/exchangeInfo",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        markets = _markets.decode(body).symbols
        return [_instrument(m) for m in markets if m.status == m.contractStatus == "TRADING"]

    def _request(self, method: str, channels: Sequence[Channel]) -> bytes:
        self._ids += 1
        streams = [f"{self.native(c.symbol).lower()}@{self.names[c.kind]}" for c in channels]
        return json.encode({"method": method, "params": streams, "id": self._ids})

    def _answer(self, envelope: Envelope) -> list[Message]:
        channels = self._asked.pop(envelope.id, []) if isinstance(envelope.id, int) else []
        if envelope.msg or envelope.error is not UNSET:
            reason = envelope.msg or bytes(envelope.error or b"").decode()
            return [Denied(reason, tuple(channels))]
        if envelope.data is not UNSET and b'"serverShutdown"' in bytes(envelope.data):
            return [Closing("the server announced its restart")]
        return [Ack(name) for name in channels] or [Heartbeat()]

    def _trade(self, t: Print) -> Trade:
        return _trade(self._name(t.s, "trade"), t.T, t.p, t.q, t.t, sold=t.m)  # m: the buyer was the maker

    def _quote(self, q: BookTicker, venue_ns: int | None) -> Quote:
        bid, bid_size, ask, ask_size = map(checked, (q.b, q.B, q.a, q.A))
        return Quote(self._name(q.s, "quote"), venue_ns, bid, bid_size, ask, ask_size, q.u)

    def _name(self, native: str, kind: str) -> str:
        return f"{self.venue}:{self._symbols.get(native) or self.canonical(native)}/{kind}"


def _trade(name: str, ms: int, price: str, size: str, number: int, *, sold: bool) -> Trade:
    side = "sell" if sold else "buy"
    return Trade(name, ns_of_ms(ms), checked(price), checked(size), side, str(number), number)


def _past_trade(name: str, t: PastTrade) -> Trade:
    return _trade(name, t.time, t.price, t.qty, t.id, sold=t.isBuyerMaker)


def _bar(name: str, c: Candle | PastCandle, *, closed: bool, venue_ns: int | None = None) -> Bar:
    return Bar(
        name,
        ns_of_ms(c.t),
        checked(c.o),
        checked(c.h),
        checked(c.l),
        checked(c.c),
        checked(c.v),
        trades=c.n,
        closed=closed,
        venue_ns=venue_ns,
    )


def _instrument(m: Market) -> Instrument:
    steps = {f.filterType: f.tickSize or f.stepSize for f in m.filters}
    price_step, size_step = steps.get("PRICE_FILTER", "0.01"), steps.get("LOT_SIZE", "0.00000001")
    assets = [m.baseAsset, m.quoteAsset, *m.symbol.split("_")[1:]]  # a future names its kind or its day
    return Instrument("-".join(assets), m.symbol, price_step, size_step)
