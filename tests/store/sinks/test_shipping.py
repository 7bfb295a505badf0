"""What every sink can count on, and the store while one is down."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from livetape.core.errors import ConnectError
from livetape.store.catalog import Removed, SealedFile, View
from livetape.store.sinks import Shipping, Wish

from .tapes import compact, record, trades, view


class Copies:
    """A sink in memory that is down until it is told to be there."""

    name = "copies"
    tables = frozenset({"trades"})

    def __init__(self) -> None:
        self.there = False
        self.refused = asyncio.Event()
        self.copies: dict[str, bytes] = {}

    async def missing(self, files: Sequence[SealedFile]) -> list[SealedFile]:
        return [file for file in files if file.path not in self.copies]

    async def ship(self, file: SealedFile, path: Path, visible: Collection[str]) -> bool:
        if not self.there:
            self.refused.set()
            raise ConnectError(self.name, "it is down")
        self.copies[file.path] = path.read_bytes()
        return True

    async def prune(self, view: View, removed: Sequence[Removed]) -> int:
        return 0

    async def close(self) -> None: ...


async def test_a_sink_that_is_down_keeps_no_file_from_being_unlinked(tmp_path: Path) -> None:
    record(tmp_path, trades(0, 10), trades(10, 10))
    old = [tmp_path / file.path for file in view(tmp_path).files]
    sink, stop = Copies(), asyncio.Event()
    shipping = Shipping(tmp_path, sink, Wish(follow=True), stop)
    run = asyncio.create_task(shipping.run())
    await sink.refused.wait()
    compact(tmp_path)
    gone = not any(path.exists() for path in old)
    sink.there = True
    [file] = view(tmp_path).files
    while not sink.copies:
        await asyncio.sleep(0.01)
    stop.set()
    await run
    assert gone
    assert sink.copies == {file.path: (tmp_path / file.path).read_bytes()}
    assert (shipping.done.files, shipping.done.rows) == (1, 20)
