"""The vendors' lists of instruments, kept on disk for a day (floor 3)."""

import logging
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import urlsplit

from msgspec import MsgspecError, Struct, json
from platformdirs import user_cache_path

from .. import clock
from ..core.errors import ConnectError, LivetapeError
from ..core.instruments import Instrument
from ..core.times import iso

FRESH_NS = 24 * 3_600 * 1_000_000_000  #: for so long a list is not asked for again
_log = logging.getLogger("livetape.feed")


class Listed(Struct, frozen=True):
    """What a vendor listed, and when."""

    fetched_ns: int
    instruments: list[Instrument]


_decode = json.Decoder(Listed).decode


class Catalogue:
    """``ask`` fetches the list of a venue; it raises LivetapeError, or returns nothing, when it cannot."""

    def __init__(self, ask: Callable[[str], Awaitable[list[Instrument]]]) -> None:
        self._ask = ask
        self._directory = Path(os.environ.get("LIVETAPE_CACHE") or user_cache_path("livetape")) / "symbols"

    async def listed(self, venue: str, rest_url: str, *, refresh: bool = False) -> Listed:
        """The list that ``venue`` has at ``rest_url``: a kept one for a day, and for longer if it must be.

        ``refresh`` asks the vendor in any case. Raises LivetapeError when there is neither.
        """
        file = self._file(venue, rest_url)
        kept = _read(file)
        if kept and not refresh and 0 <= clock.now_ns() - kept.fetched_ns < FRESH_NS:
            return kept
        try:
            instruments = await self._ask(venue)
            if not instruments:
                raise ConnectError(venue, "no list of symbols can be had now")
        except LivetapeError as error:
            if kept is None:
                raise
            _log.warning("%s; its list of %s is used", error, iso(kept.fetched_ns))
            return kept
        listed = Listed(clock.now_ns(), instruments)
        try:
            _write(file, listed)
        except OSError as error:
            _log.warning("%s: the list of symbols is not kept: %s", venue, error)
        return listed

    def _file(self, venue: str, rest_url: str) -> Path:
        parts = urlsplit(rest_url)
        name = f"{venue}-{parts.hostname}" + (f"-{parts.port}" if parts.port else "")
        return self._directory / f"{re.sub('[^a-z0-9_.]+', '-', name)}.json"


def _read(file: Path) -> Listed | None:
    try:
        return _decode(file.read_bytes())
    except (OSError, MsgspecError):
        return None


def _write(file: Path, listed: Listed) -> None:
    """At once or not at all, and for this user only."""
    file.parent.mkdir(0o700, parents=True, exist_ok=True)
    descriptor, name = mkstemp(dir=file.parent)
    try:
        with open(descriptor, "wb") as new:
            new.write(json.encode(listed))
        os.replace(name, file)
    except OSError:
        os.unlink(name)
        raise
