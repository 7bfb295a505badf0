"""What the tests of the sealed half share: all that a store shows, and what lies in its directory."""

from pathlib import Path

from livetape.core.events import MarketEvent
from livetape.core.raw import Direction, RawRecord
from livetape.store import columns
from livetape.store.catalog import Catalog
from livetape.store.parquet import Reader

from .tape import events, select

Tape = tuple[list[MarketEvent], list[RawRecord]]


def tape_of(directory: Path) -> Tape:
    """Every event in the order of the tape and every raw record, as often as it is visible."""
    view = Catalog(directory).view()
    found = [event for segment in view.segments for event in events(segment.path)]
    raw = [record for segment in view.segments for record in _raw(segment.path, segment.first_n)]
    for file in view.files:
        rows = Reader(directory / file.path).read()
        assert rows.num_rows == file.rows
        if file.table == "raw":
            raw += zip(rows["n"].to_pylist(), columns.records(rows), strict=True)
        else:
            found += columns.events(file.table, rows)
    found.sort(key=lambda event: (event.recv_ns, event.session, event.seq, repr(event)))
    return found, [record for _, record in sorted(raw, key=lambda pair: pair[0])]


def left_over(directory: Path) -> set[str]:
    """The files that the catalogue does not show, but for those of a store itself and logs of segments."""
    view = Catalog(directory).view()
    named = {file.path for file in view.files}
    own = {"catalog.sqlite", "lock.sqlite", "lock.sqlite-journal", "upkeep.lock", "readers.lock", "watermark"}
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    journals = tuple(f"journal/{each.path.name}" for each in view.segments)
    return {path for path in there - named - own if not path.startswith(journals)}


def _raw(segment: Path, first_n: int) -> list[tuple[int, RawRecord]]:
    rows = select(segment, "SELECT n, session, recv, direction, payload, note FROM raw ORDER BY n")
    return [
        (first_n + n, RawRecord(session, recv, Direction(direction), payload, note))
        for n, session, recv, direction, payload, note in rows
    ]
