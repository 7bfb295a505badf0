"""Prints the best bid and ask of a book whenever they change, and every word about its quality.

python examples/watch_book.py kraken:BTC-USD/book --seconds 20
"""

import argparse
import contextlib
import threading

from livetape import Stream
from livetape.core.events import BookUpdate, Gap, Status

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("source", nargs="?", default="kraken:BTC-USD/book")
arguments.add_argument("--seconds", type=float, help="end after so many seconds, else with Ctrl-C")
chosen = arguments.parse_args()

stream = Stream(chosen.source)
shown: tuple[float | None, float | None] | None = None


@stream.on("book")
def show(update: BookUpdate) -> None:
    global shown
    best = bid, ask = update.book.best()
    if best != shown:
        shown = best
        spread = f"{ask - bid:.8g}" if bid is not None and ask is not None else "-"
        print(f"{update.channel}  {bid} | {ask}  spread {spread}  {update.trust}")


@stream.on("status")
def quality(status: Status) -> None:
    proof = f" by {status.proof.method}" if status.proof else ""
    print(f"{status.channel} is {status.state}{proof} {status.detail}".rstrip())


@stream.on_gap
def gap(gap: Gap) -> None:
    if gap.end_ns is None:
        print(f"{gap.channel} may miss something: {gap.cause}")
    else:
        seconds = (gap.end_ns - gap.start_ns) / 1e9
        print(f"{gap.channel} goes on after {seconds:.1f} s, healed by {gap.healed or 'nothing'}")


if chosen.seconds:
    timer = threading.Timer(chosen.seconds, stream.stop)
    timer.daemon = True
    timer.start()
with contextlib.suppress(KeyboardInterrupt):
    stream.run()
