"""``livetape up`` (floor 5)."""

import asyncio
import sys
from pathlib import Path

from ..app import App
from ..config import Config


async def serve(config: Config, store: Path | None, stop: asyncio.Event) -> int:
    """Feed the sources of ``config`` to the gateway, and to ``store`` if given, until ``stop``."""
    app = App(config)
    if store or config.store.dir:
        app.record(store or config.store.dir)
    try:
        async with app.gateway().serving(config.gateway.host, config.gateway.port) as gateway:
            gateway.keep(config.channels_of(config.sources))
            sys.stderr.write(f"livetape is at {gateway.url}; Ctrl-C ends it\n")
            await stop.wait()
    finally:
        await app.close()
    return 0
