"""Live bars end as the bars of all prints, as amended, and never look better than what they are made of."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from livetape.core.bars import Grid, candles
from livetape.core.events import (
    Amendment,
    Bar,
    Gap,
    MarketEvent,
    Origin,
    Proof,
    Quote,
    Status,
    Trade,
    Trust,
    Why,
)
from livetape.core.instruments import Channel
from livetape.core.livebars import KEPT, LATE_NS, TICK_NS, LiveBars
from livetape.core.times import SECOND

BARS = Channel("toy", "X", "bar.10s")
TRADES, QUOTES = "toy:X/trade", "toy:X/quote"
TEN = 10 * SECOND
PROOF = Proof("trade id", None, 1)
FOREVER = 1 << 62


def at(seconds: float) -> int:
    return round(seconds * SECOND)


def trade(
    s: float, price: str, size: str = "1", *, late: float = 0, name: str | None = None, **more: object
) -> Trade:
    """A trade of the second ``s`` that is told so much later; ``more`` are other fields."""
    made = Trade(TRADES, at(s), price, size, None, name, recv_ns=at(s + late), session=1)
    return replace(made, **more)


def status(s: float, state: str = "live", **more: object) -> Status:
    return replace(Status(TRADES, state, recv_ns=at(s), session=1), **more)


def gap(
    start: float, end: float | None, *, told: float, healed: str | None = None, trust: Trust = Trust.STALE
) -> Gap:
    ended = None if end is None else at(end)
    return Gap(TRADES, at(start), ended, "lost", healed, recv_ns=at(told), session=1, trust=trust)


class Told:
    """Live bars and all that they have told."""

    def __init__(self, *events: MarketEvent, recent: int = 100, channel: Channel = BARS) -> None:
        self.events: list[MarketEvent] = []
        self.live = LiveBars(channel, Grid(TEN), self.events.append, 7, recent=recent)
        for event in events:
            self.live.take(event)

    def until(self, s: float) -> "Told":
        self.live.tick(at(s))
        return self

    @property
    def bars(self) -> list[Bar]:
        return [event for event in self.events if isinstance(event, Bar)]

    def last(self, s: float) -> Bar:
        """The bar of the second ``s``, as told last."""
        return [bar for bar in self.bars if bar.start_ns == at(s)][-1]


def begun(*events: MarketEvent, recent: int = 100) -> Told:
    """The same on a channel that has been well since the first second."""
    return Told(status(1), *events, recent=recent)


def test_a_bar_is_told_while_it_runs_and_once_when_it_is_over() -> None:
    told = begun(trade(10, "100.10", "0.1"), trade(10.1, "101", "0.2"), trade(15, "99.5", "0.3")).until(30)
    assert [(bar.close_text, bar.closed) for bar in told.bars] == [
        ("101", False),
        ("99.5", False),
        ("99.5", True),
    ]
    bar = told.bars[-1]
    assert (bar.open_text, bar.high_text, bar.low_text, bar.volume_text) == ("100.10", "101", "99.5", "0.6")
    assert (bar.trades, bar.vwap_text, bar.revision, bar.venue_ns) == (3, "100.100000", 0, at(15))
    assert (bar.channel, bar.start_ns, bar.session, bar.recv_ns) == ("toy:X/bar.10s", at(10), 7, at(20.6))
    assert bar.trust == "live"


def test_running_bars_are_told_five_times_a_second_at_most() -> None:
    told = begun(*(trade(20 + n / 100, "1") for n in range(500))).until(60)
    assert len(told.bars) == 5 * SECOND // TICK_NS + 1


def test_a_late_trade_revises_a_closed_bar() -> None:
    told = begun(trade(10, "5"), trade(25, "6"), trade(12, "7", late=15)).until(60)
    assert [(bar.high_text, bar.closed, bar.revision) for bar in told.bars if bar.start_ns == at(10)] == [
        ("5", False, 0),
        ("5", True, 0),
        ("7", True, 1),
    ]
    assert told.last(10).close_text == "7"


def test_a_correction_and_a_cancellation_revise_too() -> None:
    told = begun(trade(10, "5", "2", name="a"), trade(11, "9", "4", name="b")).until(30)
    told.live.take(Amendment(TRADES, None, "b", "9", "4", "6", "3", "c", recv_ns=at(30)))
    told.until(31)
    assert (told.last(10).high_text, told.last(10).volume_text, told.last(10).revision) == ("6", "5", 1)
    told.live.take(Amendment(TRADES, None, "c", "6", "3", recv_ns=at(32)))
    told.until(33)
    assert (told.last(10).close_text, told.last(10).trades, told.last(10).revision) == ("5", 1, 2)
    told.live.take(Amendment(TRADES, None, "a", "5", "2", recv_ns=at(34)))
    told.until(35)
    assert (told.last(10).trades, told.last(10).volume_text, told.last(10).vwap_text) == (0, "0", None)
    told.live.take(Amendment(TRADES, None, "a", "5", "2", recv_ns=at(36)))
    assert (told.live.received, told.live.delivered, told.live.discarded) == (6, 5, 1)


def test_only_the_last_trades_can_be_amended() -> None:
    told = begun(*(trade(10 + n / 10, str(n + 1), name=str(n)) for n in range(5)), recent=2)
    told.live.take(Amendment(TRADES, None, "2", "3", "1", recv_ns=at(11)))
    told.live.take(Amendment(TRADES, None, "4", "5", "1", recv_ns=at(11)))
    told.until(30)
    assert (told.last(10).high_text, told.last(10).trades) == ("4", 4)
    assert told.live.discarded == 1


def test_the_first_bar_is_not_whole_and_says_so() -> None:
    told = Told(status(0, "resyncing"), status(14), trade(15, "1"), trade(25, "1")).until(60)
    assert [told.last(10).trust, told.last(20).trust] == ["resyncing", "live"]


def test_a_bar_over_a_gap_does_not_look_clean_until_it_is_healed() -> None:
    ended = gap(22, 24, told=24, trust=Trust.RESYNCING)
    events = (trade(11, "1"), trade(21, "1"), gap(22, None, told=23), ended, trade(25, "1"), trade(31, "1"))
    told = begun(*events).until(60)
    assert [bar.trust for bar in told.bars if bar.start_ns == at(20)] == [
        "live",
        "stale",
        "resyncing",
        "resyncing",
        "resyncing",
    ]
    assert [told.last(10).trust, told.last(30).trust] == ["live", "live"]
    told.live.take(trade(22.5, "2", late=38, origin=Origin.BACKFILLED))
    told.live.take(gap(22, 24, told=60.55, healed="history"))
    told.until(62)
    bar = told.last(20)
    assert (bar.trust, bar.revision, bar.trades, bar.origin) == ("live", 1, 3, "live")
    assert [event.healed for event in told.events if isinstance(event, Gap)] == [None, None, "history"]


def test_a_gap_that_is_noticed_late_takes_back_what_was_told() -> None:
    told = begun(trade(11, "1"), trade(41, "1"), gap(15, None, told=45)).until(60)
    assert [(bar.trust, bar.revision) for bar in told.bars if bar.start_ns == at(10)][-2:] == [
        ("live", 0),
        ("stale", 1),
    ]
    assert told.last(40).trust == "stale"


def test_a_bar_is_worth_what_its_weakest_print_is_worth() -> None:
    well = {"trust": Trust.VERIFIED, "proof": PROOF}
    told = begun(trade(11, "1", **well), trade(21, "1", **well), trade(22, "1")).until(60)
    assert [(told.last(s).trust, told.last(s).proof) for s in (10, 20)] == [
        ("verified", PROOF),
        ("live", None),
    ]


def test_what_becomes_of_the_trades_is_told_of_the_bars() -> None:
    told = Told(status(1, "denied", detail="no", why=Why.PLAN, trust=Trust.STALE), gap(2, None, told=3))
    [denied, lost] = told.events
    assert isinstance(denied, Status)
    assert (denied.channel, denied.state, denied.detail, denied.why) == (
        "toy:X/bar.10s",
        "denied",
        "no",
        "plan",
    )
    assert (lost.channel, lost.session, lost.seq) == ("toy:X/bar.10s", 7, 2)


def test_bars_of_trades_that_come_already_begin_with_their_trust() -> None:
    told = Told(trade(15, "1", trust=Trust.VERIFIED, proof=PROOF), trade(25, "1")).until(60)
    [first, *_] = told.events
    assert isinstance(first, Status)
    assert (first.channel, first.state, first.proof) == ("toy:X/bar.10s", "verified", PROOF)
    assert [told.last(10).trust, told.last(20).trust] == ["resyncing", "live"]


def test_a_feed_that_is_delayed_by_a_quarter_of_an_hour_has_no_late_trades() -> None:
    told = begun(*(trade(s, "1", late=900) for s in range(1, 60))).until(1_000)
    closed = [bar for bar in told.bars if bar.closed and bar.start_ns >= at(10)]
    assert [(bar.trades, bar.revision) for bar in closed] == [(10, 0)] * 5


def test_a_clock_that_is_said_to_be_far_ahead_ends_no_bar() -> None:
    told = begun(
        trade(10, "1"), trade(9_999_999, "1", late=-9_999_988), trade(12, "1"), trade(19.9, "1")
    ).until(60)
    assert (told.last(10).trades, told.last(10).revision) == (3, 0)


def test_bars_of_quotes_are_of_the_mids_and_have_no_volume() -> None:
    sides = [("1.1000", "1.1003"), ("1.2", None), ("1.1", "1.2")]
    quotes = [Quote(QUOTES, at(10 + n), b, "1", a, "1", recv_ns=at(10 + n)) for n, (b, a) in enumerate(sides)]
    told = Told(replace(status(1), channel=QUOTES), *quotes).until(60)
    bar = told.last(10)
    assert (bar.open_text, bar.high_text, bar.close_text) == ("1.10015", "1.15", "1.15")
    assert (bar.volume_text, bar.trades, bar.vwap_text) == ("0", 0, None)
    assert (told.live.delivered, told.live.discarded) == (2, 1)


def test_only_so_many_bars_can_still_change() -> None:
    told = begun(*(trade(10 * n, "1", name=str(n)) for n in range(1, KEPT + 50)))
    before = len(told.bars)
    told.live.take(trade(10, "2", late=20 * KEPT, name="late"))
    told.live.take(Amendment(TRADES, None, "1", "1", "1", recv_ns=at(21 * KEPT)))
    told.until(30 * KEPT)
    assert told.live.discarded == 2
    assert {bar.start_ns for bar in told.bars[before:]} <= {at(10 * (KEPT + n)) for n in (48, 49)}


def test_an_id_that_a_vendor_gives_twice_stops_nothing() -> None:
    told = begun(*(trade(10 * n, "1", name=str(n)) for n in range(1, 4)))
    told.live.take(Amendment(TRADES, None, "1", "1", "1", "2", "1", "3", recv_ns=at(41)))
    for n in range(5, KEPT + 50):
        told.live.take(trade(10 * n, "1", name=str(n)))
    told.until(20 * KEPT)
    assert told.bars[-1].closed


def test_what_sets_no_price_makes_no_bar_but_counts_once_there_is_one() -> None:
    told = begun(trade(11, "5", "3", excluded=("last", "range"))).until(15)
    assert told.bars == []
    told.live.take(trade(16, "6", "1"))
    bar = told.until(60).last(10)
    assert (bar.open_text, bar.high_text, bar.volume_text, bar.trades) == ("6", "6", "4", 2)


def test_a_replay_says_so() -> None:
    told = begun(trade(11, "5", origin=Origin.REPLAYED)).until(60)
    assert told.last(10).origin == "replayed"


# Whatever comes


@st.composite
def streams(draw: st.DrawFn, lates: Sequence[float] = (0.0, 0.3, 12.0)) -> list[MarketEvent]:
    """Trades, some of them late, amendments of them and of what they became, and gaps."""
    events: list[MarketEvent] = [status(0.1)]
    names: list[str] = []
    now = 1.0
    for n in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0.0, 0.05, 0.7, 4.0, 23.0]))
        price, size = (draw(st.sampled_from(["1", "1.50", "2.25", "0.1"])) for _ in range(2))
        what = draw(st.sampled_from(["trade", "trade", "trade", "cancel", "correct", "gap"]))
        if what == "gap":
            events.append(gap(now - draw(st.sampled_from([0.1, 8.0])), now, told=now))
        elif what == "trade" or not names:
            names.append(f"t{n}")
            late = draw(st.sampled_from(lates))
            events.append(trade(now - late, price, size, late=late, name=names[-1], seq=n))
        else:
            old = names.pop(draw(st.integers(0, len(names) - 1)))
            new = (price, size, f"c{n}") if what == "correct" else (None, None, None)
            names += [new[2]] if new[2] else []
            events.append(Amendment(TRADES, None, old, "", "", *new, recv_ns=at(now), seq=n))
    return events


def amended(events: Iterable[MarketEvent]) -> list[Trade]:
    """The trades as they are right at last."""
    right: dict[str | None, Trade] = {}
    for event in events:
        if isinstance(event, Trade):
            right[event.id] = event
        elif isinstance(event, Amendment):
            wrong = right.pop(event.trade_id)
            if event.price_text is not None and event.size_text is not None:
                right[event.id] = replace(wrong, price_text=event.price_text, size_text=event.size_text)
    return sorted(right.values(), key=lambda one: (one.recv_ns, one.seq))


def last(bars: Sequence[Bar]) -> dict[int, Bar]:
    return {bar.start_ns: bar for bar in bars}


@given(streams())
def test_the_last_revisions_are_the_bars_of_all_trades_as_amended(events: list[MarketEvent]) -> None:
    told = Told(*events)
    told.live.tick(FOREVER)
    wanted = candles([(t.venue_ns or 0, t.price_text, t.size_text, t.excluded) for t in amended(events)], TEN)
    found = [bar for _, bar in sorted(last(told.bars).items()) if bar.trades]
    assert [
        (b.start_ns, b.open_text, b.high_text, b.low_text, b.close_text, b.volume_text, b.trades)
        for b in found
    ] == [
        (c.start_ns, *(f"{n:f}" for n in (c.open, c.high, c.low, c.close, c.volume)), c.trades)
        for c in wanted
    ]
    assert all(bar.closed for bar in found)
    assert told.live.received == told.live.delivered + told.live.discarded


@given(streams())
def test_revisions_count_from_one_and_every_telling_is_news(events: list[MarketEvent]) -> None:
    told = Told(*events)
    told.live.tick(FOREVER)
    stamps = [(event.recv_ns, event.seq) for event in told.events]
    assert stamps == sorted(stamps)
    for _, group in groupby(sorted(told.bars, key=lambda bar: bar.start_ns), key=lambda bar: bar.start_ns):
        bars = list(group)
        running = [bar for bar in bars if not bar.closed]
        assert bars[: len(running)] == running
        assert all(bar.revision == 0 for bar in running)
        assert [bar.revision for bar in bars[len(running) :]] == list(range(len(bars) - len(running)))
        content = [replace(bar, recv_ns=0, seq=0, revision=0) for bar in bars]
        assert all(one != other for one, other in pairwise(content))


@given(streams(), st.lists(st.floats(0.0, 3.0), max_size=200))
def test_when_the_clock_is_looked_at_changes_nothing(events: list[MarketEvent], waits: list[float]) -> None:
    plain, ticked = Told(*events), Told()
    now_ns, pending = 0, list(waits)
    for event in events:
        while pending and now_ns + at(pending[0]) <= event.recv_ns:
            now_ns += at(pending.pop(0))
            ticked.live.tick(now_ns)
        ticked.live.take(event)
        now_ns = max(now_ns, event.recv_ns)
    for told in (plain, ticked):
        told.live.tick(FOREVER)
    assert plain.events == ticked.events


@given(streams((0.0, 0.1)))
def test_a_bar_over_an_unhealed_gap_never_ends_as_clean(events: list[MarketEvent]) -> None:
    told = Told(*events)
    told.live.tick(FOREVER)
    lost = [event for event in events if isinstance(event, Gap)]
    for start_ns, bar in last(told.bars).items():
        over = [g for g in lost if g.start_ns < start_ns + TEN and (g.end_ns or 0) - at(0.1) > start_ns]
        assert not over or bar.trust in (Trust.STALE, Trust.RESYNCING)


def test_bars_close_a_little_after_their_interval() -> None:
    told = begun(trade(10, "1"))
    told.live.tick(at(20) + LATE_NS - 1)
    assert not told.bars[-1].closed
    due_ns = told.live.due_ns
    assert due_ns is not None
    assert at(20) + LATE_NS <= due_ns <= at(20) + LATE_NS + TICK_NS
    told.live.tick(due_ns)
    assert told.bars[-1].closed
    assert told.live.due_ns is None
