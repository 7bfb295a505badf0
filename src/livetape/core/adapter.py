"""The one contract that a vendor's API must meet, in the client role (floor 2).

Rule 1: pure. Bytes and wishes go in, values come out; no clock, no socket, no log.
Rule 2: an instance serves one connection and may remember what that connection agreed (request ids, names).
Rule 3: what differs between vendors is data here (limits, silence, proofs) or one of these few methods.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import MsgspecError, Struct

from .book import Book
from .errors import ConfigError, DecodeError
from .events import BookUpdate, Message
from .instruments import Channel, Instrument
from .sequence import Rule

#: What parsing raises on bytes that are not as the vendor says.
BAD_INPUT = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, MsgspecError)


class Limits(Struct, frozen=True):
    """What one connection may carry, and how often one may be dialled."""

    symbols_per_socket: int = 100
    connects_per_minute: int = 12


class Guarantee(Struct, frozen=True):
    """What lets a kind of channel be called verified: the scheme's name and the levels it covers."""

    method: str
    depth: int | None = None


class Adapter(ABC):
    """One vendor API as seen from one connection."""

    venue: ClassVar[str]
    title: ClassVar[str]  #: the vendor's name and API, for people
    ws_url: ClassVar[str]
    rest_url: ClassVar[str]
    kinds: ClassVar[frozenset[str]]  #: what the vendor streams; quotes follow from books by themselves
    limits: ClassVar[Limits] = Limits()
    option_names: ClassVar[frozenset[str]] = frozenset()  #: beside ``depth`` and ``silence_s``

    # These an instance may set from its options.
    silence_s: float = 30.0  #: the longest quiet on a socket that is still healthy
    guarantees: Mapping[str, Guarantee] = {}
    sequence: Rule | None = None  #: how book updates are numbered; in a class body a ``staticmethod``
    depth: int | None = None  #: levels a side the venue keeps, when it sends no delete beyond them
    snapshot_depth: int | None = None  #: levels a side that a fetched snapshot holds at most

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        self.options = dict(options or {})
        known = {"depth", "silence_s", *self.option_names}
        if unknown := sorted(set(self.options) - known):
            raise ConfigError(f"unknown option {unknown[0]!r}", where=self.venue, allowed=sorted(known))
        silence_s = self.options.get("silence_s", self.silence_s)
        if not isinstance(silence_s, int | float) or silence_s <= 0:
            raise ConfigError(f"silence_s must be seconds above 0, not {silence_s!r}", where=self.venue)
        self.silence_s = float(silence_s)

    def endpoint(self, ws_url: str, channels: Sequence[Channel]) -> str:
        """The address to dial for ``channels``, below the venue's ``ws_url``."""
        return ws_url

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

    def stream(self, channel: Channel) -> str:
        """What the venue calls the stream that carries ``channel``; kinds that share one share its fate."""
        return channel.kind

    @abstractmethod
    def parse(self, frame: bytes) -> Iterable[Message]:
        """What ``frame`` says. May raise any error that bad input causes; ``decode`` makes it one kind."""

    def decode(self, frame: bytes) -> list[Message]:
        """What ``frame`` says, all or nothing. Raises DecodeError, and nothing else, on bad bytes."""
        try:
            return list(self.parse(frame))
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
        """The book in a fetched ``body``. Errors as in ``parse``."""
        raise NotImplementedError(f"{self.venue} has no fetched snapshots")

    def decode_snapshot(self, symbol: str, body: bytes) -> BookUpdate:
        """The book in a fetched ``body``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_snapshot(symbol, body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error

    def symbols_path(self) -> str | None:
        """Where, below the REST address, the instruments are listed."""
        return None

    def parse_symbols(self, body: bytes) -> list[Instrument]:
        """The instruments in a fetched ``body``."""
        return []

    def decode_symbols(self, body: bytes) -> list[Instrument]:
        """The instruments in a fetched ``body``. Raises DecodeError on bad bytes."""
        try:
            return self.parse_symbols(body)
        except BAD_INPUT as error:
            raise DecodeError(self.venue, body, str(error)[:200]) from error
