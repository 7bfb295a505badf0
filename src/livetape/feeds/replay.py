"""Recorded raw frames through the same Session as live (floor 3)."""

from collections.abc import Callable, Iterable, Iterator

from ..adapters import find
from ..core.errors import StoreError
from ..core.events import MarketEvent, Origin
from ..core.instruments import Channel
from ..core.raw import Direction, RawRecord, Recipe
from ..core.session import Session

TICK_NS = 200_000_000


class Replay:
    """Drives one Session for each recorded one, with the recorded times. The same records, the same events.

    Iterate over it, or give ``publish`` and call ``run``: then ``event.book`` is the book after that update.
    """

    def __init__(
        self, records: Iterable[RawRecord], publish: Callable[[MarketEvent], None] | None = None
    ) -> None:
        self._records = records
        self._publish = publish
        self._ticked_ns: dict[int, int] = {}
        self.sessions: dict[int, Session] = {}

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
            self.sessions[record.session] = Session(adapter, record.session, Origin.REPLAYED, self._publish)
            return
        session = self.sessions.get(record.session)
        if session is None:
            raise StoreError("replay", f"record of session {record.session} without its beginning")
        yield from self._pass_time(session, record)
        yield from self._apply(session, record)
        session.effects()  # what they caused is on the tape already

    def _apply(self, session: Session, record: RawRecord) -> list[MarketEvent]:
        now_ns = record.recv_ns
        match record.direction:
            case Direction.WANT:
                return session.want(map(Channel.parse, record.note.split()), now_ns)
            case Direction.DROP:
                return session.drop(map(Channel.parse, record.note.split()), now_ns)
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

    def _pass_time(self, session: Session, record: RawRecord) -> Iterator[MarketEvent]:
        """Let the session find silence where the live one did."""
        last = self._ticked_ns.setdefault(record.session, record.recv_ns)
        while record.recv_ns - last >= TICK_NS:
            last += TICK_NS
            yield from session.tick(last)
        self._ticked_ns[record.session] = last
