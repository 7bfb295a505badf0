"""livetape's side of ``ingest.py``: questions come as lines of JSON on stdin, answers leave on stdout."""

import gc
import sys
from collections.abc import Callable
from functools import partial
from time import thread_time_ns

from ingest import Load, Outcome, Recording
from sides import answer

from livetape.adapters import find
from livetape.adapters.kraken import Kraken
from livetape.core.book import Book
from livetape.core.effects import Fetch
from livetape.core.events import BookUpdate, MarketEvent, Trade
from livetape.core.instruments import Channel
from livetape.core.memo import Memo
from livetape.core.session import Session

Callback = Callable[[MarketEvent], object]


class Anything(int):
    """Equal to every checksum."""

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    __hash__ = int.__hash__


class Unchecked(Kraken):
    """Kraken without the cost of its checksums."""

    def checksum(self, book: Book, anything: Anything = Anything()) -> int:  # noqa: B008
        return anything


def started(recording: Recording, verify: bool | None) -> Session:
    """A session whose books stand."""
    forget()
    adapter = Unchecked if verify is False else find(recording.venue)
    session = Session(adapter(recording.options))
    channels = [
        Channel(adapter.venue, symbol, kind) for symbol in recording.symbols for kind in recording.kinds
    ]
    session.want(channels, 0)
    session.connected(0)
    for ns, text in recording.start:
        session.receive(text.encode(), ns)
    for effect in session.effects():
        if isinstance(effect, Fetch):
            body = recording.snapshots[recording.symbols[effect.name]]
            session.fetched(effect.name, body.encode(), recording.start[-1][0])
    return session


def forget() -> None:
    """Empty livetape's caches: what an earlier round left there is no part of a fresh start."""
    for name, module in list(sys.modules.items()):
        if name.startswith("livetape."):
            for thing in vars(module).values():
                if hasattr(thing, "cache_clear"):
                    thing.cache_clear()
    for thing in gc.get_objects():
        if isinstance(thing, Memo):
            thing.clear()


def drive(session: Session, frames: list[tuple[int, bytes]], callback: Callback) -> int:
    """CPU nanoseconds from the first frame to the last callback."""
    gc.collect()
    began = thread_time_ns()
    for ns, frame in frames:
        for event in session.receive(frame, ns):
            callback(event)
    return thread_time_ns() - began


def look(event: MarketEvent) -> None:
    """What a user's callback does at least."""
    if isinstance(event, BookUpdate):
        event.book.best()
    elif isinstance(event, Trade):
        _ = event.price


def pass_over(_: MarketEvent) -> None:
    pass


def outcome(session: Session, frames: list[tuple[int, bytes]]) -> Outcome:
    """What comes out of ``frames``."""
    seen: list[MarketEvent] = []
    drive(session, frames, seen.append)
    books = {state.channel.symbol: state.book for state in session.channels.values() if state.book}
    best = {symbol: book.best() for symbol, book in books.items()}
    return Outcome(sum(isinstance(event, BookUpdate | Trade) for event in seen), best)


def measured(load: Load, frames: list[tuple[int, bytes]]) -> float:
    """CPU nanoseconds a frame."""
    callback = look if load.look else pass_over
    return drive(started(load.recording, load.verify), frames, callback) / len(frames)


def taken(load: Load) -> tuple[Outcome, Callable[[], float]]:
    """What comes of ``load``, and how to measure it."""
    frames = [(ns, text.encode()) for ns, text in load.recording.frames]
    return outcome(started(load.recording, load.verify), frames), partial(measured, load, frames)


if __name__ == "__main__":
    answer(Load, taken)
