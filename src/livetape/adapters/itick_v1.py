"""iTick as it was until 2025: other paths and spellings, a message to log in. Source: as today's API."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import json

from .itick import ITick
from .itick.places import Place
from .itick.wire import Request


class ITickV1(ITick):
    """As today's, but without futures and funds."""

    title = "iTick (until 2025)"
    option_names = ITick.option_names - {"futures", "funds"}
    paths: ClassVar[Mapping[str, str]] = {"forex": "fws", "indices": "iws", "stock": "sws", "crypto": "cws"}

    def ws_headers(self) -> Mapping[str, str]:
        return {}

    def login(self) -> list[bytes]:
        return [*super().login(), json.encode(Request("auth", self.credentials.key))]

    def native(self, place: Place) -> str:
        return legacy(place)


def legacy(place: Place) -> str:
    """How that API spells what is at ``place``: ``EURUSD``, ``AAPL.US``, ``ETH_USDT``."""
    if place.asset == "stock":
        return f"{place.code}.{place.region}"
    return place.code.replace("-", "_") if place.asset == "crypto" else place.native
