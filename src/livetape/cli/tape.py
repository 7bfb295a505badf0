"""The commands that read a tape (floor 5)."""

import sys
from pathlib import Path

from msgspec import json
from msgspec.structs import asdict

from ..core.times import SECOND, iso
from ..store.reader import open_store


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
