"""Coinbase Advanced Trade, market data without a key.

Sources: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels and
…/api-reference/advanced-trade-api/rest-api/products.

Every frame of a connection but an error has the next ``sequence_num``, from 0 on [recorded]. Data may come
before the acknowledgement [recorded]. What is asked of ``*-USDC`` is told of ``*-USD`` [doc].
``side`` is the maker's, so the aggressor's is the other one [doc, unverified since].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Raw, Struct, json

from ..core.adapter import Adapter, Guarantee, History, Limits, Span
from ..core.decimals import checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Counter, Denied, Heartbeat, Message, Origin, Summary, Trade
from ..core.instruments import Channel, Instrument, unified
from ..core.stamps import ns_of_stamp
from ..core.times import SECOND, ns_of_ms

TRADES = 1000  #: of a page of history, at most [unverified]
CANDLES = 350  #: likewise [unverified]
MINUTES_5 = 300 * SECOND


# {"channel":"l2_data","client_id":"","timestamp":"2023-02-09T20:32:50.714964855Z","sequence_num":0,
#  "events":[…]}                                                                                         [doc]
# {"type":"error","message":"failure to subscribe"}                                               [unverified]
class Envelope(Struct, gc=False):
    channel: str = ""
    timestamp: str = ""
    sequence_num: int | None = None
    events: Raw = Raw(b"[]")
    type: str = ""
    message: str = ""


class Change(Struct, gc=False):
    side: str
    price_level: str
    new_quantity: str


# {"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"1970-01-01T00:00:00Z",
#  "price_level":"21921.73","new_quantity":"0.06317902"}]}                                               [doc]
class BookEvent(Struct, gc=False):
    type: str
    product_id: str
    updates: list[Change]


# {"trade_id":"12345","product_id":"ETH-USD","price":"1260.01","size":"0.3","side":"BUY",
#  "time":"2019-08-14T20:42:27.265Z"}                                                                    [doc]
class Print(Struct, gc=False):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: str
    time: str


class Prints(Struct, gc=False):
    trades: list[Print]
    type: str = "update"


# {"type":"ticker","product_id":"BTC-USD","price":"21932.98","volume_24_h":"16038.28770938",
#  "low_24_h":"21835.29","high_24_h":"23011.18","low_52_w":"15460","high_52_w":"48240",
#  "price_percent_chg_24_h":"-4.15775596190603","best_bid":"21931.98","best_bid_quantity":"8000.21",
#  "best_ask":"21933.98","best_ask_quantity":"8038.07770938"}                                            [doc]
class Ticker(Struct, gc=False):
    product_id: str
    price: str
    volume_24_h: str
    low_24_h: str
    high_24_h: str


class Tickers(Struct, gc=False):
    tickers: list[Ticker]


# {"start":"1688998200","high":"1867.72","low":"1865.63","open":"1867.38","close":"1866.81",
#  "volume":"0.20269406","product_id":"ETH-USD"}                                                         [doc]
class Candle(Struct, gc=False):
    start: str
    high: str
    low: str
    open: str
    close: str
    volume: str
    product_id: str = ""  # REST leaves it out


class Candles(Struct, gc=False):
    candles: list[Candle]


# {"subscriptions":{"level2":["BTC-USD"],"heartbeats":["heartbeats"]}}                                   [doc]
class Subscribed(Struct, gc=False):
    subscriptions: dict[str, list[str]]


class Product(Struct, gc=False):
    product_id: str
    base_increment: str
    quote_increment: str
    status: str = "online"


class Products(Struct, gc=False):
    products: list[Product]


_envelope, _books, _prints = json.Decoder(Envelope), json.Decoder(list[BookEvent]), json.Decoder(list[Prints])
_tickers, _candles = json.Decoder(list[Tickers]), json.Decoder(list[Candles])
_subscribed, _products = json.Decoder(list[Subscribed]), json.Decoder(Products)
_past_trades, _past_candles = json.Decoder(Prints), json.Decoder(Candles)
_STREAMS = {"book": "level2", "trade": "market_trades", "summary": "ticker", "bar.5m": "candles"}
_KINDS = {stream: kind for kind, stream in _STREAMS.items()}
_IS_SNAPSHOT = {"snapshot": True, "update": False}
_AGGRESSOR = {"BUY": "sell", "SELL": "buy"}
_APART = ("USDT-USDC", "EURC-USDC")  #: products in USDC that are markets of their own [doc]
_PRODUCTS = "/api/v3/brokerage/market/products"


class CoinbaseV3(Adapter):
    """Key-less market data: trades, books, bars of five minutes, the last 24 hours; quotes from books."""

    venue = "coinbase"
    title = "Coinbase Advanced Trade"
    ws_url = "wss://advanced-trade-ws.coinbase.com"
    rest_url = "https://api.coinbase.com"
    kinds = frozenset(_STREAMS)
    never_closes = True
    guarantees: Mapping[str, Guarantee] = dict.fromkeys(("book", "trade"), Guarantee("sequence_num"))
    limits = Limits(symbols_per_socket=100, connects_per_minute=60, messages_per_s=8)  # of an IP [doc]
    silence_s = 10.0  # a heartbeat comes every second [doc]

    @classmethod
    def canonical(cls, symbol: str) -> str:
        name = unified(symbol)
        return name.removesuffix("C") if name.endswith("-USDC") and name not in _APART else name

    def login(self) -> list[bytes]:
        """Nobody logs in; the heartbeats keep quiet subscriptions open [doc]."""
        return [b'{"type":"subscribe","channel":"heartbeats"}']

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("unsubscribe", channels)

    def parse(self, frame: bytes) -> Iterator[Message]:
        envelope = _envelope.decode(frame)
        if envelope.type == "error":
            yield Denied(envelope.message)
            return
        if envelope.sequence_num is None:
            raise ValueError("a frame without its number")
        yield Counter(envelope.sequence_num)
        yield from _told(envelope, ns_of_stamp(envelope.timestamp))

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        path, start_s, end_s = (
            f"{_PRODUCTS}/{channel.symbol}",
            span.start_ns // SECOND,
            -(-span.end_ns // SECOND),
        )
        if channel.kind == "trade":
            return f"{path}/ticker?limit={TRADES}&start={start_s}&end={page or end_s}"
        if channel.kind == "bar.5m" and span.end_ns - span.start_ns < (CANDLES - 1) * MINUTES_5:
            return f"{path}/candles?granularity=FIVE_MINUTE&limit={CANDLES}&start={start_s}&end={end_s}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        """Trades come newest first, so a full page ends where the next one has to begin [unverified]."""
        if channel.kind != "trade":
            return History([_bar(candle, str(channel)) for candle in _past_candles.decode(body).candles])
        trades = [_trade(trade) for trade in _past_trades.decode(body).trades]
        oldest_ns = min((trade.venue_ns or 0 for trade in trades), default=0)
        return History([*trades], str(oldest_ns // SECOND + 1) if len(trades) >= TRADES else "")

    def symbols_paths(self) -> Sequence[str]:
        return (_PRODUCTS,)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(p.product_id, p.product_id, p.quote_increment, p.base_increment)
            for p in _products.decode(body).products
            if p.status == "online" and self.canonical(p.product_id) == p.product_id
        ]

    def price_path(self, symbol: str) -> str:
        return f"/api/v3/brokerage/market/product_book?product_id={symbol}&limit=1"


def _told(envelope: Envelope, venue_ns: int) -> Iterable[Message]:
    """What the events of a frame say; nothing where it is of a channel that we do not ask for."""
    events = bytes(envelope.events)
    match envelope.channel:
        case "l2_data":
            return [_book(event, venue_ns) for event in _books.decode(events)]
        case "market_trades":
            return [trade for event in _prints.decode(events) for trade in _trades(event)]
        case "ticker":
            return [_summary(t, venue_ns) for event in _tickers.decode(events) for t in event.tickers]
        case "candles":
            candles = [candle for event in _candles.decode(events) for candle in event.candles]
            candles.sort(key=lambda candle: int(candle.start))  # the first event holds past ones, too
            return [_bar(candle, _name(candle.product_id, "bar.5m"), venue_ns) for candle in candles]
        case "subscriptions":
            lists = [item for event in _subscribed.decode(events) for item in event.subscriptions.items()]
            return [
                Ack(_name(native, _KINDS[s])) for s, natives in lists if s in _KINDS for native in natives
            ]
    return [Heartbeat()]


def _requests(verb: str, channels: Sequence[Channel]) -> list[bytes]:
    """One for each channel of the venue, as it wants it."""
    wanted: dict[str, list[str]] = {}
    for channel in channels:
        wanted.setdefault(_STREAMS[channel.kind], []).append(channel.symbol)
    return [
        json.encode({"type": verb, "product_ids": natives, "channel": stream})
        for stream, natives in wanted.items()
    ]


def _name(native: str, kind: str) -> str:
    return f"coinbase:{native}/{kind}"


def _book(event: BookEvent, venue_ns: int) -> BookUpdate:
    changes = event.updates
    bids = checked_levels([(c.price_level, c.new_quantity) for c in changes if c.side == "bid"])
    asks = checked_levels([(c.price_level, c.new_quantity) for c in changes if c.side == "offer"])
    if len(bids) + len(asks) != len(changes):
        raise ValueError("a change that is neither bid nor offer")
    return BookUpdate(_name(event.product_id, "book"), venue_ns, _IS_SNAPSHOT[event.type], bids, asks)


def _trades(event: Prints) -> list[Trade]:
    """The newest stands first on the wire [recorded]; the snapshot holds those of before."""
    origin = Origin.BACKFILLED if _IS_SNAPSHOT[event.type] else Origin.LIVE
    return sorted([_trade(trade, origin) for trade in event.trades], key=lambda trade: trade.number or 0)


def _trade(t: Print, origin: Origin = Origin.LIVE) -> Trade:
    name, number, side = _name(t.product_id, "trade"), int(t.trade_id), _AGGRESSOR[t.side]
    price, size = checked(t.price), checked(t.size)
    return Trade(name, ns_of_stamp(t.time), price, size, side, t.trade_id, number, origin=origin)


def _summary(t: Ticker, venue_ns: int) -> Summary:
    high, low, last, volume = map(checked, (t.high_24_h, t.low_24_h, t.price, t.volume_24_h))
    return Summary(_name(t.product_id, "summary"), venue_ns, None, high, low, last, volume_text=volume)


def _bar(c: Candle, name: str, venue_ns: int | None = None) -> Bar:
    texts = (c.open, c.high, c.low, c.close, c.volume)
    opened, high, low, closed, volume = map(checked, texts)
    start_ns = ns_of_ms(int(c.start) * 1000)
    return Bar(name, start_ns, opened, high, low, closed, volume, venue_ns=venue_ns)
