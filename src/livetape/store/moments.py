"""Times as files write them, read as int ns since 1970 UTC, exactly; doubt is an error (floor 3).

A number is a count of seconds, milliseconds, microseconds or nanoseconds: of those units just one makes it a
time from 1990 to 2100. Text is ISO 8601, and without a zone of its own it is in the one that was named.
"""

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from ..core.errors import ConfigError
from ..core.times import SECOND, ns_of

_NUMBER = re.compile(r"(\d{9,19})(?:\.(\d+))?", re.ASCII).fullmatch
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d(?::\d\d)?)?", re.ASCII
).fullmatch
_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}", re.ASCII).fullmatch
_FIRST_S, _LAST_S = 631_152_000, 4_102_444_800  # 1990, 2100


def zone_of(name: str) -> tzinfo | None:
    """The time zone called ``name``, such as ``UTC`` or ``America/New_York``. Raises ConfigError."""
    if not name:
        return None
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ConfigError(f"{name!r} is no time zone", example="America/New_York") from error


def moment(text: str, zone: tzinfo | None) -> int:
    """What ``text`` says. Raises ValueError, which says what would help, when that is not certain."""
    if (number := _NUMBER(text)) is not None:
        return _counted(text, int(number[1]))
    if (iso := _ISO(text)) is not None:
        day, clock, fraction, offset = iso.groups()
        return _second(f"{day} {clock}", offset, zone) + int((fraction or "0").ljust(9, "0"))
    if _DAY(text):
        return _second(f"{text} 00:00", None, zone)
    raise ValueError(f"{text[:40]!r} is no time; write ISO 8601 or a count since 1970")


def _counted(text: str, count: int) -> int:
    for unit in (SECOND, 1_000_000, 1_000, 1):
        if _FIRST_S <= count * unit // SECOND < _LAST_S:
            return count * unit if text.isdigit() else int(Decimal(text) * unit)
    raise ValueError(f"{text} is no time from 1990 to 2100 in s, ms, us or ns")


@lru_cache(1 << 12)  # many in a row are of the same second
def _second(text: str, offset: str | None, zone: tzinfo | None) -> int:
    if offset is not None:
        return ns_of(datetime.fromisoformat(f"{text}{offset}"))
    if zone is None:
        raise ValueError(f"{text!r} has no time zone; name it, such as --tz UTC")
    early, late = (datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        raise ValueError(f"{text!r} is twice or never in {zone}, where clocks are changed; give it a zone")
    return ns_of(early)


def midnight(day: str, zone: tzinfo) -> int:
    """When the day ``20140505`` began in ``zone``, as ns. Raises ValueError."""
    return _second(f"{datetime.strptime(day, '%Y%m%d'):%Y-%m-%d} 00:00", None, zone)
