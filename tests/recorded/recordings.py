"""Readers of the recordings: each gives a list of (receive time in ns, frame), in the order of arrival."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Frames = list[tuple[int, bytes]]


def crossbook(path: Path) -> Frames:
    """``CBCAP1 venue symbol start_unix_ns``, then ``<ts_ns> <nbytes>\\n<bytes>\\n`` repeated."""
    data = gzip.decompress(path.read_bytes())
    frames, at = [], data.index(b"\n") + 1
    while at < len(data):
        end = data.index(b"\n", at)
        ns, size = data[at:end].split()
        at = end + 1 + int(size)
        frames.append((int(ns), data[end + 1 : at]))
        at += 1
    return frames


def transcoded(path: Path) -> Frames:
    """``recv_s<TAB>frame`` a line."""
    return [(_ns(time), frame) for time, _, frame in _lines(path, b"\t")]


def hftbacktest(path: Path) -> Frames:
    """``<recv_ns> <frame>`` a line; a REST depth answer stands among them, see ``is_depth``."""
    return [(int(ns), frame) for ns, _, frame in _lines(path, b" ")]


def cryptofeed(path: Path) -> Frames:
    """``recv_s: frame`` a line; lines that begin with an address tell of connects and requests."""
    return [(_ns(time), frame) for time, colon, frame in _lines(path, b": ") if colon and time[:1].isdigit()]


def cryptofeed_rest(path: Path) -> list[tuple[int, str, bytes]]:
    """The REST depth answers in ``url -> recv_s: body`` lines, as (time in ns, native symbol, body)."""
    answers = []
    for url, arrow, rest in _lines(path, b" -> "):
        if arrow:
            time, _, body = rest.partition(b": ")
            [symbol] = parse_qs(urlsplit(url.decode()).query)["symbol"]
            answers.append((_ns(time), symbol, body))
    return answers


def is_depth(frame: bytes) -> bool:
    """Whether ``frame`` is not a frame but the answer of Binance's REST depth call."""
    return frame.startswith(b'{"lastUpdateId"')


def _lines(path: Path, separator: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    with gzip.open(path) as lines:
        for line in lines:
            yield line.strip().partition(separator)


def _ns(seconds: bytes) -> int:
    return int(Decimal(seconds.decode()) * 1_000_000_000)
