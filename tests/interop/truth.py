"""What must hold of any live data, whoever prints it."""

import time

FAR_NS = 120 * 1_000_000_000


def is_now(stamp: int, unit_ns: int = 1) -> bool:
    """Whether ``stamp``, counted in units of ``unit_ns``, is of the last two minutes."""
    return abs(time.time_ns() - stamp * unit_ns) < FAR_NS
