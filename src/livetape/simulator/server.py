"""A vendor on loopback: a market, the vendor's dialects, and the sockets between (floor 4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import json

from .. import clock, dialects
from ..core.dialect import Dialect, Pushed, Refused
from ..gateway.socket import Socket, framed
from .market import Market

TICK_S = 0.002
OUTBOX = 4 << 20  #: bytes that may wait for a client before it is cut off
_encode = json.Encoder().encode


class Client:
    """One connected client. ``sent`` counts the events it was sent, by channel."""

    def __init__(self, number: int, dialect: Dialect, socket: Socket, ws: web.WebSocketResponse) -> None:
        self.number, self.dialect, self.socket = number, dialect, socket
        self.sent: dict[str, int] = {}
        self._ws = ws

    async def close(self) -> None:
        """Say goodbye, as a vendor does before maintenance; ``socket.abort`` says nothing."""
        await self._ws.close(code=WSCloseCode.GOING_AWAY, message=b"maintenance")


class Vendor:
    """Serves ``market`` as ``venue`` does.

    The ledger, one JSON line for each event that was sent, goes to the file ``ledger``: whose it was, its
    channel, how many of the channel that client had then, and the time in the market. History is no event.
    """

    def __init__(self, venue: str, market: Market, ledger: Path | None = None) -> None:
        self.venue, self.market = venue, market
        self.clients: list[Client] = []
        self.port = 0
        self._dialects = dialects.of(venue)
        self._ledger_path = ledger
        self._ledger: BinaryIO | None = None
        self._clients_ever = 0

    @property
    def ws_url(self) -> str:
        """What ``LIVETAPE_<VENUE>_WS_URL`` should be."""
        return f"ws://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["Vendor"]:
        """Listen on loopback while the context lasts. Raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await runner.setup()
        ticking: list[asyncio.Task[None]] = []
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.port = runner.addresses[0][1]
            if self._ledger_path is not None:
                self._ledger = self._ledger_path.open("ab")
            ticking = [asyncio.create_task(self._trade()), *map(asyncio.create_task, self._hearts())]
            yield self
        finally:
            for task in ticking:
                task.cancel()
            await asyncio.gather(*ticking, return_exceptions=True)
            for client in list(self.clients):
                client.socket.abort()
            await runner.cleanup()
            if self._ledger is not None:
                self._ledger.close()

    async def _trade(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for action in self.market.advance(clock.now_ns()):
                memo: dict[str, bytes] = {}
                for client in self.clients:
                    self._send(client, client.dialect.push(action, memo), action.ns)

    def _hearts(self) -> list["asyncio._CoroutineLike[None]"]:
        return [self._beat(dialect) for dialect in self._dialects]

    async def _beat(self, dialect: type[Dialect]) -> None:
        while True:
            await asyncio.sleep(dialect.heartbeat_s)
            now_ns = clock.now_ns()
            for client in self.clients:
                if type(client.dialect) is dialect:
                    self._send(client, client.dialect.beat(now_ns), now_ns)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._rest(request)
        speaks = next((d for d in self._dialects if d.path.fullmatch(request.path)), None)
        if speaks is None:
            return web.Response(status=404)
        try:
            speaks(self.market).open(request.path, request.query, clock.now_ns())
        except Refused as refused:
            answer = refused.answer
            return web.Response(status=answer.status, body=answer.body, content_type="application/json")
        ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        await ws.prepare(request)
        self._clients_ever += 1
        # Only now, for the market may have gone on: nothing may come between the greeting and the rest.
        dialect, now_ns = speaks(self.market), clock.now_ns()
        greeting = dialect.open(request.path, request.query, now_ns)
        client = Client(self._clients_ever, dialect, Socket(request, ws, OUTBOX), ws)
        self._send(client, greeting, now_ns)
        self.clients.append(client)
        try:
            async for message in ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data if isinstance(message.data, bytes) else message.data.encode()
                    now_ns = clock.now_ns()
                    self._send(client, dialect.receive(data, now_ns), now_ns)
        finally:
            self.clients.remove(client)
        return ws

    def _rest(self, request: web.Request) -> web.Response:
        for dialect in self._dialects:
            if answer := dialect.answer(self.market, request.path, request.query):
                return web.Response(status=answer.status, body=answer.body, content_type="application/json")
        return web.Response(status=404)

    def _send(self, client: Client, pushed: list[Pushed], now_ns: int) -> None:
        if not pushed or not client.socket.open:
            return
        if client.socket.room < 0:
            client.socket.abort()
            return
        client.socket.write(b"".join([framed(each.frame) for each in pushed]))
        for channel in (channel for each in pushed for channel in each.channels):
            client.sent[channel] = client.sent.get(channel, 0) + 1
            if self._ledger is not None:
                line = {"client": client.number, "channel": channel, "n": client.sent[channel], "ns": now_ns}
                self._ledger.write(_encode(line) + b"\n")
