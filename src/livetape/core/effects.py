"""What a session wants done by whoever holds the socket (floor 1)."""

from msgspec import Struct


class Send(Struct, frozen=True):
    """Send this frame."""

    frame: bytes


class Fetch(Struct, frozen=True):
    """Fetch ``path`` below the venue's REST address and hand the body, with ``name``, to ``Session.fetched``.

    ``attempt`` counts from 0; wait longer with each. Try until there is an answer, where ``insist``.
    """

    name: str  #: a symbol for the start of its book; else what for, such as ``audit BTC-USD``
    path: str
    attempt: int
    insist: bool = True


class Close(Struct, frozen=True):
    """Close the connection and dial again.

    ``at_once`` where nothing went wrong, else after the back-off and not before ``wait_s``.
    """

    cause: str
    at_once: bool = False
    wait_s: float = 0.0


Effect = Send | Fetch | Close
