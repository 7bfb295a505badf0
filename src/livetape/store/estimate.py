"""How much disk a recording will take (floor 3)."""

from collections.abc import Iterable

from msgspec import Struct

from ..core.instruments import Channel
from ..core.times import SECOND
from .catalog import View
from .plan import DAY_NS, Rules

ENOUGH_NS = 600 * SECOND  #: a shorter history tells too little
#: Rows a day of a channel of a busy instrument, and the bytes of each once sealed.
_BUSY = {
    **{"trade": (100_000, 12), "quote": (800_000, 16), "book": (1_700_000, 24), "bar": (80_000, 20)},
    **{"summary": (80_000, 20), "mark": (80_000, 16)},
}
_OTHERS = (1_000, 50)
_RAW_BYTES = 90  #: of a frame, sealed
_SQLITE = 7  #: times larger is what is not sealed


class Estimate(Struct, frozen=True):
    """Bytes a day, seen in so many ``hours`` of this store; 0 hours are a guess from the channels' kinds."""

    bytes_a_day: int
    hours: float


def estimate(channels: Iterable[Channel], view: View, rules: Rules, *, raw: bool = True) -> Estimate:
    """What recording ``channels`` into a store that shows ``view`` will take."""
    if rules.format == "parquet" and (seen := _seen(view)) is not None:
        return seen
    rows = [_BUSY.get(channel.kind.partition(".")[0], _OTHERS) for channel in channels]
    guess = sum(n * (size + (_RAW_BYTES if raw else 0)) for n, size in rows)
    return Estimate(guess * (_SQLITE if rules.format == "sqlite" else 1), 0)


def _seen(view: View) -> Estimate | None:
    """What was sealed a day while it was recorded; by table, as some are not kept for long."""
    spans = [(part.opened_ns, part.last_recv) for part in view.sealed if part.last_recv is not None]
    recorded_ns = sum(end - start for start, end in spans)
    if recorded_ns < ENOUGH_NS:
        return None
    total = 0.0
    for table in {file.table for file in view.files}:
        files = [file for file in view.files if file.table == table]
        since_ns = min(file.first_recv for file in files)
        within_ns = sum(max(end - max(start, since_ns), 0) for start, end in spans)
        total += sum(file.bytes for file in files) * DAY_NS / max(within_ns, ENOUGH_NS)
    return Estimate(round(total), recorded_ns / (3_600 * SECOND))
