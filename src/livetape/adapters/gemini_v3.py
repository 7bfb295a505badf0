"""Gemini's new market data API. Source: https://developer.gemini.com/websocket (0.10.7, read 2026-11-20).

Frames do not name their stream; their keys tell them apart. With ``?snapshot=-1`` the first ``depthUpdate``
of a symbol is its whole book and has U = u; the U of each next one is the u before it [recorded]. Snapshots
may come before the acknowledgement [user report].
One bad name refuses a whole request [user report], so there is one request for each channel.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import Ack, BookUpdate, Denied, Heartbeat, Mark, Message, Quote, Trade, Why
from ..core.instruments import Channel, unified
from ..core.sequence import chained
from .gemini import Ns, PublicRest, native_of

DEPTHS = (5, 10, 20)  #: levels a side of the books that are sent whole each time


class Fault(Struct, gc=False):
    code: int = 0
    msg: str = ""


# {"id":1,"status":200}                                                                     [recorded 2026-07]
# {"id":4,"status":400,"error":{"code":-1013,
#  "msg":"Invalid stream name: nosuchperp@depth@100ms"}}                              [user report 2026-09-15]
class Head(Struct, gc=False):
    """What a frame is: an answer has a ``status``, an event may have its name, a trade has an id."""

    id: int | str | None = None
    status: int | None = None
    error: Fault | None = None
    e: str = ""
    t: int | None = None
    lastUpdateId: int | None = None


# {"u":1764549594389752,"E":1783981140076872200,"s":"xrpgusd","b":"1.0614900","B":"958.69148000",
#  "a":"1.0615000","A":"38.39060000","c":"1.0612500","C":"4.71027100"}                    [recorded 2026-07]
class BookTicker(Struct, gc=False, omit_defaults=True):
    u: int
    E: Ns
    s: str
    b: str = ""
    B: str = ""
    a: str = ""
    A: str = ""
    c: str = ""  # presumably the last price and size [unverified]
    C: str = ""


# {"E":1783981140085684200,"s":"btcrlusd","t":2840141014190422,"p":"62145.38000","q":"0.0162522200",
#  "m":true}                                                                              [recorded 2026-07]
class Print(Struct, gc=False):
    E: Ns
    s: str
    t: int
    p: str
    q: str
    m: bool


# {"e":"depthUpdate","E":1783981139947514400,"s":"wifusd","U":1764549594389289,"u":1764549594389676,
#  "b":[["0.148800","11129.36421900"],["0.148900","49574.82370100"]],"a":[]}              [recorded 2026-07]
class Depth(Struct, gc=False, tag_field="e", tag="depthUpdate"):
    E: Ns
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]


# {"lastUpdateId":1764527605192164,"symbol":"trumpgusdperp","bids":[["2.5","1"]],"asks":[]}           [doc]
class Partial(Struct, gc=False, omit_defaults=True):
    lastUpdateId: int
    bids: list[Level]
    asks: list[Level]
    symbol: str = ""
    s: str = ""  # instead of ``symbol`` since 2026-05 [user report]


# {"e":"markPrice","E":1790757351404791988,"s":"btcgusdperp","p":"83060.862",
#  "i":"8301506.333"}    i is the index moved by some power of ten, so it is left out [user report 2026-09-15]
class MarkPrice(Struct, gc=False):
    E: Ns
    s: str
    p: str


# {"e":"fundingAmount","E":1790758800000000000,"s":"btcgusdperp","T":1790758800000000000,"i":60,"f":"5.77329",
#  "r":"0.00600","p":"83067.436","R":false}    E is the next settlement, not now      [user report 2026-09-15]
class Funding(Struct, gc=False):
    s: str
    p: str
    r: str


class Request(Struct, gc=False, omit_defaults=True):
    id: int
    method: str
    params: list[str] = []


_head, _ticker, _print = json.Decoder(Head), json.Decoder(BookTicker), json.Decoder(Print)
_depth, _partial = json.Decoder(Depth), json.Decoder(Partial)
_mark, _funding = json.Decoder(MarkPrice), json.Decoder(Funding)
_WHY = {-1013: Why.SYMBOL, -1003: Why.LIMIT}


class GeminiV3(PublicRest, Adapter):
    """Key-less market data: trades, quotes, books proved by their chain, and marks of perpetuals.

    With ``levels`` of 5, 10 or 20 the book is that deep and sent whole each time, without a proof.
    A mark that comes with the funding rate, in percent an interval, has no time.
    """

    venue = "gemini"
    title = "Gemini (WebSocket API)"
    ws_url = "wss://ws.gemini.com"
    kinds = frozenset({"trade", "quote", "book", "mark"})
    never_closes = True
    guarantees: Mapping[str, Guarantee] = {"book": Guarantee("sequence U/u")}
    limits = Limits(symbols_per_socket=100, connects_per_minute=60)
    option_names = frozenset({"levels"})
    silence_s = 30.0  # quiet markets say nothing; the answer to a ping does
    sequence = staticmethod(chained)

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        levels = self.options.get("levels")
        if levels is not None and levels not in DEPTHS:
            offered = [str(each) for each in DEPTHS]
            raise ConfigError(f"a book of {levels!r} levels is not offered", where="gemini", allowed=offered)
        if levels is not None:
            self.guarantees = {}
        self._streams = {
            "trade": ("trade",),
            "quote": ("bookTicker",),
            "book": (f"depth{levels or ''}@100ms",),
            "mark": ("markPrice", "fundingAmount"),
        }
        self._symbols: dict[str, str] = {}  # native to unified, of what was asked for
        self._asked: dict[int, str] = {}  # request id to the channel it subscribes
        self._ids = 0

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/')}/?snapshot=-1"

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection owes no answers."""
        self._asked.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        frames = []
        for channel in channels:
            self._symbols[native_of(channel.symbol).lower()] = channel.symbol
            frames.append(self._request("subscribe", channel))
            self._asked[self._ids] = str(channel)
        return frames

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("unsubscribe", channel) for channel in channels]

    def probe(self) -> bytes:
        self._ids += 1
        return json.encode(Request(self._ids, "ping"))

    def history_path(self, channel: Channel, span: Span, page: str = "") -> None:
        """REST has the times of trades in ms, here they are in ns: nobody can tell which are the same."""

    def parse(self, frame: bytes) -> Iterable[Message]:
        head = _head.decode(frame)
        if head.status is not None:
            return [self._answer(head)]
        match head.e:
            case "depthUpdate":
                return [self._book(_depth.decode(frame))]
            case "markPrice":
                mark = _mark.decode(frame)
                return [Mark(self._name(mark.s, "mark"), mark.E, checked(mark.p))]
            case "fundingAmount":
                funding = _funding.decode(frame)
                checked(funding.r.removeprefix("-"))
                return [Mark(self._name(funding.s, "mark"), None, checked(funding.p), None, funding.r)]
            case "contractStatus":
                return [Heartbeat()]  # of prediction markets; we did not ask for it
            case "" | "trade" if head.t is not None:
                return [self._trade(_print.decode(frame))]
            case "" if head.lastUpdateId is not None:
                return [self._partial(_partial.decode(frame))]
            case "":
                return [self._quote(_ticker.decode(frame))]
        raise ValueError(f"unknown event {head.e!r}")

    def _request(self, method: str, channel: Channel) -> bytes:
        self._ids += 1
        streams = [f"{native_of(channel.symbol).lower()}@{name}" for name in self._streams[channel.kind]]
        return json.encode(Request(self._ids, method, streams))

    def _answer(self, head: Head) -> Message:
        channel = self._asked.pop(head.id, "") if isinstance(head.id, int) else ""
        if not channel:  # of a ping, or of what was given up
            return Heartbeat()
        if head.status == 200:
            return Ack(channel)
        fault = head.error or Fault(msg=f"status {head.status}")
        return Denied(fault.msg, (channel,), _WHY.get(fault.code, Why.OTHER))

    def _name(self, native: str, kind: str) -> str:
        return f"gemini:{self._symbols.get(native) or unified(native)}/{kind}"

    def _book(self, d: Depth) -> BookUpdate:
        bids, asks = checked_levels(d.b), checked_levels(d.a)
        return BookUpdate(self._name(d.s, "book"), d.E, d.u == d.U, bids, asks, d.U, d.u)

    def _partial(self, p: Partial) -> BookUpdate:
        name, bids, asks = self._name(p.symbol or p.s, "book"), checked_levels(p.bids), checked_levels(p.asks)
        return BookUpdate(name, None, True, bids, asks, p.lastUpdateId, p.lastUpdateId)

    def _trade(self, t: Print) -> Trade:
        side = "sell" if t.m else "buy"  # m: the buyer was the maker
        return Trade(self._name(t.s, "trade"), t.E, checked(t.p), checked(t.q), side, str(t.t))

    def _quote(self, q: BookTicker) -> Quote:
        bid, bid_size, ask, ask_size = [checked(text) if text else None for text in (q.b, q.B, q.a, q.A)]
        return Quote(self._name(q.s, "quote"), q.E, bid, bid_size, ask, ask_size, q.u)
