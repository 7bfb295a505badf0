"""The best quote over venues is what a naive look at all of them finds, and is told only when it changes."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from livetape.core.consolidated import Consolidated
from livetape.core.events import BestQuote, Gap, MarketEvent, Origin, Proof, Quote, Status, Trust
from livetape.core.instruments import Channel

BEST = Channel("best", "BTC-USD", "quote")
VENUES = ("a", "b", "c")
WELL = (Trust.VERIFIED, Trust.LIVE, Trust.UNVERIFIABLE)  # the weakest last
Sides = tuple[str | None, str | None, str | None, str | None, str | None, str | None]


def quote(venue: str, bid: str | None, ask: str | None, trust: Trust = Trust.LIVE) -> Quote:
    proof = Proof("crc32", 10, 5) if trust is Trust.VERIFIED else None
    sizes = bid and "1", ask and "2"
    name = f"{venue}:BTC-USD/quote"
    return Quote(name, 7, bid, sizes[0], ask, sizes[1], recv_ns=8, trust=trust, proof=proof)


def status(venue: str, state: str) -> Status:
    return Status(f"{venue}:BTC-USD/quote", state, recv_ns=9)


def told(events: Iterable[MarketEvent]) -> list[MarketEvent]:
    found: list[MarketEvent] = []
    best = Consolidated(BEST, VENUES, found.append, 3)
    for event in events:
        best.take(event)
    return found


def sides(best: BestQuote) -> Sides:
    return (
        *(best.bid_text, best.bid_size_text, best.bid_venue),
        *(best.ask_text, best.ask_size_text, best.ask_venue),
    )


def last(events: Iterable[MarketEvent]) -> BestQuote:
    return [event for event in told(events) if isinstance(event, BestQuote)][-1]


def test_each_side_is_of_the_venue_that_has_it() -> None:
    best = last([quote("a", "100", "103"), quote("b", "101", "104"), quote("c", "99", "102.5")])
    assert sides(best) == ("101", "1", "b", "102.5", "2", "c")
    assert (best.bid, best.ask, best.state) == (101.0, 102.5, "")
    assert (best.channel, best.venue_ns, best.recv_ns, best.session) == ("best:BTC-USD/quote", 7, 8, 3)


def test_only_changes_are_told() -> None:
    quotes = [
        quote("a", "100", "103"),
        quote("b", "99", "104"),
        quote("b", "98", "105"),
        quote("a", "100", "103"),
    ]
    assert [type(event) for event in told(quotes)] == [Status, BestQuote]


def test_of_equal_prices_the_first_venue_has_the_best() -> None:
    assert sides(last([quote("b", "100.0", "103"), quote("a", "100", "103.00")]))[2] == "a"


def test_locked_and_crossed_are_noticed() -> None:
    assert last([quote("a", "100", "103"), quote("b", "103.0", "104")]).state == "locked"
    assert last([quote("a", "100", "103"), quote("b", "103.1", "104")]).state == "crossed"


def test_a_venue_whose_channel_is_not_well_drops_out_at_once_and_comes_back_with_a_quote() -> None:
    for state in ("stale", "resyncing", "denied", "queued"):
        events = told(
            [quote("a", "100", "103"), quote("b", "101", "102"), status("b", state), status("b", "live")]
        )
        assert isinstance(events[-1], BestQuote)
        assert sides(events[-1]) == ("100", "1", "a", "103", "2", "a")
        assert events[-1].recv_ns == 9
        assert events[-1].venue_ns is None


def test_nobody_is_told_as_well() -> None:
    events = told([quote("a", "100", "103"), status("a", "stale"), quote("a", "100", "103")])
    assert [(event.channel, event.trust) for event in events[2:4]] == [
        ("best:BTC-USD/quote", Trust.STALE)
    ] * 2
    assert isinstance(events[3], BestQuote)
    assert sides(events[3]) == (None,) * 6
    assert [event.trust for event in events[4:]] == [Trust.LIVE, Trust.LIVE]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]


def test_a_price_of_zero_and_an_empty_side_are_no_offers() -> None:
    assert sides(last([quote("a", None, "0"), quote("b", "0.0", "103")])) == (
        None,
        None,
        None,
        "103",
        "2",
        "b",
    )


def test_the_trust_is_the_weakest_of_the_sides_used() -> None:
    verified, unverifiable = Trust.VERIFIED, Trust.UNVERIFIABLE
    unused = quote("c", "1", "999", unverifiable)
    events = told([quote("a", "100", "103", verified), unused, quote("b", "100.5", "104")])
    assert [event.trust for event in events] == [verified, verified, Trust.LIVE, Trust.LIVE]
    assert events[1].proof == Proof("crc32", 10, 5)
    assert [event.state for event in events if isinstance(event, Status)] == ["verified", "live"]
    assert (
        last([quote("a", "100", "103", verified), quote("b", "101", "104", unverifiable)]).trust
        is unverifiable
    )


def test_the_proof_of_two_venues_is_what_both_cover() -> None:
    other = replace(quote("b", "101", "105", Trust.VERIFIED), proof=Proof("sequence", None, 9))
    assert last([quote("a", "100", "103", Trust.VERIFIED), other]).proof == Proof("sequence, crc32", 10, 9)


def test_history_and_gaps_change_nothing() -> None:
    past = replace(quote("a", "105", "106"), origin=Origin.BACKFILLED)
    assert not told([past, Gap("a:BTC-USD/quote", 1, 2, "reset"), status("a", "stale"), status("a", "live")])


prices = st.none() | st.sampled_from(["0", "99", "99.50", "99.5", "100", "100.0", "101", "102"])
events = st.one_of(
    st.builds(quote, st.sampled_from(VENUES), prices, prices, st.sampled_from(WELL)),
    st.builds(status, st.sampled_from(VENUES), st.sampled_from([*Trust, "denied"])),
)


@given(st.lists(events, max_size=40))
def test_what_was_told_last_is_what_a_naive_look_finds(happened: list[Quote | Status]) -> None:
    found: list[MarketEvent] = []
    best = Consolidated(BEST, VENUES, found.append)
    quotes: dict[str, Quote] = {}
    for event in happened:
        before = len(found)
        best.take(event)
        if isinstance(event, Quote):
            quotes[event.venue] = event
        elif event.state not in list(WELL):
            quotes.pop(event.venue, None)
        bids = [(Decimal(q.bid_text), q) for v in VENUES if (q := quotes.get(v)) and q.bid_text and q.bid]
        asks = [(Decimal(q.ask_text), q) for v in VENUES if (q := quotes.get(v)) and q.ask_text and q.ask]
        bid = next((q for price, q in bids if price == max(p for p, _ in bids)), None)
        ask = next((q for price, q in asks if price == min(p for p, _ in asks)), None)
        expected: Sides = (
            *((bid.bid_text, bid.bid_size_text, bid.venue) if bid else (None,) * 3),
            *((ask.ask_text, ask.ask_size_text, ask.venue) if ask else (None,) * 3),
        )
        shown = [each for each in found if isinstance(each, BestQuote)]
        assert (sides(shown[-1]) if shown else (None,) * 6) == expected
        weakest = max((q.trust for q in (bid, ask) if q), key=WELL.index, default=Trust.STALE)
        states = [each.state for each in found if isinstance(each, Status)]
        assert not states or states[-1] == weakest
        assert len(found) - before <= 2
    shown = [each for each in found if isinstance(each, BestQuote)]
    assert all(sides(a) != sides(b) for a, b in pairwise(shown))
    states = [each.state for each in found if isinstance(each, Status)]
    assert all(a != b for a, b in pairwise(states))
