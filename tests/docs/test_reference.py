"""The reference is complete, and every link leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import msgspec
import pytest
import typer

from livetape import dialects
from livetape.adapters import find, venues
from livetape.app import App
from livetape.cli.commands import app as command_line
from livetape.config import Config, VenueConfig
from livetape.core import errors, events, wire
from livetape.core.adapter import Adapter
from livetape.core.book import Book
from livetape.core.delivery import DELIVERIES
from livetape.core.raw import Direction, RawRecord
from livetape.simulator.faults import FAULTS, SWITCHES
from livetape.store.reader import Store
from livetape.store.schema import COLUMNS
from livetape.stream import Stream

from .markdown import DOCS, ROOT, anchors, links, names, pages, sections

REFERENCE = DOCS / "reference"
EVENTS = (
    *(
        events.Trade,
        events.Amendment,
        events.Quote,
        events.BestQuote,
        events.BookUpdate,
        events.Bar,
        events.Summary,
    ),
    *(events.Mark, events.Auction, events.Luld, events.News, events.Status, events.Gap),
)


def said(page: str, section: str = "") -> set[str]:
    """The names in a page of the reference, or in one of its sections."""
    path = REFERENCE / page
    return names(sections(path)[section] if section else path.read_text())


def public(kind: type) -> set[str]:
    """The public attributes of a class of ours."""
    own = {name for each in kind.__mro__ if each.__module__.startswith("livetape") for name in vars(each)}
    return {name for name in own if not name.startswith("_")}


# The command line


def test_every_command_and_option_is_in_the_reference() -> None:
    root: Any = typer.main.get_command(command_line)
    for title, command in {"": root, **root.commands}.items():
        known = said("command-line.md", f"livetape {title}".strip())
        options = [
            name
            for p in command.params
            if p.param_type_name == "option"
            for name in p.opts + p.secondary_opts
        ]
        assert set(options) - {"--help", "-h"} <= known, title


def test_every_exit_code_is_in_the_reference() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {str(kind.exit_code) for kind in kinds if issubclass(kind, errors.LivetapeError)}
    rows = re.findall(r"^\| (\d+) \|", sections(REFERENCE / "command-line.md")["Exit codes"], re.MULTILINE)
    assert codes | {"0"} <= set(rows)


# The configuration


def keys(kind: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every key below ``kind`` and its default."""
    for field in msgspec.structs.fields(kind):
        default = field.default if field.default is not msgspec.NODEFAULT else None
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys(field.type, f"{prefix}{field.name}.")
        elif field.name == "venues":
            yield from keys(VenueConfig, "venues.NAME.")
        else:
            yield prefix + field.name, default


def test_every_key_of_the_configuration_is_in_the_reference_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| `([\w.]+)` \| (.+?) \|", (REFERENCE / "configuration.md").read_text(), re.MULTILINE)
    )
    for key, default in keys(Config):
        assert key in rows
        if isinstance(default, bool | int):
            assert rows[key] == f"`{str(default).lower()}`"


def test_every_option_of_a_venue_is_in_the_reference() -> None:
    known = said("configuration.md", "Options of venues")
    for adapter in adapters():
        assert {"depth", "silence_s", "max_symbols", *adapter.option_names} <= known


# Events


@pytest.mark.parametrize("kind", EVENTS)
def test_every_field_of_an_event_is_in_the_reference(kind: type) -> None:
    common = public(events.Status) - {"state", "detail", "why"}
    assert public(kind) - common <= said("events.md", kind.__name__)
    assert common <= said("events.md", "Every event")


def test_every_state_of_trust_origin_and_proof_is_in_the_reference() -> None:
    known = said("events.md", "Every event")
    assert {*events.Trust.__members__, *events.Origin.__members__, *events.Proof.__struct_fields__} <= known


@pytest.mark.parametrize("kind", [Stream, Store])
def test_every_method_is_in_the_reference(kind: type) -> None:
    known = {name.partition("(")[0].removeprefix("stream.") for name in said("events.md")}
    assert public(kind) - {"directory", "segments"} <= known


def samples() -> Iterator[events.MarketEvent]:
    proof = events.Proof("crc32", 10, 1)
    channel = "kraken:BTC-USD/book"
    codes = ("@", "I"), ("last",)
    yield events.Trade(channel, 1, "1", "2", "buy", "3", None, *codes, proof=proof)
    yield events.Amendment(channel, 1, "3", "1", "2")
    yield events.Summary(channel, 1)
    yield events.Mark(channel, 1, "1")
    yield events.Auction(channel, 1, "open")
    yield events.Luld(channel, 1, "1", "1")
    yield events.News(channel, 1, "1", "text")
    yield events.Quote(channel, 1, "1", "2", None, None)
    yield events.BestQuote("best:BTC-USD/quote", 1, "1", "2", "1", "2", "kraken", "gemini", "locked")
    yield events.BookUpdate(channel, 1, True, [("1", "2")], [], _book=Book())
    yield events.Bar("kraken:BTC-USD/bar.1m", 1, "1", "1", "1", "1", "1")
    yield events.Status(channel, "denied", why=events.Why.LOGIN)
    yield events.Gap(channel, 1, None, "checksum")


def test_every_key_of_the_json_lines_is_in_the_reference() -> None:
    lines = [msgspec.json.decode(wire.event_json(event, conflated=1)) for event in samples()]
    assert len(lines) == len(EVENTS)
    common = set(lines[0]).intersection(*lines[1:]) | {"proof"}
    assert common | set(lines[0]["proof"]) <= said("json-lines.md", "Every event")
    for line in lines:
        assert set(line) - common <= said("json-lines.md", line["type"])
        assert line["type"] in said("json-lines.md", "Every event")


# The gateway


def test_the_gateways_protocol_is_in_the_reference() -> None:
    known = said("gateway-protocol.md")
    assert {*wire.Request.__struct_fields__, *wire.OPERATIONS, *DELIVERIES} <= known
    source = (ROOT / "src/livetape/gateway/server.py").read_text()
    paths = set(re.findall(r'add_get\("([^"]+)"', source))
    assert len(paths) >= 5
    assert paths <= {name.partition("?")[0] for name in known}
    assert set(re.findall(r'reply\(\s*"(\w+)"', source)) <= known
    assert set(re.findall(r'"([A-Z]{3,}_[A-Z]+)"', source)) <= known


async def test_what_the_status_says_is_in_the_reference(tmp_path: Path) -> None:
    app = App(Config(venues={"kraken": VenueConfig(ws_url="ws://127.0.0.1:9")}))
    app.record(tmp_path)
    try:
        app.hub.want([events_channel()])
        status = app.gateway()._upstream.status()
    finally:
        await app.close()
    known = said("gateway-protocol.md", "/v1/status")
    for name, part in status.items():
        assert {name, *(part[0] if isinstance(part, list) else part)} <= known


def events_channel() -> Any:
    from livetape.core.instruments import Channel

    return Channel.parse("kraken:BTC-USD/book")


# The store


def test_every_table_and_column_of_the_store_is_in_the_reference() -> None:
    known = said("store.md", "Tables")
    for table, columns in COLUMNS.items():
        assert {table, *columns} <= known
    assert {*Direction} <= said("store.md", "Raw records")
    assert set(RawRecord.__struct_fields__) - {"recv_ns"} <= known


# Venues


def adapters() -> list[type[Adapter]]:
    """Every adapter of the package, further APIs of a venue too."""
    modules = {module.name for module in iter_modules([str(ROOT / "src/livetape/adapters")])}
    found = []
    for module in sorted(modules):
        venue, _, api = module.partition("_v") if module not in venues() else (module, "", "")
        found.append(find(venue, f"v{api}" if api else ""))
    return found


@pytest.mark.parametrize("adapter", adapters(), ids=lambda adapter: adapter.title)
def test_every_venue_is_in_the_reference_as_it_is(adapter: type[Adapter]) -> None:
    [row] = [
        line for line in (REFERENCE / "venues.md").read_text().splitlines() if f"| {adapter.title} |" in line
    ]
    venue, _, kinds, proof, symbols, dials, silence = [cell.strip() for cell in row.strip("|").split("|")]
    assert venue.startswith(f"`{adapter.venue}`")
    assert set(re.findall(r"`([^`]+)`", kinds)) == adapter.offers()
    methods = [f"{kind}: `{promise.method}`" for kind, promise in adapter.guarantees.items()]
    assert all(method in proof for method in methods)
    assert bool(methods) == (proof != "none")
    limits = adapter().limits
    assert (symbols, dials) == (str(limits.symbols_per_socket), str(limits.connects_per_minute))
    assert silence == f"{adapter.silence_s:g} s"


@pytest.mark.parametrize("adapter", adapters(), ids=lambda adapter: adapter.title)
def test_every_proof_is_explained(adapter: type[Adapter]) -> None:
    explained = (DOCS / "explanation/trust.md").read_text()
    assert all(f"`{promise.method}" in explained for promise in adapter.guarantees.values())


# Simulated vendors


def test_every_fault_is_in_the_how_to() -> None:
    said = sections(DOCS / "how-to/simulate-a-vendor.md")["Faults"]
    assert set(re.findall(r"^\| `([\w-]+)", said, re.MULTILINE)) >= {*FAULTS, *SWITCHES}


@pytest.mark.parametrize("venue", dialects.venues())
def test_every_switch_of_a_simulated_venue_is_in_the_how_to_with_its_values(venue: str) -> None:
    text = (DOCS / "how-to/simulate-a-vendor.md").read_text()
    rows = dict(re.findall(rf"^\| {venue} \| `([\w-]+)` \|(.+)$", text, re.MULTILINE))
    for dialect in dialects.of(venue):
        for name, values in dialect.switches.items():
            assert set(values) - {"N"} <= set(re.findall(r"`([^`]+)`", rows[name])), name


# Links


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / file).resolve() for file, _ in links(index)}
    assert {page for page in pages() if DOCS in page.parents} - {index} <= listed
