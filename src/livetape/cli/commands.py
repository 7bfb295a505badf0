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
    venues: Annotated[list[str], typer.Argument(metavar="VENUE…", help="gemini, kraken")],
    port: Annotated[
        int, typer.Option(help="The first port; each further venue takes the next.", min=0, max=65535)
    ] = 9400,
    seed: Seed = 7,
    rate: Annotated[float, typer.Option(help="How much busier than usual.", min=0.001, max=1000)] = 1.0,
    duration: Duration = 0,
    ledger: Annotated[Path | None, typer.Option(help="Write every event that was sent to this file.")] = None,
) -> None:
    """A vendor's server on loopback, from a simulated market.

    Example: livetape simulate kraken gemini --port 9400 --ledger sent.jsonl
    """
    from .running import run
    from .simulate import Options, serve

    options = Options(venues, port, seed, rate, ledger)
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
    as_json: Annotated[bool, typer.Option("--json", help="One gap a line on stdout.")] = False,
) -> None:
    """Every interval in which something may be missing.

    Example: livetape gaps --store ./tape
    """
    from .tape import print_gaps

    print_gaps(store, as_json=as_json)


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
def venues(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What each venue offers, proves and limits."""
    from .venues import print_venues

    print_venues(as_json=as_json)
