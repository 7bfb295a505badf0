"""A loopback server that plays frames: WebSocket and REST, with the faults a test asks for."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

Script = Callable[["Connection"], Coroutine[Any, Any, None]]


class Connection:
    """One client of the player, as its script sees it."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, number: int) -> None:
        self.ws, self.request, self.number = ws, request, number
        self.received: list[str] = []
        self.subscribed = asyncio.Event()
        self.sent = 0

    async def send(self, frame: bytes) -> None:
        await self.ws.send_str(frame.decode())
        self.sent += 1

    async def play(self, frames: Iterable[bytes]) -> None:
        """Send frames one by one; the loop turns in between, so that the other side may read."""
        for frame in frames:
            await self.send(frame)

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        await self.ws.close(code=code)

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        transport = self.request.transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def idle(self) -> None:
        """Stay open and say nothing, until the other side goes."""
        await asyncio.Future()


class Player:
    """Runs ``script(connection)`` for each client; answers REST paths from ``bodies``."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.bodies: dict[
            str, bytes | web.Response | list[bytes | web.Response]
        ] = {}  # a list: one after another
        self.refusals: list[web.Response] = []  # of the next handshakes
        self.connections: list[Connection] = []
        self.requests: list[str] = []
        self.tls: ssl.SSLContext | None = None
        self.port = 0

    @property
    def ws_url(self) -> str:
        return f"ws{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Player"]:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self.requests.append(request.path_qs)
            answer = self.bodies.get(request.path_qs, web.Response(status=404))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            return web.Response(body=answer) if isinstance(answer, bytes) else answer
        if self.refusals:
            return self.refusals.pop(0)
        ws = web.WebSocketResponse(compress=False, max_msg_size=0)
        await ws.prepare(request)
        connection = Connection(ws, request, len(self.connections))
        self.connections.append(connection)
        script = asyncio.ensure_future(self.script(connection))
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    connection.received.append(message.data)
                    connection.subscribed.set()
        finally:
            script.cancel()
            await asyncio.gather(script, return_exceptions=True)
        return ws


def playing(frames: Iterable[bytes]) -> Player:
    """Plays ``frames`` to each client that has asked for something, then says no more."""

    async def script(connection: Connection) -> None:
        await connection.subscribed.wait()
        await connection.play(frames)
        await connection.idle()

    return Player(script)
