"""Hyperliquid. Source: https://hyperliquid.gitbook.io/hyperliquid-docs, WebSocket (read 2026-11-20).

Books are sent whole, twenty levels a side, about twice a second, without a number [recorded]. The first
trades after a subscription are older than it [recorded]. REST takes POST alone, so nothing is fetched.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Limits
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, Bar, BookUpdate, Denied, Heartbeat, Message, Origin, Quote, Trade, Why
from ..core.instruments import Channel
from ..core.times import ns_of_ms

PERPETUAL = "-USD-PERP"  #: what we append to a coin, which alone is its perpetual in dollars


class Frame(Struct, gc=False):
    channel: str
    data: Raw = Raw()


class Topic(Struct, gc=False, omit_defaults=True):
    type: str
    coin: str
    interval: str = ""


# {"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC"}}, and so it is confirmed         [doc]
class Request(Struct, gc=False):
    method: str
    subscription: Topic


class WireLevel(Struct, gc=False):
    px: str
    sz: str


# {"channel":"l2Book","data":{"coin":"BANANA","time":1730160007687,"levels":[[{"px":"59.8","sz":"3.4",
#  "n":1}],[{"px":"59.811","sz":"2.9","n":1}]]}}                                          [recorded 2024-10]
class Depth(Struct, gc=False):
    coin: str
    time: int
    levels: tuple[list[WireLevel], list[WireLevel]]


# {"channel":"trades","data":[{"coin":"FXS","side":"A","px":"1.9008","sz":"10.5","time":1730160015113,
#  "hash":"0xdde3d6b67214c97cb88704156eee8e016e010eb52dcf2a855bdaea517a5b45a9","tid":611279506717453}]}
class Print(Struct, gc=False):
    coin: str
    side: str  # who took: B bought, A sold
    px: str
    sz: str
    time: int
    tid: int


# {"channel":"bbo","data":{"coin":"@162","time":1750948919838,"bbo":[{"px":"0.97925","sz":"4144.6","n":1},
#  {"px":"0.97934","sz":"50.0","n":1}]}}                                                    [recorded 2025-06]
class Best(Struct, gc=False):
    coin: str
    time: int
    bbo: list[WireLevel | None]


# {"channel":"candle","data":{"t":1730160000000,"T":1730160059999,"s":"BTC","i":"1m","o":"69997.0",
#  "c":"69998.0","h":"69998.0","l":"69990.0","v":"1.25","n":17}}                                  [unverified]
class Candle(Struct, gc=False):
    t: int
    s: str
    i: str
    o: str
    h: str
    l: str  # noqa: E741 the venue's name
    c: str
    v: str
    n: int


_frame, _request, _topic = json.Decoder(Frame), json.Decoder(Request), json.Decoder(Topic)
_depth, _prints, _best = json.Decoder(Depth), json.Decoder(list[Print]), json.Decoder(Best)
_candle, _text = json.Decoder(Candle), json.Decoder(str)
_BARS = {f"bar.{i}": i for i in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1w")}
_TYPE = {"book": "l2Book", "trade": "trades", "quote": "bbo"} | dict.fromkeys(_BARS, "candle")
_KIND = {(wire, _BARS.get(kind, "")): kind for kind, wire in _TYPE.items()}
_SIDES = {"B": "buy", "A": "sell"}


class Hyperliquid(Adapter):
    """Key-less market data of perpetuals, and of spot pairs that have a name: trades, books, quotes, bars."""

    venue = "hyperliquid"
    title = "Hyperliquid"
    ws_url = "wss://api.hyperliquid.xyz/ws"
    rest_url = "https://api.hyperliquid.xyz"
    kinds = frozenset(_TYPE)
    never_closes = True
    sample = f"BTC{PERPETUAL}"
    limits = Limits(symbols_per_socket=100, messages_per_s=30.0)
    heartbeat_s = 20.0  # after a minute without a message it hangs up
    silence_s = 30.0

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._fresh: set[str] = set()  # coins whose next trades are older than the subscription
        self._told: dict[str, int] = {}  # the time of each coin's last book

    @classmethod
    def canonical(cls, symbol: str) -> str:
        """``BTC`` is ``BTC-USD-PERP``, ``PURR/USDC`` is ``PURR-USDC``; capitals matter: there is kPEPE."""
        symbol = symbol.replace("/", "-")
        return symbol if "-" in symbol else symbol + PERPETUAL

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._fresh |= {_coin(channel.symbol) for channel in channels if channel.kind == "trade"}
        return [json.encode(Request("subscribe", _topic_of(channel))) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [json.encode(Request("unsubscribe", _topic_of(channel))) for channel in channels]

    def heartbeat(self, now_ns: int) -> bytes:
        return b'{"method":"ping"}'

    def parse(self, frame: bytes) -> Iterable[Message]:
        said = _frame.decode(frame)
        match said.channel:
            case "l2Book":
                return [self._book(_depth.decode(said.data))]
            case "trades":
                return self._trades(_prints.decode(said.data))
            case "bbo":
                return [_quote(_best.decode(said.data))]
            case "candle":
                return [_bar(_candle.decode(said.data))]
            case "subscriptionResponse":
                request = _request.decode(said.data)
                return [Ack(_channel(request.subscription)) if request.method == "subscribe" else Heartbeat()]
            case "error":
                return [_error(_text.decode(said.data))]
        return [Heartbeat()]

    def _book(self, d: Depth) -> Message:
        if d.time < self._told.get(d.coin, 0):
            return Heartbeat()  # it was overtaken
        bids, asks = map(_levels, d.levels)
        self._told[d.coin] = d.time
        return BookUpdate(_name(d.coin, "book"), ns_of_ms(d.time), True, bids, asks)

    def _trades(self, prints: list[Print]) -> list[Message]:
        trades = [_trade(each, is_old=each.coin in self._fresh) for each in prints]
        self._fresh -= {each.coin for each in prints}
        return [*trades]


def _coin(symbol: str) -> str:
    return symbol.removesuffix(PERPETUAL).replace("-", "/")


def _name(coin: str, kind: str) -> str:
    return f"hyperliquid:{Hyperliquid.canonical(coin)}/{kind}"


def _topic_of(channel: Channel) -> Topic:
    return Topic(_TYPE[channel.kind], _coin(channel.symbol), _BARS.get(channel.kind, ""))


def _channel(topic: Topic) -> str:
    return _name(topic.coin, _KIND[topic.type, topic.interval])


def _error(text: str) -> Message:
    """``Invalid subscription {"type":"trades","coin":"XYZ"}``, ``Already subscribed: {...}`` [unverified]."""
    if text.startswith("Already"):
        return Heartbeat()
    reason, brace, rest = text.partition("{")
    refused = (_channel(_topic.decode(brace + rest)),) if brace else ()
    return Denied(reason.strip(), refused, Why.SYMBOL if brace else Why.OTHER)


def _levels(wire: list[WireLevel]) -> list[Level]:
    return checked_levels([(level.px, level.sz) for level in wire])


def _trade(t: Print, *, is_old: bool) -> Trade:
    origin = Origin.BACKFILLED if is_old else Origin.LIVE
    name, price, size = _name(t.coin, "trade"), checked(t.px), checked(t.sz)
    return Trade(name, ns_of_ms(t.time), price, size, _SIDES[t.side], str(t.tid), origin=origin)


def _quote(best: Best) -> Quote:
    sides = [_levels([level])[0] if level else (None, None) for level in (*best.bbo, None, None)]
    return Quote(_name(best.coin, "quote"), ns_of_ms(best.time), *sides[0], *sides[1])


def _bar(k: Candle) -> Bar:
    opened, high, low, close, volume = map(checked, (k.o, k.h, k.l, k.c, k.v))
    return Bar(_name(k.s, f"bar.{k.i}"), ns_of_ms(k.t), opened, high, low, close, volume, trades=k.n)
