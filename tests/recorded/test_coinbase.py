"""Coinbase Exchange proves no book; none must cross, and its own ticker tells the best prices."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

from livetape.adapters.coinbase import Coinbase
from livetape.core.book import Book
from livetape.core.events import BookUpdate, Gap, MarketEvent, Trade, Trust
from livetape.core.instruments import Channel

from ..sessions import conserved, opened
from .recordings import cryptofeed

PRODUCTS = ("DASH-BTC", "BAND-BTC", "CRV-EUR", "BAND-GBP", "NU-GBP")
RECORDED = "coinbase_exchange/cryptofeed_20210417_COINBASE"


def test_books_never_cross_and_agree_with_the_ticker(recordings: Path) -> None:
    frames = cryptofeed(recordings / f"{RECORDED}.ws.28.0_dev.txt.gz")
    books: dict[str, Book] = {}
    events: list[MarketEvent] = []

    def keep(event: MarketEvent) -> None:
        events.append(event)
        if isinstance(event, BookUpdate):
            assert not event.book.crossed
            books[event.symbol] = event.book

    channels = [Channel("coinbase", product, kind) for product in PRODUCTS for kind in ("book", "trade")]
    session = opened(Coinbase(), channels, frames[0][0], keep)
    equal = tickers = 0
    for ns, frame in frames:
        session.receive(frame, ns)
        if b'"ticker","sequence"' in frame:
            ticker = json.loads(frame)
            best = [Decimal(ticker["best_bid"]), Decimal(ticker["best_ask"])]
            book = books[ticker["product_id"]]
            tickers += 1
            equal += best == [Decimal(level[0]) for side in (book.bids, book.asks) if (level := side.best())]

    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert (len(updates), sum(update.snapshot for update in updates)) == (4147 + 5, 5)
    assert {update.trust for update in updates} == {Trust.UNVERIFIABLE}
    assert (equal, tickers) == (29, 33)  # the ticker is not in step with the book
    trades = [event for event in events if isinstance(event, Trade)]
    assert len(trades) == 28
    assert {trade.trust for trade in trades} == {Trust.VERIFIED}
    assert [event for event in events if isinstance(event, Gap)] == []
    assert session.undecodable == 0
    assert session.effects()[len(PRODUCTS) :] == []  # nothing was asked for anew
    assert conserved(session)


def test_the_last_match_and_the_ticker_agree_on_who_was_the_aggressor(recordings: Path) -> None:
    frames = [frame for _, frame in cryptofeed(recordings / f"{RECORDED}.ws.28.0_dev.txt.gz")]
    said = {
        (t["product_id"], t["trade_id"]): t["side"]
        for f in frames
        if (t := json.loads(f))["type"] == "ticker"
    }
    adapter = Coinbase()
    trades = [m for f in frames if b'match"' in f[:40] for m in adapter.decode(f) if isinstance(m, Trade)]
    assert len(trades) == 33
    assert all(said[trade.symbol, trade.number] == trade.side for trade in trades)


def test_the_listing_is_read(recordings: Path) -> None:
    _, _, line = read_text(recordings / f"{RECORDED}.0.txt.gz").partition(" -> ")
    body = line.partition(": ")[2].partition("\n")[0].encode()
    products = Coinbase().decode_symbols("/products", body)
    assert len(products) == sum(each["status"] == "online" for each in json.loads(body)) > 0
    assert all(product.symbol == product.native for product in products)


def test_every_sample_decodes(recordings: Path) -> None:
    lines = (recordings / "format_samples" / "tardis_coinbase_exchange.jsonl").read_text().splitlines()
    assert len(lines) == 9
    for line in lines:
        assert Coinbase().decode(json.dumps(json.loads(line)["message"]).encode())


def read_text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()
