"""How fast each adapter makes events of a vendor's frames; Alpaca's beside alpaca-py on the same events.

    python bench/decode.py [--rounds N] [--no-peer]

README.md says what is measured and how. This process only makes the frames and asks: each side works in a
process of its own, one at a time, in turns.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import typer
from ingest import binance_depth
from msgspec import Raw, Struct, field, json, msgpack
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sides import Peer, Side, compared, recordings, show, version_of

from livetape import dialects
from livetape.adapters import find
from livetape.core.credentials import Credentials
from livetape.core.dialect import Call
from livetape.core.instruments import Channel
from livetape.core.times import SECOND
from livetape.simulator.listings import listed
from livetape.simulator.market import Market

PEER = "alpaca-py==0.44.0"
KEY = Credentials("K", "S")
MESSAGES = 2_000  #: in a round; short, so that some rounds are not disturbed
BATCH = 10  #: items a frame where they come together
START_NS = 1_790_000_000 * SECOND
STOCKS = ["AAPL", "MSFT", "NVDA", "TSLA", "F", "SPY"]
FOREVER = START_NS + 10**9 * SECOND


class Load(Struct):
    """Frames of one connection, to be decoded. ``start`` came before what is timed."""

    venue: str
    api: str
    channels: list[str]
    start: list[bytes]
    frames: list[bytes]
    options: dict[str, str] = field(default_factory=dict)  #: of livetape's adapter


class Outcome(Struct):
    """What a side made of its frames: events, and the price in each."""

    events: int
    prices: list[float]


class Row(NamedTuple):
    """One line of the table. ``peer`` is the same events as alpaca-py reads them."""

    title: str
    load: Load
    peer: Load | None = None


# The frames


def rows() -> list[Row]:
    """What is measured."""
    coins = ["BTC-USD", "ETH-USD", "SOL-USD"]
    simulated = [
        Row("Kraken v2", told("kraken", coins, "trade", "book")),
        Row("Gemini v2", told("gemini", coins, "trade", "book")),
        Row("Gemini v1", told("gemini", coins[:1], "trade", "book", api="v1")),
        Row("Gemini v3", told("gemini", coins, "trade", "quote", "book", api="v3")),
        Row("iTick", told("itick", ["BTC-USDT", "ETH-USDT"], "trade", "summary", "book")),
        Row("iTick v1", told("itick", ["BTC-USDT", "ETH-USDT"], "trade", "summary", "book", api="v1")),
        Row("Finnhub", told("finnhub", ["AAPL", "MSFT", "BTC-USDT", "ETH-USDT"], "trade")),
        Row("Alpaca v1", told("alpaca", STOCKS, "trade", "quote", api="v1")),
    ]
    root = recordings()
    return [*simulated, *(recorded(root) if root.is_dir() else []), *alpaca()]


def recorded(root: Path) -> list[Row]:
    """Binance, whose server we do not speak, from its recording."""
    recording = binance_depth(root / "binance")
    channels = [f"binance:{symbol}/book" for symbol in recording.symbols]
    frames = [text.encode() for _, text in recording.frames[: 2 * MESSAGES]]
    return [Row("Binance spot depth", Load("binance", "", channels, frames[:MESSAGES], frames[MESSAGES:]))]


def alpaca() -> list[Row]:
    """Trades, quotes and books, one item a frame and several, in JSON and in msgpack."""
    found = []
    for kind, symbols in (("trade", STOCKS), ("quote", STOCKS), ("book", ["BTC-USD", "ETH-USD"])):
        text, packed = (told("alpaca", symbols, kind, encoding=wire) for wire in ("json", "msgpack"))
        for size in (1, BATCH):
            peer = cut(packed, size)
            found.append(Row(f"Alpaca {kind}s by {size}, JSON", cut(text, size), peer))
            found.append(Row(f"Alpaca {kind}s by {size}, msgpack", peer, peer))
    return found


def told(venue: str, symbols: Sequence[str], *kinds: str, api: str = "", **options: str) -> Load:
    """What the vendor's dialect tells of a simulated market."""
    adapter = find(venue, api)(options, KEY)
    channels = [Channel(venue, symbol, kind) for symbol in symbols for kind in kinds]
    market = Market([i for i in listed(venue) if i.symbol in symbols], 7, START_NS, venue)
    address = urlsplit(adapter.endpoint(adapter.ws_url, channels))
    speaker = next(each for each in dialects.of(venue) if each.path.fullmatch(address.path or "/"))
    dialect = speaker(market)
    headers = {name.lower(): value for name, value in adapter.ws_headers().items()}
    start = dialect.open(Call(address.path, dict(parse_qsl(address.query)), headers), START_NS)
    for request in (*adapter.login(), *adapter.subscribe(channels)):
        start += dialect.receive(request, START_NS)
    beats, frames = START_NS, []
    for action in market.advance(FOREVER):
        while action.ns >= beats:
            frames += dialect.receive(adapter.heartbeat(beats), beats) if adapter.heartbeat_s else []
            frames += dialect.beat(beats)
            beats += int(dialect.beat_s * SECOND)
        frames += dialect.push(action, {})
        if dialect.leaving:
            raise SystemExit(f"the {venue} of the simulator hangs up: {dialect.leaving}")
        if len(frames) >= 2 * MESSAGES:
            break
    said = [pushed.frame for pushed in start + frames]
    return Load(venue, api, list(map(str, channels)), said[:-MESSAGES], said[-MESSAGES:], options)


def cut(load: Load, size: int) -> Load:
    """The same items, ``size`` of them a frame."""
    wire = msgpack if load.options["encoding"] == "msgpack" else json
    items = [item for frame in load.frames for item in wire.decode(frame, type=list[Raw])]
    return replace(load, frames=[wire.encode(items[i : i + size]) for i in range(0, len(items), size)])


# The measurement


class Job(NamedTuple):
    """A row in the hands of its sides: each with the number it gave the load, livetape first."""

    row: Row
    events: int
    sides: list[tuple[Side, int]]


def handed_over(rows: Sequence[Row], ours: Side, peer: Side | None = None) -> Iterator[Job]:
    """Give the sides their loads, and see that both make the same of the same events."""
    asked = count()
    for number, row in enumerate(rows):
        made, sides = ours.load(row.load, Outcome), [(ours, number)]
        if peer and row.peer:
            if peer.load(row.peer, Outcome) != made:
                raise SystemExit(f"{row.title}: the two sides disagree")
            sides.append((peer, next(asked)))
        yield Job(row, made.events, sides)


def measured(jobs: Sequence[Job], rounds: int) -> list[list[list[float]]]:
    """Nanoseconds a message, by row, side and round; the sides take turns at going first."""
    taken: list[list[list[float]]] = [[[] for _ in job.sides] for job in jobs]
    for turn in range(rounds):
        for times, job in zip(taken, jobs, strict=True):
            present = list(zip(times, job.sides, strict=True))
            for spent, (side, number) in present if turn % 2 else present[::-1]:
                spent.append(side.measure(number))
    return taken


def table(jobs: Sequence[Job], taken: list[list[list[float]]]) -> Table:
    """The result: the best of the rounds, and two ratios."""
    result = Table("adapter", "messages", "events", "ns/message", "ns/event", box=SIMPLE_HEAD)
    if any(len(job.sides) > 1 for job in jobs):
        for name in ("alpaca-py", "ratio", "median"):
            result.add_column(name)
    for column in result.columns[1:]:
        column.justify = "right"
    for job, times in zip(jobs, taken, strict=True):
        messages = len(job.row.load.frames)
        best = [min(spent) for spent in times]
        each = [ns * messages / job.events for ns in best]
        cells = [f"{messages:,}", f"{job.events:,}", f"{best[0]:,.0f}", f"{each[0]:,.0f}"]
        if len(times) > 1:
            middle = median(theirs / ours for ours, theirs in zip(*times, strict=True))
            cells += [f"{each[1]:,.0f}", f"{best[1] / best[0]:.2f}", f"{middle:.2f}"]
        result.add_row(job.row.title, *cells)
    return result


def main(
    rounds: Annotated[int, typer.Option(help="How often each side is asked.", min=1)] = 30,
    peer: Annotated[bool, typer.Option(help="Measure alpaca-py too; it is installed on first use.")] = True,
) -> None:
    """Nanoseconds from a frame's bytes to its events, for every adapter."""
    alpaca_py = Peer("alpaca-py", PEER, "alpaca.data.live", about)
    with compared("decode", alpaca_py if peer else None) as (sides, notes):
        jobs = list(handed_over(rows(), *sides))
        taken = measured(jobs, rounds)
    show(table(jobs, taken), *notes)


def about(python: Path) -> list[str]:
    """What must be known to read the comparison."""
    versions = [f"{name} {version_of(name, python)}" for name in ("alpaca-py", "pydantic", "msgpack")]
    return [f"{', '.join(versions)}: unpackb, then the stream's _cast, always from msgpack."]


if __name__ == "__main__":
    typer.run(main)
