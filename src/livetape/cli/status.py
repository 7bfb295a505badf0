"""``livetape status`` (floor 5)."""

import asyncio
import sys

import aiohttp
from msgspec import json

from ..core.errors import ConnectError
from ..core.times import iso


def print_status(url: str, *, as_json: bool) -> None:
    """Every connection and channel of the gateway at ``url``. Raises ConnectError when there is none."""
    body = asyncio.run(_fetch(f"{url.rstrip('/')}/v1/status"))
    if as_json:
        sys.stdout.buffer.write(body + b"\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("channel", "trust", "since", "received", "delivered", "gap", box=None, header_style="bold")
    for row in json.decode(body)["channels"]:
        counts = (str(row["received"]), str(row["delivered"]))
        score = f" {100 * row['agreement']['score']:.4g} %" if row["agreement"] else ""
        trust, gap = row["trust"] + score, "open" if row["gap"] else ""
        table.add_row(row["channel"], trust, iso(row["since"]), *counts, gap)
    Console().print(table)


async def _fetch(url: str) -> bytes:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            response.raise_for_status()
            return await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectError("gateway", f"{url}: {error}") from error
