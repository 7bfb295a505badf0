"""Binance.US: Binance's protocol at another market. Source: as ``binance``."""

from .binance import Binance


class BinanceUS(Binance):
    """See ``Binance``."""

    venue = "binance_us"
    title = "Binance.US spot"
    ws_url = "wss://stream.binance.us:9443/stream"
    rest_url = "https://api.binance.us"
