"""Gemini v2 market data. Source: https://docs.gemini.com/websocket/market-data/v2 (read 2026-11-20).

No acknowledgements, no sequence, no book timestamp: a lost ``l2_updates`` cannot be seen, so books are
``unverifiable`` and a crossed book starts anew. Deletes of levels never announced are normal [recorded].
A snapshot is known by its ``trades`` or ``auction_events`` key; its trades are history, up to ten days
old [recorded].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET, Raw, Struct, UnsetType, json

from ..core.adapter import Adapter, Limits
from ..core.decimals import checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Message, Trade
from ..core.instruments import Channel, Instrument, unified
from ..core.times import ns_of_ms


# {"type":"trade","symbol":"BTCUSD","event_id":3575573053,"timestamp":1560976400428,"price":"9004.21",
#  "quantity":"0.09110000","side":"buy"}                                                                 [doc]
class Print(Struct, gc=False, omit_defaults=True, tag_field="type", tag="trade"):
    symbol: str
    event_id: int
    timestamp: int
    price: str
    quantity: str
    side: str
    tid: int | None = None


# {"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9121.9","0"]]}                               [doc]
class L2(Struct, gc=False, tag_field="type", tag="l2_updates"):
    symbol: str
    changes: list[tuple[str, str, str]]
    trades: list[Print] | UnsetType = UNSET
    auction_events: list[Raw] | UnsetType = UNSET


class Beat(Struct, gc=False, tag_field="type", tag="heartbeat"):
    timestamp: int = 0


# {"type":"candles_15m_updates","symbol":"BTCUSD",
#  "changes":[[1561054500000,9350.18,9358.35,9350.18,9355.51,2.07]]}                                     [doc]
class Candles(Struct, gc=False):
    symbol: str
    changes: list[tuple[int, Raw, Raw, Raw, Raw, Raw]]


class Head(Struct, gc=False):
    type: str = ""
    result: str = ""
    reason: str = ""
    message: str = ""


class Subscription(Struct, gc=False):
    name: str
    symbols: list[str]


class Request(Struct, gc=False):
    type: str
    subscriptions: list[Subscription]


_frame: json.Decoder[L2 | Print | Beat] = json.Decoder(L2 | Print | Beat)
_head, _candles = json.Decoder(Head), json.Decoder(Candles)
_BARS = {f"bar.{i}": f"candles_{i}" for i in ("1m", "5m", "15m", "30m", "1h", "6h", "1d")}
_STREAM = {"book": "l2", "trade": "l2", **_BARS}
_AUCTIONS = ("auction_open", "auction_indicative", "auction_result")


class Gemini(Adapter):
    """Key-less market data: trades, books and bars; quotes follow from books."""

    venue = "gemini"
    title = "Gemini (market data v2)"
    ws_url = "wss://api.gemini.com/v2/marketdata"
    rest_url = "https://api.gemini.com"
    kinds = frozenset(_STREAM)
    limits = Limits(symbols_per_socket=100, connects_per_minute=12)
    silence_s = 12.0  # a heartbeat comes every 5 s [recorded]

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        super().__init__(options)
        self._symbols: dict[str, str] = {}  # native to unified, of what was asked for
        self._waiting: list[tuple[str, str]] = []  # streams and symbols asked for, until they are answered

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._symbols |= {channel.symbol.replace("-", ""): channel.symbol for channel in channels}
        wanted = _wire(channels)
        self._waiting = [each for each in self._waiting if each not in wanted] + wanted
        return [_request("subscribe", name, native) for name, native in wanted]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        gone = _wire(channels)
        self._waiting = [each for each in self._waiting if each not in gone]
        return [_request("unsubscribe", name, native) for name, native in gone]

    def stream(self, channel: Channel) -> str:
        return _STREAM[channel.kind]

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"candles_' in frame[:20]:
            kind, candles = _head.decode(frame).type, _candles.decode(frame)
            self._answered(kind.removesuffix("_updates"), candles.symbol)
            return _bars(kind, self._symbol(candles.symbol), candles)
        if b'"l2_updates"' in frame[:20] or b'"trade"' in frame[:15] or b'"heartbeat"' in frame[:20]:
            match _frame.decode(frame):
                case L2() as update:
                    self._answered("l2", update.symbol)
                    return _book(self._symbol(update.symbol), update)
                case Print() as trade:
                    return [_trade(self._symbol(trade.symbol), trade)]
            return [Heartbeat()]
        head = _head.decode(frame)
        if head.result == "error":
            return [Denied(f"{head.reason} {head.message}".strip(), self._refused())]
        if head.type in _AUCTIONS:
            return [Heartbeat()]
        raise ValueError(f"unknown message {head.type!r}")

    def _symbol(self, native: str) -> str:
        return self._symbols.get(native) or unified(native)

    def _answered(self, name: str, native: str) -> None:
        if (name, native) in self._waiting:
            self._waiting.remove((name, native))

    def _refused(self) -> tuple[str, ...]:
        """The channels of the oldest request without an answer: the venue answers in order."""
        if not self._waiting:
            return ()
        name, native = self._waiting.pop(0)
        return tuple(
            f"gemini:{self._symbol(native)}/{kind}" for kind, stream in _STREAM.items() if stream == name
        )

    def symbols_path(self) -> str:
        return "/v1/symbols"

    def parse_symbols(self, body: bytes) -> list[Instrument]:
        return [Instrument(unified(native), native) for native in json.decode(body, type=list[str])]


def _wire(channels: Sequence[Channel]) -> list[tuple[str, str]]:
    """The venue's streams and symbols, upper case only [recorded], that carry ``channels``."""
    return list(dict.fromkeys((_STREAM[c.kind], c.symbol.replace("-", "")) for c in channels))


def _request(verb: str, name: str, native: str) -> bytes:
    """One symbol a request: the venue refuses a whole request for one bad symbol, and does not say which."""
    return json.encode(Request(verb, [Subscription(name, [native])]))


def _book(symbol: str, update: L2) -> Iterator[Message]:
    snapshot = update.trades is not UNSET or update.auction_events is not UNSET
    bids = checked_levels([(price, size) for side, price, size in update.changes if side == "buy"])
    asks = checked_levels([(price, size) for side, price, size in update.changes if side == "sell"])
    if len(bids) + len(asks) != len(update.changes):
        raise ValueError("a change that is neither buy nor sell")
    if snapshot:
        yield Ack(f"gemini:{symbol}/trade")
    yield BookUpdate(f"gemini:{symbol}/book", None, snapshot, bids, asks)


def _trade(symbol: str, trade: Print) -> Trade:
    side = trade.side if trade.side in ("buy", "sell") else None  # "block" and "auction" have no aggressor
    name, venue_ns = f"gemini:{symbol}/trade", ns_of_ms(trade.timestamp)
    price, size = checked(trade.price), checked(trade.quantity)
    return Trade(name, venue_ns, price, size, side, str(trade.event_id))


def _bars(kind: str, symbol: str, candles: Candles) -> Iterator[Message]:
    interval = kind.removeprefix("candles_").removesuffix("_updates")
    if f"bar.{interval}" not in _BARS:
        raise ValueError(f"unknown message {kind!r}")
    name = f"gemini:{symbol}/bar.{interval}"
    for ms, *numbers in reversed(candles.changes):  # newest first on the wire
        opened, high, low, close, volume = [checked(str(number, "ascii")) for number in numbers]
        yield Bar(name, ns_of_ms(ms), opened, high, low, close, volume)
