"""Audits over sockets: a simulated Gemini v2 that loses messages is found out; whole books agree."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from livetape.app import App
from livetape.cli.simulate import make_vendor
from livetape.config import Config, VenueConfig
from livetape.core.channel import Agreement
from livetape.core.events import BookUpdate, Gap, MarketEvent, Origin
from livetape.core.instruments import Channel
from livetape.feeds.replay import Replay
from livetape.store.reader import open_store

from ..live import Live

BOOK = "gemini:BTC-USD/book"
PATIENCE_S = 60.0


async def audited(
    faults: Sequence[str], rate: float, audits: int, tape: Path
) -> tuple[Agreement, list[Gap], list[MarketEvent]]:
    """The agreement after so many audits, and where there are ``faults`` after a mended one; gaps; events."""
    async with make_vendor("gemini", seed=7, rate=rate, faults=faults).serving() as vendor:
        app = App(Config([BOOK], {"gemini": VenueConfig(ws_url=vendor.ws_url, options={"audit_s": 1})}))
        app.record(tape)
        running = Live(app)
        try:
            app.want([Channel.parse(BOOK)])
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await asyncio.sleep(0.1)
                    gaps, agreement = running.gaps, running.channel(BOOK).agreement
                    mended = any(gap.healed and gap.cause.startswith("audit: ") for gap in gaps)
                    if agreement and agreement.audits >= audits and (mended or not faults):
                        assert running.conserved()
                        return agreement, gaps, running.events
        finally:
            await app.close()


def alike(event: MarketEvent) -> MarketEvent:
    """``event`` without what tells a replay from live."""
    event = replace(event, origin=Origin.LIVE)
    return replace(event, _book=None) if isinstance(event, BookUpdate) else event


async def test_lost_messages_are_found_and_mended_and_whole_books_agree(tmp_path: Path) -> None:
    (bad, gaps, events), (good, none, _) = await asyncio.gather(
        audited(["gap:every=5"], 0.03, 2, tmp_path / "bad"), audited([], 8.0, 3, tmp_path / "good")
    )
    assert bad.levels_agreed < bad.levels
    assert {gap.healed for gap in gaps if gap.end_ns is not None} == {"snapshot"}
    assert not none
    assert good.levels_agreed == good.levels > 30
    assert good.agreed == good.audits
    replayed = [alike(event) for event in Replay(open_store(tmp_path / "bad").raw())]
    assert replayed == [alike(event) for event in events]
