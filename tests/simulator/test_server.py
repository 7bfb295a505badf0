"""A simulated vendor and the real feeds: all that was sent is delivered, or lies inside a gap."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from msgspec import Struct, json

from livetape import clock
from livetape.cli.simulate import make_vendor
from livetape.core.channel import ChannelState
from livetape.core.events import Bar, BookUpdate, Gap, Mark, MarketEvent, Origin, Quote, Status, Trade, Trust
from livetape.core.times import SECOND
from livetape.dialects.itick import ITickDialect
from livetape.simulator.listings import LISTINGS, PERPETUALS
from livetape.simulator.market import Market
from livetape.simulator.server import Vendor

from ..live import Live, live

Data = Trade | Quote | BookUpdate | Bar
APIS = [("kraken", ""), ("gemini", ""), ("gemini", "v1")]
#: What the venue tells of the time, in ns; None where it says nothing.
UNIT_NS = {"kraken": 1_000, "gemini": 1_000_000}


class Entry(Struct, frozen=True):
    """One line of the ledger."""

    client: int
    channel: str
    n: int
    ns: int


@asynccontextmanager
async def vendor(venue: str, ledger: Path | None = None, *, rate: float = 8.0) -> AsyncIterator[Vendor]:
    async with Vendor(
        venue, Market(LISTINGS[:2], 7, clock.now_ns(), venue, rate=rate), ledger
    ).serving() as up:
        yield up


def sources(venue: str, symbols: tuple[str, ...]) -> list[str]:
    kinds = ("trade", "book", "quote") if venue == "kraken" else ("trade", "book")
    return [f"{venue}:{symbol}/{kind}" for symbol in symbols for kind in kinds]


def states(tape: Live) -> dict[str, ChannelState]:
    return {name: state for line in tape.lines for name, state in line.session.channels.items()}


def read(ledger: Path, upto: dict[int, dict[str, int]]) -> list[Entry]:
    """What had been sent when ``upto`` was counted."""
    entries = [json.decode(line, type=Entry) for line in ledger.read_bytes().splitlines()]
    counts: Counter[tuple[int, str]] = Counter()
    for entry in entries:
        counts[entry.client, entry.channel] += 1
        assert entry.n == counts[entry.client, entry.channel]
    return [entry for entry in entries if entry.n <= upto[entry.client].get(entry.channel, 0)]


def assert_books_equal_the_markets(server: Vendor, tape: Live, depth: int | None) -> None:
    for name, state in states(tape).items():
        if state.channel.kind != "book":
            continue
        ours, theirs = state.book, server.market.book(state.channel.symbol)
        assert ours is not None
        assert theirs is not None
        n = len(theirs.bids) + len(theirs.asks) if depth is None else depth
        assert (ours.bids.top(n), ours.asks.top(n)) == (theirs.bids.top(n), theirs.asks.top(n)), name


@pytest.mark.parametrize(("venue", "api"), APIS)
async def test_all_that_was_sent_is_delivered(venue: str, api: str, tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    wanted = sources(venue, ("BTC-USD", "ETH-USD"))
    async with vendor(venue, ledger) as server, live(wanted, venue, server.ws_url, api=api) as tape:
        await tape.until(lambda: len(tape.trades) > 20)
        await asyncio.sleep(2)

        def sent() -> Counter[str]:
            return sum((Counter(client.sent) for client in server.clients), Counter[str]())

        await tape.until(lambda: sent() == {name: state.received for name, state in states(tape).items()})
        # From here to the end of the block nothing else runs.
        upto = {client.number: dict(client.sent) for client in server.clients}
        delivered = {name: state.delivered for name, state in states(tape).items()}
        accounted = {n: s.delivered + s.superseded + s.discarded for n, s in states(tape).items()}
        events = [event for event in tape.events if isinstance(event, Data)]
        assert not tape.gaps
        assert_books_equal_the_markets(server, tape, 10 if venue == "kraken" else None)
    assert len(upto) == (2 if api == "v1" else 1)  # one symbol a socket
    assert Counter(entry.channel for entry in read(ledger, upto)) == accounted
    assert delivered == accounted == Counter(event.channel for event in events)
    assert delivered.keys() == set(wanted)
    assert min(delivered.values()) > 10
    usual = {"quote": Trust.LIVE, "trade": Trust.VERIFIED, "book": Trust.VERIFIED}
    if (venue, api) == ("gemini", ""):
        usual = {"trade": Trust.LIVE, "book": Trust.UNVERIFIABLE}
    assert all(event.trust is usual[event.kind] for event in events)


@pytest.mark.parametrize("api", ["", "v3"])
async def test_every_mark_in_the_ledger_is_delivered(api: str, tmp_path: Path) -> None:
    ledger = tmp_path / "sent.jsonl"
    wanted = [f"gemini:{listing.symbol}/mark" for listing in PERPETUALS]
    market = Market((*LISTINGS[:2], *PERPETUALS), 7, clock.now_ns(), "gemini")
    async with (
        Vendor("gemini", market, ledger).serving() as server,
        live(wanted, "gemini", server.ws_url, api=api) as tape,
    ):

        def received() -> Counter[str]:
            return Counter(mark.channel for mark in tape.of(Mark))

        await tape.until(lambda: min(received()[name] for name in wanted) > 3)
        await tape.until(lambda: [Counter(client.sent) for client in server.clients] == [received()])
        upto = {client.number: dict(client.sent) for client in server.clients}
        told = received()
        assert not tape.gaps
    assert Counter(entry.channel for entry in read(ledger, upto)) == told
    assert told.keys() == set(wanted)


BURST_S = 20.0


class Dropped:
    """What both ends know of a vendor that lost its client once and got it back.

    In a burst much happens in the market at once, so that much is under way when the connection ends.
    """

    def __init__(self, venue: str, api: str, ledger: Path, clock_: pytest.MonkeyPatch) -> None:
        self.venue, self.api, self.ledger, self._clock = venue, api, ledger, clock_
        self.upto: dict[int, dict[str, int]] = {}
        self.events: list[MarketEvent] = []
        self.states: dict[str, ChannelState] = {}

    async def happen(self, how: str) -> None:
        wanted = sources(self.venue, ("BTC-USD",))
        async with (
            vendor(self.venue, self.ledger) as server,
            # A burst makes the clock leap, which is no silence.
            live(wanted, self.venue, server.ws_url, api=self.api, options={"silence_s": 60.0}) as tape,
        ):
            await tape.until(lambda: len(tape.trades) > 20 and len(tape.books) > 20)
            [first] = server.clients
            if how == "burst":
                self._put_the_clock_on(BURST_S)
                await asyncio.sleep(0.003)  # the vendor writes all that happened meanwhile
            if how == "polite":
                await first.close()
            else:
                first.socket.abort()
            await tape.until(lambda: sum(gap.end_ns is not None for gap in tape.gaps) == len(wanted))
            await asyncio.sleep(0.3)
            [second] = server.clients
            await tape.until(lambda: self._heard(tape) == Counter(second.sent))
            # From here to the end of the block nothing else runs.
            self.upto = {client.number: dict(client.sent) for client in (first, second)}
            self.events, self.states = list(tape.events), states(tape)
            self.printed = list(server.market.trades("BTC-USD", 1_000))
            assert_books_equal_the_markets(server, tape, 10 if self.venue == "kraken" else None)
            assert tape.conserved()

    def _put_the_clock_on(self, seconds: float) -> None:
        now_ns, ahead_ns = clock.now_ns, int(seconds * SECOND)
        self._clock.setattr(clock, "now_ns", lambda: now_ns() + ahead_ns)

    @staticmethod
    def _heard(tape: Live) -> Counter[str]:
        return Counter(event.channel for event in lives(tape.events)[1])

    @property
    def gaps(self) -> dict[str, Gap]:
        """The one of each channel, as it was told when it had ended."""
        ended = [event for event in self.events if isinstance(event, Gap) and event.end_ns is not None]
        assert len(ended) == len(self.states)
        return {gap.channel: gap for gap in ended}


def lives(events: list[MarketEvent]) -> tuple[list[Data], list[Data]]:
    """What was delivered as it happened, on the first connection and on the second."""
    end = next(
        (i for i, e in enumerate(events) if isinstance(e, Status) and e.state == "disconnected"), len(events)
    )
    before, after = (
        [event for event in part if isinstance(event, Data) and event.origin is Origin.LIVE]
        for part in (events[:end], events[end:])
    )
    return before, after


@pytest.mark.parametrize("how", ["polite", "abrupt", "burst"])
@pytest.mark.parametrize(("venue", "api"), APIS)
async def test_what_a_lost_connection_took_lies_inside_its_gap(
    venue: str, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    dropped = Dropped(venue, api, tmp_path / "sent.jsonl", monkeypatch)
    await dropped.happen(how)
    sent, lost_at_all = read(dropped.ledger, dropped.upto), 0
    for channel, gap in dropped.gaps.items():
        before, after = ([e for e in part if e.channel == channel] for part in lives(dropped.events))
        first, second = ([e for e in sent if e.channel == channel and e.client == n] for n in (1, 2))
        lost = first[len(before) :]
        lost_at_all += len(lost)
        # What was delivered is what was sent, up to the loss and again after it.
        assert_same_times(before, first)
        assert_same_times(after, second)
        assert len(after) == len(second)
        # What was lost would have come after all that was heard, and did so before the gap had ended.
        assert gap.end_ns is not None
        assert before[-1].recv_ns <= gap.start_ns < gap.end_ns <= after[0].recv_ns
        assert all(entry.ns <= gap.end_ns for entry in lost)
        state = dropped.states[channel]
        assert state.gap is None
        assert state.trust is {"quote": Trust.LIVE}.get(state.channel.kind, state.usual)
        assert len(first) + len(second) == len(before) + len(after) + len(lost)
        if state.channel.kind == "book":
            assert gap.healed == "snapshot"
            assert isinstance(after[0], BookUpdate)
            assert after[0].snapshot
    assert how != "polite" or not lost_at_all
    assert how != "burst" or lost_at_all


def assert_same_times(delivered: list[Data], sent: list[Entry]) -> None:
    """Each event has the time of the one that was sent in its place, as far as the venue tells it."""
    assert len(delivered) <= len(sent)
    for event, entry in zip(delivered, sent, strict=False):
        unit_ns = UNIT_NS[event.venue]
        assert event.venue_ns is None or event.venue_ns == entry.ns // unit_ns * unit_ns


@pytest.mark.parametrize("how", ["polite", "abrupt", "burst"])
async def test_trade_numbers_tell_exactly_how_many_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    dropped = Dropped("kraken", "", tmp_path / "sent.jsonl", monkeypatch)
    await dropped.happen(how)
    gap = dropped.gaps["kraken:BTC-USD/trade"]
    trades = [event for event in dropped.events if isinstance(event, Trade)]
    numbers = [trade.number or 0 for trade in trades]
    assert numbers == sorted(set(numbers))
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert gap.missing == missing
    assert (gap.healed == "complete") == (missing == 0)
    assert bool(missing) == (how == "burst")  # fifty prints are told again, which is enough for a short loss
    # The prints that were told again happened while nobody listened, or were under way.
    backfilled = [trade for trade in trades if trade.origin is Origin.BACKFILLED]
    assert all(gap.end_ns == trade.recv_ns for trade in backfilled)
    first_after = next(trade for trade in trades if trade.recv_ns >= (gap.end_ns or 0))
    assert missing == sum(1 for n in range(numbers[0], first_after.number or 0) if n not in set(numbers))
    known = {trade.number: trade for trade in dropped.printed}
    same = [(trade, known[trade.number]) for trade in trades if trade.number in known]
    assert len(same) > 20
    for ours, theirs in same:
        assert (ours.price_text, ours.size_text, ours.side) == (
            theirs.price_text,
            theirs.size_text,
            theirs.side,
        )


async def test_history_is_not_counted_as_sent() -> None:
    async with vendor("kraken") as server:
        for _ in server.market.advance(server.market.next_ns + 60 * SECOND):
            pass  # a market with many prints behind it, and none to come for a minute
        async with live(["kraken:BTC-USD/trade"], "kraken", server.ws_url) as tape:
            await tape.until(lambda: bool(tape.lines) and tape.lines[0].session.frames >= 3)
            assert len(server.market.trades("BTC-USD", 50)) == 50
            [client] = server.clients
            assert client.sent == {}
            assert tape.channel("kraken:BTC-USD/trade").received == 0


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    handshake = (
        b"GET /v2/marketdata HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    wish = b'{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD"]}]}'
    masked = bytes([0x81, 0x80 | len(wish), 0, 0, 0, 0]) + wish
    async with vendor("gemini") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(handshake)
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.write(masked * 3_000)  # each is answered with the whole book
        async with asyncio.timeout(15):
            while not server.clients:
                await asyncio.sleep(0.01)
            [client] = server.clients
            while server.clients:
                await asyncio.sleep(0.01)
        assert not client.socket.open
        assert client.sent["gemini:BTC-USD/book"] < 3_000
        writer.close()


# Over HTTP


async def test_the_symbols_are_listed() -> None:
    for venue in ("kraken", "gemini"):
        async with vendor(venue) as server, live([f"{venue}:BTC-USD/book"], venue, server.ws_url) as tape:
            listed = await tape.app.hub.instruments(venue)
            assert [instrument.symbol for instrument in listed] == ["BTC-USD", "ETH-USD"]


async def test_rest_answers_as_the_dialects_do() -> None:
    async with vendor("gemini") as server, aiohttp.ClientSession() as http:
        base = server.ws_url.replace("ws", "http")
        async with http.get(f"{base}/v1/book/btcusd?limit_bids=2&limit_asks=1") as answer:
            said = await answer.json()
            assert (answer.status, len(said["bids"]), len(said["asks"])) == (200, 2, 1)
        async with http.get(f"{base}/v1/symbols/details/nope") as answer:
            assert (answer.status, (await answer.json())["reason"]) == (400, "InvalidSymbol")
        async with http.get(f"{base}/nothing") as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{base}/nothing")
        assert refused.value.status == 404


async def test_a_vendor_that_wants_a_heartbeat_hears_the_pings_of_the_protocol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ITickDialect, "beat_s", 0.1)
    vendor = make_vendor("itick", 7, faults=["idle_s=1"])
    async with vendor.serving(), aiohttp.ClientSession() as http, asyncio.timeout(10):
        url = f"{vendor.ws_url}/forex?token=K"
        async with http.ws_connect(url) as silent, http.ws_connect(url) as alive:

            async def ping() -> None:
                while not silent.closed:
                    await alive.ping()
                    await asyncio.sleep(0.2)

            pinging = asyncio.create_task(ping())
            assert [message.json()["msg"] async for message in silent] == [
                *("Connected Successfully", "authenticated")
            ]
            await pinging
            assert [client.dialect.leaving for client in vendor.clients] == [None]


async def test_a_request_may_come_in_fragments() -> None:
    async with make_vendor("alpaca", 7).serving() as vendor, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", vendor.port)
        upgrade = ("GET /v2/test HTTP/1.1", "Host: vendor", "Upgrade: websocket", "Connection: Upgrade")
        wish = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "")
        writer.write("\r\n".join(upgrade + wish).encode())
        request = b'{"action":"auth","key":"K","secret":"S"}'
        text, more, last = 0x01, 0x00, 0x80
        for kind, part in ((text, request[:9]), (more, request[9:20]), (last, request[20:])):
            writer.write(bytes([kind, 0x80 | len(part)]) + bytes(4) + part)  # masked with zeros
        await reader.readuntil(b'[{"T":"success","msg":"authenticated"}]')
        writer.close()
        await writer.wait_closed()


async def test_quotes_are_remembered_before_anybody_asks() -> None:
    vendor = make_vendor("alpaca", 7, 20.0)
    headers = {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}
    async with vendor.serving(), aiohttp.ClientSession(vendor.ws_url.replace("ws", "http", 1)) as http:
        async with asyncio.timeout(10):
            quotes: list[object] = []
            while len(quotes) < 20:
                async with http.get("/v2/stocks/AAPL/quotes", headers=headers) as answer:
                    quotes = (await answer.json())["quotes"]
                await asyncio.sleep(0.05)
        assert not vendor.clients


async def test_a_client_learns_that_its_symbol_does_not_exist() -> None:
    async with vendor("gemini") as server:
        async with live(["gemini:FOO-USD/book"], "gemini", server.ws_url, api="v1") as tape:
            await tape.until(lambda: "Received unsupported symbol 'foousd'" in tape.lines[0].last_error)
            assert not tape.lines[0].ever_connected
        async with live(["gemini:FOO-USD/book"], "gemini", server.ws_url) as tape:
            await tape.until(lambda: "denied" in tape.states("gemini:FOO-USD/book"))


async def test_a_port_that_is_taken_is_an_error_and_a_vendor_may_come_back() -> None:
    async with vendor("kraken") as server:
        other = Vendor("kraken", server.market)
        with pytest.raises(OSError, match=str(server.port)):
            async with other.serving(server.port):
                pass
        port = server.port
    async with live(["kraken:BTC-USD/book"], "kraken", server.ws_url) as tape:
        await tape.until(lambda: bool(tape.lines[0].last_error))
        async with server.serving(port):
            await tape.until(lambda: len(tape.books) > 5)
            assert {book.trust for book in tape.books} == {Trust.VERIFIED}
    assert server.clients == []
