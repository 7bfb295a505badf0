"""What tells one event of a channel from another (floor 1)."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter

from .events import Amendment, Bar, BookUpdate, Event, MarketEvent, News, Quote, Trade


def is_single(event: MarketEvent) -> bool:
    """Whether ``event`` can be told from all others, and makes sense without them."""
    match event:
        case Trade(number=number, id=id_):
            return number is not None or id_ is not None
        case Amendment() | News():
            return True
    return False


def identity(event: MarketEvent) -> tuple[object, object]:
    """What ``event`` is known by, None where that is impossible; and what it says beside that."""
    match event:
        case Trade(number=number, id=id_) if number is not None or id_ is not None:
            key = (id_, event.venue_ns) if number is None else number
            return key, (event.price_text, event.size_text, event.side)
        case BookUpdate(first=first, last=last, snapshot=snapshot):
            content = (event.bids, event.asks, event.checksum)
            if last is not None:
                return (first, last, snapshot), content
            if event.venue_ns is None:
                return None, None
            return (event.venue_ns, snapshot, tuple(event.bids), tuple(event.asks), event.checksum), None
        case Bar() | News() | Amendment() | Quote(venue_seq=int()):
            return _content(event), None
    return (None if event.venue_ns is None else _content(event)), None


def order(event: MarketEvent) -> int | None:
    """What orders events that make sense only in their order; None where nothing does."""
    match event:
        case Bar(start_ns=start_ns):
            return start_ns
        case Quote(venue_ns=None, venue_seq=seq):
            return seq
    return event.venue_ns


def _content(event: MarketEvent) -> object:
    return _fields(type(event))(event)


@cache
def _fields(kind: type[Event]) -> Callable[[object], object]:
    """Takes from an event what the venue has said."""
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in Event.__struct_fields__))


def label(event: MarketEvent) -> str:
    """What ``event`` is known by, for people."""
    match event:
        case Trade(number=int(number)):
            return f"trade number {number}"
        case Trade(id=id_):
            return f"trade id {id_}"
        case BookUpdate(last=last):
            return f"update {last}"
    return event.kind
