"""Bitstamp's times join the fetched book to the stream; then no delete may name a level that is absent."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec import json

from livetape.adapters.bitstamp import Bitstamp, Depth
from livetape.core.effects import Fetch
from livetape.core.events import Ack, BookUpdate, Gap, Heartbeat, Trade, Trust
from livetape.core.instruments import Channel, unified

from ..sessions import conserved, opened
from .recordings import cryptofeed, cryptofeed_rest, samples

PAIRS = "sgbeur ethusd xrpeur bateur usdteur usdtusd xlmgbp adaeur batbtc galaeur"
WEBSOCKET = "cryptofeed_20220104_BITSTAMP.ws.1.0.txt.gz"
REST = "cryptofeed_20220104_BITSTAMP.http.0.0.txt.gz"


def books(root: Path) -> dict[str, bytes]:
    return {unified(symbol): body for _, symbol, body in cryptofeed_rest(root / "bitstamp" / REST)}


class Levels(dict[tuple[bool, str], str]):
    """A book of the test's own. It counts the deletes of levels that it does not have."""

    absent = 0

    def take(self, update: BookUpdate) -> None:
        if update.snapshot:
            self.clear()
        for is_bid, side in ((True, update.bids), (False, update.asks)):
            for price, size in side:
                if float(size):
                    self[is_bid, price] = size
                else:
                    self.absent += self.pop((is_bid, price), None) is None


@pytest.mark.parametrize("held", [0, 5, 60])
def test_ten_books_delete_no_absent_level_and_never_cross(recordings: Path, held: int) -> None:
    """However many frames come before the answer: it bridges the same updates."""
    answers = books(recordings)
    frames = cryptofeed(recordings / "bitstamp" / WEBSOCKET)
    channels = [
        Channel("bitstamp", unified(pair), kind) for pair in PAIRS.split() for kind in ("book", "trade")
    ]
    session = opened(Bitstamp(), channels, frames[0][0])
    own: dict[str, Levels] = {}
    due: list[tuple[int, str]] = []
    seen: Counter[str] = Counter()
    for n, (ns, frame) in enumerate(frames):
        events = session.receive(frame, ns)
        due += [(n + held, effect.name) for effect in session.effects() if isinstance(effect, Fetch)]
        while due and due[0][0] <= n:
            _, symbol = due.pop(0)
            events += session.fetched(symbol, answers.pop(symbol), ns)
        for event in events:
            assert not isinstance(event, Gap)
            seen["trades"] += isinstance(event, Trade)
            if isinstance(event, BookUpdate):
                own.setdefault(event.symbol, Levels()).take(event)
                seen["snapshots" if event.snapshot else "applied"] += 1
                assert event.trust is Trust.UNVERIFIABLE
                assert not event.book.crossed
    for state in session.channels.values():
        if state.book is not None:
            kept = {(True, *level) for level in state.book.bids.top(9999)}
            kept |= {(False, *level) for level in state.book.asks.top(9999)}
            assert kept == {(*key, size) for key, size in own[state.channel.symbol].items()}
    assert seen == {"snapshots": 10, "applied": 615, "trades": 10}
    assert sum(state.superseded for state in session.channels.values()) == 102
    assert sum(levels.absent for levels in own.values()) == 0
    assert answers == {}
    assert session.undecodable == 0
    assert conserved(session)


def test_a_book_older_than_the_first_difference_is_fetched_again(recordings: Path) -> None:
    body = json.encode(Depth("1641343600000000", [["1", "1"]], [["2", "1"]]))  # type: ignore[list-item]
    frames = cryptofeed(recordings / "bitstamp" / WEBSOCKET)
    session = opened(Bitstamp(), [Channel("bitstamp", "USDT-EUR", "book")], frames[0][0])
    for ns, frame in frames[:100]:
        session.receive(frame, ns)
    session.effects()
    assert session.fetched("USDT-EUR", body, frames[99][0]) == []
    assert [effect.name for effect in session.effects() if isinstance(effect, Fetch)] == ["USDT-EUR"]
    events = session.fetched("USDT-EUR", books(recordings)["USDT-EUR"], frames[99][0])
    assert next(event for event in events if isinstance(event, BookUpdate)).snapshot


def test_every_sample_is_understood(recordings: Path) -> None:
    frames = samples(recordings / "format_samples" / "tardis_bitstamp.jsonl")
    said = [message for frame in frames for message in Bitstamp().decode(frame)]
    assert Counter(map(type, said)) == {Ack: 1, Trade: 2, BookUpdate: 2}
    assert Heartbeat not in map(type, said)
