"""Fetching a vendor's REST answers: proxies, bounds and the vendor's wish to be left alone (floor 3)."""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp_socks import ProxyConnector
from python_socks import ProxyError

from .. import clock
from ..core.errors import ConnectError, LoginDenied, VendorError
from ..core.times import SECOND, ns_of
from .endpoint import masked, may_pass, proxy_for, tls_context

MAX_BODY = 64 << 20
TIMEOUT_S = 15.0


class Rest:
    """An HTTP client that lives as long as the program's loop. ``close`` it at the end."""

    def __init__(self) -> None:
        #: By venue, how far its clock was ahead of ours at its latest answer, to about half a second.
        self.ahead_ns: dict[str, int] = {}
        self._sessions: dict[str | None, aiohttp.ClientSession] = {}

    async def get(self, venue: str, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body at ``url``.

        Raises ConnectError when trying again may help (with the server's Retry-After), VendorError when the
        vendor refuses this very request.
        """
        asked_ns = clock.now_ns()
        try:
            async with self._session(url).get(url, headers=headers, allow_redirects=False) as response:
                self._compare_clocks(venue, response.headers.get("Date", ""), asked_ns)
                body = await _read(response)
        except (aiohttp.ClientError, ProxyError, TimeoutError, OSError) as error:
            raise ConnectError(venue, f"{masked(url)}: {error or type(error).__name__}") from error
        if len(body) > MAX_BODY:
            raise VendorError(venue, f"{masked(url)} answered more than {MAX_BODY} bytes")
        if response.status == 200:
            return body
        said = f"HTTP {response.status} {body[:200].decode(errors='replace').strip()}"
        if may_pass(response.status):
            raise ConnectError(venue, said, _seconds(response.headers.get("Retry-After", "")))
        raise (LoginDenied if response.status in (401, 403) else VendorError)(venue, said)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    def _compare_clocks(self, venue: str, date: str, asked_ns: int) -> None:
        """A Date has whole seconds: on the average half of one has gone since."""
        try:
            venue_ns = ns_of(parsedate_to_datetime(date)) + SECOND // 2
        except ValueError:
            return
        self.ahead_ns[venue] = venue_ns - (asked_ns + clock.now_ns()) // 2

    def _session(self, url: str) -> aiohttp.ClientSession:
        proxy = proxy_for(url)
        if proxy not in self._sessions:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            if proxy is not None and proxy.startswith("socks"):
                connector: aiohttp.BaseConnector = ProxyConnector.from_url(proxy, ssl=tls_context())
                self._sessions[proxy] = aiohttp.ClientSession(connector=connector, timeout=timeout)
            else:
                connector = aiohttp.TCPConnector(ssl=tls_context())
                self._sessions[proxy] = aiohttp.ClientSession(
                    connector=connector, timeout=timeout, proxy=proxy
                )
        return self._sessions[proxy]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, or as much of it as is too much."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BODY:
            break
    return bytes(body)


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else None
