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
from .events import Bar, Mark, Trade
from .instruments import Instrument


class Change(Struct, frozen=True, gc=False):
    """One level that changed: ``remaining`` is the size there now ("0": gone), ``delta`` the change."""

    side: str  #: "bid" or "ask"
    price: str
    remaining: str
    delta: str
    reason: str  #: "place", "trade" or "cancel"


class Action(Struct, frozen=True):
    """One step of a matching engine at ``ns``: the prints it made, then the levels it changed.

    ``mark`` is that of a perpetual where it is told anew, with a funding rate only where that is set anew.
    """

    symbol: str
    ns: int
    trades: Sequence[Trade]
    changes: Sequence[Change]
    mark: Mark | None = None


class Day(Struct, frozen=True, gc=False):
    """The UTC day of an instrument so far, as decimal text. ``turnover`` is in the quote currency.

    Before its first print all prices are the previous close.
    """

    start_ns: int
    open: str
    high: str
    low: str
    last: str
    previous_close: str
    volume: str
    turnover: str


class Source(Protocol):
    """Where a dialect finds the state of the market. Books are those after the latest action."""

    def instruments(self) -> Sequence[Instrument]:
        """Everything that can be subscribed."""

    def book(self, symbol: str) -> Book | None:
        """The book of a unified ``symbol``; None when it is unknown."""

    def trades(self, symbol: str, n: int) -> Sequence[Trade]:
        """The last ``n`` prints, oldest first."""

    def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> Sequence[Trade]:
        """The latest prints from ``start_ns`` to before ``end_ns``, oldest first."""

    def bars(self, symbol: str, interval_ns: int, start_ns: int, end_ns: int) -> Sequence[Bar]:
        """The bars that begin from ``start_ns`` to before ``end_ns``, oldest first; none without a print."""

    def day(self, symbol: str) -> Day | None:
        """The current UTC day; None of an unknown symbol."""

    def mark(self, symbol: str) -> Mark | None:
        """Mark price, index and funding rate, in percent an hour; None of what is no perpetual."""


class Call(Struct, frozen=True):
    """What a client asked for over HTTP: a REST call or the upgrade to a WebSocket.

    Names of ``headers`` are in lower case.
    """

    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class Pushed(Struct, frozen=True):
    """A frame for the client, and the names of the channels of the events in it, one for each event."""

    frame: bytes
    channels: tuple[str, ...] = ()
    binary: bool = False


class Hangup(Struct, frozen=True):
    """The vendor ends a connection: with a close frame of ``code``, or by a reset where there is none."""

    code: int | None = None
    reason: str = ""


class Answer(Struct, frozen=True):
    """A REST answer: HTTP status, JSON body, headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class House:
    """What all clients of one vendor share: who may come in, who is in, and how the vendor is disposed.

    ``switches`` choose among behaviours that a dialect declares; ``keys`` are the keys that are good, with
    their secrets (empty where any will do); None lets everybody in.
    """

    def __init__(
        self, switches: Mapping[str, str] | None = None, keys: Mapping[str, str] | None = None
    ) -> None:
        self.switches = dict(switches or {})
        self.members: list[Dialect] = []
        self._keys = keys

    def admits(self, key: str, secret: str = "") -> bool:
        """Whether ``key`` is good; none at all never is."""
        if not key or "auth-reject" in self.switches:
            return False
        return self._keys is None or (key in self._keys and self._keys[key] in ("", secret))


class Dialect(ABC):
    """One client of one vendor API."""

    venue: ClassVar[str]
    path: ClassVar[Pattern[str]]  #: the WebSocket paths it serves
    beat_s: ClassVar[float] = 5.0  #: how often ``beat`` is called
    ping_s: ClassVar[float | None] = None  #: how often the vendor pings; a client that stays mute is cut off
    deflates: ClassVar[bool] = False  #: whether compression may be agreed on
    #: Behaviours that are not known for sure, or are asked for in tests: the values that each switch has, the
    #: usual one first. ``"N"`` stands for any number.
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(self, source: Source, house: House | None = None) -> None:
        self.source, self.house = source, house or House()
        self.leaving: Hangup | None = None  #: set when the vendor ends this connection, after what is pushed

    def refusal(self, call: Call, now_ns: int) -> Answer | None:
        """The answer when the vendor would not upgrade ``call`` to a WebSocket; None lets it in."""
        return None

    @abstractmethod
    def open(self, call: Call, now_ns: int) -> list[Pushed]:
        """The greeting."""

    @abstractmethod
    def receive(self, frame: bytes, now_ns: int) -> list[Pushed]:
        """The answer to one client frame; bad frames are answered, they never raise."""

    def pinged(self, now_ns: int) -> None:
        """The client has sent a ping of the WebSocket protocol; it is answered without the dialect."""
        return

    @abstractmethod
    def push(self, action: Action, memo: dict[str, bytes]) -> list[Pushed]:
        """What the client is told of ``action``. ``memo`` is shared by all clients for this one action."""

    def beat(self, now_ns: int) -> list[Pushed]:
        """What is due by the clock alone; called every ``beat_s``."""
        return []

    @classmethod
    def answer(cls, source: Source, house: House, call: Call, now_ns: int) -> Answer | None:
        """The REST answer; None where the vendor has nothing at that path."""
        return None

    @classmethod
    def witness(cls, source: Source, house: House, action: Action) -> None:
        """Told of every ``action``, whoever is connected: where REST is to tell of it later, it is kept."""
        return

    @classmethod
    def busy(cls, status: int) -> bytes:
        """What any call is answered at a busy time, with HTTP ``status`` 429 or 503; b"" where not known."""
        return b""

    def switch(self, name: str) -> str:
        """How the vendor behaves where ``switches`` leaves a choice."""
        usual, *_ = values = self.switches[name]
        chosen = self.house.switches.get(name, usual)
        return chosen if chosen in values or ("N" in values and chosen.isdecimal()) else usual
