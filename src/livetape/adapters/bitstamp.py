"""Bitstamp, WebSocket v2. Source: https://www.bitstamp.net/websocket/v2/ and recorded frames (2026-11-20).

A book is fetched over REST and continued by differences. Neither has a number, but both have a time in
microseconds that only grows within a channel [recorded]; it serves to join them: each difference reaches
from the one before it to itself. So the join is exact, but a lost difference leaves no trace.
The fetched book may be older than the first difference [user report]; then it is fetched again.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, BookUpdate, Closing, Denied, Heartbeat, Message, Trade
from ..core.instruments import Channel, Instrument, unified
from ..core.sequence import ranged


# {"data":{"timestamp":"1641343701","microtimestamp":"1641343701093866","bids":[["0.88427","0.00000"]],
#  "asks":[["0.88671","0.00000"]]},"channel":"diff_order_book_usdteur","event":"data"} [recorded 2022-01-04]
# {"timestamp": "1641343695", "microtimestamp": "1641343695572693", "bids": [["0.14695", "4567.41344936"]],
#  "asks": []}                                                                 [recorded 2022-01-04, REST]
class Depth(Struct, gc=False):
    microtimestamp: str
    bids: list[Level]
    asks: list[Level]


# {"data":{"id":216000484,"timestamp":"1641343709","amount":0.931,"amount_str":"0.93100000","price":3802.93,
#  "price_str":"3802.93","type":1,"microtimestamp":"1641343709599000","buy_order_id":1443875774971904,
#  "sell_order_id":1443875778322433},"channel":"live_trades_ethusd","event":"trade"}  [recorded 2022-01-04]
class Print(Struct, gc=False):
    id: int
    amount_str: str
    price_str: str
    type: int
    microtimestamp: str


# {"event":"bts:error","channel":"","data":{"code":null,"message":"Bad subscription string."}} [unverified]
class Fault(Struct, gc=False):
    message: str


# {"event":"bts:subscription_succeeded","channel":"diff_order_book_sgbeur","data":{}}  [recorded 2022-01-04]
class Frame(Struct, gc=False):
    event: str
    data: Raw
    channel: str = ""


class Pair(Struct, gc=False):
    url_symbol: str
    name: str
    base_decimals: int
    counter_decimals: int
    trading: str


_frame, _depth, _print = json.Decoder(Frame), json.Decoder(Depth), json.Decoder(Print)
_fault, _pairs = json.Decoder(Fault), json.Decoder(list[Pair])
_STREAM = {"book": "diff_order_book", "trade": "live_trades"}
_KIND = {stream: kind for kind, stream in _STREAM.items()}
_SIDES = {0: "buy", 1: "sell"}


class Bitstamp(Adapter):
    """Key-less market data: trades and books."""

    venue = "bitstamp"
    title = "Bitstamp"
    ws_url = "wss://ws.bitstamp.net"
    rest_url = "https://www.bitstamp.net"
    kinds = frozenset(_STREAM)
    never_closes = True
    sequence = staticmethod(ranged)

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._symbols: dict[str, str] = {}  # native to unified, of what was asked for
        self._last: dict[str, int] = {}  # microseconds of the last difference, by the venue's channel

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection continues nothing."""
        self._last.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        for channel in channels:
            self._symbols[_native(channel.symbol)] = channel.symbol
        return _requests("bts:subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("bts:unsubscribe", channels)

    def probe(self) -> bytes:
        return b'{"event":"bts:heartbeat"}'  # it is answered [user report]

    def parse(self, frame: bytes) -> list[Message]:
        f = _frame.decode(frame)
        match f.event:
            case "data" if f.channel.startswith(_STREAM["book"]):
                return [self._difference(f.channel, _depth.decode(f.data))]
            case "trade":
                return [self._trade(f.channel, _print.decode(f.data))]
            case "bts:subscription_succeeded":
                self._last.pop(f.channel, None)
                return [Ack(self._name(f.channel))]
            case "bts:request_reconnect":
                return [Closing("the venue asks for a new connection")]
            case "bts:error":
                return [Denied(_fault.decode(f.data).message, (self._name(f.channel),) if f.channel else ())]
        return [Heartbeat()]

    def snapshot_path(self, symbol: str) -> str:
        return f"/api/v2/order_book/{_native(symbol)}/?group=1"

    def parse_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        book = _depth.decode(body)
        name, at = str(Channel(self.venue, symbol, "book")), _micros(book.microtimestamp)
        bids, asks = checked_levels(book.bids), checked_levels(book.asks)
        return BookUpdate(name, at * 1000, True, bids, asks, at, at)

    def audit_path(self, symbol: str) -> str:
        return self.snapshot_path(symbol)

    def symbols_paths(self) -> Sequence[str]:
        return ("/api/v2/trading-pairs-info/",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(unified(p.name), p.url_symbol, _step(p.counter_decimals), _step(p.base_decimals))
            for p in _pairs.decode(body)
            if p.trading == "Enabled"
        ]

    def price_path(self, symbol: str) -> str:
        return f"/api/v2/ticker/{_native(symbol)}/"

    def _difference(self, channel: str, d: Depth) -> BookUpdate:
        at, bids, asks = _micros(d.microtimestamp), checked_levels(d.bids), checked_levels(d.asks)
        first = self._last.get(channel, at - 1) + 1
        self._last[channel] = at
        return BookUpdate(self._name(channel), at * 1000, False, bids, asks, first, at)

    def _trade(self, channel: str, t: Print) -> Trade:
        price, size, side = checked(t.price_str), checked(t.amount_str), _SIDES[t.type]
        return Trade(self._name(channel), _micros(t.microtimestamp) * 1000, price, size, side, str(t.id))

    def _name(self, channel: str) -> str:
        stream, _, native = channel.rpartition("_")
        return f"bitstamp:{self._symbols.get(native) or unified(native)}/{_KIND[stream]}"


def _requests(event: str, channels: Sequence[Channel]) -> list[bytes]:
    named = [f"{_STREAM[channel.kind]}_{_native(channel.symbol)}" for channel in channels]
    return [json.encode({"event": event, "data": {"channel": name}}) for name in named]


def _native(symbol: str) -> str:
    return symbol.replace("-", "").lower()


def _micros(text: str) -> int:
    micros = int(checked(text))
    if micros >= 1 << 53:
        raise ValueError(f"{text} is not a time in microseconds")
    return micros


def _step(decimals: int) -> str:
    return f"{Decimal(1).scaleb(-decimals):f}"
