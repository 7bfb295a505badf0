"""Alpaca market data, the v2 family. Source: https://docs.alpaca.markets/docs/real-time-stock-pricing-data
(read 2026-11-20) and the vendor's Python and Go clients.

One connection for each endpoint: stocks by feed, the test stream, crypto, options, news. Each frame is an
array; controls come alone. The vendor answers requests in order, a subscription always with its full list
[doc]. Nothing is numbered, so no loss can be noticed and crypto books are ``unverifiable``.

JSON numbers keep their text. Options speak msgpack alone [doc]; there a price is a float, and its text the
shortest that gives it back. Sizes of stock quotes are as sent: round lots or shares, the documents disagree
[unverified]. Orders and fills of an account (``trade_updates``) are not market data, and not here.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from msgspec import json, msgpack

from ...core.adapter import NOBODY, Adapter, History, Limits, Span
from ...core.credentials import Credentials
from ...core.errors import ConfigError
from ...core.events import Ack, BookUpdate, Closing, Denied, Heartbeat, LoggedIn, Message, Why
from ...core.instruments import Channel, Instrument, interval_ns, unified
from ...core.stamps import rfc3339
from .read import EVENTS, book, instruments, news, past
from .wire import (
    Article,
    Asset,
    Failure,
    Item,
    Subscription,
    Success,
    from_books,
    from_history,
    from_json,
    from_msgpack,
)

_BRACKET = ord("[")
PAGE = 10_000  #: rows of a page of history, at most [doc]
FEEDS = ("iex", "sip", "delayed_sip", "test")
OPTIONS_FEEDS = ("indicative", "opra")
NEWS, CRYPTO, TEST = "/v1beta1/news", "/v1beta3/crypto/us", "/v2/test"
MSGPACK = {"Content-Type": "application/msgpack"}
_CONTRACT = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}").fullmatch  # AAPL240315C00172500
_TICKER = re.compile(r"[A-Z][A-Z.]{0,9}").fullmatch
#: The vendor's channels for each kind of ours; the first one tells whether it is subscribed.
_STREAMS = {
    **{"trade": ("trades",), "quote": ("quotes",), "book": ("orderbooks",), "news": ("news",)},
    **{"bar.1m": ("bars", "updatedBars"), "bar.1d": ("dailyBars",)},
    **{"status": ("statuses",), "luld": ("lulds",), "auction": ("imbalances",)},
}
_BARS = {"bar.1m": "1Min", "bar.1d": "1Day"}  #: as histories call them
_PAST = {"trade": "trades", "quote": "quotes", **dict.fromkeys(_BARS, "bars")}
_OF_STOCKS = frozenset({"trade", "quote", "status", "luld", "auction", "news", *_BARS})
_OF_CRYPTO = frozenset({"trade", "quote", "book", "news", *_BARS})
_OF_OPTIONS = frozenset({"trade", "quote"})
#: Refusals of the whole connection; those of the request they answer; failures that end the connection.
_WHOLE = {402: Why.LOGIN, 406: Why.CONNECTIONS, 408: Why.PLAN}
_ASKED = {400: Why.SYMBOL, 405: Why.LIMIT, **dict.fromkeys((409, 410, 411, 412, 413), Why.PLAN)}
_ENDS = frozenset({401, 404, 407, 500})
_ALREADY = 403  # logged in: all is well


class Alpaca(Adapter):
    """US stocks, crypto, options and news with a key.

    Options: ``feed`` of the stocks, ``options_feed``, ``encoding`` (``json`` or ``msgpack``) and ``plan``
    (``basic`` or ``paid``).
    """

    venue = "alpaca"
    title = "Alpaca (market data v2)"
    ws_url = "wss://stream.data.alpaca.markets"
    rest_url = "https://data.alpaca.markets"
    kinds = frozenset(_STREAMS)
    amends = True
    key_names = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
    option_names = frozenset({"feed", "options_feed", "encoding", "plan"})
    limits = Limits(symbols_per_socket=30, sockets_per_key=1)
    awaits_login = True
    silence_s = 30.0  # nothing beats, but a question is answered

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        choose = _chooser(options or {})
        self._feed, self._options_feed = choose("feed", FEEDS), choose("options_feed", OPTIONS_FEEDS)
        self._msgpack = choose("encoding", ("json", "msgpack")) == "msgpack"
        # One connection an endpoint; the basic plan has 30 symbols of trades and quotes together [doc].
        most = {"basic": 30, "paid": 100_000}[choose("plan", ("basic", "paid"))]
        self.limits = Limits(symbols_per_socket=most, sockets_per_key=1)
        super().__init__(options, credentials)
        self.binary = self._msgpack
        self._asked: deque[tuple[Channel, ...]] = deque()  # what each request without an answer asked for

    @classmethod
    def canonical(cls, symbol: str) -> str:
        name = unified(symbol)
        if name == "TRADE-UPDATES":
            raise ConfigError(
                "trade_updates are an account's orders and fills, not market data", where="alpaca"
            )
        return name

    @classmethod
    def streams(cls, symbol: str) -> frozenset[str]:
        if not symbol:
            return cls.kinds
        if "-" in symbol:
            return _OF_CRYPTO
        return _OF_OPTIONS if _CONTRACT(symbol) else _OF_STOCKS

    # The endpoints

    def route(self, channel: Channel) -> str:
        if channel.kind == "news":
            return NEWS
        if "-" in channel.symbol:
            return CRYPTO
        if _CONTRACT(channel.symbol):
            return f"/v1beta1/{self._options_feed}"
        return TEST if channel.symbol == "FAKEPACA" else f"/v2/{self._feed}"

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        route = self.route(channels[0]) if channels else f"/v2/{self._feed}"
        self.binary = self._msgpack or route.endswith(OPTIONS_FEEDS)
        return ws_url.rstrip("/") + route

    def slot(self, channel: Channel) -> str | None:
        """Bars, books and news take none."""
        return f"{channel.kind} {channel.symbol}" if channel.kind in ("trade", "quote") else None

    def ws_headers(self) -> Mapping[str, str]:
        return MSGPACK if self.binary else {}

    def rest_headers(self) -> Mapping[str, str]:
        key, secret = self.credentials.key, self.credentials.secret
        return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret} if key else {}

    # What we say

    def login(self) -> list[bytes]:
        self._asked.clear()
        key, secret = self.credentials.key, self.credentials.secret
        return [self._encode({"action": "auth", "key": key, "secret": secret})]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """One request, and one for each channel that the vendor may refuse: it refuses whole requests."""
        usual = tuple(channel for channel in channels if self._usual(channel))
        odd = [(channel,) for channel in channels if not self._usual(channel)]
        return [self._request("subscribe", asked) for asked in ([usual] if usual else []) + odd]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return [self._request("unsubscribe", channels)]

    def probe(self) -> bytes | None:
        return self._request("subscribe", ())

    def _usual(self, channel: Channel) -> bool:
        """Whether ``channel`` looks like one that its endpoint has."""
        symbol = channel.symbol
        known = "-" in symbol or _CONTRACT(symbol) or _TICKER(symbol)
        return bool(known) and channel.kind in self.streams(symbol)

    def _request(self, action: str, channels: Sequence[Channel]) -> bytes:
        self._asked.append(tuple(channels) if action == "subscribe" else ())
        streams: dict[str, list[str]] = {}
        for channel in channels:
            for stream in _STREAMS[channel.kind]:
                streams.setdefault(stream, []).append(_native(channel))
        return self._encode({"action": action, **streams})

    def _encode(self, request: object) -> bytes:
        return msgpack.encode(request) if self.binary else json.encode(request)

    # What the vendor says

    def parse(self, frame: bytes) -> Iterable[Message]:
        items = (from_json if frame[0] == _BRACKET else from_msgpack).decode(frame)
        read = EVENTS.get(type(items[0]))
        if read is None:
            return [message for item in items for message in self._other(item)]
        if len(items) == 1:
            return [read(items[0])]
        return [EVENTS[type(item)](item) for item in items]

    def _other(self, item: Item) -> Iterable[Message]:
        """News, and controls: never in one frame with anything else."""
        match item:
            case Article():
                return news(item)
            case Success(msg=msg):
                return [LoggedIn() if msg == "authenticated" else Heartbeat()]
            case Subscription():
                return self._confirmed(item)
            case Failure(code=code, msg=msg):
                return [self._refused(code, f"{code} {msg}".rstrip())]
        raise ValueError(f"a {type(item).__name__} among others")

    def _confirmed(self, listed: Subscription) -> Iterator[Message]:
        """What was asked for is in the full list, or it was left out in silence."""
        yield Heartbeat()
        for channel in self._asked.popleft() if self._asked else ():
            if _native(channel) in (getattr(listed, _STREAMS[channel.kind][0]) or ()):
                yield Ack(str(channel))
            else:
                yield Denied("not in the vendor's list", (str(channel),), Why.SYMBOL)

    def _refused(self, code: int, reason: str) -> Message:
        if code in _ENDS:
            return Closing(reason)
        if code in _WHOLE:
            return Denied(reason, why=_WHOLE[code])
        if code == _ALREADY:
            return Heartbeat()
        why = _ASKED.get(code, Why.OTHER)
        if not self._asked:
            return Denied(reason, why=Why.OTHER if why is Why.SYMBOL else why)
        asked = self._asked.popleft()
        return Denied(reason, tuple(map(str, asked)), why) if asked else Heartbeat()

    # REST

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """What was, of bars those that end within ``span``; nothing that could be told twice.

        Trades of options have no id, and what came as msgpack may have had another text.
        """
        kind, symbol = channel.kind, channel.symbol
        what = _PAST.get(kind)
        told_apart = kind == "trade" or not self._msgpack
        if what is None or not told_apart or _CONTRACT(symbol) or self.route(channel) == TEST:
            return None
        query = {"symbols": _native(channel)}
        length_ns = 0
        if frame := _BARS.get(kind):
            query["timeframe"], length_ns = frame, interval_ns(kind)
        query |= {"start": rfc3339(span.start_ns - length_ns), "end": rfc3339(span.end_ns - length_ns)}
        if "-" not in symbol:
            query["feed"] = "iex" if self._feed == "iex" else "sip"  # where what is delayed is, too
        query |= {"limit": str(PAGE)} | ({"page_token": page} if page else {})
        return f"{CRYPTO if '-' in symbol else '/v2/stocks'}/{what}?{urlencode(query)}"

    def parse_history(self, channel: Channel, body: bytes) -> History:
        page = from_history.decode(body)
        return History([*past(str(channel), _native(channel), page)], page.next_page_token or "")

    def audit_path(self, symbol: str) -> str:
        return f"{CRYPTO}/latest/orderbooks?symbols={symbol.replace('-', '%2F')}"

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        native = symbol.replace("-", "/")
        told = from_books.decode(body).orderbooks[native]
        told.S, told.r = native, True
        return book(told)

    def symbols_paths(self) -> Sequence[str]:
        address = "https://paper-api.alpaca.markets/v2/assets?status=active&asset_class="
        return (f"{address}us_equity", f"{address}crypto")

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return instruments(json.decode(body, type=list[Asset]))

    def price_path(self, symbol: str) -> str | None:
        if "-" in symbol:
            return f"{CRYPTO}/latest/trades?symbols={symbol.replace('-', '%2F')}"
        if _CONTRACT(symbol):
            return f"/v1beta1/options/trades/latest?symbols={symbol}&feed={self._options_feed}"
        tried = symbol == "FAKEPACA" or self._feed == "test"
        return None if tried else f"/v2/stocks/trades/latest?symbols={symbol}&feed={self._feed}"


def _chooser(options: Mapping[str, object]) -> Callable[[str, Sequence[str]], str]:
    def choose(name: str, values: Sequence[str]) -> str:
        value = options.get(name, values[0])
        if value not in values:
            raise ConfigError(f"{name} cannot be {value!r}", where="alpaca", allowed=list(values))
        return str(value)

    return choose


def _native(channel: Channel) -> str:
    """The vendor's spelling; news name a pair without its slash [unverified]."""
    return channel.symbol.replace("-", "" if channel.kind == "news" else "/")
