"""A vendor's dialect and a client's session of the same API, fed into each other in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from urllib.parse import parse_qsl, urlsplit

from hypothesis import strategies as st

from livetape import dialects
from livetape.adapters import find
from livetape.core.adapter import NOBODY
from livetape.core.book import Side
from livetape.core.credentials import Credentials
from livetape.core.decimals import Level
from livetape.core.dialect import Action, Call, Dialect, House, Pushed
from livetape.core.effects import Close, Fetch, Send
from livetape.core.events import Bar, BookUpdate, Gap, MarketEvent, Quote, Status, Trade
from livetape.core.instruments import Channel
from livetape.core.session import Session
from livetape.core.times import SECOND
from livetape.simulator.listings import LISTINGS, Listing
from livetape.simulator.market import Market

START_NS = 1_790_000_000 * SECOND
FOREVER = START_NS + 10**9 * SECOND
SYMBOLS = tuple(listing.symbol for listing in LISTINGS)


def market(venue: str, *, seed: int = 7, symbols: Sequence[str] = SYMBOLS[:3], aged: int = 0) -> Market:
    return market_of([i for i in LISTINGS if i.symbol in symbols], venue, seed=seed, aged=aged)


def market_of(listings: Sequence[Listing], venue: str, *, seed: int = 7, aged: int = 0) -> Market:
    """A market that has done ``aged`` actions already."""
    made = Market(listings, seed, START_NS, venue)
    for _ in actions(made, aged):
        pass
    return made


def actions(of: Market, n: int) -> Iterator[Action]:
    return islice(of.advance(FOREVER), n)


def toggles(channels: Iterable[str]) -> st.SearchStrategy[list[tuple[str, int]]]:
    """Channels to ``Pair.toggle``, each with how many actions then follow."""
    return st.lists(st.tuples(st.sampled_from(list(channels)), st.integers(0, 30)), max_size=20)


def speaker(venue: str, name: str) -> type[Dialect]:
    return next(dialect for dialect in dialects.of(venue) if dialect.__name__ == name)


class LoseFirst:
    """Loses the first frame that contains ``text``."""

    def __init__(self, text: bytes = b"") -> None:
        self.seen = 0
        self._text = text

    def __call__(self, frame: bytes) -> bool:
        self.seen += self._text in frame
        return self._text in frame and self.seen == 1


class Pair:
    """One client of ``market``. ``lose`` says which of the frames to the client are lost on the way."""

    def __init__(
        self,
        market: Market,
        dialect: type[Dialect],
        api: str = "",
        options: dict[str, object] | None = None,
        *,
        house: House | None = None,
        key: Credentials = NOBODY,
    ) -> None:
        self.market, self.dialect = market, dialect(market, house)
        self.adapter = find(self.dialect.venue, api)(options, key)
        self.events: list[MarketEvent] = []
        self.session = Session(self.adapter, publish=self.events.append)
        self.lose: Callable[[bytes], bool] = lambda frame: False
        self.to_client: list[bytes] = []
        self.to_server: list[bytes] = []
        self.said: list[str] = []  #: the channel of each event that the dialect says it told
        self.prints: list[Trade] = []  #: of the market, since the connection
        self.wanted: set[str] = set()
        self.ns = market.next_ns

    def connect(self, *channels: str) -> None:
        self.wanted |= {*channels}
        self.session.want(map(Channel.parse, channels), self.ns)
        upstream = [state.channel for state in self.session.channels.values() if not state.derived]
        url = urlsplit(self.adapter.endpoint(self.adapter.ws_url, upstream))
        headers = {name.lower(): value for name, value in self.adapter.ws_headers().items()}
        call = Call(url.path, dict(parse_qsl(url.query)), headers)
        greeting = self.dialect.open(call, self.ns)
        self.session.connected(self.ns)
        self.send(greeting)

    def want(self, *channels: str) -> None:
        self.wanted |= {*channels}
        self.session.want(map(Channel.parse, channels), self.ns)
        self.send([])

    def drop(self, *channels: str) -> None:
        self.wanted -= {*channels}
        self.session.drop(map(Channel.parse, channels), self.ns)
        self.send([])

    def toggle(self, channel: str) -> None:
        """Want ``channel``, or drop it if it is wanted."""
        (self.drop if channel in self.wanted else self.want)(channel)

    def beat(self) -> None:
        self.send(self.dialect.beat(self.ns))

    def pass_to(self, ns: int) -> None:
        """Let time pass; the client may have something to ask meanwhile."""
        while self.ns < ns:
            self.ns = min(self.ns + SECOND, ns)
            self.session.tick(self.ns)
            self.send([])

    def push(self, action: Action, memo: dict[str, bytes] | None = None) -> None:
        self.pass_to(action.ns)
        self.prints += action.trades
        self.send(self.dialect.push(action, {} if memo is None else memo))

    def run(self, n: int) -> Iterator[Action]:
        """``n`` actions of the market, each after the client has heard of it."""
        for action in actions(self.market, n):
            self.push(action)
            yield action

    def send(self, pushed: list[Pushed]) -> None:
        """To the client, and what that answers to the server, until nobody has anything to say."""
        for each in pushed:
            self.said += each.channels
            self.to_client.append(each.frame)
            if not self.lose(each.frame):
                self.session.receive(each.frame, self.ns)
        for effect in self.session.effects():
            match effect:
                case Send(frame=frame):
                    self.to_server.append(frame)
                    self.send(self.dialect.receive(frame, self.ns))
                case Fetch() | Close():
                    raise AssertionError(effect)

    # What the client knows

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]

    @property
    def data(self) -> list[Trade | Quote | BookUpdate | Bar]:
        return [event for event in self.events if isinstance(event, Trade | Quote | BookUpdate | Bar)]

    @property
    def denied(self) -> list[Status]:
        return [event for event in self.events if isinstance(event, Status) and event.state == "denied"]

    def trades(self, symbol: str) -> list[Trade]:
        return [event for event in self.data if isinstance(event, Trade) and event.symbol == symbol]

    def book(self, symbol: str) -> tuple[list[Level], list[Level]] | None:
        """All levels that the client knows, bids and asks."""
        book = self.session.channels[f"{self.dialect.venue}:{symbol}/book"].book
        return None if book is None else (levels(book.bids), levels(book.asks))

    def truth(self, symbol: str, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """The best ``depth`` levels of the market."""
        book = self.market.book(symbol)
        assert book is not None
        return levels(book.bids, depth), levels(book.asks, depth)

    def assert_printed(self, symbol: str, unit_ns: int) -> None:
        """The client had every print of ``symbol`` if it wanted its trades, and none if not."""
        wanted = f"{self.dialect.venue}:{symbol}/trade" in self.wanted
        printed = [facts(trade, unit_ns) for trade in self.prints if wanted and trade.symbol == symbol]
        assert [facts(trade, unit_ns) for trade in self.trades(symbol)] == printed

    def assert_understood(self) -> None:
        """Nothing was lost, refused or not understood."""
        assert not self.gaps
        assert not self.denied
        assert self.session.undecodable == 0

    def assert_whole(self) -> None:
        """Nothing was lost, refused or not understood, and what was said to be told was delivered."""
        self.assert_understood()
        for name, state in self.session.channels.items():
            assert (state.superseded, state.discarded) == (0, 0), name
            assert state.received == state.delivered, name
            if not state.derived:
                assert state.delivered == self.said.count(name), name


def levels(side: Side, depth: int | None = None) -> list[Level]:
    return side.top(len(side) if depth is None else depth)


def facts(trade: Trade, unit_ns: int) -> tuple[object, ...]:
    """What both ends must agree on, the time in whole units of the wire."""
    venue_ns = None if trade.venue_ns is None else trade.venue_ns // unit_ns
    return trade.channel, venue_ns, trade.price_text, trade.size_text, trade.side, trade.id
