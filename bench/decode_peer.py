"""alpaca-py's side of ``decode.py``, for a Python that has alpaca-py and need not have livetape.

A frame goes the way it goes in ``DataStream._consume``: unpacked, then each item cast to its model. Questions
come as lines of JSON on stdin, answers leave on stdout. Nothing goes over a network.
"""

import gc
import json
import sys
from base64 import b64decode
from time import thread_time_ns

import msgpack
from alpaca.data.live import StockDataStream
from alpaca.data.models import Quote, Trade


def models(frames):
    cast = StockDataStream("key", "secret")._cast
    return [cast(item) for frame in frames for item in msgpack.unpackb(frame)]


def price(model):
    """What both sides must agree on: the price, the bid, or that of the first level."""
    if isinstance(model, Trade):
        return model.price
    if isinstance(model, Quote):
        return model.bid_price
    return next((level.price for level in [*model.bids, *model.asks]), 0.0)


def measured(frames):
    """CPU nanoseconds a frame."""
    cast, unpack = StockDataStream("key", "secret")._cast, msgpack.unpackb
    gc.collect()
    began = thread_time_ns()
    for frame in frames:
        for item in unpack(frame):
            cast(item)
    return (thread_time_ns() - began) / len(frames)


def main():
    loads = []
    for line in sys.stdin:
        question = json.loads(line)
        if isinstance(question, int):
            answer = measured(loads[question])
        else:
            loads.append([b64decode(frame) for frame in question["frames"]])
            made = models(loads[-1])
            answer = {"events": len(made), "prices": [price(model) for model in made]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
