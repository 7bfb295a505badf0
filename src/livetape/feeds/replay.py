"""Recorded raw frames through the same Session as live (floor 3)."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from ..adapters import find
from ..core.errors import StoreError
from ..core.events import MarketEvent, Origin
from ..core.instruments import Channel
from ..core.liveness import Phase
from ..core.raw import Direction, RawRecord, Recipe
from ..core.redundant import Redundant
from ..core.session import Session


class Replay:
    """Drives one Session for each recorded one, with the recorded times. The same records, the same events.

    Iterate over it, or give ``publish`` and call ``run``: then ``event.book`` is the book after that update.
    With ``phase`` channels that were quiet for too long are marked as they were live. What an outage of REST,
    or a venue that could not be reached, was told as is not on the tape.
    """

    def __init__(
        self,
        records: Iterable[RawRecord],
        publish: Callable[[MarketEvent], None] | None = None,
        phase: Phase | None = None,
    ) -> None:
        self._records = records
        self._publish, self._phase = publish, phase
        self.sessions: dict[int, Session] = {}
        self._redundant: dict[int, Redundant] = {}  # where a session publishes that is one of two lines
        self._out: list[MarketEvent] = []  # what came from there

    def run(self) -> None:
        """Replay everything into ``publish``."""
        for _ in self:
            pass

    def __iter__(self) -> Iterator[MarketEvent]:
        for record in self._records:
            yield from self._step(record)

    def _step(self, record: RawRecord) -> Iterator[MarketEvent]:
        if record.direction is Direction.BEGIN:
            recipe = Recipe.decode(record.note)
            adapter = find(recipe.venue, recipe.api)(recipe.options)
            publish = self._publish if recipe.lines == 1 else self._join(recipe, record.session)
            number, origin = record.session, Origin.REPLAYED
            self.sessions[number] = Session(adapter, number, origin, publish, self._phase)
            return
        session = self.sessions.get(record.session)
        if session is None:
            raise StoreError("replay", f"record of session {record.session} without its beginning")
        yield from self._apply(session, record)
        session.effects()  # what they caused is on the tape already
        out, self._out = self._out, []
        yield from out

    def _join(self, recipe: Recipe, session: int) -> Callable[[MarketEvent], None]:
        """Publish into what both lines share: the second one begins right after the first."""
        if recipe.line == 0:
            redundant = Redundant(self._publish or (lambda event: self._out.append(event)))
        else:
            *_, redundant = self._redundant.values()
        self._redundant[session] = redundant
        return partial(redundant.take, recipe.line)

    def _apply(self, session: Session, record: RawRecord) -> list[MarketEvent]:
        now_ns = record.recv_ns
        match record.direction:
            case Direction.WANT:
                return session.want(map(Channel.parse, record.note.split()), now_ns)
            case Direction.DROP:
                channels = [*map(Channel.parse, record.note.split())]
                if (redundant := self._redundant.get(record.session)) is not None:
                    redundant.drop(channels)
                return session.drop(channels, now_ns)
            case Direction.OPEN:
                return session.connected(now_ns)
            case Direction.IN:
                return session.receive(record.payload, now_ns)
            case Direction.FETCHED:
                return session.fetched(record.note, record.payload, now_ns)
            case Direction.CLOSE:
                return session.disconnected(record.note, now_ns)
            case Direction.END:
                return session.end(now_ns)
        return []
