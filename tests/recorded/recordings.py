"""Readers of the recordings: each gives a list of (receive time in ns, frame), in the order of arrival."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from msgspec import json

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
    """The REST depth answers in ``url -> recv_s: body`` lines, as (time in ns, native symbol, body).

    The url has the symbol as its query or its end.
    """
    answers = []
    for address, arrow, rest in _lines(path, b" -> "):
        if arrow:
            time, _, body = rest.partition(b": ")
            url = urlsplit(address.decode())
            [symbol] = parse_qs(url.query).get("symbol") or [url.path.rpartition("/")[2]]
            answers.append((_ns(time), symbol, body))
    return answers


def busy_binance(root: Path, lines: int | None = None) -> tuple[bytes, list[bytes]]:
    """The REST answer and the frames in the first ``lines``, or all, of a busy recording of BTCUSDT."""
    recorded = hftbacktest(root / "binance" / "hftbacktest_btcusdt_20240808.gz")[:lines]
    [body] = [frame for _, frame in recorded if is_depth(frame)]
    return body, [frame for _, frame in recorded if not is_depth(frame)]


def samples(path: Path, of: str = "") -> list[bytes]:
    """A collector's samples of frames, each named by ``{"test":NAME,"message":FRAME}``; ``of`` is in NAME.

    Without those that the collector made itself.
    """
    said = [json.decode(line) for line in path.read_bytes().splitlines()]
    theirs = [
        each for each in said if not (isinstance(each["message"], dict) and "generated" in each["message"])
    ]
    return [json.encode(each["message"]) for each in theirs if of in each["test"]]


def is_depth(frame: bytes) -> bool:
    """Whether ``frame`` is not a frame but the answer of Binance's REST depth call."""
    return frame.startswith(b'{"lastUpdateId"')


def _lines(path: Path, separator: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    with gzip.open(path) as lines:
        for line in lines:
            yield line.strip().partition(separator)


def _ns(seconds: bytes) -> int:
    return int(Decimal(seconds.decode()) * 1_000_000_000)
