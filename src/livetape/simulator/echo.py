"""A server that says again whatever it is told (floor 4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web


class Echo:
    """A WebSocket that answers each message with itself."""

    def __init__(self) -> None:
        self.port = 0

    @property
    def ws_url(self) -> str:
        """What ``LIVETAPE_ECHO_WS_URL`` should be."""
        return f"ws://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["Echo"]:
        """Listen on loopback while the context lasts. Raises OSError when the port is taken."""
        app = web.Application()
        app.router.add_get("/{path:.*}", _echo)
        runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            await runner.cleanup()


async def _echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws
