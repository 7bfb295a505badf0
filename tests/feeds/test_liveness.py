"""A channel that falls mute on a living connection is found; the others and the connection stay."""

from livetape.core.events import Status

from ..live import live
from ..vendors import vendor


async def test_a_mute_channel_is_marked_and_the_others_are_not() -> None:
    channels = [f"kraken:{symbol}/{kind}" for symbol in ("BTC-USD", "ETH-USD") for kind in ("trade", "book")]
    async with (
        vendor("kraken", rate=10, faults=["hush:every=2000"]) as server,
        live(channels, "kraken", server.ws_url) as tape,
    ):
        await tape.until(lambda: any("stale" in tape.states(name) for name in channels))
        [mark] = [e for e in tape.events if isinstance(e, Status) and e.state == "stale"]
        assert "is unusual" in mark.detail
        assert mark.channel in channels
        assert mark.channel in [gap.channel for gap in tape.gaps]
        assert [line.dials for line in tape.lines] == [1]
