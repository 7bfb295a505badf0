"""Prints what a WebSocket says, by websockets: ``with_websockets.py URL [MESSAGE…]``."""

import asyncio
import sys

import websockets


async def main() -> None:
    async with websockets.connect(sys.argv[1], max_size=None) as ws:
        for message in sys.argv[2:]:
            await ws.send(message)
        async for message in ws:
            print(message)


asyncio.run(main())
