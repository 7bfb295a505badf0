"""Kraken Futures, WebSocket v1.

Source: recorded frames, and https://docs.kraken.com/exchange/api-reference/futures-websocket (2026-11-21).

A feed starts with a snapshot. ``seq`` counts one by one: the updates of a book from its snapshot on, and
apart from them the trades of a product [recorded]. A book update is one level.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Raw, Struct, json

from ..core.adapter import Adapter, Guarantee
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, BookUpdate, Denied, Heartbeat, Message, Origin, Trade
from ..core.instruments import Channel, unified
from ..core.sequence import counted
from ..core.times import ns_of_ms


class WireLevel(Struct, gc=False):
    price: Raw
    qty: Raw


# {"feed":"book_snapshot","product_id":"FI_BCHUSD_210730","timestamp":1626994925378,"seq":91192,
#  "tickSize":null,"bids":[{"price":439.3,"qty":20108.0}],"asks":[{"price":439.6,"qty":50.0}]}
#                                                                                     [recorded 2021-07-22]
class BookSnapshot(Struct, gc=False, tag_field="feed", tag="book_snapshot"):
    product_id: str
    timestamp: int
    seq: int
    bids: list[WireLevel]
    asks: list[WireLevel]


# {"feed":"book","product_id":"PI_ETHUSD","side":"sell","seq":26660860,"price":2004.85,"qty":4787.0,
#  "timestamp":1626994927744}                                                         [recorded 2021-07-22]
class BookDelta(Struct, gc=False, tag_field="feed", tag="book"):
    product_id: str
    side: str
    seq: int
    price: Raw
    qty: Raw
    timestamp: int


# {"feed":"trade","product_id":"PI_LTCUSD","uid":"e2429e31-8b9d-4195-900e-fd42be2dec89","side":"buy",
#  "type":"fill","seq":5956,"time":1626994929946,"qty":320.0,"price":119.44}          [recorded 2021-07-22]
class WireTrade(Struct, gc=False, tag_field="feed", tag="trade"):
    product_id: str
    uid: str
    side: str
    type: str
    seq: int
    time: int
    qty: Raw
    price: Raw


class TradeSnapshot(Struct, gc=False, tag_field="feed", tag="trade_snapshot"):
    """The last hundred trades, newest first."""

    product_id: str
    trades: list[WireTrade]


# {"feed":"heartbeat","time":1534262350627}                                                           [doc]
class Beat(Struct, gc=False, tag_field="feed", tag="heartbeat"):
    pass


class TickerLite(Struct, gc=False, tag_field="feed", tag="ticker_lite"):
    """Not asked for: it has neither sizes nor a time."""


# {"event":"subscribed","feed":"book","product_ids":["FI_ETHUSD_211231"]}              [recorded 2021-07-22]
# {"event":"error","message":"Json Error"}                                                            [doc]
class Reply(Struct, gc=False):
    event: str
    feed: str = ""
    product_ids: list[str] = []
    message: str = ""


Frame = BookSnapshot | BookDelta | WireTrade | TradeSnapshot | Beat | TickerLite

_frame: json.Decoder[Frame] = json.Decoder(Frame)
_reply = json.Decoder(Reply)
_SIDES = {"buy": "buy", "sell": "sell"}


class KrakenFutures(Adapter):
    """Key-less market data: trades and books; sizes count contracts.

    A product keeps its kind in front and its day behind: ``PI-BTC-USD``, ``FI-BTC-USD-210924``.
    """

    venue = "kraken_futures"
    title = "Kraken Futures"
    ws_url = "wss://futures.kraken.com/ws/v1"
    rest_url = "https://futures.kraken.com"
    kinds = frozenset({"book", "trade"})
    never_closes = True
    sample = "PI-BTC-USD"
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("seq"), "trade": Guarantee("seq")}
    sequence = staticmethod(counted)

    @classmethod
    def canonical(cls, symbol: str) -> str:
        return _unified(symbol)

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("unsubscribe", channels)

    def probe(self) -> bytes:
        return b'{"event":"subscribe","feed":"heartbeat"}'  # it is confirmed, and then they come [doc]

    def parse(self, frame: bytes) -> Iterable[Message]:
        if frame[:8] == b'{"event"':
            return _answer(_reply.decode(frame))
        match _frame.decode(frame):
            case BookDelta() as d:
                level = checked_levels([(_text(d.price), _text(d.qty))])
                bids, asks = {"buy": (level, []), "sell": ([], level)}[d.side]
                return [_update(d, False, bids, asks)]
            case BookSnapshot() as s:
                return [_update(s, True, _levels(s.bids), _levels(s.asks))]
            case WireTrade() as t:
                return [_trade(t, Origin.LIVE)]
            case TradeSnapshot(trades=trades):
                return [_trade(t, Origin.BACKFILLED) for t in sorted(trades, key=lambda t: t.seq)]
        return [Heartbeat()]


def _requests(event: str, channels: Sequence[Channel]) -> list[bytes]:
    """One for each channel, for a bad product may refuse a whole request [unverified]."""
    return [json.encode(Reply(event, c.kind, [_native(c.symbol)])) for c in channels]


def _answer(reply: Reply) -> list[Message]:
    if reply.event == "error":
        return [Denied(reply.message)]
    named = [_name(native, reply.feed) for native in reply.product_ids]
    if reply.event == "subscribed_failed":
        return [Denied(reply.message or "subscription refused", tuple(named))]
    return [Ack(name) for name in named if reply.event == "subscribed"] or [Heartbeat()]


@lru_cache(1 << 12)
def _unified(symbol: str) -> str:
    product, _, rest = symbol.upper().replace("_", "-").partition("-")
    pair, _, more = rest.partition("-")
    return "-".join(filter(None, (product, unified(pair), more)))


def _native(symbol: str) -> str:
    product, *assets = symbol.split("-")
    day = [assets.pop()] if assets[-1:] and assets[-1].isdecimal() else []
    pair = "".join("XBT" if asset == "BTC" else asset for asset in assets)
    return "_".join([product, pair, *day])


@lru_cache(1 << 12)
def _name(native: str, kind: str) -> str:
    return f"kraken_futures:{_unified(native)}/{kind}"


def _text(number: Raw) -> str:
    return str(number, "ascii")


def _levels(wire: list[WireLevel]) -> list[Level]:
    return checked_levels([(_text(level.price), _text(level.qty)) for level in wire])


def _update(of: BookSnapshot | BookDelta, whole: bool, bids: list[Level], asks: list[Level]) -> BookUpdate:
    name, venue_ns = _name(of.product_id, "book"), ns_of_ms(of.timestamp)
    return BookUpdate(name, venue_ns, whole, bids, asks, of.seq, of.seq)


def _trade(t: WireTrade, origin: Origin) -> Trade:
    name, price, size = _name(t.product_id, "trade"), checked(_text(t.price)), checked(_text(t.qty))
    kind = () if t.type == "fill" else (t.type,)
    return Trade(name, ns_of_ms(t.time), price, size, _SIDES[t.side], t.uid, t.seq, kind, origin=origin)
