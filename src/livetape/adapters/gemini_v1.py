"""Gemini v1 market data, one symbol a socket, or several on one through ``multimarketdata``.

Source: https://docs.gemini.com/websocket/market-data/v1 (read 2026-11-20).

What is sent is chosen in the address. ``socket_sequence`` counts every frame of the socket from 0, heartbeats
included; a jump means loss, and the only recovery is a new connection [doc]. The first frame holds the
whole book as ``initial`` changes; under ``top_of_book`` only the two best, even when one side was asked
for [recorded].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal
from urllib.parse import urlencode

from msgspec import MsgspecError, Struct, json

from ..core.adapter import NOBODY, Adapter, Guarantee, Limits
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.errors import ConfigError
from ..core.events import Ack, BookUpdate, Counter, Denied, Heartbeat, Message, Trade, Why
from ..core.instruments import Channel, unified
from ..core.times import ns_of_ms
from .gemini import Indicative, PublicRest, Result, auction, native_of, opening

PARAMETERS = ("heartbeat", "top_of_book", "bids", "offers", "trades", "auctions")


# Each event has a ``symbol`` where several share the socket [doc].


# {"type":"change","side":"ask","price":"20346.56","remaining":"0.48",
#  "reason":"top-of-book"}                                                             [recorded 2022-10-26]
class Change(Struct, gc=False, omit_defaults=True, tag_field="type", tag="change"):
    side: str
    price: str
    remaining: str
    reason: str = ""
    delta: str = ""
    symbol: str = ""


# {"type":"trade","tid":5375547515,"price":"3632.54","amount":"0.1362819142",
#  "makerSide":"ask"}                                                                  [recorded 2019-01-17]
class Print(Struct, gc=False, omit_defaults=True, tag_field="type", tag="trade"):
    tid: int
    price: str
    amount: str
    makerSide: str
    symbol: str = ""


# {"type":"block_trade","tid":1111597035,"price":"10100.00","amount":"1000"}                           [doc]
class BlockTrade(Struct, gc=False, omit_defaults=True, tag_field="type", tag="block_trade"):
    tid: int
    price: str
    amount: str
    symbol: str = ""


# {"type":"auction_open","auction_open_ms":1486591200000,"auction_time_ms":1486674000000,
#  "first_indicative_ms":1486673400000,"last_cancel_time_ms":1486673985000}                            [doc]
class AuctionOpen(Struct, gc=False, omit_defaults=True, tag_field="type", tag="auction_open"):
    auction_open_ms: int
    auction_time_ms: int
    first_indicative_ms: int
    last_cancel_time_ms: int
    symbol: str = ""


class AuctionIndicative(Indicative):
    eid: int


class AuctionResult(Result):
    eid: int


WireEvent = Change | Print | BlockTrade | AuctionOpen | AuctionIndicative | AuctionResult


class Update(Struct, gc=False, omit_defaults=True, tag_field="type", tag="update"):
    eventId: int
    socket_sequence: int
    events: list[WireEvent]
    timestamp: int | None = None
    timestampms: int | None = None


class Beat(Struct, gc=False, tag_field="type", tag="heartbeat"):
    socket_sequence: int


# {"result":"error","reason":"InvalidSymbol","message":"Received unsupported symbol 'xxxyyy'"}          [doc]
class Refusal(Struct, gc=False):
    result: Literal["error"]
    reason: str = ""
    message: str = ""


_frame: json.Decoder[Update | Beat] = json.Decoder(Update | Beat)
_refusal = json.Decoder(Refusal)


class GeminiV1(PublicRest, Adapter):
    """Key-less market data, all proved by ``socket_sequence``: trades, books, auctions; quotes from books.

    Options are the vendor's query parameters. By default heartbeats are on and the rest follows from what is
    subscribed; ``top_of_book`` reduces the book to its best level. With ``max_symbols`` above 1 that many
    symbols share a socket: each is sent all kinds that any was asked for, and one that is unknown may have
    them all refused.
    """

    venue = "gemini"
    option_names = frozenset(PARAMETERS)
    title = "Gemini (market data v1)"
    ws_url = "wss://api.gemini.com/v1/marketdata"
    kinds = frozenset({"book", "trade", "auction"})
    never_closes = True
    guarantees: Mapping[str, Guarantee] = dict.fromkeys(sorted(kinds), Guarantee("socket_sequence"))
    limits = Limits(symbols_per_socket=1, connects_per_minute=12)
    silence_s = 12.0  # a heartbeat comes every 5 s [doc]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._chosen = {name: value for name, value in self.options.items() if name in PARAMETERS}
        for name, value in self._chosen.items():
            if not isinstance(value, bool):
                raise ConfigError(f"{name} must be true or false, not {value!r}", where=self.venue)
        self._top_only = bool(self.options.get("top_of_book"))
        if self._top_only:
            self.guarantees = {**self.guarantees, "book": Guarantee("socket_sequence", 1)}
        self._shared = self.limits.symbols_per_socket > 1
        self._symbols: dict[str, str] = {}  # native, or "" where the socket has but one, to unified
        self._kinds: set[str] = set()
        self._best: dict[tuple[str, str], str] = {}  # symbol and side to price, under top_of_book
        self._sequence = -1  # of the last frame

    @property
    def dials_to_change(self) -> bool:
        return True

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        kinds = {channel.kind for channel in channels}
        wanted = {
            "heartbeat": True,
            "bids": "book" in kinds,
            "offers": "book" in kinds,
            "trades": "trade" in kinds,
            "auctions": "auction" in kinds,
        }
        on = {name: wanted[name] for name in PARAMETERS if wanted.get(name)} | self._chosen
        query = urlencode({name: "true" if on[name] else "false" for name in PARAMETERS if name in on})
        symbols = list(dict.fromkeys(native_of(channel.symbol).lower() for channel in channels))
        if self._shared:
            base = ws_url.rstrip("/").removesuffix("/marketdata")
            return f"{base}/multimarketdata?symbols={','.join(symbols)}&{query}"
        return f"{ws_url.rstrip('/')}/{symbols[0]}?{query}"

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._symbols |= {native_of(c.symbol) if self._shared else "": c.symbol for c in channels}
        self._kinds = {channel.kind for channel in channels}
        self._best.clear()
        self._sequence = -1
        return []

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"error"' in frame:
            return [_denied(frame)]
        match _frame.decode(frame):
            case Update() as update:
                return self._update(update)
            case Beat(socket_sequence=n):
                return [Counter(n), Heartbeat()]

    def refusal(self, body: bytes) -> Denied | None:
        """An unknown symbol is refused instead of the upgrade."""
        try:
            return _denied(body)
        except (MsgspecError, ValueError, RecursionError):
            return None

    def _update(self, update: Update) -> Iterator[Message]:
        first = update.socket_sequence == 0
        venue_ns = None if update.timestampms is None else ns_of_ms(update.timestampms)
        yield Counter(update.socket_sequence)
        if update.socket_sequence <= self._sequence:
            return  # a repetition must not touch what we remember
        self._sequence = update.socket_sequence
        changes: dict[str, list[Change]] = {}
        if first:
            for symbol, kind in product(self._symbols.values(), sorted(self._kinds - {"book"})):
                yield Ack(f"gemini:{symbol}/{kind}")
            if "book" in self._kinds and not self._shared:
                changes[self._symbols[""]] = []  # the whole book, even when it is empty
        for event in update.events:
            symbol = self._symbols.get(event.symbol) or unified(event.symbol)
            if isinstance(event, Change):
                changes.setdefault(symbol, []).append(event)
            elif isinstance(event, Print | BlockTrade):
                yield _trade(symbol, event, venue_ns)
            elif isinstance(event, AuctionOpen):
                yield opening(symbol, event.auction_time_ms, venue_ns)
            else:
                yield auction(symbol, event)
        for symbol, changed in changes.items():
            whole = first or changed[0].reason == "initial"  # who knows whether all share the first frame
            bids, asks = (self._side(symbol, side, changed) for side in ("bid", "ask"))
            yield BookUpdate(f"gemini:{symbol}/book", venue_ns, whole, bids, asks)

    def _side(self, symbol: str, side: str, changes: list[Change]) -> list[Level]:
        if any(change.side not in ("bid", "ask") for change in changes):
            raise ValueError("a change that is neither bid nor ask")
        levels = [(change.price, change.remaining) for change in changes if change.side == side]
        if self._top_only and levels:
            levels = self._replace_best(symbol, side, levels[-1])
        return checked_levels(levels)

    def _replace_best(self, symbol: str, side: str, best: Level) -> list[Level]:
        """Under ``top_of_book`` a change names the new best level and drops the old one without a word."""
        old, self._best[symbol, side] = self._best.get((symbol, side)), best[0]
        return [best] if old in (None, best[0]) else [(old, "0"), best]


def _denied(body: bytes) -> Denied:
    refusal = _refusal.decode(body)
    why = Why.SYMBOL if refusal.reason == "InvalidSymbol" else Why.OTHER
    return Denied(f"{refusal.reason} {refusal.message}".strip(), why=why)


def _trade(symbol: str, trade: Print | BlockTrade, venue_ns: int | None) -> Trade:
    maker = trade.makerSide if isinstance(trade, Print) else "block"
    side = {"ask": "buy", "bid": "sell"}.get(maker)
    conditions = () if side else (maker,)  # auctions and blocks have no aggressor
    price, size = checked(trade.price), checked(trade.amount)
    return Trade(f"gemini:{symbol}/trade", venue_ns, price, size, side, str(trade.tid), None, conditions)
