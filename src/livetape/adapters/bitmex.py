"""BitMEX. Source: recorded frames; what is not in them is [unverified].

A book level has an id; its price is told when it is inserted, and an update or a delete may name the id
alone [recorded]. Messages carry no number, so an id that was never told is the one sign of loss.
What comes before the ``partial`` of a table is about rows that nobody has told [unverified].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Raw, Struct, json

from ..core.adapter import NOBODY, Adapter
from ..core.credentials import Credentials
from ..core.decimals import Level, checked, checked_levels
from ..core.events import Ack, BookUpdate, Denied, Heartbeat, Lost, Message, Origin, Quote, Trade
from ..core.instruments import Channel, unified
from ..core.times import ns_of


# {"symbol":"UNIUSDT","id":51999982652,"side":"Sell","size":30,"price":17.348}         [recorded 2021-07-22]
class WireLevel(Struct, gc=False):
    symbol: str
    id: int
    side: str
    size: Raw = Raw(b"")
    price: Raw = Raw(b"")
    timestamp: datetime | None = None  # since 2022


# {"timestamp":"2021-07-22T22:36:10.014Z","symbol":"UNIUSDT","bidSize":750,"bidPrice":17.277,
#  "askPrice":17.297,"askSize":123}                                                   [recorded 2021-07-22]
class WireQuote(Struct, gc=False):
    timestamp: datetime
    symbol: str
    bidPrice: Raw = Raw(b"null")
    bidSize: Raw = Raw(b"null")
    askPrice: Raw = Raw(b"null")
    askSize: Raw = Raw(b"null")


# {"timestamp":"2021-07-22T22:36:10.014Z","symbol":"UNIUSDT","side":"Buy","size":52,"price":17.297,
#  "trdMatchID":"39744121-c20e-44ba-8cc8-a6b8cdf72885","grossValue":899444}           [recorded 2021-07-22]
class WireTrade(Struct, gc=False):
    timestamp: datetime
    symbol: str
    side: str
    size: Raw
    price: Raw
    trdMatchID: str


class Filter(Struct, frozen=True, gc=False):
    symbol: str = ""


# {"table":"orderBookL2","action":"delete","data":[{"symbol":"BCHUSD","id":40199991245,"side":"Buy"}]}
class Table(Struct, gc=False):
    table: str
    action: str
    data: Raw
    filter: Filter = Filter()


class Request(Struct, gc=False):
    op: str
    args: list[str]


# {"success":true,"subscribe":"trade:XRPU21","request":{"op":"subscribe",..}}          [recorded 2021-07-22]
# {"status":400,"error":"Unknown or expired symbol.","request":{"op":..,"args":..}}            [unverified]
class Reply(Struct, gc=False):
    subscribe: str = ""
    error: str = ""
    request: Request | None = None


_table, _reply, _trades = json.Decoder(Table), json.Decoder(Reply), json.Decoder(list[WireTrade])
_levels, _quotes = json.Decoder(list[WireLevel]), json.Decoder(list[WireQuote])
_TABLE = {"book": "orderBookL2", "quote": "quote", "trade": "trade"}
_KIND = {table: kind for kind, table in _TABLE.items()}
_SIDES = {"Buy": "buy", "Sell": "sell"}


class Bitmex(Adapter):
    """Key-less market data: trades, quotes and books; sizes count contracts."""

    venue = "bitmex"
    title = "BitMEX"
    ws_url = "wss://www.bitmex.com/realtime"
    rest_url = "https://www.bitmex.com"
    kinds = frozenset(_TABLE)
    never_closes = True

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._prices: dict[str, dict[tuple[int, str], str]] = {}  # native symbol, then id and side

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection tells its levels anew."""
        self._prices.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        return _requests("unsubscribe", channels)

    def probe(self) -> bytes:
        return b"ping"

    def parse(self, frame: bytes) -> Iterable[Message]:
        if frame == b"pong":
            return [Heartbeat()]
        if not frame.startswith(b'{"table"'):
            return [_answer(_reply.decode(frame))]
        table = _table.decode(frame)
        match table.table:
            case "orderBookL2":
                return list(self._books(table))
            case "quote":
                return [_quote(quote) for quote in _quotes.decode(table.data)]
            case "trade":
                origin = Origin.BACKFILLED if table.action == "partial" else Origin.LIVE
                return [_trade(trade, origin) for trade in _trades.decode(table.data)]
        return [Heartbeat()]  # a table that we did not ask for

    def price_path(self, symbol: str) -> str:
        return f"/api/v1/orderBook/L2?symbol={_native(symbol)}&depth=1"

    def _books(self, table: Table) -> Iterator[Message]:
        rows: dict[str, list[WireLevel]] = {table.filter.symbol: []} if table.filter.symbol else {}
        for row in _levels.decode(table.data):
            rows.setdefault(row.symbol, []).append(row)
        for native, levels in rows.items():
            if table.action == "partial":
                self._prices[native] = {}
            if native in self._prices:
                yield self._update(native, levels, table.action)

    def _update(self, native: str, rows: list[WireLevel], action: str) -> BookUpdate | Lost:
        name, prices = _name(native, "book"), self._prices[native]
        sides: dict[str, list[Level]] = {"Buy": [], "Sell": []}
        for row in rows:
            key = row.id, row.side
            if action in ("partial", "insert"):
                prices[key] = _text(row.price)
            if key not in prices:
                del self._prices[native]
                return Lost(name, f"{action} of level {row.id}, which was never told")
            level = (prices.pop(key), "0") if action == "delete" else (prices[key], _text(row.size))
            sides[row.side].append(level)
        venue_ns = max((ns_of(row.timestamp) for row in rows if row.timestamp), default=None)
        bids, asks = checked_levels(sides["Buy"]), checked_levels(sides["Sell"])
        return BookUpdate(name, venue_ns, action == "partial", bids, asks)


def _requests(op: str, channels: Sequence[Channel]) -> list[bytes]:
    """One for each channel, for a refusal repeats the whole request [unverified]."""
    return [json.encode(Request(op, [f"{_TABLE[c.kind]}:{_native(c.symbol)}"])) for c in channels]


def _answer(reply: Reply) -> Message:
    if reply.error:
        return Denied(reply.error, tuple(_named(arg) for arg in reply.request.args) if reply.request else ())
    return Ack(_named(reply.subscribe)) if reply.subscribe else Heartbeat()


def _named(topic: str) -> str:
    table, _, native = topic.partition(":")
    return _name(native, _KIND[table])


def _native(symbol: str) -> str:
    return "".join("XBT" if asset == "BTC" else asset for asset in symbol.split("-"))


def _name(native: str, kind: str) -> str:
    return f"bitmex:{unified(native)}/{kind}"


def _text(number: Raw) -> str:
    return str(number, "ascii")


def _side(price: Raw, size: Raw) -> tuple[str, str] | tuple[None, None]:
    return (None, None) if _text(price) == "null" else (checked(_text(price)), checked(_text(size)))


def _quote(q: WireQuote) -> Quote:
    bid, ask = _side(q.bidPrice, q.bidSize), _side(q.askPrice, q.askSize)
    return Quote(_name(q.symbol, "quote"), ns_of(q.timestamp), *bid, *ask)


def _trade(t: WireTrade, origin: Origin) -> Trade:
    name, price, size = _name(t.symbol, "trade"), checked(_text(t.price)), checked(_text(t.size))
    return Trade(name, ns_of(t.timestamp), price, size, _SIDES[t.side], t.trdMatchID, origin=origin)
