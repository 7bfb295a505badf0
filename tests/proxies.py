"""Small HTTP CONNECT and SOCKS5 proxies on loopback, for tests of proxies."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit


class Proxy:
    """Counts what went through it: ``targets`` are host:port."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            ask = await (_socks(reader, writer) if first == b"\x05" else _http(first, reader))
            self.targets.append(f"{ask.host}:{ask.port}")
            up_reader, up_writer = await asyncio.open_connection(ask.host, ask.port)
            writer.write(ask.answer)
            up_writer.write(ask.forward)
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Ask(NamedTuple):
    """What a client wants: where to, what to tell it, and what to pass on for it."""

    host: str
    port: int
    answer: bytes = b""
    forward: bytes = b""


async def _http(first: bytes, reader: StreamReader) -> Ask:
    head = first + await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(None, 2)
    if method == b"CONNECT":
        host, port = target.decode().rsplit(":", 1)
        return Ask(host, int(port), answer=b"HTTP/1.1 200 OK\r\n\r\n")
    url = urlsplit(target.decode())
    path = target.decode().partition(url.netloc)[2].encode()
    return Ask(url.hostname or "", url.port or 80, forward=head.replace(target, path, 1))


async def _socks(reader: StreamReader, writer: StreamWriter) -> Ask:
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(b"\x05\0")
    *_, kind = await reader.readexactly(4)
    raw = await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
    host = ".".join(map(str, raw)) if kind == 1 else raw.decode()
    port = int.from_bytes(await reader.readexactly(2))
    return Ask(host, port, answer=b"\x05\0\0\x01\0\0\0\0\0\0")


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()
