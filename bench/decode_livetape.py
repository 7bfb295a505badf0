"""livetape's side of ``decode.py``: questions come as lines of JSON on stdin, answers leave on stdout."""

import gc
from functools import partial
from time import thread_time_ns
from typing import get_args

from decode import KEY, Load, Outcome
from ingest_livetape import forget
from sides import answer

from livetape.adapters import find
from livetape.core.adapter import Adapter
from livetape.core.events import BookUpdate, MarketEvent, Message, Quote, Trade
from livetape.core.instruments import Channel


def started(load: Load) -> Adapter:
    """An adapter that has read what came before, and nothing else."""
    forget()
    adapter = find(load.venue, load.api)(load.options, KEY)
    channels = [Channel.parse(name) for name in load.channels]
    adapter.endpoint(adapter.ws_url, channels)
    adapter.login()
    adapter.subscribe(channels)
    for frame in load.start:
        adapter.decode(frame)
    return adapter


def outcome(load: Load) -> Outcome:
    decode = started(load).decode
    events = [event for frame in load.frames for event in decode(frame)]
    told = [event for event in events if isinstance(event, get_args(MarketEvent))]
    return Outcome(len(told), [price(event) for event in told])


def price(event: Message) -> float:
    """What both sides must agree on: the price, the bid, or that of the first level."""
    match event:
        case Trade():
            return event.price
        case Quote():
            return event.bid or 0.0
        case BookUpdate():
            return next((float(level[0]) for level in (*event.bids, *event.asks)), 0.0)
    return 0.0


def measured(load: Load) -> float:
    """CPU nanoseconds a frame."""
    decode = started(load).decode
    gc.collect()
    began = thread_time_ns()
    for frame in load.frames:
        decode(frame)
    return (thread_time_ns() - began) / len(load.frames)


if __name__ == "__main__":
    answer(Load, lambda load: (outcome(load), partial(measured, load)))
