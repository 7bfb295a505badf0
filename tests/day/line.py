"""One line of livetape on a simulated vendor in virtual time, and all that may befall it."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from livetape.core.adapter import Adapter
from livetape.core.dialect import Pushed
from livetape.core.effects import Close, Fetch, Send
from livetape.core.events import Gap, LoggedIn, MarketEvent, Origin, Status, Why
from livetape.core.instruments import Channel
from livetape.core.session import Session
from livetape.core.times import SECOND
from livetape.feeds.endpoint import may_pass
from livetape.simulator.faults import ALTERED, WITHHELD, Corrupt, Dup, Faults, Told
from livetape.simulator.faults import Gap as Lose

from ..sessions import conserved
from .ledger import Account, Troubles
from .vendor import Client, Vendor

TICK_S = 0.2
FETCH_S = 0.3  #: what REST takes, on the average
TIMEOUT_S = 15.0  #: after which a REST call is given up and tried again
LATER = ("crossed", "audit")  #: of a book without a proof: what went wrong may be long ago


class Witness:
    """A client to whom nothing ever happens: what it hears goes into the vendor's side of the books."""

    def __init__(
        self, vendor: Vendor, adapter: Adapter, channels: Sequence[Channel], accounts: Mapping[str, Account]
    ) -> None:
        self._clock, self._adapter, self._accounts = vendor.clock, adapter, accounts
        self._channels = channels
        self._early: list[Pushed] = []
        self._client: Client | None = None
        self._client = vendor.connect(adapter, channels, self)
        for frame in adapter.login():
            self._client.ask(frame)
        if not adapter.awaits_login:
            self._subscribe()
        self.hear(self._early)
        if adapter.heartbeat_s is not None:
            vendor.clock.every(adapter.heartbeat_s, self._beat)

    def hear(self, pushed: Sequence[Pushed]) -> None:
        if self._client is None:  # the greeting
            self._early += pushed
            return
        for each in pushed:
            told = Counter[str]()
            for message in self._adapter.decode(each.frame):
                if isinstance(message, LoggedIn):
                    self._subscribe()
                elif each.channels and isinstance(message, MarketEvent) and message.channel in self._accounts:
                    told[message.channel] += 1
                    self._accounts[message.channel].tell(message, self._clock.now_ns)
            assert told == Counter(each.channels), each

    def parted(self) -> None:
        raise AssertionError("the vendor has hung up on the witness")

    def _subscribe(self) -> None:
        assert self._client is not None
        for frame in self._adapter.subscribe(self._channels):
            self._client.ask(frame)

    def _beat(self) -> None:
        assert self._client is not None
        if (sign := self._adapter.heartbeat(self._clock.now_ns)) is not None:
            self._client.ask(sign)


class Line:
    """Drives a real Session as ``feeds.Line`` does. Frames come at once, unless something befalls them."""

    def __init__(
        self,
        vendor: Vendor,
        make: Callable[[], Adapter],
        channels: Sequence[Channel],
        accounts: dict[str, Account],
        faults: Faults,
        random: Random,
    ) -> None:
        self.vendor, self.clock, self.accounts = vendor, vendor.clock, accounts
        self.troubles, self.problems = Troubles(), list[str]()
        self._caused = set[str]()  # channels with a gap that has a cause
        self.refused_until_ns = self.muted_until_ns = 0
        self.busy_until_ns = self.slow_until_ns = 0  # REST
        self.dials = 0
        self._make, self._faults, self._random = make, faults, random
        self.session = Session(make(), publish=self._publish, phase=lambda channel, ns: "open")
        self.session.want(channels, self.clock.now_ns)
        self._client: Client | None = None
        self._spoil: Callable[[Pushed], list[Told]] = lambda pushed: [Told(pushed)]
        self._scribe = make()  # reads what is struck
        self._inbox: deque[tuple[Told, int]] = deque()
        self._reading: Told | None = None
        self._sent_ns = 0  # of the frame that is read, or was last
        self._told: Counter[str] = Counter()  # what the session has handed out of it, by channel
        self._busy = False
        self._dial()
        self.clock.every(TICK_S, self._tick)

    # The connection

    @property
    def upstream(self) -> list[Channel]:
        return [state.channel for state in self.session.channels.values() if not state.derived]

    def _dial(self) -> None:
        now_ns = self.clock.now_ns
        if now_ns < self.refused_until_ns:
            self.session.unreachable("refused", now_ns)
            self._dial_later()
            return
        self.dials += 1
        self._inbox.clear()
        self._spoil = self._faults.spoiler(self.dials)
        self._scribe = self._make()
        self._scribe.subscribe(self.upstream)
        self._busy = True  # what is heard before we are here has to wait
        self._client = self.vendor.connect(self.session.adapter, self.upstream, self)
        self._busy = False
        self.session.connected(now_ns)
        self._work()

    def _dial_later(self, least_s: float = 0.0) -> None:
        self.clock.after(max(least_s, min(30.0, self._random.expovariate(0.2))), self._dial)

    def cut(self, cause: str, *, at_once: bool = False, wait_s: float = 0.0) -> None:
        """End the connection, if there is one."""
        self.muted_until_ns = 0
        client, self._client = self._client, None
        if client is None:
            return
        if client in self.vendor.clients:
            client.leave()
        self._inbox.clear()
        self.session.disconnected(cause, self.clock.now_ns)
        if at_once:
            self.clock.after(0.0, self._dial)
        else:
            self._dial_later(wait_s)

    def parted(self) -> None:
        self.cut("closed by the vendor")

    def mute(self, until_ns: int) -> None:
        """What is told until then comes then, if the connection lives as long."""
        if self._client is None or self.clock.now_ns < self.muted_until_ns:
            return
        self.muted_until_ns = until_ns
        for account in self.accounts.values():
            account.late_ns = until_ns
        self.clock.at(until_ns, partial(self._speak, self._client))

    def _speak(self, client: Client) -> None:
        if client is self._client and self.clock.now_ns == self.muted_until_ns:
            self.troubles.note(self.clock.now_ns)
            self._work()

    def calm(self) -> None:
        """From now on nothing is struck any more."""
        self._faults = Faults()
        self._spoil = self._faults.spoiler(0)

    # Frames

    def hear(self, pushed: Sequence[Pushed]) -> None:
        now_ns = self.clock.now_ns
        for each in pushed:
            for told in self._spoil(each):
                if told.fate in (WITHHELD, ALTERED):
                    self._strike(each, told.fate)
                if told.fate:
                    self.troubles.note(now_ns)
                if told.fate != WITHHELD:
                    self._inbox.append((told, now_ns))
        self._work()

    def _strike(self, pushed: Pushed, fate: str) -> None:
        for message in self._scribe.decode(pushed.frame):
            if isinstance(message, MarketEvent) and message.channel in self.accounts:
                self.accounts[message.channel].strike(message, self.clock.now_ns, fate)

    def _work(self) -> None:
        """Hear what has come in, and do what is to be done, until there is nothing."""
        if self._busy:
            return
        self._busy = True
        while self._client is not None:
            if effects := self.session.effects():
                for effect in effects:
                    self._carry_out(effect)
            elif self._inbox and self.clock.now_ns >= self.muted_until_ns:
                self._receive(*self._inbox.popleft())
            else:
                break
        self._busy = False

    def _carry_out(self, effect: Send | Fetch | Close) -> None:
        client = self._client
        match effect:
            case Send(frame=frame) if client is not None:
                client.ask(frame)
            case Fetch() if client is not None:
                self._fetch(client, effect, 0.0)
            case Close(cause=cause, at_once=at_once, wait_s=wait_s):
                self.cut(cause, at_once=at_once, wait_s=wait_s)

    def _receive(self, told: Told, sent_ns: int) -> None:
        self._reading, self._sent_ns = told, sent_ns
        self._told.clear()
        self.session.receive(told.pushed.frame, self.clock.now_ns)
        self._reading = None
        if told.fate != ALTERED and (more := self._told - Counter(told.pushed.channels)):
            self.problems.append(f"more than was sent: {more} of {told}")
        self._check()

    def _check(self) -> None:
        assert conserved(self.session), self.clock.now_ns

    def _tick(self) -> None:
        self.session.tick(self.clock.now_ns)
        self._work()

    # REST

    def _fetch(self, client: Client, fetch: Fetch, wait_s: float) -> None:
        """Ask, where the session insists until there is an answer, as long as the connection lives."""
        takes_s = self._random.expovariate(1 / FETCH_S)
        if self.clock.now_ns < self.slow_until_ns:
            takes_s += self._random.uniform(1, 2 * TIMEOUT_S)
        late = takes_s > TIMEOUT_S

        def answered() -> None:
            if client is self._client:
                self._answered(client, fetch, late=late)

        self.clock.after(wait_s + min(takes_s, TIMEOUT_S), answered)

    def _answered(self, client: Client, fetch: Fetch, *, late: bool) -> None:
        now_ns = self.clock.now_ns
        answer = self.vendor.answer(self.session.adapter, fetch.path)
        if late or now_ns < self.busy_until_ns or may_pass(answer.status):
            if fetch.insist:
                self._fetch(client, fetch, self._random.uniform(0.5, 5.0))
        elif answer.status == 200:
            self.session.fetched(fetch.name, answer.body, now_ns)
        else:
            self.session.refused(fetch.name, f"HTTP {answer.status}", Why.SYMBOL, now_ns)
        self._check()
        self._work()

    # The tape

    def _publish(self, event: MarketEvent) -> None:
        account = self.accounts.get(event.channel)
        if isinstance(event, Gap):
            self._judge(event)
            if account is not None:
                account.put(event)
        elif account is not None and not isinstance(event, Status):
            fate = self._reading.fate if self._reading is not None else ""
            if self._reading is not None and event.origin is not Origin.BACKFILLED:
                self._told[event.channel] += 1
            account.hear(event, self._sent_ns, self.clock.now_ns, fate)

    def _judge(self, gap: Gap) -> None:
        """A gap needs a cause: something within it, or another one that has brought it about."""
        if gap.end_ns is not None:
            self._caused.discard(gap.channel)
        elif (
            self._caused
            or gap.cause.startswith(LATER)
            or self.troubles.within(gap.start_ns, self.clock.now_ns)
        ):
            self._caused.add(gap.channel)
        else:
            self.problems.append(f"no cause: {gap}")

    def settle(self) -> None:
        """The end of the day: all is well, and the books that are proved are the market's."""
        for name, state in self.session.channels.items():
            if state.trust is not state.usual or state.gap is not None:
                self.problems.append(f"not well: {name} is {state.trust}, {state.cause}: {state.gap}")
            if state.book is None or state.guarantee is None or self.accounts[name].spoilt:
                continue  # a sequence does not cover what a message says
            truth = self.vendor.market.book(state.channel.symbol)
            assert truth is not None
            for ours, theirs in ((state.book.bids, truth.bids), (state.book.asks, truth.asks)):
                if ours.top(len(ours)) != theirs.top(self.session.adapter.depth or len(theirs)):
                    self.problems.append(f"wrong: {name} has {ours.top(10)} for {theirs.top(10)}")
        self._check()


class Weather:
    """Lets something happen to a line every ``mean_s`` or so, until it is calm."""

    def __init__(self, line: Line, random: Random, mean_s: float, calm_ns: int) -> None:
        self._line, self._random, self._mean_s, self._calm_ns = line, random, mean_s, calm_ns
        self._kinds = (self._drop, self._refuse, self._mute, self._die, self._busy, self._slow)
        self._go_on()

    def _go_on(self) -> None:
        clock = self._line.clock
        due_ns = clock.now_ns + round(self._random.expovariate(1 / self._mean_s) * SECOND)
        if due_ns < self._calm_ns:
            clock.at(due_ns, self._happen)

    def _happen(self) -> None:
        self._line.troubles.note(self._line.clock.now_ns)
        self._random.choice(self._kinds)()
        self._go_on()

    def _until(self, least_s: float, most_s: float) -> int:
        return self._line.clock.now_ns + round(self._random.uniform(least_s, most_s) * SECOND)

    def _drop(self) -> None:
        self._line.cut(self._random.choice(["reset by the vendor", "closed by the vendor: 1001"]))

    def _refuse(self) -> None:
        self._line.refused_until_ns = self._until(1, 60)
        self._line.cut("reset by the vendor")

    def _mute(self) -> None:
        """For a while: what should have been said comes late."""
        self._line.mute(self._until(0.5, 20))

    def _die(self) -> None:
        """The socket stays open, and nothing comes any more."""
        self._line.muted_until_ns = 1 << 62

    def _busy(self) -> None:
        self._line.busy_until_ns = self._until(5, 60)

    def _slow(self) -> None:
        self._line.slow_until_ns = self._until(5, 60)


def usual_faults(seed: int, every: int) -> Faults:
    """What befalls single frames, as often as one of ``every``."""
    return Faults([Lose(every), Dup(every), Corrupt(every)], seed)
