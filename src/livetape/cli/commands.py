"""The commands and their options; each imports what it needs only when it runs (floor 5)."""

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__

app = typer.Typer(
    name="livetape",
    help="Any vendor's live feed in; one clean, verified, typed tape out.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SOURCES_HELP = (
    "venue:SYMBOL or venue:SYMBOL/kind, such as kraken:BTC-USD/book; else those of the configuration."
)
Sources = Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help=_SOURCES_HELP)]
ConfigFile = Annotated[str | None, typer.Option("-c", "--config", help="A TOML file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the configuration."),
]
Duration = Annotated[float, typer.Option(help="End after so many seconds; 0 runs until Ctrl-C.", min=0)]
Seed = Annotated[int, typer.Option(help="The simulated market repeats itself for the same seed.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"livetape {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs on stderr as JSON lines.")] = False,
    log_file: Annotated[str, typer.Option("--log-file", help="Write logs to this file too.")] = "",
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log what happens, not only what goes wrong.")
    ] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Log every frame, too.")] = False,
) -> None:
    from .logs import set_up

    set_up(as_json=log_json, file=log_file, verbose=verbose, trace=trace)


@app.command()
def watch(
    sources: Sources = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    count: Annotated[
        int, typer.Option(help="End after so many events, status and gaps not counted; 0 has no end.", min=0)
    ] = 0,
    duration: Duration = 0,
    depth: Annotated[
        int | None,
        typer.Option(help="Book levels a side; without it the levels that changed.", min=1, max=1000),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Show live events: a table in the terminal, or JSON lines.

    For example: livetape watch kraken:BTC-USD

    livetape watch kraken:BTC-USD/book --json --depth 10 --count 5
    """
    from .running import configure, run
    from .watch import View, show

    chosen = configure(config, settings, sources, depth)
    view = View(as_json=as_json, count=count, depth=depth)
    raise typer.Exit(run(lambda stop: show(chosen, view, stop), duration))


@app.command()
def record(
    store: Annotated[Path, typer.Option(help="The directory of the tape.")],
    sources: Sources = None,
    duration: Duration = 0,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Record live events and raw frames.

    Example: livetape record kraken:BTC-USD gemini:BTC-USD --store ./tape
    """
    from .record import keep
    from .running import configure, run

    chosen = configure(config, settings, sources)
    raise typer.Exit(run(lambda stop: keep(chosen, store, stop), duration))


@app.command()
def up(
    sources: Sources = None,
    config: ConfigFile = None,
    port: Annotated[
        int | None, typer.Option(help="Where the gateway listens; else gateway.port, 8765.", min=0, max=65535)
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Record into this directory.")] = None,
    duration: Duration = 0,
    settings: Settings = None,
) -> None:
    """Feeds, recorder, gateway and page on real vendors.

    Example: livetape up kraken:BTC-USD gemini:BTC-USD --store ./tape
    """
    from .running import configure, run
    from .up import serve

    chosen = configure(
        config, [*(settings or []), *([] if port is None else [f"gateway.port={port}"])], sources
    )
    raise typer.Exit(run(lambda stop: serve(chosen, store, stop), duration))


@app.command()
def demo(
    port: Annotated[
        int, typer.Option(help="Where the page is; 0 takes a free port.", min=0, max=65535)
    ] = 8765,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where the tape goes; else a new directory among the temporary files."),
    ] = None,
    duration: Duration = 0,
    seed: Seed = 7,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Everything at once on simulated vendors: no key, no network.

    Example: livetape demo --duration 20 --no-browser
    """
    from .demo import demonstrate
    from .running import run

    raise typer.Exit(run(lambda stop: demonstrate(directory, port, seed, stop, browser=browser), duration))


@app.command()
def simulate(
    venues: Annotated[
        list[str], typer.Argument(metavar="VENUE…", help="alpaca, finnhub, gemini, itick, kraken, or echo")
    ],
    port: Annotated[
        int, typer.Option(help="The first port; each further venue takes the next.", min=0, max=65535)
    ] = 9400,
    seed: Seed = 7,
    rate: Annotated[float, typer.Option(help="How much busier than usual.", min=0.001, max=1000)] = 1.0,
    depth: Annotated[float, typer.Option(help="How much deeper than usual books are.", min=1, max=100)] = 1.0,
    duration: Duration = 0,
    ledger: Annotated[Path | None, typer.Option(help="Write every event that was sent to this file.")] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="SPEC", help="What goes wrong; see above. May be repeated."),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY[:SECRET]", help="A good key; may be repeated. Else any is."),
    ] = None,
) -> None:
    """A vendor's server on loopback, from a simulated market.

    Faults: drop:after=5s,every=30s reset:after=5s refuse:for=2s,after=5s mute:after=5s,for=10s
    slow:delay=300ms trickle:bytes=20000 gap:every=20 dup:every=20 reorder:every=20 corrupt:every=20
    http429:for=10s,retry=3s http503:for=10s auth-reject skew=250ms closed, and the venue's own switches,
    such as cap=50.

    Example: livetape simulate kraken gemini --port 9400 --ledger sent.jsonl --fault drop:after=5s
    """
    from .running import run
    from .simulate import Options, serve

    options = Options(venues, port, seed, rate, ledger, depth, faults or [], keys or [])
    raise typer.Exit(run(lambda stop: serve(options, stop), duration))


@app.command()
def replay(
    store: Annotated[Path, typer.Argument(help="The directory of the tape.")],
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    depth: Annotated[
        int | None, typer.Option(help="Book levels a side; without it the levels that changed.", min=1)
    ] = None,
) -> None:
    """The raw frames of a tape through the same code as live, as fast as it goes.

    Example: livetape replay ./tape --json
    """
    from .tape import print_replay

    print_replay(store, as_json=as_json, depth=depth)


@app.command()
def gaps(
    store: Annotated[Path, typer.Option(help="The directory of the tape.")],
    day: Annotated[str, typer.Option(help="How complete each channel is on this day, UTC.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One gap, or channel, a line on stdout.")] = False,
) -> None:
    """Every interval in which something may be missing.

    Examples: livetape gaps --store ./tape, livetape gaps --store ./tape --day 2026-11-21
    """
    from .tape import print_completeness, print_gaps

    if day:
        print_completeness(store, day, as_json=as_json)
    else:
        print_gaps(store, as_json=as_json)


@app.command()
def plot(
    channel: Annotated[str, typer.Argument(help="Such as kraken:BTC-USD/trade.")],
    store: Annotated[Path, typer.Option(help="The directory of the tape.")] = Path("tape"),
    style: Annotated[
        str, typer.Option(help="line, candle, depth or spread; else what suits the channel.")
    ] = "",
    interval: Annotated[str, typer.Option(help="A candle's, such as 1m; else one that suits the time.")] = "",
    begin: Annotated[str, typer.Option("--from", help="From this time on; UTC unless it says else.")] = "",
    end: Annotated[str, typer.Option("--to", help="Until this time.")] = "",
    last: Annotated[str, typer.Option(help="Only the last 30s, 5m, 2h or 1d.")] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A PNG or SVG file; else a PNG named by the channel.")
    ] = None,
) -> None:
    """Draw a channel of a tape: price, candles, depth or spread.

    Example: livetape plot kraken:BTC-USD/trade --store ./tape --style candle -o btc.png
    """
    from .plot import chart_of, draw

    draw(store, channel, chart_of(style, interval, begin, end, last), out)


@app.command()
def status(
    url: Annotated[str, typer.Option(help="The gateway of `up` or `demo`.")] = "http://127.0.0.1:8765",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Every connection and channel of a running gateway: state, since when, counts.

    Example: livetape status --json
    """
    from .status import print_status

    print_status(url, as_json=as_json)


@app.command()
def symbols(
    query: Annotated[str, typer.Argument(help="A ticker, a pair or words of a name; else all.")] = "",
    venue: Annotated[
        list[str] | None, typer.Option(help="Search this venue; may be repeated. Else all.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many; else 20 of a query.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One instrument a line on stdout.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the vendors even if their lists are not a day old.")
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """What can be had, found by ticker, pair or name, even if misspelt.

    Example: livetape symbols "dollar bitcoin" --venue kraken
    """
    from ..config import load
    from .symbols import Wish, print_symbols

    wish = Wish(query, venue or [], limit, refresh)
    print_symbols(load(config, settings or []), wish, as_json=as_json)


@app.command()
def doctor(
    venues: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VENUE]...", help="A venue, or a source; else what is configured."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One check a line on stdout.")] = False,
    timeout: Annotated[float, typer.Option(help="How many seconds data may take to come.", min=0.1)] = 10,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """What stands between you and the data, and what to do about it.

    Examples: livetape doctor kraken

    livetape doctor finnhub:AAPL --json
    """
    import asyncio

    from ..config import load
    from .doctor import examine

    chosen = load(config, settings or [])
    raise typer.Exit(asyncio.run(examine(chosen, venues or [], timeout, as_json=as_json)))


@app.command()
def latency(
    venue: Annotated[str, typer.Argument(help="Such as gemini.")],
    symbol: Annotated[str, typer.Argument(help="Such as BTC-USD, or BTC-USD/book for one kind only.")],
    count: Annotated[int, typer.Option("-n", "--count", help="How often each is measured.", min=1)] = 10,
    timeout: Annotated[float, typer.Option(help="How many seconds to wait for events.", min=0.1)] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """How long a price takes by REST, and how fresh the stream is.

    Example: livetape latency gemini BTC-USD -n 20
    """
    from ..config import load
    from .latency import Wish, channels_for, measure
    from .running import run

    chosen = load(config, settings or [])
    channels, wish = channels_for(chosen, venue, symbol), Wish(count, timeout)
    raise typer.Exit(run(lambda stop: measure(chosen, channels, wish, stop, as_json=as_json)))


@app.command()
def venues(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What each venue offers, proves and limits."""
    from .venues import print_venues

    print_venues(as_json=as_json)
