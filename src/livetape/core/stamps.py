"""Times on a wire to the nanosecond: RFC 3339 text, and the timestamp extension of msgpack (floor 0).

Source: https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type
"""

import re
from datetime import UTC, datetime
from typing import Any

from msgspec.msgpack import Ext

from .memo import Memo
from .times import SECOND, ns_of

Stamp = str | Ext
_END = 1 << 63
_TO_POINT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.", re.ASCII).fullmatch
_EXTENSION = -1
_LOW = (1 << 34) - 1  # seconds, below 30 bits of ns


def ns_of_stamp(stamp: Stamp) -> int:
    """What ``stamp`` says. Raises ValueError when it is no time of 1970 to 2262, the range of 64 bits."""
    if not isinstance(stamp, str):
        ns = _ns_of_extension(stamp)
    elif stamp[29:] == "Z" and (digits := stamp[20:29]).isdigit() and stamp.isascii():  # nine, as usual
        ns = _SECONDS[stamp[:20]] + int(digits)
    else:
        ns = _ns_of_text(stamp)
    if 0 <= ns < _END:
        return ns
    raise ValueError(f"{ns} is not a time in ns")


def _ns_of_text(text: str) -> int:
    digits = text[20:-1]
    if text[-1:] == "Z" and digits.isdigit() and text.isascii() and len(digits) < 9:
        return _SECONDS[text[:20]] + int(digits.ljust(9, "0"))
    if text[19:] != "Z":
        raise ValueError(f"not a time in UTC: {text[:40]!r}")
    return _SECONDS[f"{text[:19]}."]


def rfc3339(ns: int) -> str:
    """``ns`` as text in UTC, without zeros at the end of its fraction."""
    text = datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns % SECOND:09d}".rstrip("0").rstrip(".") + "Z"


def extension(ns: int) -> Ext:
    """``ns`` as msgpack's timestamp of 64 bits. Good until the year 2514."""
    return Ext(_EXTENSION, (ns % SECOND << 34 | ns // SECOND).to_bytes(8, "big"))


def _second(text: str) -> int:
    """The time that ``text`` says before the point at its end."""
    if not _TO_POINT(text):
        raise ValueError(f"not a time: {text!r}")
    return ns_of(datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC))


_SECONDS = Memo(_second)  # many in a row are the same


def _ns_of_extension(ext: Ext) -> int:
    data: Any = ext.data  # bytes, or much like them
    if ext.code != _EXTENSION or len(data) not in (4, 8, 12):
        raise ValueError(f"not a time: extension {ext.code} of {len(data)} bytes")
    if len(data) == 8:
        both = int.from_bytes(data, "big")
        seconds, ns = both & _LOW, both >> 34
    else:
        seconds = int.from_bytes(data[-8:], "big", signed=len(data) == 12)
        ns = int.from_bytes(data[:-8], "big")
    if ns >= SECOND:
        raise ValueError(f"{ns} ns are more than a second")
    return seconds * SECOND + ns
