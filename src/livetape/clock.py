"""The one source of time and of chance at the edges, so that both can be fixed from outside (floor 3).

``LIVETAPE_SEED`` makes every random choice repeatable.
"""

import os
import random
import time

#: A clock that a step of the system's time does not move; where there is one, it goes on while asleep.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_START_NS = time.time_ns() - time.clock_gettime_ns(_CLOCK)

rng = random.Random(os.environ.get("LIVETAPE_SEED"))


def now_ns() -> int:
    """Nanoseconds since 1970 UTC; never runs backwards within this process."""
    return _START_NS + time.clock_gettime_ns(_CLOCK)


def back_off_s(attempt: int, *, first_s: float = 0.25, most_s: float = 30.0) -> float:
    """How long to wait before try ``attempt`` (from 0): full jitter below a bound that doubles."""
    return rng.uniform(0, min(most_s, first_s * 2 ** min(attempt, 20)))
