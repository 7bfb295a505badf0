"""What a user may write for a channel, and what an error then names."""

import re

import pytest

from livetape.core.errors import ConfigError
from livetape.core.instruments import Channel, by_symbol, interval_ns, parse_source, unified


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("kraken:BTC-USD/book", ["kraken:BTC-USD/book"]),
        ("kraken:BTC-USD", ["kraken:BTC-USD/trade", "kraken:BTC-USD/book"]),
        ("Kraken:btc-usd/trade", ["kraken:BTC-USD/trade"]),
        ("kraken:XBT/USD/trade", ["kraken:BTC-USD/trade"]),
        ("kraken:BTC/USD", ["kraken:BTC-USD/trade", "kraken:BTC-USD/book"]),
        ("gemini:btcusd/book", ["gemini:BTC-USD/book"]),
        ("binance:NKNUSDT/bar.1m", ["binance:NKN-USDT/bar.1m"]),
        ("acme:AAPL/quote", ["acme:AAPL/quote"]),
    ],
)
def test_a_source_names_channels_in_our_spelling_or_the_venues(source: str, names: list[str]) -> None:
    channels = parse_source(source)
    assert [str(channel) for channel in channels] == names
    assert [Channel.parse(str(channel)) for channel in channels] == channels


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("kraken", "'kraken' is not a source; write venue:SYMBOL or venue:SYMBOL/kind"),
        ("kraken:", "'kraken:' is not a source"),
        (":BTC-USD", "':BTC-USD' is not a source"),
        ("kraken:BTC-USD/boook", "'boook' is not a kind of channel; did you mean book?"),
        ("kraken:XBT/USD/trades", "'trades' is not a kind of channel; did you mean trade?"),
        ("kraken:BTC-USD/bar.7m", "'bar.7m' is not a kind of channel; did you mean bar."),
        ("kraken:BTC-USD/zzz", "did you mean trade or quote or book?"),
        ("kraken: BTC/book", "' BTC' is not a symbol"),
        ("kraken:BTC\n/book", "is not a symbol"),
    ],
)
def test_what_is_no_source_is_refused_with_what_could_stand_there(source: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_source(source)


def test_a_channel_needs_its_kind() -> None:
    with pytest.raises(ConfigError, match="names no kind; for example kraken:BTC-USD/trade"):
        Channel.parse("kraken:BTC-USD")


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        ("btcusd", "BTC-USD"),
        ("BTC/USD", "BTC-USD"),
        ("BTC_USD", "BTC-USD"),
        ("BTC-USD", "BTC-USD"),
        ("runeeur", "RUNE-EUR"),
        ("BTCFDUSD", "BTC-FDUSD"),  # the longest quote wins: not BTCFD-USD
        ("usdtusd", "USDT-USD"),
        ("AAPL", "AAPL"),
        ("USD", "USD"),
    ],
)
def test_a_symbol_has_one_spelling_of_ours(native: str, ours: str) -> None:
    assert unified(native) == ours
    assert unified(ours) == ours


def test_kinds_are_gathered_by_symbol_in_the_order_of_the_symbols() -> None:
    channels = map(Channel.parse, ["kraken:B-USD/book", "kraken:A-USD/book", "kraken:B-USD/trade"])
    assert list(by_symbol(channels).items()) == [("B-USD", {"book", "trade"}), ("A-USD", {"book"})]


def test_an_interval_has_a_length() -> None:
    lengths = [interval_ns(f"bar.{interval}") for interval in ("1s", "15m", "4h", "1d")]
    assert lengths == [n * 1_000_000_000 for n in (1, 900, 14_400, 86_400)]
