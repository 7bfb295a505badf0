"""What is damaged is made again: typed rows from raw frames, the catalogue from the files (floor 3).

Rule 1: of a damaged file all that can be read is kept; what is missing is made from the raw frames. Where
        these give other rows than those that are left, nothing is replaced.
Rule 2: it is shown as compaction shows its files, so whatever ends it, every row is visible at most once.
Rule 3: rows that came without raw frames, as imported tables do, cannot be made again. They are told as
        removed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from ..core.errors import StoreError
from ..core.events import MarketEvent, Origin
from ..core.raw import Direction, RawRecord, Recipe
from ..core.times import ns_of
from . import columns, locks, merge
from .catalog import Catalog, SealedFile, Segment
from .files import Folder, collect, sweep
from .parquet import GROUP_ROWS, Reader
from .plan import DAY_NS, date_of
from .progress import Progress, quiet
from .scan import Ints, ints
from .schema import table_of
from .seal import LEVEL, write
from .segment import column_names, reading
from .staging import Staging
from .verifying import damage

_STAGING = "rebuilding"
_BATCH = 5_000
_SEQ_BITS = 40  #: more events no session has
_LOST = "damaged, and no raw frames to make it from"

Replaying = Callable[[Iterable[RawRecord]], Iterable[MarketEvent]]  #: makes the events of raw records again


class Wish(Struct, frozen=True):
    """Which folders are looked at; what is empty stands for all."""

    tables: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    def includes(self, file: SealedFile) -> bool:
        return (
            file.table != "raw"
            and (not self.tables or file.table in self.tables)
            and (not self.dates or file.date in self.dates)
        )


class Rebuilt(Struct, frozen=True):
    """A folder that was looked at: its rows ``made`` again, ``kept`` as they were, ``lost``.

    Where nothing was made or lost, the raw frames give just the rows that are there.
    """

    folder: Folder
    kept: int
    made: int
    lost: int


def rebuild(directory: Path, replaying: Replaying, wish: Wish, progress: Progress = quiet) -> list[Rebuilt]:
    """Make typed rows again of what is damaged, and compare with the raw frames what else is wished.

    Raises StoreError when the raw frames are damaged or do not give the rows that are left.
    """
    with locks.upkeep(directory):
        catalog = Catalog.writable(directory)
        sweep(catalog)
        wished = [file for file in catalog.view().files if wish.includes(file)]
        damaged = {file.path for file in wished if any(damage(directory, file))}
        looked = wished if wish.tables or wish.dates else [f for f in wished if f.path in damaged]
        folders = {Folder(file.table, file.date, file.venue) for file in looked}
        if not folders:
            return []
        staging, done = Staging(directory / _STAGING), list[Rebuilt]()
        try:
            origins = _replay(directory, replaying, folders, staging, progress)
            sessions = pa.array([*origins, *(-session for session in origins)], pa.int64())
            for folder in sorted(folders):
                made = _joined(folder, (_rows(segment, folder) for segment in staging.segments))
                done.append(_rebuild(catalog, folder, damaged, _told_as(made, origins), sessions))
        except (OSError, apsw.Error) as error:
            raise StoreError(str(directory), f"cannot be written: {error}") from error
        finally:
            staging.clear()
        collect(catalog)
    return done


def _replay(
    directory: Path, replaying: Replaying, folders: Collection[Folder], staging: Staging, progress: Progress
) -> dict[int, str]:
    """Stage the events of ``folders``; returns what those of each session were told as."""
    origins: dict[int, str] = {}
    total = sum(file.rows for file in Catalog(directory).view().files if file.table == "raw")
    done = 0

    def records() -> Iterator[RawRecord]:
        nonlocal done
        for record in merge.records(directory):
            done += 1
            if record.direction is Direction.BEGIN:
                origins[record.session] = Recipe.decode(record.note).origin
            if record.session in origins:  # of others the beginning was removed
                yield record

    batch: list[MarketEvent] = []
    with staging:
        for event in replaying(records()):
            if Folder(table_of(event), date_of(event.recv_ns), event.venue) in folders:
                batch.append(event)
            if len(batch) >= _BATCH:
                staging.write(batch)
                batch.clear()
                progress("replaying raw frames", done, max(total, done))
        if batch:
            staging.write(batch)
    return origins


def _rebuild(
    catalog: Catalog, folder: Folder, damaged: Collection[str], made: pa.Table, sessions: pa.Array
) -> Rebuilt:
    """Replace the damaged files of ``folder``, whose rows of ``sessions`` are ``made`` of raw frames."""
    view = catalog.view()
    files = [file for file in view.files if (file.table, file.date, file.venue) == folder]
    old = [file for file in files if file.path in damaged]
    left = _joined(folder, (_readable(catalog.directory, file) for file in old))
    whole = _joined(folder, (_readable(catalog.directory, file) for file in files if file not in old))
    hot = (_rows(segment, folder) for segment in view.segments)
    there = _joined(folder, [left, whole, *hot])
    there = there.filter(pc.is_in(there["session"], sessions))
    known = np.union1d(ints(made["session"]), ints(there["session"]))
    ours, theirs = _keys(made, known), _keys(there, known)
    if not _same(folder.table, made.filter(pa.array(np.isin(ours, theirs))), there):
        problem = "the raw frames do not give the rows that can be read; nothing was replaced"
        raise StoreError("/".join(folder), problem)
    missing = made.filter(pa.array(~np.isin(ours, theirs)))
    lost = sum(file.rows for file in old) - left.num_rows - missing.num_rows
    if lost < 0:
        problem = f"the raw frames give {-lost} rows more than there were; nothing was replaced"
        raise StoreError("/".join(folder), problem)
    if old:
        _show(catalog, folder, old, _joined(folder, [left, missing]))
    return Rebuilt(folder, left.num_rows + whole.num_rows, missing.num_rows, lost)


def _show(catalog: Catalog, folder: Folder, old: Sequence[SealedFile], rows: pa.Table) -> None:
    """Make a file of ``rows`` and show it instead of ``old``; what it has fewer is told as removed."""
    new: list[SealedFile] = []
    if rows.num_rows:
        oldest = min(old, key=lambda file: file.first_n)
        segment = Path(oldest.path).name.partition("-")[0]
        generation = 1 + max(file.generation for file in old)
        while (catalog.directory / (path := folder.file(segment, generation, 0))).exists():
            generation += 1  # it was taken off the tape, and waits to be unlinked
        file = write(catalog.directory, path, folder, rows, level=LEVEL)
        last_n = max(file.last_n for file in old)
        new = [replace(file, generation=generation, first_n=oldest.first_n, last_n=last_n)]
    lost = rows.num_rows < sum(file.rows for file in old)
    catalog.replace(old, new, why=_LOST if lost else "")


def _joined(folder: Folder, parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables([columns.schema(folder.table).empty_table(), *parts])


def _readable(directory: Path, file: SealedFile) -> pa.Table:
    """All rows of ``file`` that are not damaged."""
    found = [columns.schema(file.table).empty_table()]
    with suppress(StoreError):
        reader = Reader(directory / file.path)
        for at in range(0, reader.rows, GROUP_ROWS):
            with suppress(StoreError):
                found.append(reader.read(first_row=at, rows=GROUP_ROWS))
    return pa.concat_tables(found)


def _rows(segment: Segment, folder: Folder) -> pa.Table:
    """What ``segment`` has of ``folder``."""
    table, (start_ns, end_ns) = folder.table, _day(folder.date)
    with reading(segment.path) as db:
        if not (known := column_names(db, table)):
            return columns.schema(table).empty_table()
        names = ", ".join(f'"{name}"' if name in known else "NULL" for name in columns.hot_names(table))
        query = f"SELECT {names} FROM {table} WHERE venue = ? AND recv >= ? AND recv < ? ORDER BY n"
        return columns.from_hot(table, db.execute(query, (folder.venue, start_ns, end_ns)).fetchall())


def _told_as(rows: pa.Table, origins: Mapping[int, str]) -> pa.Table:
    """``rows`` of a replay with the origins that they had; what two lines tell together has -session."""
    at, was = rows.schema.get_field_index("origin"), rows["origin"]
    sessions = rows["session"].to_pylist()
    live = pa.chunked_array([pa.array([origins[abs(session)] for session in sessions], pa.string())])
    return rows.set_column(at, rows.schema.field(at), pc.if_else(pc.equal(was, Origin.REPLAYED), live, was))


def _same(table: str, some: pa.Table, others: pa.Table) -> bool:
    """Whether rows are the same, in whatever order, and with the same exact texts."""
    names, order = columns.public_names(table, texts=True), [("session", "ascending"), ("seq", "ascending")]
    public = [columns.public(table, rows.sort_by(order), names) for rows in (some, others)]
    return bool(public[0].equals(public[1]))


def _keys(rows: pa.Table, sessions: Ints) -> Ints:
    """What identifies a row: the place of its session among ``sessions``, and its number in it."""
    places: Ints = np.searchsorted(sessions, ints(rows["session"]))
    return (places << _SEQ_BITS) + ints(rows["seq"])


def _day(date: str) -> tuple[int, int]:
    start_ns = ns_of(datetime.fromisoformat(date).replace(tzinfo=UTC))
    return start_ns, start_ns + DAY_NS
