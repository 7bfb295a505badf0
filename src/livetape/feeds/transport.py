"""One client WebSocket on picows, with the bounds that picows leaves to its user (floor 3).

Frames reach the owner synchronously, in the order of arrival. TLS is always verified, no redirect followed.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Protocol

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)
from python_socks import ProxyError

from ..core.errors import ConnectError, LoginDenied
from .endpoint import masked, may_pass, proxy_for, tls_context

MAX_MESSAGE = 16 << 20  #: bytes of one message, all its fragments together
MAX_UNSENT = 1 << 20  #: bytes that may wait for a vendor that has stopped reading
STUCK_S = 5.0
PARTING_S = 1.0  #: for a dial that was given up to end
CONNECT_S = 10.0
PING_AFTER_S, PONG_WITHIN_S = 10.0, 5.0
PONGS_PER_S = 10
FORBIDDEN = (401, 402, 403, 451)  #: answers to a handshake that trying again will not change
_quiet = logging.getLogger("livetape.picows")
_quiet.setLevel(logging.WARNING)  # below it, the library logs whole requests with the keys in them


class Owner(Protocol):
    """Whoever drives a connection. The opening comes before the first frame, the end once and last."""

    def on_open(self, transport: "Transport") -> None: ...

    def on_frame(self, frame: bytes) -> None: ...

    def on_close(self, transport: "Transport", cause: str) -> None: ...


class Transport(WSListener):
    """One connection: ``send`` and ``close``; its owner is told of the opening, each frame and the end."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._fragments: list[bytes] = []
        self._fragmented: WSMsgType | None = None
        self._size = 0
        self._cause = ""
        self._closed = False
        self._pongs, self._pongs_since = 0, 0.0
        self._stuck: asyncio.TimerHandle | None = None

    def send(self, frame: bytes, *, binary: bool = False) -> None:
        """Send one message; nothing once the connection has ended."""
        if not self._closed:
            self._ws.send(WSMsgType.BINARY if binary else WSMsgType.TEXT, frame)

    def close(self, cause: str) -> None:
        """End the connection at once: a peer that is stuck would never answer a polite close."""
        if not self._closed:
            self._cause = self._cause or cause
            self._ws.send_close(WSCloseCode.OK)
            self._ws.disconnect(graceful=False)

    async def round_trips(self, n: int) -> list[float]:
        """How many seconds each of ``n`` pings took; none when the connection ends meanwhile."""
        try:
            return list(await self._ws.measure_roundtrip_time(n))
        except ConnectionResetError:
            return []

    # What picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._ws = transport
        transport.underlying_transport.set_write_buffer_limits(high=MAX_UNSENT)
        sock = transport.underlying_transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._closed or self._cause:
            return
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(WSCloseCode.PROTOCOL_ERROR, "a frame with reserved bits")
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY) and frame.fin and self._fragmented is None:
            self._deliver(kind, frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._collect(kind, frame)
        elif kind is WSMsgType.PING:
            self._answer_ping(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._peer_closed(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._closed:
            self._closed = True
            if self._stuck is not None:
                self._stuck.cancel()
            self._owner.on_close(self, self._cause or "the connection was lost")

    def pause_writing(self) -> None:
        loop = asyncio.get_running_loop()
        self._stuck = loop.call_later(STUCK_S, self.close, "the vendor stopped reading")

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()

    # Messages

    def _deliver(self, kind: WSMsgType, payload: bytes) -> None:
        if kind is WSMsgType.TEXT and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError:
                self._refuse(WSCloseCode.INVALID_TEXT, "text that is not UTF-8")
                return
        self._owner.on_frame(payload)

    def _collect(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind is WSMsgType.CONTINUATION) != (self._fragmented is not None):
            self._refuse(WSCloseCode.PROTOCOL_ERROR, "fragments out of order")
            return
        if kind is not WSMsgType.CONTINUATION:
            self._fragmented = kind
        self._fragments.append(frame.get_payload_as_bytes())
        self._size += frame.payload_size
        if self._size > MAX_MESSAGE:
            self._refuse(WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {MAX_MESSAGE} bytes")
        elif frame.fin:
            kind, payload = self._fragmented or kind, b"".join(self._fragments)
            self._fragments, self._fragmented, self._size = [], None, 0
            self._deliver(kind, payload)

    def _answer_ping(self, payload: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._pongs_since >= 1:
            self._pongs, self._pongs_since = 0, now
        self._pongs += 1
        if self._pongs <= PONGS_PER_S:
            self._ws.send_pong(payload)

    def _peer_closed(self, frame: WSFrame) -> None:
        code = frame.get_close_code()
        reason = (frame.get_close_message() or b"").decode(errors="replace")
        number = code.value if isinstance(code, WSCloseCode) else int(code)
        self._cause = f"closed by the vendor ({number or 'no code'}{f' {reason}' if reason else ''})"
        self._ws.send_close(WSCloseCode.OK)
        self._ws.disconnect(graceful=False)

    def _refuse(self, code: WSCloseCode, cause: str) -> None:
        self._cause = f"the vendor sent {cause}"
        self._ws.send_close(code)
        self._ws.disconnect(graceful=False)


class _Unwanted(WSListener):
    """Ends a connection that was given up while it was made."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.disconnect(graceful=False)


async def _dial(url: str, owner: Owner, headers: Mapping[str, str]) -> WSListener | None:
    """The transport, or None when the server has hung up instead of answering."""
    given_up = False
    dialling = asyncio.ensure_future(
        ws_connect(
            lambda: _Unwanted() if given_up else Transport(owner),
            url,
            ssl_context=tls_context() if url.startswith("wss") else None,
            websocket_handshake_timeout=CONNECT_S,
            logger_name=_quiet,
            extra_headers=headers,
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_AFTER_S,
            auto_ping_reply_timeout=PONG_WITHIN_S,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=MAX_MESSAGE,
            max_redirects=0,
            proxy=proxy_for(url),
        )
    )
    try:
        _, made = await asyncio.shield(dialling)
        return made
    except asyncio.CancelledError:  # the library would leave the socket open: let it end by itself
        given_up = True
        dialling.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([dialling], timeout=PARTING_S)
        raise


async def connect(venue: str, url: str, owner: Owner, headers: Mapping[str, str]) -> None:
    """Open a WebSocket for ``owner``. Raises ConnectError, or LoginDenied where it is no use."""
    try:
        async with asyncio.timeout(CONNECT_S):
            made = await _dial(url, owner, headers)
    except WSHandshakeError as error:
        if error.response is not None and int(error.response.status) in FORBIDDEN:
            raise LoginDenied(venue, _handshake_cause(error, url)) from error
        cause, wait_s = _handshake_cause(error, url), _retry_after_s(error)
        passing = error.response is None or may_pass(int(error.response.status))
        body = b"" if passing else error.raw_body or b""
        raise ConnectError(venue, cause, wait_s, body=body) from error
    except ssl.SSLCertVerificationError as error:
        cause = f"the certificate of {masked(url)} is not trusted: {error.verify_message}"
        raise ConnectError(venue, cause) from error
    except TimeoutError as error:
        raise ConnectError(venue, f"{masked(url)} did not answer within {CONNECT_S:.0f} s") from error
    except (OSError, WSError, ProxyError, ValueError) as error:
        raise ConnectError(venue, f"{masked(url)}: {error}") from error
    if made is None:  # what picows makes of a server that hangs up instead of answering
        raise ConnectError(venue, f"{masked(url)} hung up without an answer")


def _handshake_cause(error: WSHandshakeError, url: str) -> str:
    if error.response is None:
        return f"{masked(url)}: {error}"
    body = (error.raw_body or b"")[:200].decode(errors="replace").strip()
    return f"{masked(url)} answered HTTP {int(error.response.status)}{f': {body}' if body else ''}"


def _retry_after_s(error: WSHandshakeError) -> float | None:
    if error.response is None:
        return None
    text = error.response.headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    return 30.0 if int(error.response.status) == 429 else None
