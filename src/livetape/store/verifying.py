"""Whether the tape on disk is what was written (floor 3)."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..core.errors import StoreError
from . import locks
from .catalog import NAME, NO_TAPE, Catalog, Removed, SealedFile, Segment, View, count
from .journal import is_recording
from .parquet import Reader
from .plan import DAY_NS, date_of
from .progress import Progress, quiet
from .scan import ORDER, Ints, Tape, ints, market_times, visible
from .schema import COLUMNS
from .segment import reading, tables

CHUNK = 1 << 18  #: rows that are looked at together
_AGAIN = "livetape rebuild STORE --from-raw makes it again, where the raw frames are kept"
_CATALOG = "livetape rebuild STORE --catalog makes it again from the files"
_BACKUP = "only a backup has it"


class Finding(Struct, frozen=True):
    """What is wrong with ``path``, relative to the store; without ``damaged`` nothing is lost by it."""

    path: str
    problem: str
    remedy: str = ""
    damaged: bool = True


def verify(directory: Path, progress: Progress = quiet) -> Iterator[Finding]:
    """Read all that is on the tape; nothing is found where all is well. Raises StoreError without a store."""
    for finding in _findings(directory, progress):
        yield replace(finding, remedy=finding.remedy.replace("STORE", str(directory)))


def damage(directory: Path, file: SealedFile) -> Iterator[str]:
    """What is wrong with a sealed file."""
    path = directory / file.path
    try:
        if (size := path.stat().st_size) != file.bytes:
            yield f"has {size} bytes instead of {file.bytes}"
        reader = Reader(path)
        found = list(reader.problems())
        yield from found or _contents(reader, file)
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
    except StoreError as error:
        yield error.problem


def _findings(directory: Path, progress: Progress) -> Iterator[Finding]:
    try:
        with visible(directory) as tape:
            if not (tape.view.segments or tape.view.sealed):
                raise StoreError(str(directory), NO_TAPE)
            yield from _visible(tape, progress)
    except StoreError as error:
        if Path(error.path) != directory / NAME:
            raise
        yield Finding(NAME, error.problem, _CATALOG)


def _visible(tape: Tape, progress: Progress) -> Iterator[Finding]:
    view = tape.view
    total, done = sum(file.bytes for file in view.files), 0
    yield from _catalog(tape)
    for file in view.files:
        progress(f"verifying {file.table} of {file.venue}, {file.date}", done, total)
        remedy = _BACKUP if file.table == "raw" else _AGAIN
        for problem in damage(tape.directory, file):
            yield Finding(file.path, problem, remedy)
        done += file.bytes
    for segment in view.segments:
        progress(f"verifying {segment.path.name}", done, total)
        for problem in _segment(segment):
            yield Finding(segment.path.relative_to(tape.directory).as_posix(), problem, _BACKUP)
    progress("verified", total, total)


# Sealed files


def _contents(reader: Reader, file: SealedFile) -> Iterator[str]:
    """What of a whole file is not as the catalogue and the file itself say."""
    if (reader.table, reader.rows) != (file.table, file.rows):
        yield f"has {reader.rows} rows of {reader.table} instead of {file.rows} of {file.table}"
        return
    keys = [run.key for run in reader.runs]
    ends = [run.first_row + run.rows for run in reader.runs]
    if [0, *ends] != [*(run.first_row for run in reader.runs), reader.rows] or keys != sorted(set(keys)):
        yield "its runs are not those of its rows"
        return
    bounds: list[tuple[int, ...]] = []
    for at in range(0, reader.rows, CHUNK):
        yield from _chunk(reader, file, max(at - 1, 0), min(at + CHUNK, reader.rows), bounds)
    seen = tuple(
        limit(values) for values, limit in zip(zip(*bounds, strict=True), (min, max) * 2, strict=True)
    )
    if seen != (file.first_recv, file.last_recv, file.first_ns, file.last_ns):
        yield "its times are not those in the catalogue"


def _chunk(
    reader: Reader, file: SealedFile, start: int, end: int, bounds: list[tuple[int, ...]]
) -> Iterator[str]:
    raw = reader.table == "raw"
    key, order = ("session", ("n",)) if raw else ("symbol", ORDER)
    names = dict.fromkeys((key, "recv", *order, *(() if raw else ("ts", "venue"))))
    rows = reader.read([*names], first_row=start, rows=end - start)
    recv = ints(rows["recv"])
    times = recv if raw else market_times(rows)
    bounds.append((int(recv.min()), int(recv.max()), int(times.min()), int(times.max())))
    where = f"rows {start} to {end - 1}"
    if {date_of(int(day) * DAY_NS) for day in np.unique(recv // DAY_NS)} != {file.date}:
        yield f"{where} are not all of {file.date}"
    if not raw and rows["venue"].unique().to_pylist() != [file.venue]:
        yield f"{where} are not all of {file.venue}"
    begins = [run.first_row - start for run in reader.runs]
    for run in reader.runs:
        first, last = max(run.first_row, start) - start, min(run.first_row + run.rows, end) - start
        if first < last and rows[key].slice(first, last - first).unique().to_pylist() != [run.key]:
            yield f"{where} are not all of the {key} that the footer says"
            return
    falls = np.flatnonzero(_falls([ints(rows[name]) for name in order])) + 1
    if not {*falls.tolist()} <= {*begins}:
        yield f"{where} are not in order"


def _falls(keys: list[Ints]) -> "np.typing.NDArray[np.bool_]":
    """Where a row is less than the one before it."""
    falls = np.zeros(len(keys[0]) - 1, np.bool_)
    for key in reversed(keys):
        falls = (key[1:] < key[:-1]) | ((key[1:] == key[:-1]) & falls)
    return falls


# Segments


def _segment(segment: Segment) -> Iterator[str]:
    try:
        with reading(segment.path) as db:
            problems = [str(problem) for (problem,) in db.execute("PRAGMA integrity_check(5)")]
            yield from (problem for problem in problems if problem != "ok")
            union = " UNION ALL ".join(f"SELECT n FROM {table}" for table in COLUMNS if table in tables(db))
            expected: int | None = None
            for (found,) in db.execute(f"{union} ORDER BY n"):
                n = int(str(found))
                if expected is not None and n != expected:
                    yield f"after record {expected - 1} comes {n}"
                expected = n + 1
    except StoreError as error:
        yield error.problem


# The catalogue


def _catalog(tape: Tape) -> Iterator[Finding]:
    view = tape.view
    parts = [(part.first_n, part.rows, part.name) for part in view.sealed]
    for segment in view.segments:
        try:
            parts.append((segment.first_n, count(segment.path), segment.name))
        except StoreError as error:
            yield Finding(f"journal/{segment.name}.sqlite", error.problem, _BACKUP)
    for (first_n, rows, name), (next_n, _, following) in pairwise(sorted(parts)):
        if first_n + rows != next_n:
            problem = (
                f"{name} has the records {first_n} to {first_n + rows - 1}, {following} those from {next_n}"
            )
            yield Finding(NAME, problem, _CATALOG)
    catalog = Catalog(tape.directory)
    view, removed = _balance(catalog)
    kept = sum(file.rows for file in view.files) + sum(each.rows for each in removed)
    if kept != (sealed := sum(part.rows for part in view.sealed)):
        problem = f"{sealed} records were sealed, and {kept} are in files or were removed"
        yield Finding(NAME, problem, _BACKUP)
    for name in _strangers(catalog):
        yield Finding(name, "is no part of the tape", "it may be removed", damaged=False)


def _balance(catalog: Catalog) -> tuple[View, list[Removed]]:
    """What is visible, and what had been removed just then."""
    removed = catalog.removed()
    while True:
        view, before = catalog.view(), removed
        if (removed := catalog.removed()) == before:
            return view, removed


def _strangers(catalog: Catalog) -> list[str]:
    """Files that are not known: what a crash has left, which is no part of the tape.

    While somebody seals or compacts none can be told from those that are about to be shown; nor can
    segments while somebody records.
    """
    directory = catalog.directory
    with ExitStack() as held:
        try:
            held.enter_context(locks.upkeep(directory))
        except StoreError:
            return []
        sealed, hot = (
            sorted(path.relative_to(directory).as_posix() for path in directory.glob(pattern))
            for pattern in ("*/date=*/venue=*/*", "journal/*.sqlite")
        )
        found = sealed if is_recording(directory) else [*sealed, *hot]
        view = catalog.view()  # after the look at the recorder, which may have ended just before it
        known = {file.path for file in view.files} | {*catalog.garbage()}
        known |= {segment.path.relative_to(directory).as_posix() for segment in view.segments}
        return [name for name in found if name not in known and (directory / name).exists()]
