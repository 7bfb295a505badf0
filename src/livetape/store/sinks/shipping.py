"""Brings sealed files to a sink, again and again until all are there (floor 3)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from msgspec import Struct

from ... import clock
from ...core.errors import ConnectError, StoreError
from ..catalog import Catalog, Removed, SealedFile, View
from ..locks import readers
from ..progress import Progress, quiet

FOLLOW_S = 5.0  #: how often a store that is still written is looked at
_log = logging.getLogger("livetape.ship")
T = TypeVar("T")


class Sink(Protocol):
    """Where sealed files are copied to. Every call raises ConnectError for what may pass, else ConfigError.

    ``tables`` are those that are shipped where none are named. ``missing`` names the files that are not
    there. ``ship`` copies one, whole or not at all, and says whether it was not there yet. ``prune`` removes
    the copies of files that others have replaced, and says how many.
    """

    name: str
    tables: frozenset[str]

    async def missing(self, files: Sequence[SealedFile]) -> list[SealedFile]: ...

    async def ship(self, file: SealedFile, path: Path, visible: Collection[str]) -> bool: ...

    async def prune(self, view: View, removed: Sequence[Removed]) -> int: ...

    async def close(self) -> None: ...


class Wish(Struct, frozen=True):
    """What is to be shipped; no ``tables`` are those of the sink.

    ``patience_s`` is how long a sink may be down. With ``follow`` that is for ever, and there is no end.
    """

    tables: frozenset[str] = frozenset()
    follow: bool = False
    prune: bool = False
    patience_s: float = 30


class Shipped(Struct):
    """What a run has done."""

    files: int = 0
    rows: int = 0
    pruned: int = 0


class Shipping:
    """Ships the sealed files of the store in ``directory``; ``done`` is what it has done so far."""

    def __init__(self, directory: Path, sink: Sink, wish: Wish, stop: asyncio.Event) -> None:
        self.done = Shipped()
        self._directory, self._catalog = directory, Catalog(directory)
        self._sink, self._wish, self._stop = sink, wish, stop
        self._damaged: dict[str, StoreError] = {}
        self._there: list[SealedFile] | None = None

    async def run(self, progress: Progress = quiet) -> None:
        """Ship until all is there, or until ``stop``, which waits for the file at hand.

        Raises ConfigError, ConnectError when the sink stays down, and StoreError when a file could not be
        read; the others are there then.
        """
        try:
            while await self._round(progress) or await self._more():
                pass
        finally:
            await self._sink.close()
        for error in self._damaged.values():
            raise error

    async def _more(self) -> bool:
        return self._wish.follow and not await _happens(self._stop, FOLLOW_S)

    async def _round(self, progress: Progress) -> bool:
        """Ship what is missing now; whether there was any."""
        view = self._catalog.view()
        wanted = self._wish.tables or self._sink.tables
        mine = [file for file in view.files if file.table in wanted and file.path not in self._damaged]
        if mine == self._there:
            return False
        missing = await self._persist(lambda: self._sink.missing(mine)) or []
        visible = {file.path for file in view.files}
        rows, so_far = sum(file.rows for file in missing), 0
        for file in sorted(missing, key=lambda file: (file.first_recv, file.path)):
            progress(f"{file.table} {file.date} {file.venue}", so_far, rows)
            await self._ship(file, visible)
            so_far += file.rows
        if missing:
            progress("shipped", so_far, rows)
            return not self._stop.is_set()
        if self._wish.prune:
            removed = self._catalog.removed()
            self.done.pruned += await self._persist(lambda: self._sink.prune(view, removed)) or 0
        self._there = mine
        return False

    async def _ship(self, file: SealedFile, visible: Collection[str]) -> None:
        path = self._directory / file.path

        async def attempt() -> bool:
            """Keep the file meanwhile, but not until the next attempt: a sink may be down for long."""
            with readers(self._directory):
                # where it was replaced since, the next round ships what it has become
                return path.exists() and await self._sink.ship(file, path, visible)

        try:
            if await self._persist(attempt):
                self.done.files += 1
                self.done.rows += file.rows
        except StoreError as error:
            _log.error("%s", error)
            self._damaged[file.path] = error

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """What ``call`` gives once the sink is there; None where ``stop`` comes first."""
        until_s, attempt = monotonic() + self._wish.patience_s, 0
        while not self._stop.is_set():
            try:
                return await call()
            except ConnectError as error:
                if monotonic() > until_s and not self._wish.follow:
                    raise
                if not attempt:
                    _log.warning("%s; trying again", error)
                await _happens(self._stop, clock.back_off_s(attempt))
                attempt += 1
        return None


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_s)
    return event.is_set()
