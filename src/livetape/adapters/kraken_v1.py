"""Kraken spot, WebSocket v1: frozen, and what older recordings hold.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v1 (read 2026-11-21).

Data comes as arrays ``[id, payload.., name, pair]``; an update of both sides has two payloads and the
checksum in the last [recorded]. The checksum is v2's, but a snapshot has none [recorded].
Trades have neither id nor number [recorded].
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Raw, Struct, field, json

from ..core.adapter import Guarantee, Span
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Lost, Message, Quote, Summary, Trade
from ..core.instruments import Channel, interval_ns, unified
from ..core.times import SECOND
from .kraken import LEGACY, MINUTE, Kraken


# ["354.15000000","5.00000000","1618678133.365913"], and "r" where it was sent before  [recorded 2021-04-17]
class Row(Struct, gc=False, array_like=True):
    price: str
    size: str
    time: str
    repeated: str = ""


# [992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]
#                                                                                     [recorded 2021-04-17]
class WireBook(Struct, gc=False):
    all_asks: list[Row] | None = field(name="as", default=None)
    all_bids: list[Row] | None = field(name="bs", default=None)
    a: list[Row] = []
    b: list[Row] = []
    c: str = ""


# [993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"] [recorded 2021-04-17]
class WireTrade(Struct, gc=False, array_like=True):
    price: str
    size: str
    time: str
    side: str


# [325,["43770.20000","43770.30000","1633053779.916349","0.00917717","0.31670440"],"spread","XBT/USD"]
#                                                                                     [recorded 2021-10-01]
class WireSpread(Struct, gc=False, array_like=True):
    bid: str
    ask: str
    time: str
    bid_size: str
    ask_size: str


# [996,{"a":["355.24000000",27,"27.19106411"],"b":["354.32000000",6,"6.87748868"],
#  "c":["355.23000000","1.20454360"],"v":["17858.85261084","33470.74135600"],
#  "p":["355.33503706","349.16721624"],"t":[6481,10283],"l":["340.88000000","333.87000000"],
#  "h":["368.00000000","368.00000000"],"o":["340.88000000","335.21000000"]},"ticker","XMR/USD"]
#                                                                                     [recorded 2021-04-17]
class WireTicker(Struct, gc=False):
    """Each pair is of today and of the last 24 hours; ``c`` is price and size of the last trade."""

    c: tuple[str, str]
    v: tuple[str, str]
    l: tuple[str, str]  # noqa: E741 the venue's name
    h: tuple[str, str]
    o: tuple[str, str]


# [42,["1542057314.748456","1542057360.435743","3586.70000","3586.70000","3586.60000","3586.60000",
#  "3586.68894","0.03373000",2],"ohlc-5","XBT/USD"]                                                     [doc]
class WireCandle(Struct, gc=False, array_like=True):
    time: str
    end: str
    open: str
    high: str
    low: str
    close: str
    vwap: str
    volume: str
    trades: int


class Subscribed(Struct, gc=False):
    name: str
    depth: int = 0
    interval: int = 1


# {"channelID":992,"channelName":"book-1000","event":"subscriptionStatus","pair":"XMR/USD",
#  "status":"subscribed","subscription":{"depth":1000,"name":"book"}}                 [recorded 2021-04-17]
# {"errorMessage":"Subscription depth not supported","event":"subscriptionStatus","pair":"XBT/USD",
#  "status":"error","subscription":{"depth":42,"name":"book"}}                                          [doc]
class Event(Struct, gc=False):
    event: str
    status: str = ""
    pair: str = ""
    subscription: Subscribed | None = None
    errorMessage: str = ""


_array, _event, _text = json.Decoder(list[Raw]), json.Decoder(Event), json.Decoder(str)
_book, _trades = json.Decoder(WireBook | None), json.Decoder(list[WireTrade])
_spread, _ticker, _candle = json.Decoder(WireSpread), json.Decoder(WireTicker), json.Decoder(WireCandle)
_BARS = ("bar.1m", "bar.5m", "bar.15m", "bar.30m", "bar.1h", "bar.4h", "bar.1d")
_NAME = {"book": "book", "trade": "trade", "quote": "spread", "summary": "ticker"}
_KIND = {name: kind for kind, name in _NAME.items()} | {f"ohlc-{interval_ns(b) // MINUTE}": b for b in _BARS}
_SIDES = {"b": "buy", "s": "sell"}


class KrakenV1(Kraken):
    """Key-less market data: trades, books, quotes (the spread), bars, and the last 24 hours."""

    title = "Kraken spot (WebSocket v1)"
    ws_url = "wss://ws.kraken.com"
    kinds = frozenset({*_NAME, *_BARS})
    never_closes = True
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("crc32", 10)}

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._ask("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return self._ask("unsubscribe", channels)

    def probe(self) -> bytes:
        return b'{"event":"ping"}'

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Trades told again could not be told from those that are here: they have no id."""
        return None if channel.kind == "trade" else super().history_path(channel, span, page)

    def parse(self, frame: bytes) -> Iterable[Message]:
        if frame[:1] == b"{":
            return [self._on_event(_event.decode(frame))]
        _, *payloads, name, pair = _array.decode(frame)
        head, native = _text.decode(name), _text.decode(pair)
        channel = f"kraken:{unified(native)}/{_kind(head)}"
        match head.partition("-")[0]:
            case "book":
                return [_update(channel, [book for p in payloads if (book := _book.decode(p)) is not None])]
            case "trade":
                return [_trade(channel, trade) for p in payloads for trade in _trades.decode(p)]
            case "spread":
                return [_quote(channel, _spread.decode(p)) for p in payloads]
            case "ticker":
                return [_summary(channel, _ticker.decode(p)) for p in payloads]
        return [_bar(channel, _candle.decode(p)) for p in payloads]

    def _ask(self, event: str, channels: Sequence[Channel]) -> list[bytes]:
        pairs: dict[str, list[str]] = {}
        for channel in channels:
            pairs.setdefault(channel.kind, []).append(_native(channel.symbol))
        return [
            json.encode({"event": event, "pair": natives, "subscription": self._subscription(kind)})
            for kind, natives in pairs.items()
        ]

    def _subscription(self, kind: str) -> dict[str, object]:
        if kind in _BARS:
            return {"name": "ohlc", "interval": interval_ns(kind) // MINUTE}
        return {"name": _NAME[kind]} | ({"depth": self.depth} if kind == "book" else {})

    def _on_event(self, event: Event) -> Message:
        of = event.subscription
        if event.event == "error":
            return Denied(event.errorMessage)
        if event.event != "subscriptionStatus" or of is None or event.status not in ("subscribed", "error"):
            return Heartbeat()
        kind = _kind(f"ohlc-{of.interval}" if of.name == "ohlc" else of.name)
        channel = f"kraken:{unified(event.pair)}/{kind}"
        if event.status == "error":
            return Denied(event.errorMessage, (channel,) if event.pair else ())
        self.depth = of.depth or self.depth
        return Ack(channel)


def _native(symbol: str) -> str:
    return "/".join(LEGACY.get(asset, asset) for asset in symbol.split("-"))


def _kind(name: str) -> str:
    return _KIND[name.partition("-")[0] if name.startswith("book") else name]


def _ns(seconds: str) -> int:
    ns = int(Decimal(checked(seconds)) * SECOND)
    if ns >= 1 << 63:
        raise ValueError(f"{seconds} is not a time in seconds")
    return ns


def _levels(rows: list[Row]) -> list[Level]:
    return checked_levels([(row.price, row.size) for row in rows])


def _update(channel: str, books: list[WireBook]) -> Message:
    """Each level has a time; that of the update is the latest. A snapshot, of older levels, has none."""
    whole = [book for book in books if book.all_asks is not None or book.all_bids is not None]
    asks = [row for book in books for row in (book.all_asks or book.a)]
    bids = [row for book in books for row in (book.all_bids or book.b)]
    if whole:
        return BookUpdate(channel, None, True, _levels(bids), _levels(asks))
    if not books[-1].c:
        return Lost(channel, "an update without its checksum")
    venue_ns = max((_ns(row.time) for row in asks + bids), default=None)
    return BookUpdate(
        channel, venue_ns, False, _levels(bids), _levels(asks), checksum=int(checked(books[-1].c))
    )


def _trade(channel: str, t: WireTrade) -> Trade:
    return Trade(channel, _ns(t.time), checked(t.price), checked(t.size), _SIDES[t.side], None)


def _quote(channel: str, s: WireSpread) -> Quote:
    """An empty side is sent as zeros [recorded]."""
    bid, bid_size, ask, ask_size = [checked(text) for text in (s.bid, s.bid_size, s.ask, s.ask_size)]
    bids = (bid, bid_size) if float(bid) else (None, None)
    asks = (ask, ask_size) if float(ask) else (None, None)
    return Quote(channel, _ns(s.time) or None, *bids, *asks)


def _summary(channel: str, t: WireTicker) -> Summary:
    return Summary(
        channel,
        None,
        open_text=checked(t.o[1]),
        high_text=checked(t.h[1]),
        low_text=checked(t.l[1]),
        last_text=checked(t.c[0]),
        volume_text=checked(t.v[1]),
    )


def _bar(channel: str, c: WireCandle) -> Bar:
    return Bar(
        channel,
        _ns(c.end) - interval_ns(channel.partition("/")[2]),
        checked(c.open),
        checked(c.high),
        checked(c.low),
        checked(c.close),
        checked(c.volume),
        trades=c.trades,
        vwap_text=checked(c.vwap),
        venue_ns=_ns(c.time),
    )
