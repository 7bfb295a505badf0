"""Decimal text, the form in which every price and size is kept (floor 0).

The text is what the venue sent, so nothing is ever rounded and a checksum over text can be computed.
Readers take ``float(text)`` for arithmetic on a screen and ``Decimal(text)`` for money.
"""

import re
from collections.abc import Iterable

#: A finite, non-negative JSON number of at most 20 digits before and after the point.
_PLAIN = r"(?:0|[1-9]\d{0,19}+)(?:\.\d{1,20}+)?+(?:[eE][+-]?(?:1[0-8]|0?\d))?+"
_one = re.compile(_PLAIN, re.ASCII).fullmatch
_many = re.compile(f"(?:{_PLAIN},)*+", re.ASCII).fullmatch

Level = tuple[str, str]  #: (price, absolute size) as decimal text; size 0 removes the level


def checked(text: str) -> str:
    """``text`` itself. Raises ValueError unless it is a finite, non-negative decimal number."""
    if _one(text) is None:
        raise ValueError(f"not a decimal number: {text[:40]!r}")
    return text


def checked_levels(levels: list[Level]) -> list[Level]:
    """``levels`` themselves. Raises ValueError unless every price and size is a decimal number."""
    joined = "".join([f"{price},{size}," for price, size in levels])
    if _many(joined) is None or joined.count(",") != 2 * len(levels):
        raise ValueError("a price or size is not a decimal number")
    return levels


def significant(text: str) -> int:
    """How many significant digits ``text`` has; a float keeps 15 of them exactly."""
    mantissa = re.split("[eE]", text, maxsplit=1)[0]
    return len(mantissa.replace(".", "").strip("0"))


def nearest(wanted: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The names in ``known`` most like ``wanted``, for an error message that helps."""
    from difflib import get_close_matches

    return get_close_matches(wanted, list(known), n, cutoff=0.5)
