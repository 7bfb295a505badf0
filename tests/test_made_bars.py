"""Bars that a venue does not offer are made of its trades, and are channels like any other."""

from pathlib import Path

import pytest

from livetape import Stream, open_store
from livetape.adapters.kraken import Kraken
from livetape.app import App
from livetape.config import Config
from livetape.core.bars import candles
from livetape.core.errors import ConfigError
from livetape.core.events import Bar, MarketEvent, Quote, Status, Trade
from livetape.core.instruments import Channel
from livetape.core.times import SECOND

from .gateway.test_stream import served
from .live import Live, accounted, until
from .vendors import config_for, vendor

NAME, TRADES = "kraken:BTC-USD/bar.1s", "kraken:BTC-USD/trade"
BARS = Channel.parse(NAME)


def closed(events: list[MarketEvent]) -> dict[int, Bar]:
    """The bars that are over, each as it was told last."""
    return {event.start_ns: event for event in events if isinstance(event, Bar) and event.closed}


async def test_closed_bars_are_those_of_the_trades(tmp_path: Path) -> None:
    async with vendor(rate=20) as kraken:
        app = App(config_for(kraken))
        live = Live(app)
        app.record(tmp_path)
        try:
            app.want([BARS])
            await until(lambda: len(closed(live.events)) >= 4)
        finally:
            await app.close()
    bars = closed(live.events)
    prints = [
        (trade.venue_ns or trade.recv_ns, trade.price_text, trade.size_text, ()) for trade in live.trades
    ]
    wanted = {candle.start_ns: candle for candle in candles(prints, SECOND)}
    for start_ns, bar in bars.items():
        candle = wanted[start_ns]
        prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        assert [f"{price:f}" for price in prices] == [
            *(bar.open_text, bar.high_text, bar.low_text, bar.close_text, bar.volume_text)
        ]
        assert (bar.trades, bar.channel) == (candle.trades, NAME)
    *_, last = bars.values()
    assert last.trust == "verified"
    assert last.proof is not None
    counts = open_store(tmp_path).counts()
    assert counts[NAME] == len([event for event in live.events if isinstance(event, Bar)])
    assert counts[TRADES] == len(live.trades)


async def test_a_stream_has_the_bars_and_not_the_trades_they_are_made_of() -> None:
    async with vendor(rate=20) as kraken:
        stream = Stream(NAME, config=config_for(kraken))
        seen: list[MarketEvent] = []
        stream.on(".+")(seen.append)
        async with stream:
            await until(lambda: closed(seen))
            assert {event.channel for event in seen} == {NAME}
            stream.subscribe(TRADES)
            await until(lambda: any(isinstance(event, Trade) for event in seen))
            stream.unsubscribe(NAME)
            await until(lambda: any(isinstance(event, Trade) for event in seen))


async def test_two_users_share_one_maker_and_the_status_accounts_for_it() -> None:
    async with vendor(rate=20) as kraken, served(App(config_for(kraken))) as running:
        first, second = await running.client(), await running.client()
        for client in (first, second):
            assert (await client.ask(op="subscribe", channels=["kraken:btcusd/bar.1s"]))["channels"] == [NAME]
            bars = await client.until(3, "bar")
            assert {bar["interval"] for bar in bars} == {"1s"}
        [(name, source, maker)] = running.app.bars
        assert (str(name), str(source)) == (NAME, TRADES)
        status = running.app.gateway()._upstream.status()
        [row] = [row for row in status["channels"] if row["channel"] == NAME]
        assert row["received"] == maker.received > 0
        assert accounted(status)
        assert len(running.app.hub.lines) == 1


async def test_what_nobody_wants_any_more_is_given_up() -> None:
    async with vendor() as kraken:
        app = App(config_for(kraken))
        try:
            app.want([BARS, Channel.parse("kraken:BTC-USD/bar.5s"), BARS])
            assert app.unasked == {TRADES}
            app.drop([BARS])
            assert len(app.bars) == 2
            app.drop([BARS, Channel.parse(TRADES)])
            assert [str(name) for name, *_ in app.bars] == ["kraken:BTC-USD/bar.5s"]
            app.drop([Channel.parse("kraken:BTC-USD/bar.5s")])
            assert app.bars == []
            assert app.unasked == set()
            assert not app.hub.lines
        finally:
            await app.close()


async def test_a_venues_own_bars_are_used_where_it_has_them() -> None:
    channels = [Channel.parse("kraken:BTC-USD/bar.1m"), BARS, Channel.parse("gemini:BTC-USD/bar.2h")]
    kinds = [channel.kind for channel in Config().behind(channels)]
    assert kinds == ["bar.1m", "trade", "trade"]


async def test_without_trades_bars_are_of_the_quotes_mids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kraken, "kinds", frozenset({"quote", "book"}))
    async with vendor() as kraken:
        app = App(config_for(kraken))
        live = Live(app)
        try:
            app.want([BARS])
            await until(lambda: closed(live.events))
        finally:
            await app.close()
    [bar, *_] = closed(live.events).values()
    mids = {
        (quote.bid + quote.ask) / 2
        for quote in live.events
        if isinstance(quote, Quote) and quote.bid and quote.ask
    }
    assert {float(bar.open_text), float(bar.close_text)} <= mids
    assert (bar.volume_text, bar.trades) == ("0", 0)


async def test_a_refusal_is_one_of_the_bars_too() -> None:
    async with vendor() as kraken:
        app = App(config_for(kraken))
        live = Live(app)
        try:
            app.want([Channel.parse("kraken:NO-SUCH/bar.1s")])
            await until(lambda: "denied" in live.states("kraken:NO-SUCH/bar.1s"))
        finally:
            await app.close()
    [denied] = [
        event
        for event in live.events
        if isinstance(event, Status) and event.state == "denied" and event.kind == "bar.1s"
    ]
    assert "NO/SUCH" in denied.detail or "not supported" in denied.detail


async def test_an_interval_that_is_none_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'bar\.7m' is not a kind .*did you mean bar\.\w+"):
        Stream("kraken:BTC-USD/bar.7m")
    app = App(Config())
    try:
        with pytest.raises(ConfigError, match=r"kraken has no 'bar\.1w'"):
            app.want([Channel.parse("kraken:BTC-USD/bar.1w")])
        assert app.bars == []
    finally:
        await app.close()
