"""What a session tells of its channels: events with their trust, changes of trust, gaps (floor 3).

Every event gets its number here, in the order in which it is told.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from .book import Book
from .channel import ChannelState
from .events import Gap, MarketEvent, Origin, Status, Trust


class Hole(Struct, frozen=True):
    """A gap that has ended unhealed. The last events before it came ``delays_ns`` after the venue's time."""

    gap: Gap
    delays_ns: tuple[int, ...]
    numbers: range  #: of the missing trades, where they are numbered


class Outlet:
    """Hands events to ``publish``, or keeps them for ``take`` where there is none."""

    def __init__(self, number: int, origin: Origin, publish: Callable[[MarketEvent], None] | None) -> None:
        self._number, self._origin, self._publish = number, origin, publish
        self._seq = 0
        self._out: list[MarketEvent] = []
        self._holes: list[Hole] = []

    @property
    def told(self) -> int:
        """How many events were told so far."""
        return self._seq

    def confirm(self, state: ChannelState, now_ns: int) -> None:
        """The channel flows. What it missed, if anything, ends here; numbered trades end theirs alone."""
        if state.number is None:
            self.close_gap(state, now_ns)
        self.believe(state, now_ns)

    def believe(self, state: ChannelState, now_ns: int) -> None:
        """All is well with the channel: its usual trust, with a proof where the venue offers one."""
        state.heard_ns, state.expected_ns = now_ns, None
        state.denied, state.refusals, state.asks = None, 0, 0
        if state.proof is None:
            state.prove(now_ns)
        self.mark(state, state.usual, "", now_ns)

    def mark(self, state: ChannelState, trust: Trust, cause: str, now_ns: int) -> None:
        """Change the trust of a channel, and tell it if it did change."""
        if state.trust is not trust or (cause and not state.cause):
            state.trust, state.cause, state.since_ns = trust, cause, now_ns
            if trust is not Trust.VERIFIED:
                state.proof = None
            if trust in (Trust.STALE, Trust.RESYNCING):
                state.last_best = None  # a quote is told again when all is well again
            if state.wanted:
                self.tell(state, now_ns)

    def tell(self, state: ChannelState, now_ns: int) -> None:
        """Tell how far the channel may be believed."""
        detail = state.cause or str(state.agreement or "")
        status = Status(str(state.channel), state.trust, detail, proof=state.proof, trust=state.trust)
        self.emit(status, now_ns)

    def show(self, state: ChannelState, now_ns: int) -> None:
        """Tell all that is to be known of a channel that nobody was told of before."""
        self.tell(state, now_ns)
        if state.gap is not None:
            self.emit(replace(state.gap, trust=state.trust), now_ns)

    def open_gap(self, state: ChannelState, cause: str, now_ns: int, start_ns: int | None = None) -> None:
        """From the last good event on, or from ``start_ns`` if later, something may be missing."""
        if state.gap is None and state.heard_ns:
            start_ns = max(state.heard_ns, start_ns or 0)
            state.gap_ns = start_ns = max(start_ns, state.gap_ns + 1)  # no two begin at once
            state.gap = Gap(str(state.channel), start_ns, None, cause)
            state.proof = None
            if state.wanted:
                self.emit(replace(state.gap, trust=state.trust), now_ns)

    def close_gap(
        self, state: ChannelState, now_ns: int, *, healed: str | None = None, missing: int | None = None
    ) -> None:
        """What was missing ends here, if anything was."""
        if state.gap is not None:
            gap, state.gap = state.gap, None
            end_ns = max(now_ns, gap.start_ns)
            ended = replace(
                gap,
                end_ns=end_ns,
                healed=healed,
                missing=missing,
                trust=state.trust,
                proof=state.proof,
            )
            if state.wanted:
                self.emit(ended, now_ns)
            if healed is None:
                state.remembers = True
                self._holes.append(Hole(ended, tuple(state.delays_ns), state.hole if missing else range(0)))

    def deliver(self, state: ChannelState, event: MarketEvent, now_ns: int, **more: Book) -> None:
        """Hand a channel's event out, with its trust and proof; what is late has come as it was received."""
        state.delivered += 1
        backfilled = event.origin is Origin.BACKFILLED
        if event.venue_ns is not None and not backfilled:
            state.first_ns = state.first_ns or event.venue_ns
            state.delays_ns.append(now_ns - event.venue_ns)
        if state.wanted:
            self._seq += 1
            self._hand_out(
                replace(
                    event,
                    recv_ns=now_ns,
                    session=self._number,
                    seq=self._seq,
                    trust=Trust.LIVE if backfilled else state.trust,
                    proof=None if backfilled else state.proof,
                    origin=Origin.BACKFILLED if backfilled else self._origin,
                    **more,
                )
            )

    def emit(self, event: MarketEvent, now_ns: int) -> None:
        """Hand out what is not data."""
        self._seq += 1
        self._hand_out(
            replace(event, recv_ns=now_ns, session=self._number, seq=self._seq, origin=self._origin)
        )

    def _hand_out(self, event: MarketEvent) -> None:
        if self._publish is None:
            self._out.append(event)
        else:
            self._publish(event)

    def take_holes(self) -> list[Hole]:
        """The holes that came since the last call."""
        holes, self._holes = self._holes, []
        return holes

    def take(self) -> list[MarketEvent]:
        """What was kept, once."""
        out, self._out = self._out, []
        return out
