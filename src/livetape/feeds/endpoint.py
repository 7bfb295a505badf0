"""Where a venue is reached, and through what (floor 3)."""

import os
import ssl
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies_environment, proxy_bypass

from msgspec import Struct

from ..core.adapter import Adapter
from ..core.errors import ConfigError


class Endpoint(Struct, frozen=True):
    """The addresses of a venue. ``own`` is False when they point elsewhere than the vendor's."""

    ws_url: str
    rest_url: str
    own: bool = True

    def rest_address(self, path: str) -> str:
        """The address of ``path``; a whole address stays, unless the venue was pointed elsewhere."""
        if "://" not in path:
            return self.rest_url + path
        parts = urlsplit(path)
        return path if self.own else self.rest_url + urlunsplit(("", "", parts.path, parts.query, ""))


def endpoint_of(adapter: type[Adapter], ws_url: str, rest_url: str, *, allow_insecure: bool) -> Endpoint:
    """The endpoint of ``adapter``, with overrides where they are not empty.

    A WebSocket override without any path takes the vendor's path. Raises ConfigError on an address that
    cannot be used, or that would send data unencrypted to another machine.
    """
    for name, url, schemes in (("ws_url", ws_url, ("ws", "wss")), ("rest_url", rest_url, ("http", "https"))):
        if url:
            _check(url, f"{adapter.venue} {name}", schemes, allow_insecure=allow_insecure)
    if ws_url and not urlsplit(ws_url).path:
        ws_url = urlunsplit(urlsplit(ws_url)._replace(path=urlsplit(adapter.ws_url).path))
    if ws_url and not rest_url:
        parts = urlsplit(ws_url)
        rest_url = f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}"
    return Endpoint(
        ws_url or adapter.ws_url, (rest_url or adapter.rest_url).rstrip("/"), own=not (ws_url or rest_url)
    )


def proxy_for(url: str) -> str | None:
    """The proxy that the environment wants for ``url`` (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies_environment()
    secure = parts.scheme in ("wss", "https")
    proxy = proxies.get("https" if secure else "http") or proxies.get("all")
    return proxy.replace("socks5h://", "socks5://") if proxy else None


def tls_context() -> ssl.SSLContext:
    """Certificates are always verified, against the system's authorities or those of SSL_CERT_FILE."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache  # it takes 25 ms to read the authorities
def _tls_context(*_trusted: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()


def masked(url: str) -> str:
    """``url`` without what may be secret: its user, its password and the values of its query."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={'***' if any(s in name.lower() for s in ('token', 'key', 'secret', 'auth')) else value}"
        for name, _, value in (pair.partition("=") for pair in parts.query.split("&") if pair)
    )
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def _check(url: str, where: str, schemes: tuple[str, ...], *, allow_insecure: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{masked(url)!r} is not an address: {error}", where=where) from error
    if parts.scheme not in schemes or not host:
        raise ConfigError(f"{masked(url)!r} is not an address like {schemes[-1]}://host/path", where=where)
    if parts.scheme in ("ws", "http") and not allow_insecure and not _is_loopback(host):
        raise ConfigError(
            f"{parts.scheme}:// to {host} is not encrypted; use {schemes[-1]}://, or set allow_insecure",
            where=where,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_pass(status: int) -> bool:
    """Whether a refusal with this HTTP status is about the moment, and not about what was asked."""
    return status in (408, 418, 425, 429) or status >= 500
