"""What the simulated vendors tell over REST of the past is what they told over the socket."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec.structs import replace

from livetape import dialects
from livetape.core.adapter import Span
from livetape.core.credentials import Credentials
from livetape.core.dialect import Answer, Call
from livetape.core.events import Bar, MarketEvent, Quote, Trade
from livetape.core.instruments import Channel, interval_ns
from livetape.core.times import SECOND
from livetape.simulator.listings import listed
from livetape.simulator.market import Market

from .pair import START_NS, Pair, speaker

KEY = Credentials("key", "secret")
MINUTE = 60 * SECOND
#: A channel, its API, and who speaks it.
TRADES = [
    ("kraken:BTC-USD/trade", "", "KrakenDialect"),
    ("gemini:BTC-USD/trade", "", "GeminiDialect"),
    ("gemini:BTC-USD/trade", "v1", "GeminiV1Dialect"),
    ("alpaca:AAPL/trade", "", "AlpacaDialect"),
    ("alpaca:BTC-USD/trade", "", "AlpacaDialect"),
]
BARS = [
    ("gemini:BTC-USD/bar.1m", "", "GeminiDialect"),
    ("itick:EUR-USD/bar.1m", "", "ITickDialect"),
    ("itick:EUR-USD/bar.1m", "v1", "ITickV1Dialect"),
    ("alpaca:AAPL/bar.1m", "", "AlpacaDialect"),
]


class Listener:
    """A client of one channel that hears a market of its instrument alone, and reads it again over REST."""

    def __init__(self, name: str, api: str, dialect: str, actions: int, rate: float = 1.0) -> None:
        self.channel = channel = Channel.parse(name)
        listings = [listing for listing in listed(channel.venue) if listing.symbol == channel.symbol]
        made = Market(listings, 7, START_NS, channel.venue, rate=rate)
        self.pair = Pair(made, speaker(channel.venue, dialect), api, {"silence_s": 86_400.0}, key=KEY)
        self.pair.connect(name)
        beaten_ns = 0
        for action in self.pair.run(actions):
            self.pair.dialect.witness(made, self.pair.dialect.house, action)
            if action.ns - beaten_ns > SECOND:
                beaten_ns = action.ns
                self.pair.beat()

    @property
    def told(self) -> list[MarketEvent]:
        return [event for event in self.pair.data if event.channel == str(self.channel)]

    def again(self, span: Span) -> list[MarketEvent]:
        """What REST tells of ``span``, over as many pages as there are."""
        adapter, found, page = self.pair.adapter, list[MarketEvent](), ""
        for _ in range(100):
            path = adapter.history_path(self.channel, span, page)
            assert path is not None
            history = adapter.decode_history(self.channel, self.answer(path).body)
            found += history.events
            if not history.page:
                return found
            page = history.page
        raise AssertionError("there is no end of pages")

    def answer(self, path: str) -> Answer:
        url = urlsplit(path)
        headers = {name.lower(): value for name, value in self.pair.adapter.rest_headers().items()}
        call = Call(url.path, dict(parse_qsl(url.query)), headers)
        market, house = self.pair.market, self.pair.dialect.house
        answers = [each.answer(market, house, call, self.pair.ns) for each in dialects.of(self.channel.venue)]
        return next(answer for answer in answers if answer is not None)


def bare(event: MarketEvent) -> tuple[object, ...]:
    """What the venue said, without what the session has added."""
    match event:
        case Trade():
            facts = event.price_text, event.size_text, event.side, event.id, event.number
            return event.channel, event.venue_ns, *facts, event.conditions, event.excluded
        case Quote():
            return event.channel, event.venue_ns, event.bid, event.bid_size, event.ask, event.ask_size
        case Bar():
            figures = event.open_text, event.high_text, event.low_text, event.close_text, event.volume_text
            return event.channel, event.start_ns, *figures, event.trades, event.vwap_text, event.closed
    raise TypeError(event)


@pytest.mark.parametrize(("name", "api", "dialect"), TRADES)
def test_trades_are_the_same_over_rest(name: str, api: str, dialect: str) -> None:
    listener = Listener(name, api, dialect, 2500)
    first, last = listener.pair.prints[0], listener.pair.prints[-1]
    assert len(listener.told) > 500  # more than a page of Gemini's
    numbers = range(first.number or 0, last.number or 0)
    again = listener.again(Span((first.venue_ns or 0) - SECOND, (last.venue_ns or 0) + SECOND, numbers))
    assert list(map(bare, again)) == list(map(bare, listener.told))


@pytest.mark.parametrize(("name", "api", "dialect"), BARS)
def test_bars_are_the_same_over_rest(name: str, api: str, dialect: str) -> None:
    listener = Listener(name, api, dialect, 2500, rate=0.2)
    last = {event.start_ns: bare(event) for event in listener.told if isinstance(event, Bar)}
    whole = {ns: bar for ns, bar in last.items() if START_NS + MINUTE <= ns < listener.pair.ns - MINUTE}
    assert len(whole) > 2
    again = listener.again(Span(min(whole), max(whole) + MINUTE))
    found = {event.start_ns: bare(event) for event in again if isinstance(event, Bar)}
    assert {ns: found[ns] for ns in whole} == whole


@pytest.mark.parametrize("name", ["alpaca:AAPL/quote", "alpaca:BTC-USD/quote"])
def test_quotes_are_the_same_over_rest(name: str) -> None:
    listener = Listener(name, "", "AlpacaDialect", 700)
    _, *told = listener.told  # the first one is of what had been so before
    again = listener.again(Span(told[0].venue_ns or 0, listener.pair.ns + SECOND))
    assert len(told) > 100
    assert list(map(bare, again)) == list(map(bare, told))


@pytest.mark.parametrize("kind", ["bar.1m", "bar.5m"])
def test_krakens_bars_are_those_of_the_market(kind: str) -> None:
    listener = Listener("kraken:BTC-USD/trade", "", "KrakenDialect", 2500, rate=0.2)
    listener.channel = listener.channel._replace(kind=kind)
    length_ns, source = interval_ns(kind), listener.pair.market
    span = Span(START_NS - 100 * length_ns, listener.pair.ns)
    first_ns = span.start_ns - length_ns
    bars = source.bars("BTC-USD", length_ns, first_ns + 1, listener.pair.ns + 1)
    assert len(bars) >= 100
    assert list(map(bare, listener.again(span))) == [bare(replace(bar, closed=None)) for bar in bars]
