"""What a session knows of one subscribed channel (floor 2)."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from .adapter import Adapter, Guarantee, Span
from .book import Book
from .events import Bar, BookUpdate, Gap, MarketEvent, Origin, Proof, Trade, Trust, Why
from .instruments import DERIVED, Channel
from .summary import Day
from .times import SECOND

RECENT = 1_000  #: events that are remembered, to know a repetition
MOST_RECENT = 100_000  #: likewise while a hole is being filled
#: Price and size of the best bid, then of the best ask; None where a side is empty.
Best = tuple[str | None, str | None, str | None, str | None]


class Agreement(Struct):
    """How far a book without a proof agrees with what the venue says elsewhere; see ``core.auditor``.

    ``agreed`` of the ``audits`` found no difference. Among the ``levels`` that were compared are trades at
    prices that the book cannot have had.
    """

    since_ns: int
    audits: int = 0
    agreed: int = 0
    levels: int = 0
    levels_agreed: int = 0

    @property
    def score(self) -> float:
        """The part that agrees, from 0 to 1, cut to thousandths: it is 1 only if all does."""
        return self.levels_agreed * 1_000 // max(self.levels, 1) / 1_000

    def __str__(self) -> str:
        return f"{100 * self.score:.4g} % agreement with the venue's REST book" if self.levels else ""


class ChannelState:
    """Trust, book, open gap and counts of one channel.

    The counts are kept so that ``received == delivered + superseded + discarded + held`` at any time, where
    ``superseded`` was already in the book and ``discarded`` lies inside a gap.
    """

    def __init__(self, channel: Channel, adapter: Adapter) -> None:
        self.channel = channel
        makes = next((kind for kind, source in DERIVED.items() if source == channel.kind), None)
        #: The channel that may be made from this one.
        self.makes = str(channel._replace(kind=makes)) if makes else ""
        self.derived = channel.kind in DERIVED and channel.kind not in adapter.kinds
        #: The channel that this one comes with.
        self.source = channel._replace(kind=DERIVED[channel.kind]) if self.derived else channel
        self.guarantee: Guarantee | None = adapter.guarantees.get(self.source.kind)
        self.wanted = False
        self.denied: Why | None = None  #: why the venue refused it, if it did
        self.refusals = 0
        self.trust, self.cause, self.since_ns = Trust.STALE, "", 0
        self.proof: Proof | None = None
        self.agreement: Agreement | None = None  #: of a book without a proof, once it was audited
        self.gap: Gap | None = None
        self.gap_ns = 0  #: when the last gap began
        self.heard_ns = 0  #: when the channel last spoke; 0 before it ever did
        self.first_ns = 0  #: the venue's time of the first event; what was before was never promised
        self.expected_ns: int | None = None  #: when to ask again for what has not come
        self.book: Book | None = None
        self.began: int | None = None  #: the venue's number of the snapshot that the book began with
        self.told_ns = 0  #: the venue's time of the book's last update
        self.pending: list[BookUpdate] | None = None  #: updates held while a snapshot is fetched
        self.fetches = 0
        self.resyncs = 0
        self.asks = 0  #: how often a book was asked for since it came last
        self.asked_ns = 0  #: when a new book was asked for last, or will be
        self.repeats: int | None = None  #: updates passed over in a row; None until one was applied
        self.last: MarketEvent | None = None  #: as the venue sent it
        #: What identifies events, the oldest first: numbers of trades with their content, or hashes.
        self.recent: dict[int, int | None] = {}
        #: Whether what came is remembered, so that history does not tell it again. Trades always are.
        self.recalls = channel.kind != "trade" and adapter.history_path(channel, Span(0, 1)) is not None
        self.remembers = False  #: whether a hole is to be filled, so that all that comes is remembered
        #: From the venue's time of each of the last events to ours.
        self.delays_ns: deque[int] = deque(maxlen=9)
        self.number: int | None = None  #: of the last trade
        self.late = 0  #: trades in a row that were late
        self.hole = range(0)  #: numbers of trades that are told as missing and may still come
        self.last_best: Best | None = None
        self.day = Day(str(channel)) if channel.kind == "summary" else None
        self.received = self.delivered = self.superseded = self.discarded = 0

    def repeated(self, event: MarketEvent) -> bool:
        """Whether ``event`` has come lately; from now on it has.

        Of a trade the number may be wrong, so one with the same number and other content is another one.
        """
        key, content = _identity(event)
        if key in self.recent:
            return self.recent[key] == content
        self._remember(key, content)
        return False

    def had(self, number: int, origin: Origin) -> bool:
        """Whether a trade of ``number`` came lately: from history or, for what is ``backfilled``, at all."""
        if number not in self.recent:
            return False
        return origin is Origin.BACKFILLED or self.recent[number] is None

    def fill(self, number: int) -> None:
        """History has told the trade of ``number``."""
        self._remember(number, None)

    def _remember(self, key: int, content: int | None) -> None:
        self.recent[key] = content
        while len(self.recent) > (MOST_RECENT if self.remembers else RECENT):
            del self.recent[next(iter(self.recent))]

    @property
    def usual(self) -> Trust:
        """The trust of the channel while all is well."""
        if self.guarantee is not None:
            return Trust.VERIFIED
        return Trust.UNVERIFIABLE if self.source.kind == "book" else Trust.LIVE

    def prove(self, now_ns: int) -> None:
        """Begin a proof at ``now_ns``, where the venue offers one."""
        if self.guarantee is not None:
            self.proof = Proof(self.guarantee.method, self.guarantee.depth, now_ns)

    def forget(self) -> None:
        """Throw away what cannot be trusted any more."""
        if self.pending is not None and self.book is None:
            self.discarded += len(self.pending)
        self.book = self.pending = self.last_best = self.last = None

    def back_off(self, now_ns: int) -> int:
        """How long, in ns, to wait before asking for a new book: not at all unless it failed lately."""
        self.resyncs = self.resyncs + 1 if now_ns - self.asked_ns < 60 * SECOND else 0
        wait_ns = 0 if self.resyncs < 3 else min(30 * SECOND, SECOND >> 2 << (self.resyncs - 3))
        self.asked_ns = now_ns + wait_ns
        return wait_ns


def _identity(event: MarketEvent) -> tuple[int, int | None]:
    """What tells ``event`` from others of its channel, and what a numbered trade says beside its number."""
    match event:
        case Trade(number=int(number)):
            return number, hash((event.venue_ns, event.price_text, event.size_text))
        case Trade():
            return hash((event.id, event.venue_ns, event.price_text)), None
        case Bar():
            return hash((event.start_ns, event.close_text, event.volume_text)), None
    return hash(event), None


class Channels(dict[str, ChannelState]):
    """The channels of a session by name, and how they hang together."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def carriers(self, channel: Channel) -> list[Channel]:
        """The channel itself and, where it is made from another one, that one."""
        state = self.get(str(channel)) or ChannelState(channel, self._adapter)
        return [channel, state.source] if state.derived else [channel]

    def upstream(self, channels: Iterable[Channel]) -> list[Channel]:
        """Those of ``channels`` that the venue knows, once each."""
        return [channel for channel in dict.fromkeys(channels) if not self[str(channel)].derived]

    def made(self, state: ChannelState) -> ChannelState | None:
        """The channel that is made from this one."""
        made = self.get(state.makes)
        return made if made is not None and made.derived else None

    def made_from(self, state: ChannelState) -> list[ChannelState]:
        """A channel and the one that is made from it, if one is."""
        made = self.made(state)
        return [state] if made is None else [state, made]

    def wire(self, state: ChannelState) -> tuple[str, str]:
        """The vendor's own stream that carries a channel."""
        return state.channel.symbol, self._adapter.stream(state.channel)

    def together(self, state: ChannelState) -> list[ChannelState]:
        """All channels that the vendor's stream of this one carries."""
        mine = self.wire(state)
        return [each for each in self.values() if not each.derived and self.wire(each) == mine]
