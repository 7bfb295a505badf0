"""Two connections for each channel: one of them is killed again and again, and nobody notices.

The vendor's ledger says what was sent to either of them, and when it happened in the market.
"""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from msgspec import json
from msgspec.structs import replace

from livetape import clock
from livetape.adapters import find
from livetape.app import App
from livetape.config import Config, VenueConfig, load
from livetape.core.book import Book
from livetape.core.errors import ConfigError
from livetape.core.events import BookUpdate, Gap, MarketEvent, Origin, Status, Trade
from livetape.core.instruments import Channel
from livetape.core.redundant import Merge
from livetape.feeds.line import Retry
from livetape.feeds.replay import Replay
from livetape.simulator.listings import listed
from livetape.simulator.market import Market
from livetape.simulator.server import Entry, Vendor
from livetape.store.reader import open_store

from ..live import Live

KILLS = 100
MS = 1_000_000
AT_ONCE = Retry(first_s=0.01, most_s=0.02)
#: Books without time or number: nobody can tell whether both lines are in step.
NAMELESS = {"gemini:BTC-USD/book"}


class Viewer:
    """Whoever applies the updates has the book of the line that told them."""

    def __init__(self, depth: int | None) -> None:
        self.books: dict[str, Book] = {}
        self.snapshots: Counter[str] = Counter()
        self._depth = depth

    def see(self, event: MarketEvent) -> None:
        if not isinstance(event, BookUpdate):
            return
        if event.snapshot:
            self.books[event.channel] = Book()
            self.snapshots[event.channel] += 1
        book = self.books[event.channel]
        book.apply(event.bids, event.asks, depth=self._depth)
        for mine, theirs in ((book.bids, event.book.bids), (book.asks, event.book.asks)):
            assert mine.top(len(mine)) == theirs.top(len(theirs))


class Case:
    """A vendor with a ledger, and two lines to it."""

    def __init__(self, sources: list[str], directory: Path) -> None:
        self.sources = sources
        self.venue = sources[0].partition(":")[0]
        self.tape = directory / "tape"
        self._sent = directory / "sent.jsonl"
        self.events: list[MarketEvent] = []
        self.viewer = Viewer(find(self.venue)().depth)

    async def run(self) -> None:
        """Kill one of the lines by chance, again and again, each time when both are in step."""
        random = Random(7)
        listings = [each for each in listed(self.venue) if each.symbol == find(self.venue).sample]
        market = Market(listings, 7, clock.now_ns(), self.venue, rate=40.0)
        async with Vendor(self.venue, market, self._sent).serving() as vendor:
            config = VenueConfig(ws_url=vendor.ws_url, lines=2, retry=AT_ONCE)
            app = App(Config(self.sources, {self.venue: config}))
            app.record(self.tape)
            live = Live(app)
            app.bus.subscribe(None, self.viewer.see)
            try:
                app.hub.want(map(Channel.parse, self.sources))
                for kills in range(KILLS):
                    await live.until(lambda n=kills: self._well(live, n))  # type: ignore[misc]
                    first, second = vendor.clients
                    random.choice([first, second]).reset()
                await live.until(lambda: self._well(live, KILLS))
                self._check_conservation(live)
            finally:
                await app.close()
            self.events = live.events

    def _merges(self, live: Live) -> dict[str, Merge]:
        return dict(live.app.hub.merges())

    def _well(self, live: Live, kills: int) -> bool:
        """Whether both lines are back after so many ``kills``, and tell the same of every channel."""
        if sum(line.dials for line in live.lines) != 2 + kills:
            return False
        merges = self._merges(live)
        states = [line.session.channels[source] for line in live.lines for source in self.sources]
        return all(s.heard_ns and s.trust is s.usual for s in states) and all(
            source in NAMELESS or (merges[source].delivered and merges[source].in_step == 2)
            for source in self.sources
        )

    def _check_conservation(self, live: Live) -> None:
        assert live.conserved()
        told = live.app.gateway()._upstream.status()["redundant"]
        assert [row["channel"] for row in told] == list(self._merges(live))
        for name, merge in self._merges(live).items():
            assert merge.received == merge.delivered + merge.superseded + merge.held, name
            assert merge.diverged == 0
            data = [e for e in live.events if e.channel == name and not isinstance(e, Status | Gap)]
            assert merge.delivered == len(data)

    def delivered(self, source: str) -> Counter[int]:
        """How many events, by their time in the market in ms."""
        mine = [event for event in self.events if event.channel == source]
        data = [e for e in mine if isinstance(e, Trade) or (isinstance(e, BookUpdate) and not e.snapshot)]
        return Counter((event.venue_ns or 0) // MS for event in data)

    def sent(self, source: str) -> Counter[int]:
        """How many were sent, to either of the lines, between the first and the last one delivered."""
        ledger = [json.decode(line, type=Entry) for line in self._sent.read_bytes().splitlines()]
        snapshot = source.endswith("/book")  # the first that a client is sent
        mine = [e for e in ledger if e.channel == source and not (snapshot and e.n == 1)]
        found: Counter[int] = Counter()
        for (_, time), n in Counter((e.client, e.ns // MS) for e in mine).items():
            found[time] = max(found[time], n)
        times = self.delivered(source)
        first, *_, last = sorted(times)
        return Counter({time: n for time, n in found.items() if first < time < last})

    def check_all_delivered(self, source: str) -> None:
        """None is missing and none came twice, but for the first and the last millisecond."""
        sent, delivered = self.sent(source), self.delivered(source)
        assert len(sent) > KILLS
        assert {time: delivered[time] for time in sorted(delivered)[1:-1]} == dict(sent)

    def check_replay(self) -> None:
        """The tape of both sessions gives the same events again."""
        replayed: list[MarketEvent] = []
        Replay(open_store(self.tape).raw(), replayed.append).run()
        assert [*map(_plain, replayed)] == [*map(_plain, self.events)]

    def check_no_gap(self) -> None:
        assert not [event for event in self.events if isinstance(event, Gap)]


def _plain(event: MarketEvent) -> MarketEvent:
    """Without what differs between live and replayed."""
    event = replace(event, origin=Origin.LIVE)
    return replace(event, _book=None) if isinstance(event, BookUpdate) else event


async def test_at_kraken_every_trade_and_every_update_of_a_book_comes_once(tmp_path: Path) -> None:
    case = Case([f"kraken:BTC-USD/{kind}" for kind in ("trade", "book", "quote")], tmp_path)
    await case.run()
    for source in case.sources[:2]:
        case.check_all_delivered(source)
    numbers = [e.number for e in case.events if isinstance(e, Trade)]
    assert numbers == [*range(min(filter(None, numbers)), max(filter(None, numbers)) + 1)]
    assert case.viewer.snapshots == {"kraken:BTC-USD/book": 1}
    case.check_no_gap()
    case.check_replay()


async def test_at_alpaca_every_trade_comes_once_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "one,two")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "secret,secret")
    case = Case([f"alpaca:{find('alpaca').sample}/trade"], tmp_path)
    await case.run()
    case.check_all_delivered(case.sources[0])
    ids = [e.id for e in case.events if isinstance(e, Trade)]
    assert len(set(ids)) == len(ids)
    case.check_no_gap()


async def test_at_gemini_one_line_leads_where_nothing_tells_updates_apart(tmp_path: Path) -> None:
    case = Case(["gemini:BTC-USD/trade", "gemini:BTC-USD/book"], tmp_path)
    await case.run()
    case.check_all_delivered(case.sources[0])
    case.check_no_gap()
    assert 1 < case.viewer.snapshots["gemini:BTC-USD/book"] <= 1 + KILLS


def test_two_addresses_make_two_lines_and_one_address_may_have_two() -> None:
    urls = ["ws://127.0.0.1:1/a", "ws://127.0.0.1:2/b"]
    assert [each.ws_url for each in VenueConfig(ws_url=urls).endpoints("kraken")] == urls
    assert [each.ws_url for each in VenueConfig(ws_url=urls, lines=2).endpoints("kraken")] == urls
    assert [each.ws_url for each in VenueConfig(ws_url=urls[0], lines=2).endpoints("kraken")] == [urls[0]] * 2
    rest_urls = [each.rest_url for each in VenueConfig(ws_url=urls).endpoints("kraken")]
    assert rest_urls == ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    assert len(VenueConfig().endpoints("kraken")) == 1
    with pytest.raises(ConfigError, match="rest_url"):
        VenueConfig(rest_url=["http://127.0.0.1:1", "http://127.0.0.1:2"]).endpoints("kraken")
    with pytest.raises(ConfigError, match="lines"):
        load(settings=["venues.kraken.lines=3"])
    with pytest.raises(ConfigError, match="at most two"):
        VenueConfig(ws_url=[*urls, urls[0]]).endpoints("kraken")


async def test_two_lines_need_as_many_connections_as_the_keys_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "one")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "secret")
    app = App(Config([], {"alpaca": VenueConfig(ws_url="ws://127.0.0.1:9", lines=2)}))
    try:
        with pytest.raises(ConfigError, match="add another key to APCA_API_KEY_ID"):
            app.hub.want([Channel.parse("alpaca:AAPL/trade")])
    finally:
        await app.close()


async def test_both_lines_are_in_the_status_and_share_their_limits() -> None:
    config = VenueConfig(ws_url="ws://127.0.0.1:9", lines=2, options={"max_symbols": 1})
    app = App(Config([], {"kraken": config}))
    try:
        app.hub.want([Channel.parse("kraken:BTC-USD/trade"), Channel.parse("kraken:ETH-USD/trade")])
        status = app.gateway()._upstream.status()
        assert len({row["session"] for row in status["connections"]}) == 4
        symbols = [line.symbols for line in app.hub.lines]
        assert symbols == [{"BTC-USD"}, {"BTC-USD"}, {"ETH-USD"}, {"ETH-USD"}]
        app.hub.drop([Channel.parse("kraken:BTC-USD/trade")])
        assert [line.symbols for line in app.hub.lines] == [{"ETH-USD"}, {"ETH-USD"}]
    finally:
        await app.close()
