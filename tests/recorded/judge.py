"""What a session makes of a recording, and the recordings that judge each venue."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from livetape.adapters import find
from livetape.core.adapter import Adapter
from livetape.core.book import Book
from livetape.core.effects import Fetch
from livetape.core.errors import DecodeError
from livetape.core.events import BookUpdate, Gap, MarketEvent, Quote, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import Frames, crossbook, cryptofeed, cryptofeed_rest, hftbacktest, is_depth, transcoded

Answers = list[tuple[int, str, bytes]]  #: time in ns, native symbol and body of a REST answer


class Verdict(NamedTuple):
    """How a recording came out."""

    messages: int  #: about books
    verified: int  #: of them handed out as verified
    checksums: int  #: compared
    quotes: int  #: whose number is that of a book and which show its best levels
    differ: int  #: likewise, and do not
    gaps: int
    crossed: int
    undecodable: int


class Recording(NamedTuple):
    """A file of a venue's frames, and how it is read."""

    venue: str
    files: tuple[str, ...]  #: the frames, then the REST answers where they are in a file of their own
    read: Callable[[Path], Frames]
    api: str = ""
    options: Mapping[str, object] = MappingProxyType({})

    def judged(self, root: Path) -> Verdict:
        """Drive a session with the recording."""
        frames: Frames = self.read(root / self.files[0])
        answers: Answers = [answer for file in self.files[1:] for answer in cryptofeed_rest(root / file)]
        answers += [(ns, "", frame) for ns, frame in frames if is_depth(frame)]
        return judged(
            partial(find(self.venue, self.api), self.options),
            [(ns, frame) for ns, frame in frames if not is_depth(frame)],
            answers,
        )


def judged(make: Callable[[], Adapter], frames: Frames, answers: Answers) -> Verdict:
    """Drive a session with ``frames``; an answer comes at its time, once it is asked for."""
    adapter, checksums = make(), 0
    compute = adapter.checksum

    def checksum(book: Book) -> int | None:
        nonlocal checksums
        checksums += 1
        return compute(book)

    adapter.checksum = checksum  # type: ignore[method-assign]
    told: list[MarketEvent] = []
    best: dict[tuple[str, int], tuple[str | None, ...]] = {}
    crossed = 0

    def keep(event: MarketEvent) -> None:
        nonlocal crossed
        told.append(event)
        if isinstance(event, BookUpdate):
            book = event.book
            crossed += book.crossed
            if book.seq is not None:
                bid, ask = book.bids.best() or (None, None), book.asks.best() or (None, None)
                best[event.symbol, book.seq] = (*bid, *ask)

    session = opened(adapter, channels_in(make(), frames), frames[0][0], keep)
    due: list[str] = []
    todo = list(answers)
    for ns, frame in frames:
        session.receive(frame, ns)
        due += [effect.name for effect in session.effects() if isinstance(effect, Fetch)]
        for answer in [answer for answer in todo if answer[0] <= ns]:
            symbol = adapter.canonical(answer[1]) if answer[1] else "".join(due[:1])
            if symbol in due:
                due.remove(symbol)
                todo.remove(answer)
                session.fetched(symbol, answer[2], ns)
    assert conserved(session)
    updates = [event for event in told if isinstance(event, BookUpdate)]
    quotes = [q for q in told if isinstance(q, Quote) and (q.symbol, q.venue_seq) in best]
    shown = [(q.bid_text, q.bid_size_text, q.ask_text, q.ask_size_text) for q in quotes]
    equal = sum(best[q.symbol, q.venue_seq or 0] == seen for q, seen in zip(quotes, shown, strict=True))
    return Verdict(
        len(updates),
        sum(update.trust is Trust.VERIFIED for update in updates),
        checksums,
        equal,
        len(quotes) - equal,
        sum(isinstance(event, Gap) for event in told),
        crossed,
        session.undecodable,
    )


def channels_in(adapter: Adapter, frames: Frames) -> list[Channel]:
    """The channels that ``frames`` are about: books, trades and the venue's own quotes."""
    names: dict[str, None] = {}
    for _, frame in frames:
        try:
            messages = adapter.decode(frame)
        except DecodeError:
            continue
        names |= dict.fromkeys(m.channel for m in messages if isinstance(m, BookUpdate | Trade | Quote))
    return [Channel.parse(name) for name in names]


_BINANCE = "binance/cryptofeed_20211011_BINANCE"
_US = "binance_us/cryptofeed_20211011_BINANCE_US"
_BITSTAMP = "bitstamp/cryptofeed_20220104_BITSTAMP"
RECORDINGS = [
    Recording("kraken", ("kraken/crossbook_kraken_btcusd_l2.cbcap.gz",), crossbook),
    Recording(
        "kraken", ("kraken/crossbook_kraken_ethusd_sample.cbcap.gz",), crossbook, options={"depth": 25}
    ),
    Recording(
        "kraken", ("kraken/TRANSCODED_v1_20210417_book1000.tsv.gz",), transcoded, options={"depth": 1000}
    ),
    Recording(
        "kraken",
        ("kraken_v1_legacy/cryptofeed_20210417_KRAKEN.ws.50.0.txt.gz",),
        cryptofeed,
        "v1",
        {"depth": 1000},
    ),
    Recording("okx", ("okx/cryptofeed_20210722_OKEX.ws.1.0.txt.gz",), cryptofeed),
    Recording("okx", ("okx/cryptofeed_20220513_OKX.ws.1.0.txt.gz",), cryptofeed),
    Recording("binance", (f"{_BINANCE}.ws.1.0.txt.gz", f"{_BINANCE}.http.0.0.txt.gz"), cryptofeed),
    Recording("binance", ("binance/hftbacktest_btcusdt_20240808.gz",), hftbacktest),
    Recording("binance_us", (f"{_US}.ws.1.0.txt.gz", f"{_US}.http.0.0.txt.gz"), cryptofeed),
    Recording("binance_coinm", ("binance_futures/hftbacktest_btcusd_perp_20240808.gz",), hftbacktest),
    Recording(
        "bitfinex",
        ("bitfinex/cryptofeed_20210417_BITFINEX.ws.11.0.txt.gz",),
        cryptofeed,
        options={"depth": 100},
    ),
    Recording(
        "kraken_futures", ("kraken_futures/cryptofeed_20210722_KRAKEN_FUTURES.ws.1.0.txt.gz",), cryptofeed
    ),
    Recording("bitmex", ("bitmex/cryptofeed_20210722_BITMEX.ws.1.0.txt.gz",), cryptofeed),
    Recording("bitstamp", (f"{_BITSTAMP}.ws.1.0.txt.gz", f"{_BITSTAMP}.http.0.0.txt.gz"), cryptofeed),
    Recording("deribit", ("deribit/cryptofeed_20210722_DERIBIT.ws.1.0.txt.gz",), cryptofeed),
    Recording("coinbase", ("coinbase_exchange/cryptofeed_20210417_COINBASE.ws.28.0_dev.txt.gz",), cryptofeed),
    Recording("gemini", ("gemini/cryptofeed_20210623_GEMINI.ws.1.0.txt.gz",), cryptofeed),
    Recording("hyperliquid", ("hyperliquid/hftbacktest_btcusd_20250126_part1.txt.gz",), hftbacktest),
]
