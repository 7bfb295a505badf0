"""Every fault of the wire at every simulated vendor: what was sent is delivered, or lies inside a gap.

Both ends keep books. The vendor's ledger says in which frame of which connection each event was sent, and
what became of that frame; the tape says when each frame came in. ``pytest -s`` prints what it cost.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

import pytest
from msgspec import json
from msgspec.structs import replace

from livetape import clock, dialects
from livetape.adapters import find
from livetape.app import App
from livetape.config import Config, VenueConfig
from livetape.core.events import Bar, BookUpdate, MarketEvent, Origin, Quote, Trade
from livetape.core.instruments import Channel
from livetape.core.raw import Direction
from livetape.core.times import SECOND
from livetape.simulator.faults import ALTERED, DOUBLED, SWAPPED, WITHHELD, Faults, read
from livetape.simulator.listings import listed
from livetape.simulator.market import Market
from livetape.simulator.server import Entry, Vendor
from livetape.store.reader import open_store

from ..live import Live

Data = Trade | Quote | BookUpdate | Bar
#: The faults, and for how many seconds they keep everybody out.
OUTAGES = {
    "drop": (["drop:after=1s"], 0.0),
    "reset": (["reset:after=1s"], 0.0),
    "refuse": (["refuse:after=1s,for=1s"], 1.0),
    "mute": (["mute:after=1s"], 0.0),
    "http429": (["drop:after=1s", "http429:after=1s,for=1s,retry=1s"], 1.0),
    "http503": (["reset:after=1s", "http503:after=1s,for=1s,retry=1s"], 1.0),
}
TROUBLES = {
    "none": [],
    "stall": ["mute:after=1s,for=400ms"],
    "slow": ["slow:delay=100ms"],
    "trickle": ["trickle:bytes=200000"],
    "skew": ["skew=-250ms"],
    "gap": ["gap:every=60"],
    "dup": ["dup:every=20"],
    "reorder": ["reorder:every=60"],
    "corrupt": ["corrupt:every=60"],
}
TROUBLED_S = 2.5
SILENCE_S = 1.0
APIS = sorted((name.partition("_")[::2]) for _, name, _ in iter_modules(dialects.__path__))
#: The kinds of channel whose events are numbered: only there can a client tell that one was lost or came
#: twice. Kraken's checksum proves the book, whatever way it has taken there.
NUMBERED = {
    ("kraken", ""): {"trade"},
    ("gemini", "v1"): {"trade", "book"},
    ("gemini", "v3"): {"book"},
}


class Span(NamedTuple):
    """Something that began and ended, both included."""

    start_ns: float
    end_ns: float

    def meets(self, other: "Span") -> bool:
        return self.start_ns <= other.end_ns and other.start_ns <= self.end_ns


class Connection(NamedTuple):
    """One connection as the client saw it: when it opened, each frame came in, and it closed."""

    opened_ns: int
    frames: list[int]
    closed_ns: float

    def between(self, sooner: int, later: int) -> Span:
        """From one frame to another one, counted from 1; the opening comes before them, the end after."""
        times = [self.opened_ns, *self.frames]
        return Span(
            times[max(0, min(sooner, len(self.frames)))], [*times, self.closed_ns][min(later, len(times))]
        )


class Case:
    """One vendor with one fault, and what became of each event."""

    def __init__(self, venue: str, api: str, directory: Path) -> None:
        self.venue, self.api = venue, api
        self.adapter = find(venue, api)
        kinds = sorted({"trade", "book", "quote"} & self.adapter.kinds)
        self.sources = [f"{venue}:{self.adapter.sample}/{kind}" for kind in kinds]
        self.events: list[MarketEvent] = []
        self.missing: list[Entry] = []  # outside gaps, though the protocol can tell
        self.unknowable = 0  # losses that the protocol cannot tell
        self.twice = 0  # delivered twice
        self.gaps: dict[str, list[Span]] = {}
        self.connections: list[Connection] = []
        directory.mkdir()
        self._ledger, self._store = directory / "sent.jsonl", directory / "tape"

    def __str__(self) -> str:
        return f"{self.venue} {self.api}".strip()

    async def run(self, specs: list[str], *, outage: bool) -> None:
        """Let it happen, until all is well again."""
        async with self._vendor(specs).serving() as vendor:
            config = VenueConfig(ws_url=vendor.ws_url, api=self.api, options={"silence_s": SILENCE_S})
            app = App(Config(self.sources, {self.venue: config}))
            app.record(self._store)
            tape = Live(app)
            try:
                app.hub.want(map(Channel.parse, self.sources))
                await tape.until(lambda: all(self._spoken(tape)))
                await self._suffer(tape, vendor, outage=outage)
                assert tape.conserved()
            finally:
                await app.close()
            self.events = tape.events
        self._judge()

    def _vendor(self, specs: list[str]) -> Vendor:
        """One that lists nothing else, so that all of them fit into one loop."""
        faults = Faults(read(specs, {})[0], seed=7)
        listings = [listing for listing in listed(self.venue) if listing.symbol == self.adapter.sample]
        market = Market(listings, 7, clock.now_ns() + round(faults.skew_s * SECOND), self.venue, rate=8.0)
        return Vendor(self.venue, market, self._ledger, faults=faults)

    async def _suffer(self, tape: Live, vendor: Vendor, *, outage: bool) -> None:
        if outage:
            [first] = vendor.clients
            await tape.until(lambda: any(client is not first for client in vendor.clients))
        else:
            await asyncio.sleep(TROUBLED_S)
        before = len(tape.events)
        await tape.until(lambda: self._well(tape, before))

    def _spoken(self, tape: Live) -> Iterator[bool]:
        return (
            any(e.channel == source for e in tape.events if isinstance(e, Data)) for source in self.sources
        )

    def _well(self, tape: Live, since: int) -> bool:
        """Whether every channel is as trustworthy as usual, without a gap, and speaks."""
        states = [tape.channel(source) for source in self.sources]
        spoken = {event.channel for event in tape.events[since:] if isinstance(event, Data)}
        return spoken >= set(self.sources) and all(s.gap is None and s.trust is s.usual for s in states)

    # The books of both ends

    def _connections(self) -> list[Connection]:
        found: list[Connection] = []
        for record in open_store(self._store).raw():
            if record.direction is Direction.OPEN:
                found.append(Connection(record.recv_ns, [], inf))
            elif record.direction is Direction.IN:
                found[-1].frames.append(record.recv_ns)
            elif record.direction is Direction.CLOSE:
                found[-1] = found[-1]._replace(closed_ns=record.recv_ns)
        return found

    def _gaps(self) -> dict[str, list[Span]]:
        spans: dict[str, list[Span]] = {source: [] for source in self.sources}
        for gap in open_store(self._store).gaps():
            assert isinstance(gap["start"], int)
            end = gap["end"] if isinstance(gap["end"], int) else inf
            spans[f"{gap['venue']}:{gap['symbol']}/{gap['kind']}"].append(Span(gap["start"], end))
        return spans

    def _judge(self) -> None:
        """Find each event of the ledger on the tape, or in a gap."""
        ledger = [json.decode(line, type=Entry) for line in self._ledger.read_bytes().splitlines()]
        data = [e for e in self.events if isinstance(e, Data) and e.origin is Origin.LIVE]
        delivered = Counter((event.channel, event.recv_ns) for event in data)
        self.gaps, self.connections = self._gaps(), self._connections()
        connections = self.connections
        times = [ns for connection in connections for ns in connection.frames]
        assert len(set(times)) == len(times)
        for entry, n in Counter(replace(e, n=0, ns=0) for e in ledger).items():
            connection = connections[entry.client - 1]
            if entry.fault != WITHHELD and entry.frame <= len(connection.frames):
                got = delivered.pop((entry.channel, connection.frames[entry.frame - 1]), 0)
                self._received(entry, n, got, connection)
            else:
                self._lost(entry, n, connection)
        if not any(entry.fault == ALTERED for entry in ledger):
            assert not delivered, "what was delivered has been sent"

    def _received(self, entry: Entry, sent: int, got: int, connection: Connection) -> None:
        """A frame that came in: of the ``sent`` events in it ``got`` were delivered."""
        if entry.fault == DOUBLED:
            self.twice += got
            assert not (got and self._numbered(entry)), entry
        elif got < sent:
            # What was overtaken is missed where it should have come.
            sooner = entry.frame - 2 if entry.fault == SWAPPED else entry.frame
            self._miss(
                entry, sent - got, connection.between(sooner, entry.frame), known=entry.fault != ALTERED
            )
        else:
            assert got == sent or entry.fault == ALTERED, entry

    def _lost(self, entry: Entry, sent: int, connection: Connection) -> None:
        """Events that never came in."""
        span = connection.between(entry.frame, entry.frame + 1)
        if span.end_ns < inf:  # else they may be under way
            ended = entry.frame >= len(connection.frames)
            self._miss(entry, sent, span, known=ended or self._numbered(entry))

    def _numbered(self, entry: Entry) -> bool:
        return entry.channel.partition("/")[2] in NUMBERED.get((self.venue, self.api), ())

    def _miss(self, entry: Entry, n: int, span: Span, *, known: bool) -> None:
        heard = min(e.recv_ns for e in self.events if isinstance(e, Data) and e.channel == entry.channel)
        if heard > span.end_ns or any(gap.meets(span) for gap in self.gaps[entry.channel]):
            return
        if known:
            self.missing.append(entry)
        else:
            self.unknowable += n

    @property
    def recovered_s(self) -> float:
        """How long the longest gap was."""
        spans = [span for spans in self.gaps.values() for span in spans]
        return max((span.end_ns - span.start_ns for span in spans), default=0.0) / SECOND

    def assert_gaps_contain_the_loss_of_the_connection(self) -> None:
        """On each channel one gap reaches from before the end of a connection to after the next opening."""
        for ended, opened in pairwise(self.connections):
            for channel, spans in self.gaps.items():
                heard = [e.recv_ns for e in self.events if isinstance(e, Data) and e.channel == channel]
                before = max((ns for ns in heard if ns <= ended.closed_ns), default=None)
                if before is None:
                    continue
                after = min(ns for ns in heard if ns >= opened.opened_ns)
                [span] = [s for s in spans if s.meets(Span(ended.closed_ns, opened.opened_ns))]
                assert before <= span.start_ns <= ended.closed_ns
                assert opened.opened_ns <= span.end_ns <= after

    def assert_no_trade_twice(self) -> None:
        """By the vendor's ids, however it came."""
        trades = [e for e in self.events if isinstance(e, Trade) and e.id is not None]
        assert not [key for key, n in Counter((t.channel, t.id) for t in trades).items() if n > 1]


class Table:
    """What each case has shown, as lines of text."""

    HEAD = ("vendor", "fault", "recovered in s", "events", "missing", "nobody can know", "twice", "gaps")

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = [self.HEAD]

    def add(self, fault: str, outage_s: float, cases: list[Case]) -> None:
        for case in cases:
            data, gaps = sum(isinstance(e, Data) for e in case.events), sum(map(len, case.gaps.values()))
            numbers = (data, len(case.missing), case.unknowable, case.twice, gaps)
            recovered = f"{case.recovered_s - outage_s:.2f}"
            self.rows.append((str(case), fault, recovered, *map(str, numbers)))

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if n > 1 else cell.ljust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in self.rows
        )


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    table = Table()
    yield table
    print(f"\n\n{table}")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for venue, api in APIS:
        for name in find(venue, api).key_names:
            monkeypatch.setenv(name, "simulated")


async def at_every_vendor(specs: list[str], directory: Path, *, outage: bool) -> list[Case]:
    """Each vendor with the same faults, at the same time."""
    cases = [Case(venue, api, directory / f"{venue}{api}") for venue, api in APIS]
    ended = await asyncio.gather(*(case.run(specs, outage=outage) for case in cases), return_exceptions=True)
    problems = [error for error in ended if isinstance(error, Exception)]
    for case, error in zip(cases, ended, strict=True):
        if isinstance(error, Exception):
            error.add_note(f"at {case}")
    if problems:
        raise ExceptionGroup(" ".join(specs), problems)
    return cases


@pytest.mark.parametrize("fault", OUTAGES)
async def test_an_outage_is_survived_and_written_down(fault: str, tmp_path: Path, table: Table) -> None:
    specs, outage_s = OUTAGES[fault]
    cases = await at_every_vendor(specs, tmp_path, outage=True)
    table.add(fault, outage_s, cases)
    for case in cases:
        assert not case.missing, str(case)
        assert not case.unknowable, str(case)
        assert len(case.connections) > 1, str(case)
        case.assert_gaps_contain_the_loss_of_the_connection()
        case.assert_no_trade_twice()


@pytest.mark.parametrize("fault", TROUBLES)
async def test_trouble_is_survived_and_written_down(fault: str, tmp_path: Path, table: Table) -> None:
    cases = await at_every_vendor(TROUBLES[fault], tmp_path, outage=False)
    table.add(fault, 0.0, cases)
    for case in cases:
        assert not case.missing, str(case)
        if fault not in ("gap", "reorder", "corrupt"):
            assert not any(case.gaps.values()), str(case)
            assert not case.unknowable, str(case)
        if fault not in ("dup", "corrupt"):
            case.assert_no_trade_twice()
