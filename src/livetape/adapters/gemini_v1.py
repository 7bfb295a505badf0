"""Gemini v1 market data, one symbol a socket.

Source: https://docs.gemini.com/websocket/market-data/v1 (read 2026-11-20).

What is sent is chosen in the address. ``socket_sequence`` counts every frame of the socket from 0, heartbeats
included; a jump means loss, and the only recovery is a new connection [doc]. The first frame holds the
whole book as ``initial`` changes; under ``top_of_book`` only the two best, even when one side was asked
for [recorded].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from msgspec import Struct, json

from ..core.adapter import Adapter, Guarantee, Limits
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, BookUpdate, Counter, Denied, Heartbeat, Message, Trade
from ..core.instruments import Channel, Instrument, unified
from ..core.times import ns_of_ms

PARAMETERS = ("heartbeat", "top_of_book", "bids", "offers", "trades", "auctions")


# {"type":"change","side":"ask","price":"20346.56","remaining":"0.48",
#  "reason":"top-of-book"}                                                             [recorded 2022-10-26]
class Change(Struct, gc=False, omit_defaults=True, tag_field="type", tag="change"):
    side: str
    price: str
    remaining: str
    reason: str = ""
    delta: str = ""


# {"type":"trade","tid":5375547515,"price":"3632.54","amount":"0.1362819142",
#  "makerSide":"ask"}                                                                  [recorded 2019-01-17]
class Print(Struct, gc=False, tag_field="type", tag="trade"):
    tid: int
    price: str
    amount: str
    makerSide: str


class BlockTrade(Struct, gc=False, tag_field="type", tag="block_trade"):
    tid: int
    price: str
    amount: str


class AuctionOpen(Struct, gc=False, tag_field="type", tag="auction_open"):
    pass


class AuctionIndicative(Struct, gc=False, tag_field="type", tag="auction_indicative"):
    pass


class AuctionResult(Struct, gc=False, tag_field="type", tag="auction_result"):
    pass


WireEvent = Change | Print | BlockTrade | AuctionOpen | AuctionIndicative | AuctionResult


class Update(Struct, gc=False, omit_defaults=True, tag_field="type", tag="update"):
    eventId: int
    socket_sequence: int
    events: list[WireEvent]
    timestamp: int | None = None
    timestampms: int | None = None


class Beat(Struct, gc=False, tag_field="type", tag="heartbeat"):
    socket_sequence: int


class Refusal(Struct, gc=False, tag_field="result", tag="error"):
    reason: str = ""
    message: str = ""


_frame: json.Decoder[Update | Beat] = json.Decoder(Update | Beat)
_refusal = json.Decoder(Refusal)


class GeminiV1(Adapter):
    """Key-less market data: trades and books proved by ``socket_sequence``; quotes follow from books.

    Options are the vendor's query parameters. By default heartbeats are on and the rest follows from what is
    subscribed; ``top_of_book`` reduces the book to its best level.
    """

    venue = "gemini"
    option_names = frozenset(PARAMETERS)
    title = "Gemini (market data v1)"
    ws_url = "wss://api.gemini.com/v1/marketdata"
    rest_url = "https://api.gemini.com"
    kinds = frozenset({"book", "trade"})
    guarantees: Mapping[str, Guarantee] = {
        "book": Guarantee("socket_sequence"),
        "trade": Guarantee("socket_sequence"),
    }
    limits = Limits(symbols_per_socket=1, connects_per_minute=12)
    silence_s = 12.0  # a heartbeat comes every 5 s [doc]

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        super().__init__(options)
        self._chosen = {name: value for name, value in self.options.items() if name in PARAMETERS}
        self._top_only = bool(self.options.get("top_of_book"))
        if self._top_only:
            self.guarantees = {**self.guarantees, "book": Guarantee("socket_sequence", 1)}
        self._symbol = ""
        self._kinds: set[str] = set()
        self._best: dict[str, str] = {}  # side to price, under top_of_book
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
        }
        on = {name: wanted[name] for name in PARAMETERS if wanted.get(name)} | self._chosen
        query = urlencode({name: "true" if on[name] else "false" for name in PARAMETERS if name in on})
        return f"{ws_url.rstrip('/')}/{channels[0].symbol.replace('-', '').lower()}?{query}"

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._symbol = channels[0].symbol if channels else self._symbol
        self._kinds = {channel.kind for channel in channels}
        self._best.clear()
        self._sequence = -1
        return []

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return []

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"result"' in frame[:10]:
            refusal = _refusal.decode(frame)
            return [Denied(f"{refusal.reason} {refusal.message}".strip())]
        match _frame.decode(frame):
            case Update() as update:
                return self._update(update)
            case Beat(socket_sequence=n):
                return [Counter(n), Heartbeat()]

    def symbols_path(self) -> str:
        return "/v1/symbols"

    def parse_symbols(self, body: bytes) -> list[Instrument]:
        return [Instrument(unified(native), native) for native in json.decode(body, type=list[str])]

    def _update(self, update: Update) -> Iterator[Message]:
        first = update.socket_sequence == 0
        venue_ns = None if update.timestampms is None else ns_of_ms(update.timestampms)
        yield Counter(update.socket_sequence)
        if update.socket_sequence <= self._sequence:
            return  # a repetition must not touch what we remember
        self._sequence = update.socket_sequence
        if first and "trade" in self._kinds:
            yield Ack(f"gemini:{self._symbol}/trade")
        changes: list[Change] = []
        for event in update.events:
            if isinstance(event, Change):
                changes.append(event)
            elif isinstance(event, Print):
                yield self._trade(event, venue_ns)
        if changes or (first and "book" in self._kinds):
            bids, asks = self._side("bid", changes), self._side("ask", changes)
            yield BookUpdate(f"gemini:{self._symbol}/book", venue_ns, first, bids, asks)

    def _side(self, side: str, changes: list[Change]) -> list[Level]:
        if any(change.side not in ("bid", "ask") for change in changes):
            raise ValueError("a change that is neither bid nor ask")
        levels = [(change.price, change.remaining) for change in changes if change.side == side]
        if self._top_only and levels:
            levels = self._replace_best(side, levels[-1])
        return checked_levels(levels)

    def _replace_best(self, side: str, best: Level) -> list[Level]:
        """Under ``top_of_book`` a change names the new best level and drops the old one without a word."""
        old, self._best[side] = self._best.get(side), best[0]
        return [best] if old in (None, best[0]) else [(old, "0"), best]

    def _trade(self, trade: Print, venue_ns: int | None) -> Trade:
        side = {"ask": "buy", "bid": "sell"}.get(trade.makerSide)  # an auction has no aggressor
        price, size = checked(trade.price), checked(trade.amount)
        return Trade(f"gemini:{self._symbol}/trade", venue_ns, price, size, side, str(trade.tid))
