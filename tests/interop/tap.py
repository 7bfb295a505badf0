"""Stands between a program and a vendor, to hear what both say and to cut them off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

Side = ClientWebSocketResponse | web.WebSocketResponse


class Tap:
    """``asked`` are the program's messages, ``told`` the vendor's, on all ``connections`` so far."""

    def __init__(self, vendor: str) -> None:
        self.asked: list[str] = []
        self.told: list[str] = []
        self.connections = 0
        self.url = ""
        self._vendor = vendor
        self._open: list[web.Request] = []

    def cut(self) -> None:
        """Break every connection without a word."""
        for request in self._open:
            assert request.transport is not None
            request.transport.abort()

    async def relay(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection."""
        down = web.WebSocketResponse(max_msg_size=0)
        async with (
            ClientSession() as http,
            http.ws_connect(self._vendor + request.path_qs, max_msg_size=0) as up,
        ):
            await down.prepare(request)
            self.connections += 1
            self._open.append(request)
            telling = asyncio.create_task(_pass_on(up, down, self.told))
            try:
                await _pass_on(down, up, self.asked)
            finally:
                self._open.remove(request)
                telling.cancel()
        return down


@asynccontextmanager
async def tapped(vendor: str) -> AsyncIterator[Tap]:
    """A tap on the WebSockets of the address ``vendor``."""
    tap = Tap(vendor)
    app = web.Application()
    app.router.add_get("/{path:.*}", tap.relay)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        tap.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
        yield tap
    finally:
        await runner.cleanup()


async def _pass_on(source: Side, target: Side, kept: list[str]) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            kept.append(message.data)
            await target.send_str(message.data)
    await target.close()
