"""What livetape talks about: immutable market-data events (floor 0).

An adapter makes an event from bytes; the session stamps it with receive time, number and trust; after that
nobody changes it. Times are int nanoseconds since 1970 UTC. Prices are in the quote currency, sizes in the
base unit, both kept as the venue's decimal text (``price_text``) and read as float (``price``).
"""

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from .decimals import Level

if TYPE_CHECKING:
    from .book import Book


class Trust(StrEnum):
    """How far an event or a channel may be believed."""

    LIVE = "live"  #: as received
    VERIFIED = "verified"  #: proved by the venue's sequence or checksum since the last snapshot
    UNVERIFIABLE = "unverifiable"  #: the venue offers no proof for this
    STALE = "stale"  #: not connected, or silent for longer than is healthy
    RESYNCING = "resyncing"  #: something was lost; waiting for a fresh start


class Origin(StrEnum):
    """How an event came to us."""

    LIVE = "live"
    BACKFILLED = "backfilled"
    REPLAYED = "replayed"


class Proof(Struct, frozen=True, gc=False):
    """What ``verified`` rests on.

    ``method`` names the venue's scheme, ``depth`` how many levels of each side it covers (None: all that are
    known), ``since_ns`` the snapshot from which it has held without a break.
    """

    method: str
    depth: int | None
    since_ns: int


class Event(Struct, frozen=True, gc=False, kw_only=True):
    """What all events share.

    ``seq`` counts the events of a session; (recv_ns, session, seq) is a total order.
    """

    recv_ns: int = 0
    session: int = 0
    seq: int = 0
    trust: Trust = Trust.LIVE
    origin: Origin = Origin.LIVE
    proof: Proof | None = None


class _OnChannel(Event, frozen=True, gc=False):
    channel: str  #: ``venue:SYMBOL/kind``; for a whole connection just ``venue``

    @property
    def venue(self) -> str:
        return self.channel.partition(":")[0]

    @property
    def symbol(self) -> str:
        """The unified symbol; empty when the event concerns a whole connection."""
        return self.channel.partition(":")[2].partition("/")[0]

    @property
    def kind(self) -> str:
        return self.channel.partition("/")[2]


class Trade(_OnChannel, frozen=True, gc=False, tag="trade"):
    """A print. ``side`` is the aggressor's, ``"buy"`` or ``"sell"``, None where the venue does not say.

    ``number`` is the venue's own count of trades of this instrument, where it has one without holes.
    ``conditions`` are the venue's sale condition codes, and ``excluded`` what they forbid this trade to set:
    any of ``"last"``, ``"range"`` (high and low) and ``"volume"``.
    """

    venue_ns: int | None
    price_text: str
    size_text: str
    side: str | None
    id: str | None
    number: int | None = None
    conditions: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def price(self) -> float:
        return float(self.price_text)

    @property
    def size(self) -> float:
        return float(self.size_text)


class Amendment(_OnChannel, frozen=True, gc=False, tag="amendment"):
    """The venue takes an earlier trade of the channel back, or says what it should have been.

    ``trade_id`` names that trade, ``old_price_text`` and ``old_size_text`` what it said. What is right is
    ``price_text`` and ``size_text`` under the new ``id``; all three are None where the trade is cancelled.
    """

    venue_ns: int | None
    trade_id: str
    old_price_text: str
    old_size_text: str
    price_text: str | None = None
    size_text: str | None = None
    id: str | None = None


class _TwoSided(_OnChannel, frozen=True, gc=False):
    venue_ns: int | None
    bid_text: str | None = None
    bid_size_text: str | None = None
    ask_text: str | None = None
    ask_size_text: str | None = None

    @property
    def bid(self) -> float | None:
        return None if self.bid_text is None else float(self.bid_text)

    @property
    def bid_size(self) -> float | None:
        return None if self.bid_size_text is None else float(self.bid_size_text)

    @property
    def ask(self) -> float | None:
        return None if self.ask_text is None else float(self.ask_text)

    @property
    def ask_size(self) -> float | None:
        return None if self.ask_size_text is None else float(self.ask_size_text)


class Quote(_TwoSided, frozen=True, gc=False, tag="quote"):
    """The best bid and offer. A side that is empty has None for its price and size.

    ``venue_seq`` is the venue's number of the order-book state that the quote belongs to.
    """

    venue_seq: int | None = None


class BestQuote(_TwoSided, frozen=True, gc=False, tag="best"):
    """The best bid and offer over several venues, and whose they are; None where nobody has any.

    ``state`` is ``"locked"`` where the two prices are equal, ``"crossed"`` where the bid is the higher one.
    """

    bid_venue: str | None = None
    ask_venue: str | None = None
    state: str = ""


class BookUpdate(_OnChannel, frozen=True, gc=False, tag="book"):
    """Levels of an order book that changed, or all of them when ``snapshot``.

    ``bids`` and ``asks`` hold (price, absolute size) as decimal text; size 0 removes the level.
    ``first`` and ``last`` are the venue's sequence numbers that the update covers (for chained venues
    ``first`` names the update before). ``book`` is the book after this update: read it during the call.
    """

    venue_ns: int | None
    snapshot: bool
    bids: list[Level]
    asks: list[Level]
    first: int | None = None
    last: int | None = None
    checksum: int | None = None
    _book: "Book | None" = None

    @property
    def book(self) -> "Book":
        assert self._book is not None, "only an update that a session has applied has a book"
        return self._book


class Bar(_OnChannel, frozen=True, gc=False, tag="bar"):
    """Open, high, low, close and volume of one interval.

    It begins at ``start_ns``, and ``kind`` names its length.
    ``closed`` is False while the interval runs, None where the venue does not say. A bar of ours that changes
    after it was told closed is told again, ``revision`` 1, 2 and so on.
    """

    start_ns: int
    open_text: str
    high_text: str
    low_text: str
    close_text: str
    volume_text: str
    trades: int | None = None
    vwap_text: str | None = None
    closed: bool | None = None
    venue_ns: int | None = None
    revision: int = 0


class Summary(_OnChannel, frozen=True, gc=False, tag="summary"):
    """The day, or the last 24 hours, of an instrument: what is not known is None.

    ``turnover`` is in the quote currency. ``since_ns`` is when we began to count, where the figures are ours
    and the day had begun before; None where they are whole.
    """

    venue_ns: int | None
    open_text: str | None = None
    high_text: str | None = None
    low_text: str | None = None
    last_text: str | None = None
    previous_close_text: str | None = None
    volume_text: str | None = None
    turnover_text: str | None = None
    since_ns: int | None = None

    @property
    def change(self) -> float | None:
        """Last price less the previous close, in the quote currency."""
        if self.last_text is None or self.previous_close_text is None:
            return None
        return float(Decimal(self.last_text) - Decimal(self.previous_close_text))


class Mark(_OnChannel, frozen=True, gc=False, tag="mark"):
    """The price by which a derivative is margined, and the index and funding rate it follows."""

    venue_ns: int | None
    mark_text: str
    index_text: str | None = None
    funding_text: str | None = None


class Auction(_OnChannel, frozen=True, gc=False, tag="auction"):
    """A step of an auction: ``state`` is ``"open"``, ``"indicative"``, ``"result"`` or ``"imbalance"``.

    ``auction_ns`` is when it is held; ``success`` says whether the book would cross, or did.
    """

    venue_ns: int | None
    state: str
    id: str | None = None
    auction_ns: int | None = None
    success: bool | None = None
    price_text: str | None = None
    size_text: str | None = None
    bid_text: str | None = None
    ask_text: str | None = None
    collar_text: str | None = None


class Luld(_OnChannel, frozen=True, gc=False, tag="luld"):
    """The price band outside which a US stock may not trade (limit up, limit down)."""

    venue_ns: int | None
    up_text: str
    down_text: str
    indicator: str = ""


class News(_OnChannel, frozen=True, gc=False, tag="news"):
    """An article. The same ``id`` with a later ``updated_ns`` replaces it."""

    venue_ns: int | None
    id: str
    headline: str
    source: str = ""
    url: str = ""
    summary: str = ""
    symbols: tuple[str, ...] = ()
    updated_ns: int | None = None


class Why(StrEnum):
    """What lies behind a refusal, and so what would help."""

    OTHER = ""
    LOGIN = "login"  #: the key is wrong or has expired
    PLAN = "plan"  #: the key is good, but not for this
    LIMIT = "limit"  #: more than the plan or the protocol allows
    CONNECTIONS = "connections"  #: the key is in use elsewhere
    SYMBOL = "symbol"  #: there is no such instrument


class Status(_OnChannel, frozen=True, gc=False, tag="status"):
    """A change of state.

    On a channel ``state`` is its new trust, ``"denied"`` or ``"queued"`` with a ``why``, or, on the kind
    ``status``, what the venue says of the instrument (such as ``"halted"``); on a venue it is the
    connection's.
    """

    state: str
    detail: str = ""
    venue_ns: int | None = None
    why: Why = Why.OTHER


class Gap(_OnChannel, frozen=True, gc=False, tag="gap"):
    """An interval in which ``channel`` may have missed something: after ``start_ns``, before ``end_ns``.

    It is told when it opens (``end_ns`` None), when it has ended, and again when it is filled later.
    ``healed`` says what made the channel whole again (``snapshot``, ``complete``, ``history``), None while
    nothing did. ``missing`` is how many messages are known to be lost, None where nobody can know.
    """

    start_ns: int
    end_ns: int | None
    cause: str
    healed: str | None = None
    missing: int | None = None
    venue_ns: int | None = None


MarketEvent = (
    Trade | Amendment | Quote | BestQuote | BookUpdate | Bar | Summary | Mark | Auction | Luld | News
    | Status | Gap
)  # fmt: skip


# Replies that steer a session and are never published.


class Ack(Struct, frozen=True, gc=False):
    """The venue confirmed this channel, or has begun to send it."""

    channel: str


class LoggedIn(Struct, frozen=True, gc=False):
    """The venue has accepted us; now it takes subscriptions."""


class Denied(Struct, frozen=True, gc=False):
    """The venue refused ``channels``; with none named, it does not say which.

    A refusal because of login, plan or connections that names no channel is one of the whole connection.
    """

    reason: str
    channels: tuple[str, ...] = ()
    why: Why = Why.OTHER


class Heartbeat(Struct, frozen=True, gc=False):
    """The venue is there; it is not data."""


class Counter(Struct, frozen=True, gc=False):
    """The number of this frame on its connection; the next must be one more."""

    n: int


class Checksum(Struct, frozen=True, gc=False):
    """The venue's fingerprint of the channel's book as it stands after what was said before."""

    channel: str
    value: int


class Through(Struct, frozen=True, gc=False):
    """The last trade of the channel, so far, has this number."""

    channel: str
    number: int


class Lost(Struct, frozen=True, gc=False):
    """What the adapter was told does not fit what it was told before: something of the channel is missing."""

    channel: str
    reason: str


class Closing(Struct, frozen=True, gc=False):
    """The venue is about to close the connection, or wants to be dialled anew."""

    reason: str


Message = (
    MarketEvent | Ack | LoggedIn | Denied | Heartbeat | Counter | Checksum | Through | Lost | Closing
)  # fmt: skip
