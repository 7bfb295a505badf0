"""Copies of a store, made while it is written (floor 3).

Rule 1: a backup is itself a store. Its catalogue is copied first, and shown last: until then the backup is
        what it was before. Nothing is unlinked meanwhile that the copied catalogue names.
Rule 2: sealed files never change, so those that are there already are not copied again; segments are copied
        by SQLite's own backup, to the last record that is committed.
Rule 3: a copy counts only once it was read.
"""

import os
import shutil
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import apsw

from ..core.errors import StoreError
from . import locks
from .catalog import NAME, NO_TAPE, Catalog, View
from .files import publish, sync_folder
from .journal import is_recording
from .progress import Progress, quiet
from .segment import reading

_ARRIVING = ".arriving"  #: where the catalogue waits until all it names is there
_ROWS = 1 << 16  #: read at once


def backup(
    directory: str | Path, target: str | Path, *, link: bool = False, progress: Progress = quiet
) -> View:
    """Make ``target`` a copy of the store in ``directory``, or bring that up to date; returns what it has.

    With ``link`` sealed files are shared instead of copied, where that is possible. Raises StoreError when
    something cannot be read or written, or is damaged, and when ``target`` is no backup of that store.
    """
    source, copy = Path(directory), Path(target)
    if not (source / NAME).exists() and not Catalog(source).view().segments:
        raise StoreError(str(source), NO_TAPE)
    try:
        with locks.readers(source):
            _begin(source, copy)
            view = _snapshot(source, copy / _ARRIVING)
            _check_owner(copy, view)
            _copy(source, copy, view, link=link, progress=progress)
    except OSError as error:
        raise StoreError(str(copy), f"cannot be written: {error.strerror or error}") from error
    verify(copy, view, progress)
    _finish(copy, view)
    return Catalog(copy).view()


def restore(directory: str | Path, target: str | Path, *, progress: Progress = quiet) -> View:
    """Make the new store ``target`` of the backup in ``directory``. Raises StoreError."""
    copy = Path(target)
    if copy.exists() and (not copy.is_dir() or any(copy.iterdir())):
        raise StoreError(str(copy), "is there already; restore into a new directory")
    if not (Path(directory) / NAME).exists():
        raise StoreError(str(directory), "is no whole backup")
    unfinished = copy.with_name(copy.name + ".partial")
    view = backup(directory, unfinished, progress=progress)
    unfinished.replace(copy)
    sync_folder(copy.absolute().parent)
    return view


def verify(directory: Path, view: View, progress: Progress = quiet) -> None:
    """Read all that ``view`` names below ``directory``. Raises StoreError for what is damaged or missing."""
    from .parquet import Reader

    total, done = sum(file.rows for file in view.files), 0
    for file in view.files:
        reader = Reader(directory / file.path)
        for first_row in range(0, reader.rows, _ROWS):
            done += reader.read(first_row=first_row, rows=_ROWS).num_rows
            progress("verifying", done, total)
        if reader.rows != file.rows:
            raise StoreError(str(reader.path), f"has {reader.rows} rows instead of {file.rows}")
    for segment in view.segments:
        with reading(_segment(directory, segment.name)) as db:
            for (problem,) in db.execute("PRAGMA integrity_check(1)"):
                if problem != "ok":
                    raise StoreError(str(segment.path), str(problem))


def _begin(source: Path, copy: Path) -> None:
    """Raises StoreError when ``copy`` is no place for a backup."""
    if copy.resolve() == source.resolve():
        raise StoreError(str(copy), "is the store itself")
    if is_recording(copy):
        raise StoreError(str(copy), "is being recorded into")
    ours = (copy / NAME).exists() or (copy / _ARRIVING).exists()
    if not ours and copy.exists() and (not copy.is_dir() or any(copy.iterdir())):
        raise StoreError(str(copy), "is neither empty nor a backup")
    for folder in (copy / _ARRIVING, copy / "journal"):
        folder.mkdir(parents=True, exist_ok=True)


def _snapshot(source: Path, arriving: Path) -> View:
    """Copy the catalogue; of an older store without one, make it."""
    (arriving / NAME).unlink(missing_ok=True)
    if (source / NAME).exists():
        _copy_database(source / NAME, arriving / NAME)
    else:
        catalog = Catalog.writable(arriving)
        for segment in Catalog(source).view().segments:
            catalog.add_segment(segment)
    return Catalog(arriving).view()


def _check_owner(copy: Path, view: View) -> None:
    if (copy / NAME).exists():
        earlier = Catalog(copy).view()
        if not _names(earlier) <= _names(view):
            raise StoreError(str(copy), "is a backup of another store, or of a later time")


def _copy(source: Path, copy: Path, view: View, *, link: bool, progress: Progress) -> None:
    total, done = sum(file.bytes for file in view.files), 0
    for file in view.files:
        there = copy / file.path
        if not there.exists() or there.stat().st_size != file.bytes:
            publish(copy, file.path, partial(_take, source / file.path, link=link))
        done += file.bytes
        progress("copying", done, total)
    for segment in view.segments:
        _copy_database(_segment(source, segment.name), _segment(copy, segment.name))
    sync_folder(copy / "journal")


def _take(original: Path, unborn: Path, *, link: bool) -> None:
    unborn.unlink(missing_ok=True)
    if link:
        with suppress(OSError):  # another disk, or one without links
            os.link(original, unborn)
            return
    with original.open("rb") as content, unborn.open("xb") as written:
        shutil.copyfileobj(content, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _copy_database(source: Path, target: Path) -> None:
    """As it is now, into one file; what was in ``target`` is there until all of it is."""
    with reading(source) as db, closing(apsw.Connection(str(target))) as copy:
        with copy.backup("main", db, "main") as work:
            work.step()
        copy.execute("PRAGMA journal_mode=DELETE")


def _finish(copy: Path, view: View) -> None:
    """Show what was copied, and unlink what an earlier backup had besides."""
    arriving = copy / _ARRIVING
    _copy_database(arriving / NAME, copy / NAME)
    sync_folder(copy)
    catalog = Catalog.writable(copy)
    catalog.forget(catalog.garbage())
    named = {copy / file.path for file in view.files} | {_segment(copy, each.name) for each in view.segments}
    for pattern in ("*/date=*/venue=*/*", "journal/*.sqlite"):
        for path in [*copy.glob(pattern)]:
            if path not in named:
                path.unlink()
    (arriving / NAME).unlink()
    arriving.rmdir()


def _segment(directory: Path, name: str) -> Path:
    return directory / "journal" / f"{name}.sqlite"


def _names(view: View) -> set[str]:
    return {*(each.name for each in view.segments), *(each.name for each in view.sealed)}
