"""The gateway's search follows the lists of the venues."""

import asyncio
from collections.abc import Iterable
from typing import Any

from livetape.core.instruments import Channel, Instrument
from livetape.gateway.search import Search


class Lists:
    """An upstream that only lists."""

    def __init__(self, **lists: list[Instrument]) -> None:
        self.lists = lists

    def want(self, channels: Iterable[Channel]) -> None: ...

    def drop(self, channels: Iterable[Channel]) -> None: ...

    def venues(self) -> list[str]:
        return list(self.lists)

    async def instruments(self, venue: str) -> list[Instrument]:
        return self.lists[venue]

    def status(self) -> dict[str, Any]:
        return {}


async def test_what_a_venue_lists_later_is_found() -> None:
    upstream = Lists(kraken=[], gemini=[Instrument("BTC-USD", "btcusd")])
    search = Search(upstream)
    assert [venue for venue, _ in await search.find("bitcoin", 5)] == ["gemini"]
    upstream.lists["kraken"] = [Instrument("BTC-USD", "XBT/USD")]
    assert [venue for venue, _ in await search.find("bitcoin", 5)] == ["kraken", "gemini"]
    del upstream.lists["gemini"]
    assert [venue for venue, _ in await search.find("bitcoin", 5)] == ["kraken"]


async def test_keystrokes_at_the_same_time_are_all_answered() -> None:
    search = Search(Lists(kraken=[Instrument("BTC-USD", "XBT/USD"), Instrument("ETH-USD", "ETH/USD")]))
    answers = await asyncio.gather(*(search.find(text, 1) for text in ("b", "bt", "btc", "e", "eth", "xrp")))
    assert [[each.symbol for _, each in found] for found in answers] == [["BTC-USD"]] * 3 + [
        ["ETH-USD"]
    ] * 2 + [[]]
