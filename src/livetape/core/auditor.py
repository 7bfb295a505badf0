"""Compares books that have no proof with the venue's own, fetched over REST now and then (floor 3).

The answer and the stream are not of the same instant. So the book is watched from a little before the
question until a little after the answer, and a level agrees when the book had it at any of these moments. A
level that the venue does not have disagrees when the book had it at all of them.

Between audits, trades at prices that the book cannot have had are counted as disagreement, too.
"""

from collections import Counter, deque
from decimal import Decimal
from heapq import nlargest
from math import inf

from msgspec import Struct, field

from .adapter import Adapter
from .book import Side
from .channel import Agreement, Channels, ChannelState
from .decimals import Level
from .effects import Effect, Fetch
from .errors import DecodeError
from .events import BookUpdate, Origin, Status, Trade
from .keeper import Keeper
from .outlet import Outlet
from .times import SECOND

PREFIX = "audit "  #: of the name of a Fetch; the symbol follows
LEVELS = 10  #: of each side that are compared,
WATCHED = 20  #: and that are watched, so that a market that moves takes none of them out of sight
AROUND_NS = 2 * SECOND  #: how long the book is watched before the question and after the answer
OVERDUE_NS = 15 * SECOND  #: after which an answer is not compared any more
APART_NS = 5 * SECOND  #: from the end of one audit to the beginning of the next
REFUSED_NS = 3_600 * SECOND  #: after which a book that was refused is asked for again
MOST = 50_000  #: different levels of a side; of a book that has more meanwhile nothing is concluded
STEP_NS = 2 * SECOND  #: a trade may be outside the best prices by what they move within so long

Wrong = tuple[str, Decimal, Decimal]  #: side, price, and the size that the venue has there


class _Watched(Struct):
    """What one side of a book has had since it is watched. ``sign`` is 1 for bids and -1 for asks."""

    name: str
    sign: int
    levels: Counter[Level] = field(default_factory=Counter)  # at how many moments
    moments: int = 0
    reach: float = -inf  # price * sign below which not all was told at every moment

    def see(self, side: Side) -> None:
        top = side.top(WATCHED)
        self.levels.update(top)
        self.moments += 1
        if top and len(top) < WATCHED:
            self.reach = max(self.reach, float(top[-1][0]) * self.sign)

    def compare(self, told: list[Level]) -> tuple[int, set[Wrong]]:
        """How many levels can be compared with those that the venue has ``told``, and which differ."""
        best = nlargest(LEVELS, told, key=lambda level: float(level[0]) * self.sign)
        theirs = {Decimal(price): Decimal(size) for price, size in best}
        if not theirs:
            return 0, set()
        ours: dict[Decimal, Counter[Decimal]] = {}
        for (price, size), n in self.levels.items():
            ours.setdefault(Decimal(price), Counter())[Decimal(size)] += n
        ghosts = {price: Decimal(0) for price, had in ours.items() if had.total() == self.moments}
        end = max(self.reach, float(best[-1][0]) * self.sign)
        compared = {p: size for p, size in (ghosts | theirs).items() if float(p) * self.sign >= end}
        wrong = {(self.name, p, size) for p, size in compared.items() if size not in ours.get(p, ())}
        return len(compared), wrong


class _Range(Struct):
    """How far the best prices of a book went in a step of time, and at which prices was traded."""

    low: float = inf  # of the best bid
    high: float = -inf  # of the best ask
    prices: list[float] = field(default_factory=list)

    def stretch(self, bid: float | None, ask: float | None) -> None:
        self.low = min(self.low, -inf if bid is None else bid)
        self.high = max(self.high, inf if ask is None else ask)


class _Case(Struct, eq=False):
    """A book that is audited from time to time."""

    state: ChannelState
    trades: str  # the channel of its trades
    due_ns: int
    wrong: set[Wrong] = field(default_factory=set)  # at the audit before
    mended: set[Wrong] = field(default_factory=set)  # for which the book began anew, to no avail so far
    ranges: deque[_Range] = field(default_factory=lambda: deque(maxlen=3))


class _Audit(Struct, eq=False):
    """An audit that is under way."""

    case: _Case
    since_ns: int
    venue_ns: int | None  # of the book then
    bids: _Watched = field(default_factory=lambda: _Watched("bid", 1))
    asks: _Watched = field(default_factory=lambda: _Watched("ask", -1))
    asked: bool = False
    answer: BookUpdate | None = None

    def see(self) -> None:
        if (book := self.case.state.book) is not None:
            self.bids.see(book.bids)
            self.asks.see(book.asks)

    @property
    def is_void(self) -> bool:
        """Whether the book was not whole all the time, or too lively."""
        state = self.case.state
        broken = state.trust is not state.usual or state.since_ns > self.since_ns
        return broken or max(len(self.bids.levels), len(self.asks.levels)) > MOST


class Auditor:
    """Asks by ``effects``, for one book at a time; a book that is wrong begins anew."""

    def __init__(
        self, adapter: Adapter, channels: Channels, outlet: Outlet, effects: list[Effect], books: Keeper
    ) -> None:
        self._adapter, self._channels, self._outlet = adapter, channels, outlet
        self._effects, self._books = effects, books
        self._every_ns = int(adapter.audit_s * SECOND)
        self._cases: dict[ChannelState, _Case] = {}
        self._by_trades: dict[str, _Case] = {}
        self._audit: _Audit | None = None
        self._awaited = ""  # the name of the Fetch that has no answer yet
        self._due_ns = self._step_ns = 0

    def connected(self) -> None:
        """What was asked for on the connection before will not come."""
        self._audit, self._awaited = None, ""

    def saw(self, state: ChannelState) -> None:
        """The book of ``state`` may have changed."""
        if (case := self._cases.get(state)) is None:
            return
        if self._audit is not None and self._audit.case is case:
            self._audit.see()
        if case.ranges and state.book is not None:
            case.ranges[-1].stretch(*state.book.best())

    def traded(self, trade: Trade) -> None:
        """Remember at which price was traded; block trades, auctions and the like are no matter of books."""
        case = self._by_trades.get(trade.channel)
        if case is not None and case.ranges and not trade.conditions and trade.origin is Origin.LIVE:
            case.ranges[-1].prices.append(trade.price)

    def fetched(self, name: str, body: bytes, now_ns: int) -> None:
        """Take the venue's own book."""
        if self._adapter.refusal(body) is not None:
            self.refused(name, now_ns)
        if name != self._awaited:
            return
        audit, self._awaited = self._audit, ""
        if audit is None:
            return
        try:
            audit.answer = self._adapter.decode_audit(name.removeprefix(PREFIX), body)
            self._due_ns = now_ns + AROUND_NS
        except DecodeError as error:
            self._outlet.emit(Status(self._adapter.venue, "undecodable", str(error)), now_ns)
            self._end(audit, now_ns)

    def refused(self, name: str, now_ns: int) -> None:
        """The venue does not show this book: nothing is known of it, and nothing is wrong with it."""
        if name == self._awaited:
            self._awaited = ""
            if self._audit is not None:
                self._end(self._audit, now_ns, wait_ns=REFUSED_NS)

    def tick(self, now_ns: int) -> None:
        """Go on with the audit that is under way, or begin one."""
        if self._every_ns and now_ns >= self._due_ns:
            self._go_on(now_ns)
        if self._cases and now_ns >= self._step_ns:
            self._step_ns = now_ns + STEP_NS
            for case in self._cases.values():
                self._judge_trades(case, now_ns)

    def _go_on(self, now_ns: int) -> None:
        audit = self._audit
        if audit is None:
            self._begin(now_ns)
        elif audit.is_void or self._is_gone(audit.case) or (audit.asked and audit.answer is None):
            self._end(audit, now_ns)
        elif audit.answer is not None:
            self._judge(audit, audit.answer, now_ns)
        else:
            self._ask(audit, now_ns)

    def _begin(self, now_ns: int) -> None:
        """Watch the book that has waited longest, if there is one."""
        self._due_ns = now_ns + SECOND
        self._review(now_ns)
        due = [c for c in self._cases.values() if now_ns >= c.due_ns and c.state.trust is c.state.usual]
        if due and not self._awaited:
            case = min(due, key=lambda case: case.due_ns)
            last = case.state.last
            self._audit = _Audit(case, now_ns, None if last is None else last.venue_ns)
            self._audit.see()
            self._due_ns = now_ns + AROUND_NS

    def _review(self, now_ns: int) -> None:
        """Forget books that are gone, take up new ones."""
        for case in [case for case in self._cases.values() if self._is_gone(case)]:
            del self._cases[case.state], self._by_trades[case.trades]
        for state in self._channels.values():
            if state.book is None or state.guarantee is not None or state in self._cases:
                continue
            if self._adapter.audit_path(state.channel.symbol) is not None:
                trades = str(state.channel._replace(kind="trade"))
                case = _Case(state, trades, now_ns + self._every_ns)
                self._cases[state] = self._by_trades[trades] = case

    def _is_gone(self, case: _Case) -> bool:
        return self._channels.get(str(case.state.channel)) is not case.state

    def _ask(self, audit: _Audit, now_ns: int) -> None:
        symbol = audit.case.state.channel.symbol
        path = self._adapter.audit_path(symbol)
        assert path is not None
        audit.asked, self._awaited, self._due_ns = True, PREFIX + symbol, now_ns + OVERDUE_NS
        self._effects.append(Fetch(self._awaited, path, 0))

    def _end(self, audit: _Audit, now_ns: int, wait_ns: int | None = None) -> None:
        self._audit, self._due_ns = None, now_ns + APART_NS
        audit.case.due_ns = now_ns + (wait_ns or self._every_ns)

    def _judge(self, audit: _Audit, answer: BookUpdate, now_ns: int) -> None:
        """Count what agrees; what differs for the second time in a row is no matter of time.

        An answer that is older than the book when it was first looked at is none. Where a new book differs in
        the same way, it is REST that is wrong.
        """
        self._end(audit, now_ns)
        if audit.venue_ns is not None and (answer.venue_ns or audit.venue_ns) < audit.venue_ns:
            return
        bids, wrong_bids = audit.bids.compare(answer.bids)
        asks, wrong_asks = audit.asks.compare(answer.asks)
        if not (compared := bids + asks):
            return
        case, wrong = audit.case, wrong_bids | wrong_asks
        case.mended &= wrong
        again, case.wrong = (wrong & case.wrong) - case.mended, wrong
        agreement = case.state.agreement = case.state.agreement or Agreement(now_ns)
        agreement.audits += 1
        agreement.agreed += not wrong
        self._count(case.state, agreement, compared, compared - len(wrong), now_ns)
        if again:
            case.mended |= again
            (side, price, size), *more = sorted(again)
            others = f" and {len(more)} more" if more else ""
            cause = f"audit: the venue has {size:f} at {side} {price:f}, not we{others}"
            self._books.resync(case.state, cause, now_ns)

    def _judge_trades(self, case: _Case, now_ns: int) -> None:
        """Judge the trades of the step before the last, knowing where the book was before and after it."""
        state, ranges, agreement = case.state, case.ranges, case.state.agreement
        if agreement is None or state.book is None or case.trades not in self._channels:
            ranges.clear()
            return
        if len(ranges) == 3:
            low, high = min(step.low for step in ranges), max(step.high for step in ranges)
            if not all(low <= price <= high for price in ranges[1].prices):
                self._count(state, agreement, 1, 0, now_ns)
        ranges.append(_Range())
        ranges[-1].stretch(*state.book.best())

    def _count(
        self, state: ChannelState, agreement: Agreement, compared: int, agreed: int, now_ns: int
    ) -> None:
        """Count, and tell the score where it has changed."""
        before = str(agreement)
        agreement.levels += compared
        agreement.levels_agreed += agreed
        if state.wanted and str(agreement) != before:
            self._outlet.tell(state, now_ns)
