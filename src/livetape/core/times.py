"""Venue time to int nanoseconds since 1970 UTC, exactly (floor 0)."""

from datetime import UTC, datetime

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ns_of(moment: datetime) -> int:
    """A zoned ``moment`` as ns, without the detour over a float.

    Raises ValueError when it has no zone, or lies outside 1677 to 2262, the range of 64 bits.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    since = moment - _EPOCH
    ns = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000
    if not -(1 << 63) <= ns < 1 << 63:
        raise ValueError(f"{moment} is no time from 1677 to 2262")
    return ns


def ns_of_ms(ms: int) -> int:
    """Milliseconds as ns. Raises ValueError when they lie outside 1970 to 2262, the range of 64 bits."""
    if not 0 <= ms < 9_223_372_036_854:
        raise ValueError(f"{ms} is not a time in milliseconds")
    return ms * MILLISECOND


def iso(ns: int) -> str:
    """``ns`` as ISO text in UTC to the microsecond, for people."""
    return (
        datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{ns % SECOND // 1000:06d}Z"
    )
