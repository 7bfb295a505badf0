"""The books of a session: begun, bridged, applied, proved, thrown away and asked for again (floor 3)."""

from msgspec.structs import replace

from .adapter import Adapter
from .book import Book
from .channel import Channels, ChannelState
from .effects import Close, Effect, Fetch, Send
from .events import BookUpdate, Quote, Trust
from .outlet import Outlet
from .sequence import Verdict
from .times import SECOND

PENDING = 20_000  #: updates kept while a snapshot is on its way; then they are kept anew
REPEATS = 5  #: after so many in a row the number that they are older than is not believed
MOST_ASKS = 6  #: until then each wait for a book is twice the one before
OVERDUE_S = 10  #: how long a snapshot, a first message or a login may take before it is asked for again


class Keeper:
    """Keeps the book of each channel in ``channels``; what is to be done goes into ``effects``."""

    def __init__(self, adapter: Adapter, channels: Channels, outlet: Outlet, effects: list[Effect]) -> None:
        self._adapter, self._channels = adapter, channels
        self._outlet, self._effects = outlet, effects

    def take(self, state: ChannelState, update: BookUpdate, now_ns: int) -> None:
        """Deal with an update from the stream: apply it, begin with it, or hold it for a snapshot."""
        state.received += 1
        if update.snapshot:
            self.start(state, update, now_ns)
            return
        if state.pending is None and state.book is None:
            if self._adapter.snapshot_path(state.channel.symbol) is None or now_ns < state.asked_ns:
                state.discarded += 1
                return
            self.fetch(state)
        if state.pending is not None:
            if len(state.pending) >= PENDING:
                state.discarded += len(state.pending) if state.book is None else 0
                state.pending.clear()
            state.pending.append(update)
        if state.book is not None and update == state.last:  # sizes are absolute: the same again is no news
            state.superseded += 1
        elif state.book is not None:
            self._apply(state, state.book, update, now_ns)
            state.last = update if state.book is not None else None

    def start(self, state: ChannelState, snapshot: BookUpdate, now_ns: int) -> None:
        """Begin a new book, and a new proof, from a snapshot."""
        book = self._book_of(snapshot)
        if self._wrong(book, snapshot):
            state.discarded += 1
            self.resync(state, "the snapshot fails its own checksum", now_ns)
        elif _is_past(state, snapshot):
            state.superseded += 1
        else:
            self._install(state, book, snapshot, now_ns)
            state.repeats = 0

    def _book_of(self, snapshot: BookUpdate) -> Book:
        book = Book()
        book.apply(snapshot.bids, snapshot.asks, depth=self._adapter.depth)
        book.seq = snapshot.last
        if self._adapter.snapshot_depth is not None:
            for side in (book.bids, book.asks):
                if len(side) >= self._adapter.snapshot_depth:
                    side.close_horizon()
        return book

    def _install(self, state: ChannelState, book: Book, snapshot: BookUpdate, now_ns: int) -> None:
        state.book, state.pending, state.expected_ns = book, None, None
        state.began, state.told_ns, state.last = book.seq, 0, None
        for carried in self._channels.made_from(state):
            carried.guarantee = self._adapter.guarantees.get("book")  # a snapshot may tell what proves it
            carried.proof = None
            self._outlet.believe(carried, now_ns)
            self._outlet.close_gap(carried, now_ns, healed="snapshot")
        self._watch_horizon(state, book, now_ns)
        self._deliver(state, book, snapshot, now_ns)

    def bridge(self, state: ChannelState, snapshot: BookUpdate, now_ns: int) -> None:
        """Join a fetched snapshot to the updates held since before it was asked for."""
        held, rule, at = state.pending or [], self._adapter.sequence, snapshot.last
        assert rule is not None and at is not None, "a fetched snapshot needs numbered updates"
        fresh = [update for update in held if (update.last or 0) > at]
        if fresh and rule(at, fresh[0].first or 0, fresh[0].last or 0) is Verdict.GAP:
            state.superseded += 1  # the snapshot is older than the stream
            self.fetch(state)
        elif state.book is None:
            state.superseded += len(held) - len(fresh)
            self.start(state, snapshot, now_ns)
            state.repeats = None  # it may be well ahead of the stream
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
            state.repeats = None

    def _apply(self, state: ChannelState, book: Book, update: BookUpdate, now_ns: int) -> None:
        rule = self._adapter.sequence
        if rule is not None and book.seq is not None and update.first is not None and update.last is not None:
            verdict = rule(book.seq, update.first, update.last)
            if verdict is Verdict.DROP:
                self._drop(state, book, now_ns)
                return
            if verdict is Verdict.GAP:
                self.resync(state, f"update {book.seq} was followed by {update.first}", now_ns)
                _hold(state, update)
                return
        elif state.guarantee is not None and (update.venue_ns or state.told_ns) < state.told_ns:
            state.discarded += 1  # a checksum may fit an earlier book
            self.resync(state, "an update is older than the book", now_ns)
            return
        state.repeats, state.told_ns = 0, update.venue_ns or state.told_ns
        book.apply(update.bids, update.asks, depth=self._adapter.depth)
        book.seq = update.last
        if self._wrong(book, update):
            state.discarded += 1
            self.resync(state, "checksum", now_ns)
        elif state.guarantee is None and book.crossed:
            state.discarded += 1
            self.resync(state, "crossed", now_ns)
        else:
            if state.trust is Trust.STALE:  # it was only quiet: the numbers go on
                for carried in self._channels.made_from(state):
                    self._outlet.believe(carried, now_ns)
                    self._outlet.close_gap(carried, now_ns, healed="complete")
            self._watch_horizon(state, book, now_ns)
            self._deliver(state, book, update, now_ns)

    def _drop(self, state: ChannelState, book: Book, now_ns: int) -> None:
        """Pass an update over that is in the book already. A long row of them means that it is not."""
        state.superseded += 1
        if state.repeats is not None:
            state.repeats += 1
            if state.repeats >= REPEATS:
                self.resync(state, f"{REPEATS} updates in a row are older than the book", now_ns)

    def check(self, state: ChannelState, checksum: int, now_ns: int) -> None:
        """Compare the book with a fingerprint that was sent apart from the updates."""
        if state.book is not None and self._adapter.checksum(state.book) != checksum:
            self.resync(state, "checksum", now_ns)

    def _wrong(self, book: Book, update: BookUpdate) -> bool:
        return update.checksum is not None and self._adapter.checksum(book) != update.checksum

    def _watch_horizon(self, state: ChannelState, book: Book, now_ns: int) -> None:
        """A fetched snapshot ends somewhere: prove no deeper, and fetch anew before the market leaves it."""
        reach = self._adapter.snapshot_depth
        if reach is None or (told := book.told) is None:
            return
        if state.proof is not None and state.proof.depth != told:
            state.proof = replace(state.proof, depth=told)
        if told == 0:
            for carried in self._channels.made_from(state):
                self._outlet.mark(
                    carried, Trust.UNVERIFIABLE, "the market left the range of the snapshot", now_ns
                )
        if told < reach // 10 and state.pending is None:
            self.fetch(state)

    def resync(self, state: ChannelState, cause: str, now_ns: int) -> None:
        """Throw the book away and ask for a new one; soon at first, more slowly if it goes wrong again."""
        for carried in self._channels.made_from(state):
            self._outlet.mark(carried, Trust.RESYNCING, cause, now_ns)
            self._outlet.open_gap(carried, cause, now_ns)
        state.forget()
        if state.expected_ns == state.asked_ns:
            return  # it will be asked for when the wait is over
        if self._adapter.dials_to_change:
            self._effects.append(Close(cause))
        elif (wait_ns := state.back_off(now_ns)) > 0:
            state.expected_ns = now_ns + wait_ns
        else:
            self.ask_again(state, now_ns)

    def ask_again(self, state: ChannelState, now_ns: int) -> None:
        """Ask anew: fetch a book where it is fetched, unless that is under way, else resubscribe."""
        if state.denied is not None:
            state.expected_ns = None
            self._effects += map(Send, self._adapter.subscribe([state.channel]))
            return
        state.asks += 1
        state.expected_ns = now_ns + (OVERDUE_S << min(state.asks, MOST_ASKS) - 1) * SECOND
        if state.channel.kind == "book" and self._adapter.snapshot_path(state.channel.symbol) is not None:
            if state.pending is None:
                self.fetch(state)
            return
        self.subscribe_anew(state, now_ns)

    def subscribe_anew(self, state: ChannelState, now_ns: int) -> None:
        """Ask for the stream anew; what comes with it has a gap, too."""
        together = self._channels.together(state)
        for other in together:
            if other is not state:
                self._outlet.open_gap(other, "resubscribed", now_ns)
        channels = [each.channel for each in together]
        self._effects += map(Send, self._adapter.unsubscribe(channels))
        self._effects += map(Send, self._adapter.subscribe(channels))

    def fetch(self, state: ChannelState) -> None:
        path = self._adapter.snapshot_path(state.channel.symbol)
        assert path is not None
        if state.pending is None:
            state.pending, state.fetches = [], 0
        else:
            state.fetches += 1
        self._effects.append(Fetch(state.channel.symbol, path, state.fetches))

    def show(self, state: ChannelState, now_ns: int) -> None:
        """Tell a book that is there already whole."""
        if state.book is not None and state.trust is state.usual:
            state.received += 1
            self._deliver(state, state.book, _whole(state, state.book), now_ns)

    def _deliver(self, state: ChannelState, book: Book, update: BookUpdate, now_ns: int) -> None:
        state.heard_ns = now_ns
        self._outlet.deliver(state, update, now_ns, _book=book)
        if (quote := self._channels.made(state)) is not None and quote.wanted:
            bid, bid_size = book.bids.best() or (None, None)
            ask, ask_size = book.asks.best() or (None, None)
            if (best := (bid, bid_size, ask, ask_size)) != quote.last_best:
                quote.last_best = best
                quote.received += 1
                quote.heard_ns = now_ns
                event = Quote(str(quote.channel), update.venue_ns, *best, book.seq)
                self._outlet.deliver(quote, event, now_ns)


def _is_past(state: ChannelState, snapshot: BookUpdate) -> bool:
    """Whether the book went through ``snapshot`` already; one from before its beginning is a new count."""
    if state.book is None or state.began is None or state.book.seq is None or snapshot.last is None:
        return False
    return state.began <= snapshot.last < state.book.seq


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
