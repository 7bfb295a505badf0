"""``python -m tests.recorded [VENUE…]``: what each venue's recordings come to, as a table."""

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .judge import RECORDINGS, Verdict

root = Path(os.environ.get("LIVETAPE_RECORDINGS") or Path(__file__).parents[3] / "shared" / "data")
table = Table("venue", "recording", *(name.replace("_", " ") for name in Verdict._fields))
for recording in RECORDINGS:
    if not sys.argv[1:] or recording.venue in sys.argv[1:]:
        name = Path(recording.files[0]).name.split(".")[0]
        table.add_row(recording.venue, name, *(f"{n:,}" for n in recording.judged(root)))
Console(width=170).print(table)
