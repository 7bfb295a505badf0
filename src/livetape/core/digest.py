"""What tells whether two replays, or a replay and what was live, are the same (floor 1).

Rule 1: every field of an event counts, with the venue's own text, but for ``origin``: how an event came.
Rule 2: what connections have told counts, on one line or two. What is made of that (bars, the best quote of
        several venues), and the recorder's own gaps, do not: a replay of raw frames does not make them.
Rule 3: an event carries its number, so the order in which events are read changes nothing.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from operator import attrgetter
from typing import get_args

from msgspec import json

from .events import MarketEvent

_BYTES = 16
_encode = json.Encoder().encode


class Digest:
    """A fingerprint of the ``events`` that ``sessions`` told; where these are None, of all that any told."""

    def __init__(self, sessions: Iterable[int] | None = None) -> None:
        self.events = 0  #: how many events count
        self._known = None if sessions is None else frozenset(sessions)
        self._sums: dict[int, int] = {}

    def add(self, event: MarketEvent) -> None:
        """Count ``event`` in."""
        session = event.session
        if not session or (self._known is not None and abs(session) not in self._known):
            return
        tag, values = _SAID[type(event)]
        mark = blake2b(_encode(values(event)), digest_size=_BYTES, person=tag).digest()
        self._sums[session] = self._sums.get(session, 0) + int.from_bytes(mark, "big")
        self.events += 1

    @property
    def sessions(self) -> int:
        """How many sessions the events are of; what two lines tell together is of one more for each."""
        return len(self._sums)

    def __str__(self) -> str:
        sums = [(session, str(self._sums[session] % 2 ** (8 * _BYTES))) for session in sorted(self._sums)]
        return blake2b(_encode(sums), digest_size=_BYTES).hexdigest()


def _said(kind: type[MarketEvent]) -> tuple[bytes, Callable[[MarketEvent], object]]:
    names = [name for name in kind.__struct_fields__ if name not in ("origin", "_book")]
    return str(kind.__struct_config__.tag).encode(), attrgetter(*names)


_SAID = {kind: _said(kind) for kind in get_args(MarketEvent)}
