"""Sessions as the tests open them, without a socket."""

from collections.abc import Callable, Iterable

from livetape.core.adapter import Adapter
from livetape.core.events import MarketEvent
from livetape.core.instruments import Channel
from livetape.core.session import Session


def opened(
    adapter: Adapter,
    channels: Iterable[Channel],
    now_ns: int = 1,
    publish: Callable[[MarketEvent], None] | None = None,
) -> Session:
    """A session that wants ``channels`` and has just been connected; its first effects wait to be taken."""
    session = Session(adapter, publish=publish)
    session.want(channels, now_ns)
    session.connected(now_ns)
    return session


def conserved(session: Session) -> bool:
    """Whether each channel delivered, superseded or discarded all that it received, or holds it still."""
    for state in session.channels.values():
        held = len(state.pending or ()) if state.book is None else 0
        if state.received != state.delivered + state.superseded + state.discarded + held:
            return False
    return True
