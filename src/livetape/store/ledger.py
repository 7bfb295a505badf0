"""What a tape says of itself: its gaps, and how much of a channel's day it has (floor 3)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..core.errors import ConfigError
from ..core.instruments import Channel
from ..core.times import ns_of
from .segment import last_recv, opened_ns, rows

_GAP = ("recv", "venue", "symbol", "kind", "start", "end", "cause", "healed", "missing")
_WHOLE = ("complete", "history")  #: how a gap ends in which nothing is missing after all

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


def gaps(segments: Sequence[Path]) -> list[dict[str, Any]]:
    """Each gap once, as it stands now, and the time between recordings; oldest first."""
    names = ", ".join(f'"{column}"' for column in _GAP)
    latest: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in rows(segments, f"SELECT {names} FROM gaps ORDER BY n"):
        gap = dict(zip(_GAP, row, strict=True))
        latest[gap["venue"], gap["symbol"], gap["kind"], gap["start"]] = gap
    return sorted([*latest.values(), *_unrecorded(segments)], key=lambda gap: gap["start"])


def completeness(segments: Sequence[Path], channel: Channel, day: date | str) -> Completeness:
    """How much of ``channel`` there is of a UTC ``day``. Raises ConfigError when that is no day."""
    try:
        begin = datetime.combine(date.fromisoformat(str(day)), time(), UTC)
        bounds = ns_of(begin), ns_of(begin + timedelta(1))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{day!r} is not a day", example="2026-11-21") from error
    first_ns, last_ns = _recorded(segments, channel)
    start_ns, end_ns = max(bounds[0], first_ns), min(bounds[1], last_ns)
    mine = [gap for gap in gaps(segments) if _concerns(gap, channel)]
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


def _unrecorded(segments: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The time between one recording's last record and the next one's beginning."""
    for earlier, later in pairwise(segments):
        last_ns, begun_ns = last_recv(earlier), opened_ns(later)
        if last_ns is not None:
            about = {"recv": begun_ns, "venue": "store", "start": last_ns, "end": begun_ns}
            yield dict.fromkeys(_GAP) | about | {"symbol": "", "kind": "", "cause": "nothing was recorded"}


def _recorded(segments: Sequence[Path], channel: Channel) -> Interval:
    """From when the channel was well first to the last record of all; empty where it never was."""
    well = "state IN ('live', 'verified', 'unverifiable')"
    told = f"SELECT min(recv) FROM status WHERE venue = ? AND symbol = ? AND kind = ? AND {well}"
    firsts = [ns for (ns,) in rows(segments, told, channel) if ns is not None]
    lasts = [ns for segment in segments if (ns := last_recv(segment)) is not None]
    return (min(firsts), max(lasts)) if firsts and lasts else (0, 0)


def _concerns(gap: dict[str, Any], channel: Channel) -> bool:
    return gap["venue"] == "store" or (gap["venue"], gap["symbol"], gap["kind"]) == tuple(channel)


def _united(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """The same time as ``intervals``, without overlaps."""
    start, end = 0, 0
    for each in sorted(intervals):
        if each[0] > end:
            yield start, end
            start, end = each
        end = max(end, each[1])
    yield start, end
