"""Alpaca market data, the v2 family and its REST, in the server role. Source: as the adapter's.

What belongs to an endpoint is told by the asset of the instruments. A frame carries all that one step of the
market tells a client. Days are those of UTC.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, NamedTuple

from msgspec import MsgspecError, Struct

from ...adapters.alpaca.wire import DailyBar, Failure, Success, UpdatedBar, WireBar
from ...core.credentials import Credentials
from ...core.decimals import Level
from ...core.dialect import Action, Answer, Call, Dialect, Hangup, House, Pushed, Source
from ...core.events import Trade
from ...core.instruments import Instrument
from ...core.times import SECOND
from . import rest
from .items import CRYPTO, JSON, MINUTE, MSGPACK, NEWSROOM, OPTIONS, STOCKS, TEST, Items, Request

DAY = 86_400 * SECOND
LOGIN = 10 * SECOND  #: how long a client may take to say who it is
LAG = SECOND // 10  #: after a minute, until its bars are told
LATE = 30 * SECOND  #: likewise, until they are told anew
NEWS = 5 * SECOND  #: from one article to the next

_NAMED = {"test": TEST, "indicative": OPTIONS, "opra": OPTIONS, "news": NEWSROOM}
_FOLLOW = ("corrections", "cancelErrors")  # come with trades
_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
}
_ENDS = (404, 407)  # close the connection; 402 and 409 as ``goodbye`` says

Best = tuple[Level | None, Level | None]


class Told(NamedTuple):
    """An item of a frame, and the channel it belongs to."""

    item: Struct
    channel: str


class AlpacaDialect(Dialect):
    """Stocks, the test stream, crypto, options and news, each at its endpoint."""

    venue = "alpaca"
    path = re.compile(
        r"/(?:v2/(?:iex|sip|delayed_sip|test)|v1beta1/(?:boats|overnight|indicative|opra|news)"
        r"|v1beta3/crypto/(?:us|us-1|us-2|eu-1|bs-1))/?"
    )
    beat_s = 1.0
    ping_s = 30.0
    deflates = True
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "connections": ("one", "any"),  # of a key at an endpoint
        "plan": ("basic", "paid"),  # what a key may have
        "cap": ("30", "N"),  # symbols of trades and quotes on the basic plan
        "option_cap": ("200", "N"),  # symbols of option quotes on it
        "unknown": ("accepted", "refused"),  # what becomes of a symbol that is not listed
        "sizes": ("lots", "shares"),  # of stock quotes
        "goodbye": ("1000", "reset", "stays", "N"),  # the close code after a refused login
        "slow_client": ("no", "N"),  # seconds until a client is called slow
        "correct": ("no", "N"),  # every Nth stock trade is corrected
        "cancel": ("no", "N"),  # every Nth stock trade is cancelled
        "updated_bars": ("off", "on"),  # whether the last print of a minute is late
        "halt": ("no", "N"),  # seconds from a halt of all stocks to its end, and to the next one
    }

    def __init__(self, source: Source, house: House | None = None) -> None:
        super().__init__(source, house)
        self.key = self.endpoint = ""  #: whose connection it is, once that is known, and where
        self._desk, self._wire = STOCKS, JSON
        self._items = Items(source, STOCKS, JSON, iex=True, lots=True)
        self._feed = ""  # clients of the same one are told the same
        self._own: dict[str, Instrument] = {}
        self._lists: dict[str, dict[str, None]] = {}  # symbols of each channel, in the order they came
        self._since_ns = 0  # of the connection, then of the login
        self._minute = self._updated = self._turn = self._articles = 0  # the latest that were told
        self._best: dict[str, Best] = {}
        self._wrong: dict[str, list[Trade]] = {}  # told, and to be amended

    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        self.endpoint, self._since_ns = call.path.rstrip("/"), now_ns
        feed = self.endpoint.rpartition("/")[2]
        self._desk = CRYPTO if "/crypto/" in self.endpoint else _NAMED.get(feed, STOCKS)
        self._wire = MSGPACK if "msgpack" in call.headers.get("content-type", "") else JSON
        lots = self.switch("sizes") == "lots"
        self._feed = f"v2 {feed} {self._wire.binary}"
        self._items = Items(self.source, self._desk, self._wire, iex=feed in ("iex", "test"), lots=lots)
        self._own = {i.symbol: i for i in self.source.instruments() if self._desk.has(i)}
        self._lists = {stream: {} for stream in self._desk.streams}
        self._minute = self._updated = (now_ns - LAG) // MINUTE
        self._turn, self._articles = self._turns(now_ns), now_ns // NEWS
        key = key_of(call.headers)
        return [self._say(Success("connected")), *([] if key is None else [self._admit(key, now_ns)])]

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        return rest.answer(source, house, key_of(call.headers), call, now_ns)

    @classmethod
    def witness(cls, source: Source, house: House, action: Action) -> None:
        rest.remember(source, house, action)

    @classmethod
    def busy(cls, status: int) -> bytes:
        said = "too many requests." if status == 429 else HTTPStatus(status).phrase
        return rest.refusal(status, said).body

    # What a client asks

    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        try:
            request = self._wire.request(frame)
        except (MsgspecError, ValueError, RecursionError):
            return [self._error(400)]
        action, key, secret = (request.pop(name, "") for name in ("action", "key", "secret"))
        if action == "auth" and isinstance(key, str) and isinstance(secret, str):
            return [self._admit(Credentials(secret) if key == "oauth" else Credentials(key, secret), now_ns)]
        if action not in ("subscribe", "unsubscribe"):
            return [self._error(400)]
        if not self.key:
            return [self._error(401)]
        if code := self._objection(request):
            return [self._error(code)]
        wanted = {stream: list(symbols or ()) for stream, symbols in request.items() if stream in self._lists}
        return self._subscribe(wanted, now_ns) if action == "subscribe" else self._unsubscribe(wanted)

    def _admit(self, key: Credentials, now_ns: int) -> Pushed:
        """Log in."""
        if self.key:
            return self._error(403)
        if not self.house.admits(key.key, key.secret):
            return self._error(402)
        if self.endpoint.endswith(("/sip", "/opra")) and self.switch("plan") == "basic":
            return self._error(409)
        there = [(m.key, m.endpoint) for m in self.house.members if isinstance(m, AlpacaDialect)]
        if (key.key, self.endpoint) in there and self.switch("connections") == "one":
            return self._error(406)
        self.key, self._since_ns = key.key, now_ns
        return self._say(Success("authenticated"))

    def _objection(self, request: Request) -> int | None:
        """The error that a request deserves by its form."""
        if self._desk is OPTIONS and self._wire is JSON:
            return 412
        if any(isinstance(symbols, str) for symbols in request.values()):
            return 400
        if {stream for stream, symbols in request.items() if symbols} - {*self._desk.streams, *_FOLLOW}:
            return 410
        if self._desk is OPTIONS and "*" in (request.get("quotes") or ()):
            return 413
        named = {symbol for symbols in request.values() for symbol in symbols or ()} - {"*"}
        listed = set(map(self._items.native, self._own))
        if self.switch("unknown") == "refused" and named - listed:
            return 400
        return None if all(map(self._desk.symbol.fullmatch, named)) else 400

    def _subscribe(self, wanted: Mapping[str, list[str]], now_ns: int) -> list[Pushed]:
        after = {stream: had | dict.fromkeys(wanted.get(stream, ())) for stream, had in self._lists.items()}
        taken = sum(len(self._own) if "*" in after[s] else len(after[s]) for s in self._desk.capped)
        cap = int(self.switch("option_cap" if self._desk is OPTIONS else "cap"))
        if taken > cap and self.switch("plan") == "basic":
            return [self._error(405)]
        followed, self._lists = self._heard("orderbooks"), after
        new = [symbol for symbol in self._heard("orderbooks") if symbol not in followed]
        books = [Told(self._items.whole(symbol, now_ns), f"alpaca:{symbol}/book") for symbol in new]
        return [self._listed(), *self._tell(*books)]

    def _unsubscribe(self, wanted: Mapping[str, list[str]]) -> list[Pushed]:
        for stream, symbols in wanted.items():
            for symbol in symbols:
                self._lists[stream].pop(symbol, None)
        return [self._listed()]

    def _listed(self) -> Pushed:
        """The full list of what is subscribed."""
        lists = {stream: list(symbols) for stream, symbols in self._lists.items()}
        if not lists.get("imbalances", True):
            del lists["imbalances"]
        if self._desk in (STOCKS, TEST):
            lists |= dict.fromkeys(_FOLLOW, lists["trades"])
        return self._say({"T": "subscription", **lists})

    # What the market tells

    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        symbol = action.symbol
        if symbol not in self._own or self._turns(action.ns) % 2:
            return []
        wrong, prints = self._prints(action)
        best = self._moved(symbol)
        changes = action.changes if self._hears("orderbooks", symbol) else ()
        kinds = ["trade"] * (len(wrong) + len(prints)) + ["quote"] * (best is not None)
        kinds += ["book"] * bool(changes)
        if not kinds:
            return []
        key = f"{self._feed} {kinds} {[trade.number for trade in wrong]}"
        if key not in memo:
            items: list[Struct] = [self._amendment(trade, action.ns) for trade in wrong]
            items += map(self._items.trade, prints)
            items += [] if best is None else [self._items.quote(symbol, action.ns, *best)]
            items += [self._change(action)] if changes else []
            memo[key] = self._wire.encode(items)
        return [Pushed(memo[key], tuple([f"alpaca:{symbol}/{kind}" for kind in kinds]), self._wire.binary)]

    def _prints(self, action: Action) -> tuple[Sequence[Trade], Sequence[Trade]]:
        """Those told before that were wrong, and those to be told."""
        if not self._hears("trades", action.symbol):
            return (), ()
        wrong = self._wrong.pop(action.symbol, ())
        if self._desk in (STOCKS, TEST):
            hit = [t for t in action.trades if self._hits("correct", t) or self._hits("cancel", t)]
            if hit:
                self._wrong[action.symbol] = hit
        return wrong, action.trades

    def _amendment(self, trade: Trade, ns: int) -> Struct:
        return (self._items.correction if self._hits("correct", trade) else self._items.cancel)(trade, ns)

    def _hits(self, switch: str, trade: Trade) -> bool:
        every = self._number(switch)
        return every > 0 and (trade.number or 0) % every == 0

    def _moved(self, symbol: str) -> Best | None:
        """The best prices, when they have changed since they were told."""
        book = self.source.book(symbol) if self._hears("quotes", symbol) else None
        if book is None:
            return None
        best = (book.bids.best(), book.asks.best())
        if best == self._best.get(symbol):
            return None
        self._best[symbol] = best
        return best

    def _change(self, action: Action) -> Struct:
        bids, asks = (
            [(change.price, change.remaining) for change in action.changes if change.side == side]
            for side in ("bid", "ask")
        )
        return self._items.book(action.symbol, action.ns, bids, asks)

    # What the clock tells

    def beat(self, now_ns: int) -> list[Pushed]:
        if not self.key:
            return [self._error(404)] if now_ns - self._since_ns > LOGIN else []
        slow_s = self._number("slow_client")
        if slow_s and now_ns - self._since_ns >= slow_s * SECOND:
            return [self._error(407)]
        return self._tell(
            *self._minutely(now_ns), *self._late(now_ns), *self._halts(now_ns), *self._news(now_ns)
        )

    def _minutely(self, now_ns: int) -> Iterator[Told]:
        minute = (now_ns - LAG) // MINUTE
        if minute == self._minute:
            return
        self._minute, start_ns = minute, minute * MINUTE - MINUTE
        for symbol in self._heard("bars"):
            for bar in self._items.bars(WireBar, symbol, start_ns):
                if self.switch("updated_bars") == "on":
                    bar = self._items.without_last(bar, symbol, start_ns)
                yield Told(bar, f"alpaca:{symbol}/bar.1m")
        for symbol in self._heard("dailyBars"):
            for bar in self._items.bars(DailyBar, symbol, start_ns - start_ns % DAY, DAY):
                yield Told(bar, f"alpaca:{symbol}/bar.1d")
        for symbol in self._heard("imbalances"):
            yield Told(self._items.imbalance(symbol, now_ns), f"alpaca:{symbol}/auction")

    def _late(self, now_ns: int) -> Iterator[Told]:
        minute = (now_ns - LATE) // MINUTE
        if minute > self._updated and self.switch("updated_bars") == "on":
            for symbol in self._heard("updatedBars"):
                for bar in self._items.bars(UpdatedBar, symbol, minute * MINUTE - MINUTE):
                    yield Told(bar, f"alpaca:{symbol}/bar.1m")
        self._updated = max(self._updated, minute)

    def _turns(self, ns: int) -> int:
        """How many halts have begun or ended until ``ns``; odd during one."""
        every_s = self._number("halt")
        return ns // (every_s * SECOND) if every_s and self._desk in (STOCKS, TEST) else 0

    def _halts(self, now_ns: int) -> Iterator[Told]:
        turn = self._turns(now_ns)
        if turn == self._turn:
            return
        self._turn = turn
        for symbol in self._heard("statuses"):
            yield Told(self._items.halt(symbol, now_ns, halted=turn % 2 == 1), f"alpaca:{symbol}/status")
        for symbol in self._heard("lulds"):
            yield Told(self._items.band(symbol, now_ns), f"alpaca:{symbol}/luld")

    def _news(self, now_ns: int) -> Iterator[Told]:
        """The articles since the last ones; after each third one a new version of the one before."""
        for n in range(self._articles + 1, now_ns // NEWS + 1) if self._own else ():
            self._articles = n
            for each in (n, n - 1) if n % 3 == 0 else (n,):
                of = list(self._own.values())[each % len(self._own)]
                if self._hears("news", of.symbol):
                    item = self._items.article(of, each, each * NEWS, n * NEWS)
                    yield Told(item, f"alpaca:{of.symbol}/news")

    def _number(self, switch: str) -> int:
        """What ``switch`` counts; 0 where it is off."""
        value = self.switch(switch)
        return int(value) if value.isdigit() else 0

    # Frames

    def _hears(self, stream: str, symbol: str) -> bool:
        listed = self._lists.get(stream, {})
        return "*" in listed or self._items.native(symbol) in listed

    def _heard(self, stream: str) -> list[str]:
        return [symbol for symbol in self._own if self._hears(stream, symbol)]

    def _tell(self, *told: Told) -> list[Pushed]:
        """One frame with all of it."""
        if not told:
            return []
        frame = self._wire.encode([each.item for each in told])
        return [Pushed(frame, tuple(each.channel for each in told), self._wire.binary)]

    def _say(self, control: object) -> Pushed:
        return Pushed(self._wire.encode([control]), binary=self._wire.binary)

    def _error(self, code: int) -> Pushed:
        goodbye = self.switch("goodbye")
        if code in _ENDS or (code in (402, 409) and goodbye != "stays"):
            self.leaving = Hangup(int(goodbye) if goodbye.isdigit() else None)
        return self._say(Failure(code, _ERRORS[code]))


def key_of(headers: Mapping[str, str]) -> Credentials | None:
    """The key that a request carries in its headers."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme == "Bearer":
        return Credentials(text)
    if scheme == "Basic":
        try:
            key, _, secret = b64decode(text).decode().partition(":")
        except ValueError:
            return Credentials()
        return Credentials(key, secret)
    key = headers.get("apca-api-key-id", "")
    return Credentials(key, headers.get("apca-api-secret-key", "")) if key else None
