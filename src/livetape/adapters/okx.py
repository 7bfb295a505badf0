"""OKX v5. Source: https://www.okx.com/docs-v5/en (read 2026-11-20).

Each book message names the one before it, ``prevSeqId``; the numbers have holes, and fall after maintenance
[recorded]. Until 2023 there were no numbers but a CRC32 over the 25 best levels; since 2026 it is sent as 0
[recorded]. What leaves the 400 levels is deleted in so many words [recorded].
Trades of an instrument are numbered one by one [recorded]. ``trades`` puts those of one order together now,
``trades-all`` does not [doc], and what it says is what the history says.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from zlib import crc32

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, History, Limits, Span
from ..core.book import Book
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import (
    Ack,
    Bar,
    BookUpdate,
    Closing,
    Denied,
    Heartbeat,
    Message,
    Origin,
    Quote,
    Summary,
    Trade,
    Why,
)
from ..core.instruments import Channel, Instrument, by_symbol, interval_ns, unified
from ..core.sequence import linked
from ..core.times import MILLISECOND, ns_of_ms

PAGE = 100  #: rows of history in one answer at most
NO_SUCH = "60018"  #: the channel or the instrument does not exist
LEAVING = "64008"  #: the connection will be closed for an upgrade
CHECKED = 25  #: levels of each side in the checksum

WireLevel = tuple[str, str, str, str]  #: price, size, a field without meaning, number of orders


class Arg(Struct, gc=False, frozen=True):
    channel: str = ""
    instId: str = ""


# {"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"32f4414f"}   [recorded 2026-08]
# {"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please
#  reconnect."}                                                                                          [doc]
class Frame(Struct, gc=False):
    event: str = ""
    arg: Arg = Arg()
    action: str = ""
    data: Raw = Raw(b"[]")
    code: str = ""
    msg: str = ""


# {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["78853.3","0.00002056",
#  "0","2"]],"bids":[],"ts":"1787612486407","checksum":0,"seqId":80274874895,
#  "prevSeqId":80274874887}]}                                                               [recorded 2026-08]
# {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["38632.4","727","0","22"]],
#  "bids":[["38632.3","990","0","22"]],"ts":"1651761120004"}]}                              [recorded 2022-05]
class Depth(Struct, gc=False):
    asks: list[WireLevel]
    bids: list[WireLevel]
    ts: str
    checksum: int = 0
    seqId: int | None = None
    prevSeqId: int | None = None


# {"arg":{"channel":"trades-all","instId":"BSV-USDT"},"data":[{"instId":"BSV-USDT","tradeId":"84834539",
#  "px":"42.52","sz":"3.75","side":"buy","ts":"1697760012017"}]}                            [recorded 2023-10]
class Print(Struct, gc=False):
    instId: str
    tradeId: str
    px: str
    sz: str
    side: str
    ts: str
    count: str = ""  # of the trades in this one; where it is sent their numbers are not one by one


# {"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT",
#  "last":"30236","lastSz":"0.0002","askPx":"30228.7","askSz":"1.55896972","bidPx":"30228.6",
#  "bidSz":"0.23393","open24h":"29700.4","high24h":"31073","low24h":"28020.3","sodUtc0":"29028.8",
#  "sodUtc8":"30337.7","volCcy24h":"525802090.62716611","vol24h":"17602.13085371",
#  "ts":"1652459224956"}]}                                                                  [recorded 2022-05]
class Ticker(Struct, gc=False):
    instType: str
    instId: str
    last: str
    open24h: str
    high24h: str
    low24h: str
    volCcy24h: str  # of spot in the quote currency, else in the base
    vol24h: str
    ts: str


# ["1597026383085","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]     [doc]
Candle = tuple[str, str, str, str, str, str, str, str, str]


class Listed(Struct, gc=False):
    instId: str
    tickSz: str
    lotSz: str
    state: str


class Answer(Struct, gc=False):
    """What REST answers; ``data`` is as on the stream, the newest first."""

    data: Raw


_frame, _answer = json.Decoder(Frame), json.Decoder(Answer)
_depths, _prints = json.Decoder(list[Depth]), json.Decoder(list[Print])
_tickers, _candles = json.Decoder(list[Ticker]), json.Decoder(list[Candle])
_listed = json.Decoder(list[Listed])
_MINUTES = {f"bar.{i}": i for i in ("1s", "1m", "5m", "15m", "30m")}
_HOURS = {"bar.1h": "1H", "bar.2h": "2H", "bar.4h": "4H"}
_DAYS = {
    "bar.6h": "6Hutc",
    "bar.1d": "1Dutc",
    "bar.1w": "1Wutc",
}  # without utc they begin by Hong Kong's clock
_BARS = _MINUTES | _HOURS | _DAYS
_BUSINESS = {"trade": "trades-all"} | {kind: f"candle{bar}" for kind, bar in _BARS.items()}
_STREAM = {"book": "books", "quote": "bbo-tbt", "summary": "tickers"} | _BUSINESS
_KIND = {stream: kind for kind, stream in _STREAM.items()} | {
    "trades": "trade",
    "books-l2-tbt": "book",
    "books50-l2-tbt": "book",
}
_IS_SNAPSHOT = {"snapshot": True, "update": False}
_SIDES = {"buy": "buy", "sell": "sell"}
_CHAIN, _CHECKSUM = Guarantee("sequence seqId"), Guarantee("crc32", CHECKED)
_culprit = re.compile(r"channel:([\w-]+),\s*instId:([\w-]+)").search


class OKX(Adapter):
    """Key-less market data: trades, books, quotes, summaries of 24 hours and bars.

    Sizes of swaps and futures are numbers of contracts.
    Books whose snapshot has no number, as the venue sent them until 2023, rest on their checksum.
    """

    venue = "okx"
    title = "OKX (v5)"
    ws_url = "wss://ws.okx.com:8443/ws/v5"
    rest_url = "https://www.okx.com"
    kinds = frozenset(_STREAM)
    never_closes = True
    sample = "BTC-USDT"
    guarantees: Mapping[str, Guarantee] = {"book": _CHAIN, "trade": Guarantee("tradeId")}
    limits = Limits(symbols_per_socket=100, connects_per_minute=60)  # 480 requests an hour a connection
    silence_s = 30.0  # after which the venue itself hangs up; a ping is answered
    sequence = staticmethod(linked)

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._numbered = False  # whether the snapshots have numbers
        self._last: dict[str, str] = {}  # the last trade of each instrument

    def route(self, channel: Channel) -> str:
        return "business" if channel.kind in _BUSINESS else "public"

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}/{self.route(channels[0])}"

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("unsubscribe", channels)

    def probe(self) -> bytes:
        return b"ping"

    def parse(self, frame: bytes) -> Iterable[Message]:
        if frame == b"pong":
            return [Heartbeat()]
        said = _frame.decode(frame)
        kind = _KIND.get(said.arg.channel, "")
        name = _name(said.arg.instId, kind)
        if said.event:
            return [_reply(said, name if kind else "")]
        match kind:
            case "book":
                snapshot = _IS_SNAPSHOT[said.action]
                return [self._book(name, depth, snapshot=snapshot) for depth in _depths.decode(said.data)]
            case "trade":
                return [self._trade(trade) for trade in _prints.decode(said.data)]
            case "quote":
                return [_quote(name, depth) for depth in _depths.decode(said.data)]
            case "summary":
                return [_summary(ticker) for ticker in _tickers.decode(said.data)]
            case "":
                return [Heartbeat()]  # a channel that we did not ask for
        return [_bar(name, candle) for candle in _candles.decode(said.data)]

    def checksum(self, book: Book) -> int:
        return fingerprint(book.bids.top(CHECKED), book.asks.top(CHECKED))

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Backwards in time: trades are those before a number, bars those between two times."""
        kind, ask = channel.kind, f"?instId={channel.symbol}"
        if kind == "trade" and span.numbers:
            before = int(page or span.numbers.stop)
            rows = min(max(before - span.numbers.start, 1), PAGE)
            return f"/api/v5/market/history-trades{ask}&type=1&after={before}&limit={rows}"
        if kind in _BARS:
            since = (span.start_ns - interval_ns(kind)) // MILLISECOND
            before = int(page or span.end_ns // MILLISECOND)
            limits = f"&before={since}&after={before}&limit={PAGE}"
            return f"/api/v5/market/history-candles{ask}&bar={_BARS[kind]}{limits}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        data = _answer.decode(body).data
        if channel.kind == "trade":
            trades = [_trade(trade) for trade in _prints.decode(data)]
            return History([*trades], str(trades[-1].id) if len(trades) == PAGE else "")
        candles = _candles.decode(data)
        bars = [_bar(str(channel), candle) for candle in candles]
        return History([*bars], candles[-1][0] if len(candles) == PAGE else "")

    def price_path(self, symbol: str) -> str:
        return f"/api/v5/market/ticker?instId={symbol}"

    def symbols_paths(self) -> Sequence[str]:
        return [f"/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP", "FUTURES")]

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [
            Instrument(unified(i.instId), i.instId, i.tickSz, i.lotSz, asset="crypto")
            for i in _listed.decode(_answer.decode(body).data)
            if i.state == "live"
        ]

    def _book(self, name: str, d: Depth, *, snapshot: bool) -> BookUpdate:
        numbered = d.seqId is not None and d.prevSeqId is not None
        if snapshot:
            self._numbered = numbered
            self.guarantees = {**self.guarantees, "book": _CHAIN if numbered else _CHECKSUM}
        if not numbered and (self._numbered or not d.checksum):
            raise ValueError("a book without its proof")
        bids, asks = _levels(d.bids), _levels(d.asks)
        venue_ns, checksum = ns_of_ms(int(d.ts)), d.checksum or None
        return BookUpdate(name, venue_ns, snapshot, bids, asks, d.prevSeqId, d.seqId, checksum)

    def _trade(self, t: Print) -> Trade:
        """The last trade comes again with each new subscription [recorded]."""
        trade = _trade(t, Origin.BACKFILLED if self._last.get(t.instId) == t.tradeId else Origin.LIVE)
        self._last[t.instId] = t.tradeId
        return trade


def _requests(verb: str, channels: Sequence[Channel]) -> list[bytes]:
    """One request a symbol, so that an unknown one takes no other with it."""
    return [
        json.encode({"op": verb, "args": [Arg(_STREAM[kind], symbol) for kind in sorted(kinds)]})
        for symbol, kinds in by_symbol(channels).items()
    ]


def _reply(said: Frame, name: str) -> Message:
    match said.event:
        case "subscribe" if name:
            return Ack(name)
        case "error":
            found = _culprit(said.msg)
            refused = (_name(found[2], _KIND[found[1]]),) if found and found[1] in _KIND else ()
            return Denied(said.msg, refused, Why.SYMBOL if said.code == NO_SUCH else Why.OTHER)
        case "notice" if said.code == LEAVING:
            return Closing(said.msg)
    return Heartbeat()


def fingerprint(bids: list[Level], asks: list[Level]) -> int:
    """CRC32, signed, over bid and ask in turn, best first, as ``price:size``, all joined by colons."""
    turns = chain.from_iterable(zip_longest(bids, asks))
    crc = crc32(":".join([f"{level[0]}:{level[1]}" for level in turns if level]).encode())
    return crc - (crc >> 31 << 32)


def _name(native: str, kind: str) -> str:
    return f"okx:{unified(native)}/{kind}"


def _levels(wire: list[WireLevel]) -> list[Level]:
    return checked_levels([(price, size) for price, size, _, _ in wire])


def _trade(t: Print, origin: Origin = Origin.LIVE) -> Trade:
    name, venue_ns, price, size = _name(t.instId, "trade"), ns_of_ms(int(t.ts)), checked(t.px), checked(t.sz)
    number = int(t.tradeId) if not t.count else None
    return Trade(name, venue_ns, price, size, _SIDES[t.side], t.tradeId, number, origin=origin)


def _quote(name: str, d: Depth) -> Quote:
    bid, bid_size = next(iter(_levels(d.bids)), (None, None))
    ask, ask_size = next(iter(_levels(d.asks)), (None, None))
    return Quote(name, ns_of_ms(int(d.ts)), bid, bid_size, ask, ask_size, d.seqId)


def _summary(t: Ticker) -> Summary:
    opened, high, low, last = [_known(text) for text in (t.open24h, t.high24h, t.low24h, t.last)]
    volume, turnover = _known(t.vol24h), _known(t.volCcy24h) if t.instType == "SPOT" else None
    name, venue_ns = _name(t.instId, "summary"), ns_of_ms(int(t.ts))
    return Summary(name, venue_ns, opened, high, low, last, None, volume, turnover)


def _known(text: str) -> str | None:
    """What has never been traded has no prices."""
    return checked(text) if text else None


def _bar(name: str, candle: Candle) -> Bar:
    start, *numbers, _, _, confirm = candle
    opened, high, low, close, volume = map(checked, numbers)
    return Bar(name, ns_of_ms(int(start)), opened, high, low, close, volume, closed=confirm == "1")
