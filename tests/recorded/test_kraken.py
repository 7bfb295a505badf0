"""Kraken's own CRC32 judges every book message."""

import json
from pathlib import Path

import pytest

from livetape.adapters.kraken import Kraken
from livetape.core.events import BookUpdate, Gap, Trust
from livetape.core.instruments import Channel
from livetape.core.session import Session

from .recordings import crossbook, transcoded

RECORDED = [
    ("crossbook_kraken_btcusd_l2.cbcap.gz", 10, 301),
    ("crossbook_kraken_ethusd_sample.cbcap.gz", 25, 1129),
    ("TRANSCODED_v1_20210417_book1000.tsv.gz", 1000, 4279),
]


@pytest.mark.parametrize(("name", "depth", "messages"), RECORDED)
def test_every_checksum_of_a_recording_holds(recordings: Path, name: str, depth: int, messages: int) -> None:
    read = crossbook if name.endswith("cbcap.gz") else transcoded
    frames = read(recordings / "kraken" / name)
    symbols = {
        entry["symbol"]
        for _, frame in frames
        for entry in json.loads(frame).get("data", [])
        if "symbol" in entry
    }
    channels = [Channel("kraken", symbol.replace("/", "-"), "book") for symbol in sorted(symbols)]

    session = Session(Kraken({"depth": depth}))
    session.want(channels, frames[0][0])
    events = session.connected(frames[0][0])
    for ns, frame in frames:
        events += session.receive(frame, ns)

    updates = [event for event in events if isinstance(event, BookUpdate)]
    assert len(updates) == messages
    assert {update.trust for update in updates} == {Trust.VERIFIED}
    assert {update.proof.depth for update in updates if update.proof} == {10}
    assert not [event for event in events if isinstance(event, Gap)]
    assert sum(state.discarded + state.superseded for state in session.channels.values()) == 0
    assert session.undecodable == 0
