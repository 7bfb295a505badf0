"""Bitfinex numbers every frame of a connection, and deletes no level that is not there."""

import gzip
import json
from collections import Counter
from pathlib import Path

from livetape.adapters.bitfinex import Bitfinex
from livetape.core.adapter import Adapter
from livetape.core.effects import Send
from livetape.core.events import BookUpdate, Gap, MarketEvent, Summary, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import cryptofeed

RECORDED = "bitfinex/cryptofeed_20210417_BITFINEX.ws.11.0.txt.gz"
PAIRS = "bitfinex/cryptofeed_20210919_BITFINEX.0.txt.gz"


def test_no_number_of_the_connection_is_missing(recordings: Path) -> None:
    frames = cryptofeed(recordings / RECORDED)
    symbols = {json.loads(f)["symbol"] for _, f in frames if f.startswith(b'{"event":"subscribed"')}
    told: Counter[str] = Counter()
    known: set[tuple[str, str, str]] = set()  # channel, side and price of each level that is there
    absent = 0
    trusts: set[Trust] = set()

    def keep(event: MarketEvent) -> None:
        nonlocal absent
        told[type(event).__name__] += 1
        if isinstance(event, BookUpdate):
            assert not event.book.crossed
            assert max(len(event.book.bids), len(event.book.asks)) <= 100
            trusts.add(event.trust)
            for side, levels in (("bid", event.bids), ("ask", event.asks)):
                for price, size in levels:
                    level = (event.channel, side, price)
                    absent += size == "0" and level not in known
                    (known.discard if size == "0" else known.add)(level)

    channels = [
        Channel("bitfinex", Bitfinex.canonical(symbol), kind)
        for symbol in sorted(symbols)
        for kind in ("book", "trade", "summary")
    ]
    assert len(channels) == 21
    session = opened(Bitfinex({"depth": 100}), channels, frames[0][0], keep)
    session.effects()
    for ns, frame in frames:
        session.receive(frame, ns)

    assert sum(frame.startswith(b"[") for _, frame in frames) == 1670
    assert (told[BookUpdate.__name__], told[Summary.__name__]) == (1593 + 7, 21)
    assert trusts == {Trust.VERIFIED}
    assert (told[Gap.__name__], absent, session.undecodable) == (0, 0, 0)
    asked = {json.loads(effect.frame)["symbol"] for effect in session.effects() if isinstance(effect, Send)}
    assert asked == {"tBFTUSD", "tSNGUSD"}  # whose books took the venue more than ten seconds
    assert conserved(session)


def test_the_ticker_sums_the_25_best_levels_of_the_book(recordings: Path) -> None:
    """So its sizes are none of a quote, and where both were sent together they judge the book."""
    frames = cryptofeed(recordings / RECORDED)
    tickers = {
        said["chanId"]: Bitfinex.canonical(said["symbol"])
        for _, frame in frames
        if b'"channel":"ticker"' in frame and (said := json.loads(frame))
    }
    channels = [Channel("bitfinex", symbol, "book") for symbol in tickers.values()]
    session = opened(Bitfinex({"depth": 100}), channels, frames[0][0])
    equal = compared = 0
    for ns, frame in frames:
        session.receive(frame, ns)
        said = json.loads(frame)
        if isinstance(said, list) and said[0] in tickers and len(said[1]) == 10:
            book = session.channels[f"bitfinex:{tickers[said[0]]}/book"].book
            for side, place in ((book.bids, 1), (book.asks, 3)) if book else ():
                compared += 1
                equal += abs(sum(float(size) for _, size in side.top(25)) - said[1][place]) < 1e-7
    assert (equal, compared) == (9, 28)


def test_every_listed_pair_is_spelt_both_ways(recordings: Path) -> None:
    adapter: Adapter = Bitfinex()
    lines = gzip.decompress((recordings / PAIRS).read_bytes()).decode().splitlines()
    bodies = [line.partition(" -> ")[2].partition(": ")[2].encode() for line in lines if "list:pair" in line]
    assert len(bodies) == 2  # spot and futures
    for body in bodies:
        listed = adapter.decode_symbols(adapter.symbols_paths()[0], body)
        assert len({instrument.symbol for instrument in listed}) == len(json.loads(body)[0]) > 30
        for instrument in listed:
            [request] = adapter.subscribe([Channel("bitfinex", instrument.symbol, "trade")])
            assert json.loads(request)["symbol"] == instrument.native
            assert adapter.canonical(instrument.native) == instrument.symbol


def test_every_sample_decodes(recordings: Path) -> None:
    adapter = Bitfinex()
    lines = (recordings / "format_samples" / "tardis_bitfinex.jsonl").read_text().splitlines()
    assert len(lines) == 17
    for line in lines:
        assert adapter.decode(json.dumps(json.loads(line)["message"], separators=(",", ":")).encode())
