"""Closed segments of the journal become sealed files (floor 3).

Rule 1: one transaction of the catalogue shows a segment's files instead of it, once they are on the disk.
        Whatever ends the process before that leaves the segment as it was.
Rule 2: memory is bounded by ``PAGE`` records as the journal has them, and ``MOST_BYTES`` of columns, however
        long the segment is. What is more becomes a further file of the same folder.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from ..core.errors import StoreError
from ..core.raw import Direction, Recipe
from . import columns, hot, parquet
from .catalog import Catalog, SealedFile, Segment
from .files import Folder, publish
from .plan import DAY_NS, date_of
from .progress import Progress, quiet
from .schema import COLUMNS, VERSION
from .segment import bounds, reading, tables

PAGE = 10_000
MOST_BYTES = 128 << 20
LEVEL = 3
ORDER = ("recv", "session", "seq")  #: the order of the tape
_DAMAGED = (ValueError, TypeError, OverflowError, msgspec.MsgspecError, pa.ArrowException)
_UNKNOWN = "unknown"  #: the venue of raw records whose session has no beginning on the tape


def seal(catalog: Catalog, segment: Segment, progress: Progress = quiet) -> None:
    """Make sealed files of ``segment``, and show them instead of it. Raises StoreError."""
    sealing, done = _Sealing(catalog, segment), 0
    try:
        with reading(segment.path) as db:
            shift, rows = _check(db, segment)
            for table in _tables(db):
                for page in _pages(db, table, shift):
                    sealing.add(table, page)
                    done += page.num_rows
                    progress(f"sealing {segment.path.name}", done, rows)
                sealing.finish()
    except _DAMAGED as error:
        raise StoreError(str(segment.path), f"holds what was never recorded: {error}") from error
    catalog.seal(segment, rows, sealing.files, sealing.begun)


def write(directory: Path, path: str, folder: Folder, rows: pa.Table, *, level: int) -> SealedFile:
    """Make the file ``path`` of ``rows`` in any order, and say what is in it but for numbers of records."""
    keys = ("session", "n") if folder.table == "raw" else ("symbol", *ORDER)
    made = rows.sort_by([(key, "ascending") for key in keys]).select(columns.schema(folder.table).names)
    publish(directory, path, lambda unborn: parquet.write(unborn, folder.table, made, level=level))
    recv = _bounds(rows["recv"])
    time = recv if folder.table == "raw" else _bounds(pc.coalesce(rows["ts"], rows["recv"]))
    size = (directory / path).stat().st_size
    return SealedFile(path, *folder, rows.num_rows, size, *recv, *time, 0, 0, 0)


class _Sealing:
    """The files of a segment, and the venues of the sessions that began in it."""

    def __init__(self, catalog: Catalog, segment: Segment) -> None:
        self.files: list[SealedFile] = []
        self.begun: dict[int, str] = {}
        self._catalog, self._segment = catalog, segment
        self._earlier = catalog.sessions()
        self._parts: dict[Folder, int] = defaultdict(int)
        self._waiting: dict[Folder, list[pa.Table]] = defaultdict(list)
        self._waiting_bytes = 0

    def add(self, table: str, page: pa.Table) -> None:
        """Take the next records of ``table``."""
        venues = self._venues(page) if table == "raw" else page["venue"].combine_chunks()
        days = page["recv"].cast(pa.int64()).to_numpy() // DAY_NS
        codes = venues.dictionary_encode()
        places = days * len(codes.dictionary) + codes.indices.to_numpy()
        for place in np.unique(places):
            day, code = divmod(int(place), len(codes.dictionary))
            folder = Folder(table, date_of(day * DAY_NS), str(codes.dictionary[code]))
            self._waiting[folder].append(page.filter(pa.array(places == place)))
        self._waiting_bytes += page.nbytes
        if self._waiting_bytes > MOST_BYTES:
            self.finish()

    def finish(self) -> None:
        """Make files of what was taken."""
        for folder, pages in self._waiting.items():
            self._write(folder, pa.concat_tables(pages))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _write(self, folder: Folder, rows: pa.Table) -> None:
        path = folder.file(self._segment.name, 0, self._parts[folder])
        self._parts[folder] += 1
        file = write(self._catalog.directory, path, folder, rows, level=LEVEL)
        first_n, last_n = _bounds(rows["n"])
        self.files.append(replace(file, first_n=first_n, last_n=last_n))

    def _venues(self, page: pa.Table) -> pa.Array:
        beginnings = page.filter(pc.equal(page["direction"], Direction.BEGIN.value))
        for row in beginnings.select(["session", "note"]).to_pylist():
            with suppress(msgspec.DecodeError):
                self.begun[row["session"]] = Recipe.decode(row["note"]).venue
        known = self._earlier | self.begun
        sessions = page["session"].combine_chunks().dictionary_encode()
        names = pa.array([known.get(session, _UNKNOWN) for session in sessions.dictionary.to_pylist()])
        return names.take(sessions.indices)


def _check(db: apsw.Connection, segment: Segment) -> tuple[int, int]:
    """By how much to raise the numbers of its records, and how many it has. Raises StoreError."""
    [[version]] = db.execute("SELECT value FROM meta WHERE key = 'schema_version'")
    if not isinstance(version, int) or version > VERSION:
        problem = f"schema version {version} is newer than this livetape's {VERSION}"
        raise StoreError(str(segment.path), problem)
    found = bounds(db)
    if found is None:
        return 0, 0
    first, last = found
    return segment.first_n - first, last - first + 1


def _pages(db: apsw.Connection, table: str, shift: int) -> Iterator[pa.Table]:
    """The records of ``table`` with their number ``n`` in the store."""
    after = 0
    while (page := hot.page(db, table, after, PAGE)) is not None:
        yield page.numbered(shift)
        after = page.last


def _tables(db: apsw.Connection) -> list[str]:
    """Those of a segment, which has fewer where an older version wrote it."""
    return [table for table in COLUMNS if table in tables(db)]


def _bounds(times: pa.ChunkedArray) -> tuple[int, int]:
    found = pc.min_max(times.cast(pa.int64()))
    return found["min"].as_py(), found["max"].as_py()
