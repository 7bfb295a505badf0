"""What a tape says of itself: how much it has, its gaps, and how much of a channel's day it has (floor 3)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from ..core.errors import ConfigError
from ..core.instruments import Channel
from ..core.times import ns_of
from .catalog import Catalog
from .parquet import Reader
from .scan import Tape, Wanted, in_order, ints
from .segment import last_recv, reading, tables

_DATA = {
    **{"trades": "trade", "quotes": "quote", "best_quotes": "quote", "books": "book", "bars": "bar"},
    **{"summaries": "summary", "marks": "mark", "auctions": "auction", "lulds": "luld", "news": "news"},
}
_GAP = ("recv", "venue", "symbol", "kind", "start", "end", "cause", "healed", "missing")
_WHOLE = ("complete", "history")  #: how a gap ends in which nothing is missing after all
_WELL = ("live", "verified", "unverifiable")

Interval = tuple[int, int]


class Completeness(Struct, frozen=True):
    """How much a tape has of a channel's day, from when it was well first to the end of the recording.

    What is missing lies in ``missing_ns`` of the ``recorded_ns``. ``missing`` are messages that are known to
    be lost. A book is whole again after a snapshot, but the updates before it are missing.
    """

    channel: str
    day: str
    recorded_ns: int
    missing_ns: int
    gaps: int
    healed: int
    missing: int

    @property
    def ratio(self) -> float | None:
        """1.0 where nothing is missing; None where nothing was recorded."""
        return 1 - self.missing_ns / self.recorded_ns if self.recorded_ns else None


def counts(tape: Tape) -> dict[str, int]:
    """Events recorded by channel, for the kinds that are data."""
    found: dict[str, int] = {}
    for channel, n in (*_sealed_counts(tape), *_hot_counts(tape)):
        found[channel] = found.get(channel, 0) + n
    return found


def gaps(tape: Tape) -> list[dict[str, Any]]:
    """Each gap once, as it stands now, what was removed, and the time between recordings; oldest first."""
    rows = in_order(tape.scan(Wanted("gaps")), "gaps").select(_GAP)
    plain = pa.table([_plain(column) for column in rows.columns], rows.column_names)
    latest = {(gap["venue"], gap["symbol"], gap["kind"], gap["start"]): gap for gap in plain.to_pylist()}
    others = (*_removed(tape), *_unrecorded(tape))
    return sorted([*latest.values(), *others], key=lambda gap: gap["start"])


def completeness(tape: Tape, channel: Channel, day: date | str) -> Completeness:
    """How much of ``channel`` there is of a UTC ``day``. Raises ConfigError when that is no day."""
    try:
        begin = datetime.combine(date.fromisoformat(str(day)), time(), UTC)
        bounds = ns_of(begin), ns_of(begin + timedelta(1))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{day!r} is not a day", example="2026-11-21") from error
    first_ns, last_ns = _recorded(tape, channel)
    start_ns, end_ns = max(bounds[0], first_ns), min(bounds[1], last_ns)
    mine = [gap for gap in gaps(tape) if _concerns(gap, channel)]
    mine = [gap for gap in mine if gap["start"] < end_ns and (gap["end"] or end_ns) > start_ns]
    open_ = [gap for gap in mine if gap["healed"] not in _WHOLE]
    lost = [(max(gap["start"], start_ns), min(gap["end"] or end_ns, end_ns)) for gap in open_]
    return Completeness(
        str(channel),
        str(day),
        max(end_ns - start_ns, 0),
        sum(end - start for start, end in _united(lost)),
        len(mine),
        len(mine) - len(open_),
        sum(gap["missing"] or 0 for gap in open_),
    )


def _sealed_counts(tape: Tape) -> Iterator[tuple[str, int]]:
    for file in tape.view.files:
        if file.table not in _DATA:
            continue
        reader = Reader(tape.directory / file.path)
        for run in reader.runs:
            name = f"{file.venue}:{run.key}/{_DATA[file.table]}"
            if file.table != "bars":
                yield name, run.rows
                continue
            intervals = reader.read(["interval"], run=run)["interval"].value_counts()
            yield from ((f"{name}.{each['values']}", each["counts"].as_py()) for each in intervals)


def _hot_counts(tape: Tape) -> Iterator[tuple[str, int]]:
    for segment in tape.view.segments:
        with reading(segment.path) as db:
            for table in _DATA.keys() & tables(db):
                interval = "|| '.' || interval" if table == "bars" else ""
                name = f"venue || ':' || symbol || '/{_DATA[table]}' {interval}"
                for channel, n in db.execute(f"SELECT {name}, count(*) FROM {table} GROUP BY 1"):
                    yield str(channel), int(str(n))


def _removed(tape: Tape) -> Iterator[dict[str, Any]]:
    """The time of the data that was taken off the tape, of all symbols of a venue."""
    for removed in Catalog(tape.directory).removed():
        if removed.table in _DATA:
            start, end = removed.first_recv, removed.last_recv
            about = {"recv": end, "venue": removed.venue, "start": start, "end": end, "cause": removed.why}
            yield dict.fromkeys(_GAP) | about | {"symbol": "", "kind": _DATA[removed.table]}


def _unrecorded(tape: Tape) -> Iterator[dict[str, Any]]:
    """The time between one recording's last record and the next one's beginning."""
    lasts: dict[int, int] = {}
    begun: set[int] = set()
    for recording, last_ns in _parts(tape):
        begun.add(recording)
        if last_ns is not None:
            lasts[recording] = max(last_ns, lasts.get(recording, last_ns))
    for earlier, later in pairwise(sorted(begun)):
        if earlier in lasts:
            about = {"recv": later, "venue": "store", "start": lasts[earlier], "end": later}
            yield dict.fromkeys(_GAP) | about | {"symbol": "", "kind": "", "cause": "nothing was recorded"}


def _parts(tape: Tape) -> Iterator[tuple[int, int | None]]:
    """The recording of each segment, sealed or not, and when its last record was received, if it has any."""
    for part in tape.view.sealed:
        yield part.recording, part.last_recv
    for segment in tape.view.segments:
        yield segment.recording, last_recv(segment.path)


def _recorded(tape: Tape, channel: Channel) -> Interval:
    """From when the channel was well first to the last record of all; empty where it never was."""
    firsts: list[int] = []
    for told in tape.scan(Wanted("status", channel, names=("recv", "state"))):
        well = told.filter(pc.is_in(told["state"], pa.array(_WELL)))
        firsts += ints(well["recv"])[:1].tolist()
    lasts = [last_ns for _, last_ns in _parts(tape) if last_ns is not None]
    return (min(firsts), max(lasts)) if firsts and lasts else (0, 0)


def _concerns(gap: dict[str, Any], channel: Channel) -> bool:
    kind = channel.kind.partition(".")[0]  # that of all bars, where these were removed
    concerned = (tuple(channel), (channel.venue, "", kind))
    return gap["venue"] == "store" or (gap["venue"], gap["symbol"], gap["kind"]) in concerned


def _united(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """The same time as ``intervals``, without overlaps."""
    start, end = 0, 0
    for each in sorted(intervals):
        if each[0] > end:
            yield start, end
            start, end = each
        end = max(end, each[1])
    yield start, end


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as ns."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
