"""What is in files of others becomes a part of the tape (floor 3).

Rule 1: a file is on the tape as a whole or not at all. It is written beside the tape, sealed, and one
        transaction of the catalogue shows it; what ends that earlier leaves nothing that is visible.
Rule 2: what a file brings ends with a Status of the venue ``import`` that names the file's digest, so that
        the same is never imported twice.
Rule 3: there is no recorder and no upkeep of the store meanwhile.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Protocol

import apsw
from msgspec import Struct

from .. import clock
from ..core.errors import ConfigError, StoreError
from ..core.events import Status
from ..core.instruments import Channel
from . import locks
from .catalog import Catalog, Part, SealedFile, Segment
from .journal import lock_directory
from .progress import Progress, quiet
from .scan import Wanted, visible
from .schema import Record
from .seal import seal
from .staging import Staging

VENUE = "import"  #: of what is told of imported files
_STATE = "imported"
_STAGING = "importing"
_BATCH = 5_000


class Source(Protocol):
    """Files to be imported together."""

    @property
    def paths(self) -> Sequence[Path]: ...

    @property
    def request(self) -> str:
        """As what they are read: the same bytes read otherwise are another import."""

    @property
    def position(self) -> int:
        """How many bytes of the first file are read."""

    def records(self, session: int) -> Iterator[Record]:
        """What they bring, of ``session``. Raises ConfigError, which names the file and the line."""


class Imported(Struct, frozen=True):
    """``records`` of the file ``name`` are on the tape; ``before``: they were already."""

    name: str
    records: int
    before: bool = False


@contextmanager
def importing(directory: Path) -> Iterator["Importer"]:
    """Import into the store in ``directory``. Raises StoreError when it is in use, or cannot be written."""
    with ExitStack() as held:
        held.enter_context(closing(lock_directory(directory)))
        held.enter_context(locks.upkeep(directory))
        yield Importer(directory)


class Importer:
    """See ``importing``."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._staging = directory, directory / _STAGING
        Catalog.writable(directory)
        self._known = dict(_imports(directory))

    def add(self, source: Source, progress: Progress = quiet) -> Imported:
        """Import ``source``, unless that was done before. Raises ConfigError and StoreError."""
        digest, name = _digest(source), source.paths[0].name
        if digest in self._known:
            return Imported(name, self._known[digest], before=True)
        catalog = _Collecting(self._directory)
        staging = Staging(self._staging, catalog.next_n(), clock.now_ns())
        try:
            self._clear()
            rows = _stage(source, staging, digest, progress)
            for segment in staging.segments:
                seal(catalog, segment, progress)
            catalog.show()
        except (OSError, apsw.Error) as error:
            raise StoreError(str(self._directory), f"cannot be written: {error}") from error
        finally:
            self._clear()
        self._known[digest] = rows
        return Imported(name, rows)

    def _clear(self) -> None:
        """Leave nothing of what was not shown."""
        staged = [path.stem for path in self._staging.glob("journal/*.sqlite")]
        shown = {file.path for file in Catalog(self._directory).view().files} if staged else set()
        for path in (path for name in staged for path in self._directory.glob(f"*/date=*/venue=*/{name}-*")):
            if path.relative_to(self._directory).as_posix() not in shown:
                path.unlink()
        shutil.rmtree(self._staging, ignore_errors=True)


def _stage(source: Source, staging: Staging, digest: str, progress: Progress) -> int:
    """Write what ``source`` brings, then that it was imported; returns how many records it brought."""
    path = source.paths[0]
    size = path.stat().st_size
    with staging:
        for batch in _batches(source.records(clock.now_ns())):
            staging.write(batch)
            progress(f"importing {path.name}", source.position, size)
        if not (rows := staging.rows):
            raise ConfigError("there is nothing in it that could be imported", where=str(path))
        staging.write([Status(VENUE, _STATE, f"{digest} {rows} {path.name}", recv_ns=clock.now_ns())])
    return rows


class _Collecting(Catalog):
    """Keeps back what is sealed, to show all of it at once."""

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._parts: list[Part] = []
        self._begun: dict[int, str] = {}

    def seal(
        self, segment: Segment, rows: int, files: Sequence[SealedFile], sessions: Mapping[int, str]
    ) -> None:
        self._parts.append((segment, rows, files))
        self._begun |= sessions

    def sessions(self) -> dict[int, str]:
        return super().sessions() | self._begun

    def show(self) -> None:
        """Make all that was sealed visible."""
        self.adopt(self._parts, self._begun)


def _imports(directory: Path) -> Iterator[tuple[str, int]]:
    """The digest of each import, and how many records it brought."""
    wanted = Wanted("status", Channel(VENUE, "", ""), names=("state", "detail"))
    with visible(directory) as tape:
        for rows in tape.scan(wanted):
            for state, detail in zip(*(rows[name].to_pylist() for name in ("state", "detail")), strict=True):
                if state == _STATE:
                    digest, records, _ = detail.split(" ", 2)
                    yield digest, int(records)


def _digest(source: Source) -> str:
    digest = sha256(source.request.encode())
    for path in source.paths:
        try:
            with path.open("rb") as file:
                digest.update(file_digest(file, "sha256").digest())
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return str(digest.hexdigest())


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(records, _BATCH)):
        yield batch
