"""A vendor on loopback: a market, the vendor's dialects, and the sockets between (floor 4)."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from io import FileIO
from math import ceil, inf
from pathlib import Path
from typing import Protocol

from aiohttp import WSMessage, WSMsgType, web
from msgspec import Struct, json
from msgspec.structs import replace

from .. import clock, dialects
from ..core.dialect import Action, Answer, Call, Dialect, Hangup, House, Pushed, Source
from ..core.times import SECOND
from ..gateway.socket import BINARY, TEXT, Socket, framed
from .faults import WITHHELD, Busy, Drop, Faults, Moment, Mute, Refuse, Reset, Told

TICK_S = 0.002
BUSY_S = 1.0  #: how long a market may hold up everything else
FAREWELL_S = 2.0  #: how long clients have to say goodbye
OUTBOX = 4 << 20  #: bytes that may wait for a client before it is cut off
PING, PONG = 9, 10
MAINTENANCE = Hangup(1001, "maintenance")
_encode = json.Encoder().encode


class Market(Source, Protocol):
    """A source that goes on: the simulated market, or a tape."""

    def advance(self, now_ns: int) -> Iterator[Action]:
        """Every action due up to ``now_ns``; until the next one is asked for, books are those after it."""


class Client:
    """One connected client. ``sent`` counts the events it was sent, by channel."""

    def __init__(
        self,
        number: int,
        dialect: Dialect,
        request: web.Request,
        ws: web.WebSocketResponse,
        faults: Faults,
    ) -> None:
        self.number, self.dialect = number, dialect
        self.socket = Socket(request, ws, OUTBOX)
        self.spoil, self.pipe = faults.spoiler(number), faults.pipe()
        self.sent: dict[str, int] = {}
        self.frames = 0  #: that it was sent
        self.pinged = False  #: and has not said anything since
        self.pongs = False  #: whether it is answered pings while it is told nothing
        self._request, self._ws = request, ws

    def write(self, frames: bytes, now_s: float) -> None:
        """Send whole frames, unless a fault holds them up."""
        self.pipe.put(frames, now_s)
        self.flush(now_s)

    def pong(self, data: bytes, now_s: float) -> None:
        """Answer a ping, past what a fault holds up where the fault lets pongs through."""
        if self.pongs and self.pipe.mute(now_s):
            self.socket.write(framed(data, PONG))
        else:
            self.write(framed(data, PONG), now_s)

    def flush(self, now_s: float) -> None:
        """Send what is held up no longer. Who does not read is cut off."""
        if not self.pipe.size:
            return
        self.socket.write(self.pipe.take(now_s))
        if self.socket.room < self.pipe.size:
            self.socket.abort()

    async def close(self, code: int = 1001, reason: str = "maintenance") -> None:
        """Say goodbye, as a vendor does before maintenance; ``reset`` says nothing."""
        self.socket.write(self.pipe.empty())
        await self._ws.close(code=code, message=reason.encode())

    def reset(self) -> None:
        """Break the connection."""
        _reset(self._request)


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line of the ledger: an event for ``client`` of ``channel``.

    ``n`` counts those of the channel that the client was sent, ``frame`` says in which of its frames this
    one was, ``ns`` when in the market. ``fault`` is what became of the frame; one that was withheld comes
    after ``frame`` and has not been counted.
    """

    client: int
    channel: str
    n: int
    ns: int
    frame: int
    fault: str = ""


class Vendor:
    """Serves ``market`` as ``venue`` does, with its ``faults``. Its clock shows ``now_ns``, else ours.

    The ledger, an ``Entry`` in a line of JSON for each event, goes to the file ``ledger``. History is none.
    """

    def __init__(
        self,
        venue: str,
        market: Market,
        ledger: Path | None = None,
        house: House | None = None,
        faults: Faults | None = None,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        self.venue, self.market = venue, market
        self.house, self.faults = house or House(), faults or Faults()
        self.clients: list[Client] = []
        self.port = 0
        self._clock = now_ns
        self._dialects = dialects.of(venue)
        self._ledger_path = ledger
        self._ledger: FileIO | None = None
        self._lines: list[bytes] = []  # for the ledger
        self._clients_ever = 0
        self._farewells: set[asyncio.Task[None]] = set()
        self._begun_ns: int | None = None  # when the first client called
        self._age_s = -1.0  # since then, when the faults were looked at last

    @property
    def ws_url(self) -> str:
        """What ``LIVETAPE_<VENUE>_WS_URL`` should be."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def behind(self) -> bool:
        """Whether a client is about to be cut off because it does not read."""
        return any(client.socket.room < OUTBOX // 2 for client in self.clients)

    async def dismiss(self, reason: str) -> None:
        """Say goodbye to all clients."""
        goodbyes = [asyncio.create_task(client.close(1000, reason)) for client in self.clients]
        if goodbyes:
            await asyncio.wait(goodbyes, timeout=FAREWELL_S)

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
                self._ledger = self._ledger_path.open("ab", buffering=0)
            ticking = [asyncio.create_task(self._tick()), *map(asyncio.create_task, self._hearts())]
            yield self
        finally:
            for task in ticking:
                task.cancel()
            await asyncio.gather(*ticking, return_exceptions=True)
            for client in list(self.clients):
                client.socket.abort()
            await runner.cleanup()
            self._write_down()
            if self._ledger is not None:
                self._ledger.close()

    # Time

    def _now_ns(self) -> int:
        """By the vendor's clock."""
        return (self._clock or clock.now_ns)() + round(self.faults.skew_s * SECOND)

    def _now_s(self) -> float:
        """Since the first call."""
        return 0.0 if self._begun_ns is None else (clock.now_ns() - self._begun_ns) / SECOND

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            until_s = loop.time() + BUSY_S
            for action in self.market.advance(self._now_ns()):
                memo: dict[str, bytes] = {}
                for dialect in self._dialects:
                    dialect.witness(self.market, self.house, action)
                for client in self.clients:
                    self._send(client, client.dialect.push(action, memo), action.ns)
                if loop.time() > until_s:  # a market that is too busy for this machine runs late
                    break
            self._disturb()
            self._part()
            self._write_down()

    def _hearts(self) -> list["asyncio._CoroutineLike[None]"]:
        beats = [self._beat(dialect) for dialect in self._dialects]
        return [*beats, *(self._ping(each, each.ping_s) for each in self._dialects if each.ping_s)]

    async def _beat(self, dialect: type[Dialect]) -> None:
        while True:
            await asyncio.sleep(dialect.beat_s)
            now_ns = self._now_ns()
            for client in self._speaking(dialect):
                self._send(client, client.dialect.beat(now_ns), now_ns)

    async def _ping(self, dialect: type[Dialect], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            now_s = self._now_s()
            for client in self._speaking(dialect):
                if client.pinged:
                    client.socket.abort()
                elif now_s >= client.pipe.muted_until_s:
                    client.pinged = True
                    client.write(framed(b"", PING), now_s)

    def _speaking(self, dialect: type[Dialect]) -> list[Client]:
        return [client for client in self.clients if type(client.dialect) is dialect]

    # Calls

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._begun_ns is None:
            self._begun_ns = clock.now_ns()
        if (hindered := self._hinder(request)) is not None:
            return hindered
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._rest(request)
        speaks = next((d for d in self._dialects if d.path.fullmatch(request.path)), None)
        if speaks is None:
            return web.Response(status=404)
        asked = _call(request)
        if refusal := speaks(self.market, self.house).refusal(asked, self._now_ns()):
            return self._response(refusal)
        ws = web.WebSocketResponse(compress=speaks.deflates, max_msg_size=1 << 20, autoping=False)
        ws.headers["Date"] = self._date()
        await ws.prepare(request)
        client = self._welcome(speaks, asked, request, ws)
        try:
            async for message in ws:
                self._hear(client, message)
        finally:
            self.clients.remove(client)
            self.house.members.remove(client.dialect)
        return ws

    def _welcome(
        self, speaks: type[Dialect], asked: Call, request: web.Request, ws: web.WebSocketResponse
    ) -> Client:
        self._clients_ever += 1
        # Only now, for the market may have gone on: nothing may come between the greeting and the rest.
        dialect, now_ns = speaks(self.market, self.house), self._now_ns()
        greeting = dialect.open(asked, now_ns)
        self.house.members.append(dialect)
        client = Client(self._clients_ever, dialect, request, ws, self.faults)
        self._send(client, greeting, now_ns)
        self.clients.append(client)
        return client

    def _hear(self, client: Client, message: WSMessage) -> None:
        client.pinged = False
        if message.type is WSMsgType.PING:
            client.dialect.pinged(self._now_ns())
            client.pong(message.data, self._now_s())
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            data = message.data if isinstance(message.data, bytes) else message.data.encode()
            now_ns = self._now_ns()
            self._send(client, client.dialect.receive(data, now_ns), now_ns)
            self._part()

    def _rest(self, request: web.Request) -> web.Response:
        asked, now_ns = _call(request), self._now_ns()
        for dialect in self._dialects:
            if answer := dialect.answer(self.market, self.house, asked, now_ns):
                return self._response(answer)
        return web.Response(status=404)

    def _response(self, answer: Answer) -> web.Response:
        headers = {"Content-Type": "application/json", "Date": self._date(), **answer.headers}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    def _date(self) -> str:
        return formatdate(self._now_ns() / SECOND, usegmt=True)

    # Frames

    def _send(self, client: Client, pushed: list[Pushed], now_ns: int) -> None:
        if not pushed or not client.socket.open:
            return
        frames: list[bytes] = []
        for told in (told for each in pushed for told in client.spoil(each)):
            if client.pipe.muted_until_s == inf:
                told = replace(told, fate=WITHHELD)
            if told.fate != WITHHELD:
                client.frames += 1
                frames.append(framed(told.pushed.frame, BINARY if told.pushed.binary else TEXT))
            self._note(client, told, now_ns)
        if frames:
            client.write(b"".join(frames), self._now_s())

    def _note(self, client: Client, told: Told, now_ns: int) -> None:
        """Count the events in a frame, and write them down."""
        for channel in told.pushed.channels:
            n = client.sent.get(channel, 0) + (told.fate != WITHHELD)
            client.sent[channel] = n
            if self._ledger is not None:
                line = Entry(client.number, channel, n, now_ns, client.frames, told.fate)
                self._lines.append(_encode(line) + b"\n")

    def _write_down(self) -> None:
        """Whole lines at once: vendors may share a ledger."""
        if self._ledger is not None and self._lines:
            self._ledger.write(b"".join(self._lines))
            self._lines.clear()

    # Faults

    def _disturb(self) -> None:
        """Let happen what is due, and send what was held up until now."""
        if self._begun_ns is None:
            return
        since_s, self._age_s = self._age_s, self._now_s()
        for fault in self.faults.of(Moment):
            if fault.happens(since_s, self._age_s):
                for client in self.clients:
                    self._befall(client, fault)
        for client in self.clients:
            client.flush(self._age_s)

    def _befall(self, client: Client, fault: Moment) -> None:
        match fault:
            case Drop():
                client.dialect.leaving = MAINTENANCE
            case Reset() | Refuse():
                client.dialect.leaving = Hangup()
            case Mute(lasts=lasts, pongs=pongs):
                client.pipe.muted_until_s = self._age_s + lasts if lasts else inf
                client.pongs = pongs > 0

    def _part(self) -> None:
        """End the connections that the vendor wants to end."""
        for client in self.clients:
            leaving, client.dialect.leaving = client.dialect.leaving, None
            if leaving is not None and leaving.code is None:
                client.reset()
            elif leaving is not None and leaving.code is not None:
                task = asyncio.create_task(client.close(leaving.code, leaving.reason))
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)

    def _hinder(self, request: web.Request) -> web.Response | None:
        """The answer to a call in an outage."""
        now_s = self._now_s()
        if any(refuse.holds(now_s) for refuse in self.faults.of(Refuse)):
            _reset(request)
            return web.Response()
        for busy in self.faults.of(Busy):
            if busy.holds(now_s):
                speaks, *_ = self._dialects
                headers = {"Retry-After": str(ceil(busy.retry))}
                return self._response(Answer(busy.status, speaks.busy(busy.status), headers))
        return None


def _reset(request: web.Request) -> None:
    """Break a connection so that its peer sees a reset."""
    if (transport := request.transport) is None:
        return
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # do not linger
    transport.abort()


def _call(request: web.Request) -> Call:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.path, request.query, headers)
