"""The one contract that a vendor's API must meet, in the client role (floor 2).

Rule 1: pure. Bytes and wishes go in, values come out; no clock, no socket, no log.
Rule 2: an instance serves one connection and may remember what that connection agreed (request ids, names).
Rule 3: what differs between vendors is data here (limits, silence, proofs) or one of these few methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import MsgspecError, Struct
from msgspec.structs import replace

from .book import Book
from .credentials import Credentials
from .errors import ConfigError, DecodeError
from .events import BookUpdate, Denied, MarketEvent, Message
from .instruments import DERIVED, Channel, Instrument, unified
from .sequence import Rule

#: What parsing raises on bytes that are not as the vendor says.
BAD_INPUT = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, MsgspecError)

NOBODY = Credentials()
DAY_S = 86_400


class Limits(Struct, frozen=True):
    """What the vendor allows: None where nothing is said."""

    symbols_per_socket: int = 100  #: slots, see ``Adapter.slot``
    sockets_per_key: int | None = None
    connects_per_minute: int = 12
    messages_per_s: float | None = None  #: that one connection may send


class Guarantee(Struct, frozen=True):
    """What lets a kind of channel be called verified: the scheme's name and the levels it covers."""

    method: str
    depth: int | None = None


class Span(Struct, frozen=True):
    """What a channel may have missed: from ``start_ns`` to ``end_ns``, both ns UTC and a little wider.

    ``numbers`` are those of the trades that are missing, where the venue numbers them.
    """

    start_ns: int
    end_ns: int
    numbers: range = range(0)


class History(Struct, frozen=True):
    """One page of what the venue told before, in any order. ``page`` asks for the next, empty at the last."""

    events: list[MarketEvent]
    page: str = ""


class Adapter(ABC):
    """One vendor API as seen from one connection."""

    venue: ClassVar[str]
    title: ClassVar[str]  #: the vendor's name and API, for people
    ws_url: ClassVar[str]
    rest_url: ClassVar[str]
    kinds: ClassVar[frozenset[str]]  #: what the vendor streams; see ``offers``
    never_closes: ClassVar[bool] = False  #: whether all that is traded there is traded at all hours
    amends: ClassVar[bool] = False  #: whether it takes trades back, or corrects them
    sample: ClassVar[str] = "BTC-USD"  #: a symbol that is always there, to try the vendor with
    key_names: ClassVar[tuple[str, ...]] = ()  #: the environment's names of the key and its secret
    option_names: ClassVar[frozenset[str]] = frozenset()  #: beside those that every venue has

    # These an instance may set from its options.
    limits: Limits = Limits()
    silence_s: float = 30.0  #: the longest quiet on a socket that is still healthy
    audit_s: float = 60.0  #: how often a book without a proof is compared with REST; 0 for never
    heartbeat_s: float | None = None  #: how often the vendor wants to hear ``heartbeat``
    binary: bool = False  #: whether our frames are binary messages
    awaits_login: bool = False  #: whether to subscribe only after ``LoggedIn``
    guarantees: Mapping[str, Guarantee] = {}
    sequence: Rule | None = None  #: how book updates are numbered; in a class body a ``staticmethod``
    depth: int | None = None  #: levels a side the venue keeps, when it sends no delete beyond them
    snapshot_depth: int | None = None  #: levels a side that a fetched snapshot holds at most

    def __init__(
        self, options: Mapping[str, object] | None = None, credentials: Credentials = NOBODY
    ) -> None:
        self.options = dict(options or {})
        self.credentials = credentials
        known = {"depth", "silence_s", "max_symbols", "audit_s", *self.option_names}
        if unknown := sorted(set(self.options) - known):
            raise ConfigError(f"unknown option {unknown[0]!r}", where=self.venue, allowed=sorted(known))
        self.silence_s = self._seconds("silence_s", self.silence_s)
        if not self.silence_s:
            raise ConfigError("silence_s must be above 0", where=self.venue)
        self.audit_s = self._seconds("audit_s", self.audit_s)
        most = self.options.get("max_symbols", self.limits.symbols_per_socket)
        if not isinstance(most, int) or most < 1:
            raise ConfigError(f"max_symbols must be a number above 0, not {most!r}", where=self.venue)
        self.limits = replace(self.limits, symbols_per_socket=most)

    def _seconds(self, name: str, usual: float) -> float:
        """The option ``name``: up to a day. Raises ConfigError."""
        value = self.options.get(name, usual)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= DAY_S:
            raise ConfigError(f"{name} must be seconds from 0 to {DAY_S}, not {value!r}", where=self.venue)
        return float(value)

    @classmethod
    def offers(cls, symbol: str = "") -> frozenset[str]:
        """The kinds of channel to be had, of ``symbol`` or at all: streamed, or made from what is."""
        streamed = cls.streams(symbol)
        return streamed | {kind for kind, source in DERIVED.items() if source in streamed}

    @classmethod
    def streams(cls, symbol: str) -> frozenset[str]:
        """The kinds that the vendor streams of ``symbol``; where it is empty, of any."""
        return cls.kinds

    @classmethod
    def canonical(cls, symbol: str) -> str:
        """Our spelling of ``symbol``, which may be the venue's own."""
        return unified(symbol)

    def route(self, channel: Channel) -> str:
        """Channels of different routes cannot share a connection."""
        return ""

    def slot(self, channel: Channel) -> str | None:
        """What ``channel`` takes of ``symbols_per_socket``; the same slot is taken once, None takes none."""
        return channel.symbol

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        """The address to dial for ``channels``, below the venue's ``ws_url``."""
        return ws_url

    def ws_headers(self) -> Mapping[str, str]:
        """What the upgrade request carries beside the usual."""
        return {}

    def rest_headers(self) -> Mapping[str, str]:
        """What each REST request carries."""
        return {}

    def login(self) -> list[bytes]:
        """The frames that say who we are, sent when the connection has opened."""
        return []

    @abstractmethod
    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """The frames that ask for ``channels``; none where the address already did."""

    @abstractmethod
    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """The frames that give ``channels`` up."""

    @property
    def dials_to_change(self) -> bool:
        """Whether a change of subscription needs a new connection."""
        return False

    @property
    def dials_to_drop(self) -> bool:
        """Whether giving something up needs a new connection."""
        return self.dials_to_change

    def heartbeat(self, now_ns: int) -> bytes | None:
        """The sign of life that is due every ``heartbeat_s``; None where the vendor wants none."""
        return None

    def stream(self, channel: Channel) -> str:
        """What the venue calls the stream that carries ``channel``; kinds that share one share its fate."""
        return channel.kind

    @abstractmethod
    def parse(self, frame: bytes) -> Iterable[Message]:
        """What ``frame`` says. May raise any error that bad input causes; ``decode`` makes it one kind."""

    def decode(self, frame: bytes) -> list[Message]:
        """What ``frame`` says, all or nothing. Raises DecodeError, and nothing else, on bad bytes."""
        try:
            messages = self.parse(frame)
            return messages if type(messages) is list else list(messages)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, frame, str(error)[:200]) from error

    def probe(self) -> bytes | None:
        """A harmless question that the venue answers, to tell quiet from dead; None with heartbeats."""
        return None

    def checksum(self, book: Book) -> int | None:
        """The venue's fingerprint of ``book``, None where it has none."""
        return None

    def snapshot_path(self, symbol: str) -> str | None:
        """Where, below the REST address, the starting book is fetched; None when the stream sends it."""
        return None

    def parse_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        """The book in a fetched ``body``. Errors as in ``parse``; without ``snapshot_path`` there is none."""
        raise ValueError(f"{self.venue} has no fetched snapshots")

    def decode_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        """The book in a fetched ``body``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_snapshot(symbol, body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error

    def audit_path(self, symbol: str) -> str | None:
        """Where, below the REST address, the present book is; None where nowhere, or it proves itself.

        The best ten levels of each side are enough.
        """
        return None

    def parse_audit(self, symbol: str, body: bytes) -> BookUpdate:
        """The book in a ``body`` fetched from ``audit_path``. Errors as in ``parse``."""
        return self.parse_snapshot(symbol, body)

    def decode_audit(self, symbol: str, body: bytes) -> BookUpdate:
        """The book in a ``body`` fetched from ``audit_path``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_audit(symbol, body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error

    def history_path(self, channel: Channel, span: Span, page: str = "") -> str | None:
        """Where, below the REST address, ``span`` of ``channel`` can be read again; None where nowhere.

        ``page`` is what the page before gave.
        """
        return None

    def parse_history(self, channel: Channel, body: bytes) -> History:
        """What a fetched ``body`` tells of ``channel``, as ``parse`` would tell it of the stream."""
        raise ValueError(f"{self.venue} has no history")

    def decode_history(self, channel: Channel, body: bytes) -> History:
        """What a fetched ``body`` tells of ``channel``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_history(channel, body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error

    def symbols_paths(self) -> Sequence[str]:
        """Where the instruments are listed: paths below the REST address, or whole addresses elsewhere."""
        return ()

    def parse_symbols(self, path: str, body: bytes) -> list[Instrument]:
        """The instruments in the ``body`` that was fetched from ``path``."""
        return []

    def decode_symbols(self, path: str, body: bytes) -> list[Instrument]:
        """The instruments in a fetched ``body``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_symbols(path, body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error

    def refusal(self, body: bytes) -> Denied | None:
        """What the body of an answer, of REST or to an upgrade, says against the request; None if nothing."""
        return None

    def price_path(self, symbol: str) -> str | None:
        """Where, below the REST address, the present price or book of ``symbol`` is; None where nowhere."""
        return None
