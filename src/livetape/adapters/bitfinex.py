"""Bitfinex, public channels. Source: https://docs.bitfinex.com/docs/ws-general, …/ws-public.

Data are arrays that begin with the number of a channel, which ``subscribed`` has told before. With SEQ_ALL
every array has the next number of its connection, heartbeats too, from 1 on [recorded].
A level that leaves the subscribed length is deleted like any other [recorded].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import zip_longest
from re import ASCII, compile
from zlib import crc32

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.book import Book
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import (
    Ack,
    Bar,
    BookUpdate,
    Checksum,
    Closing,
    Counter,
    Denied,
    Heartbeat,
    Message,
    Origin,
    Summary,
    Trade,
    Why,
)
from ..core.instruments import Channel, Instrument, unified
from ..core.times import MILLISECOND, ns_of_ms

LENGTHS = (25, 100, 250)  #: levels a side, the only ones offered
CHECKED = 25  #: levels a side that the checksum covers
PAGE = 10_000  #: trades or candles of a page of history, at most [doc]
FLAGS = 32768 | 65536 | 131072  #: TIMESTAMP, SEQ_ALL, OB_CHECKSUM


# {"event":"subscribed","channel":"ticker","chanId":232949,"symbol":"tBFTUSD","pair":"BFTUSD"}
# {"event":"conf","status":"OK","flags":65536}                                           [recorded 2021-04-17]
# {"event":"error","msg":"symbol: invalid","code":10300,"channel":"book","symbol":"tFOOBAR"}      [unverified]
class Event(Struct, gc=False):
    event: str
    chanId: int = 0
    channel: str = ""
    symbol: str = ""
    key: str = ""  # instead of ``symbol``, of candles
    status: str = ""
    code: int = 0
    msg: str = ""


# [232956,[0.00002505,1,504.35063355],1668]: a level, then SEQ_ALL's number              [recorded 2021-04-17]
class WireLevel(Struct, gc=False, array_like=True):
    price: Raw
    count: int  # 0 deletes
    amount: Raw  # of asks below 0


# [89,"te",[382489563,1564617600709,0.00705845,10087.98969503],18,1564617600784]         [recorded 2019-08-01]
class Print(Struct, gc=False, array_like=True):
    id: int
    mts: int
    amount: Raw  # of a seller below 0
    price: Raw


# [232949,[0.068965,60157.36709703,0.0774,48578.50804052,0.001969,0.0262,0.076989,101459.39453471,0.0828,
#  0.068961],1]                                                                          [recorded 2021-04-17]
class Ticker(Struct, gc=False, array_like=True):
    bid: Raw
    bid_size: Raw  # of the 25 best levels [recorded], so it is no quote
    ask: Raw
    ask_size: Raw
    change: Raw
    relative: Raw
    last: Raw
    volume: Raw
    high: Raw
    low: Raw


class Candle(Struct, gc=False, array_like=True):
    mts: int
    open: Raw
    close: Raw
    high: Raw
    low: Raw
    volume: Raw


_event, _parts = json.Decoder(Event), json.Decoder(list[Raw])
_level, _levels = json.Decoder(WireLevel), json.Decoder(list[WireLevel])
_print, _prints, _ticker = json.Decoder(Print), json.Decoder(list[Print]), json.Decoder(Ticker)
_candle, _candles = json.Decoder(Candle), json.Decoder(list[Candle])
_pairs = json.Decoder(list[list[str]])
_FRAMES = {f"bar.{i}": i for i in ("1m", "5m", "15m", "30m", "1h", "6h")} | {"bar.1d": "1D", "bar.1w": "1W"}
_BARS = {frame: kind for kind, frame in _FRAMES.items()}
_STREAMS = {"book": "book", "trade": "trades", "summary": "ticker"}
_KINDS = {stream: kind for kind, stream in _STREAMS.items()}
_WORDS = (b'"te"', b'"tu"', b'"cs"')  #: before the data of an array
_PAST = (10301, 10400, 10401)  #: refusals that change nothing: subscribed already, or given up already
_WHY = {10300: Why.SYMBOL, 10305: Why.LIMIT}
_OURS = {"UST": "USDT", "UDC": "USDC"}  #: what the venue calls the two otherwise [unverified]
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_is_native = compile(r"t[A-Z0-9:]+", ASCII).fullmatch


class Bitfinex(Adapter):
    """Key-less market data: trades, books, bars and the last 24 hours; quotes from books.

    Every connection counts its frames, and books have a checksum over their best 25 levels beside.
    """

    venue = "bitfinex"
    title = "Bitfinex (WebSocket v2)"
    ws_url = "wss://api-pub.bitfinex.com/ws/2"
    rest_url = "https://api-pub.bitfinex.com"
    kinds = frozenset({*_STREAMS, *_FRAMES})
    never_closes = True
    guarantees: Mapping[str, Guarantee] = dict.fromkeys(("book", "trade"), Guarantee("SEQ_ALL"))
    limits = Limits(symbols_per_socket=25, connects_per_minute=20)  # channels, not symbols [unverified]
    silence_s = 30.0  # a quiet channel has its heartbeat every 15 s [doc]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        wanted = self.options.get("depth", LENGTHS[0])
        if not isinstance(wanted, int) or not 1 <= wanted <= LENGTHS[-1]:
            offered = [str(length) for length in LENGTHS]
            raise ConfigError(f"book depth {wanted!r} is not offered", where="bitfinex", allowed=offered)
        self._length = next(length for length in LENGTHS if length >= wanted)
        self._open: dict[int, Channel] = {}  # by the venue's number

    @classmethod
    def canonical(cls, symbol: str) -> str:
        return _unified(symbol)

    def slot(self, channel: Channel) -> str:
        return str(channel)

    def login(self) -> list[bytes]:
        """Nobody logs in; this sets what arrays hold. A new connection numbers its channels anew."""
        self._open.clear()
        return [json.encode({"event": "conf", "flags": FLAGS})]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [json.encode({"event": "subscribe", **self._request(channel)}) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """By the venue's numbers; what has none yet cannot be given up."""
        numbers = [number for number, channel in self._open.items() if channel in channels]
        return [json.encode({"event": "unsubscribe", "chanId": number}) for number in numbers]

    def probe(self) -> bytes:
        """It is answered by a pong [unverified]."""
        return b'{"event":"ping"}'

    def parse(self, frame: bytes) -> Iterable[Message]:
        return self._data(frame) if frame.startswith(b"[") else [self._on_event(_event.decode(frame))]

    def checksum(self, book: Book) -> int:
        return fingerprint(book.bids.top(CHECKED), book.asks.top(CHECKED))

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        start, end = page or span.start_ns // MILLISECOND, -(-span.end_ns // MILLISECOND)
        query = f"hist?limit={PAGE}&sort=1&start={start}&end={end}"
        if channel.kind == "trade":
            return f"/v2/trades/{_native(channel.symbol)}/{query}"
        return f"/v2/candles/{_key(channel)}/{query}" if channel.kind in _FRAMES else None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        """A full page is followed by one from its last time on; what comes twice has the same id or start."""
        if channel.kind == "trade":
            trades = _prints.decode(body)
            return History([_trade(str(channel), t) for t in trades], _next_page([t.mts for t in trades]))
        candles = _candles.decode(body)
        return History([_bar(str(channel), c) for c in candles], _next_page([c.mts for c in candles]))

    def symbols_paths(self) -> Sequence[str]:
        return ("/v2/conf/pub:list:pair:exchange",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        [pairs] = _pairs.decode(body)
        return [Instrument(_unified(pair), f"t{pair}") for pair in pairs]

    def price_path(self, symbol: str) -> str:
        return f"/v2/ticker/{_native(symbol)}"

    def _request(self, channel: Channel) -> dict[str, str]:
        if channel.kind in _FRAMES:
            return {"channel": "candles", "key": _key(channel)}
        asked = {"channel": _STREAMS[channel.kind], "symbol": _native(channel.symbol)}
        if channel.kind == "book":
            asked |= {"prec": "P0", "freq": "F0", "len": str(self._length)}
        return asked

    def _on_event(self, e: Event) -> Message:
        channel = _channel(e)
        match e.event:
            case "subscribed" if channel is not None:
                self._open[e.chanId] = channel
                return Ack(str(channel))
            case "unsubscribed":
                self._open.pop(e.chanId, None)
            case "conf" if e.status != "OK":
                return Closing(f"the venue refuses our flags: {e.status} {e.msg}".strip())
            case "info" if e.code in (20051, 20061):
                return Closing("the venue wants to be dialled anew")
            case "error" if e.code not in _PAST:
                named = () if channel is None else (str(channel),)
                return Denied(f"{e.msg} ({e.code})", named, _WHY.get(e.code, Why.OTHER))
        return Heartbeat()

    def _data(self, frame: bytes) -> Iterator[Message]:
        number, data, *rest = map(bytes, _parts.decode(frame))
        word = data if data in _WORDS else b""
        if word:
            data, *rest = rest
        yield Counter(int(rest[0]) - 1)
        channel = self._open.get(int(number))
        venue_ns = ns_of_ms(int(rest[1])) if len(rest) > 1 else None
        if channel is None or data == b'"hb"':
            yield Heartbeat()
        else:
            yield from _told(channel, word, data, venue_ns)


def _told(channel: Channel, word: bytes, data: bytes, venue_ns: int | None) -> Iterable[Message]:
    name, several = str(channel), data[1:2] in (b"[", b"]")
    match channel.kind:
        case "book" if word:
            return [Checksum(name, int(data))]
        case "book":
            levels = _levels.decode(data) if several else [_level.decode(data)]
            return [_book(name, levels, several, venue_ns)]
        case "trade" if several:
            trades = sorted(_prints.decode(data), key=lambda trade: trade.id)
            return [_trade(name, trade, Origin.BACKFILLED) for trade in trades]
        case "trade":  # told twice, "te" and "tu"; the session hands an id out once
            return [_trade(name, _print.decode(data))]
        case "summary":
            return [_summary(name, _ticker.decode(data), venue_ns)]
    candles = _candles.decode(data) if several else [_candle.decode(data)]
    return [_bar(name, candle, venue_ns) for candle in sorted(candles, key=lambda candle: candle.mts)]


def _channel(e: Event) -> Channel | None:
    """The channel that ``e`` is about, None where it names none of ours."""
    kind, native = _KINDS.get(e.channel), e.symbol
    if e.channel == "candles":
        _, frame, native = e.key.split(":", 2)
        kind = _BARS.get(frame)
    return Channel("bitfinex", _unified(native), kind) if kind and native.startswith("t") else None


@lru_cache(1 << 14)
def _unified(symbol: str) -> str:
    """``tBTCUST``, ``BTCUST`` and ``BTC-USDT`` are BTC-USDT, ``tAAVE:USD`` is AAVE-USD."""
    pair = symbol[1:] if _is_native(symbol) else symbol
    if len(pair) == 6 and pair.isalnum():
        pair = f"{pair[:3]}-{pair[3:]}"
    return "-".join([_OURS.get(asset, asset) for asset in unified(pair.replace(":", "-")).split("-")])


def _native(symbol: str) -> str:
    """Two names of three letters stand together, others have a colon between them [recorded]."""
    assets = [_THEIRS.get(asset, asset) for asset in symbol.split("-")]
    return "t" + ("" if all(len(asset) == 3 for asset in assets) else ":").join(assets)


def _key(channel: Channel) -> str:
    return f"trade:{_FRAMES[channel.kind]}:{_native(channel.symbol)}"


def _text(number: Raw) -> str:
    return str(number, "ascii")


def _book(name: str, levels: list[WireLevel], snapshot: bool, venue_ns: int | None) -> BookUpdate:
    sides: dict[bool, list[Level]] = {False: [], True: []}
    for level in levels:
        amount = _text(level.amount)
        size = amount.removeprefix("-") if level.count else "0"
        sides[amount.startswith("-")].append((_text(level.price), size))
    return BookUpdate(name, venue_ns, snapshot, checked_levels(sides[False]), checked_levels(sides[True]))


def _trade(name: str, t: Print, origin: Origin = Origin.LIVE) -> Trade:
    amount, price = _text(t.amount), checked(_text(t.price))
    side, size = "sell" if amount.startswith("-") else "buy", checked(amount.removeprefix("-"))
    return Trade(name, ns_of_ms(t.mts), price, size, side, str(t.id), origin=origin)


def _summary(name: str, t: Ticker, venue_ns: int | None) -> Summary:
    high, low, last, volume = [checked(_text(number)) for number in (t.high, t.low, t.last, t.volume)]
    return Summary(name, venue_ns, None, high, low, last, volume_text=volume)


def _bar(name: str, c: Candle, venue_ns: int | None = None) -> Bar:
    numbers = (c.open, c.high, c.low, c.close, c.volume)
    opened, high, low, closed, volume = [checked(_text(number)) for number in numbers]
    return Bar(name, ns_of_ms(c.mts), opened, high, low, closed, volume, venue_ns=venue_ns)


def _next_page(times: list[int]) -> str:
    return str(max(times)) if len(times) == PAGE else ""


def fingerprint(bids: list[Level], asks: list[Level]) -> int:
    """Signed CRC32 over price and amount of the best bid, the best ask, the next bid, and so on [doc]."""
    both = [level for pair in zip_longest(map(_bid, bids), map(_ask, asks)) for level in pair if level]
    crc = crc32(":".join(both).encode())
    return crc - (1 << 32) if crc >> 31 else crc


@lru_cache(1 << 12)  # most of the best levels are the same from one message to the next
def _bid(level: Level) -> str:
    return f"{Decimal(javascript(level[0])):f}:{javascript(level[1])}"


def _ask(level: Level) -> str:
    return _bid(level).replace(":", ":-")


@lru_cache(1 << 12)
def javascript(number: str) -> str:
    """``number`` as JavaScript writes it once it has read it: 6000.0 is 6000, 0.0000001 is 1e-7."""
    shortest = Decimal(repr(float(number))).normalize()
    return f"{shortest:f}" if -7 < shortest.adjusted() < 21 else f"{shortest:e}"
