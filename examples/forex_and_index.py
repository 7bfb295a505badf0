"""Records forex and indices from iTick into SQLite, then draws a chart of each.

    python examples/forex_and_index.py tape --seconds 60

Needs ITICK_API_KEY. Heartbeats, logins, retries and subscriptions after a break need no code.
"""

import argparse
import contextlib
import threading

from livetape import Stream, open_store

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("store", nargs="?", default="tape")
arguments.add_argument(
    "--sources", nargs="+", default=["itick:EUR-USD", "itick:GBP-USD", "itick:SPX", "itick:DJI"]
)
arguments.add_argument("--seconds", type=float, default=60)
chosen = arguments.parse_args()

stream = Stream(*chosen.sources, store=chosen.store)


@stream.on("trade")
def show(trade):
    print(trade.symbol, trade.price_text, trade.size_text, trade.trust)


@stream.on_gap
def tell(gap):
    print("gap", gap.channel, gap.cause, "open" if gap.end_ns is None else "ended")


stop = threading.Timer(chosen.seconds, stream.stop)
stop.start()
with contextlib.suppress(KeyboardInterrupt):
    stream.run()
stop.cancel()

tape = open_store(chosen.store)
for channel in tape.counts():
    if channel.endswith("/trade"):
        print("drawn:", tape.plot(channel))
