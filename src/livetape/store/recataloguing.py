"""A catalogue that is lost or damaged is made again from the files (floor 3).

Rule 1: every row is visible once. Where a segment and its files, or files and the one that was made of them,
        are both there, those are shown that are whole. The others are left where they are, and named.
Rule 2: the numbers of records are made up where only the old catalogue knew them; those of raw records are
        in their files.
Rule 3: the old catalogue stays until the new one is on the disk, and then beside it.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..core.errors import StoreError
from ..core.times import SECOND
from . import locks
from .catalog import NAME, NO_TAPE, Catalog, Part, Removed, SealedFile, Segment, count
from .files import Folder, sync_folder
from .journal import lock_directory
from .parquet import Reader, Run
from .plan import DAY_NS
from .progress import Progress, quiet
from .scan import ORDER, ints, market_times
from .schema import COLUMNS
from .segment import last_recv, reading, tables

#: What others may have put there is left alone.
_FILES, _SEGMENTS = "*/date=*/venue=*/[0-9]*-[0-9]*-[0-9]*.parquet", "journal/[0-9]*.sqlite"
_STAGING = "rebuilding"
_OLD = "catalog.sqlite.old"
_CHUNK = 1 << 18
_WHY = "not in any file when the catalogue was made again"


class Recatalogued(Struct, frozen=True):
    """How much the new catalogue shows, and the paths of what it leaves out."""

    segments: int
    files: int
    rows: int
    left_out: tuple[str, ...]


class _Found(Struct):
    """A sealed file as it lies there; ``segment`` is the name of the first one that it was made of.

    ``first`` is the key of its first row, None where that is damaged.
    """

    file: SealedFile
    folder: Folder
    segment: str
    runs: list[Run]
    first: tuple[str | int, list[int]] | None


def recatalog(directory: Path, progress: Progress = quiet) -> Recatalogued:
    """Make the catalogue of the store in ``directory`` again. Raises StoreError, also while it is in use."""
    if not any(directory.glob(_FILES)) and not any(directory.glob(_SEGMENTS)):
        raise StoreError(str(directory), NO_TAPE)
    with ExitStack() as held:
        held.enter_context(closing(lock_directory(directory)))
        held.enter_context(locks.upkeep(directory))
        found = list(_found(directory, progress))
        hot = [path for path in sorted(directory.glob(_SEGMENTS)) if not _is_sealed(path, found)]
        names = {path.stem for path in hot}
        shown = [
            each for each in _visible(directory, found) if each.file.generation or each.segment not in names
        ]
        try:
            _replace_catalog(directory, shown, hot)
        except OSError as error:
            raise StoreError(str(directory / NAME), f"cannot be written: {error.strerror}") from error
    seen = {*(directory / each.file.path for each in shown), *hot}
    others = {*directory.glob(_FILES), *directory.glob(_SEGMENTS)} - seen
    left_out = sorted(path.relative_to(directory).as_posix() for path in others)
    return Recatalogued(len(hot), len(shown), sum(each.file.rows for each in shown), tuple(left_out))


def _replace_catalog(directory: Path, shown: Sequence[_Found], hot: Sequence[Path]) -> None:
    staging = directory / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    catalog = Catalog.writable(staging)
    recordings = _recordings(shown, hot)
    parts, next_n, holes = _numbered(shown, recordings)
    raw = [each for each in shown if each.file.table == "raw"]
    sessions = {int(run.key): each.file.venue for each in raw for run in each.runs}
    catalog.adopt(parts, sessions, [Removed("", "", "", holes, 0, 0, _WHY)] if holes else [])
    for path in hot:
        first_n = max(next_n, _first_n(path))
        catalog.add_segment(Segment(path, first_n, recordings[path.stem], int(path.stem)))
        next_n = first_n + count(path)
    if (directory / NAME).exists():
        (directory / _OLD).unlink(missing_ok=True)
        os.link(directory / NAME, directory / _OLD)
    (directory / f"{NAME}-journal").unlink(missing_ok=True)
    os.replace(staging / NAME, directory / NAME)
    sync_folder(directory)
    shutil.rmtree(staging)


# What lies there


def _found(directory: Path, progress: Progress) -> Iterator[_Found]:
    """The sealed files that can be read at all."""
    paths = sorted(directory.glob(_FILES))
    for done, path in enumerate(paths, 1):
        progress("reading sealed files", done, len(paths))
        table, date, venue, name = path.relative_to(directory).parts
        folder = Folder(table, date.removeprefix("date="), unquote(venue.removeprefix("venue=")))
        segment, generation, _ = name.removesuffix(".parquet").split("-")
        with suppress(StoreError):
            reader = Reader(path)
            recv = min(run.first_recv for run in reader.runs), max(run.last_recv for run in reader.runs)
            file = SealedFile(
                *(path.relative_to(directory).as_posix(), *folder, reader.rows, path.stat().st_size, *recv),
                *(*_times(reader, recv), int(generation), *_numbers(reader)),
            )
            yield _Found(file, folder, segment, reader.runs, _first(reader))


def _times(reader: Reader, recv: tuple[int, int]) -> tuple[int, int]:
    """The bounds of the time in the market; those of receiving where that is damaged."""
    if reader.table == "raw":
        return recv
    bounds: list[int] = []
    with suppress(StoreError):
        for at in range(0, reader.rows, _CHUNK):
            times = market_times(reader.read(["ts", "recv"], first_row=at, rows=_CHUNK))
            bounds += int(times.min()), int(times.max())
        return min(bounds), max(bounds)
    return recv


def _numbers(reader: Reader) -> tuple[int, int]:
    if reader.table == "raw":
        with suppress(StoreError):
            numbers = ints(reader.read(["n"])["n"])
            return int(numbers.min()), int(numbers.max())
    return 0, 0


def _first(reader: Reader) -> tuple[str | int, list[int]] | None:
    key, *order = _key(reader.table)
    with suppress(StoreError):
        row = reader.read([key, *order], rows=1)
        return row[key][0].as_py(), [int(ints(row[name])[0]) for name in order]
    return None


def _key(table: str) -> list[str]:
    return ["session", "n"] if table == "raw" else ["symbol", *ORDER]


# What of it is shown


def _visible(directory: Path, found: Sequence[_Found]) -> Iterator[_Found]:
    """Of files, and those that were made of them, one or the other."""
    folders: dict[Folder, list[_Found]] = defaultdict(list)
    for each in found:
        folders[each.folder].append(each)
    for left in folders.values():
        while left:
            generation, segment = max((each.file.generation, each.segment) for each in left)
            made = [each for each in left if (each.file.generation, each.segment) == (generation, segment)]
            others = [each for each in left if each not in made]
            older = [
                each for each in others if generation and any(_has(directory, one, each) for one in made)
            ]
            # Older ones are unlinked, one by one, only after all that was made of them is shown.
            if _rows(older) > _rows(made):
                left[:] = others
            else:
                yield from made
                left[:] = [each for each in others if each not in older]


def _has(directory: Path, made: _Found, older: _Found) -> bool:
    """Whether the first row of ``older`` is in ``made``."""
    if older.first is None:
        return False
    key, place = older.first
    for run in made.runs:
        if run.key == key:
            with suppress(StoreError):
                rows = Reader(directory / made.file.path).read(_key(made.file.table)[1:], run=run)
                hits = [ints(column) == value for column, value in zip(rows.columns, place, strict=True)]
                return bool(np.logical_and.reduce(hits).any())
    return False


def _is_sealed(path: Path, found: Sequence[_Found]) -> bool:
    """Whether the rows of a segment are in files: all of them, or some in a file of a finished day."""
    mine = [each for each in found if each.segment == path.stem and not each.file.generation]
    try:
        rows = count(path)
        return rows > 0 and (_rows(mine) == rows or any(_shares(path, each) for each in found))
    except StoreError:
        return bool(mine)


def _shares(path: Path, made: _Found) -> bool:
    """Whether a segment has rows of the folder of a file that was made of others."""
    if not made.file.generation or made.file.table == "raw":
        return False
    start_ns = DAY_NS * (made.file.first_recv // DAY_NS)
    with reading(path) as db:
        if made.file.table not in tables(db):
            return False
        query = f"SELECT 1 FROM {made.file.table} WHERE venue = ? AND recv >= ? AND recv < ? LIMIT 1"
        return db.execute(query, (made.file.venue, start_ns, start_ns + DAY_NS)).fetchone() is not None


# Numbers


def _recordings(shown: Iterable[_Found], hot: Iterable[Path]) -> dict[str, int]:
    """The recording of each segment: one that began before the last one ended goes on from it."""
    ends: dict[str, int] = {path.stem: last_recv(path) or 0 for path in hot}
    for each in shown:
        ends[each.segment] = max(each.file.last_recv, ends.get(each.segment, 0))
    found: dict[str, int] = {}
    recording = until = 0
    for name in sorted(ends, key=int):
        if int(name) > until:
            recording = int(name)
        found[name], until = recording, ends[name] + SECOND
    return found


def _numbered(shown: Iterable[_Found], recordings: Mapping[str, int]) -> tuple[list[Part], int, int]:
    """The segments that the files were made of, the next record's number, and how many are in no file."""
    by_segment: dict[str, list[_Found]] = defaultdict(list)
    for each in shown:
        by_segment[each.segment].append(each)
    parts: list[Part] = []
    next_n, holes = 1, 0
    for name in sorted(by_segment, key=int):
        mine, first_n = by_segment[name], next_n
        next_n = max([first_n + _rows(mine), *(each.file.last_n + 1 for each in mine)])
        holes += next_n - first_n - _rows(mine)
        files = [
            each.file if each.file.table == "raw" else replace(each.file, first_n=first_n, last_n=next_n - 1)
            for each in mine
        ]
        parts.append((Segment(Path(name), first_n, recordings[name], int(name)), next_n - first_n, files))
    return parts, next_n, holes


def _first_n(path: Path) -> int:
    """The number of a segment's first record, as it counts itself; 0 where it has none."""
    with reading(path) as db:
        known = [table for table in COLUMNS if table in tables(db)]
        union = " UNION ALL ".join(f"SELECT min(n) AS n FROM {table}" for table in known)
        [[first]] = db.execute(f"SELECT min(n) FROM ({union})")
        return int(str(first or 0))


def _rows(found: Iterable[_Found]) -> int:
    return sum(each.file.rows for each in found)
