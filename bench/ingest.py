"""How fast recorded frames become events, books and callbacks; beside cryptofeed on the same messages.

    python bench/ingest.py [--rounds N] [--no-peer]

README.md says what is measured and how. This process only reads the recordings and asks: each side works in
a process of its own, one at a time, in turns.
"""

import gzip
import re
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple
from urllib.parse import parse_qs, urlsplit

import typer
from msgspec import Struct, field, json
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sides import Peer, Side, compared, recordings, show, version_of

from livetape.core.instruments import unified

PEER = "cryptofeed<3"  # 3.x needs Python 3.13
LEAST = 4_000  #: messages in a round; a shorter recording is driven several times, afresh each time

Frame = tuple[int, str]  #: receive time in ns, text


class Recording(Struct):
    """What one side is given. ``start`` makes the books and is not timed; ``frames`` are."""

    venue: str
    kinds: list[str]  #: of channels
    symbols: dict[str, str]  #: unified to the venue's own spelling
    start: list[Frame]
    frames: list[Frame]
    snapshots: dict[str, str] = field(default_factory=dict)  #: native symbol to REST answer
    options: dict[str, int] = field(default_factory=dict)  #: of livetape's adapter


class Load(Struct):
    """Keep ``recording``, drive it once and say what came out."""

    recording: Recording
    verify: bool | None  #: checksums; None leaves it to the side's default
    look: bool  #: whether the callback reads the best prices


class Outcome(Struct):
    """What a side made of a recording: callbacks, and (best bid, best ask) of each book at the end."""

    callbacks: int
    best: dict[str, tuple[float | None, float | None]]


class Row(NamedTuple):
    """One line of the table."""

    title: str
    recordings: tuple[Recording, Recording]  #: livetape's and the peer's
    verify: bool | None = None
    look: bool = True


# The recordings


def rows(root: Path) -> list[Row]:
    """What is compared, from the recordings below ``root``."""
    gemini, binance = gemini_v2(root / "gemini"), binance_depth(root / "binance")
    kraken = kraken_v2(root / "kraken"), kraken_v1(root / "kraken_v1_legacy")
    return [
        Row("Gemini v2", (gemini, gemini)),
        Row("Binance spot depth", (binance, binance)),
        Row("Binance spot depth, best not read", (binance, binance), look=False),
        Row("Kraken, by default", kraken),
        Row("Kraken, verified", kraken, verify=True),
        Row("Kraken, unverified", kraken, verify=False),
    ]


def gemini_v2(place: Path) -> Recording:
    """Ten books and their trades; the update that says the same again is left out: we hand it out once."""
    lines = timed(read(place / "cryptofeed_20210623_GEMINI.ws.1.0.txt.gz", ": "))
    start, frames = split(lines, lambda _, text: '"trades":' not in text)
    frames = without_repeats(frames)
    natives = [json.decode(text)["symbol"] for _, text in start]
    return Recording("gemini", ["book", "trade"], {unified(n): n for n in natives}, start, frames)


def without_repeats(frames: list[Frame]) -> list[Frame]:
    """``frames`` but for those that are the same as the last one of their symbol."""
    kept, last = [], dict[str, str]()
    for ns, text in frames:
        symbol = json.decode(text).get("symbol", "")
        if last.get(symbol) != text:
            kept.append((ns, text))
        last[symbol] = text
    return kept


def binance_depth(place: Path) -> Recording:
    """Four quiet books and a busy one; what came before a book's REST answer belongs to the start."""
    lines = timed(read(place / "cryptofeed_20211011_BINANCE.ws.1.0.txt.gz", ": "))
    lines += [(int(ns), text) for ns, text in read(place / "hftbacktest_btcusdt_20240808.gz", " ")]
    answers = {"BTCUSDT": next(line for line in lines if line[1].startswith('{"lastUpdateId"'))}
    for address, answer in read(place / "cryptofeed_20211011_BINANCE.http.0.0.txt.gz", " -> "):
        [native] = parse_qs(urlsplit(address).query)["symbol"]
        [answers[native]] = timed([answer.split(": ", 1)])

    def flows(ns: int, text: str) -> bool:  # {"stream":"btcusdt@depth@100ms", …
        return ns > answers[text[11:].partition("@")[0].upper()][0]

    start, frames = split([line for line in lines if '"depthUpdate"' in line[1]], flows)
    symbols, bodies = {unified(n): n for n in answers}, {n: body for n, (_, body) in answers.items()}
    return Recording("binance", ["book"], symbols, start, frames, bodies)


def kraken_v2(place: Path) -> Recording:
    """Ten books of a thousand levels, transcoded from what ``kraken_v1`` reads."""
    lines = timed(read(place / "TRANSCODED_v1_20210417_book1000.tsv.gz", "\t"))
    start, frames = split(lines, lambda _, text: "heartbeat" in text or '"book","type":"update"' in text)
    natives = [json.decode(text)["data"][0]["symbol"] for _, text in start if '"snapshot","data"' in text]
    symbols = {unified(native): native for native in natives}
    return Recording("kraken", ["book"], symbols, start, frames, options={"depth": 1000})


def kraken_v1(place: Path) -> Recording:
    """The same as it was recorded."""
    lines = timed(read(place / "cryptofeed_20210417_KRAKEN.ws.50.0.txt.gz", ": "))
    start, frames = split(lines, lambda _, text: "heartbeat" in text or re.match(r'\[\d+,{"[ab]"', text))
    natives = [json.decode(text)[-1] for _, text in start if text[0] == "["]
    return Recording("kraken", ["book"], {unified(n): n for n in natives}, start, frames)


def read(path: Path, separator: str) -> list[list[str]]:
    """The lines of a recording, each cut in two."""
    with gzip.open(path, "rt") as lines:
        return [line.strip().split(separator, 1) for line in lines if separator in line]


def timed(lines: Iterable[list[str]]) -> list[Frame]:
    """Received frames; lines that do not begin with a time, in seconds, tell of other things."""
    return [(round(float(time) * 1e6) * 1000, text) for time, text in lines if time[0].isdigit()]


def split(lines: list[Frame], flows: Callable[[int, str], object]) -> tuple[list[Frame], list[Frame]]:
    """What starts the books, and what flows once they stand; the order within a book stays."""
    return [line for line in lines if not flows(*line)], [line for line in lines if flows(*line)]


# The measurement


def measured(sides: list[Side], driven: list[Row], rounds: int) -> list[list[list[float]]]:
    """Nanoseconds a message, by row, round and side; the sides take turns at going first."""
    passes = [ceil(LEAST / len(row.recordings[0].frames)) for row in driven]
    taken: list[list[list[float]]] = [[] for _ in driven]
    for turn in range(rounds):
        for number, times in enumerate(taken):
            order = sides if turn % 2 else sides[::-1]
            spent = {side: [side.measure(number) for _ in range(passes[number])] for side in order}
            times.append([sum(spent[side]) / passes[number] for side in sides])
    return taken


def table(driven: list[Row], taken: list[list[list[float]]]) -> Table:
    """The result, medians over the rounds."""
    result = Table("recording", "messages", "livetape frames/s", "ns/msg", box=SIMPLE_HEAD)
    if len(taken[0][0]) > 1:
        result.add_column("cryptofeed ns/msg")
        result.add_column("ratio")
    for column in result.columns[1:]:
        column.justify = "right"
    for row, times in zip(driven, taken, strict=True):
        medians = [median(side) for side in zip(*times, strict=True)]
        cells = [f"{len(row.recordings[0].frames):,}", f"{1e9 / medians[0]:,.0f}"]
        cells += [f"{ns:,.0f}" for ns in medians]
        if len(medians) > 1:
            cells.append(f"{median(theirs / ours for ours, theirs in times):.2f}")
        result.add_row(row.title, *cells)
    return result


def main(
    rounds: Annotated[int, typer.Option(help="How often each side is asked.", min=1)] = 7,
    peer: Annotated[bool, typer.Option(help="Measure cryptofeed too; it is installed on first use.")] = True,
) -> None:
    """Frames per second and ns per message: bytes to event to book to callback, on the recordings."""
    root = recordings()
    if not root.is_dir():
        raise SystemExit(f"no recordings at {root}; LIVETAPE_RECORDINGS names their directory")
    driven, cryptofeed = rows(root), Peer("cryptofeed", PEER, "cryptofeed.exchanges", about)
    with compared("ingest", cryptofeed if peer else None) as (sides, notes):
        for row in driven:
            given = zip(sides, row.recordings, strict=False)
            outcomes = [
                side.load(Load(recording, row.verify, row.look), Outcome) for side, recording in given
            ]
            if outcomes[0] != outcomes[-1]:
                raise SystemExit(f"{row.title}: the two sides disagree: {outcomes}")
        taken = measured(sides, driven, rounds)
    show(table(driven, taken), *notes)


def about(python: Path) -> list[str]:
    """What must be known to read the comparison."""
    cryptofeed, order_book = version_of("cryptofeed", python), version_of("order_book", python)
    notes = [
        f"cryptofeed {cryptofeed}, order_book {order_book}: its message_handler, awaited, async callbacks.",
        "Both sides called back equally often and ended with the same best bid and ask in every book.",
        "Kraken: the same messages, to livetape as v2 (transcoded), to cryptofeed as the recorded v1.",
        "By default livetape verifies every checksum and cryptofeed none.",
    ]
    if order_book.startswith("0."):
        notes += [
            "order_book 0.x, all there is for this Python, may sort a whole side to read its best price;",
            "Python 3.12 gets a faster one. Do not quote these ratios without the versions.",
        ]
    return notes


if __name__ == "__main__":
    typer.run(main)
