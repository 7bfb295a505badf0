"""Alpaca with handlers by pattern, a pause, and a change of subscription while it runs.

    python examples/alpaca_handlers.py --seconds 10

Needs APCA_API_KEY_ID and APCA_API_SECRET_KEY. Account events (``trade_updates``) are not market data and are
not served; use the vendor's own client for them.
"""

import argparse
import time

from livetape import Stream

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--seconds", type=float, default=10, help="of each of the four parts")
part = arguments.parse_args().seconds

stream = Stream("alpaca:GOOG/quote", "alpaca:TSLA/bar.1m")


@stream.on(r"alpaca:.+/quote")
async def on_quote(quote):
    print("quote", quote.symbol, quote.bid, quote.ask)


@stream.on("trade")
def on_trade(trade):
    print("trade", trade.symbol, trade.price, trade.conditions)


@stream.on("bar")
def on_bar(bar):
    print("bar", bar.symbol, bar.close_text)


@stream.on_open
@stream.on_close
def on_connection(status):
    print(status.state, status.detail)


stream.start()
time.sleep(part)

stream.pause()  # the connection is closed, the subscriptions are kept
time.sleep(part)
stream.resume()
time.sleep(part)

stream.unsubscribe("alpaca:GOOG/quote")  # on the same connection
stream.subscribe("alpaca:AAPL/quote", "alpaca:AAPL/trade")
time.sleep(part)
stream.stop()
