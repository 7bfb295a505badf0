"""What the venue refuses: told once, and asked for again after a while (floor 3)."""

from collections.abc import Iterable

from .adapter import Adapter
from .channel import Channels, ChannelState
from .effects import Close, Effect
from .events import Denied, Status, Trust, Why
from .outlet import Outlet
from .times import SECOND

REFUSED_S = 60  #: after which what was refused is asked for again; longer each time, up to fifteen times it
FORBIDDEN_S = 300  #: likewise for a login
_WHOLE = (Why.LOGIN, Why.PLAN, Why.CONNECTIONS)  #: refusals that may concern the whole connection


class Refusals:
    """The refused channels of a Session; what to do about the connection goes into ``effects``."""

    def __init__(self, adapter: Adapter, channels: Channels, outlet: Outlet, effects: list[Effect]) -> None:
        self._venue, self._channels, self._outlet, self._effects = adapter.venue, channels, outlet, effects

    def take(self, denied: Denied, now_ns: int) -> bool:
        """A refusal of channels; without names, of whatever has not spoken yet. False: of the connection."""
        states = self._channels
        if denied.why in _WHOLE and not denied.channels:
            mute = [s for s in states.values() if denied.why is not Why.CONNECTIONS or not s.heard_ns]
            self.deny(mute, denied.reason, denied.why, now_ns)
            wait_s = 0.0 if denied.why is Why.CONNECTIONS else FORBIDDEN_S
            self._effects.append(Close(denied.reason, wait_s=wait_s))
            return False
        named = [states[name] for name in denied.channels if name in states]
        mute = [s for s in states.values() if not s.heard_ns and s.denied is None and not s.derived]
        refused = named or mute
        self.put_off(refused, denied.reason, denied.why, now_ns)
        if not refused:
            self._outlet.emit(Status(self._venue, "denied", denied.reason, why=denied.why), now_ns)
        return True

    def put_off(self, refused: Iterable[ChannelState], reason: str, why: Why, now_ns: int) -> None:
        """Take a refusal for now, to ask again later."""
        for state in refused:
            state.refusals += 1
            state.expected_ns = now_ns + min(REFUSED_S << state.refusals - 1, 15 * REFUSED_S) * SECOND
        self.deny(refused, reason, why, now_ns)

    def deny(self, refused: Iterable[ChannelState], reason: str, why: Why, now_ns: int) -> None:
        """Tell that ``refused``, and what is made from them, are not to be had."""
        for state in {str(s.channel): s for one in refused for s in self._channels.made_from(one)}.values():
            if state.denied is None:
                status = Status(str(state.channel), "denied", reason, trust=Trust.STALE, why=why)
                self._outlet.emit(status, now_ns)
            state.trust, state.cause, state.denied = Trust.STALE, reason, why
