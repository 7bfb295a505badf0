"""A channel learns its own pace: quiet is told from dead, without false alarms."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from livetape.calendars import Hours, calendar_hours
from livetape.core.channel import Channels, ChannelState
from livetape.core.effects import Close, Effect, Send
from livetape.core.events import Gap, Origin, Status, Trust
from livetape.core.instruments import Channel
from livetape.core.keeper import Keeper
from livetape.core.liveness import FIRST, LEAST_NS, Pace, Watch
from livetape.core.outlet import Outlet
from livetape.core.session import Session
from livetape.core.times import ns_of

from ..sessions import conserved
from .toy import SECOND, Nameless, Toy, says

HOUR = 3_600 * SECOND
OPEN = "open"


def always(channel: Channel, ns: int) -> str | None:
    return OPEN


def paced(seconds: float, n: int) -> Pace:
    chance, pace = Random(7), Pace()
    for _ in range(n):
        pace.add(int(chance.expovariate(1 / seconds) * SECOND))
    return pace


def test_nothing_is_known_of_a_channel_that_has_hardly_spoken() -> None:
    assert paced(1, FIRST - 1).patience_ns is None


def test_a_channel_that_fell_mute_in_its_first_seconds_is_found_as_well() -> None:
    world = World("toy:A/trade")
    for n in range(8):
        world.hear(["trade", "A", n, None])
        world.wait(0.4)
    world.wait(12)
    assert len(world.stale()) == 1


@pytest.mark.parametrize(("n", "least", "most"), [(100, 5, 12), (2_000, 6, 11), (100_000, 6, 9)])
def test_the_usual_interval_is_exceeded_once_in_a_thousand(n: int, least: float, most: float) -> None:
    usual_ns = paced(10, n).usual_ns
    assert usual_ns is not None
    assert least * 10 < usual_ns / SECOND < most * 10


def test_nobody_is_impatient_with_a_busy_channel() -> None:
    assert paced(0.1, 5_000).patience_ns == LEAST_NS


class World:
    """A session whose time is stepped as the line steps it."""

    def __init__(self, *channels: str, toy: type[Toy] = Toy, phase: object = always) -> None:
        self.gaps: list[Gap] = []
        self.marks: list[tuple[float, str, str]] = []  # when, channel, trust
        self.session = Session(toy(), publish=self._keep, phase=phase)  # type: ignore[arg-type]
        self.session.want(map(Channel.parse, channels), 0)
        self.now = 1_000.0
        self.session.connected(self.ns)
        self.session.effects()

    @property
    def ns(self) -> int:
        return int(self.now * SECOND)

    def _keep(self, event: object) -> None:
        if isinstance(event, Status):
            self.marks.append((self.now, event.channel, event.state))
        elif isinstance(event, Gap):
            self.gaps.append(event)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.2
            self.session.tick(self.ns)

    def hear(self, *items: list[object]) -> None:
        self.session.receive(says(*items), self.ns)

    def stale(self) -> list[tuple[float, str]]:
        return [(now, channel) for now, channel, trust in self.marks if trust == Trust.STALE]


def test_a_mute_channel_among_busy_ones_is_found_marked_and_asked_for_again() -> None:
    world = World("toy:A/trade", "toy:B/trade")
    for n in range(200):
        world.hear(["trade", "A", n, None], ["trade", "B", n, None])
        world.wait(0.4)
    muted = world.now
    for n in range(200, 300):
        world.hear(["trade", "A", n, None])
        world.wait(0.4)
    [(found, name)] = world.stale()
    assert name == "toy:B/trade"
    assert 4 < found - muted <= 5
    effects = world.session.effects()
    assert not [effect for effect in effects if isinstance(effect, Close)]  # the others are well
    assert Send(b'["subscribe","toy:B/trade"]') in effects
    world.hear(["ack", "toy:B/trade"])
    assert world.session.channels["toy:B/trade"].trust is Trust.STALE  # that is no data yet
    world.hear(["trade", "B", 200, None])
    assert world.session.channels["toy:B/trade"].trust is Trust.VERIFIED
    assert [(gap.channel, gap.healed) for gap in world.gaps] == [(name, None), (name, "complete")]
    assert conserved(world.session)


@pytest.mark.parametrize(("toy", "after"), [(Toy, Trust.VERIFIED), (Nameless, Trust.STALE)])
def test_a_quiet_book_goes_on_only_where_its_numbers_show_that_nothing_was_lost(
    toy: type[Toy], after: Trust
) -> None:
    world = World("toy:A/book", toy=toy)
    for n in range(100):
        world.hear(["book", "A", n])
        world.wait(0.4)
    world.wait(10)
    assert [name for _, name in world.stale()] == ["toy:A/book"]
    world.hear(["book", "A", 100])
    assert world.session.channels["toy:A/book"].trust is after
    world.hear(["book", "A", 0])
    assert world.session.channels["toy:A/book"].trust is world.session.channels["toy:A/book"].usual
    assert world.session.channels["toy:A/book"].gap is None
    assert conserved(world.session)


def test_nothing_is_expected_of_a_closed_market_or_a_halted_instrument() -> None:
    world = World("toy:A/trade", "toy:A/status", phase=lambda _, ns: OPEN if ns < 1_600 * SECOND else None)
    for n in range(500):
        world.hear(["trade", "A", n, None])
        world.wait(0.4)
    world.hear(["status", "A", "halted"])
    world.wait(100)
    world.hear(["status", "A", "resumed"])
    world.wait(2)
    n = 500
    while world.now < 1_600:
        world.hear(["trade", "A", n := n + 1, None])
        world.wait(0.4)
    world.wait(300)
    assert world.stale() == []


def test_a_new_connection_and_a_new_phase_begin_to_count_anew() -> None:
    world = World("toy:A/trade", phase=lambda _, ns: OPEN if ns < 1_100 * SECOND else "later")
    for n in range(100):
        world.hear(["trade", "A", n, None])
        world.wait(0.4)
    world.session.disconnected("reset", world.ns)
    world.now += 50
    world.session.connected(world.ns)
    world.hear(["ack", "toy:A/trade"], ["trade", "A", 100, None])
    world.wait(2)
    marks = len(world.stale())
    assert marks == 1  # the disconnection's own
    n = 100
    while world.now < 1_101:
        world.hear(["trade", "A", n := n + 1, None])
        world.wait(0.4)
    world.wait(8)  # nothing is known of this phase: twice the patience of the other
    assert len(world.stale()) == marks
    world.wait(3)
    assert len(world.stale()) == marks + 1


def arrivals(chance: Random, hours: Hours, mean_s: float, start: datetime, days: int) -> Iterator[int]:
    """Times in ns at random, six times as often at the opening and the closing of the market."""
    ns, end_ns = ns_of(start), ns_of(start + timedelta(days))
    while ns < end_ns:
        busy = 6 if hours.phase(ns) in ("opening", "closing") else 1
        ns += int(chance.expovariate(busy / mean_s) * SECOND)
        if hours.is_open(ns):
            yield ns
        else:
            ns = hours.next_open(ns) or end_ns


class Sound:
    """A channel that is never mute, looked at just before and after each of its events."""

    def __init__(self, hours: Hours) -> None:
        adapter, self._outlet = Nameless(), Outlet(0, Origin.LIVE, lambda event: None)
        channels, effects = Channels(adapter), list[Effect]()
        self.state = channels["toy:A/trade"] = ChannelState(Channel("toy", "A", "trade"), adapter)
        books = Keeper(adapter, channels, self._outlet, effects)
        self.watch = Watch(channels, self._outlet, books, lambda channel, ns: hours.phase(ns))
        self.alarms = 0

    def hear(self, ns: int) -> None:
        self.look(ns - 1)
        self.alarms += self.state.trust is Trust.STALE and self.state.heard_ns > 0
        self._outlet.confirm(self.state, ns)
        self.look(ns)

    def look(self, ns: int) -> None:
        self.watch.tick(ns)


def false_alarms(hours: Hours, mean_s: float, start: datetime, days: int, halts: float) -> int:
    """How often a sound channel was called stale."""
    chance, sound, halted_ns = Random(f"{mean_s} {start}"), Sound(hours), 0
    for ns in arrivals(chance, hours, mean_s, start, days):
        if ns < halted_ns:
            continue
        if halted_ns:
            sound.watch.halt("A", "resumed")
            sound.look(halted_ns)
            halted_ns = 0
        for edge_ns in (hours.next_close(sound.state.heard_ns), hours.next_open(sound.state.heard_ns)):
            if edge_ns is not None and edge_ns < ns:
                sound.look(edge_ns - 1)
                sound.look(edge_ns)
        sound.hear(ns)
        if chance.random() < halts:
            sound.watch.halt("A", "halted")
            sound.look(ns)
            halted_ns = ns + chance.randrange(HOUR)
    return sound.alarms


@pytest.mark.parametrize(
    ("calendar", "mean_s", "days"),
    [("XNYS", 30, 15), ("XNYS", 300, 365), ("XNYS", 3_600, 730), ("forex", 600, 90), ("24/7", 600, 90)],
)
def test_a_quiet_instrument_is_hardly_ever_called_stale(calendar: str, mean_s: float, days: int) -> None:
    """Through nights, weekends, holidays, half days and halts."""
    start, hours = datetime(2025, 1, 1, tzinfo=UTC), calendar_hours(calendar)
    assert false_alarms(hours, mean_s, start, days, 0.001) <= days / 1_000


def test_a_channel_that_was_given_up_meanwhile_begins_to_count_anew() -> None:
    world = World("toy:A/trade", "toy:B/trade")
    n = 0
    for _ in range(100):
        world.hear(["trade", "A", n := n + 1, None], ["trade", "B", n, None])
        world.wait(0.4)
    world.session.drop([Channel("toy", "A", "trade")], world.ns)
    for _ in range(600):
        world.hear(["trade", "B", n := n + 1, None])
        world.wait(0.4)
    world.session.want([Channel("toy", "A", "trade")], world.ns)
    for _ in range(10):
        world.hear(["trade", "A", n := n + 1, None], ["trade", "B", n, None])
        world.wait(0.4)
    assert world.stale() == []
    muted = world.now
    while not world.stale() and world.now < muted + 60:
        world.hear(["trade", "B", n := n + 1, None])
        world.wait(0.4)
    [(found, name)] = world.stale()
    assert (name, found - muted <= 6) == ("toy:A/trade", True)


def test_a_subscriber_may_give_up_a_channel_as_it_is_marked() -> None:
    world = World("toy:A/trade", "toy:B/trade")
    keep = world.session._outlet._publish
    assert keep is not None

    def give_up(event: object) -> None:
        keep(event)  # type: ignore[arg-type]
        if isinstance(event, Status) and event.state == Trust.STALE:
            world.session.drop([Channel("toy", "B", "trade")], world.ns)

    world.session._outlet._publish = give_up
    for n in range(100):
        world.hear(["trade", "A", n, None], ["trade", "B", n, None])
        world.wait(0.4)
    world.wait(20)
    assert [name for _, name in world.stale()] == ["toy:A/trade"]
