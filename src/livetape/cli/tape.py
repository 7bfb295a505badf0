"""The commands that read a tape (floor 5)."""

import sys
from pathlib import Path

from msgspec import json
from msgspec.structs import asdict

from ..calendars import phase_of
from ..core.events import MarketEvent
from ..core.times import SECOND, iso
from ..core.wire import event_json
from ..feeds.replay import Replay
from ..store.reader import open_store


def print_replay(store: Path, *, as_json: bool, depth: int | None) -> None:
    """The events of a tape, made again from its raw frames; without ``as_json`` their counts."""
    counts: dict[str, int] = {}

    def put(event: MarketEvent) -> None:
        counts[event.channel] = counts.get(event.channel, 0) + 1
        if as_json:
            sys.stdout.buffer.write(event_json(event, depth) + b"\n")

    Replay(open_store(store).raw(), put, phase_of).run()
    if not as_json:
        for channel, n in sorted(counts.items()):
            sys.stdout.write(f"{n:>10}  {channel}\n")


def print_gaps(store: Path, *, as_json: bool) -> None:
    """The gap ledger of a tape."""
    tape = open_store(store)
    gaps = tape.gaps()
    if not gaps:
        sys.stderr.write("no gaps\n" if tape.counts() else "nothing was recorded, so there are no gaps\n")
    for gap in gaps:
        if as_json:
            named = {"from" if k == "start" else "to" if k == "end" else k: v for k, v in gap.items()}
            sys.stdout.buffer.write(json.encode({"type": "gap"} | named) + b"\n")
            continue
        start, end = int(str(gap["start"])), gap["end"]
        until = iso(int(str(end))) if end is not None else "still open"
        channel = f"{gap['venue']}:{gap['symbol']}/{gap['kind']}" if gap["symbol"] else gap["venue"]
        healed = f"healed by {gap['healed']}" if gap["healed"] else "not healed"
        sys.stdout.write(f"{channel}  {iso(start)} to {until}  {gap['cause']}  {healed}\n")


def print_completeness(store: Path, day: str, *, as_json: bool) -> None:
    """How much the tape has of each channel's day."""
    tape = open_store(store)
    for channel in sorted(tape.counts()):
        made = tape.completeness(channel, day)
        if as_json:
            sys.stdout.buffer.write(
                json.encode({"type": "completeness", "ratio": made.ratio} | asdict(made)) + b"\n"
            )
            continue
        share = "nothing recorded" if made.ratio is None else f"{100 * made.ratio:.4f} %"
        gaps = f"{made.gaps} gaps, {made.healed} healed, {made.missing_ns / SECOND:.1f} s missing"
        sys.stdout.write(f"{channel}  {share}  {gaps}\n")
