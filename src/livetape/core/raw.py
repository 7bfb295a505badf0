"""What went over one connection, byte for byte: enough to drive a Session again (floor 1)."""

from enum import StrEnum

from msgspec import Struct, json

from .events import Origin


class Direction(StrEnum):
    """What a raw record is. The first and the last are ours, the rest crossed the wire."""

    BEGIN = "begin"  #: a session was made; ``note``: its Recipe as JSON
    WANT = "want"  #: ``note``: the channels subscribed, separated by blanks
    DROP = "drop"  #: likewise, given up
    OPEN = "open"  #: the connection opened; ``note``: the address, secrets masked
    IN = "in"  #: a frame received
    OUT = "out"  #: a frame sent
    FETCHED = "fetched"  #: a REST answer; ``note``: the name in its Fetch
    CLOSE = "close"  #: the connection was lost; ``note``: the cause
    END = "end"  #: the connection was closed because nobody wants it any more
    TICK = "tick"  #: time alone has brought something
    FAILED = "failed"  #: no connection came about, or none is tried any more; ``note``: why
    DENIED = "denied"  #: the venue refused us before there was a connection; ``note``: the Denied as JSON
    REFUSED = "refused"  #: the venue will not answer a Fetch; ``note``: its name, reason and Why as JSON


class Recipe(Struct, frozen=True):
    """How to make the adapter of a session, and which of so many ``lines`` of the same channels it is.

    ``feed`` tells the feeds of a venue apart: lines of the same channels are of the same feed. ``origin`` is
    what its events were told as.
    """

    venue: str
    api: str = ""
    options: dict[str, object] = {}
    line: int = 0
    lines: int = 1
    feed: int = 0
    origin: Origin = Origin.LIVE

    def encode(self) -> str:
        return json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> "Recipe":
        return json.decode(text, type=cls)


class RawRecord(Struct, frozen=True, gc=False):
    """One raw record. ``recv_ns`` is ns UTC and never decreases within a session."""

    session: int
    recv_ns: int
    direction: Direction
    payload: bytes = b""
    note: str = ""
