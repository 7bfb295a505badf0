"""Times on a wire to the nanosecond: RFC 3339 text, and the timestamp extension of msgpack (floor 0).

Source: https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from msgspec.msgpack import Ext

from .times import SECOND, ns_of

Stamp = str | Ext
_END = 1 << 63
_TO_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII).fullmatch
_EXTENSION = -1
_SCALES: list[int] = [10 ** (9 - digits) for digits in range(10)]
_LOW = (1 << 34) - 1  # seconds, below 30 bits of ns


def ns_of_stamp(stamp: Stamp) -> int:
    """What ``stamp`` says. Raises ValueError when it is no time of 1970 to 2262, the range of 64 bits."""
    ns = _ns_of_text(stamp) if isinstance(stamp, str) else _ns_of_extension(stamp)
    if 0 <= ns < _END:
        return ns
    raise ValueError(f"{ns} is not a time in ns")


def _ns_of_text(text: str) -> int:
    ns, fraction = _second(text[:19]), text[19:]
    digits = fraction[1:-1]
    if fraction == f".{digits}Z" and len(digits) < 10 and digits.isdigit() and digits.isascii():
        return ns + int(digits) * _SCALES[len(digits)]
    if fraction != "Z":
        raise ValueError(f"not a time in UTC: {text[:40]!r}")
    return ns


def rfc3339(ns: int) -> str:
    """``ns`` as text in UTC, without zeros at the end of its fraction."""
    text = datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns % SECOND:09d}".rstrip("0").rstrip(".") + "Z"


def extension(ns: int) -> Ext:
    """``ns`` as msgpack's timestamp of 64 bits. Good until the year 2514."""
    return Ext(_EXTENSION, (ns % SECOND << 34 | ns // SECOND).to_bytes(8, "big"))


@lru_cache(64)
def _second(text: str) -> int:
    """Many in a row are the same."""
    if not _TO_SECONDS(text):
        raise ValueError(f"not a time: {text!r}")
    return ns_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _ns_of_extension(ext: Ext) -> int:
    data = bytes(ext.data)
    if ext.code != _EXTENSION or len(data) not in (4, 8, 12):
        raise ValueError(f"not a time: extension {ext.code} of {len(data)} bytes")
    seconds, ns = int.from_bytes(data[-8:], "big", signed=len(data) == 12), int.from_bytes(data[:-8], "big")
    if len(data) == 8:
        seconds, ns = seconds & _LOW, seconds >> 34
    if ns >= SECOND:
        raise ValueError(f"{ns} ns are more than a second")
    return seconds * SECOND + ns
