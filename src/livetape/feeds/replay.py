"""Recorded raw frames through the same Session as live (floor 3)."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from msgspec import json

from ..adapters import find
from ..core.errors import StoreError
from ..core.events import Denied, MarketEvent, Origin, Why
from ..core.instruments import Channel
from ..core.liveness import Phase
from ..core.raw import Direction, RawRecord, Recipe
from ..core.redundant import Redundant
from ..core.session import Session

_denied = json.Decoder(Denied).decode
_refusal = json.Decoder(tuple[str, str, Why]).decode


class Replay:
    """Drives one Session for each recorded one, with the recorded times. The same records, the same events.

    Iterate over it, or give ``publish`` and call ``run``: then ``event.book`` is the book after that update.
    With ``phase`` channels that were quiet for too long are marked as they were live.
    """

    def __init__(
        self,
        records: Iterable[RawRecord],
        publish: Callable[[MarketEvent], None] | None = None,
        phase: Phase | None = None,
    ) -> None:
        self._records = records
        self._out: list[MarketEvent] = []
        self._publish, self._phase = publish or self._out.append, phase
        self.sessions: dict[int, Session] = {}
        self._joints: dict[int, tuple[Recipe, Redundant]] = {}  # of the sessions that are one of two lines
        self._redundant: dict[tuple[str, int], Redundant] = {}  # by venue and feed

    def run(self) -> None:
        """Replay everything into ``publish``."""
        for _ in self.steps():
            pass

    def __iter__(self) -> Iterator[MarketEvent]:
        for _, events in self.steps():
            yield from events

    def steps(self) -> Iterator[tuple[int, list[MarketEvent]]]:
        """The time of each record, and what it brought; with ``publish`` that was published already."""
        for record in self._records:
            self._step(record)
            yield record.recv_ns, self._out.copy()
            self._out.clear()

    def _step(self, record: RawRecord) -> None:
        if record.direction is Direction.BEGIN:
            self._begin(Recipe.decode(record.note), record.session)
            return
        session = self.sessions.get(record.session)
        if session is None:
            raise StoreError("replay", f"record of session {record.session} without its beginning")
        self._apply(session, record)
        session.effects()  # what they caused is on the tape already

    def _begin(self, recipe: Recipe, number: int) -> None:
        adapter, publish = find(recipe.venue, recipe.api)(recipe.options), self._publish
        if recipe.lines > 1:
            redundant = self._redundant.setdefault((recipe.venue, recipe.feed), Redundant(publish))
            self._joints[number] = recipe, redundant
            publish = partial(redundant.take, recipe.line)
        self.sessions[number] = Session(adapter, number, Origin.REPLAYED, publish, self._phase)

    def _apply(self, session: Session, record: RawRecord) -> None:
        now_ns = record.recv_ns
        match record.direction:
            case Direction.WANT:
                session.want(map(Channel.parse, record.note.split()), now_ns)
            case Direction.DROP:
                self._drop(session, [*map(Channel.parse, record.note.split())], now_ns)
            case Direction.OPEN:
                session.connected(now_ns)
            case Direction.IN:
                session.receive(record.payload, now_ns)
            case Direction.FETCHED:
                session.fetched(record.note, record.payload, now_ns)
            case Direction.CLOSE:
                session.disconnected(record.note, now_ns)
            case Direction.END:
                session.end(now_ns)
            case Direction.TICK:
                session.tick(now_ns)
            case Direction.FAILED:
                session.unreachable(record.note, now_ns)
            case Direction.DENIED:
                session.deny(_denied(record.note), now_ns)
            case Direction.REFUSED:
                session.refused(*_refusal(record.note), now_ns)

    def _drop(self, session: Session, channels: list[Channel], now_ns: int) -> None:
        session.drop(channels, now_ns)
        if session.number in self._joints:
            recipe, redundant = self._joints[session.number]
            if recipe.line == recipe.lines - 1:  # they are given up on one line after the other
                redundant.drop(channels)
