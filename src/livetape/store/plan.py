"""What is to be done for a store, as pure functions of what is visible (floor 3).

A file is removed whole, the oldest first. By default nothing is removed before the disk is nearly full, and
then raw frames first, books next, and never anything else.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct, field

from ..core.times import SECOND
from .catalog import SealedFile, Segment, View

DAY_NS = 86_400 * SECOND


class Keep(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the rows of a table are kept, and how many bytes of them; None is no limit."""

    days: Annotated[float, Meta(gt=0)] | None = None
    bytes: Annotated[int, Meta(ge=0)] | None = None


class Rules(Struct, frozen=True):
    """How a store is kept.

    ``keep`` is by table. Above the share ``raw_below`` of the disk the oldest raw frames are removed, above
    ``books_below`` the oldest books.
    """

    format: Literal["parquet", "sqlite"] = "parquet"
    compact: bool = True
    keep: Mapping[str, Keep] = field(default_factory=dict)
    raw_below: float = 0.90
    books_below: float = 0.95


class Disk(NamedTuple):
    """The bytes of the disk that are used, and that are free for us."""

    used: int
    free: int

    @property
    def share(self) -> float:
        return self.used / max(self.used + self.free, 1)


class Removal(NamedTuple):
    """Files to be taken off the tape."""

    files: list[SealedFile]
    why: str


def closed(view: View, recording: bool) -> tuple[Segment, ...]:
    """The segments that nobody writes any more."""
    if not recording:
        return view.segments
    # An empty one, which a recorder left, begins with the same number as the next one.
    return tuple(each for each in view.segments if each.first_n < view.segments[-1].first_n)


def finished(view: View, now_ns: int) -> Iterator[list[SealedFile]]:
    """The files of each table, venue and day to which nothing will be added, where they can be made one."""
    until = date_of(min([now_ns, *(segment.opened_ns for segment in view.segments)]))
    folders: dict[tuple[str, str, str], list[SealedFile]] = defaultdict(list)
    for file in view.files:
        if file.date < until:
            folders[file.table, file.date, file.venue].append(file)
    return (files for files in folders.values() if any(file.generation == 0 for file in files))


def removals(view: View, rules: Rules, disk: Disk | None, now_ns: int) -> list[Removal]:
    """What the rules want removed, no file twice. Without ``disk``, it may be as full as it likes."""
    files = sorted(view.files, key=lambda file: file.last_recv)
    expired = [
        removal for table, keep in rules.keep.items() for removal in _expired(files, table, keep, now_ns)
    ]
    crowded: list[Removal] = []
    if disk is not None:
        gone = {file.path: file.bytes for removal in expired for file in removal.files}
        freed = sum(gone.values())
        left = [file for file in files if file.path not in gone]
        crowded = _crowded(left, rules, Disk(disk.used - freed, disk.free + freed))
    return [removal for removal in (*expired, *crowded) if removal.files]


def date_of(ns: int) -> str:
    """The UTC day of a time, such as ``2026-11-21``."""
    return datetime.fromtimestamp(ns // SECOND, UTC).date().isoformat()


def _expired(files: Sequence[SealedFile], table: str, keep: Keep, now_ns: int) -> Iterator[Removal]:
    mine = [file for file in files if file.table == table]
    if keep.days is not None:
        before_ns = now_ns - int(keep.days * DAY_NS)
        old = [file for file in mine if file.last_recv < before_ns]
        yield Removal(old, f"removed by retention: older than {keep.days:g} days")
        mine = mine[len(old) :]
    if keep.bytes is not None:
        fitting = sum(size <= keep.bytes for size in accumulate(file.bytes for file in reversed(mine)))
        surplus = mine[: len(mine) - fitting]
        yield Removal(surplus, f"removed by retention: more than {keep.bytes} bytes of {table}")


def _crowded(files: Sequence[SealedFile], rules: Rules, disk: Disk) -> list[Removal]:
    why = f"removed by the disk guard: {100 * disk.share:.1f} % of the disk were used"
    found, used = [], disk.used
    for table, below in (("raw", rules.raw_below), ("books", rules.books_below)):
        most = int(below * (disk.used + disk.free))
        chosen: list[SealedFile] = []
        for file in files:
            if file.table == table and used > most:
                chosen.append(file)
                used -= file.bytes
        found.append(Removal(chosen, why))
    return found
