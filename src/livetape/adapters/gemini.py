"""Gemini v2 market data. Source: https://docs.gemini.com/websocket/market-data/v2 (read 2026-11-20).

No acknowledgements, no sequence, no book timestamp: a lost ``l2_updates`` cannot be seen, so books are
``unverifiable`` and a crossed book starts anew. Deletes of levels never announced are normal [recorded].
A snapshot is known by its ``trades`` or ``auction_events`` key; what these hold is history, up to ten days
old [recorded]. Keys came ordered by meaning in 2021, by the alphabet in 2026 [recorded].
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from ..core.adapter import NOBODY, Adapter, History, Limits, Span
from ..core.credentials import Credentials
from ..core.decimals import checked, checked_levels
from ..core.events import Ack, Auction, Bar, BookUpdate, Denied, Heartbeat, Mark, Message, Trade, Why
from ..core.instruments import Channel, Instrument, interval_ns, unified
from ..core.times import MILLISECOND, SECOND, ns_of_ms

Ns = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TRADES = 500  #: of a page of history, at most [doc]
DAY = 86_400 * SECOND  #: as far as the history of bars reaches back, or two dozen of them [unverified]


# {"type":"trade","symbol":"BTCUSD","event_id":3575573053,"timestamp":1560976400428,"price":"9004.21",
#  "quantity":"0.09110000","side":"buy"}                                                                 [doc]
class Print(Struct, gc=False, omit_defaults=True, tag_field="type", tag="trade"):
    symbol: str
    event_id: int
    timestamp: int
    price: str
    quantity: str
    side: str
    tid: int | None = None


# {"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","9121.9","0"]]}                               [doc]
class L2(Struct, gc=False, tag_field="type", tag="l2_updates"):
    symbol: str
    changes: list[tuple[str, str, str]]
    trades: list[Print] | UnsetType = UNSET
    auction_events: list[Raw] | UnsetType = UNSET


class Beat(Struct, gc=False, tag_field="type", tag="heartbeat"):
    timestamp: int = 0


# {"type":"auction_open","symbol":"BTCUSD","auction_open_ms":1486591200000,"auction_time_ms":1486674000000,
#  "first_indicative_ms":1486673400000,"last_cancel_time_ms":1486673985000}                              [doc]
class AuctionOpen(Struct, gc=False, tag_field="type", tag="auction_open"):
    symbol: str
    auction_time_ms: int


# {"type":"auction_indicative","symbol":"BTCUSD","time_ms":1655323185000,"result":"failure",
#  "highest_bid_price":"21661.90","lowest_ask_price":"21663.79","collar_price":"21662.845"}      [user report]
class Indicative(Struct, gc=False, omit_defaults=True, tag_field="type", tag="auction_indicative"):
    """As v1 and v2 have it. Of an auction that would fail, price and quantity are left out [user report]."""

    eid: int | None
    result: str
    time_ms: int
    highest_bid_price: str = ""
    lowest_ask_price: str = ""
    collar_price: str = ""
    indicative_price: str = ""
    indicative_quantity: str = ""
    symbol: str = ""


class AuctionIndicative(Indicative, kw_only=True):
    eid: int | None = None
    symbol: str


# {"type":"auction_result","symbol":"BTCUSD","time_ms":1655323200000,"result":"failure",
#  "highest_bid_price":"21590.88","lowest_ask_price":"21602.30","collar_price":"21634.73"}       [user report]
class Result(Struct, gc=False, omit_defaults=True, tag_field="type", tag="auction_result"):
    """As v1 and v2 have it. Of an auction that failed, price and quantity are left out [user report]."""

    eid: int | None
    result: str
    time_ms: int
    highest_bid_price: str = ""
    lowest_ask_price: str = ""
    collar_price: str = ""
    auction_price: str = ""
    auction_quantity: str = ""
    symbol: str = ""


class AuctionResult(Result, kw_only=True):
    eid: int | None = None
    symbol: str


class MarkPrice(Struct, gc=False):
    timestamp: Ns
    mark_price: str
    spot_index: str


# {"changes":[{"mark_price":"77233.302","spot_index":"77188.41867","timestamp":1789456071687541147}],
#  "symbol":"BTCGUSDPERP","type":"mark_price_updates"}                                [user report 2026-09-15]
class MarkPrices(Struct, gc=False, tag_field="type", tag="mark_price_updates"):
    symbol: str
    changes: list[MarkPrice]


class Funding(Struct, gc=False):
    timestamp: Ns
    mark_price: str = ""  # this and the rate are sent, but not documented
    funding_rate: str | None = None


# {"changes":[{"funding_amount":"9.25568","funding_date_time":1789459200000000000,
#  "funding_interval_in_minutes":60,"funding_rate":"0.011","is_realized":false,"mark_price":"77260.531",
#  "timestamp":1789456071687573598}],"symbol":"BTCGUSDPERP",
#  "type":"funding_amount_updates"}                                                   [user report 2026-09-15]
class Fundings(Struct, gc=False, tag_field="type", tag="funding_amount_updates"):
    symbol: str
    changes: list[Funding]


Candle = tuple[int, Raw, Raw, Raw, Raw, Raw]  #: ms, open, high, low, close, volume


# {"type":"candles_15m_updates","symbol":"BTCUSD",
#  "changes":[[1561054500000,9350.18,9358.35,9350.18,9355.51,2.07]]}                                     [doc]
class Candles(Struct, gc=False):
    type: str
    symbol: str
    changes: list[Candle]


# {"timestamp":1547146811,"timestampms":1547146811357,"tid":5335307668,"price":"3610.85",
#  "amount":"0.27413495","exchange":"gemini","type":"buy"}                                               [doc]
class PastTrade(Struct, gc=False):
    timestampms: int
    tid: int
    price: str
    amount: str
    type: str


# {"price":"3607.85","amount":"6.643373","timestamp":"1547147541"}: the time means nothing               [doc]
class PastLevel(Struct, gc=False):
    price: str
    amount: str


class PastBook(Struct, gc=False):
    bids: list[PastLevel]
    asks: list[PastLevel]


# {"reason":"NoValidTradingPairs","result":"error"}                                   [user report 2026-09-15]
class Refusal(Struct, gc=False, tag_field="result", tag="error"):
    reason: str = ""
    message: str = ""


class Subscription(Struct, gc=False):
    name: str
    symbols: list[str]


class Request(Struct, gc=False):
    type: str
    subscriptions: list[Subscription]


Frame = L2 | Print | Beat | AuctionOpen | AuctionIndicative | AuctionResult | MarkPrices | Fundings
_frame: json.Decoder[Frame] = json.Decoder(Frame)
_refusal, _candles = json.Decoder(Refusal), json.Decoder(Candles)
_past_trades, _past_candles = json.Decoder(list[PastTrade]), json.Decoder(list[Candle])
_past_book = json.Decoder(PastBook)
_BARS = {f"bar.{i}": (f"candles_{i}",) for i in ("1m", "5m", "15m", "30m", "1h", "6h", "1d")}
_FRAMES = {kind: kind.removeprefix("bar.") for kind in _BARS} | {
    **{"bar.1h": "1hr", "bar.6h": "6hr", "bar.1d": "1day"},
}
_L2 = ("l2",)
_STREAMS = {"book": _L2, "trade": _L2, "auction": _L2, "mark": ("mark_price", "funding_amount"), **_BARS}


class PublicRest:
    """What all APIs of the venue fetch."""

    rest_url = "https://api.gemini.com"

    def symbols_paths(self) -> Sequence[str]:
        return ("/v1/symbols",)

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        return [Instrument(unified(native), native) for native in json.decode(body, type=list[str])]

    def price_path(self, symbol: str) -> str:
        return f"/v1/book/{native_of(symbol).lower()}?limit_bids=1&limit_asks=1"

    def audit_path(self, symbol: str) -> str:
        return f"/v1/book/{native_of(symbol).lower()}?limit_bids=10&limit_asks=10"

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        book = _past_book.decode(body)
        bids, asks = ([(each.price, each.amount) for each in side] for side in (book.bids, book.asks))
        name = f"gemini:{symbol}/book"
        return BookUpdate(name, None, True, checked_levels(bids), checked_levels(asks))

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Trades on from a time, then from a trade, 90 days back at most [doc]; all bars there are.

        A page is named by the last trade before it, and its time in ms.
        """
        native, frame = native_of(channel.symbol).lower(), _FRAMES.get(channel.kind)
        if channel.kind == "trade":
            tid, _, ms = page.partition(" ")
            if int(ms or 0) > span.end_ns // MILLISECOND:
                return None
            since = f"since_tid={tid}" if tid else f"timestamp={span.start_ns // MILLISECOND}"
            return f"/v1/trades/{native}?{since}&limit_trades={TRADES}"
        if frame and span.end_ns - span.start_ns < max(DAY, 24 * interval_ns(channel.kind)):
            return f"/v2/candles/{native}/{frame}"
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        """Oldest first, unlike on the wire. A full page is followed by the one after its last trade."""
        name = str(channel)
        if channel.kind != "trade":
            return History([_bar(name, candle) for candle in reversed(_past_candles.decode(body))])
        rows = sorted(_past_trades.decode(body), key=lambda row: row.tid)
        trades = [_told(name, t.timestampms, t.price, t.amount, t.type, t.tid) for t in rows]
        page = f"{rows[-1].tid} {rows[-1].timestampms}" if len(rows) >= TRADES else ""
        return History([*trades], page)


def native_of(symbol: str) -> str:
    """The venue's spelling: ``BTCUSD``."""
    return symbol.replace("-", "")


class Gemini(PublicRest, Adapter):
    """Key-less market data: trades, books, bars, auctions and marks of perpetuals; quotes from books.

    A mark comes either with the index or with the funding rate, which is in percent an interval.
    """

    venue = "gemini"
    title = "Gemini (market data v2)"
    ws_url = "wss://api.gemini.com/v2/marketdata"
    kinds = frozenset(_STREAMS)
    never_closes = True
    limits = Limits(symbols_per_socket=100, connects_per_minute=12)
    silence_s = 12.0  # a heartbeat comes every 5 s [recorded]

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(options, credentials)
        self._symbols: dict[str, str] = {}  # native to unified, of what was asked for
        self._waiting: list[tuple[str, str]] = []  # streams and symbols asked for, until they are answered

    def login(self) -> list[bytes]:
        """Nothing to send; a new connection owes no answers."""
        self._waiting.clear()
        return []

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        self._symbols |= {native_of(channel.symbol): channel.symbol for channel in channels}
        wanted = _wire(channels)
        self._waiting = [each for each in self._waiting if each not in wanted] + wanted
        return [_request("subscribe", name, native) for name, native in wanted]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        gone = _wire(channels)
        self._waiting = [each for each in self._waiting if each not in gone]
        return [_request("unsubscribe", name, native) for name, native in gone]

    def stream(self, channel: Channel) -> str:
        return _STREAMS[channel.kind][0]

    def parse(self, frame: bytes) -> Iterable[Message]:
        if b'"candles_' in frame:
            candles = _candles.decode(frame)
            self._answered(candles.type.removesuffix("_updates"), candles.symbol)
            return _bars(self._symbol(candles.symbol), candles)
        if b'"error"' in frame:
            refusal = _refusal.decode(frame)
            why = Why.SYMBOL if refusal.reason == "NoValidTradingPairs" else Why.OTHER
            return [Denied(f"{refusal.reason} {refusal.message}".strip(), self._refused(), why)]
        match _frame.decode(frame):
            case L2() as update:
                self._answered("l2", update.symbol)
                return _book(self._symbol(update.symbol), update)
            case Print() as trade:
                return [_trade(self._symbol(trade.symbol), trade)]
            case MarkPrices(symbol=native, changes=marks):
                self._answered("mark_price", native)
                return [_mark(self._symbol(native), mark) for mark in marks]
            case Fundings(symbol=native, changes=fundings):
                self._answered("funding_amount", native)
                return [_funding(self._symbol(native), each) for each in fundings if each.mark_price]
            case Beat():
                return [Heartbeat()]
            case AuctionOpen(symbol=native, auction_time_ms=held_ms):
                return [opening(self._symbol(native), held_ms)]
            case step:
                return [auction(self._symbol(step.symbol), step)]

    def _symbol(self, native: str) -> str:
        return self._symbols.get(native) or unified(native)

    def _answered(self, name: str, native: str) -> None:
        """Requests are answered in order: those before this one were granted without a word."""
        if (name, native) in self._waiting:
            del self._waiting[: self._waiting.index((name, native)) + 1]

    def _refused(self) -> tuple[str, ...]:
        """The channels of the oldest request without an answer: the venue answers in order."""
        if not self._waiting:
            return ()
        name, native = self._waiting.pop(0)
        return tuple(
            f"gemini:{self._symbol(native)}/{kind}" for kind, names in _STREAMS.items() if name in names
        )


def _wire(channels: Sequence[Channel]) -> list[tuple[str, str]]:
    """The venue's streams and symbols, upper case only [recorded], that carry ``channels``."""
    return list(dict.fromkeys((name, native_of(c.symbol)) for c in channels for name in _STREAMS[c.kind]))


def _request(verb: str, name: str, native: str) -> bytes:
    """One symbol a request: the venue refuses a whole request for one bad symbol, and does not say which."""
    return json.encode(Request(verb, [Subscription(name, [native])]))


def _book(symbol: str, update: L2) -> Iterator[Message]:
    snapshot = update.trades is not UNSET or update.auction_events is not UNSET
    bids = checked_levels([(price, size) for side, price, size in update.changes if side == "buy"])
    asks = checked_levels([(price, size) for side, price, size in update.changes if side == "sell"])
    if len(bids) + len(asks) != len(update.changes):
        raise ValueError("a change that is neither buy nor sell")
    if snapshot:
        yield Ack(f"gemini:{symbol}/trade")
        yield Ack(f"gemini:{symbol}/auction")
    yield BookUpdate(f"gemini:{symbol}/book", None, snapshot, bids, asks)


def _trade(symbol: str, trade: Print) -> Trade:
    facts = trade.timestamp, trade.price, trade.quantity, trade.side, trade.event_id
    return _told(f"gemini:{symbol}/trade", *facts)


def _told(name: str, ms: int, price: str, size: str, kind: str, tid: int) -> Trade:
    """``kind`` is the aggressor's side, or what had none: a "block" or an "auction"."""
    side, conditions = (kind, ()) if kind in ("buy", "sell") else (None, (kind,))
    return Trade(name, ns_of_ms(ms), checked(price), checked(size), side, str(tid), None, conditions)


def opening(symbol: str, held_ms: int, venue_ns: int | None = None) -> Auction:
    return Auction(f"gemini:{symbol}/auction", venue_ns, "open", auction_ns=ns_of_ms(held_ms))


def auction(symbol: str, step: Indicative | Result) -> Auction:
    if isinstance(step, Indicative):
        state, price, size = "indicative", step.indicative_price, step.indicative_quantity
    else:
        state, price, size = "result", step.auction_price, step.auction_quantity
    texts = (price, size, step.highest_bid_price, step.lowest_ask_price, step.collar_price)
    said = [checked(text) if text else None for text in texts]
    name, eid = f"gemini:{symbol}/auction", None if step.eid is None else str(step.eid)
    return Auction(name, ns_of_ms(step.time_ms), state, eid, None, step.result == "success", *said)


def _mark(symbol: str, mark: MarkPrice) -> Mark:
    price, index = checked(mark.mark_price), checked(mark.spot_index)
    return Mark(f"gemini:{symbol}/mark", mark.timestamp, price, index)


def _funding(symbol: str, funding: Funding) -> Mark:
    rate = funding.funding_rate
    if rate is not None:
        checked(rate.removeprefix("-"))
    price = checked(funding.mark_price)
    return Mark(f"gemini:{symbol}/mark", funding.timestamp, price, None, rate)


def _bars(symbol: str, candles: Candles) -> Iterator[Message]:
    interval = candles.type.removeprefix("candles_").removesuffix("_updates")
    if f"bar.{interval}" not in _BARS:
        raise ValueError(f"unknown message {candles.type!r}")
    name = f"gemini:{symbol}/bar.{interval}"
    for candle in reversed(candles.changes):  # newest first on the wire
        yield _bar(name, candle)


def _bar(name: str, candle: Candle) -> Bar:
    ms, *numbers = candle
    opened, high, low, close, volume = [checked(str(number, "ascii")) for number in numbers]
    return Bar(name, ns_of_ms(ms), opened, high, low, close, volume)
