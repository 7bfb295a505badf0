"""Keeps a store small and fast to read, also while it is recorded (floor 3).

Rule: whatever ends it, every row stays visible exactly once, and the next run goes on where this one ended.
"""

import logging
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from .. import clock
from ..core.errors import StoreError
from . import locks
from .catalog import Catalog, Segment
from .files import collect, garbage_bytes, sweep
from .journal import is_recording
from .plan import Disk, Rules, closed, finished, removals
from .progress import Progress, quiet
from .schema import COLUMNS
from .segment import reading, tables
from .writing import BUSY_MS

T = TypeVar("T")
_log = logging.getLogger("livetape.store")


def keep_up(directory: str | Path, rules: Rules, progress: Progress = quiet) -> None:
    """Remove what the rules want removed, seal what is closed, and make one file of each finished day.

    Raises StoreError when another process is at it, or when something failed; the rest is done then.
    """
    directory = Path(directory)
    with locks.upkeep(directory):
        catalog = Catalog.writable(directory)
        sweep(catalog)
        failures: list[StoreError] = []
        for step in (_remove, _close_up, _compact):
            failures += step(catalog, rules, progress)
            collect(catalog)
    if failures:
        raise failures[0]


def is_due(directory: str | Path, rules: Rules) -> bool:
    """Whether ``keep_up`` has something to do."""
    catalog, recording, now_ns = Catalog(directory), is_recording(Path(directory)), clock.now_ns()
    view = catalog.view()
    if any(rules.format == "parquet" or not _is_indexed(each) for each in closed(view, recording)[-1:]):
        return True
    if rules.compact and any(finished(view, now_ns)):
        return True
    return bool(removals(view, rules, _disk(catalog), now_ns))


def _remove(catalog: Catalog, rules: Rules, progress: Progress) -> list[StoreError]:
    for files, why in removals(catalog.view(), rules, _disk(catalog), clock.now_ns()):
        catalog.replace(files, [], why=why)
        for file in files:
            _log.warning("%s (%d rows): %s", file.path, file.rows, why)
    return []


def _close_up(catalog: Catalog, rules: Rules, progress: Progress) -> list[StoreError]:
    """Seal the closed segments, or index them; oldest first, as a session's venue is told where it begins."""
    from .seal import seal

    work = partial(seal, catalog, progress=progress) if rules.format == "parquet" else _index
    return _each(work, closed(catalog.view(), is_recording(catalog.directory)))


def _compact(catalog: Catalog, rules: Rules, progress: Progress) -> list[StoreError]:
    from .compact import compact

    folders = finished(catalog.view(), clock.now_ns()) if rules.compact else ()
    return _each(partial(compact, catalog, progress=progress), folders)


def _each(work: Callable[[T], None], items: Iterable[T]) -> list[StoreError]:
    """Do all the work that can be done; returns what went wrong."""
    failures = []
    for item in items:
        try:
            work(item)
        except StoreError as error:
            failures.append(error)
    return failures


def _disk(catalog: Catalog) -> Disk | None:
    """The disk as it is once the garbage is unlinked; of interest only to a recorder."""
    if not is_recording(catalog.directory):
        return None
    usage, coming = shutil.disk_usage(catalog.directory), garbage_bytes(catalog)
    return Disk(usage.used - coming, usage.free + coming)


def _is_indexed(segment: Segment) -> bool:
    with reading(segment.path) as db:
        [[found]] = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = 'by_gaps'")
    return bool(found)


def _index(segment: Segment) -> None:
    """Let a segment that stays find a channel's rows; readers may read meanwhile."""
    if _is_indexed(segment):
        return
    try:
        with closing(apsw.Connection(str(segment.path))) as db:
            db.set_busy_timeout(BUSY_MS)
            db.execute("PRAGMA journal_mode=WAL")
            with db:
                for table in (COLUMNS.keys() & tables(db)) - {"raw"}:
                    db.execute(f"CREATE INDEX by_{table} ON {table} (venue, symbol, recv)")
            with suppress(apsw.Error):  # a reader leaves it in two parts, which is as good
                db.execute("PRAGMA journal_mode=DELETE")
    except apsw.Error as error:
        raise StoreError(str(segment.path), str(error)) from error
