"""A vendor that hangs up, resets, goes mute or refuses: the feed comes back and says what it missed."""

import asyncio
import json
import ssl
import time
from itertools import pairwise
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from livetape.core.events import Status, Trust
from livetape.core.instruments import Channel

from ..live import live
from ..player import Connection, Player, playing
from ..recorded import recordings as read

ETH = "kraken:ETH-USD/book"


@pytest.fixture
def frames(recordings: Path) -> list[bytes]:
    return [
        frame for _, frame in read.crossbook(recordings / "kraken/crossbook_kraken_ethusd_sample.cbcap.gz")
    ]


def ending(frames: list[bytes], fault: str, after: int = 60) -> Player:
    """Plays ``after`` frames and then does ``fault``, once; the next connection gets everything."""

    async def script(connection: Connection) -> None:
        await connection.subscribed.wait()
        if connection.number == 0:
            await connection.play(frames[:after])
            await asyncio.sleep(0.05)
            if fault == "close":
                await connection.close()
            elif fault == "reset":
                connection.reset()
        else:
            await connection.play(frames)
        await connection.idle()

    return Player(script)


@pytest.mark.parametrize(
    ("fault", "cause"), [("close", "closed by the vendor"), ("reset", "connection"), ("mute", "silent")]
)
async def test_the_feed_comes_back_and_the_hole_is_written_down(
    frames: list[bytes], fault: str, cause: str
) -> None:
    async with (
        ending(frames, fault).running() as player,
        live([ETH], "kraken", player.ws_url, options={"depth": 25, "silence_s": 1.0}) as tape,
    ):
        await tape.until(lambda: len(tape.gaps) == 2 and tape.books[-1].trust is Trust.VERIFIED)
        await tape.until(lambda: tape.lines[0].session.frames >= 60 + len(frames))
        opened, closed = tape.gaps
        before = max(book.recv_ns for book in tape.books if book.recv_ns <= opened.start_ns)
        after = min(book.recv_ns for book in tape.books if book.recv_ns > opened.start_ns)
        assert cause in opened.cause
        assert (closed.start_ns, closed.end_ns, closed.healed) == (opened.start_ns, after, "snapshot")
        assert before <= opened.start_ns
        first, second = player.connections
        asked = [json.loads(each.received[0])["params"] for each in (first, second)]
        assert asked[0] == asked[1]  # subscribed again, the same
        assert tape.states(ETH)[-3:] == ["stale", "resyncing", "verified"]


async def test_a_handshake_refused_with_retry_after_is_tried_again_no_sooner(frames: list[bytes]) -> None:
    player = ending(frames, "none")
    player.refusals = [web.Response(status=429, headers={"Retry-After": "1"})]
    async with player.running(), live([ETH], "kraken", player.ws_url, options={"depth": 25}) as tape:
        began = time.monotonic()
        await tape.until(lambda: bool(tape.books))
        assert time.monotonic() - began >= 1
        assert "HTTP 429" in tape.lines[0].last_error
        assert not tape.gaps  # nothing was promised before


async def test_a_vendor_that_lets_nobody_in_is_not_asked_again_and_again() -> None:
    player = ending([], "none")
    player.refusals = [web.Response(status=451, text="not from there")] * 50
    async with player.running(), live([ETH], "kraken", player.ws_url) as tape:
        await tape.until(lambda: "denied" in tape.states(ETH))
        await asyncio.sleep(0.8)
        assert tape.lines[0].dials == 1
        assert "HTTP 451: not from there" in tape.lines[0].last_error


async def test_a_login_refused_in_the_handshake_waits_as_one_refused_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ITICK_API_KEY", "key")
    player, channel = ending([], "none"), "itick:AAPL/trade"
    refusal = b'{"code":"E002","msg":"auth failed","data":null}'
    player.refusals = [web.Response(status=400, body=refusal)]
    async with player.running(), live([channel], "itick", player.ws_url) as tape:
        await tape.until(lambda: "denied" in tape.states(channel))
        await asyncio.sleep(0.8)
        assert tape.lines[0].dials == 1
        assert not tape.lines[0].session.effects(), "nothing is left that would end the next connection"


async def test_a_snapshot_refused_with_429_is_fetched_after_the_wait_and_no_delta_is_lost(
    recordings: Path,
) -> None:
    body, frames = read.busy_binance(recordings, 3000)
    player = playing(frames)
    busy = web.Response(status=429, headers={"Retry-After": "1"})
    player.bodies["/api/v3/depth?symbol=BTCUSDT&limit=1000"] = [busy, b"not json", body]
    async with player.running(), live(["binance:BTC-USDT/book"], "binance", player.ws_url) as tape:
        await tape.until(lambda: tape.lines[0].session.frames >= len(frames) and bool(tape.books))
        numbers = [(book.first, book.last) for book in tape.books]
        assert all(later[0] == sooner[1] + 1 for sooner, later in pairwise(numbers[1:]))
        assert tape.books[0].snapshot
        assert len(player.requests) == 3


async def test_an_unknown_symbol_is_denied_by_name() -> None:
    why = b'"error":"Currency pair not supported NO/SUCH","symbol":"NO/SUCH"'
    async with (
        playing([b'{"method":"subscribe","success":false,%b}' % why]).running() as player,
        live(["kraken:NO-SUCH/book"], "kraken", player.ws_url) as tape,
    ):
        await tape.until(lambda: "denied" in tape.states("kraken:NO-SUCH/book"))
        [denied] = [e for e in tape.events if isinstance(e, Status) and e.state == "denied"]
        assert "not supported" in denied.detail


async def test_a_jump_of_geminis_socket_sequence_forces_a_new_connection_and_a_gap() -> None:
    initial = (
        b'{"type":"update","eventId":1,"socket_sequence":0,"events":[{"type":"change","reason":"initial",'
        b'"price":"20345.47","delta":"1","remaining":"1","side":"bid"},{"type":"change","reason":"initial",'
        b'"price":"20345.54","delta":"2","remaining":"2","side":"ask"}]}'
    )
    change = (
        b'{"type":"update","eventId":%d,"timestamp":1666771876,"timestampms":1666771876031,"socket_sequence":%d,'
        b'"events":[{"type":"change","side":"ask","price":"20345.54","remaining":"%d","reason":"place","delta":"1"}]}'
    )

    async def script(connection: Connection) -> None:
        await connection.send(initial)
        sequences = (1, 2, 4) if connection.number == 0 else (1, 2, 3)
        await connection.play(change % (10 + n, n, 3 + n) for n in sequences)
        await connection.idle()

    async with (
        Player(script).running() as player,
        live(["gemini:BTC-USD/book"], "gemini", f"{player.ws_url}/v1/marketdata", api="v1") as tape,
    ):
        await tape.until(lambda: len(tape.books) == 7)
        opened, closed = tape.gaps
        assert "followed by 4" in opened.cause
        assert closed.healed == "snapshot"
        assert {book.trust for book in tape.books} == {Trust.VERIFIED}
        assert (
            player.connections[0].request.path_qs
            == "/v1/marketdata/btcusd?heartbeat=true&bids=true&offers=true"
        )
        assert len(player.connections) == 2


async def test_a_changed_digit_on_the_wire_never_shows_as_verified(frames: list[bytes]) -> None:
    at = next(
        n
        for n, frame in enumerate(frames)
        if n > 30 and b'"update","data"' in frame and b'"asks":[{' in frame
    )
    bad = frames[at].replace(b'"asks":[{"price":18', b'"asks":[{"price":17', 1)

    async def script(connection: Connection) -> None:
        await connection.subscribed.wait()
        await connection.play([*frames[:at], bad])
        await asyncio.wait_for(_resubscribed(connection), 5)
        await connection.play(frames[1:])
        await connection.idle()

    async with (
        Player(script).running() as player,
        live([ETH], "kraken", player.ws_url, options={"depth": 25}) as tape,
    ):
        await tape.until(lambda: len(tape.gaps) == 2)
        assert [gap.cause for gap in tape.gaps] == ["checksum", "checksum"]
        assert all(book.book.best()[0] for book in tape.books)
        assert not [price for book in tape.books for price, _ in book.asks if price.startswith("17")]
        assert len(player.connections) == 1  # one symbol's trouble does not end the connection


async def _resubscribed(connection: Connection) -> None:
    while not any('"unsubscribe"' in request for request in connection.received):
        await asyncio.sleep(0.01)


async def test_a_certificate_nobody_vouches_for_is_refused() -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)

    async def script(connection: Connection) -> None:
        await connection.idle()

    player = Player(script)
    player.tls = server
    async with player.running(), live([ETH], "kraken", player.ws_url) as tape:
        await tape.until(lambda: bool(tape.lines[0].last_error))
        assert "not trusted" in tape.lines[0].last_error
        assert not player.connections


async def test_reading_from_a_live_feed_costs_one_subscription_for_two_users(frames: list[bytes]) -> None:
    async with ending(frames, "none").running() as player, live([ETH], "kraken", player.ws_url) as tape:
        await tape.until(lambda: bool(player.connections) and bool(player.connections[0].received))
        channel = Channel.parse(ETH)
        tape.app.hub.want([channel])
        tape.app.hub.drop([channel])
        await asyncio.sleep(0.05)
        assert len(player.connections[0].received) == 1
        tape.app.hub.drop([channel])
        await tape.until(lambda: not tape.lines)
