"""Coinbase Exchange, the public feed.

Sources: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels and …/rest-api/products.

Of the books only ``level2_batch``, every 50 ms, needs no key; its frames are those of ``level2`` [doc].
Books carry neither number nor checksum; trades of a product are numbered one by one [recorded].
``side`` is the maker's, so the aggressor's is the other one [recorded].
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import (
    Ack,
    Bar,
    BookUpdate,
    Denied,
    Heartbeat,
    Message,
    Origin,
    Summary,
    Through,
    Trade,
    Why,
)
from ..core.instruments import Channel, Instrument, by_symbol, interval_ns, unified
from ..core.stamps import ns_of_stamp, rfc3339
from ..core.times import SECOND, ns_of_ms

TRADES = 1000  #: of a page of history, at most [doc]
CANDLES = 300  #: likewise


# {"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"]],"bids":[["14.7550","3.2"]]}
#                                                                                        [recorded 2021-04-17]
class Snapshot(Struct, gc=False):
    product_id: str
    bids: list[Level]
    asks: list[Level]
    time: str = ""


# {"type":"l2update","product_id":"NU-GBP","changes":[["buy","0.4312","0.000000"]],
#  "time":"2021-04-17T16:43:37.080304Z"}                                                 [recorded 2021-04-17]
class L2Update(Struct, gc=False):
    product_id: str
    changes: list[tuple[str, str, str]]
    time: str


# {"type":"last_match","trade_id":881613,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0",
#  "taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"sell","size":"0.04","price":"14.7775",
#  "product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}    [recorded 2021-04-17]
class Match(Struct, gc=False):
    trade_id: int
    side: str
    size: str
    price: str
    time: str
    product_id: str = ""  # REST leaves it out


# {"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647",
#  "volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","volume_30d":"2295579.57000000",
#  "best_bid":"14.7550","best_ask":"14.8060","side":"buy","time":"2021-04-17T16:43:30.244075Z",
#  "trade_id":881613,"last_size":"0.04"}                                                 [recorded 2021-04-17]
class Ticker(Struct, gc=False):
    product_id: str
    price: str
    open_24h: str
    volume_24h: str
    low_24h: str
    high_24h: str
    time: str = ""


# {"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD",
#  "time":"2014-11-07T08:19:28.464459Z"}                                                                 [doc]
class Beat(Struct, gc=False):
    last_trade_id: int
    product_id: str


class Stream(Struct, gc=False):
    name: str
    product_ids: list[str] | None = None


# {"type":"subscriptions","channels":[{"name":"level2","product_ids":["BAND-GBP","BAND-BTC"]}]}
#                                                                                        [recorded 2021-04-17]
class Subscriptions(Struct, gc=False):
    channels: list[Stream]


# {"type":"error","message":"Failed to subscribe","reason":"xyz is not a valid product"}          [unverified]
class Failure(Struct, gc=False):
    message: str
    reason: str = ""


# {"bids":[["0.4311","12.5",2]],"asks":[["0.4319","3.2",1]],"sequence":333938798,"auction_mode":false,
#  "auction":null,"time":"2021-04-17T16:43:37.080304Z"}: price, size, number of orders            [unverified]
class Book(Struct, gc=False):
    bids: list[tuple[str, str, int]]
    asks: list[tuple[str, str, int]]
    time: str = ""


class Head(Struct, gc=False):
    type: str


class Product(Struct, gc=False):
    id: str
    quote_increment: str
    base_increment: str
    status: str = "online"


_head, _failure, _subscriptions = json.Decoder(Head), json.Decoder(Failure), json.Decoder(Subscriptions)
_snapshot, _update, _match = json.Decoder(Snapshot), json.Decoder(L2Update), json.Decoder(Match)
_ticker, _beat = json.Decoder(Ticker), json.Decoder(Beat)
_products, _matches = json.Decoder(list[Product]), json.Decoder(list[Match])
_book = json.Decoder(Book)
# [[1415398768,0.32,4.2,0.35,4.2,12.3]]: time in s, low, high, open, close, volume                       [doc]
_candles = json.Decoder(list[tuple[int, Raw, Raw, Raw, Raw, Raw]])
_STREAMS = {"book": "level2_batch", "trade": "matches", "summary": "ticker"}
_KINDS = {stream: kind for kind, stream in _STREAMS.items()} | {"level2": "book", "level2_50": "book"}
_AGGRESSOR = {"buy": "sell", "sell": "buy"}
_GRANULARITY = {f"bar.{i}": interval_ns(f"bar.{i}") // SECOND for i in ("1m", "5m", "15m", "1h", "6h", "1d")}


class Coinbase(Adapter):
    """Key-less market data: trades, books and the last 24 hours; quotes from books.

    The ticker comes with trades only, so it makes no quotes. A heartbeat a second for each product tells the
    number of its last trade, so a trade that was lost shows though none follows.
    """

    venue = "coinbase"
    title = "Coinbase Exchange"
    ws_url = "wss://ws-feed.exchange.coinbase.com"
    rest_url = "https://api.exchange.coinbase.com"
    kinds = frozenset(_STREAMS)
    never_closes = True
    guarantees: Mapping[str, Guarantee] = {"trade": Guarantee("trade_id")}
    limits = Limits(symbols_per_socket=100, connects_per_minute=60, messages_per_s=50)  # 100 of an IP [doc]
    silence_s = 10.0  # each product has its heartbeat every second [doc]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._wanted: set[Channel] = set()

    def login(self) -> list[bytes]:
        """Nothing to send; nothing was asked of a new connection."""
        self._wanted.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """One request for each product: the venue refuses a whole request for one bad name [unverified]."""
        self._wanted |= set(channels)
        return [
            _request("subscribe", name, kinds, "heartbeat") for name, kinds in by_symbol(channels).items()
        ]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """A product keeps its heartbeat as long as anything of it is wanted."""
        self._wanted -= set(channels)
        left = by_symbol(self._wanted)
        return [
            _request("unsubscribe", name, kinds, *([] if name in left else ["heartbeat"]))
            for name, kinds in by_symbol(channels).items()
        ]

    def parse(self, frame: bytes) -> Iterable[Message]:
        match _head.decode(frame).type:
            case "l2update":
                return [_changes(_update.decode(frame))]
            case "snapshot":
                return [_whole(_snapshot.decode(frame))]
            case "match":
                return [_trade(_match.decode(frame))]
            case "last_match":
                return [_trade(_match.decode(frame), Origin.BACKFILLED)]
            case "ticker":
                return [_summary(_ticker.decode(frame))]
            case "heartbeat":
                beat = _beat.decode(frame)
                return [Through(_name(beat.product_id, "trade"), beat.last_trade_id)]
            case "subscriptions":
                return [
                    Ack(_name(native, _KINDS[stream.name]))
                    for stream in _subscriptions.decode(frame).channels
                    if stream.name in _KINDS
                    for native in stream.product_ids or ()
                ]
            case "error":
                return [self._denied(_failure.decode(frame))]
        return [Heartbeat()]

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        path = f"/products/{channel.symbol}"
        if channel.kind == "trade" and span.numbers:
            before = int(page or span.numbers.stop)
            limit = min(max(before - span.numbers.start, 1), TRADES)
            return f"{path}/trades?limit={limit}&after={before}"  # newest first, so older than that [doc]
        granularity = _GRANULARITY.get(channel.kind)
        if granularity and span.end_ns - span.start_ns < CANDLES * granularity * SECOND:
            start, end = rfc3339(span.start_ns), rfc3339(span.end_ns)
            return f"{path}/candles?granularity={granularity}&start={start}&end={end}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        if channel.kind != "trade":
            return History([_bar(str(channel), *candle) for candle in _candles.decode(body)])
        trades = _matches.decode(body)
        for trade in trades:
            trade.product_id = channel.symbol
        oldest = min((trade.trade_id for trade in trades), default=0)
        return History([_trade(trade) for trade in trades], str(oldest) if len(trades) == TRADES else "")

    def symbols_paths(self) -> Sequence[str]:
        return ("/products",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(unified(p.id), p.id, p.quote_increment, p.base_increment)
            for p in _products.decode(body)
            if p.status == "online"
        ]

    def price_path(self, symbol: str) -> str:
        return f"/products/{symbol}/book?level=1"

    def audit_path(self, symbol: str) -> str:
        return f"/products/{symbol}/book?level=2"

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        book = _book.decode(body)
        bids, asks = (_levels((price, size) for price, size, _ in side) for side in (book.bids, book.asks))
        return BookUpdate(_name(symbol, "book"), _ns(book.time), True, bids, asks)

    def _denied(self, failure: Failure) -> Denied:
        """The venue names the product, if anything, in the first word of its reason [unverified]."""
        native = failure.reason.partition(" ")[0]
        refused = tuple(sorted(str(channel) for channel in self._wanted if channel.symbol == native))
        why = Why.SYMBOL if "not a valid product" in failure.reason else Why.OTHER
        return Denied(f"{failure.message}: {failure.reason}".removesuffix(": "), refused, why)


def _request(verb: str, native: str, kinds: Iterable[str], *beat: str) -> bytes:
    streams = [*sorted(_STREAMS[kind] for kind in kinds), *beat]
    return json.encode({"type": verb, "product_ids": [native], "channels": streams})


def _name(native: str, kind: str) -> str:
    return f"coinbase:{native}/{kind}"


def _ns(time: str) -> int | None:
    """At times the venue sends the first day of year 1 [recorded]; a first ticker may have no time."""
    return None if not time or time.startswith("0001-") else ns_of_stamp(time)


def _levels(levels: Iterable[Level]) -> list[Level]:
    """A size below zero, which the venue has written ``0.-10000`` [recorded], is none."""
    return checked_levels([(price, "0" if ".-" in size else size) for price, size in levels])


def _whole(s: Snapshot) -> BookUpdate:
    return BookUpdate(_name(s.product_id, "book"), _ns(s.time), True, _levels(s.bids), _levels(s.asks))


def _changes(u: L2Update) -> BookUpdate:
    bids = _levels((price, size) for side, price, size in u.changes if side == "buy")
    asks = _levels((price, size) for side, price, size in u.changes if side == "sell")
    if len(bids) + len(asks) != len(u.changes):
        raise ValueError("a change that is neither buy nor sell")
    return BookUpdate(_name(u.product_id, "book"), _ns(u.time), False, bids, asks)


def _trade(t: Match, origin: Origin = Origin.LIVE) -> Trade:
    name, side, number = _name(t.product_id, "trade"), _AGGRESSOR[t.side], t.trade_id
    price, size = checked(t.price), checked(t.size)
    return Trade(name, ns_of_stamp(t.time), price, size, side, str(number), number, origin=origin)


def _summary(t: Ticker) -> Summary:
    texts = (t.open_24h, t.high_24h, t.low_24h, t.price, t.volume_24h)
    opened, high, low, last, volume = map(checked, texts)
    name = _name(t.product_id, "summary")
    return Summary(name, _ns(t.time), opened, high, low, last, volume_text=volume)


def _bar(name: str, start_s: int, *texts: Raw) -> Bar:
    low, high, opened, closed, volume = [checked(str(text, "ascii")) for text in texts]
    return Bar(name, ns_of_ms(start_s * 1000), opened, high, low, closed, volume)
