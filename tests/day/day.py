"""A simulated day of each vendor, with something going wrong all the time, and the judgement of its tape."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from livetape.adapters import find
from livetape.core.adapter import Adapter, Span
from livetape.core.channel import ChannelState
from livetape.core.credentials import Credentials
from livetape.core.instruments import Channel
from livetape.core.times import SECOND

from .ledger import Account, Bars, Result
from .line import Line, Weather, Witness, usual_faults
from .vendor import Clock, Vendor

START_NS = 1_790_020_800 * SECOND + 13  #: 20:00 UTC
CALM_S = 300.0  #: at the end of the day
MEAN_S = 60.0  #: between two troubles of a line
EVERY = 400  #: one of so many frames is lost, one doubled and one altered
KEY = Credentials("ours", "secret")
WITNESS = Credentials("the witness's", "secret")


class Case(NamedTuple):
    """What is followed of one API."""

    venue: str
    api: str
    sources: Sequence[str]

    def __str__(self) -> str:
        return f"{self.venue} {self.api}".strip()

    def adapter(self, key: Credentials = KEY) -> Adapter:
        return find(self.venue, self.api)({}, key)


_STOCK, _ALL = ("trade", "quote", "bar.1m"), ("trade", "quote", "book", "bar.1m")
_ITICK = ("trade", "book", "quote", "summary", "bar.1m")


def _of(symbol: str, kinds: Sequence[str]) -> list[str]:
    return [f"{symbol}/{kind}" for kind in kinds]


CASES = (
    Case(
        "kraken",
        "",
        [*_of("LTC-USD", ("trade", "quote", "book", "summary")), *_of("XRP-USD", ("trade", "book"))],
    ),
    Case("gemini", "", _of("LTC-USD", _ALL)),
    Case("gemini", "v1", _of("LTC-USD", ("trade", "quote", "book"))),
    Case("gemini", "v3", _of("LTC-USD", ("trade", "quote", "book"))),
    Case("itick", "", [*_of("EUR-USD", _ITICK), *_of("AAPL", _ITICK), *_of("BTC-USDT", _ITICK)]),
    Case("itick", "v1", _of("EUR-USD", _ITICK)),
    Case("alpaca", "", [*_of("AAPL", _STOCK), *_of("F", _STOCK), *_of("LTC-USD", _ALL)]),
    Case("alpaca", "v1", _of("AAPL", _STOCK)),
    Case("finnhub", "", ["AAPL/trade", "EUR-USD/trade", "BTC-USDT/trade"]),
)


class Day:
    """One API's day. It is repeatable by ``seed``."""

    def __init__(self, case: Case, seconds: float, seed: int) -> None:
        clock = Clock(START_NS)
        channels = [Channel.parse(f"{case.venue}:{source}") for source in case.sources]
        adapter, seed_ = case.adapter(), f"{seed} {case}"
        vendor = Vendor(clock, case.venue, {channel.symbol for channel in channels}, seed)
        end_ns = START_NS + round(seconds * SECOND)
        self.case, self.accounts = case, dict[str, Account]()
        self.lines: list[Line] = []
        for n, group in enumerate(_groups(adapter, channels)):
            upstream = [c for c in group if not ChannelState(c, adapter).derived]
            accounts = {str(c): _account(adapter, c) for c in upstream}
            self.accounts |= accounts
            Witness(vendor, case.adapter(WITNESS), upstream, accounts)
            faults = usual_faults(Random(f"{seed_} {n}").getrandbits(32), EVERY)
            line = Line(vendor, case.adapter, group, accounts, faults, Random(f"{seed_} {n} line"))
            Weather(line, Random(f"{seed_} {n} weather"), MEAN_S, end_ns - round(CALM_S * SECOND))
            self.lines.append(line)
        clock.at(end_ns - round(CALM_S * SECOND), self._calm)
        clock.run(end_ns)
        for line in self.lines:
            line.settle()
        self.results = {name: account.settle() for name, account in self.accounts.items()}
        self.problems = [problem for line in self.lines for problem in line.problems]
        self.problems += [problem for account in self.accounts.values() for problem in account.problems]

    def _calm(self) -> None:
        for line in self.lines:
            line.calm()

    def rows(self) -> list[tuple[str, Result]]:
        """One for each kind of channel."""
        found: dict[str, Result] = {}
        for name, result in self.results.items():
            row = f"{self.case} {name.partition('/')[2]}"
            found[row] = found.get(row, Result()) + result
        return list(found.items())


def _groups(adapter: Adapter, channels: Sequence[Channel]) -> list[list[Channel]]:
    """Those that may share a connection."""
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        groups.setdefault(adapter.route(channel), []).append(channel)
    return list(groups.values())


def _account(adapter: Adapter, channel: Channel) -> Account:
    """A book that is proved by a checksum is right, whatever way it has taken there."""
    guarantee = adapter.guarantees.get(channel.kind)
    span = Span(START_NS, START_NS + 60 * SECOND, range(1, 2))
    make = Bars if channel.kind.startswith("bar.") else Account
    return make(
        str(channel),
        numbered=guarantee is not None and guarantee.method != "crc32",
        has_history=adapter.history_path(channel, span) is not None,
    )
