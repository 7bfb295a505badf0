"""``livetape import`` and ``livetape export`` (floor 5)."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from .. import clock
from ..adapters import find
from ..calendars import phase_of
from ..config import Config
from ..core.decimals import nearest
from ..core.errors import ConfigError
from ..core.events import Origin
from ..core.instruments import Channel, split_source, unified
from ..core.raw import Recipe
from ..store import recordings
from ..store.importing import Source, importing
from ..store.moments import zone_of
from ..store.query import Span, check, is_known, table_of
from ..store.scan import visible
from ..store.tabular import JsonLines, Said, Table, read_csv, read_lean, read_parquet
from .bar import bar
from .upkeep import seen

_TABLES = {"csv": read_csv, "parquet": read_parquet, "lean": read_lean}
_RECORDINGS = {
    "cryptofeed": recordings.cryptofeed,
    "crossbook": recordings.crossbook,
    "hftbacktest": recordings.hftbacktest,
    "frames": recordings.frames,
}
FORMATS = (*_TABLES, "jsonl", *_RECORDINGS)
#: What the end of a name tells, before .gz.
_ENDINGS = {
    **{".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".zip": "lean", ".jsonl": "jsonl"},
    **{".ndjson": "jsonl", ".cbcap": "crossbook"},
}


class Wish(Struct, frozen=True):
    """What the command line says of the files: empty where it leaves that to them."""

    as_: str = ""
    format: str = ""
    tz: str = ""
    columns: str = ""


def bring_in(files: Sequence[Path], store: Path, wish: Wish, config: Config) -> None:
    """Import ``files`` into ``store``, each as a whole or not at all."""
    sources = list(_sources(files, wish, config))
    with bar() as progress, importing(store) as importer:
        for source in sources:
            done = importer.add(source, progress)
            said = "was imported before" if done.before else "imported"
            sys.stderr.write(f"{done.name}: {done.records} records, {said}\n")


class Part(Struct, frozen=True):
    """What the command line says is to be exported; empty where it says nothing."""

    channel: str = ""
    form: str = ""
    begin: str = ""
    end: str = ""
    depth: int = 10


def take_out(store: Path, part: Part, out: Path) -> None:
    """Write ``part`` of ``store`` into ``out``; the same command goes on where it was interrupted."""
    from ..store import exporting

    allowed = exporting.FORMS
    if part.form not in allowed:
        named = nearest(part.form, allowed) or [*allowed]
        raise ConfigError(f"{part.form!r} is no format", where="--format", allowed=named)
    seen(store)
    if not out.absolute().parent.is_dir():
        raise ConfigError("there is no such directory", where=str(out.parent))
    span = Span.of(part.begin or None, part.end or None, clock.now_ns())
    wish = exporting.Wish(part.form, start_ns=span.start_ns, end_ns=span.end_ns, depth=part.depth)
    if part.channel:
        channel = _on_tape(store, part.channel)
        tables = exporting.TABLES if part.form in ("jsonl", "sqlite") else (table_of(channel),)
        wish = replace(wish, tables=tables, channels=(str(channel),))
    if part.form == "orderbook-jsonl" and wish.tables != ("books",):
        raise ConfigError("order books are of one channel", where="--format", example="kraken:BTC-USD/book")
    with bar() as progress:
        rows = exporting.export(store, wish, out, progress)
    sys.stderr.write(f"{rows} rows written to {out}\n")


def _on_tape(store: Path, name: str) -> Channel:
    """The channel ``name`` as the tape spells it. Raises ConfigError when it has nothing of it."""
    channel = Channel.parse(name)
    with visible(store) as tape:
        if not is_known(tape, channel):
            channel = channel._replace(symbol=unified(channel.symbol))
            check(tape, channel)
    return channel


def _sources(files: Sequence[Path], wish: Wish, config: Config) -> Iterator[Source]:
    if wish.format not in ("", *FORMATS):
        allowed = nearest(wish.format, FORMATS) or [*FORMATS]
        raise ConfigError(f"{wish.format!r} is no format", where="--format", allowed=allowed)
    formats = {path: wish.format or _format_of(path) for path in files}
    answers = [path for path in files if formats[path] == "cryptofeed" and recordings.only_answers(path)]
    recorded = [path for path in files if formats[path] in _RECORDINGS and path not in answers]
    if answers and not recorded:
        raise ConfigError(
            "holds only REST answers; name the recording that they answer to, too", where=str(answers[0])
        )
    for path in files:
        if formats[path] in _RECORDINGS:
            if path not in answers:
                yield _recording([path, *answers], formats[path], wish, config)
        else:
            yield _table(path, formats[path], wish)


def _table(path: Path, form: str, wish: Wish) -> Source:
    venue, symbol, kind = _split(wish.as_)
    said = Said(venue, symbol, kind, _columns(wish.columns), zone_of(wish.tz))
    return JsonLines(path, said) if form == "jsonl" else Table(path, said, _TABLES[form])


def _recording(paths: Sequence[Path], form: str, wish: Wish, config: Config) -> Source:
    venue, symbol, _ = _split(wish.as_)
    if not venue or symbol:
        example = "--as kraken"
        raise ConfigError("a recording is of a venue; name just that", where=str(paths[0]), example=example)
    chosen = config.venue(venue)
    recipe = Recipe(venue, chosen.api, chosen.options, origin=Origin.BACKFILLED)
    make = partial(find(venue, chosen.api), chosen.options)
    return recordings.Recording(paths, _RECORDINGS[form], recipe, make, phase_of)


def _format_of(path: Path) -> str:
    if not path.is_file():
        raise ConfigError("there is no such file", where=str(path))
    name = path.name.lower().removesuffix(".gz")
    for ending, form in _ENDINGS.items():
        if name.endswith(ending):
            return form
    raise ConfigError(
        "its name does not tell its format",
        where=str(path),
        remedy=f"--format is one of {', '.join(FORMATS)}",
    )


def _split(source: str) -> tuple[str, str, str]:
    """``venue``, ``venue:SYMBOL`` or ``venue:SYMBOL/kind``."""
    return split_source(source) if ":" in source else (source.lower(), "", "")


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not (field and name) for field, _, name in pairs):
        raise ConfigError(f"{text!r} names no columns", where="--columns", example="ts=time,price=px")
    return {field.strip(): name.strip() for field, _, name in pairs}
