"""One upstream connection's protocol, without the connection (floor 3).

Frames, fetched answers and the time go in; events come out of each call, and effects wait in ``effects()``
for whoever holds the socket. The live feed, the replay and the tests all drive this same object.

Rule 1: a book that is not whole is never handed out. From the moment something is known to be lost until a
        snapshot has arrived, its channel is ``resyncing`` and silent.
Rule 2: every interval in which a channel may have missed something is told as a Gap, when it opens and when
        it has ended.
Rule 3: what time brings, it brings on a grid: the same input at the same times gives the same events.
Rule 4: trouble of one symbol is that symbol's; only a counter of the whole connection, silence or the
        venue's own word ends the connection.
"""

from collections.abc import Callable, Iterable, Sequence

from .adapter import Adapter
from .auditor import PREFIX as AUDIT
from .auditor import Auditor
from .channel import Channels, ChannelState
from .effects import Close, Effect, Send
from .errors import DecodeError
from .events import (
    Ack,
    Amendment,
    BookUpdate,
    Checksum,
    Closing,
    Counter,
    Denied,
    Heartbeat,
    LoggedIn,
    Lost,
    MarketEvent,
    Message,
    Origin,
    Status,
    Through,
    Trade,
    Trust,
    Why,
)
from .healer import PREFIX as HISTORY
from .healer import Healer
from .instruments import Channel
from .keeper import OVERDUE_S, Keeper
from .liveness import Phase, Watch
from .outlet import Outlet
from .prints import Prints
from .refusals import Refusals
from .sequence import Verdict, counted
from .times import SECOND

TICK_NS = SECOND // 5
SLEPT_NS = 600 * SECOND  #: what time brought before so long ago is not done any more


class Session:
    """See the module. ``adapter`` serves one connection, so make a new session for each set of channels.

    With ``publish``, each event is handed out at the moment when it is true, so that ``event.book`` is the
    book after exactly that update. Without it the calls return their events, and a book may be newer.
    ``phase`` says in which phase a channel's market is, to tell quiet from dead; without it only the silence
    of the whole connection is noticed.
    """

    def __init__(
        self,
        adapter: Adapter,
        number: int = 0,
        origin: Origin = Origin.LIVE,
        publish: Callable[[MarketEvent], None] | None = None,
        phase: Phase | None = None,
    ) -> None:
        self.adapter = adapter
        self.number = number
        self.channels = Channels(adapter)
        self.frames = 0
        self.undecodable = 0
        self._outlet = Outlet(number, origin, publish)
        self._connected = self._ready = False  # ready: logged in, too
        self._heard_ns = self._opened_ns = self._beaten_ns = self._ticked_ns = 0
        self._probed = self._silent = False
        self._counter = -1
        self._effects: list[Effect] = []
        shared = (adapter, self.channels, self._outlet, self._effects)
        self._refusals = Refusals(*shared)
        self._books = Keeper(*shared)
        self._prints = Prints(self.channels, self._outlet, self._on_plain)
        self._healer = Healer(*shared, self._prints.deliver)
        self._auditor = Auditor(*shared, self._books)
        self._watch = Watch(self.channels, self._outlet, self._books, phase)

    @property
    def told(self) -> int:
        """How many events the session has told."""
        return self._outlet.told

    # Wishes

    def want(self, channels: Iterable[Channel], now_ns: int) -> list[MarketEvent]:
        """Subscribe ``channels``; on a live connection at once. Wanting a channel twice changes nothing."""
        self._pass(now_ns)
        new: list[Channel] = []
        for channel in channels:
            before = self.channels.get(str(channel))
            for needed in self.channels.carriers(channel):
                if str(needed) not in self.channels:
                    self.channels[str(needed)] = ChannelState(needed, self.adapter)
                    new.append(needed)
            state = self.channels[str(channel)]
            hidden, state.wanted = not state.wanted, True
            if hidden and state is before:  # it was only carrying another one
                self._outlet.show(state, now_ns)
                self._books.show(state, now_ns)
        if new and self._ready:
            self._change_subscription(new, now_ns)
        return self._outlet.take()

    def drop(self, channels: Iterable[Channel], now_ns: int) -> list[MarketEvent]:
        """Give ``channels`` up. Those that a remaining one is made from stay subscribed."""
        self._pass(now_ns)
        for channel in channels:
            if state := self.channels.get(str(channel)):
                state.wanted = False
        known = self.channels
        wanted = [state for state in known.values() if state.wanted]
        needed = {str(carrier) for state in wanted for carrier in known.carriers(state.channel)}
        gone = [known.pop(name) for name in list(known) if name not in needed]
        carried = {known.wire(state) for state in known.values() if not state.derived}
        idle = [state.channel for state in gone if not state.derived and known.wire(state) not in carried]
        if self._ready and idle:
            self._give_up(idle)
            for state in [s for s in self.channels.values() if s.denied is Why.LIMIT and not s.derived]:
                self._books.ask_again(state, now_ns)  # there may be room now
        return self._outlet.take()

    # The connection

    def connected(self, now_ns: int) -> list[MarketEvent]:
        """The connection is open: log in, subscribe."""
        self._pass(now_ns)
        self._connected, self._heard_ns, self._counter = True, now_ns, -1
        self._opened_ns = self._beaten_ns = now_ns
        self._probed = self._silent = False
        self._healer.connected()
        self._auditor.connected()
        self._watch.connected()
        self._send(self.adapter.login())
        self._outlet.emit(Status(self.adapter.venue, "connected"), now_ns)
        if not self.adapter.awaits_login:
            self._subscribe_all(now_ns)
        return self._outlet.take()

    def _subscribe_all(self, now_ns: int) -> None:
        self._ready = True
        channels = [state.channel for state in self.channels.values()]
        self._send(self.adapter.subscribe(self.channels.upstream(channels)))
        self._expect(channels, now_ns)

    def disconnected(self, cause: str, now_ns: int) -> list[MarketEvent]:
        """The connection is gone: every channel is stale from the last thing heard."""
        self._pass(now_ns)
        if self._connected:
            self._connected = self._ready = False
            self._effects.clear()
            for state in list(self.channels.values()):
                state.forget()
                self._outlet.mark(state, Trust.STALE, cause, now_ns)
                self._outlet.open_gap(state, cause, now_ns, start_ns=self._heard_ns)
            self._outlet.emit(Status(self.adapter.venue, "disconnected", cause, trust=Trust.STALE), now_ns)
        return self._outlet.take()

    def unreachable(self, cause: str, now_ns: int) -> list[MarketEvent]:
        """There is no connection: say so, whoever waits for data wants to know."""
        self._pass(now_ns)
        self._outlet.emit(Status(self.adapter.venue, "unreachable", cause, trust=Trust.STALE), now_ns)
        return self._outlet.take()

    def end(self, now_ns: int) -> list[MarketEvent]:
        """The connection is closed because nobody wants it any more: that is no gap."""
        self._pass(now_ns)
        if self._connected:
            self._connected = self._ready = False
            self._effects.clear()
            self._outlet.emit(
                Status(self.adapter.venue, "disconnected", "stopped", trust=Trust.STALE), now_ns
            )
        return self._outlet.take()

    def receive(self, frame: bytes, now_ns: int) -> list[MarketEvent]:
        """The events in ``frame``. A frame that cannot be decoded is counted and told as a Status."""
        self._heard_ns, self._probed, self._silent = now_ns, False, False
        self._pass(now_ns)
        self.frames += 1
        try:
            messages = self.adapter.decode(frame)
        except DecodeError as error:
            self._on_undecodable(error, now_ns)
            return self._outlet.take()
        for message in messages:
            if not self._on_message(message, now_ns):
                break
        return self._outlet.take()

    def fetched(self, name: str, body: bytes, now_ns: int) -> list[MarketEvent]:
        """Take the answer to a Fetch: the start of a symbol's book, a channel's history, or an audit."""
        self._pass(now_ns)
        if name.startswith(HISTORY):
            self._healer.fetched(name, body, now_ns)
            return self._outlet.take()
        if name.startswith(AUDIT):
            self._auditor.fetched(name, body, now_ns)
            return self._outlet.take()
        state = self.channels.get(str(Channel(self.adapter.venue, name, "book")))
        if state is None or state.pending is None:
            return []
        try:
            snapshot = self.adapter.decode_snapshot(name, body)
        except DecodeError as error:
            self._books.fetch(state)
            self._outlet.emit(Status(self.adapter.venue, "undecodable", str(error)), now_ns)
            return self._outlet.take()
        state.received += 1
        self._books.bridge(state, snapshot, now_ns)
        return self._outlet.take()

    def forbidden(self, reason: str, now_ns: int) -> list[MarketEvent]:
        """The venue will not let us in at all."""
        self._pass(now_ns)
        self._refusals.deny(self.channels.values(), reason, Why.LOGIN, now_ns)
        return self._outlet.take()

    def deny(self, denied: Denied, now_ns: int) -> list[MarketEvent]:
        """The venue has refused this before there was a connection."""
        self._pass(now_ns)
        self._refusals.take(denied, now_ns)
        return self._outlet.take()

    def refused(self, name: str, reason: str, why: Why, now_ns: int) -> list[MarketEvent]:
        """The venue will not answer the Fetch of ``name``."""
        self._pass(now_ns)
        if name.startswith(HISTORY):
            self._healer.refused(name, now_ns)
            return self._outlet.take()
        if name.startswith(AUDIT):
            self._auditor.refused(name, now_ns)
            return self._outlet.take()
        states = [state for state in self.channels.values() if state.channel.symbol == name]
        for state in states:
            state.forget()
        self._refusals.put_off([state for state in states if not state.derived], reason, why, now_ns)
        return self._outlet.take()

    def tick(self, now_ns: int) -> list[MarketEvent]:
        """Let time pass: find silence, ask again for what is overdue. Call it a few times a second."""
        self._pass(now_ns)
        return self._outlet.take()

    def _pass(self, now_ns: int) -> None:
        """Do what was to be done until ``now_ns``, each thing at its time."""
        if now_ns - self._ticked_ns < TICK_NS:
            return
        begin_ns = now_ns - SLEPT_NS if self._connected else now_ns
        self._ticked_ns = max(self._ticked_ns, begin_ns // TICK_NS * TICK_NS)
        while self._ticked_ns + TICK_NS <= now_ns:
            self._ticked_ns += TICK_NS
            self._on_tick(self._ticked_ns)

    def _on_tick(self, now_ns: int) -> None:
        self._watch_silence(now_ns)
        self._beat(now_ns)
        if self._ready:
            for state in list(self.channels.values()):
                if state.expected_ns is not None and now_ns >= state.expected_ns:
                    self._books.ask_again(state, now_ns)
            self._healer.tick(now_ns)
            self._auditor.tick(now_ns)
            self._watch.tick(now_ns)

    def effects(self) -> list[Effect]:
        """What is to be done now, once."""
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    # Messages

    def _on_message(self, message: Message, now_ns: int) -> bool:
        """Deal with one message; False when the rest of its frame is void."""
        match message:
            case BookUpdate(channel=channel):
                if (state := self.channels.get(channel)) is not None:
                    self._books.take(state, message, now_ns)
                    self._auditor.saw(state)
            case Trade(channel=channel):
                if (state := self.channels.get(channel)) is not None:
                    self._prints.take(state, message, now_ns)
                    self._auditor.traded(message)
            case Amendment():
                self._on_amendment(message, now_ns)
            case Heartbeat():
                pass
            case LoggedIn():
                if not self._ready:
                    self._subscribe_all(now_ns)
            case Counter(n=n):
                return self._on_counter(n, now_ns)
            case Checksum(channel=channel, value=value):
                if (state := self.channels.get(channel)) is not None:
                    self._books.check(state, value, now_ns)
            case Through(channel=channel, number=number):
                if (state := self.channels.get(channel)) is not None:
                    self._prints.through(state, number, now_ns)
            case Lost(channel=channel, reason=reason):
                self._on_lost(channel, reason, now_ns)
            case Ack(channel=channel):
                self._on_ack(channel, now_ns)
            case Denied():
                return self._refusals.take(message, now_ns)
            case Closing(reason=reason):
                self._effects.append(Close(reason))
            case Status(state=told):
                self._watch.halt(message.symbol, told)
                self._on_plain(message, now_ns)
            case _:
                self._on_plain(message, now_ns)
        return True

    def _on_amendment(self, amendment: Amendment, now_ns: int) -> None:
        new = self._on_plain(amendment, now_ns)
        state = self.channels.get(amendment.channel)
        summary = self.channels.made(state) if state is not None else None
        if new and summary is not None and summary.day is not None:
            self._on_plain(summary.day.amend(amendment), now_ns)

    def _on_plain(self, event: MarketEvent, now_ns: int) -> bool:
        """Hand an event out as it is; False when nobody wants it, or it is the same again, time included."""
        state = self.channels.get(event.channel)
        if state is None:
            return False
        state.received += 1
        if event == state.last and event.venue_ns is not None:
            state.superseded += 1
            return False
        if state.recalls:
            state.repeated(event)
        state.last = event
        self._outlet.confirm(state, now_ns)
        self._outlet.deliver(state, event, now_ns)
        return True

    def _on_counter(self, n: int, now_ns: int) -> bool:
        verdict = counted(self._counter, n, n)
        if verdict is Verdict.GAP:
            cause = f"frame {self._counter} was followed by {n}"
            for state in list(self.channels.values()):
                state.forget()
                self._outlet.mark(state, Trust.RESYNCING, cause, now_ns)
                self._outlet.open_gap(state, cause, now_ns)
            self._effects.append(Close(cause))
            return False
        self._counter = max(self._counter, n)
        return verdict is Verdict.APPLY

    def _on_ack(self, name: str, now_ns: int) -> None:
        state = self.channels.get(name)
        if state is None:
            return
        symbol = state.channel.symbol
        if state.channel.kind != "book":
            if not self._watch.is_quiet(name):
                self._outlet.confirm(state, now_ns)
        elif self.adapter.snapshot_path(symbol) is not None and state.book is None and state.pending is None:
            self._books.fetch(state)

    def _on_lost(self, channel: str, reason: str, now_ns: int) -> None:
        """Something of a channel is missing: a book begins anew, anything else has a gap until now."""
        state = self.channels.get(channel)
        if state is None:
            return
        if state.channel.kind == "book":
            self._books.resync(state, reason, now_ns)
        else:
            self._outlet.open_gap(state, reason, now_ns)
            self._outlet.close_gap(state, now_ns)

    def _on_undecodable(self, error: DecodeError, now_ns: int) -> None:
        """What has a proof shows by itself whether the frame mattered; the rest may have lost something."""
        self.undecodable += 1
        self._outlet.emit(Status(self.adapter.venue, "undecodable", str(error)), now_ns)
        states = [s for s in self.channels.values() if s.guarantee is None and s.heard_ns and not s.derived]
        for state in states:
            if state.channel.kind != "book":
                self._on_lost(str(state.channel), "undecodable frame", now_ns)
        for state in states:
            if state.channel.kind == "book":  # last: what is subscribed anew with it stays open
                self._on_lost(str(state.channel), "undecodable frame", now_ns)

    def _watch_silence(self, now_ns: int) -> None:
        quiet_s = (now_ns - self._heard_ns) / SECOND
        if quiet_s >= self.adapter.silence_s:
            if not self._silent:
                self._silent, cause = True, f"silent for {quiet_s:.1f} s"
                for state in list(self.channels.values()):
                    self._outlet.mark(state, Trust.STALE, cause, now_ns)
                self._effects.append(Close(cause))
        elif quiet_s >= self.adapter.silence_s / 2 and not self._probed and (probe := self.adapter.probe()):
            self._probed = True
            self._send([probe])

    def _beat(self, now_ns: int) -> None:
        """Give the sign of life that the vendor wants, and end a login that nobody answers."""
        every_s = self.adapter.heartbeat_s
        if every_s is not None and now_ns - self._beaten_ns >= every_s * SECOND:
            self._beaten_ns = now_ns
            if (sign := self.adapter.heartbeat(now_ns)) is not None:
                self._send([sign])
        if not self._ready and now_ns - self._opened_ns >= OVERDUE_S * SECOND:
            self._effects.append(Close("no answer to the login"))

    # Subscriptions

    def _expect(self, channels: Iterable[Channel], now_ns: int) -> None:
        for channel in channels:
            state = self.channels.get(str(channel))
            source = self.channels.get(str(state.source)) if state else None
            if state is None or source is None:  # given up by somebody who was just told of another
                continue
            if source.book is not None:  # a quote that joins a book which is there already
                state.heard_ns, state.proof = now_ns, source.proof
                self._outlet.mark(state, source.trust, source.cause, now_ns)
                continue
            state.expected_ns = now_ns + OVERDUE_S * SECOND if channel.kind == "book" else None
            state.denied = None
            self._outlet.mark(state, Trust.RESYNCING, "subscribing", now_ns)

    def _change_subscription(self, new: Sequence[Channel], now_ns: int) -> None:
        if (upstream := self.channels.upstream(new)) and self.adapter.dials_to_change:
            self._effects.append(Close("subscription changed", at_once=True))
        elif upstream:
            self._send(self.adapter.subscribe(upstream))
        self._expect(new, now_ns)

    def _give_up(self, idle: Sequence[Channel]) -> None:
        if self.adapter.dials_to_drop:
            self._effects.append(Close("subscription changed", at_once=True))
        else:
            self._send(self.adapter.unsubscribe(idle))

    def _send(self, frames: Iterable[bytes]) -> None:
        self._effects.extend(Send(frame) for frame in frames)
