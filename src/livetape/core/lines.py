"""What one of two lines has told of a channel, and what both have missed (floor 3)."""

from msgspec import Struct
from msgspec.structs import replace

from .events import Gap, MarketEvent, Status, Trust
from .times import SECOND

LAG_NS = SECOND  #: how far one line may be behind another one

#: From the worst to the best.
RANKS = (Trust.STALE, Trust.RESYNCING, Trust.UNVERIFIABLE, Trust.LIVE, Trust.VERIFIED)


class Hole(Struct):
    """A gap that has ended; ``numbers`` are those of trades that may still come."""

    gap: Gap
    numbers: set[int]
    told: bool


class LineState:
    """What one line has told of a channel."""

    def __init__(self, channel: str) -> None:
        self.status: Status | None = None
        self.breaks = 0
        self.gaps = [Gap(channel, 0, None, "")]  # those since it was last known to have missed nothing
        self.refused = True  # whether its session tells nothing of the last gap, for it was never let in
        self.paused: Gap | None = None  # which its session has not ended, though the line is well
        self.at: int | None = None  # its last event among those handed out; None: it is out of step
        self.number: int | None = None  # of its last trade, None since its last break
        self.waiting: list[MarketEvent] = []  # told out of step
        self.waits_ns = 0
        self.turn = 0  # which it was to become well
        self.diverged = False

    @property
    def well(self) -> bool:
        return self.status is not None and is_well(self.status)


def is_well(status: Status) -> bool:
    return status.trust not in (Trust.STALE, Trust.RESYNCING)


def rank(status: Status) -> int:
    return -1 if status.state == "denied" else RANKS.index(status.trust)


def ended(gap: Gap, event: Gap | Status) -> Gap:
    """``gap`` as it ends because a line has ended its own, or is well again."""
    if isinstance(event, Status):
        return replace(gap, end_ns=event.recv_ns, trust=event.trust, proof=event.proof)
    told = {"healed": event.healed, "missing": event.missing, "trust": event.trust, "proof": event.proof}
    return replace(gap, end_ns=event.end_ns, **told)


def common(gaps: list[Gap], others: list[Gap], begun_ns: int) -> list[Gap]:
    """What lies in ``gaps`` and in ``others``, oldest first; nothing from before ``begun_ns``."""
    shared = [both for one in gaps for other in others if (both := _both(one, other)) is not None]
    known = [gap for gap in shared if gap.start_ns and (gap.end_ns is None or gap.end_ns > begun_ns)]
    return sorted(known, key=lambda gap: gap.start_ns)


def _both(one: Gap, other: Gap) -> Gap | None:
    """The time in both gaps.

    What one line told just before its gap, another one may not have told yet; a book it hands out whole.
    """
    later = max(one, other, key=lambda gap: gap.start_ns)
    over = [gap for gap in (one, other) if gap.end_ns is not None]
    if not over:
        return later
    sooner = min(over, key=lambda gap: gap.end_ns or 0)
    end_ns = sooner.end_ns or 0
    start_ns = later.start_ns
    if start_ns >= end_ns and later.kind != "book":
        start_ns -= LAG_NS
    if start_ns >= end_ns:
        return None
    return replace(later, start_ns=start_ns, end_ns=end_ns, healed=sooner.healed, missing=sooner.missing)
