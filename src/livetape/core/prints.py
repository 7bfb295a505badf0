"""The trades of a session: each handed out once, and every hole in their numbers told (floor 3)."""

from collections.abc import Callable

from msgspec.structs import replace

from .channel import Channels, ChannelState
from .events import MarketEvent, Origin, Trade
from .outlet import Outlet

LATE = 3  #: after so many late trades in a row the number that they are late for is not believed


class Prints:
    """Hands trades to ``outlet``, and the day that is made of them to ``tell``."""

    def __init__(
        self, channels: Channels, outlet: Outlet, tell: Callable[[MarketEvent, int], object]
    ) -> None:
        self._channels, self._outlet, self._tell = channels, outlet, tell

    def take(self, state: ChannelState, trade: Trade, now_ns: int) -> None:
        """Deal with a trade from the stream; one of origin ``backfilled`` is the venue's own repetition."""
        if trade.origin is Origin.BACKFILLED and state.number is None:  # from before we were here
            return
        state.received += 1
        is_new = self._by_id if trade.number is None else self._by_number
        if is_new(state, trade, now_ns):
            self.deliver(state, trade, now_ns)
        else:
            state.superseded += 1

    def through(self, state: ChannelState, number: int, now_ns: int) -> None:
        """The venue's last trade has ``number``: what was not received up to it is missing."""
        if state.number is None:
            state.number = number
        elif number > state.number:
            self._miss(state, number + 1, f"the venue is at trade {number}, not at {state.number}", now_ns)
            state.number = number
        elif number == state.number:
            self._outlet.close_gap(state, now_ns, missing=0, healed="complete")

    def deliver(self, state: ChannelState, trade: Trade, now_ns: int) -> None:
        """Hand a trade out, and the day with it. One that comes late does not set the last price."""
        self._outlet.deliver(state, trade, now_ns)
        summary = self._channels.made(state)
        if summary is None or summary.day is None:
            return
        if trade.origin is not Origin.BACKFILLED:
            self._tell(summary.day.add(trade, now_ns), now_ns)
            return
        summary.received += 1
        day = summary.day.add(replace(trade, excluded=(*trade.excluded, "last")), now_ns)
        self._outlet.deliver(summary, day, now_ns)

    def _by_id(self, state: ChannelState, trade: Trade, now_ns: int) -> bool:
        if trade.id is not None and state.repeated(trade):
            return False
        self._outlet.confirm(state, now_ns)
        return True

    def _by_number(self, state: ChannelState, trade: Trade, now_ns: int) -> bool:
        number = trade.number
        assert number is not None
        if state.had(number, trade.origin) or state.repeated(trade):
            return False
        if not self._is_wanted(state, trade, number):
            return False
        if state.number is None:
            self._outlet.close_gap(state, now_ns)
        elif number > state.number + 1:
            self._miss(state, number, f"trade number {state.number} was followed by {number}", now_ns)
        elif number == state.number + 1:
            self._outlet.close_gap(state, now_ns, missing=0, healed="complete")
        state.number = max(number, state.number or number)
        self._outlet.believe(state, now_ns)
        return True

    def _is_wanted(self, state: ChannelState, trade: Trade, number: int) -> bool:
        """Whether a trade that has not come yet should have: it goes on, or is late, or counts anew."""
        if state.number is None or number > state.number:
            state.late = 0
            return True
        if trade.origin is Origin.BACKFILLED:
            return number in state.hole
        if number in state.hole:
            state.late += 1
            if number > state.hole.start or state.late >= LATE:  # the number that made the hole was wrong
                state.number, state.hole = state.hole.start - 1, range(0)
            else:
                state.hole = range(number + 1, state.hole.stop)
            return True
        if number == state.number:  # the number of the one before was wrong
            return True
        if state.gap is not None:  # after a break the venue counts anew
            state.number, state.hole = None, range(0)
            return True
        return False

    def _miss(self, state: ChannelState, following: int, cause: str, now_ns: int) -> None:
        """The trades from the last one to ``following`` are missing."""
        assert state.number is not None
        state.hole = range(state.number + 1, following)
        for carried in self._channels.made_from(state):
            self._outlet.open_gap(carried, cause, now_ns)
        self._outlet.close_gap(state, now_ns, missing=following - state.number - 1)
