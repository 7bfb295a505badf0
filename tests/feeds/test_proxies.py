"""Proxies of the environment are honoured, for the stream and for REST alike."""

from pathlib import Path

import pytest

from livetape.feeds.endpoint import masked, proxy_for

from ..live import live
from ..player import playing
from ..proxies import Proxy
from ..recorded import recordings as read


@pytest.mark.parametrize(
    ("scheme", "variable"), [("http", "HTTP_PROXY"), ("socks5", "ALL_PROXY"), ("socks5h", "ALL_PROXY")]
)
async def test_stream_and_snapshot_go_through_the_proxy(
    recordings: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str
) -> None:
    body, frames = read.busy_binance(recordings, 2000)
    player = playing(frames)
    player.bodies["/api/v3/depth?symbol=BTCUSDT&limit=1000"] = body
    async with player.running(), Proxy().running() as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}")
        async with live(["binance:BTC-USDT/book"], "binance", player.ws_url) as tape:
            await tape.until(lambda: bool(tape.books))
        assert proxy.targets == [f"127.0.0.1:{player.port}"] * 2


def test_no_proxy_is_an_exception_for_the_hosts_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "ws.kraken.com")
    assert proxy_for("wss://ws.kraken.com/v2") is None
    assert proxy_for("wss://api.gemini.com/v2/marketdata") == "http://proxy:3128"


def test_what_may_be_secret_is_masked() -> None:
    assert masked("wss://u:p@host/x?token=abc&depth=5") == "wss://host/x?token=***&depth=5"
