"""The judge of the mutation tests: a naive book, and recordings that know the book after every frame.

Nothing here uses livetape's book: this one is a dictionary, and its best levels are found by sorting.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from zlib import crc32

from .recordings import Frames

Levels = list[tuple[str, str]]  # price and size as the venue's text
Sides = tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]]


class Truth:
    """The venue's book at one moment. ``seq`` is the venue's number of it, where it has one."""

    def __init__(self, sides: Sides = ({}, {}), seq: int = 0) -> None:
        self.sides, self.seq = sides, seq  # bids, then asks
        self.frame = b""  # this book as a message of the venue, once it was needed
        self._sorted: tuple[Levels, Levels] | None = None

    def after(self, bids: Levels, asks: Levels, *, depth: int | None = None, seq: int = 0) -> "Truth":
        """The book one message later, cut to the ``depth`` that the venue keeps."""
        sides = (dict(self.sides[0]), dict(self.sides[1]))
        for side, changes in zip(sides, (bids, asks), strict=True):
            for price, size in changes:
                if Decimal(size):
                    side[Decimal(price)] = (price, size)
                else:
                    side.pop(Decimal(price), None)
            if depth is not None and len(side) > depth:
                for surplus in sorted(side, reverse=side is sides[0])[depth:]:
                    del side[surplus]
        return Truth(sides, seq)

    def top(self, n: int | None) -> tuple[Levels, Levels]:
        """The best ``n`` levels of bids and of asks, all of them for None."""
        if self._sorted is None:
            bids, asks = self.sides
            self._sorted = [bids[p] for p in sorted(bids, reverse=True)], [asks[p] for p in sorted(asks)]
        return self._sorted[0][:n], self._sorted[1][:n]

    def crc(self) -> int:
        """Kraken's checksum: ten asks, then ten bids, each number without its point and leading zeros."""
        bids, asks = self.top(10)
        tokens = [number.replace(".", "").lstrip("0") for level in asks + bids for number in level]
        return crc32("".join(tokens).encode())


class Tape(ABC):
    """The frames of one symbol, and the venue's book after each; ``before`` is the book before all."""

    symbol: str  #: as the venue writes it
    fields: Mapping[str, str]  #: names for the keys that make the book

    def __init__(self, frames: Frames, before: Truth | None) -> None:
        self.frames = frames
        self._truths = {-1: before}

    def truth(self, index: int) -> Truth | None:
        """The book after frame ``index``; None when none had been told yet."""
        start = max(i for i in self._truths if i <= index)
        for i in range(start + 1, index + 1):
            self._truths[i] = self.next(self._truths[i - 1], self.frames[i][1])
        return self._truths[index]

    def forget(self, index: int) -> None:
        """No book before the one after frame ``index`` will be asked for any more."""
        self.truth(max(index, -1))
        self._truths = {i: truth for i, truth in self._truths.items() if i >= index}

    @abstractmethod
    def next(self, truth: Truth | None, frame: bytes) -> Truth | None:
        """The book after ``frame``; the same object when the frame says nothing of it."""

    def field(self, frame: bytes, at: int) -> str:
        """What the digit at offset ``at`` belongs to."""
        key = re.findall(rb'"(\w+)":', frame[:at])[-1].decode()
        return self.fields.get(key, "other text")


class KrakenTape(Tape):
    """Kraken's books: a snapshot, then absolute levels; at most ``depth`` a side."""

    fields: Mapping[str, str] = {"price": "price or size", "qty": "price or size", "checksum": "checksum"}

    def __init__(self, frames: Frames, symbol: str, depth: int) -> None:
        super().__init__([(ns, frame) for ns, frame in frames if speaks_of(frame) in (symbol, None)], None)
        self.symbol, self.depth = symbol, depth

    def next(self, truth: Truth | None, frame: bytes) -> Truth | None:
        message = json.loads(frame, parse_float=str, parse_int=str)
        if message.get("channel") != "book":
            return truth
        if truth is None or message["type"] == "snapshot":
            truth = Truth()
        [book] = message["data"]
        bids, asks = ([(level["price"], level["qty"]) for level in book[side]] for side in ("bids", "asks"))
        truth = truth.after(bids, asks, depth=self.depth)
        assert truth.crc() == int(book["checksum"]), "the judge itself is wrong"
        return truth

    def snapshot(self, truth: Truth) -> bytes:
        """The frame that Kraken would send for ``truth``."""
        if truth.frame:
            return truth.frame
        bids, asks = (
            ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in truth.top(None)
        )
        truth.frame = (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{self.symbol}","bids":[{bids}],'
            f'"asks":[{asks}],"checksum":{truth.crc()}}}]}}'
        ).encode()
        return truth.frame


class BinanceTape(Tape):
    """Binance's books: ``body`` was fetched before all, then come numbered differences."""

    fields: Mapping[str, str] = {
        **dict.fromkeys("ab", "price or size"),
        **dict.fromkeys("Uu", "update id"),
    }

    def __init__(self, frames: Frames, symbol: str, body: bytes) -> None:
        fetched = json.loads(body)
        bids, asks = ([(price, size) for price, size in fetched[side]] for side in ("bids", "asks"))
        super().__init__(
            [(ns, frame) for ns, frame in frames if json.loads(frame)["data"]["s"] == symbol],
            Truth().after(bids, asks, seq=fetched["lastUpdateId"]),
        )
        self.symbol = symbol

    def numbered(self, seq: int | None, index: int) -> Truth | None:
        """The book whose number is ``seq``; where none has that, the book after frame ``index``."""
        now = self.truth(index)
        return next((truth for truth in self._truths.values() if truth and truth.seq == seq), now)

    def next(self, truth: Truth | None, frame: bytes) -> Truth | None:
        data = json.loads(frame)["data"]
        if truth is None or data.get("e") != "depthUpdate" or data["u"] <= truth.seq:
            return truth
        assert data["U"] <= truth.seq + 1, "the recording itself has a gap"
        bids, asks = ([(price, size) for price, size in data[side]] for side in "ba")
        return truth.after(bids, asks, seq=data["u"])

    @staticmethod
    def body(truth: Truth) -> bytes:
        """What Binance would answer to a fetch."""
        if not truth.frame:
            bids, asks = truth.top(1000)
            truth.frame = json.dumps({"lastUpdateId": truth.seq, "bids": bids, "asks": asks}).encode()
        return truth.frame


def speaks_of(frame: bytes) -> str | None:
    """The symbol that a frame of Kraken's speaks of; None when it speaks of none."""
    message = json.loads(frame)
    [entry] = message.get("data") or [message.get("result") or {}]
    symbol: str | None = entry.get("symbol")
    return symbol
