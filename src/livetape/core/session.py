"""One upstream connection's protocol, without the connection (floor 3).

Frames, fetched answers and the time go in; events come out of each call, and effects wait in ``effects()``
for whoever holds the socket. The live feed, the replay and the tests all drive this same object.

Rule 1: a book that is not whole is never handed out. From the moment something is known to be lost until a
        snapshot has arrived, its channel is ``resyncing`` and silent.
Rule 2: every interval in which a channel may have missed something is told as a Gap, when it opens and when
        it has ended.
Rule 3: trouble of one symbol is that symbol's; only a counter of the whole connection, silence or the
        venue's own word ends the connection.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .adapter import Adapter
from .book import Book
from .channel import SECOND, ChannelState
from .errors import DecodeError
from .events import (
    Ack,
    Amendment,
    BookUpdate,
    Closing,
    Counter,
    Denied,
    Heartbeat,
    LoggedIn,
    MarketEvent,
    Message,
    Origin,
    Quote,
    Status,
    Trade,
    Trust,
    Why,
)
from .instruments import Channel
from .outlet import Outlet
from .sequence import Verdict, counted

PENDING = 20_000  #: updates kept while a snapshot is on its way; beyond it the fetch starts again
OVERDUE_S = 10  #: how long a snapshot, a first message or a login may take before it is asked for again
REFUSED_S = (
    60  #: after which what was refused is asked for again; longer each time, up to a quarter of an hour
)
FORBIDDEN_S = 300  #: likewise for a login
_WHOLE = (Why.LOGIN, Why.PLAN, Why.CONNECTIONS)  #: refusals that may concern the whole connection


class Send(Struct, frozen=True):
    """Send this frame."""

    frame: bytes


class Fetch(Struct, frozen=True):
    """Fetch ``path`` below the venue's REST address and hand the body to ``Session.fetched``.

    ``attempt`` counts from 0; wait longer with each.
    """

    symbol: str
    path: str
    attempt: int


class Close(Struct, frozen=True):
    """Close the connection and dial again.

    ``at_once`` where nothing went wrong, else after the back-off and not before ``wait_s``.
    """

    cause: str
    at_once: bool = False
    wait_s: float = 0.0


Effect = Send | Fetch | Close


class Session:
    """See the module. ``adapter`` serves one connection, so make a new session for each set of channels.

    With ``publish``, each event is handed out at the moment when it is true, so that ``event.book`` is the
    book after exactly that update. Without it the calls return their events, and a book may be newer.
    """

    def __init__(
        self,
        adapter: Adapter,
        number: int = 0,
        origin: Origin = Origin.LIVE,
        publish: Callable[[MarketEvent], None] | None = None,
    ) -> None:
        self.adapter = adapter
        self.number = number
        self.channels: dict[str, ChannelState] = {}
        self.frames = 0
        self.undecodable = 0
        self._outlet = Outlet(number, origin, publish)
        self._connected = self._ready = False  # ready: logged in, too
        self._heard_ns = self._opened_ns = self._beaten_ns = 0
        self._probed = self._silent = False
        self._counter = -1
        self._effects: list[Effect] = []

    # Wishes

    def want(self, channels: Iterable[Channel], now_ns: int) -> list[MarketEvent]:
        """Subscribe ``channels``; on a live connection at once. Wanting a channel twice changes nothing."""
        new: list[Channel] = []
        for channel in channels:
            for needed in self._carriers(channel):
                if str(needed) not in self.channels:
                    self.channels[str(needed)] = ChannelState(needed, self.adapter)
                    new.append(needed)
            self._show(self.channels[str(channel)], now_ns)
        if new and self._ready:
            self._change_subscription(new, now_ns)
        return self._outlet.take()

    def _show(self, state: ChannelState, now_ns: int) -> None:
        """Begin to hand a channel out. A book that was only carrying a quote is told whole."""
        hidden, state.wanted = not state.wanted, True
        if hidden and state.book is not None:
            self._outlet.tell(state, now_ns)
            state.received += 1
            self._deliver_book(state, state.book, _whole(state, state.book), now_ns)

    def drop(self, channels: Iterable[Channel], now_ns: int) -> list[MarketEvent]:
        """Give ``channels`` up. Those that a remaining one is made from stay subscribed."""
        for channel in channels:
            if state := self.channels.get(str(channel)):
                state.wanted = False
        needed = {
            str(c) for state in self.channels.values() if state.wanted for c in self._carriers(state.channel)
        }
        gone = [self.channels.pop(name) for name in list(self.channels) if name not in needed]
        carried = {self._wire(state) for state in self.channels.values() if not state.derived}
        idle = [state.channel for state in gone if not state.derived and self._wire(state) not in carried]
        if self._ready and idle:
            self._give_up(idle)
            for state in [s for s in self.channels.values() if s.denied is Why.LIMIT and not s.derived]:
                self._ask_again(state, now_ns)  # there may be room now
        return self._outlet.take()

    # The connection

    def connected(self, now_ns: int) -> list[MarketEvent]:
        """The connection is open: log in, subscribe."""
        self._connected, self._heard_ns, self._counter = True, now_ns, -1
        self._opened_ns = self._beaten_ns = now_ns
        self._probed = self._silent = False
        self._send(self.adapter.login())
        self._outlet.emit(Status(self.adapter.venue, "connected"), now_ns)
        if not self.adapter.awaits_login:
            self._subscribe_all(now_ns)
        return self._outlet.take()

    def _subscribe_all(self, now_ns: int) -> None:
        self._ready = True
        channels = [state.channel for state in self.channels.values()]
        self._send(self.adapter.subscribe(self._upstream(channels)))
        self._expect(channels, now_ns)

    def disconnected(self, cause: str, now_ns: int) -> list[MarketEvent]:
        """The connection is gone: every channel is stale from the last thing heard."""
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
        self._outlet.emit(Status(self.adapter.venue, "unreachable", cause, trust=Trust.STALE), now_ns)
        return self._outlet.take()

    def end(self, now_ns: int) -> list[MarketEvent]:
        """The connection is closed because nobody wants it any more: that is no gap."""
        if self._connected:
            self._connected = self._ready = False
            self._effects.clear()
            self._outlet.emit(
                Status(self.adapter.venue, "disconnected", "stopped", trust=Trust.STALE), now_ns
            )
        return self._outlet.take()

    def receive(self, frame: bytes, now_ns: int) -> list[MarketEvent]:
        """The events in ``frame``. A frame that cannot be decoded is counted and told as a Status."""
        self.frames += 1
        self._heard_ns, self._probed, self._silent = now_ns, False, False
        try:
            messages = self.adapter.decode(frame)
        except DecodeError as error:
            self._on_undecodable(error, now_ns)
            return self._outlet.take()
        for message in messages:
            if not self._on_message(message, now_ns):
                break
        return self._outlet.take()

    def fetched(self, symbol: str, body: bytes, now_ns: int) -> list[MarketEvent]:
        """Start the book of ``symbol`` from a fetched snapshot, then catch up with what came meanwhile."""
        state = self.channels.get(str(Channel(self.adapter.venue, symbol, "book")))
        if state is None or state.pending is None:
            return []
        try:
            snapshot = self.adapter.decode_snapshot(symbol, body)
        except DecodeError as error:
            self._fetch(state)
            self._outlet.emit(Status(self.adapter.venue, "undecodable", str(error)), now_ns)
            return self._outlet.take()
        state.received += 1
        self._bridge(state, snapshot, now_ns)
        return self._outlet.take()

    def forbidden(self, reason: str, now_ns: int) -> list[MarketEvent]:
        """The venue will not let us in at all."""
        self._deny(self.channels.values(), reason, Why.LOGIN, now_ns)
        return self._outlet.take()

    def refused(self, symbol: str, reason: str, now_ns: int) -> list[MarketEvent]:
        """The venue will not give the snapshot of ``symbol``: it does not know it."""
        states = [state for state in self.channels.values() if state.channel.symbol == symbol]
        self._deny(states, reason, Why.SYMBOL, now_ns)
        return self._outlet.take()

    def tick(self, now_ns: int) -> list[MarketEvent]:
        """Let time pass: find silence, ask again for what is overdue. Call it a few times a second."""
        if self._connected:
            self._watch_silence(now_ns)
            self._beat(now_ns)
            for state in list(self.channels.values()):
                if state.expected_ns is not None and now_ns >= state.expected_ns:
                    self._ask_again(state, now_ns)
        return self._outlet.take()

    def effects(self) -> list[Effect]:
        """What is to be done now, once."""
        effects, self._effects = self._effects, []
        return effects

    # Messages

    def _on_message(self, message: Message, now_ns: int) -> bool:
        """Deal with one message; False when the rest of its frame is void."""
        match message:
            case BookUpdate():
                self._on_book(message, now_ns)
            case Trade():
                self._on_trade(message, now_ns)
            case Amendment():
                self._on_amendment(message, now_ns)
            case Heartbeat():
                pass
            case LoggedIn():
                if not self._ready:
                    self._subscribe_all(now_ns)
            case Counter(n=n):
                return self._on_counter(n, now_ns)
            case Ack(channel=channel):
                self._on_ack(channel, now_ns)
            case Denied():
                return self._on_denied(message, now_ns)
            case Closing(reason=reason):
                self._effects.append(Close(reason))
            case _:
                self._on_plain(message, now_ns)
        return True

    def _on_book(self, update: BookUpdate, now_ns: int) -> None:
        state = self.channels.get(update.channel)
        if state is None:
            return
        state.received += 1
        if update.snapshot:
            self._start(state, update, now_ns)
            return
        if state.pending is None and state.book is None:
            if self.adapter.snapshot_path(state.channel.symbol) is None or now_ns < state.asked_ns:
                state.discarded += 1
                return
            self._fetch(state)
        if state.pending is not None:
            if len(state.pending) >= PENDING:
                state.discarded += len(state.pending) if state.book is None else 0
                state.pending.clear()
            state.pending.append(update)
        if state.book is not None:
            self._apply(state, state.book, update, now_ns)

    def _on_trade(self, trade: Trade, now_ns: int) -> None:
        state = self.channels.get(trade.channel)
        if state is None:
            return
        backfilled = trade.origin is Origin.BACKFILLED
        if backfilled and state.number is None:  # history from before we were here
            return
        state.received += 1
        if trade.number is not None:
            lost = 0 if state.number is None else trade.number - state.number - 1
            if lost < 0 and (state.gap is None or backfilled):
                state.superseded += 1
                return
            if lost < 0:  # after a break the venue counts anew: nobody knows what was missed
                state.number = None
            if state.number is None:
                self._outlet.close_gap(state, now_ns)
            else:
                if lost:
                    cause = f"trade number {state.number} was followed by {trade.number}"
                    for carried in self._made_from(state):
                        self._outlet.open_gap(carried, cause, now_ns)
                self._outlet.close_gap(state, now_ns, missing=lost, healed=None if lost else "complete")
            state.number = trade.number
        else:
            self._outlet.close_gap(state, now_ns)
        self._outlet.believe(state, now_ns)
        self._outlet.deliver(state, trade, now_ns)
        if not backfilled and (summary := self._made(state)) is not None and summary.day is not None:
            self._on_plain(summary.day.add(trade, now_ns), now_ns)

    def _on_amendment(self, amendment: Amendment, now_ns: int) -> None:
        state = self.channels.get(amendment.channel)
        if state is not None:
            self._on_plain(amendment, now_ns)
            if (summary := self._made(state)) is not None and summary.day is not None:
                self._on_plain(summary.day.amend(amendment), now_ns)

    def _on_plain(self, event: MarketEvent, now_ns: int) -> None:
        state = self.channels.get(event.channel)
        if state is not None:
            state.received += 1
            self._outlet.confirm(state, now_ns)
            self._outlet.deliver(state, event, now_ns)

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
            self._outlet.confirm(state, now_ns)
        elif self.adapter.snapshot_path(symbol) is not None and state.book is None and state.pending is None:
            self._fetch(state)

    def _on_denied(self, denied: Denied, now_ns: int) -> bool:
        """A refusal of channels, or of the connection; without names, of whatever has not spoken yet."""
        if denied.why in _WHOLE and not denied.channels:
            mute = [s for s in self.channels.values() if denied.why is not Why.CONNECTIONS or not s.heard_ns]
            self._deny(mute, denied.reason, denied.why, now_ns)
            wait_s = 0.0 if denied.why is Why.CONNECTIONS else FORBIDDEN_S
            self._effects.append(Close(denied.reason, wait_s=wait_s))
            return False
        states = self.channels
        named = [states[name] for name in denied.channels if name in states]
        refused = named or [s for s in states.values() if not s.heard_ns and s.denied is None]
        for state in refused:
            state.refusals += 1
            state.expected_ns = now_ns + min(REFUSED_S << state.refusals - 1, 15 * REFUSED_S) * SECOND
        self._deny(refused, denied.reason, denied.why, now_ns)
        if not refused:
            status = Status(self.adapter.venue, "denied", denied.reason, why=denied.why)
            self._outlet.emit(status, now_ns)
        return True

    def _deny(self, refused: Iterable[ChannelState], reason: str, why: Why, now_ns: int) -> None:
        for state in {str(s.channel): s for one in refused for s in self._made_from(one)}.values():
            if state.denied is None:
                status = Status(str(state.channel), "denied", reason, trust=Trust.STALE, why=why)
                self._outlet.emit(status, now_ns)
            state.trust, state.cause, state.denied = Trust.STALE, reason, why

    def _on_undecodable(self, error: DecodeError, now_ns: int) -> None:
        """What has a proof shows by itself whether the frame mattered; the rest may have lost something."""
        self.undecodable += 1
        self._outlet.emit(Status(self.adapter.venue, "undecodable", str(error)), now_ns)
        states = [s for s in self.channels.values() if s.guarantee is None and s.heard_ns and not s.derived]
        for state in states:
            if state.channel.kind != "book":
                self._outlet.open_gap(state, "undecodable frame", now_ns)
                self._outlet.close_gap(state, now_ns)
        for state in states:
            if state.channel.kind == "book":  # last: what is subscribed anew with it stays open
                self._resync(state, "undecodable frame", now_ns)

    # Books

    def _start(self, state: ChannelState, snapshot: BookUpdate, now_ns: int) -> None:
        """Begin a new book, and a new proof, from a snapshot."""
        book = self._book_of(snapshot)
        if self._wrong(book, snapshot):
            state.discarded += 1
            self._resync(state, "the snapshot fails its own checksum", now_ns)
        else:
            self._install(state, book, snapshot, now_ns)

    def _book_of(self, snapshot: BookUpdate) -> Book:
        book = Book()
        book.apply(snapshot.bids, snapshot.asks, depth=self.adapter.depth)
        book.seq = snapshot.last
        if self.adapter.snapshot_depth is not None:
            for side in (book.bids, book.asks):
                if len(side) >= self.adapter.snapshot_depth:
                    side.close_horizon()
        return book

    def _install(self, state: ChannelState, book: Book, snapshot: BookUpdate, now_ns: int) -> None:
        state.book, state.pending, state.expected_ns = book, None, None
        for carried in self._made_from(state):
            carried.proof = None
            self._outlet.believe(carried, now_ns)
            self._outlet.close_gap(carried, now_ns, healed="snapshot")
        self._watch_horizon(state, book, now_ns)
        self._deliver_book(state, book, snapshot, now_ns)

    def _bridge(self, state: ChannelState, snapshot: BookUpdate, now_ns: int) -> None:
        """Join a fetched snapshot to the updates held since before it was asked for."""
        held, rule, at = state.pending or [], self.adapter.sequence, snapshot.last
        assert rule is not None and at is not None, "a fetched snapshot needs numbered updates"
        fresh = [update for update in held if (update.last or 0) > at]
        if fresh and rule(at, fresh[0].first or 0, fresh[0].last or 0) is Verdict.GAP:
            state.superseded += 1  # the snapshot is older than the stream
            self._fetch(state)
        elif state.book is None:
            state.superseded += len(held) - len(fresh)
            self._start(state, snapshot, now_ns)
            for update in fresh:
                if state.book is not None:
                    self._apply(state, state.book, update, now_ns)
                else:
                    _hold(state, update)
        else:  # these updates were delivered already: tell the whole book once
            book = self._book_of(snapshot)
            for update in fresh:
                book.apply(update.bids, update.asks)
                book.seq = update.last
            self._install(state, book, _whole(state, book), now_ns)

    def _apply(self, state: ChannelState, book: Book, update: BookUpdate, now_ns: int) -> None:
        rule = self.adapter.sequence
        if rule is not None and book.seq is not None and update.first is not None and update.last is not None:
            verdict = rule(book.seq, update.first, update.last)
            if verdict is Verdict.DROP:
                state.superseded += 1
                return
            if verdict is Verdict.GAP:
                self._resync(state, f"update {book.seq} was followed by {update.first}", now_ns)
                _hold(state, update)
                return
        book.apply(update.bids, update.asks, depth=self.adapter.depth)
        book.seq = update.last
        if self._wrong(book, update):
            state.discarded += 1
            self._resync(state, "checksum", now_ns)
        elif state.guarantee is None and book.crossed:
            state.discarded += 1
            self._resync(state, "crossed", now_ns)
        else:
            self._watch_horizon(state, book, now_ns)
            self._deliver_book(state, book, update, now_ns)

    def _wrong(self, book: Book, update: BookUpdate) -> bool:
        return update.checksum is not None and self.adapter.checksum(book) != update.checksum

    def _watch_horizon(self, state: ChannelState, book: Book, now_ns: int) -> None:
        """A fetched snapshot ends somewhere: prove no deeper, and fetch anew before the market leaves it."""
        reach = self.adapter.snapshot_depth
        if reach is None or (told := book.told) is None:
            return
        if state.proof is not None and state.proof.depth != told:
            state.proof = replace(state.proof, depth=told)
        if told == 0:
            for carried in self._made_from(state):
                self._outlet.mark(
                    carried, Trust.UNVERIFIABLE, "the market left the range of the snapshot", now_ns
                )
        if told < reach // 10 and state.pending is None:
            self._fetch(state)

    def _resync(self, state: ChannelState, cause: str, now_ns: int) -> None:
        """Throw the book away and ask for a new one; soon at first, more slowly if it goes wrong again."""
        for carried in self._made_from(state):
            self._outlet.mark(carried, Trust.RESYNCING, cause, now_ns)
            self._outlet.open_gap(carried, cause, now_ns)
        state.forget()
        if self.adapter.dials_to_change:
            self._effects.append(Close(cause))
        elif (wait_ns := state.back_off(now_ns)) > 0:
            state.expected_ns = now_ns + wait_ns
        else:
            self._ask_again(state, now_ns)

    def _ask_again(self, state: ChannelState, now_ns: int) -> None:
        """Ask for the book anew: fetch it where it is fetched, unless that is under way, else resubscribe."""
        if state.denied is not None:
            state.expected_ns = None
            self._send(self.adapter.subscribe([state.channel]))
            return
        state.expected_ns = now_ns + OVERDUE_S * SECOND
        if self.adapter.snapshot_path(state.channel.symbol) is not None:
            if state.pending is None:
                self._fetch(state)
            return
        mine = self._wire(state)
        together = [each for each in self.channels.values() if not each.derived and self._wire(each) == mine]
        for other in together:
            if other is not state:
                self._outlet.open_gap(other, "resubscribed", now_ns)
        channels = [each.channel for each in together]
        self._send(self.adapter.unsubscribe(channels))
        self._send(self.adapter.subscribe(channels))

    def _fetch(self, state: ChannelState) -> None:
        path = self.adapter.snapshot_path(state.channel.symbol)
        assert path is not None
        if state.pending is None:
            state.pending, state.fetches = [], 0
        else:
            state.fetches += 1
        self._effects.append(Fetch(state.channel.symbol, path, state.fetches))

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
            self._send([self.adapter.heartbeat(now_ns)])
        if not self._ready and now_ns - self._opened_ns >= OVERDUE_S * SECOND:
            self._effects.append(Close("no answer to the login"))

    # Delivery

    def _deliver_book(self, state: ChannelState, book: Book, update: BookUpdate, now_ns: int) -> None:
        state.heard_ns = now_ns
        self._outlet.deliver(state, update, now_ns, _book=book)
        if (quote := self._made(state)) is not None and quote.wanted:
            bid, bid_size = book.bids.best() or (None, None)
            ask, ask_size = book.asks.best() or (None, None)
            if (best := (bid, bid_size, ask, ask_size)) != quote.last_best:
                quote.last_best = best
                quote.received += 1
                quote.heard_ns = now_ns
                event = Quote(str(quote.channel), update.venue_ns, *best, book.seq)
                self._outlet.deliver(quote, event, now_ns)

    # Subscriptions

    def _carriers(self, channel: Channel) -> list[Channel]:
        """The channel itself and, for a quote that the venue does not stream, the book it is made from."""
        state = self.channels.get(str(channel)) or ChannelState(channel, self.adapter)
        return [channel, state.source] if state.derived else [channel]

    def _upstream(self, channels: Sequence[Channel]) -> list[Channel]:
        """Those of ``channels`` that the venue knows, once each."""
        return [c for c in dict.fromkeys(channels) if not self.channels[str(c)].derived]

    def _wire(self, state: ChannelState) -> tuple[str, str]:
        """The vendor's own stream that carries a channel."""
        return state.channel.symbol, self.adapter.stream(state.channel)

    def _made_from(self, state: ChannelState) -> list[ChannelState]:
        """A channel and the one that is made from it, if one is."""
        made = self._made(state)
        return [state] if made is None else [state, made]

    def _made(self, state: ChannelState) -> ChannelState | None:
        """The channel that is made from this one."""
        made = self.channels.get(state.makes)
        return made if made is not None and made.derived else None

    def _expect(self, channels: Iterable[Channel], now_ns: int) -> None:
        for channel in channels:
            state = self.channels[str(channel)]
            source = self.channels[str(state.source)]
            if source.book is not None:  # a quote that joins a book which is there already
                state.heard_ns, state.proof = now_ns, source.proof
                self._outlet.mark(state, source.trust, source.cause, now_ns)
                continue
            if channel.kind == "book":
                state.expected_ns = now_ns + OVERDUE_S * SECOND
            state.denied = None
            self._outlet.mark(state, Trust.RESYNCING, "subscribing", now_ns)

    def _change_subscription(self, new: Sequence[Channel], now_ns: int) -> None:
        if (upstream := self._upstream(new)) and self.adapter.dials_to_change:
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


def _hold(state: ChannelState, update: BookUpdate) -> None:
    """Keep ``update`` for the snapshot that is on its way, if one is."""
    if state.pending is None:
        state.discarded += 1
    else:
        state.pending.append(update)


def _whole(state: ChannelState, book: Book) -> BookUpdate:
    """All of ``book`` as a snapshot."""
    bids, asks = book.bids.top(len(book.bids)), book.asks.top(len(book.asks))
    return BookUpdate(str(state.channel), None, True, bids, asks, book.seq, book.seq)
