"""The contract of a vendor's protocol in the server role (floor 2).

A dialect instance serves one client connection: what the client asks goes in, what the vendor would send
comes out. It shares its wire types with the adapter of the same API. Pure, like an adapter.

What happens in the market reaches it as actions: one action is one step of a matching engine, its trades
first.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from re import Pattern
from typing import ClassVar, Protocol

from msgspec import Struct

from .book import Book
from .events import Trade
from .instruments import Instrument


class Change(Struct, frozen=True, gc=False):
    """One level that changed: ``remaining`` is the size there now ("0": gone), ``delta`` the change."""

    side: str  #: "bid" or "ask"
    price: str
    remaining: str
    delta: str
    reason: str  #: "place", "trade" or "cancel"


class Action(Struct, frozen=True):
    """One step of a matching engine at ``ns``: the prints it made, then the levels it changed."""

    symbol: str
    ns: int
    trades: Sequence[Trade]
    changes: Sequence[Change]


class Source(Protocol):
    """Where a dialect finds the state of the market. Books are those after the latest action."""

    def instruments(self) -> Sequence[Instrument]:
        """Everything that can be subscribed."""

    def book(self, symbol: str) -> Book | None:
        """The book of a unified ``symbol``; None when it is unknown."""

    def trades(self, symbol: str, n: int) -> Sequence[Trade]:
        """The last ``n`` prints, oldest first."""


class Pushed(Struct, frozen=True):
    """A frame for the client, and the names of the channels of the events in it, one for each event."""

    frame: bytes
    channels: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    """A REST answer: HTTP status and JSON body."""

    status: int
    body: bytes


class Refused(Exception):
    """The vendor would refuse the upgrade to a WebSocket with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Dialect(ABC):
    """One client of one vendor API."""

    venue: ClassVar[str]
    path: ClassVar[Pattern[str]]  #: the WebSocket paths it serves
    heartbeat_s: ClassVar[float] = 5.0

    def __init__(self, source: Source) -> None:
        self.source = source

    @abstractmethod
    def open(self, path: str, query: Mapping[str, str], now_ns: int) -> list[Pushed]:
        """The greeting. Raises Refused when the vendor would not let this client in."""

    @abstractmethod
    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        """The answer to one client frame; bad frames are answered, they never raise."""

    @abstractmethod
    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        """What the client is told of ``action``. ``memo`` is shared by all clients for this one action."""

    def beat(self, now_ns: int) -> list[Pushed]:
        """The heartbeat, due every ``heartbeat_s``."""
        return []

    @classmethod
    def answer(cls, source: Source, path: str, query: Mapping[str, str]) -> Answer | None:
        """The REST answer at ``path``; None where the vendor has nothing there."""
        return None
