"""Each change of a book names the one before it."""

import gzip
from collections import Counter
from pathlib import Path

from livetape.adapters.deribit import Deribit
from livetape.core.events import Ack, BookUpdate, Gap, MarketEvent, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened
from .recordings import Frames, cryptofeed, samples

RECORDED = Path("deribit", "cryptofeed_20210722_DERIBIT.ws.1.0.txt.gz")
OPTIONS = [
    "BTC-24SEP21-8000-P",
    "BTC-30JUL21-24000-P",
    "ETH-30JUL21-2800-C",
    "BTC-31DEC21-34000-P",
    "BTC-24SEP21-34000-P",
    "BTC-24JUN22-15000-C",
    "BTC-31DEC21-300000-C",
    "ETH-27AUG21-4000-P",
    "BTC-25MAR22-30000-C",
    "ETH-23JUL21-2300-C",
]
KINDS = ("book", "trade", "quote", "summary", "mark")


def played(frames: Frames) -> tuple[Session, list[MarketEvent]]:
    channels = [Channel("deribit", symbol, kind) for symbol in OPTIONS for kind in KINDS]
    session = opened(Deribit(), channels, frames[0][0])
    session.effects()
    return session, [event for ns, frame in frames for event in session.receive(frame, ns)]


def test_ten_books_have_no_gap(recordings: Path) -> None:
    session, events = played(cryptofeed(recordings / RECORDED))
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert Counter(update.snapshot for update in updates) == {True: 10, False: 36}
    assert {update.trust for update in updates} == {Trust.VERIFIED}
    assert not any(update.book.crossed for update in updates)
    assert not [event for event in events if isinstance(event, Gap)]
    assert [event.kind for event in events].count("mark") >= 89  # and where its trust is told
    assert session.effects() == []
    assert session.undecodable == 0
    assert conserved(session)


def test_every_delete_is_of_a_level_that_was_there(recordings: Path) -> None:
    known: set[tuple[str, str, str]] = set()
    deletes = 0
    for _, frame in cryptofeed(recordings / RECORDED):
        for message in Deribit().decode(frame):
            if isinstance(message, BookUpdate):
                for side, levels in (("bid", message.bids), ("ask", message.asks)):
                    for price, size in levels:
                        key = message.channel, side, price
                        if float(size) == 0:
                            deletes += 1
                            known.remove(key)
                        else:
                            known.add(key)
    assert deletes > 0


def test_each_change_that_is_lost_is_noticed_by_the_next(recordings: Path) -> None:
    frames = cryptofeed(recordings / RECORDED)
    changes = [n for n, (_, frame) in enumerate(frames) if b'"prev_change_id"' in frame]
    books = [frames[n][1].split(b'"book.')[1].split(b".raw")[0] for n in changes]
    assert len(changes) == 36
    for place, lost in enumerate(changes):
        _, events = played(frames[:lost] + frames[lost + 1 :])
        gaps = [event for event in events if isinstance(event, Gap)]
        assert bool(gaps) == (books[place] in books[place + 1 :])  # unless no other followed


def test_every_sample_decodes(recordings: Path) -> None:
    frames = samples(recordings / "format_samples" / "tardis_deribit.jsonl")
    said = Counter(type(message).__name__ for frame in frames for message in Deribit().decode(frame))
    assert len(frames) == 18
    assert said == {"Trade": 4, "BookUpdate": 4, "Quote": 10, "Summary": 10, "Mark": 10, "Heartbeat": 1}


def test_the_answer_of_the_recording_grants_all_that_was_asked(recordings: Path) -> None:
    _, answer = cryptofeed(recordings / RECORDED)[0]
    adapter = Deribit()
    asked = [f"{stream}.{symbol}.raw" for symbol in OPTIONS for stream in ("book", "trades", "ticker")]
    adapter._asked[0] = asked
    said = adapter.decode(answer)
    assert {message.channel for message in said if isinstance(message, Ack)} == {
        f"deribit:{symbol}/{kind}" for symbol in OPTIONS for kind in KINDS
    }


def test_the_listing_of_instruments_is_read(recordings: Path) -> None:
    path = recordings / "deribit" / "cryptofeed_20220529_DERIBIT.0.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    bodies = [line.partition(": ")[2] for line in lines if line.startswith("https")]
    listed = [i for body in bodies for i in Deribit().decode_symbols("", body.encode())]
    assert len(listed) > 100
    steps = {i.native: (i.symbol, i.price_step, i.size_step) for i in listed}
    assert steps["BTC-24SEP21-40000-P"] == ("BTC-24SEP21-40000-P", "0.0005", "0.1")
    assert steps["UNI_USDC-PERPETUAL"] == ("UNI-USDC-PERPETUAL", "0.001", "1")
