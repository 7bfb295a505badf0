"""Venues in memory: each plays one recorded market in a vendor's words, and answers what a session asks.

What was recorded of a vendor is played as it was sent. What was not, a whole book at any moment above all, is
written here as the vendor would write it, by nothing that livetape reads with. ``%d`` in a frame stands for
its number on the connection.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from msgspec import Raw
from msgspec.json import encode

from livetape.adapters.binance import Binance
from livetape.adapters.binance_coinm import BinanceCoinm
from livetape.adapters.bitfinex import Bitfinex
from livetape.adapters.bitstamp import Bitstamp
from livetape.adapters.bybit import Bybit
from livetape.adapters.coinbase import Coinbase
from livetape.adapters.coinbase_v3 import CoinbaseV3
from livetape.adapters.deribit import Deribit
from livetape.adapters.gemini import Gemini
from livetape.adapters.gemini_v1 import GeminiV1
from livetape.adapters.gemini_v3 import GeminiV3
from livetape.adapters.kraken import Kraken
from livetape.adapters.kraken_futures import KrakenFutures
from livetape.adapters.kraken_v1 import KrakenV1
from livetape.adapters.okx import OKX
from livetape.core.adapter import Adapter

from .recordings import Frames, crossbook, cryptofeed, hftbacktest, is_depth
from .truth import Levels, Truth

FIRST = 1000  #: the number of a book before all that is written here
LONGEST = 600  #: updates of a recording that are played
STRAYS = [("0.01", "0"), ("98765.4", "0")]  #: deletes of levels that no book has
STAMP = "2026-08-02T04:23:43.220187Z"
MS = 1785644623220  #: the same
Said = dict[str, Any]


class Venue(ABC):
    """One channel of a vendor. ``frame(i)`` is pushed as the ``i``-th, ``whole(i)`` tells all as of then."""

    symbol: ClassVar[str]  #: ours
    kind: ClassVar[str] = "book"
    proves: ClassVar[str] = "order"  #: or "content", or nothing
    proves_whole: ClassVar[bool] = True  #: whether the proof reaches what a new subscriber is told first
    first: ClassVar[int] = 0  #: number of the first frame of a connection
    greets: ClassVar[bool] = False  #: whether the book comes without being asked for
    asking: ClassVar[tuple[bytes, ...]] = (b'"subscribe"', b'"book"')  #: all in a request that it answers
    beat: ClassVar[bytes] = b""  #: what it sends from time to time by itself
    tells: ClassVar[tuple[str, ...]] = ("update", "whole")  #: its messages that may meet a fault

    times: list[int]  #: when each frame was received, in ns

    @abstractmethod
    def adapter(self) -> Adapter:
        """A new client of this venue."""

    @abstractmethod
    def frame(self, index: int) -> bytes:
        """What is pushed as the ``index``-th."""

    @abstractmethod
    def whole(self, index: int) -> bytes:
        """What a new subscriber is told, or a fetch, after frame ``index``."""

    def body(self, path: str, index: int) -> bytes:
        """What REST answers after frame ``index``."""
        return self.whole(index)

    def asks(self, sent: bytes) -> bool:
        """Whether a request is answered with the whole, too."""
        return bool(self.asking) and all(word in sent for word in self.asking)

    def answer(self, sent: bytes) -> bytes:
        """What a request is answered with at first."""
        return encode(self.words(json.loads(sent)))

    def words(self, said: Said) -> Said:
        """The answer to a request in JSON, an echo where the vendor has no better one."""
        return said


class Change(NamedTuple):
    """What one message says of a book; ``frame`` is it as recorded."""

    ns: int
    bids: Levels
    asks: Levels
    seq: int = 0
    frame: bytes = b""


class BookVenue(Venue):
    """A book, from ``before`` on."""

    keeps: ClassVar[int | None] = None  #: levels a side beyond which the venue forgets without a word

    def __init__(self, before: Truth, changes: Sequence[Change]) -> None:
        self.changes = list(changes[:LONGEST])
        self.times = [change.ns for change in self.changes]
        self._truths = {-1: before}
        self._places = {change.seq: i for i, change in enumerate(self.changes) if change.seq}

    @classmethod
    def recorded(cls, frames: Frames, before: Truth | None = None) -> Self:
        """Play ``frames``, of which ``before`` or the first that is whole is the beginning."""
        changes = []
        for ns, frame in frames:
            whole, bids, asks, seq = cls.read(json.loads(frame, parse_float=str, parse_int=str))
            if whole:
                assert before is None
                before = Truth().after(bids, asks, seq=seq)
            elif before is not None:
                changes.append(Change(ns, bids, asks, seq, frame))
        assert before is not None
        return cls(before, [change for change in changes if not change.seq or change.seq > before.seq])

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        """Whether a recorded message is the whole book, its levels and its number.

        Venues whose frames are written here, from another one's recording, have none to be read.
        """
        raise TypeError(f"there is no recording to read {said!r} from")

    def truth(self, index: int) -> Truth:
        """The book after frame ``index``."""
        for i in range(max(i for i in self._truths if i <= index) + 1, index + 1):
            change = self.changes[i]
            self._truths[i] = self._truths[i - 1].after(
                change.bids, change.asks, depth=self.keeps, seq=change.seq
            )
        return self._truths[index]

    def index(self, seq: int | None, otherwise: int) -> int:
        """The frame that leads to the book with the number ``seq``; ``otherwise`` where none does."""
        return self._places.get(seq or 0, otherwise)

    def forget(self, index: int) -> None:
        """Nothing before frame ``index`` will be asked for any more."""
        self.truth(index)
        self._truths = {i: truth for i, truth in self._truths.items() if i >= index}

    def frame(self, index: int) -> bytes:
        change = self.changes[index]
        prev = self.truth(index - 1).seq
        return change.frame or self.say(change.bids, change.asks, self.truth(index), prev)

    def whole(self, index: int) -> bytes:
        truth = self.truth(index)
        truth.frame = truth.frame or self.say(*truth.top(None), truth)
        return truth.frame

    @abstractmethod
    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        """A message that leads to ``truth``, from the book with the number ``prev``, or tells it whole."""


class Written(BookVenue):
    """The market of another venue in the words of this one, numbered in steps."""

    step: ClassVar[int] = 1

    def __init__(self, source: BookVenue, strays: Sequence[tuple[str, str]] = ()) -> None:
        """``strays`` are said with each change, on either side."""
        changes = [
            Change(change.ns, [*change.bids, *strays], [*strays, *change.asks], FIRST + self.step * (i + 1))
            for i, change in enumerate(source.changes)
        ]
        super().__init__(Truth(source.truth(-1).sides, FIRST), changes)


def bare(levels: Levels, *names: str) -> list[Any]:
    """Levels whose prices and sizes are numbers in JSON: rows, or with ``names`` objects."""
    rows = [[Raw(price.encode()), Raw(size.encode())] for price, size in levels]
    return [dict(zip(names, row, strict=True)) for row in rows] if names else rows


# Kraken


class KrakenBook(BookVenue):
    symbol, proves, keeps = "ETH-USD", "content", 25

    def adapter(self) -> Adapter:
        return Kraken({"depth": self.keeps})

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        [book] = said["data"]
        bids, asks = ([(each["price"], each["qty"]) for each in book[side]] for side in ("bids", "asks"))
        return said["type"] == "snapshot", bids, asks, 0

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        sides = {"bids": bare(bids, "price", "qty"), "asks": bare(asks, "price", "qty")}
        book = {"symbol": "ETH/USD", **sides, "checksum": truth.crc(), "timestamp": STAMP}
        return encode({"channel": "book", "type": "snapshot", "data": [book]})

    def words(self, said: Said) -> Said:
        result = {"channel": "book", "symbol": "ETH/USD", "depth": self.keeps}
        method = said["method"]
        return {"method": "pong"} if method == "ping" else {"method": method, "result": result}


class KrakenV1Book(BookVenue):
    symbol, proves, proves_whole, keeps = "XMR-USD", "content", False, 1000
    native: ClassVar[str] = "XMR/USD"

    def adapter(self) -> Adapter:
        return KrakenV1({"depth": self.keeps})

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        told = {side: rows for part in said[1:-2] for side, rows in part.items()}
        whole = "as" in told
        sides = ("bs", "as") if whole else ("b", "a")
        bids, asks = ([(row[0], row[1]) for row in told.get(side, [])] for side in sides)
        return whole, bids, asks, 0

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        told = {
            name: [(*level, "1618678132.9") for level in side] for name, side in (("as", asks), ("bs", bids))
        }
        return encode([992, told, f"book-{self.keeps}", self.native])

    def words(self, said: Said) -> Said:
        if said["event"] == "ping":
            return {"event": "pong"}
        of = {"name": "book", "depth": self.keeps}
        status = said["event"] + "d"
        return {"event": "subscriptionStatus", "pair": self.native, "status": status, "subscription": of}


class KrakenFuturesBook(BookVenue):
    symbol = "FI-BTC-USD-210924"
    native: ClassVar[str] = "FI_XBTUSD_210924"

    def adapter(self) -> Adapter:
        return KrakenFutures()

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        if said["feed"] == "book_snapshot":
            bids, asks = ([(each["price"], each["qty"]) for each in said[side]] for side in ("bids", "asks"))
            return True, bids, asks, int(said["seq"])
        level = [(said["price"], said["qty"])]
        bids, asks = (level, []) if said["side"] == "buy" else ([], level)
        return False, bids, asks, int(said["seq"])

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        sides = {"bids": bare(bids, "price", "qty"), "asks": bare(asks, "price", "qty")}
        head = {"feed": "book_snapshot", "product_id": self.native, "timestamp": MS, "seq": truth.seq}
        return encode({**head, "tickSize": None, **sides})

    def words(self, said: Said) -> Said:
        return {**said, "event": said["event"] + "d"}


# Binance


class BinanceBook(BookVenue):
    symbol, asking = "BTC-USDT", ()

    def adapter(self) -> Adapter:
        return Binance()

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        data = said.get("data", said)
        bids, asks = ([(p, q) for p, q in data.get(name) or data[name[0]]] for name in ("bids", "asks"))
        whole = "lastUpdateId" in data
        return whole, bids, asks, int(data["lastUpdateId" if whole else "u"])

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        return encode({"lastUpdateId": truth.seq, "bids": bids[:1000], "asks": asks[:1000]})

    def words(self, said: Said) -> Said:
        return {"result": None, "id": said["id"]}


class BinanceCoinmBook(BinanceBook):
    symbol = "BTC-USD-PERP"

    def adapter(self) -> Adapter:
        return BinanceCoinm()


# Others that were recorded


class OKXChecksum(BookVenue):
    symbol, proves, asking = "XMR-USDT-SWAP", "content", (b'"subscribe"', b'"books"')
    arg: ClassVar[Said] = {"channel": "books", "instId": symbol}

    def adapter(self) -> Adapter:
        return OKX()

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        [book] = said["data"]
        bids, asks = ([(row[0], row[1]) for row in book[side]] for side in ("bids", "asks"))
        return said["action"] == "snapshot", bids, asks, 0

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        return self._told("snapshot", bids, asks, {"checksum": _crc_of_turns(truth)})

    def _told(self, action: str, bids: Levels, asks: Levels, proof: Mapping[str, int]) -> bytes:
        sides = {
            name: [(*level, "0", "1") for level in side] for name, side in (("asks", asks), ("bids", bids))
        }
        book = {**sides, "ts": "1", **proof}
        return encode({"arg": self.arg, "action": action, "data": [book]})

    def answer(self, sent: bytes) -> bytes:
        return b"pong" if sent == b"ping" else super().answer(sent)

    def words(self, said: Said) -> Said:
        return {"event": said["op"], "arg": self.arg}


def _crc_of_turns(truth: Truth) -> int:
    """CRC32, signed, of the best bid, the best ask, the second bid and so on: 25 a side."""
    turns = [level for level in chain(*zip_longest(*truth.top(25))) if level]
    return int.from_bytes(crc32(":".join(chain(*turns)).encode()).to_bytes(4), signed=True)


class BitfinexBook(BookVenue):
    symbol, first = "IOT-ETH", 1
    native: ClassVar[str] = "tIOTETH"
    number: ClassVar[int] = 232955
    beat = b'[232955,"hb",%d]'

    def adapter(self) -> Adapter:
        return Bitfinex({"depth": 100})

    def frame(self, index: int) -> bytes:
        head, _, _ = super().frame(index).rpartition(b",")
        return head + b",%d]"

    @staticmethod
    def read(said: Any) -> tuple[bool, Levels, Levels, int]:
        whole = isinstance(said[1][0], list)
        sides: tuple[Levels, Levels] = ([], [])
        for price, count, amount in said[1] if whole else [said[1]]:
            size = amount.removeprefix("-") if int(count) else "0"
            sides[amount.startswith("-")].append((price, size))
        return whole, *sides, 0

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        signed = [*bids, *((price, f"-{size}") for price, size in asks)]
        rows = [[Raw(price.encode()), 1, Raw(amount.encode())] for price, amount in signed]
        return encode([self.number, rows, Raw(b"%d")])

    def words(self, said: Said) -> Said:
        match said["event"]:
            case "subscribe":
                return {
                    "event": "subscribed",
                    "channel": "book",
                    "chanId": self.number,
                    "symbol": self.native,
                }
            case "unsubscribe":
                return {"event": "unsubscribed", "status": "OK", "chanId": said["chanId"]}
            case "ping":
                return {"event": "pong"}
        return {"event": "conf", "status": "OK"}


# Others, in the words of which a recorded market is told


class OKXChain(Written, OKXChecksum):
    proves, step = "order", 7

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        action, before = ("snapshot", -1) if prev is None else ("update", prev)
        return self._told(action, bids, asks, {"checksum": 0, "seqId": truth.seq, "prevSeqId": before})


class BybitBook(Written):
    symbol, asking = "BTC-USDT", (b'"subscribe"', b"orderbook")

    def adapter(self) -> Adapter:
        return Bybit()

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": truth.seq, "seq": 3 * truth.seq}
        what = "snapshot" if prev is None else "delta"
        return encode({"topic": "orderbook.50.BTCUSDT", "type": what, "ts": MS, "data": data, "cts": MS})

    def words(self, said: Said) -> Said:
        word = "pong" if said["op"] == "ping" else ""
        return {"success": True, "ret_msg": word, "op": said["op"], "req_id": said.get("req_id", "")}


class DeribitBook(Written):
    symbol, step = "BTC-PERPETUAL", 5
    asking = (b'"public/subscribe"', b"book")

    def adapter(self) -> Adapter:
        return Deribit()

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        sides = {
            name: [_verb(level, prev) for level in side] for name, side in (("bids", bids), ("asks", asks))
        }
        head = {"type": "snapshot"} if prev is None else {"type": "change", "prev_change_id": prev}
        data = {**head, "timestamp": MS, "instrument_name": self.symbol, "change_id": truth.seq, **sides}
        params = {"channel": f"book.{self.symbol}.100ms", "data": data}
        return encode({"jsonrpc": "2.0", "method": "subscription", "params": params})

    def words(self, said: Said) -> Said:
        return {"jsonrpc": "2.0", "id": said["id"], "result": said["params"].get("channels", {})}


def _verb(level: tuple[str, str], prev: int | None) -> list[Any]:
    verb = "new" if prev is None else "change" if float(level[1]) else "delete"
    return [verb, *bare([level])[0]]


class GeminiV3Book(Written):
    symbol, step = "BTC-USD", 5
    asking = (b'"subscribe"', b"depth")

    def adapter(self) -> Adapter:
        return GeminiV3()

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        numbers = {"U": truth.seq if prev is None else prev, "u": truth.seq}
        return encode({"e": "depthUpdate", "E": MS * 10**6, "s": "btcusd", **numbers, "b": bids, "a": asks})

    def words(self, said: Said) -> Said:
        return {"id": said["id"], "status": 200}


class GeminiV1Book(Written):
    symbol, greets = "BTC-USD", True
    beat = b'{"type":"heartbeat","socket_sequence":%d}'

    def adapter(self) -> Adapter:
        return GeminiV1()

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        reason = "initial" if prev is None else "place"
        events = [
            {"type": "change", "side": side, "price": price, "remaining": size, "reason": reason}
            for side, levels in (("bid", bids), ("ask", asks))
            for price, size in levels
        ]
        numbers = {"eventId": truth.seq, "socket_sequence": Raw(b"%d")}
        return encode({"type": "update", **numbers, "timestampms": MS, "events": events})


class CoinbaseV3Book(Written):
    symbol, asking = "BTC-USD", (b'"subscribe"', b'"level2"')
    beat = encode({"channel": "heartbeats", "timestamp": STAMP, "sequence_num": Raw(b"%d"), "events": [{}]})

    def adapter(self) -> Adapter:
        return CoinbaseV3()

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        updates = [
            {"side": side, "event_time": STAMP, "price_level": price, "new_quantity": size}
            for side, levels in (("bid", bids), ("offer", asks))
            for price, size in levels
        ]
        what = "snapshot" if prev is None else "update"
        return self._told("l2_data", {"type": what, "product_id": self.symbol, "updates": updates})

    def answer(self, sent: bytes) -> bytes:
        return self._told("subscriptions", {"subscriptions": {"level2": [self.symbol]}})

    def _told(self, channel: str, event: Said) -> bytes:
        head = {"channel": channel, "client_id": "", "timestamp": STAMP}
        return encode({**head, "sequence_num": Raw(b"%d"), "events": [event]})


# Those that prove nothing


class GeminiBook(Written):
    symbol, proves, asking = "BTC-USD", "", (b'"subscribe"', b'"l2"')

    def adapter(self) -> Adapter:
        return Gemini({"audit_s": 0})

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        changes = [(side, *level) for side, levels in (("buy", bids), ("sell", asks)) for level in levels]
        more: Said = {"trades": []} if prev is None else {}
        return encode({"type": "l2_updates", "symbol": "BTCUSD", "changes": changes, **more})

    def words(self, said: Said) -> Said:
        return {"type": "heartbeat", "timestamp": MS}


class CoinbaseBook(Written):
    symbol, proves, asking = "BTC-USD", "", (b'"subscribe"', b'"level2')

    def adapter(self) -> Adapter:
        return Coinbase({"audit_s": 0})

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        if prev is None:
            return encode({"type": "snapshot", "product_id": self.symbol, "bids": bids, "asks": asks})
        changes = [(side, *level) for side, levels in (("buy", bids), ("sell", asks)) for level in levels]
        return encode({"type": "l2update", "product_id": self.symbol, "changes": changes, "time": STAMP})

    def words(self, said: Said) -> Said:
        return {"type": "subscriptions", "channels": []}


class BitstampBook(Written):
    symbol, proves, asking = "BTC-USD", "", ()
    channel: ClassVar[str] = "diff_order_book_btcusd"

    def adapter(self) -> Adapter:
        return Bitstamp({"audit_s": 0})

    def say(self, bids: Levels, asks: Levels, truth: Truth, prev: int | None = None) -> bytes:
        book = {"microtimestamp": str(truth.seq), "bids": bids, "asks": asks}
        return encode(book if prev is None else {"event": "data", "channel": self.channel, "data": book})

    def words(self, said: Said) -> Said:
        return {"event": "bts:subscription_succeeded", "channel": self.channel, "data": {}}


# Trades by number


class Print(NamedTuple):
    ns: int
    number: int
    price: str
    size: str
    sold: bool
    frame: bytes


class TradeVenue(Venue):
    """Trades that are numbered one by one."""

    kind, symbol = "trade", "BTC-USDT"

    def __init__(self, prints: Sequence[Print]) -> None:
        self.prints = list(prints[:LONGEST])
        self.times = [each.ns for each in self.prints]

    @classmethod
    def recorded(cls, frames: Frames) -> Self:
        """Play Binance's trades, numbered from FIRST on."""
        prints = []
        for number, (ns, frame) in enumerate(frames, FIRST):
            told = json.loads(frame)["data"]
            frame = frame.replace(b'"t":%d' % told["t"], b'"t":%d' % number)
            prints.append(Print(ns, number, told["p"], told["q"], told["m"], frame))
        return cls(prints)


class BinanceTrades(TradeVenue):
    asking, tells = (), ("update",)

    def adapter(self) -> Adapter:
        return Binance()

    def frame(self, index: int) -> bytes:
        return self.prints[index].frame

    def whole(self, index: int) -> bytes:
        """The last thousand, over REST."""
        return encode([self._row(p) for p in self.prints[max(0, index - 999) : index + 1]])

    @staticmethod
    def _row(p: Print) -> Said:
        at = {"id": p.number, "time": p.ns // 10**6}
        return {"price": p.price, "qty": p.size, "isBuyerMaker": p.sold, **at}

    words = BinanceBook.words


class KrakenTrades(TradeVenue):
    asking = (b'"subscribe"', b'"trade"')

    def adapter(self) -> Adapter:
        return Kraken()

    def frame(self, index: int) -> bytes:
        return self._told("update", self.prints[index : index + 1])

    def whole(self, index: int) -> bytes:
        """The last fifty."""
        return self._told("snapshot", self.prints[max(0, index - 49) : index + 1])

    def _told(self, what: str, prints: list[Print]) -> bytes:
        return encode({"channel": "trade", "type": what, "data": [self._row(p) for p in prints]})

    @staticmethod
    def _row(p: Print) -> Said:
        [level] = bare([(p.price, p.size)], "price", "qty")
        at = {"trade_id": p.number, "timestamp": datetime.fromtimestamp(p.ns / 1e9, UTC)}
        return {"symbol": "BTC/USDT", "side": _side(p), **level, "ord_type": "limit", **at}

    def body(self, path: str, index: int) -> bytes:
        """A thousand since a time, over REST."""
        since = int(parse_qs(urlsplit(path).query)["since"][0])
        prints = [p for p in self.prints[: index + 1] if p.ns >= since][:1000]
        rows = [[p.price, p.size, _seconds(p), _side(p)[0], "l", "", p.number] for p in prints]
        return encode({"error": [], "result": {"XBTUSDT": rows, "last": str(prints[-1].ns)}})

    def words(self, said: Said) -> Said:
        result = {"channel": "trade", "symbol": "BTC/USDT"}
        method = said["method"]
        return {"method": "pong"} if method == "ping" else {"method": method, "result": result}


def _side(p: Print) -> str:
    return "sell" if p.sold else "buy"


def _seconds(p: Print) -> Raw:
    return Raw(b"%d.%07d" % (p.ns // 10**9, p.ns % 10**9 // 100))


def kraken(root: Path) -> BookVenue:
    frames = crossbook(root / "kraken" / "crossbook_kraken_ethusd_sample.cbcap.gz")
    return KrakenBook.recorded(having(frames, b'"channel":"book","type"'))


def kraken_v1(root: Path) -> BookVenue:
    frames = cryptofeed(root / "kraken_v1_legacy" / "cryptofeed_20210417_KRAKEN.ws.50.0.txt.gz")
    return KrakenV1Book.recorded(having(frames, b'"book-1000","XMR/USD"]'))


def kraken_futures(root: Path) -> BookVenue:
    frames = cryptofeed(root / "kraken_futures" / "cryptofeed_20210722_KRAKEN_FUTURES.ws.1.0.txt.gz")
    return KrakenFuturesBook.recorded(having(frames, b'"feed":"book', b'"FI_XBTUSD_210924"', b'"seq"'))


def bitfinex(root: Path) -> BookVenue:
    frames = cryptofeed(root / "bitfinex" / "cryptofeed_20210417_BITFINEX.ws.11.0.txt.gz")
    return BitfinexBook.recorded(having(frames, b"[232955,["))


def okx(root: Path) -> BookVenue:
    frames = cryptofeed(root / "okx" / "cryptofeed_20210722_OKEX.ws.1.0.txt.gz")
    return OKXChecksum.recorded(having(frames, b'"XMR-USDT-SWAP"', b'"action"'))


def binance(root: Path) -> Frames:
    return hftbacktest(root / "binance" / "hftbacktest_btcusdt_20240808.gz")


def coinm(root: Path) -> Frames:
    return hftbacktest(root / "binance_futures" / "hftbacktest_btcusd_perp_20240808.gz")


#: All that prove something, over the recordings below a directory.
PROVING: dict[str, Callable[[Path], Venue]] = {
    "kraken": kraken,
    "kraken v1": kraken_v1,
    "kraken trades": lambda root: KrakenTrades.recorded(having(binance(root), b'@trade"')),
    "kraken futures": kraken_futures,
    "binance": lambda root: BinanceBook.recorded(*fetched(binance(root))),
    "binance trades": lambda root: BinanceTrades.recorded(having(binance(root), b'@trade"')),
    "binance coinm": lambda root: BinanceCoinmBook.recorded(*fetched(coinm(root))),
    "okx until 2023": okx,
    "okx": lambda root: OKXChain(okx(root)),
    "bybit": lambda root: BybitBook(okx(root)),
    "deribit": lambda root: DeribitBook(okx(root)),
    "bitfinex": bitfinex,
    "coinbase v3": lambda root: CoinbaseV3Book(okx(root)),
    "gemini v1": lambda root: GeminiV1Book(okx(root)),
    "gemini v3": lambda root: GeminiV3Book(okx(root)),
}
#: Those that prove nothing, and delete now and then what is not there.
STRAYING: dict[str, Callable[[Path], BookVenue]] = {
    "bitstamp": lambda root: BitstampBook(okx(root), strays=STRAYS),
    "coinbase": lambda root: CoinbaseBook(okx(root), strays=STRAYS),
    "gemini": lambda root: GeminiBook(okx(root), strays=STRAYS),
}


def having(frames: Frames, *words: bytes) -> Frames:
    """The ``frames`` that hold all of ``words``."""
    return [(ns, frame) for ns, frame in frames if all(word in frame for word in words)]


def fetched(frames: Frames) -> tuple[Frames, Truth]:
    """The updates of a recording of Binance's, and the book that was fetched before them."""
    [body] = [frame for _, frame in frames if is_depth(frame)]
    _, bids, asks, seq = BinanceBook.read(json.loads(body))
    return having(frames, b'"depthUpdate"'), Truth().after(bids, asks, seq=seq)
