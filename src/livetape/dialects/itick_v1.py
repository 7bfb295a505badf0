"""iTick as it was until 2025, in the server role. Source: as the adapter's.

Its documentation subscribes currencies on the socket of stocks, so each socket serves all asset classes.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from msgspec import UNSET, UnsetType

from ..adapters.itick.places import Place
from ..adapters.itick_v1 import legacy
from . import itick


class ITickV1Dialect(itick.ITickDialect):
    """As today's, but for paths, spellings and bars. A second connection ends the first."""

    path = re.compile(r"/([fisc]ws)/?")
    switches: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **itick.ITickDialect.switches,
        "policy": ("kick_old", "reject_new", "any"),
        "sockets": ("1", "N"),
        "kline": ("nested", "flat", "none"),
    }
    assets: ClassVar[Mapping[str, str]] = {"fws": "forex", "iws": "indices", "sws": "stock", "cws": "crypto"}
    mixed = True

    def named(self, at: Place) -> tuple[str, str | UnsetType]:
        return legacy(at), UNSET
