"""One client's WebSocket, written to without ever waiting for it (floor 3).

aiohttp does the handshake and reads; what we send goes straight to the transport, so that a frame is built
once for everybody and a slow reader is seen by the size of its buffer.
"""

import socket
import struct

from aiohttp import web

SEND_BUFFER = 128 << 10  #: of the kernel: the default would hide megabytes of stale data
TEXT, BINARY = 1, 2


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """``payload`` as one unmasked WebSocket frame."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Socket:
    """Writes frames to a client; ``limit`` bounds what may wait for it."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse, limit: int) -> None:
        transport = request.transport
        assert transport is not None, "a request that is being answered has a transport"
        self._transport, self._ws, self._limit = transport, ws, limit
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    @property
    def open(self) -> bool:
        """Whether frames may still be written."""
        return not self._ws.closed and not self._transport.is_closing()

    @property
    def room(self) -> int:
        """How many bytes more may wait; negative once the client is beyond its limit."""
        return self._limit - self._transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Send whole frames, at once or as soon as the client reads."""
        if self.open:
            self._transport.write(frames)

    def abort(self) -> None:
        """End the connection now: a client that does not read would never see a polite close."""
        self._transport.abort()
