"""``python -m tests.recorded [VENUE…]``: what each venue's recordings come to, as a table."""

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .judge import RECORDINGS, Verdict

WHY = {"binance/hftbacktest_btcusdt_20240808.gz": "the rest lies outside the range of its one snapshot"}
known = {recording.venue for recording in RECORDINGS}
if unknown := set(sys.argv[1:]) - known:
    sys.exit(f"no recording of {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
root = Path(os.environ.get("LIVETAPE_RECORDINGS") or Path(__file__).parents[3] / "shared" / "data")
if not root.is_dir():
    sys.exit(f"no recordings at {root}; LIVETAPE_RECORDINGS names their directory")
table = Table("venue", "recording", *(name.replace("_", " ") for name in Verdict._fields))
for recording in RECORDINGS:
    if not sys.argv[1:] or recording.venue in sys.argv[1:]:
        name = Path(recording.files[0]).name.split(".")[0]
        table.add_row(recording.venue, name, *(f"{n:,}" for n in recording.judged(root)))
        if why := WHY.get(recording.files[0]):
            table.add_row("", f"({why})")
console = Console(width=170)
console.print(table)
console.print(
    "What needs a judge of its own (absent levels, unknown ids, tickers, forex bars): pytest tests/recorded"
)
