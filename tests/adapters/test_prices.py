"""Where each vendor tells a price over REST, and what it says there instead."""

import pytest

from livetape.adapters import find
from livetape.core.events import Denied, Why


@pytest.mark.parametrize(
    ("venue", "symbol", "path"),
    [
        ("kraken", "BTC-USD", "/0/public/Ticker?pair=XBTUSD"),
        ("kraken", "ETH-DOGE", "/0/public/Ticker?pair=ETHXDG"),
        ("binance", "BTC-USDT", "/api/v3/ticker/bookTicker?symbol=BTCUSDT"),
        ("binance_us", "BTC-USDT", "/api/v3/ticker/bookTicker?symbol=BTCUSDT"),
        ("gemini", "BTC-USD", "/v1/book/btcusd?limit_bids=1&limit_asks=1"),
    ],
)
def test_the_price_of_a_symbol_has_a_path(venue: str, symbol: str, path: str) -> None:
    assert find(venue)().price_path(symbol) == path


def test_itick_refuses_with_an_answer_of_status_200() -> None:
    adapter = find("itick")()
    assert adapter.refusal(b'{"code":0,"msg":null,"data":{}}') is None
    denied = adapter.refusal(b'{"code":"E002","msg":"auth failed","data":null}')
    assert denied == Denied("E002 auth failed", why=Why.LOGIN)
    denied = adapter.refusal(b'{"code":"E001","msg":"not found this produce","data":null}')
    assert denied == Denied("E001 not found this produce", why=Why.SYMBOL)
    assert adapter.refusal(b"<html>") is None
