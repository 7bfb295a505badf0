"""Bybit v5, spot and perpetuals.

Source: https://github.com/bybit-exchange/docs, docs/v5 (read 2026-11-20).

``u`` counts the messages of a book one by one [recorded]; a snapshot, which may come at any time, begins anew
[doc]. What leaves the subscribed depth is deleted in so many words, so each side has exactly that many levels
[recorded]. ``seq`` counts what all depths share and has holes, so it is not used.
Spot and USDT perpetuals have the same native symbols, on different addresses: ours of these end in ``-PERP``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Raw, Struct, json
from msgspec.structs import asdict, replace

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Mark, Message, Summary, Trade
from ..core.instruments import Channel, Instrument, interval_ns, unified
from ..core.sequence import counted
from ..core.times import MILLISECOND, ns_of_ms

DEPTHS = (50, 200, 1000)  # the venue refuses any other
PAGE = 1000  #: bars in one answer at most
PERPETUAL = "-PERP"


# {"success":true,"ret_msg":"subscribe","conn_id":"2324d924-aa4d-45b0-a858-7b8be29ab52b","req_id":"1",
#  "op":"subscribe"}                                                                                     [doc]
# {"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","op":"ping"}         [doc]
class Frame(Struct, gc=False):
    topic: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0  # when the matching engine made it
    data: Raw = Raw()
    op: str = ""
    success: bool = True
    ret_msg: str = ""
    req_id: str = ""


# {"topic":"orderbook.50.BTCUSDT","ts":1680652808085,"type":"delta","data":{"s":"BTCUSDT",
#  "b":[["28161.04","0.177474"],["28145.71","0"]],"a":[["28184.33","0"]],"u":59438061,
#  "seq":4281282232}}                                                                       [recorded 2023-04]
class Depth(Struct, gc=False):
    b: list[Level]
    a: list[Level]
    u: int


# {"topic":"publicTrade.BTCUSDC","ts":1680688980000,"type":"snapshot","data":[{"i":"2240000000041223438",
#  "T":1680688979998,"p":"28528.98","v":"0.00433","S":"Buy","s":"BTCUSDC","BT":false}]}     [recorded 2023-04]
class Print(Struct, gc=False):
    i: str
    T: int
    p: str
    v: str
    S: str
    BT: bool = False  # a block trade
    RPI: bool = False  # against a price improvement for retail


# {"topic":"tickers.BTCUSDT","ts":1672305380595,"type":"snapshot","cs":496622841,"data":{"symbol":"BTCUSDT",
#  "lastPrice":"16363.78","highPrice24h":"16566.64","lowPrice24h":"16009.19","prevPrice24h":"16443.66",
#  "volume24h":"5865.470182","turnover24h":"95949815.680875","price24hPcnt":"-0.0049"}}                  [doc]
class Ticker(Struct, gc=False):
    lastPrice: str = ""
    highPrice24h: str = ""
    lowPrice24h: str = ""
    prevPrice24h: str = ""
    volume24h: str = ""
    turnover24h: str = ""
    markPrice: str = ""
    indexPrice: str = ""
    fundingRate: str = ""


# {"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5",
#  "open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005",
#  "confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}                     [doc]
class Candle(Struct, gc=False):
    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    confirm: bool
    timestamp: int


class Row(Struct, gc=False, array_like=True):
    """A candle as REST tells it, without a word on whether it has ended."""

    start: str
    open: str
    high: str
    low: str
    close: str
    volume: str


class Rows(Struct, gc=False):
    list: list[Row]


# {"retCode":0,"retMsg":"OK","result":{"symbol":"BTCUSD","category":"inverse","list":[["1670608800000",
#  "17071","17073","17027","17055.5","268611","15.74462667"]]},"retExtInfo":{},"time":1672025956592}     [doc]
class Candles(Struct, gc=False):
    result: Rows
    time: int


class PriceFilter(Struct, gc=False):
    tickSize: str


class LotSizeFilter(Struct, gc=False):
    basePrecision: str = ""  # of spot
    qtyStep: str = ""  # of the others


class Listed(Struct, gc=False):
    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str
    priceFilter: PriceFilter
    lotSizeFilter: LotSizeFilter
    contractType: str = ""


class Listing(Struct, gc=False):
    list: list[Listed]


class Listings(Struct, gc=False):
    result: Listing


_frame, _depth, _ticker = json.Decoder(Frame), json.Decoder(Depth), json.Decoder(Ticker)
_prints, _klines = json.Decoder(list[Print]), json.Decoder(list[Candle])
_candles, _listings = json.Decoder(Candles), json.Decoder(Listings)
_MINUTES = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240", "6h": "360"}
_INTERVAL = {f"bar.{name}": wire for name, wire in (_MINUTES | {"1d": "D", "1w": "W"}).items()}
_BAR = {wire: kind for kind, wire in _INTERVAL.items()}
_KLINES = {kind: f"kline.{wire}" for kind, wire in _INTERVAL.items()}
_TOPIC = {"trade": "publicTrade", "summary": "tickers", "mark": "tickers", **_KLINES}
_IS_SNAPSHOT = {"snapshot": True, "delta": False}
_SIDES = {"Buy": "buy", "Sell": "sell"}
_PERPETUALS = {"LinearPerpetual", "InversePerpetual"}


class Bybit(Adapter):
    """Key-less market data: trades, books, summaries of 24 hours, bars, and marks of perpetuals."""

    venue = "bybit"
    title = "Bybit (v5)"
    ws_url = "wss://stream.bybit.com/v5/public"
    rest_url = "https://api.bybit.com"
    kinds = frozenset({"book", *_TOPIC})
    never_closes = True
    sample = "BTC-USDT"
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("sequence u")}
    limits = Limits(symbols_per_socket=100, connects_per_minute=60)  # 21 000 characters of topics a socket
    heartbeat_s = 20.0
    silence_s = 30.0  # the answer to the ping comes at least
    sequence = staticmethod(counted)

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        wanted = self.options.get("depth", DEPTHS[0])
        if not isinstance(wanted, int) or not 1 <= wanted <= DEPTHS[-1]:
            offered = [str(depth) for depth in DEPTHS]
            raise ConfigError(f"book depth {wanted!r} is not offered", where="bybit", allowed=offered)
        self._depth = next(depth for depth in DEPTHS if depth >= wanted)
        self._symbols: dict[str, str] = {}  # native to ours, of what was asked for
        self._asked: dict[str, list[str]] = {}  # request id to the channels of its topic
        self._tickers: dict[str, Ticker] = {}  # as it stands, for the venue sends what has changed
        self._ids = 0

    @classmethod
    def streams(cls, symbol: str) -> frozenset[str]:
        return cls.kinds if not symbol or symbol.endswith(PERPETUAL) else cls.kinds - {"mark"}

    @classmethod
    def canonical(cls, symbol: str) -> str:
        base = symbol.upper().removesuffix("PERP")
        if base == symbol.upper():
            return unified(symbol)
        pair = unified(base.rstrip("-_/"))
        return (pair if "-" in pair else f"{pair}-USDC") + PERPETUAL  # BTCPERP is settled in USDC

    def route(self, channel: Channel) -> str:
        return _category(channel.symbol)

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}/{self.route(channels[0])}"

    def stream(self, channel: Channel) -> str:
        return _TOPIC.get(channel.kind, f"orderbook.{self._depth}")

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection owes no answers, and tells everything anew."""
        self._asked.clear()
        self._tickers.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._symbols |= {_native(channel.symbol): channel.symbol for channel in channels}
        return [self._request("subscribe", *each) for each in self._topics(channels).items()]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("unsubscribe", topic, []) for topic in self._topics(channels)]

    def heartbeat(self, now_ns: int) -> bytes:
        return b'{"op":"ping"}'

    def parse(self, frame: bytes) -> Iterable[Message]:
        said = _frame.decode(frame)
        if said.op or not said.success:
            return self._reply(said)
        kind, _, rest = said.topic.partition(".")
        detail, _, native = rest.rpartition(".")
        match kind:
            case "orderbook" if detail != "1":  # the best level has numbers of its own
                return [self._book(native, said)]
            case "publicTrade":
                return [_trade(self._name(native, "trade"), t) for t in _prints.decode(said.data)]
            case "tickers":
                return self._ticker(native, said)
            case "kline":
                name = self._name(native, _BAR[detail])
                return [_bar(name, k, k.confirm, k.timestamp) for k in _klines.decode(said.data)]
        return [Heartbeat()]  # a topic that we did not ask for

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Bars, backwards in time. Of trades the venue tells only the last, so they are not asked for."""
        if (interval := _INTERVAL.get(channel.kind)) is None:
            return None
        start = (span.start_ns - interval_ns(channel.kind)) // MILLISECOND
        end = int(page) - 1 if page else span.end_ns // MILLISECOND
        what = f"{_query(channel.symbol)}&interval={interval}"
        return f"/v5/market/kline?{what}&start={start}&end={end}&limit={PAGE}"

    def parse_history(self, channel: Channel, body: bytes) -> History:
        answer = _candles.decode(body)
        rows, length = answer.result.list, interval_ns(channel.kind) // MILLISECOND
        bars = [_bar(str(channel), row, int(row.start) + length <= answer.time) for row in rows]
        return History([*bars], rows[-1].start if len(rows) == PAGE else "")

    def price_path(self, symbol: str) -> str:
        return f"/v5/market/tickers?{_query(symbol)}"

    def symbols_paths(self) -> Sequence[str]:
        categories = ("spot", "linear&limit=1000", "inverse&limit=1000")
        return [f"/v5/market/instruments-info?category={each}" for each in categories]

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        spot = "category=spot" in path
        return [
            _instrument(listed)
            for listed in _listings.decode(body).result.list
            if listed.status == "Trading" and (spot or listed.contractType in _PERPETUALS)
        ]

    def _topics(self, channels: Sequence[Channel]) -> dict[str, list[str]]:
        """The channels by the topic that carries them."""
        topics: dict[str, list[str]] = {}
        for channel in channels:
            topic = f"{self.stream(channel)}.{_native(channel.symbol)}"
            topics.setdefault(topic, []).append(str(channel))
        return topics

    def _request(self, verb: str, topic: str, channels: list[str]) -> bytes:
        """One request a topic, so that an unknown one takes no other with it."""
        self._ids += 1
        self._asked[str(self._ids)] = channels
        return json.encode({"req_id": str(self._ids), "op": verb, "args": [topic]})

    def _reply(self, said: Frame) -> list[Message]:
        channels = self._asked.pop(said.req_id, [])
        if not said.success:
            return [Denied(said.ret_msg, tuple(channels))]
        return [Ack(channel) for channel in channels] or [Heartbeat()]

    def _name(self, native: str, kind: str) -> str:
        return f"bybit:{self._symbols.get(native) or self.canonical(native)}/{kind}"

    def _book(self, native: str, said: Frame) -> BookUpdate:
        d = _depth.decode(said.data)
        snapshot = _IS_SNAPSHOT[said.type] or d.u == 1  # the service was restarted
        bids, asks, venue_ns = checked_levels(d.b), checked_levels(d.a), ns_of_ms(said.cts or said.ts)
        return BookUpdate(self._name(native, "book"), venue_ns, snapshot, bids, asks, d.u, d.u)

    def _ticker(self, native: str, said: Frame) -> Iterator[Message]:
        told = {name: text for name, text in asdict(_ticker.decode(said.data)).items() if text}
        before = Ticker() if _IS_SNAPSHOT[said.type] else self._tickers.get(native, Ticker())
        now, venue_ns = replace(before, **told), ns_of_ms(said.ts)
        if now != before:
            yield _summary(self._name(native, "summary"), venue_ns, now)
            if now.markPrice:
                yield _mark(self._name(native, "mark"), venue_ns, now)
            self._tickers[native] = now


def _native(symbol: str) -> str:
    base, _, quote = symbol.removesuffix(PERPETUAL).partition("-")
    return base + ("PERP" if quote == "USDC" and symbol.endswith(PERPETUAL) else quote)


def _category(symbol: str) -> str:
    if not symbol.endswith(PERPETUAL):
        return "spot"
    return "inverse" if symbol.endswith(f"-USD{PERPETUAL}") else "linear"


def _query(symbol: str) -> str:
    return f"category={_category(symbol)}&symbol={_native(symbol)}"


def _trade(name: str, t: Print) -> Trade:
    flags = tuple(flag for flag, is_set in (("BT", t.BT), ("RPI", t.RPI)) if is_set)
    return Trade(name, ns_of_ms(t.T), checked(t.p), checked(t.v), _SIDES[t.S], t.i, None, flags)


def _summary(name: str, venue_ns: int, t: Ticker) -> Summary:
    texts = (t.prevPrice24h, t.highPrice24h, t.lowPrice24h, t.lastPrice, t.volume24h, t.turnover24h)
    opened, high, low, last, volume, turnover = [checked(text) if text else None for text in texts]
    return Summary(name, venue_ns, opened, high, low, last, None, volume, turnover)


def _mark(name: str, venue_ns: int, t: Ticker) -> Mark:
    checked(t.fundingRate.removeprefix("-") or "0")
    index = checked(t.indexPrice) if t.indexPrice else None
    return Mark(name, venue_ns, checked(t.markPrice), index, t.fundingRate or None)


def _bar(name: str, k: Candle | Row, closed: bool, venue_ms: int | None = None) -> Bar:
    opened, high, low, close, volume = map(checked, (k.open, k.high, k.low, k.close, k.volume))
    start_ns, venue_ns = ns_of_ms(int(k.start)), None if venue_ms is None else ns_of_ms(venue_ms)
    return Bar(name, start_ns, opened, high, low, close, volume, closed=closed, venue_ns=venue_ns)


def _instrument(i: Listed) -> Instrument:
    symbol = f"{i.baseCoin}-{i.quoteCoin}{PERPETUAL if i.contractType else ''}"
    size_step = i.lotSizeFilter.basePrecision or i.lotSizeFilter.qtyStep
    return Instrument(symbol, i.symbol, i.priceFilter.tickSize, size_step, asset="crypto")
