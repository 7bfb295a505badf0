"""The one search over the lists of all venues (floor 3)."""

import asyncio

from ..core.instruments import Instrument
from ..core.search import Index, Listing
from .upstream import Upstream


class Search:
    """Keeps an index of what ``upstream`` lists; a thread makes it anew when a list has changed."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lists: dict[str, list[Instrument]] = {}
        self._index = Index([])
        self._making = asyncio.Lock()

    async def find(self, text: str, limit: int) -> list[Listing]:
        """The ``limit`` listings that fit ``text`` best."""
        venues = self._upstream.venues()
        lists = dict(zip(venues, await asyncio.gather(*map(self._upstream.instruments, venues)), strict=True))
        async with self._making:
            if lists != self._lists:
                listings = [(venue, instrument) for venue, listed in lists.items() for instrument in listed]
                self._index, self._lists = await asyncio.to_thread(Index, listings), lists
        return self._index.search(text, limit)
