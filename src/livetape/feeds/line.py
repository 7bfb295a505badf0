"""One upstream connection for as long as it is wanted: dial, drive the session, dial again (floor 3)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from msgspec import Struct, json
from msgspec.structs import replace

from .. import clock
from ..core.effects import Close, Fetch, Send
from ..core.errors import ConnectError, LoginDenied, VendorError
from ..core.events import Denied, Why
from ..core.instruments import Channel
from ..core.raw import Direction, RawRecord, Recipe
from ..core.refusals import FORBIDDEN_S
from ..core.session import Session
from .endpoint import Endpoint, masked
from .pace import Paced
from .rest import Rest
from .transport import Transport, connect

TICK_S = 0.2
MOST_WAIT_S = 3_600.0
HEALTHY_S = 10.0  #: a connection that lived this long starts the back-off anew
_log = logging.getLogger("livetape.feed")

Tap = Callable[[RawRecord], None]


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """How to dial again: at random below a bound that doubles from ``first_s`` to ``most_s`` seconds.

    After ``attempts`` tries in a row without a healthy connection the line gives up; 0 never does.
    """

    first_s: float = 0.25
    most_s: float = 30.0
    attempts: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.first_s <= self.most_s <= MOST_WAIT_S or self.attempts < 0:
            raise ValueError(f"first_s and most_s must be seconds from 0 to {MOST_WAIT_S:.0f}, in this order")


RETRY = Retry()


class Line:
    """Drives one Session over a Transport; ``tap`` gets everything raw, but for the secrets in it."""

    def __init__(
        self,
        session: Session,
        recipe: Recipe,
        endpoint: Endpoint,
        rest: Rest,
        *,
        route: str,
        tap: Tap,
        turn: Callable[[], Awaitable[None]],
        retry: Retry,
    ) -> None:
        self.session, self.route = session, route
        self.ever_connected = self.gave_up = False
        self.dials = 0
        self.last_error = ""
        self._endpoint, self._rest = endpoint, rest
        self._tap, self._turn, self._retry = tap, turn, retry
        self._credentials = session.adapter.credentials
        self._outbox = Paced(session.adapter.limits.messages_per_s, self._send)
        self._transport: Transport | None = None
        self._lost: asyncio.Future[str] | None = None
        self._fetches: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._now_ns = 0
        self._url = ""
        self._at_once, self._wait_s = False, 0.0
        self._opened_ns = 0
        self._record(Direction.BEGIN, note=recipe.encode())

    @property
    def symbols(self) -> set[str]:
        """The symbols that are subscribed on this connection."""
        return {state.channel.symbol for state in self.session.channels.values()}

    @property
    def slots(self) -> set[str]:
        """What is in use of the vendor's ``symbols_per_socket``."""
        adapter, states = self.session.adapter, self.session.channels.values()
        return {slot for state in states if (slot := adapter.slot(state.source)) is not None}

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def want(self, channels: Iterable[Channel]) -> None:
        """Subscribe, now or as soon as there is a connection."""
        channels = list(channels)
        self.session.want(channels, self._record(Direction.WANT, note=" ".join(map(str, channels))))
        self._carry_out()

    def drop(self, channels: Iterable[Channel]) -> None:
        """Give up subscriptions."""
        channels = list(channels)
        self.session.drop(channels, self._record(Direction.DROP, note=" ".join(map(str, channels))))
        self._carry_out()

    def start(self) -> None:
        """Dial, and keep dialling until stopped."""
        if self._task is None or self._task.done():
            self.gave_up = False
            self._task = asyncio.create_task(self._run(), name=f"line {self.session.adapter.venue}")

    async def stop(self) -> None:
        """Close the connection for good and wait until everything of this line has ended."""
        if self._close_transport("stopped"):
            self.session.end(self._record(Direction.END))
            self._carry_out()
        await self.pause()

    def pause(self) -> "asyncio.Future[list[object]]":
        """Close the connection at once and keep what is subscribed; ``start`` dials again. Await its end."""
        task, self._task = self._task, None
        ending = [*self._fetches, *([task] if task is not None else [])]
        for each in ending:
            each.cancel()
        return asyncio.gather(*ending, return_exceptions=True)

    async def round_trips(self, n: int) -> list[float]:
        """How many seconds each of ``n`` pings took; none without a connection, or when it ends meanwhile."""
        return [] if self._transport is None else await self._transport.round_trips(n)

    # The life of a connection

    async def _run(self) -> None:
        attempt = 0
        while True:
            await self._turn()
            self._opened_ns, self._wait_s = 0, 0.0
            try:
                cause = await self._live()
            except ConnectError as error:
                cause, self._wait_s = self._credentials.mask_text(error.cause), error.retry_after_s or 0
                if (denied := self.session.adapter.refusal(error.body)) is not None:
                    denied = replace(denied, reason=self._credentials.mask_text(denied.reason))
                    self.session.deny(denied, self._record_denied(denied))
                    closes = [effect for effect in self.session.effects() if isinstance(effect, Close)]
                    self._wait_s = max([self._wait_s, *(close.wait_s for close in closes)])
                self._fail(cause)
            except VendorError as error:
                cause, self._wait_s = self._credentials.mask_text(error.reply), FORBIDDEN_S
                self.session.forbidden(cause, self._record_denied(Denied(cause, why=Why.LOGIN)))
            except Exception as error:  # a fault of ours must not end the line in silence
                _log.exception("%s: the connection failed", self.session.adapter.venue)
                cause = f"internal error: {error}"
            self.last_error = cause
            if self._at_once:
                self._at_once, attempt = False, 0
                continue
            healthy = self._opened_ns and clock.now_ns() - self._opened_ns > HEALTHY_S * 1e9
            attempt, retry = 0 if healthy else attempt + 1, self._retry
            bounds = {"first_s": retry.first_s, "most_s": retry.most_s}
            wait_s = max(clock.back_off_s(max(attempt - 1, 0), **bounds), self._wait_s)
            if attempt and attempt == retry.attempts:
                self.gave_up = True
                self._fail(f"gave up after {attempt} tries: {cause}")
                return
            _log.warning("%s: %s; next try in %.1f s", self.session.adapter.venue, cause, wait_s)
            await asyncio.sleep(wait_s)

    async def _live(self) -> str:
        """One connection from dial to end; the cause of its end. Raises ConnectError when there was none."""
        adapter = self.session.adapter
        self._lost = asyncio.get_running_loop().create_future()
        channels = [state.channel for state in self.session.channels.values() if not state.derived]
        url = adapter.endpoint(self._endpoint.ws_url, channels)
        self.dials += 1
        self._url = self._credentials.mask_text(masked(url))
        try:
            await connect(adapter.venue, url, self, adapter.ws_headers())
            while not self._lost.done():
                await asyncio.wait([self._lost], timeout=TICK_S)
                self._tick()
                self._carry_out()
            return self._lost.result()
        finally:
            cause = self._lost.result() if self._lost.done() else "paused"
            if self._close_transport(cause):
                self.session.disconnected(cause, self._record(Direction.CLOSE, note=cause))
                self._carry_out()

    def _tick(self) -> None:
        """Let time pass; what it brings has its place on the tape among what other lines bring."""
        told, now_ns = self.session.told, self._tick_ns()
        self.session.tick(now_ns)
        if self.session.told != told:
            self._tap(RawRecord(self.session.number, now_ns, Direction.TICK))

    def _fail(self, cause: str) -> None:
        self.session.unreachable(cause, self._record(Direction.FAILED, note=cause))

    def _close_transport(self, cause: str) -> bool:
        """Whether there was a connection to close."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close(cause)
        self._outbox.clear()
        for task in self._fetches:
            task.cancel()
        return transport is not None

    # What the transport tells

    def on_open(self, transport: Transport) -> None:
        """Log in and subscribe, before the first frame."""
        self._transport = transport
        self.ever_connected, self._opened_ns = True, clock.now_ns()
        _log.info("%s: connected to %s", self.session.adapter.venue, self._url)
        self.session.connected(self._record(Direction.OPEN, note=self._url))
        self._carry_out()

    def on_frame(self, frame: bytes) -> None:
        """Keep it raw, then let the session judge it."""
        kept = self._credentials.mask_received(frame)
        now_ns = self._record(Direction.IN, kept)
        _log.debug("%s < %s", self.session.adapter.venue, kept)
        self.session.receive(kept, now_ns)
        self._carry_out()

    def on_close(self, transport: Transport, cause: str) -> None:
        """End this connection, if it is not the one before it; ``_run`` dials the next."""
        if transport is self._transport:
            self._end(cause)

    def _end(self, cause: str, *, at_once: bool = False, wait_s: float = 0.0) -> None:
        """The first word counts."""
        if self._lost is not None and not self._lost.done():
            self._at_once, self._wait_s = at_once, wait_s
            self._lost.set_result(cause)

    # Effects

    def _carry_out(self) -> None:
        for effect in self.session.effects():
            match effect:
                case Send(frame=frame):
                    self._outbox.put(frame)
                case Fetch():
                    task = asyncio.create_task(self._fetch(effect))
                    self._fetches.add(task)
                    task.add_done_callback(self._fetches.discard)
                case Close(cause=cause, at_once=at_once, wait_s=wait_s):
                    self._end(cause, at_once=at_once, wait_s=wait_s)

    def _send(self, frame: bytes) -> None:
        kept = self._credentials.mask(frame)
        self._record(Direction.OUT, kept)
        _log.debug("%s > %s", self.session.adapter.venue, kept)
        if self._transport is not None:
            self._transport.send(frame, binary=self.session.adapter.binary)

    async def _fetch(self, fetch: Fetch) -> None:
        """Fetch, until there is an answer where the session counts on it."""
        adapter, attempt = self.session.adapter, fetch.attempt
        venue = adapter.venue
        wait_s = clock.back_off_s(attempt) if attempt else 0.0
        while True:
            await asyncio.sleep(wait_s)
            try:
                address = self._endpoint.rest_address(fetch.path)
                body = self._credentials.mask_received(
                    await self._rest.get(venue, address, adapter.rest_headers())
                )
            except VendorError as error:
                why = Why.LOGIN if isinstance(error, LoginDenied) else Why.SYMBOL
                reason = self._credentials.mask_text(error.reply)
                note = json.encode((fetch.name, reason, why)).decode()
                self.session.refused(fetch.name, reason, why, self._record(Direction.REFUSED, note=note))
                self._carry_out()
                return
            except ConnectError as error:
                attempt += 1
                wait_s = max(clock.back_off_s(attempt), error.retry_after_s or 0)
                cause = self._credentials.mask_text(error.cause)
                if not fetch.insist:
                    _log.info("%s: %s: %s", venue, fetch.name, cause)
                    return
                _log.warning("%s: %s: %s; next try in %.1f s", venue, fetch.name, cause, wait_s)
                continue
            now_ns = self._record(Direction.FETCHED, body, note=fetch.name)
            self.session.fetched(fetch.name, body, now_ns)
            self._carry_out()
            return

    def _record(self, direction: Direction, payload: bytes = b"", note: str = "") -> int:
        """Keep what happens, and when: the session is told the same time, so that a replay gives the same."""
        now_ns = self._tick_ns()
        self._tap(RawRecord(self.session.number, now_ns, direction, payload, note))
        return now_ns

    def _record_denied(self, denied: Denied) -> int:
        return self._record(Direction.DENIED, note=json.encode(denied).decode())

    def _tick_ns(self) -> int:
        self._now_ns = max(self._now_ns, clock.now_ns())
        return self._now_ns
