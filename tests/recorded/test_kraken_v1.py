"""Kraken's CRC32 judges every update of the frozen API as well."""

from collections import Counter
from pathlib import Path

import pytest

from livetape.adapters.kraken_v1 import KrakenV1
from livetape.core.events import BookUpdate, Gap, Lost, MarketEvent, Quote, Summary, Trade, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

from ..sessions import conserved, opened
from .recordings import cryptofeed, samples

PAIRS = "WAVES-EUR XMR-USD KSM-BTC GRT-ETH SC-EUR ETH-CHF OCEAN-BTC OMG-USD BTC-CHF ADA-BTC"


def replayed(root: Path, number: int, kind: str) -> tuple[Session, list[MarketEvent]]:
    frames = cryptofeed(root / "kraken_v1_legacy" / f"cryptofeed_20210417_KRAKEN.ws.{number}.0.txt.gz")
    channels = [Channel("kraken", pair, kind) for pair in PAIRS.split()]
    session = opened(KrakenV1({"depth": 1000}), channels, frames[0][0])
    events = [event for ns, frame in frames for event in session.receive(frame, ns)]
    assert session.undecodable == 0
    assert conserved(session)
    return session, events


def test_every_checksum_of_the_recording_holds(recordings: Path) -> None:
    session, events = replayed(recordings, 50, "book")
    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert Counter((u.snapshot, u.trust, u.checksum is None) for u in updates) == {
        (True, Trust.VERIFIED, True): 10,
        (False, Trust.VERIFIED, False): 4269,
    }
    assert {update.proof.depth for update in updates if update.proof} == {10}
    assert not [event for event in events if isinstance(event, Gap)]
    assert sum(state.discarded + state.superseded for state in session.channels.values()) == 0


@pytest.mark.parametrize(
    ("number", "kind", "event", "count"), [(48, "trade", Trade, 10), (49, "summary", Summary, 18)]
)
def test_trades_and_summaries_are_told(
    recordings: Path, number: int, kind: str, event: type[MarketEvent], count: int
) -> None:
    _, events = replayed(recordings, number, kind)
    assert sum(isinstance(each, event) for each in events) == count


def test_every_sample_is_understood(recordings: Path) -> None:
    """Those of 2019 have no checksum yet, and what cannot be proved is not handed out as proved."""
    path = recordings / "format_samples" / "tardis_kraken_v1_and_v2.jsonl"
    said = [message for frame in samples(path, "kraken messages") for message in KrakenV1().decode(frame)]
    assert Counter(map(type, said)) == {Trade: 3, Lost: 3, BookUpdate: 1, Quote: 2}
    assert [book.snapshot for book in said if isinstance(book, BookUpdate)] == [True]
