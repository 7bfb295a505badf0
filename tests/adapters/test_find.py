"""Adapters are found by module name, then by entry point."""

import sys
from pathlib import Path

import pytest

from livetape.adapters import find, venues
from livetape.core.errors import ConfigError
from livetape.core.events import Trade
from livetape.core.instruments import Channel

from ..sessions import opened
from ..vendors import packaged

ACME = """
from livetape.core.adapter import Adapter
from livetape.core.events import Trade

class Acme(Adapter):
    venue = "acme"
    title = "Acme Exchange"
    ws_url = "wss://stream.acme.example"
    rest_url = "https://acme.example"
    kinds = frozenset({"trade"})

    def subscribe(self, channels):
        return [b"listen " + channel.symbol.encode() for channel in channels]

    def unsubscribe(self, channels):
        return [b"forget " + channel.symbol.encode() for channel in channels]

    def parse(self, frame):
        symbol, price, size = frame.decode().split()
        yield Trade(f"acme:{symbol}/trade", None, price, size, None, None)
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged(tmp_path, "acme_tape", ACME)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_tape", raising=False)


@pytest.mark.usefixtures("acme")
def test_a_venue_of_another_package_works_like_ours() -> None:
    assert "acme" in venues()
    session = opened(find("acme")(), [Channel("acme", "BTC-USD", "trade")])
    events = session.receive(b"BTC-USD 63004.90 0.5", 2)
    assert [e.price_text for e in events if isinstance(e, Trade)] == ["63004.90"]


def test_an_unknown_venue_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown venue 'krakn'; did you mean kraken or kraken_futures\?"):
        find("krakn")
    with pytest.raises(ConfigError, match="gemini has no API 'v7'; did you mean v1"):
        find("gemini", "v7")


def test_a_venue_may_have_several_apis_and_is_listed_once() -> None:
    assert find("gemini").title != find("gemini", "v1").title
    assert find("gemini", "v1").venue == "gemini"
    assert [name for name in venues() if name.startswith("gemini")] == ["gemini"]
    assert find("binance_us").venue == "binance_us"


@pytest.mark.usefixtures("acme")
def test_an_entry_point_that_is_no_adapter_is_named(tmp_path: Path) -> None:
    points = tmp_path / "acme_tape-1.0.dist-info" / "entry_points.txt"
    points.write_text("[livetape.adapters]\nacme = acme_tape:Trade\n")
    with pytest.raises(ConfigError, match="acme: the entry point acme_tape:Trade is not an Adapter"):
        find("acme")
