"""A connection that does not come about is told of at once."""

import asyncio

import pytest

from livetape.core.errors import ConnectError
from livetape.feeds.transport import Transport, connect


class Nobody:
    """An owner to whom nothing may happen."""

    def on_open(self, transport: Transport) -> None:
        raise AssertionError("there is no connection")

    def on_frame(self, frame: bytes) -> None:
        raise AssertionError("there is no connection")

    def on_close(self, cause: str) -> None:
        raise AssertionError("there is no connection")


@pytest.mark.parametrize("heard", [0, 10])
async def test_a_server_that_hangs_up_instead_of_answering(heard: int) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(heard)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError, match=f"127.0.0.1:{port}/v2"):
            await connect("kraken", f"ws://127.0.0.1:{port}/v2", Nobody(), {})
