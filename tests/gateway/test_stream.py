"""The gateway, with real clients over loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from livetape.app import App
from livetape.config import Config, VenueConfig
from livetape.core.events import MarketEvent
from livetape.gateway.server import Gateway

from ..live import conserved
from ..vendors import config_for, vendor

BOOK, TRADE = "kraken:BTC-USD/book", "kraken:BTC-USD/trade"


class Site:
    def __init__(self, app: App, gateway: Gateway, http: aiohttp.ClientSession) -> None:
        self.app, self.gateway, self.http = app, gateway, http
        self.published: list[MarketEvent] = []
        app.bus.subscribe(None, self.published.append)

    async def client(self, **headers: str) -> "Client":
        client = Client(
            await self.http.ws_connect(f"{self.gateway.url}/v1/stream", max_msg_size=0, headers=headers)
        )
        assert (await client.get())["op"] == "hello"
        return client


class Client:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.events: list[dict[str, Any]] = []
        self.snapshots: dict[str, list[dict[str, Any]]] = {}

    async def get(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.ws.receive_json(timeout=10)
        if message["op"] == "batch":
            self.events += message["events"]
        elif message["op"] == "snapshot":
            self.snapshots[message["channel"]] = message["events"]
        return message

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer; what comes before it is kept."""
        await self.ws.send_json(request)
        while (message := await self.get())["op"] not in ("ack", "error", "pong"):
            pass
        return message

    async def until(self, n: int, kind: str) -> list[dict[str, Any]]:
        while len(found := [event for event in self.events if event["type"] == kind]) < n:
            await self.get()
        return found


@asynccontextmanager
async def site(rate: float = 5.0) -> AsyncIterator[Site]:
    async with vendor(rate=rate) as kraken, served(App(config_for(kraken))) as running:
        yield running


@asynccontextmanager
async def served(app: App) -> AsyncIterator[Site]:
    try:
        async with app.gateway().serving("127.0.0.1", 0) as gateway, aiohttp.ClientSession() as http:
            yield Site(app, gateway, http)
            assert conserved(app)
    finally:
        await app.close()


async def test_a_subscriber_gets_every_event_once_and_in_order() -> None:
    async with site() as running:
        client = await running.client()
        assert (await client.ask(op="subscribe", id=1, channels=[BOOK, TRADE], depth=5))["channels"] == [
            BOOK,
            TRADE,
        ]
        trades = await client.until(10, "trade")
        books = await client.until(30, "book")
        wanted = [
            (e.session, e.seq)
            for e in running.published
            if e.channel == TRADE and type(e).__name__ == "Trade"
        ]
        assert [trade["seq"] for trade in trades] == [seq for _, seq in wanted][: len(trades)]
        assert all(len(book["bids"]) == 5 and book["trust"] == "verified" for book in books)
        assert books[-1]["proof"]["method"] == "crc32"


async def test_a_late_subscriber_gets_the_present_state_at_once() -> None:
    async with site() as running:
        first = await running.client()
        await first.ask(op="subscribe", channels=[BOOK, TRADE])
        await first.until(5, "trade")
        second = await running.client()
        await second.ask(op="subscribe", channels=[BOOK, TRADE])
        while len(second.snapshots) < 2:
            await second.get()
        assert len(second.snapshots[TRADE]) >= 5
        assert any(event["type"] == "book" for event in second.snapshots[BOOK])
        assert len(running.app.hub.lines) == 1
        assert len(running.app.hub.lines[0].session.channels) == 2  # shared upstream


async def test_the_best_quote_is_served_like_any_channel() -> None:
    best, kraken_quote = "best:BTC-USD/quote", "kraken:BTC-USD/quote"
    async with (
        vendor() as kraken,
        vendor("gemini") as gemini,
        served(App(config_for(kraken, gemini))) as running,
    ):
        client = await running.client()
        assert (await client.ask(op="subscribe", channels=["best:btcusd"]))["channels"] == [best]
        while {event.get("bid_venue") for event in client.events} < {"kraken", "gemini"}:
            await client.get()
        assert {event["channel"] for event in client.events} == {best}
        await client.ask(op="subscribe", channels=[kraken_quote])
        await client.until(2, "quote")
        assert len(running.app.hub.lines) == 2
        assert len(kraken.clients) == 1


async def test_latest_is_conflated_and_counted() -> None:
    async with site(rate=20) as running:
        slow, every = await running.client(), await running.client()
        await slow.ask(op="subscribe", channels=[BOOK], delivery="latest", max_hz=5, depth=3)
        await every.ask(op="subscribe", channels=[BOOK], depth=3)
        books = await slow.until(5, "book")
        stood_for = sum(1 + book.get("conflated", 0) for book in books)
        assert stood_for > len(books)
        published = [e for e in running.published if e.channel == BOOK and type(e).__name__ == "BookUpdate"]
        behind = [e.seq for e in published if e.seq <= books[-1]["seq"]]
        shown_first = slow.snapshots.get(BOOK, [])
        assert stood_for + sum(event["type"] == "book" for event in shown_first) == len(behind)


async def test_mistakes_are_answered_and_end_nothing() -> None:
    async with site() as running:
        client = await running.client()
        for request, code, part in (
            (
                {"op": "subscribe", "channels": ["krakn:BTC-USD/book"]},
                "UNKNOWN_CHANNEL",
                "did you mean kraken",
            ),
            ({"op": "subscribe", "channels": ["kraken:BTC-USD/bok"]}, "UNKNOWN_CHANNEL", "did you mean book"),
            ({"op": "subscribe", "channels": []}, "BAD_REQUEST", "no channels"),
            ({"op": "subscribe", "channels": [BOOK], "delivery": "all"}, "BAD_REQUEST", "every"),
            ({"op": "subscribe", "channels": [BOOK], "max_hz": 0}, "BAD_REQUEST", "max_hz"),
            ({"op": "shout"}, "BAD_REQUEST", "unknown op"),
            ({"op": "subscribe", "chanels": [BOOK]}, "BAD_REQUEST", "chanels"),
        ):
            answer = await client.ask(**request)
            assert (answer["op"], answer["code"]) == ("error", code)
            assert part in answer["message"]
        await client.ws.send_str("{")
        assert (await client.get())["code"] == "BAD_REQUEST"
        assert (await client.ask(op="ping", id=9))["id"] == 9


async def test_what_is_beyond_the_vendors_cap_is_told_and_comes_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FINNHUB_API_KEY", "any")
    monkeypatch.setattr("livetape.gateway.server.LINGER_S", 0.1)
    async with vendor("finnhub", rate=20) as finnhub:
        config = Config(venues={"finnhub": VenueConfig(ws_url=finnhub.ws_url, options={"max_symbols": 2})})
        async with served(App(config)) as running:
            client = await running.client()
            await client.ask(op="subscribe", channels=["finnhub:AAPL", "finnhub:MSFT"])
            assert (await client.ask(op="subscribe", channels=["finnhub:TSLA"]))["op"] == "ack"
            while (message := await client.get())["op"] != "error":
                pass
            assert (message["code"], message["channel"]) == ("UPSTREAM_CAP", "finnhub:TSLA/trade")
            assert message["message"].startswith("all 2 symbols are in use; ")
            assert client.snapshots["finnhub:TSLA/trade"][-1]["state"] == "queued"
            await client.ask(op="unsubscribe", channels=["finnhub:AAPL"])
            while not [e for e in client.events if e["type"] == "trade" and e["symbol"] == "TSLA"]:
                await client.get()


async def test_an_unknown_symbol_is_an_error_of_those_who_asked() -> None:
    async with site() as running:
        client = await running.client()
        await client.ask(op="subscribe", channels=["kraken:NO-SUCH/book"])
        while (message := await client.get())["op"] != "error":
            pass
        assert message["code"] == "UNKNOWN_SYMBOL"


async def test_pause_holds_and_resume_shows_the_present_state() -> None:
    async with site(rate=20) as running:
        client = await running.client()
        await client.ask(op="subscribe", channels=[BOOK])
        await client.until(3, "book")
        await client.ask(op="pause", id=1)
        client.events.clear()
        client.snapshots.clear()
        await asyncio.sleep(0.2)
        await client.ask(op="resume", id=2)
        while BOOK not in client.snapshots:
            await client.get()
        await client.until(1, "book")


async def test_a_client_that_does_not_read_costs_bounded_memory_and_nobody_else() -> None:
    async with site(rate=100) as running:
        running.gateway._outbox_bytes = 64 << 10
        stuck, reader = await running.client(), await running.client()
        await stuck.ws.send_json({"op": "subscribe", "channels": [BOOK, TRADE], "depth": 1000})
        await reader.ask(op="subscribe", channels=[BOOK, TRADE], depth=10)
        transport = stuck.ws.get_extra_info("socket")
        assert transport is not None
        stuck.ws._response.connection.transport.pause_reading()  # type: ignore[union-attr]  # the real pause
        await reader.until(500, "book")
        [held] = [c for c in running.gateway.fanout.clients if c.audience.subscriptions[BOOK].depth == 1000]
        assert held.audience.bytes <= 64 << 10
        assert held.socket.room > -(256 << 10)


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "rebind.evil"}, 421), ({"Origin": "http://evil.example"}, 403)]
)
async def test_other_hosts_and_other_sites_are_refused(headers: dict[str, str], status: int) -> None:
    async with site() as running:
        for path in ("/", "/v1/status", "/v1/stream"):
            async with running.http.get(running.gateway.url + path, headers=headers) as response:
                assert response.status == status


async def test_symbols_are_found_by_what_people_type() -> None:
    async with site() as running:
        await (await running.client()).ask(op="subscribe", channels=[BOOK])
        for query in ("btc", "BTC/USD", "btcusd", "kraken btc", "btc-usd", "bttc usd"):
            async with running.http.get(f"{running.gateway.url}/v1/symbols", params={"q": query}) as response:
                found = (await response.json())["symbols"]
                assert found, query
                assert found[0]["symbol"].startswith("BTC-"), query


async def test_health_status_and_the_page_with_its_policy() -> None:
    async with site() as running:
        async with running.http.get(f"{running.gateway.url}/healthz") as response:
            assert (await response.json())["status"] == "ok"
        async with running.http.get(f"{running.gateway.url}/") as response:
            assert response.status == 200
            assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        await (await running.client()).ask(op="subscribe", channels=[BOOK])
        async with running.http.get(f"{running.gateway.url}/v1/status") as response:
            status = await response.json()
            assert status["channels"][0]["channel"] == BOOK
