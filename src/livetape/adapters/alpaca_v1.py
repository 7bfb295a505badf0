"""Alpaca's first data stream, ``alpacadatav1``. Source: docs of alpaca-trade-api 0.53 (read 2026-11-20).

The vendor shut it down in 2021; simulators and programs of that time still speak it. It says nothing before
``authenticate``, and every ``listen`` and ``unlisten`` is answered with the whole list of what is listened to
[doc]. Nothing is numbered, so what is lost cannot be seen. Sizes of quotes are in round lots [doc].
REST has gone on and names exchanges by letters, so that its trades cannot be told to be the same: no history.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter, Limits
from ..core.conditions import excluded
from ..core.credentials import Credentials
from ..core.decimals import checked
from ..core.events import Ack, Bar, Denied, Heartbeat, LoggedIn, Message, Quote, Trade, Why
from ..core.instruments import Channel
from ..core.times import ns_of_ms


# {"ev":"T","T":"SPY","i":117537207,"x":2,"p":283.63,"s":2,"t":1587407015152775000,"c":[14,37,41],"z":2} [doc]
class Print(Struct, gc=False, tag_field="ev", tag="T"):
    T: str
    i: int
    x: int
    p: Raw
    s: Raw
    t: int
    c: list[int] | None
    z: int


# {"ev":"Q","T":"AAPL","x":17,"p":112.12,"s":1,"X":3,"P":112.98,"S":1,"c":[0],"t":1601645053026000000}  [doc]
class Offer(Struct, gc=False, tag_field="ev", tag="Q"):
    T: str
    x: int
    p: Raw
    s: Raw
    X: int
    P: Raw
    S: Raw
    c: list[int] | None
    t: int


# {"ev":"AM","T":"TSLA","v":6932,"av":2192813,"op":653.76,"vw":605.0476,"o":604.86,"c":603.38,"h":606.07,
#  "l":603.38,"a":617.879,"s":1607544180000,"e":1607544240000}                                           [doc]
class Minute(Struct, gc=False, tag_field="ev", tag="AM"):
    T: str
    v: Raw
    av: Raw
    op: Raw
    vw: Raw
    o: Raw
    c: Raw
    h: Raw
    l: Raw  # noqa: E741 - the vendor's spelling
    a: Raw
    s: int
    e: int


# {"stream":"T.SPY","data":{"ev":"T","T":"SPY",…}}                                                       [doc]
class Data(Struct, gc=False):
    stream: str
    data: Print | Offer | Minute


# {"action":"authenticate","status":"authorized"} · {"streams":["Q.GOOG"]} · {"error":"…"}               [doc]
class Word(Struct, gc=False, omit_defaults=True):
    action: str = ""
    status: str = ""
    streams: list[str] | None = None
    error: str = ""


# {"stream":"listening","data":{"streams":["T.SPY","AM.*"]}}                                             [doc]
class Reply(Struct, gc=False):
    stream: str
    data: Word


class Wish(Struct, gc=False, omit_defaults=True):
    key_id: str = ""
    secret_key: str = ""
    oauth_token: str = ""
    streams: list[str] | None = None


class Request(Struct, gc=False):
    action: str
    data: Wish


AGAIN = "your connection is already authenticated"
ELSEWHERE = "your connection is rejected while another connection is open under the same account"
_STREAMS = {"trade": "T", "quote": "Q", "bar.1m": "AM"}
#: Sale conditions as the tapes write them: an odd lot. What the other numbers mean is not documented.
_CONDITIONS = {37: "I"}
_KINDS = {stream: kind for kind, stream in _STREAMS.items()}
_data, _reply = json.Decoder(Data), json.Decoder(Reply)


class AlpacaV1(Adapter):
    """Trades, quotes and minute bars of US stocks. Quotes have their sizes in round lots."""

    venue = "alpaca"
    title = "Alpaca (alpacadatav1)"
    ws_url = "wss://data.alpaca.markets/stream"
    rest_url = "https://data.alpaca.markets"
    kinds = frozenset(_STREAMS)
    sample = "AAPL"
    key_names = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    limits = Limits(symbols_per_socket=30, sockets_per_key=1)  # trades and quotes together [doc]
    silence_s = 30.0  # no heartbeat, but a question is answered
    awaits_login = True

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._asked: deque[list[str]] = deque()  # the streams of each request that is not answered yet

    def slot(self, channel: Channel) -> str | None:
        return None if channel.kind == "bar.1m" else _stream(channel)

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        return f"{ws_url.rstrip('/').removesuffix('/stream')}/stream"

    def login(self) -> list[bytes]:
        self._asked.clear()
        wish = Wish(key_id=self.credentials.key, secret_key=self.credentials.secret)
        return [json.encode(Request("authenticate", wish))]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._ask("listen", list(map(_stream, channels)))]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._ask("unlisten", list(map(_stream, channels)))]

    def probe(self) -> bytes:
        """To listen to nothing more is answered with what is listened to."""
        return self._ask("listen", [])

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"ev"' in frame:
            return [_event(_data.decode(frame).data)]
        reply = _reply.decode(frame)
        match reply.stream:
            case "authorization" if reply.data.status == "authorized":
                return [LoggedIn()]
            case "authorization":
                return [Denied(f"{reply.data.action}: {reply.data.status}", why=Why.LOGIN)]
            case "listening" if reply.data.error:
                return [self._denied(reply.data.error)]
            case "listening" if reply.data.streams is not None:
                return self._answered(reply.data.streams)
        raise ValueError(f"unknown message of {reply.stream!r}")

    def _ask(self, action: str, streams: list[str]) -> bytes:
        self._asked.append(streams if action == "listen" else [])
        return json.encode(Request(action, Wish(streams=streams)))

    def _denied(self, error: str) -> Message:
        if error == AGAIN:
            return Heartbeat()
        if error == ELSEWHERE:
            return Denied(error, why=Why.CONNECTIONS)
        asked = self._asked.popleft() if self._asked else []  # the text over 30 is not known [unverified]
        return Denied(error, _channels(asked), Why.LIMIT if "limit" in error else Why.OTHER)

    def _answered(self, streams: list[str]) -> list[Message]:
        """What is listened to now, and what was asked for last but left out."""
        asked = self._asked.popleft() if self._asked else []
        missing = [stream for stream in asked if stream not in streams]
        said: list[Message] = [Heartbeat(), *map(Ack, _channels(streams))]
        if missing:
            said.append(Denied("the venue left it out of its list", _channels(missing), Why.SYMBOL))
        return said


def _stream(channel: Channel) -> str:
    return f"{_STREAMS[channel.kind]}.{channel.symbol}"


def _channels(streams: Iterable[str]) -> tuple[str, ...]:
    """The channels of those of ``streams`` that are of one symbol each."""
    named = [stream.partition(".")[::2] for stream in streams]
    return tuple([f"alpaca:{symbol}/{_KINDS[kind]}" for kind, symbol in named if kind in _KINDS])


def _event(data: Print | Offer | Minute) -> Message:
    match data:
        case Print(T=symbol, i=number, x=exchange):
            price, size, conditions = _text(data.p), _text(data.s), data.c or ()
            return Trade(
                *(f"alpaca:{symbol}/trade", _ns(data.t), price, size, None),
                id=f"{exchange}-{number}",  # a number is unique on its exchange only
                conditions=tuple(map(str, conditions)),
                excluded=excluded(tuple(_CONDITIONS[c] for c in conditions if c in _CONDITIONS)),
            )
        case Offer(T=symbol):
            best = *_side(data.p, data.s), *_side(data.P, data.S)
            return Quote(f"alpaca:{symbol}/quote", _ns(data.t), *best)
        case Minute(T=symbol):
            opened, high, low, close, volume = map(_text, (data.o, data.h, data.l, data.c, data.v))
            return Bar(
                *(f"alpaca:{symbol}/bar.1m", ns_of_ms(data.s), opened, high, low, close, volume),
                vwap_text=_text(data.vw),
                closed=True,
                venue_ns=ns_of_ms(data.e),
            )


def _text(number: Raw) -> str:
    return checked(str(number, "ascii"))


def _side(price: Raw, size: Raw) -> tuple[str, str] | tuple[None, None]:
    """Price and size; a side without a price is empty."""
    level = _text(price), _text(size)
    return level if float(level[0]) else (None, None)


def _ns(t: int) -> int:
    if not 0 <= t < 1 << 63:
        raise ValueError(f"{t} is not a time in nanoseconds")
    return t
