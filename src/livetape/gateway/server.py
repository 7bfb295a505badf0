"""HTTP and WebSocket for users: the page, ``/v1/stream`` and a little REST (floor 3).

Rule 1: only this machine is served; requests for another host or from another site's page are refused.
Rule 2: a client's mistakes are answered to that client; they never end its connection or another's.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import WSMsgType, web
from msgspec import Raw, json

from .. import __version__, clock
from ..core.bus import Bus
from ..core.delivery import DELIVERIES, Subscription
from ..core.errors import ConfigError
from ..core.events import MarketEvent, Status, Why
from ..core.instruments import Channel, Instrument
from ..core.wire import Request, decode_request, reply
from .fanout import Client, Fanout
from .search import Search
from .socket import Socket, framed
from .upstream import Upstream

_STATIC = Path(__file__).parent / "static"
LINGER_S = 30.0  #: an upstream subscription outlives its last client for so long
MAX_MESSAGE = 64 << 10
MAX_CHANNELS = 500
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CODES = {
    Why.LIMIT: "UPSTREAM_CAP",
    Why.PLAN: "FORBIDDEN",
    Why.LOGIN: "UPSTREAM_DOWN",
    Why.CONNECTIONS: "UPSTREAM_DOWN",
}
_log = logging.getLogger("livetape.gateway")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """Serves ``bus`` to any number of clients; each channel is wanted upstream once."""

    def __init__(self, bus: Bus, upstream: Upstream, *, outbox_bytes: int = 1 << 20) -> None:
        self.fanout = Fanout(bus)
        self.port = 0
        self._host = ""
        self._bus, self._upstream, self._outbox_bytes = bus, upstream, outbox_bytes
        self._search = Search(upstream)
        self._users: Counter[Channel] = Counter()
        self._lingering: dict[Channel, asyncio.TimerHandle] = {}
        self._started_ns = clock.now_ns()
        bus.subscribe(None, self._on_status)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self._host}:{self.port}"

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator["Gateway"]:
        """Listen while the context lasts. Raises ConfigError when that cannot be."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/v1/stream", self._stream)
        app.router.add_get("/v1/symbols", self._symbols)
        app.router.add_get("/v1/status", self._status)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/", self._page)
        app.router.add_static("/", str(_STATIC))
        runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                problem = f"cannot listen on {host}:{port}: {error.strerror or error}"
                raise ConfigError(problem, where="gateway", example="--port 0") from error
            self._host, self.port = host, runner.addresses[0][1]
            yield self
        finally:
            for timer in self._lingering.values():
                timer.cancel()
            for client in list(self.fanout.clients):
                client.socket.abort()
            await runner.cleanup()

    def keep(self, channels: list[Channel]) -> None:
        """Want ``channels`` upstream for good, so that their state is there when a client comes."""
        self._want(channels)

    # HTTP

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse other hosts (DNS rebinding) and other sites' pages (cross-site WebSockets)."""
        names = {f"{name}:{self.port}" for name in (self._host, "localhost", "127.0.0.1", "[::1]")}
        if request.host.lower() not in names:
            return web.Response(status=421, text="this host is not served here")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{name}" for name in names}:
            return web.Response(status=403, text="requests of other sites are refused")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=(_STATIC / "index.html").read_bytes(),
            content_type="text/html",
            headers={"Cache-Control": "no-cache"},
        )

    async def _healthz(self, request: web.Request) -> web.Response:
        return _json({"status": "ok", "version": __version__})

    async def _status(self, request: web.Request) -> web.Response:
        clients = {"clients": len(self.fanout.clients), "sent": self.fanout.sent}
        return _json({"started": self._started_ns, "gateway": clients} | self._upstream.status())

    async def _symbols(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "12")
        most = min(int(limit), 100) if limit.isdecimal() else 12
        found = await self._search.find(request.query.get("q", ""), most)
        return _json({"symbols": [_symbol(venue, instrument) for venue, instrument in found]})

    # The stream

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE, heartbeat=20.0)
        await ws.prepare(request)
        client = Client(Socket(request, ws, self._outbox_bytes), self._outbox_bytes)
        self.fanout.clients.add(client)
        hello = reply("hello", protocol="livetape.v1", server=f"livetape {__version__}", ts=clock.now_ns())
        client.socket.write(framed(hello))
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._answer(client, message.data.encode())
                elif message.type is WSMsgType.BINARY:
                    client.socket.write(
                        framed(reply("error", code="BAD_REQUEST", message="send JSON as text"))
                    )
        finally:
            self.fanout.clients.discard(client)
            self._unsubscribe(client, list(client.audience.subscriptions))
        return ws

    def _answer(self, client: Client, frame: bytes) -> None:
        if client.socket.room < 0:  # it asks and does not read
            client.socket.abort()
            return
        try:
            request = decode_request(frame)
        except ValueError as error:
            client.socket.write(framed(reply("error", code="BAD_REQUEST", message=str(error))))
            return
        match request.op:
            case "subscribe":
                self._subscribe(client, request)
            case "unsubscribe":
                self._answer_unsubscribe(client, request)
            case "ping":
                client.socket.write(framed(reply("pong", id=request.id, ts=clock.now_ns())))
            case "pause":
                client.audience.paused = True
                client.socket.write(framed(reply("ack", id=request.id)))
            case "resume":
                client.audience.resume(clock.now_ns())
                client.socket.write(framed(reply("ack", id=request.id)))
                for subscription in client.audience.subscriptions.values():
                    self.fanout.present(client, subscription.channel, subscription.depth)

    def _answer_unsubscribe(self, client: Client, request: Request) -> None:
        try:
            names = [str(channel) for channel in self._upstream.channels_of(request.channels)]
        except ConfigError as error:
            message = reply("error", id=request.id, code="UNKNOWN_CHANNEL", message=str(error))
            client.socket.write(framed(message))
            return
        self._unsubscribe(client, names)
        client.socket.write(framed(reply("ack", id=request.id, channels=names)))

    def _subscribe(self, client: Client, request: Request) -> None:
        try:
            channels = self._checked(client, request)
            self._want([channel for channel in channels if str(channel) not in client.audience.subscriptions])
        except ConfigError as error:
            code = "BAD_REQUEST" if error.where == "request" else "UNKNOWN_CHANNEL"
            client.socket.write(framed(reply("error", id=request.id, code=code, message=str(error))))
            return
        client.socket.write(framed(reply("ack", id=request.id, channels=list(map(str, channels)))))
        for name in map(str, channels):
            client.audience.subscriptions[name] = Subscription(
                name, request.delivery, request.max_hz, request.depth
            )
            self.fanout.present(client, name, request.depth)
            topic = self.fanout.open(name)
            topic.clients.add(client)
            if topic.status is not None:
                self._tell_refusal(topic.status.event, [client])

    def _checked(self, client: Client, request: Request) -> list[Channel]:
        if request.delivery not in DELIVERIES:
            raise ConfigError(
                f"unknown delivery {request.delivery!r}", where="request", allowed=list(DELIVERIES)
            )
        if not request.max_hz > 0 or not 1 <= request.depth <= 1000:
            raise ConfigError("max_hz must be above 0 and depth from 1 to 1000", where="request")
        channels = self._upstream.channels_of(request.channels)
        if not channels:
            raise ConfigError("no channels", where="request", example="kraken:BTC-USD/book")
        if len(client.audience.subscriptions) + len(channels) > MAX_CHANNELS:
            raise ConfigError(f"more than {MAX_CHANNELS} channels", where="request")
        return channels

    def _unsubscribe(self, client: Client, names: list[str]) -> None:
        for name in names:
            if client.audience.subscriptions.pop(name, None) is not None:
                self.fanout.open(name).clients.discard(client)
                self._release(Channel.parse(name))

    # Upstream, shared

    def _want(self, channels: list[Channel]) -> None:
        new = [channel for channel in channels if not self._users[channel] and channel not in self._lingering]
        for channel in new:
            self.fanout.open(str(channel))
        try:
            self._upstream.want(new)
        except ConfigError:
            for channel in new:
                self.fanout.close(str(channel))
            raise
        for channel in channels:
            if timer := self._lingering.pop(channel, None):
                timer.cancel()
            self._users[channel] += 1

    def _release(self, channel: Channel) -> None:
        self._users[channel] -= 1
        if not self._users[channel]:
            loop = asyncio.get_running_loop()
            self._lingering[channel] = loop.call_later(LINGER_S, self._let_go, channel)

    def _let_go(self, channel: Channel) -> None:
        del self._lingering[channel]
        self._upstream.drop([channel])
        self.fanout.close(str(channel))

    def _on_status(self, event: object) -> None:
        if isinstance(event, Status) and event.channel in self.fanout.channels:
            self._tell_refusal(event, self.fanout.channels[event.channel].clients)

    def _tell_refusal(self, event: MarketEvent, clients: Iterable[Client]) -> None:
        """What is refused, or has to wait, is an error of those who asked for it."""
        if isinstance(event, Status) and event.state in ("denied", "queued"):
            code = _CODES.get(event.why, "UNKNOWN_SYMBOL")
            message = reply("error", code=code, channel=event.channel, message=event.detail)
            for client in clients:
                client.socket.write(framed(message))


def _symbol(venue: str, instrument: Instrument) -> dict[str, object]:
    return {
        "venue": venue,
        "symbol": instrument.symbol,
        "native": instrument.native,
        "name": instrument.name,
        "price_step": Raw(instrument.price_step.encode()),
        "size_step": Raw(instrument.size_step.encode()),
    }


def _json(body: object) -> web.Response:
    return web.Response(body=json.encode(body), content_type="application/json")
