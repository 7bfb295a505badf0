"""The best quote of an instrument over several venues (floor 3).

A venue counts from a quote on until something is wrong with its channel; then from its next quote on again.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from .events import BestQuote, MarketEvent, Origin, Proof, Quote, Status, Trust
from .instruments import Channel

BEST = "best"  #: what stands for the venue in the name of such a channel
_RANKS = (Trust.VERIFIED, Trust.LIVE, Trust.UNVERIFIABLE)  #: what a quote may be worth, the weakest last


class Consolidated:
    """``channel`` from the quotes of ``venues``; of equal prices the first venue's is the best.

    Each event of these venues' quote channels goes to ``take``; what has changed goes to ``publish``, as
    events of the session ``number``.
    """

    def __init__(
        self, channel: Channel, venues: Sequence[str], publish: Callable[[MarketEvent], None], number: int = 0
    ) -> None:
        self._venues, self._publish, self._number = venues, publish, number
        self._quotes: dict[str, Quote] = {}
        self._denied: set[str] = set()
        self._best = BestQuote(str(channel), None)  # told last, without what its cause adds
        self._trust: Trust | None = None
        self._seq = 0

    def take(self, event: MarketEvent) -> None:
        """Look at a quote of a venue, or at what has become of its channel."""
        match event:
            case Quote(origin=origin, trust=trust) if origin is not Origin.BACKFILLED and trust in _RANKS:
                self._quotes[event.venue] = event
                self._denied.discard(event.venue)
                self._look(event)
            case Status(state="denied", detail=detail) if event.venue not in self._quotes:
                self._denied.add(event.venue)
                if self._denied.issuperset(self._venues):
                    self._tell(Status(self._best.channel, "denied", detail, trust=Trust.STALE), event)
            case Status(state=state) if state not in _RANKS and event.venue in self._quotes:
                del self._quotes[event.venue]
                self._look(event)

    def _look(self, cause: Quote | Status) -> None:
        """Tell the best quote, and how far it may be believed, where they have changed."""
        quotes = [self._quotes[venue] for venue in self._venues if venue in self._quotes]
        bid = max((q for q in quotes if _bid(q)), key=_bid, default=None)
        ask = min((q for q in quotes if _ask(q)), key=_ask, default=None)
        best = BestQuote(
            channel=self._best.channel,
            venue_ns=None,
            bid_text=bid.bid_text if bid else None,
            bid_size_text=bid.bid_size_text if bid else None,
            ask_text=ask.ask_text if ask else None,
            ask_size_text=ask.ask_size_text if ask else None,
            bid_venue=bid.venue if bid else None,
            ask_venue=ask.venue if ask else None,
            state=_state(bid, ask),
        )
        used = [quote for quote in (bid, ask) if quote is not None]
        trust = max((quote.trust for quote in used), key=_RANKS.index, default=Trust.STALE)
        events: list[BestQuote | Status] = []
        if trust is not self._trust:
            self._trust = trust
            events.append(Status(best.channel, trust, "" if used else "no venue has a quote"))
        if best != self._best:
            self._best = best
            events.append(replace(best, venue_ns=cause.venue_ns))
        proof = _joint(used) if trust is Trust.VERIFIED else None
        for event in events:
            self._tell(replace(event, trust=trust, proof=proof), cause)

    def _tell(self, event: BestQuote | Status, cause: Quote | Status) -> None:
        self._seq += 1
        place = {"recv_ns": cause.recv_ns, "session": self._number, "seq": self._seq}
        self._publish(replace(event, **place, origin=cause.origin))


def _bid(quote: Quote) -> Decimal:
    """The price, 0 where nobody bids."""
    return Decimal(quote.bid_text or 0)


def _ask(quote: Quote) -> Decimal:
    return Decimal(quote.ask_text or 0)


def _state(bid: Quote | None, ask: Quote | None) -> str:
    if bid is None or ask is None or _bid(bid) < _ask(ask):
        return ""
    return "locked" if _bid(bid) == _ask(ask) else "crossed"


def _joint(quotes: list[Quote]) -> Proof:
    """What the proofs of ``quotes`` cover together."""
    proofs = [quote.proof for quote in quotes if quote.proof is not None]
    depths = [proof.depth for proof in proofs if proof.depth is not None]
    methods = dict.fromkeys(proof.method for proof in proofs)
    since_ns = max((proof.since_ns for proof in proofs), default=0)
    return Proof(", ".join(methods), min(depths, default=None), since_ns)
