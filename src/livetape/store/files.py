"""Sealed files as a disk has them: how they come, and how they go (floor 3).

Rule 1: a file has its name only once it is whole and synced, and its folder is synced before the catalogue
        names it.
Rule 2: a file is unlinked only after the catalogue stopped naming it, when nobody reads.
Rule 3: a name says of what a file was made: ``<segment>-<generation>-<part>.parquet``, the first segment in
        it, how often it was made anew, and its place among the files made with it. So it can be told what a
        crash left behind; what lies there for another reason is left alone.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ..core.errors import StoreError
from .catalog import Catalog, Segment
from .locks import without_readers

_UNBORN = ".tmp"
_VENUE = "venue="  #: what the name of a folder of sealed files begins with
_log = logging.getLogger("livetape.store")


class Folder(NamedTuple):
    """Where the rows of one table lie that a venue gave on one UTC day."""

    table: str
    date: str
    venue: str

    def file(self, segment: str, generation: int, part: int) -> str:
        """The path of a file in it, relative to the store."""
        venue = quote(self.venue, safe="")
        return f"{self.table}/date={self.date}/{_VENUE}{venue}/{segment}-{generation}-{part}.parquet"


def publish(directory: Path, path: str, write: Callable[[Path], object]) -> None:
    """Make the file ``path`` of a store by ``write``, which syncs what it writes. Raises StoreError."""
    whole = directory / path
    unborn = whole.with_name(whole.name + _UNBORN)
    try:
        make_folder(whole.parent)
        write(unborn)
        unborn.rename(whole)
        sync_folder(whole.parent)
    except OSError as error:
        raise StoreError(str(whole), f"cannot be written: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, so that a power cut cannot take them away again. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(catalog: Catalog) -> None:
    """Unlink what a crash left of files that never became visible."""
    left = list(_left_over(catalog))
    for path in left:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in left}:
        sync_folder(folder)


def collect(catalog: Catalog) -> None:
    """Unlink what is no longer visible, if nobody reads; else a later time does it."""
    paths = catalog.garbage()
    with without_readers(catalog.directory) as alone:
        if not alone:
            if kept := garbage_bytes(catalog):
                _log.warning("%s: %d bytes are freed only once nobody reads", catalog.directory, kept)
            return
        if not paths:
            return
        folders = {unlink(catalog.directory / path) for path in paths}
        for folder in folders:
            with suppress(FileNotFoundError):
                sync_folder(folder)
        catalog.forget(paths)
    for folder in folders:
        if folder.name.startswith(_VENUE):
            with suppress(OSError):  # not empty
                for each in (folder, folder.parent, folder.parent.parent):
                    each.rmdir()


def garbage_bytes(catalog: Catalog) -> int:
    """What ``collect`` will give back to the disk."""
    sizes = 0
    for path in catalog.garbage():
        with suppress(FileNotFoundError):
            sizes += (catalog.directory / path).stat().st_size
    return sizes


def unlink(path: Path) -> Path:
    """Unlink a file, a segment's log before itself; returns the folder."""
    if path.suffix != ".parquet":
        for ending in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return path.parent


def _left_over(catalog: Catalog) -> Iterator[Path]:
    view, garbage = catalog.view(), {*catalog.garbage()}
    files = {Path(file.path) for file in view.files}
    for found in catalog.directory.glob("*/date=*/venue=*/*"):
        path = found.relative_to(catalog.directory)
        named = path in files or path.as_posix() in garbage
        if path.suffix == _UNBORN or (not named and _was_unfinished(path, view.segments, files)):
            yield found


def _was_unfinished(path: Path, segments: Iterable[Segment], files: Iterable[Path]) -> bool:
    """Whether the file was being made of what is still visible."""
    first, _, rest = path.stem.partition("-")
    if rest.startswith("0-"):
        return any(segment.name == first for segment in segments)
    return any(file.parent == path.parent and file.stem.partition("-")[0] == first for file in files)
