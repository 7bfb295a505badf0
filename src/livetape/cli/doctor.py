"""``livetape doctor``: what stands between a user and the data, one check after the other (floor 5).

All checks but those of the bare network go through the feeds that the other commands use.
"""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from msgspec import Struct, json

from .. import clock
from ..adapters import find, venues
from ..app import App
from ..config import Config
from ..core.credentials import Credentials
from ..core.errors import ConnectError, LimitReached, LivetapeError, LoginDenied, VendorError
from ..core.events import Gap, MarketEvent, Origin, Status, Trust, Why
from ..core.instruments import Channel
from ..core.times import SECOND
from ..feeds.endpoint import masked, proxy_for, tls_context
from ..feeds.line import Retry
from .following import BRIEF_S, cut_off, why_closed

CONNECT_S = 10.0
SKEW_NS = SECOND  #: by which the two clocks may differ
SET_CLOCK = "let NTP set this machine's clock, for example by timedatectl set-ntp true"
_PORTS = {"wss": 443, "https": 443, "socks5": 1080}
#: What to do where nothing better is known, by the exit code.
_REMEDIES = {2: "correct it", 3: "ask the vendor", 4: "try again later"}
_TRIED = ("quote", "trade")  #: kinds that are tried where the user names none, the first that is offered


class Finding(Struct, frozen=True):
    """What one check found. ``result`` is ok, warning or problem; ``remedy`` says what to do."""

    venue: str
    check: str
    result: str
    detail: str
    remedy: str = ""


async def examine(config: Config, named: Sequence[str], timeout_s: float, *, as_json: bool) -> int:
    """The exit code of the first problem. Raises ConfigError for a venue that does not exist."""
    config = config.with_retry(Retry(attempts=1))
    tell = _print_json if as_json else _print_line
    codes = [
        await _Examination(config, venue, channels, timeout_s, tell).run()
        for venue, channels in _to_try(config, named).items()
    ]
    return next(filter(None, codes), 0)


async def explained(app: App, channel: Channel, error: LivetapeError) -> LivetapeError:
    """What went wrong with a REST request about ``channel``, and what would help."""
    match error:
        case LoginDenied():
            return await app.hub.explain(channel, error.reply, Why.LOGIN)
        case VendorError():
            return await app.hub.explain(channel, error.reply)
        case ConnectError(retry_after_s=wait_s) if wait_s:
            return ConnectError(error.venue, error.cause, wait_s, f"try again after {wait_s:.0f} s")
    return error


def _to_try(config: Config, named: Sequence[str]) -> dict[str, list[Channel]]:
    """What to try of each venue: its sources of those ``named``, else of the configuration, else its sample.

    Without names those are examined that the user has configured, or has a key of; else all without a key.
    """
    configured = config.behind(config.channels_of(config.sources))
    sources = config.behind(config.channels_of([name for name in named if ":" in name]))
    wanted = [name.partition(":")[0].lower() for name in named]
    wanted = wanted or [*(channel.venue for channel in configured), *config.venues, *_with_key(config)]
    wanted = wanted or [venue for venue in venues() if not find(venue).key_names]
    return {
        venue: _of(venue, sources) or _of(venue, configured) or [_sample(config, venue)]
        for venue in dict.fromkeys(wanted)
    }


def _of(venue: str, channels: Sequence[Channel]) -> list[Channel]:
    return [channel for channel in channels if channel.venue == venue]


def _with_key(config: Config) -> list[str]:
    names = {venue: find(venue, config.venue(venue).api).key_names for venue in venues()}
    return [venue for venue, keys in names.items() if keys and all(map(os.environ.get, keys))]


def _sample(config: Config, venue: str) -> Channel:
    adapter = find(venue, config.venue(venue).api)
    offers = adapter.offers()
    return Channel(venue, adapter.sample, next((kind for kind in _TRIED if kind in offers), min(offers)))


def _print_json(finding: Finding) -> None:
    sys.stdout.buffer.write(json.encode(finding) + b"\n")
    sys.stdout.buffer.flush()


def _print_line(finding: Finding) -> None:
    text = "; ".join(filter(None, (finding.detail, finding.remedy)))
    sys.stdout.write(f"{finding.venue:<10} {finding.check:<13} {finding.result:<7} {text}\n")
    sys.stdout.flush()


class _Examination:
    """All checks of one venue."""

    def __init__(
        self,
        config: Config,
        venue: str,
        channels: list[Channel],
        timeout_s: float,
        tell: Callable[[Finding], None],
    ) -> None:
        self._venue, self._channels, self._timeout_s = venue, channels, timeout_s
        self._config, self._tell = config.venue(venue), tell
        self._app = App(config)
        self._trial = _Trial(self._app, channels)
        self._check, self._code = "", 0
        self._keys: list[Credentials] = []
        self._url, self._host, self._port = "", "", 0
        self._through: str | None = None

    async def run(self) -> int:
        """The exit code of the first problem; the check that has one of its own ends the examination."""
        checks = {
            "configuration": self._configuration,
            "proxy": self._proxy,
            "dns": self._dns,
            "tcp": self._tcp,
            "tls": self._tls,
            "rest": self._rest,
            "clock": self._clock,
            "limits": self._limits,
            "websocket": self._websocket,
            "login": self._login,
            "subscription": self._subscription,
        }
        try:
            for self._check, check in checks.items():
                await check()
        except LivetapeError as error:
            self._problem(error)
        finally:
            await self._app.close()
        return self._code

    def _say(self, detail: str, *, result: str = "ok", remedy: str = "", check: str = "") -> None:
        for key in self._keys:
            detail, remedy = key.mask_text(detail), key.mask_text(remedy)
        self._tell(Finding(self._venue, check or self._check, result, detail, remedy))

    def _problem(self, error: LivetapeError) -> None:
        self._code = self._code or error.exit_code
        said = str(error).removeprefix(f"{self._venue}: ").removeprefix(f"{self._venue} ")
        remedy = error.remedy or _REMEDIES.get(error.exit_code, "report it")
        self._say(said.removesuffix(error.remedy).rstrip(" ;:"), result="problem", remedy=remedy)

    # What needs no network

    async def _configuration(self) -> None:
        self._url = self._config.endpoint(self._venue).ws_url
        self._feed = self._app.hub.feed(self._venue)
        self._keys = self._config.keys(self._venue)
        self._feed.check(self._channels)
        names = self._feed.adapter.key_names
        origin = "a file that only its owner may read" if self._config.key_file else " and ".join(names)
        self._say(f"{masked(self._url)}, {f'key from {origin}' if names else 'no key is needed'}")

    async def _proxy(self) -> None:
        self._through = proxy_for(self._url)
        parts = urlsplit(self._through or self._url)
        self._host, self._port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
        self._say(f"through {masked(self._through)}" if self._through else "none")

    # The bare network: of the proxy where there is one, for the rest is the proxy's business

    async def _dns(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            remedy = "check the name, and this machine's DNS and network"
            raise self._unreachable(f"{self._host} has no address: {_reason(error)}", remedy) from error
        addresses = dict.fromkeys(str(address[0]) for *_, address in found)
        self._say(f"{self._host} is {', '.join(addresses)}{self._on_behalf}")

    async def _tcp(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self._host, self._port)
                writer.close()
        except (OSError, TimeoutError) as error:
            remedy = "check the proxy" if self._through else "check the firewall, or set HTTPS_PROXY"
            raise self._unreachable(f"{self._host}:{self._port}: {_reason(error)}", remedy) from error
        self._say(f"{self._host}:{self._port} accepts connections{self._on_behalf}")

    async def _tls(self) -> None:
        if self._through:
            self._say("through the proxy, verified with the WebSocket")
        elif not self._url.startswith("wss"):
            self._say("not encrypted")
        else:
            self._say(await self._certificate())

    async def _certificate(self) -> str:
        """Of the vendor's certificate, for people; it is verified."""
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self._host, self._port, ssl=tls_context())
        except ssl.SSLCertVerificationError as error:
            remedy = (
                "check this machine's clock; where a proxy or firewall reads along, let SSL_CERT_FILE "
                "name its authority"
            )
            problem = f"the certificate of {self._host} is not trusted: {error.verify_message}"
            raise self._unreachable(problem, remedy) from error
        except (OSError, TimeoutError) as error:
            remedy = "a firewall may be in between"
            raise self._unreachable(f"{self._host}: {_reason(error)}", remedy) from error
        wire: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        until = ssl.cert_time_to_seconds(str((wire.getpeercert() or {})["notAfter"]))
        return f"{wire.version()}, certificate verified, good until {datetime.fromtimestamp(until, UTC):%F}"

    def _unreachable(self, cause: str, remedy: str) -> ConnectError:
        return ConnectError(self._venue, f"{cause}{self._on_behalf}", remedy=remedy)

    @property
    def _on_behalf(self) -> str:
        return " (the proxy)" if self._through else ""

    # The vendor

    async def _rest(self) -> None:
        """What is wrong here ends nothing: the stream may do without."""
        sample = self._feed.adapter.sample
        path = self._feed.adapter.price_path(sample)
        if path is None:
            self._say("it has no price to ask for")
            return
        began_ns = clock.now_ns()
        try:
            await self._feed.get(path)
        except LivetapeError as error:
            asked = self._channels[0]._replace(symbol=sample)
            self._problem(await explained(self._app, asked, error))
        else:
            self._say(f"the price of {sample} came after {_ms(clock.now_ns() - began_ns)}")

    async def _clock(self) -> None:
        ahead_ns = self._feed.ahead_ns
        if ahead_ns is not None:
            side = "ahead of" if ahead_ns > 0 else "behind"
            said = f"the vendor's is {abs(ahead_ns) / SECOND:.1f} s {side} ours, to half a second"
            self._say_clock(said, wrong=abs(ahead_ns) > SKEW_NS)

    def _say_clock(self, said: str, *, wrong: bool) -> None:
        if wrong:
            self._say(said, check="clock", result="warning", remedy=SET_CLOCK)
        else:
            self._say(said, check="clock")

    async def _limits(self) -> None:
        """Subscribe, too."""
        limits = self._feed.adapter.limits
        try:
            self._app.hub.want(self._channels, queue=False)
        except LimitReached as error:
            self._problem(error)
            self._app.hub.want(self._channels)
        else:
            sockets = limits.sockets_per_key or "any number of"
            said = f"{limits.symbols_per_socket} symbols a connection, {sockets} connections a key"
            self._say(f"{said}, keys: {len(self._keys)}" if self._feed.adapter.key_names else said)

    async def _websocket(self) -> None:
        began_ns, lines = clock.now_ns(), self._app.hub.lines
        await self._trial.until(lambda: all(line.ever_connected or line.gave_up for line in lines))
        if failed := [line for line in lines if not line.ever_connected]:
            await self._raise_denied()
            raise ConnectError(self._venue, failed[0].last_error)
        self._say(f"open after {_ms(clock.now_ns() - began_ns)}")

    async def _login(self) -> None:
        adapter, trial = self._feed.adapter, self._trial
        if not adapter.key_names:
            self._say("none is needed")
            return
        if adapter.awaits_login:
            await trial.until(lambda: trial.admitted or bool(trial.denied) or trial.ended)
        else:  # some hang up without a word
            await trial.until(lambda: bool(trial.denied) or trial.ended, BRIEF_S)
        await self._raise_denied()
        if trial.ended:
            raise self._cut_off()
        self._say("accepted" if adapter.awaits_login else "nothing is said against the key")

    async def _raise_denied(self) -> None:
        """Raise what stands against the connection as a whole."""
        for name, status in self._trial.denied.items():
            if status.why in (Why.LOGIN, Why.CONNECTIONS) or not self._trial.admitted:
                raise await self._app.hub.explain(Channel.parse(name), status.detail, status.why)

    def _cut_off(self) -> ConnectError:
        return cut_off(self._feed.adapter, self._app.hub.lines[0].last_error)

    async def _subscription(self) -> None:
        trial, timeout_s = self._trial, self._timeout_s
        await trial.until(lambda: trial.settled or trial.ended, timeout_s)
        if trial.ended and len(trial.denied) < len(self._channels):
            await self._raise_denied()
            raise self._cut_off()
        for channel in self._channels:
            await self._judge(channel)
        self._judge_age(trial.age_ns)

    async def _judge(self, channel: Channel) -> None:
        name = str(channel)
        if name in self._trial.first:
            self._say(f"{name}: data after {_ms(self._trial.first[name])}")
        elif denied := self._trial.denied.get(name):
            self._problem(await self._app.hub.explain(channel, denied.detail, denied.why))
        elif unlisted := await self._app.hub.unlisted(channel, "the vendor does not list it"):
            self._problem(unlisted)
        elif name not in self._trial.queued:
            why = await asyncio.to_thread(why_closed, channel, clock.now_ns())
            said = f"{name}: nothing within {self._timeout_s:g} s; {why}"
            closed = "closed" in why
            remedy = "try again then" if closed else "try a longer --timeout, or a busier symbol"
            self._say(said, result="warning", remedy=remedy)

    def _judge_age(self, age_ns: int | None) -> None:
        """What comes from the future shows a wrong clock; what is old may just be delayed."""
        if age_ns is None:
            return
        said = f"the freshest event was {age_ns / SECOND:.1f} s old on its arrival"
        if age_ns < -SKEW_NS or self._feed.ahead_ns is None:
            self._say_clock(said, wrong=abs(age_ns) > SKEW_NS)


class _Trial:
    """What becomes of ``channels`` once they are wanted."""

    def __init__(self, app: App, channels: list[Channel]) -> None:
        self._app, self._names = app, list(map(str, channels))
        self._news, self._began_ns = asyncio.Event(), 0
        self.admitted = False  #: whether the vendor has let anything be subscribed
        self.denied: dict[str, Status] = {}
        self.queued: set[str] = set()
        self.first: dict[str, int] = {}  #: how long the first event took, in ns
        self.age_ns: int | None = None  #: of the freshest event on its arrival, by the clocks of both
        app.bus.subscribe(None, self._put)

    @property
    def settled(self) -> bool:
        """Whether of each channel it is known what becomes of it."""
        return all(name in self.first or name in self.denied or name in self.queued for name in self._names)

    @property
    def ended(self) -> bool:
        """Whether no connection is left."""
        return self._app.hub.gave_up

    async def until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for ``condition``, or as long as may be."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass

    def _put(self, event: MarketEvent) -> None:
        self._news.set()
        match event:
            case Status(state="connected"):
                self._began_ns = self._began_ns or event.recv_ns
            case Status(state="denied") if event.symbol:
                self.denied[event.channel] = event
            case Status(state="queued"):
                self.queued.add(event.channel)
            case Status(state=Trust.RESYNCING):
                self.admitted = True
            case Status() | Gap():
                pass
            case _:
                self.admitted = True
                self.first.setdefault(event.channel, event.recv_ns - self._began_ns)
                if event.venue_ns is not None and event.origin is Origin.LIVE:
                    age_ns = event.recv_ns - event.venue_ns
                    self.age_ns = age_ns if self.age_ns is None else min(age_ns, self.age_ns)


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.0f} ms"


def _reason(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {CONNECT_S:.0f} s"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
