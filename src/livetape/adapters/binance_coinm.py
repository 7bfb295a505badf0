"""Binance COIN-M futures: ``binance_futures`` for contracts that are margined in coins.

Source: https://developers.binance.com/docs/derivatives/coin-margined-futures (read 2026-11-21).
"""

from ..core.instruments import Channel
from .binance_futures import BinanceFutures


class BinanceCoinm(BinanceFutures):
    """See ``BinanceFutures``. Sizes count contracts; a perpetual is ``BTC-USD-PERP``."""

    venue = "binance_coinm"
    title = "Binance COIN-M futures"
    ws_url = "wss://dstream.binance.com"
    rest_url = "https://dapi.binance.com"
    rest_path = "/dapi/v1"
    sample = "BTC-USD-PERP"

    def route(self, channel: Channel) -> str:
        """All channels share an address."""
        return ""
