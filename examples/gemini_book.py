"""Writes the best levels of a Gemini book as JSON lines, one after every change.

    python examples/gemini_book.py BTC-USD book.jsonl --seconds 60

The whole book is kept and only the output is cut, so no level is forgotten. The vendor's counter proves that
no message was lost, and each line says how far it may be believed.
"""

import argparse
import contextlib
import threading
from pathlib import Path

from livetape import Stream
from livetape.config import load
from livetape.core.events import BookUpdate
from livetape.core.wire import event_json

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("symbol", nargs="?", default="BTC-USD")
arguments.add_argument("file", nargs="?", type=Path, default=Path("book.jsonl"))
arguments.add_argument("--levels", type=int, default=10)
arguments.add_argument("--seconds", type=float, help="end after so many seconds, else with Ctrl-C")
chosen = arguments.parse_args()

stream = Stream(f"gemini:{chosen.symbol}/book", config=load(settings=["venues.gemini.api=v1"]))

with chosen.file.open("ab", buffering=0) as lines:

    @stream.on("book")
    def write(update: BookUpdate) -> None:
        lines.write(event_json(update, chosen.levels) + b"\n")

    end = threading.Timer(chosen.seconds or threading.TIMEOUT_MAX, stream.stop)
    end.daemon = True
    end.start()
    with contextlib.suppress(KeyboardInterrupt):
        stream.run()
    print(chosen.file, lines.tell(), "bytes")
