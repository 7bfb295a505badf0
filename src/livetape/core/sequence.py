"""How venues number their updates (floor 1): one small rule per scheme, each a pure function.

A rule is asked with the number the book stands at and the range ``first..last`` of an update.
"""

from collections.abc import Callable
from enum import Enum, auto


class Verdict(Enum):
    """What to do with an update."""

    APPLY = auto()
    DROP = auto()  #: it is already in the book
    GAP = auto()  #: something between the book and this update was lost


Rule = Callable[[int, int, int], Verdict]


def ranged(at: int, first: int, last: int) -> Verdict:
    """``first..last`` must cover ``at + 1``: Binance."""
    if last <= at:
        return Verdict.DROP
    return Verdict.APPLY if first <= at + 1 else Verdict.GAP


def chained(at: int, first: int, last: int) -> Verdict:
    """``first`` names the update before this one: Gemini's new API, Deribit."""
    if last <= at:
        return Verdict.DROP
    return Verdict.APPLY if first == at else Verdict.GAP


def linked(at: int, first: int, last: int) -> Verdict:
    """``first`` names the update before this one, and numbers may repeat or fall: OKX."""
    if first == at:
        return Verdict.APPLY
    return Verdict.DROP if last <= at else Verdict.GAP


def counted(at: int, first: int, last: int) -> Verdict:
    """Each number is one more than the one before: trade numbers, frame counters."""
    if last <= at:
        return Verdict.DROP
    return Verdict.APPLY if first == at + 1 else Verdict.GAP
