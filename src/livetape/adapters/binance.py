"""Binance spot.

Source: https://github.com/binance/binance-spot-api-docs, web-socket-streams.md (read 2026-11-20).

The stream carries differences only, numbered ``U..u``; the starting book is fetched over REST and bridged:
drop what ends at or before ``lastUpdateId``; the next must cover ``lastUpdateId + 1`` [recorded].
The REST book holds 1000 levels a side at most; what lies beyond was never told and is not shown [doc].
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET, Raw, Struct, UnsetType, field, json

from ..core.adapter import NOBODY, Adapter, Guarantee, Limits
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Closing, Denied, Heartbeat, Message, Quote, Trade
from ..core.instruments import Channel, Instrument, unified
from ..core.sequence import ranged
from ..core.times import ns_of_ms


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
    filters: list[Filter] = []


class Markets(Struct, gc=False):
    symbols: list[Market] = field(default_factory=list)


_envelope = json.Decoder(Envelope)
_depth, _print = json.Decoder(Depth), json.Decoder(Print)
_ticker, _kline = json.Decoder(BookTicker), json.Decoder(Kline)
_snapshot, _markets = json.Decoder(Snapshot), json.Decoder(Markets)
_BARS = {f"bar.{i}": f"kline_{i}" for i in ("1s", "1m", "5m", "15m", "30m", "1h", "4h", "6h", "1d")}
_STREAM = {"book": "depth@100ms", "trade": "trade", "quote": "bookTicker", **_BARS}


class Binance(Adapter):
    """Key-less market data: trades, books, quotes and bars."""

    venue = "binance"
    title = "Binance spot"
    ws_url = "wss://data-stream.binance.vision/stream"
    rest_url = "https://data-api.binance.vision"
    kinds = frozenset(_STREAM)
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
            self._symbols[channel.symbol.replace("-", "")] = channel.symbol
        request = self._request("SUBSCRIBE", channels)
        self._asked[self._ids] = [str(channel) for channel in channels]
        return [request] if channels else []

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("UNSUBSCRIBE", channels)]

    def probe(self) -> bytes:
        self._ids += 1
        return json.encode({"method": "LIST_SUBSCRIPTIONS", "id": self._ids})

    def stream(self, channel: Channel) -> str:
        return _STREAM[channel.kind]

    def parse(self, frame: bytes) -> Iterable[Message]:
        envelope = _envelope.decode(frame)
        data, name = envelope.data, envelope.stream.partition("@")[2]
        if data is UNSET or not name:
            return self._answer(envelope)
        if name.startswith("depth"):
            d = _depth.decode(data)
            bids, asks = checked_levels(d.b), checked_levels(d.a)
            return [BookUpdate(self._name(d.s, "book"), ns_of_ms(d.E), False, bids, asks, d.U, d.u)]
        if name == "trade":
            return [self._trade(_print.decode(data))]
        if name == "bookTicker":
            q = _ticker.decode(data)
            bid, bid_size, ask, ask_size = map(checked, (q.b, q.B, q.a, q.A))
            return [Quote(self._name(q.s, "quote"), None, bid, bid_size, ask, ask_size, q.u)]
        if name.startswith("kline_"):
            return [self._bar(_kline.decode(data))]
        return [Heartbeat()]  # a stream that we did not ask for

    def snapshot_path(self, symbol: str) -> str:
        return f"/api/v3/depth?symbol={symbol.replace('-', '')}&limit={self.snapshot_depth}"

    def parse_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        book = _snapshot.decode(body)
        at, name = book.lastUpdateId, str(Channel(self.venue, symbol, "book"))
        return BookUpdate(name, None, True, checked_levels(book.bids), checked_levels(book.asks), at, at)

    def price_path(self, symbol: str) -> str:
        return f"/api/v3/ticker/bookTicker?symbol={symbol.replace('-', '')}"

    def symbols_paths(self) -> Sequence[str]:
        return ("/api/v3/exchangeInfo",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [_instrument(m) for m in _markets.decode(body).symbols if m.status == "TRADING"]

    def _request(self, method: str, channels: Sequence[Channel]) -> bytes:
        self._ids += 1
        streams = [f"{c.symbol.replace('-', '').lower()}@{_STREAM[c.kind]}" for c in channels]
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
        name, side = self._name(t.s, "trade"), "sell" if t.m else "buy"  # m: the buyer was the maker
        return Trade(name, ns_of_ms(t.T), checked(t.p), checked(t.q), side, str(t.t), t.t)

    def _bar(self, kline: Kline) -> Bar:
        k = kline.k
        return Bar(
            self._name(kline.s, f"bar.{k.i}"),
            ns_of_ms(k.t),
            checked(k.o),
            checked(k.h),
            checked(k.l),
            checked(k.c),
            checked(k.v),
            trades=k.n,
            closed=k.x,
            venue_ns=ns_of_ms(kline.E),
        )

    def _name(self, native: str, kind: str) -> str:
        return f"{self.venue}:{self._symbols.get(native) or unified(native)}/{kind}"


def _instrument(m: Market) -> Instrument:
    steps = {f.filterType: f.tickSize or f.stepSize for f in m.filters}
    price_step, size_step = steps.get("PRICE_FILTER", "0.01"), steps.get("LOT_SIZE", "0.00000001")
    return Instrument(f"{m.baseAsset}-{m.quoteAsset}", m.symbol, price_step, size_step)
