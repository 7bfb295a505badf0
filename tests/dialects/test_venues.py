"""Dialects are found by the name of their module."""

import pytest

from livetape import dialects
from livetape.core.errors import ConfigError


def test_all_apis_of_a_venue_are_found() -> None:
    assert {"gemini", "kraken"} <= set(dialects.venues())
    found = {venue: [dialect.__name__ for dialect in dialects.of(venue)] for venue in dialects.venues()}
    assert found["gemini"] == ["GeminiDialect", "GeminiV1Dialect", "GeminiV3Dialect"]
    assert found["kraken"] == ["KrakenDialect"]


def test_no_two_of_a_venue_serve_the_same_address() -> None:
    v2, v1 = ("/v2/marketdata", "/v2/marketdata/"), ("/v1/marketdata/btcusd", "/v1/marketdata/BTCUSD/")
    for path in (*v2, *v1, "/v1/multimarketdata", "/"):
        assert sum(bool(dialect.path.fullmatch(path)) for dialect in dialects.of("gemini")) == 1
    for path in ("/v2", "/v2/"):
        assert [bool(dialect.path.fullmatch(path)) for dialect in dialects.of("kraken")] == [True]


@pytest.mark.parametrize("venue", ["krakn", "", "gemini_v9", "binance"])
def test_an_unknown_venue_names_those_that_are_near(venue: str) -> None:
    with pytest.raises(ConfigError, match="cannot be simulated"):
        dialects.of(venue)
