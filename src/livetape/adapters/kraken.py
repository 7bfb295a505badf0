"""Kraken spot, WebSocket v2. Source: https://docs.kraken.com/api/docs/websocket-v2 (read 2026-11-20).

Prices and sizes are bare JSON numbers whose text the venue checksums, so they are taken as raw text
[recorded].
Books carry no sequence number; every book message carries a CRC32 over the ten best levels [recorded].
The venue sends no delete for a level that is pushed out of the subscribed depth [recorded].
REST has the same numbers with other zeros at their end, and times beyond the microsecond [doc].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zlib import crc32

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.book import Book
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Message, Origin, Quote, Trade
from ..core.instruments import Channel, Instrument, interval_ns, unified
from ..core.times import SECOND, ns_of

DEPTHS = (10, 25, 100, 500, 1000)  # the venue refuses any other
REMEMBERED = 1000  # requests whose channels are remembered, in case they are refused
MINUTE = 60 * SECOND
LEGACY = {"BTC": "XBT", "DOGE": "XDG"}  #: names that REST has kept
TRADES = 1000  #: of a page of history [doc]
CANDLES = 720  #: as far as REST reaches back, the running one included [doc]


class WireLevel(Struct, gc=False):
    price: Raw
    qty: Raw


# {"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[],"asks":[{"price":1877.64,
#  "qty":0.79488026}],"checksum":114690792,"timestamp":"2026-08-02T04:23:43.220187Z"}]} [recorded 2026-08-02]
class WireBook(Struct, gc=False):
    symbol: str
    bids: list[WireLevel]
    asks: list[WireLevel]
    checksum: int
    timestamp: datetime | None = None


class WireTrade(Struct, gc=False):
    symbol: str
    side: str
    price: Raw
    qty: Raw
    trade_id: int
    timestamp: datetime
    ord_type: str = "limit"


class WireTicker(Struct, gc=False):
    symbol: str
    bid: Raw
    bid_qty: Raw
    ask: Raw
    ask_qty: Raw
    timestamp: datetime | None = None


class WireCandle(Struct, gc=False):
    symbol: str
    open: Raw
    high: Raw
    low: Raw
    close: Raw
    trades: int
    volume: Raw
    vwap: Raw
    interval_begin: datetime
    interval: int


class BookFrame(Struct, gc=False, tag_field="channel", tag="book"):
    type: str
    data: list[WireBook]


class TradeFrame(Struct, gc=False, tag_field="channel", tag="trade"):
    type: str
    data: list[WireTrade]


class TickerFrame(Struct, gc=False, tag_field="channel", tag="ticker"):
    type: str
    data: list[WireTicker]


class CandleFrame(Struct, gc=False, tag_field="channel", tag="ohlc"):
    type: str
    data: list[WireCandle]


class StatusFrame(Struct, gc=False, tag_field="channel", tag="status"):
    pass


class HeartbeatFrame(Struct, gc=False, tag_field="channel", tag="heartbeat"):
    pass


class Subscribed(Struct, gc=False, omit_defaults=True):
    channel: str
    symbol: str = ""
    interval: int = 0
    depth: int = 0
    snapshot: bool | None = None


# {"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,"symbol":"ETH/USD"},
#  "success":true,"time_in":"2026-08-02T04:23:42.847625Z",
#  "time_out":"2026-08-02T04:23:42.847670Z"}                                           [recorded 2026-08-02]
class Reply(Struct, gc=False, omit_defaults=True):
    method: str
    success: bool = True
    result: Subscribed | None = None
    error: str = ""
    symbol: str = ""
    req_id: int | None = None
    time_in: str = ""
    time_out: str = ""


# {"error":[],"result":{"XXBTZUSD":[…],"last":"1688671969993150842"}}                                   [doc]
class Past(Struct, gc=False):
    error: list[str] = []
    result: dict[str, Raw] = {}


# ["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952]                                   [doc]
class PastTrade(Struct, gc=False, array_like=True):
    price: str
    qty: str
    time: Raw
    side: str
    ord_type: str
    misc: str
    trade_id: int


# [1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23]                        [doc]
class PastCandle(Struct, gc=False, array_like=True):
    time: Raw
    open: str
    high: str
    low: str
    close: str
    vwap: str
    volume: str
    trades: int


class Pair(Struct, gc=False):
    wsname: str
    pair_decimals: int
    lot_decimals: int


class Pairs(Struct, gc=False):
    result: dict[str, Pair]


Frame = BookFrame | TradeFrame | TickerFrame | CandleFrame | StatusFrame | HeartbeatFrame

_frame: json.Decoder[Frame] = json.Decoder(Frame)
_reply = json.Decoder(Reply)
_pairs, _past = json.Decoder(Pairs), json.Decoder(Past)
_past_trades, _past_candles = json.Decoder(list[PastTrade]), json.Decoder(list[PastCandle])
_MINUTES = {f"bar.{i}": interval_ns(i) // MINUTE for i in ("1m", "5m", "15m", "30m", "1h", "4h", "1d")}
_BAR = {minutes: kind for kind, minutes in _MINUTES.items()}
_CHANNEL = {"trade": "trade", "book": "book", "quote": "ticker", **dict.fromkeys(_MINUTES, "ohlc")}
_IS_SNAPSHOT = {"snapshot": True, "update": False}
_SIDES = {"buy": "buy", "sell": "sell"}
_PAST_SIDES = {"b": "buy", "s": "sell"}


class Kraken(Adapter):
    """Key-less market data: trades, books, quotes (ticker on best-price change) and bars."""

    venue = "kraken"
    title = "Kraken spot (WebSocket v2)"
    ws_url = "wss://ws.kraken.com/v2"
    rest_url = "https://api.kraken.com"
    kinds = frozenset(_CHANNEL)
    never_closes = True
    guarantees: Mapping[str, Guarantee] = {
        "book": Guarantee("crc32", 10),
        "trade": Guarantee("trade_id"),
    }
    limits = Limits(symbols_per_socket=200, connects_per_minute=15)
    silence_s = 10.0  # a heartbeat comes each second while anything is subscribed [recorded]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        wanted = self.options.get("depth", DEPTHS[0])
        if not isinstance(wanted, int) or wanted > DEPTHS[-1] or wanted < 1:
            offered = [str(depth) for depth in DEPTHS]
            raise ConfigError(f"book depth {wanted!r} is not offered", where="kraken", allowed=offered)
        self.depth = next(depth for depth in DEPTHS if depth >= wanted)
        self._asked: dict[int, list[str]] = {}  # channels by the id of the request
        self._ids = 0

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._requests("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._requests("unsubscribe", channels)

    def probe(self) -> bytes:
        return b'{"method":"ping"}'

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"channel":"' not in frame[:12]:
            return self._answer(_reply.decode(frame))
        match _frame.decode(frame):
            case BookFrame(type=kind, data=books):
                return [_book(book, snapshot=_IS_SNAPSHOT[kind]) for book in books]
            case TradeFrame(type=kind, data=trades):
                return _trades(trades, history=_IS_SNAPSHOT[kind])
            case TickerFrame(data=tickers):
                return map(_quote, tickers)
            case CandleFrame(data=candles):
                return map(_bar, candles)
        return [Heartbeat()]

    def checksum(self, book: Book) -> int:
        return fingerprint(book.asks.top(10), book.bids.top(10))

    def symbols_paths(self) -> Sequence[str]:
        return ("/0/public/AssetPairs",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(unified(p.wsname), p.wsname, _step(p.pair_decimals), _step(p.lot_decimals))
            for p in _pairs.decode(body).result.values()
        ]

    def price_path(self, symbol: str) -> str:
        return f"/0/public/Ticker?pair={_pair(symbol)}"

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Trades by number, page by page on from a time; bars that are still there."""
        pair, minutes = f"pair={_pair(channel.symbol)}", _MINUTES.get(channel.kind)
        if channel.kind == "trade" and span.numbers:
            since_ns = int(page or span.start_ns)
            return f"/0/public/Trades?{pair}&since={since_ns}" if since_ns <= span.end_ns else None
        if minutes and span.end_ns - span.start_ns < (CANDLES - 2) * minutes * MINUTE:
            since_s = (span.start_ns - minutes * MINUTE) // SECOND
            return f"/0/public/OHLC?{pair}&interval={minutes}&since={since_s}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        past = _past.decode(body)
        if past.error:
            raise ValueError(past.error[0])
        [rows] = [value for name, value in past.result.items() if name != "last"]
        if channel.kind != "trade":
            return History([_past_bar(str(channel), candle) for candle in _past_candles.decode(rows)])
        trades = [_past_trade(str(channel), trade) for trade in _past_trades.decode(rows)]
        last_ns = int(json.decode(past.result["last"], type=str))
        return History([*trades], str(last_ns) if len(trades) >= TRADES else "")

    def _requests(self, method: str, channels: Sequence[Channel]) -> list[bytes]:
        wanted: dict[str, list[str]] = {}
        for channel in channels:
            wanted.setdefault(channel.kind, []).append(channel.symbol.replace("-", "/"))
        return [self._request(method, kind, symbols) for kind, symbols in wanted.items()]

    def _request(self, method: str, kind: str, symbols: list[str]) -> bytes:
        self._ids += 1
        self._asked[self._ids] = [_name(native, kind) for native in symbols]
        self._asked.pop(self._ids - REMEMBERED, None)
        params = self._params(kind, method) | {"symbol": symbols}
        return json.encode({"method": method, "params": params, "req_id": self._ids})

    def _params(self, kind: str, method: str) -> dict[str, object]:
        params: dict[str, object] = {"channel": _CHANNEL[kind]}
        if kind == "book":
            params["depth"] = self.depth
        elif kind == "quote":
            params["event_trigger"] = "bbo"
        elif kind in _MINUTES:
            params["interval"] = _MINUTES[kind]
        return params | {"snapshot": True} if method == "subscribe" else params

    def _answer(self, reply: Reply) -> Iterator[Message]:
        if not reply.success and reply.method == "subscribe":
            yield Denied(reply.error or "subscription refused", self._refused(reply))
        elif reply.method == "subscribe" and (result := reply.result) is not None:
            self.depth = result.depth or self.depth  # what the venue confirms counts
            kind = _BAR[result.interval] if result.channel == "ohlc" else _KIND.get(result.channel, "")
            yield Ack(_name(result.symbol, kind))
        else:
            yield Heartbeat()

    def _refused(self, reply: Reply) -> tuple[str, ...]:
        """The channels asked for by that request, of its symbol alone where it names one."""
        of_symbol = [_name(reply.symbol, kind) for kind in _CHANNEL]
        asked = self._asked.get(reply.req_id or 0)
        if asked is None:
            return tuple(of_symbol) if reply.symbol else ()
        return tuple(name for name in asked if not reply.symbol or name in of_symbol)


_KIND = {"book": "book", "trade": "trade", "ticker": "quote"}


@lru_cache(1 << 14)
def _name(native: str, kind: str) -> str:
    return f"kraken:{native.replace('/', '-')}/{kind}"


def _text(number: Raw) -> str:
    return str(number, "ascii")


def _levels(wire: list[WireLevel]) -> list[Level]:
    return checked_levels([(_text(level.price), _text(level.qty)) for level in wire])


def _book(wire: WireBook, *, snapshot: bool) -> BookUpdate:
    return BookUpdate(
        _name(wire.symbol, "book"),
        ns_of(wire.timestamp) if wire.timestamp else None,
        snapshot,
        _levels(wire.bids),
        _levels(wire.asks),
        checksum=wire.checksum,
    )


def _trades(trades: list[WireTrade], *, history: bool) -> Iterator[Trade]:
    origin = Origin.BACKFILLED if history else Origin.LIVE
    for t in sorted(trades, key=lambda trade: trade.trade_id) if history else trades:
        name, venue_ns, number = _name(t.symbol, "trade"), ns_of(t.timestamp), t.trade_id
        price, size = checked(_text(t.price)), checked(_text(t.qty))
        yield Trade(name, venue_ns, price, size, _SIDES[t.side], str(number), number, origin=origin)


def _quote(t: WireTicker) -> Quote:
    bid, bid_size, ask, ask_size = [checked(_text(n)) for n in (t.bid, t.bid_qty, t.ask, t.ask_qty)]
    venue_ns = ns_of(t.timestamp) if t.timestamp else None
    return Quote(_name(t.symbol, "quote"), venue_ns, bid, bid_size, ask, ask_size)


def _bar(c: WireCandle) -> Bar:
    return Bar(
        _name(c.symbol, _BAR[c.interval]),
        ns_of(c.interval_begin),
        checked(_text(c.open)),
        checked(_text(c.high)),
        checked(_text(c.low)),
        checked(_text(c.close)),
        checked(_text(c.volume)),
        trades=c.trades,
        vwap_text=checked(_text(c.vwap)),
    )


def fingerprint(asks: list[Level], bids: list[Level]) -> int:
    """CRC32 over the ten best asks, then bids: each number's text without its point and leading zeros."""
    return crc32("".join(map(_digits, asks + bids)).encode())


@lru_cache(1 << 12)  # most of the ten best levels are the same from one message to the next
def _digits(level: Level) -> str:
    plain = [f"{Decimal(number):f}" if "e" in number.lower() else number for number in level]
    return "".join([number.replace(".", "").lstrip("0") for number in plain])


def _past_trade(channel: str, t: PastTrade) -> Trade:
    venue_ns, number, side = _ns(t.time) // 1000 * 1000, t.trade_id, _PAST_SIDES[t.side]
    return Trade(channel, venue_ns, checked(t.price), checked(t.qty), side, str(number), number)


def _past_bar(channel: str, c: PastCandle) -> Bar:
    opened, high, low, close, volume = map(checked, (c.open, c.high, c.low, c.close, c.volume))
    figures = opened, high, low, close, volume
    return Bar(channel, _ns(c.time), *figures, trades=c.trades, vwap_text=checked(c.vwap))


def _ns(seconds: Raw) -> int:
    ns = int(Decimal(checked(_text(seconds))) * SECOND)
    if ns >= 1 << 63:
        raise ValueError(f"{ns} is not a time in ns")
    return ns


def _pair(symbol: str) -> str:
    """As REST spells it: ``XBTUSD``."""
    return "".join(LEGACY.get(asset, asset) for asset in symbol.split("-"))


def _step(decimals: int) -> str:
    return f"{Decimal(1).scaleb(-decimals):f}"
