"""The commands and their options; each imports what it needs only when it runs (floor 5)."""

from pathlib import Path
from typing import Annotated, Literal

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
StoreFormat = Annotated[
    str,
    typer.Option(
        "--store-format", metavar="parquet|sqlite", help="What becomes of the tape; else store.format."
    ),
]
Duration = Annotated[float, typer.Option(help="End after so many seconds; 0 runs until Ctrl-C.", min=0)]
Seed = Annotated[int, typer.Option(help="The simulated market repeats itself for the same seed.")]

Directory = Annotated[Path, typer.Argument(metavar="STORE", help="The directory of the tape.")]
Tape = Annotated[Path, typer.Option("--store", help="The directory of the tape.")]
Begin = Annotated[str, typer.Option("--from", help="From this time on: 2026-11-21T09:30, or -1h.")]
End = Annotated[str, typer.Option("--to", help="Until before this time; UTC.")]
Form = Annotated[
    Literal["table", "csv", "json", "parquet", "arrow"], typer.Option("--format", help="How it is written.")
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Into this file; else to stdout.")]


def _format(name: str) -> list[str]:
    return [f"store.format={name}"] if name else []


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
    store_format: StoreFormat = "",
    duration: Duration = 0,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Record live events and raw frames.

    Example: livetape record kraken:BTC-USD gemini:BTC-USD --store ./tape
    """
    from .record import keep
    from .running import configure, run

    chosen = configure(config, [*(settings or []), *_format(store_format)], sources)
    raise typer.Exit(run(lambda stop: keep(chosen, store, stop), duration))


@app.command()
def up(
    sources: Sources = None,
    config: ConfigFile = None,
    port: Annotated[
        int | None, typer.Option(help="Where the gateway listens; else gateway.port, 8765.", min=0, max=65535)
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Record into this directory.")] = None,
    store_format: StoreFormat = "",
    duration: Duration = 0,
    settings: Settings = None,
) -> None:
    """Feeds, recorder, gateway and page on real vendors.

    Example: livetape up kraken:BTC-USD gemini:BTC-USD --store ./tape
    """
    from .running import configure, run
    from .up import serve

    listening = [] if port is None else [f"gateway.port={port}"]
    chosen = configure(config, [*(settings or []), *listening, *_format(store_format)], sources)
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
    store_format: StoreFormat = "",
    duration: Duration = 0,
    seed: Seed = 7,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Everything at once on simulated vendors: no key, no network.

    Example: livetape demo --duration 20 --no-browser
    """
    from ..config import load
    from .demo import demonstrate
    from .running import run

    kept = load(None, _format(store_format), {}).store
    raise typer.Exit(
        run(lambda stop: demonstrate(directory, kept, port, seed, stop, browser=browser), duration)
    )


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
    store: Directory,
    begin: Annotated[str, typer.Option("--from", help="From this time on; UTC unless it says else.")] = "",
    end: Annotated[str, typer.Option("--to", help="Until this time, or -1h for an hour ago.")] = "",
    channels: Annotated[
        list[str] | None,
        typer.Option("--channel", help="Only this, such as kraken:BTC-USD/book; may be repeated."),
    ] = None,
    speed: Annotated[str, typer.Option(help="0.1 to 1000 times as fast as it was, or max.")] = "max",
    source: Annotated[
        str, typer.Option(help="typed: the events as recorded; raw: made again from the raw frames.")
    ] = "typed",
    as_json: Annotated[bool, typer.Option("--json", help="One event a line on stdout.")] = False,
    depth: Annotated[
        int | None, typer.Option(help="Book levels a side; without it the levels that changed.", min=1)
    ] = None,
    venue: Annotated[
        str, typer.Option("--as", metavar="VENUE", help="Serve it as this vendor does, on loopback.")
    ] = "",
    port: Annotated[int, typer.Option(help="Where --as listens; 0 takes a free port.", min=0, max=65535)] = 0,
    duration: Duration = 0,
) -> None:
    """Play a tape again: to stdout, or to clients of a vendor. On a terminal the space bar pauses.

    Examples: livetape replay ./tape --json

    livetape replay ./tape --from 2026-11-21T09:30 --speed 10 --as kraken --port 9400
    """
    from .replay import Wish, serve, show
    from .running import run

    wish = Wish(begin, end, channels or [], speed, source, depth, as_json)

    if venue:
        raise typer.Exit(run(lambda stop: serve(store, wish, venue, port, stop), duration))
    raise typer.Exit(run(lambda stop: show(store, wish, stop), duration))


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
def ship(
    store: Directory,
    to: Annotated[
        str,
        typer.Option(metavar="URL", help="postgresql://user@host/database, or s3://bucket/prefix."),
    ],
    table: Annotated[
        list[str] | None,
        typer.Option(help="Only this table; may be repeated. Else all, to PostgreSQL without raw frames."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on, with what is sealed later, until Ctrl-C.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the copies of files that compaction has replaced.")
    ] = False,
    patience: Annotated[
        float, typer.Option(help="How many seconds to wait for a server that is down.", min=0)
    ] = 30,
) -> None:
    """Copy the sealed part of a tape to PostgreSQL or S3.

    What is there is not sent again.

    Examples: livetape ship ./tape --to postgresql://me@127.0.0.1/market

    livetape ship ./tape --to s3://my-bucket/tape --follow
    """
    from ..store.sinks import sink_of
    from .running import run
    from .ship import bring, wish_for

    wish, sink = wish_for(table or [], patience, follow=follow, prune=prune), sink_of(to)
    raise typer.Exit(run(lambda stop: bring(store, sink, wish, stop)))


@app.command()
def compact(
    store: Directory,
    closed_only: Annotated[
        bool, typer.Option("--closed-only", help="Leave alone what a recorder is writing.")
    ] = False,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Seal what is recorded, and remove what is kept no longer.

    The files of each finished day become one.

    Example: livetape compact ./tape --set store.keep.raw.days=7
    """
    from ..config import load
    from .upkeep import compact

    compact(store, load(config, settings or []).store, closed_only=closed_only)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV, Parquet, or recordings.")],
    store: Annotated[Path, typer.Option(help="The directory of the tape.")],
    as_: Annotated[
        str, typer.Option("--as", metavar="CHANNEL", help="venue, venue:SYMBOL or venue:SYMBOL/kind.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, parquet, jsonl, lean, cryptofeed, crossbook, hftbacktest or frames; else by the name.",
        ),
    ] = "",
    tz: Annotated[str, typer.Option(help="The zone of times without one, such as America/New_York.")] = "",
    columns: Annotated[
        str, typer.Option(metavar="FIELD=COLUMN,...", help="What columns are, such as ts=time,price=px.")
    ] = "",
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Make files of others a part of a tape.

    They hold trades, quotes or bars, or frames that other programs have recorded.

    Examples: livetape import trades.csv --store ./tape --as kraken:BTC-USD

    livetape import ticks.parquet --store ./tape --as oanda:EUR-USD/quote --tz UTC
    """
    from ..config import load
    from .moving import Wish, bring_in

    bring_in(files, store, Wish(as_, form, tz, columns), load(config, settings or []))


@app.command()
def export(
    channel: Annotated[
        str, typer.Argument(metavar="[CHANNEL]", help="Such as kraken:BTC-USD/trade; else --all.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All channels.")] = False,
    store: Annotated[Path, typer.Option(help="The directory of the tape.")] = Path("tape"),
    form: Annotated[
        str, typer.Option("--format", help="csv, jsonl, parquet, sqlite or orderbook-jsonl.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file, or with --all and csv the new directory.")
    ] = None,
    begin: Annotated[str, typer.Option("--from", help="Received from this time on.")] = "",
    end: Annotated[str, typer.Option("--to", help="Received before this time.")] = "",
    depth: Annotated[int, typer.Option(help="Levels a side of orderbook-jsonl.", min=1)] = 10,
) -> None:
    """Write a tape, or a part, to files for other programs.

    Examples: livetape export kraken:BTC-USD/trade --store ./tape --format csv -o trades.csv

    livetape export --all --store ./tape --format sqlite -o tape.sqlite
    """
    from ..core.errors import ConfigError
    from .moving import Part, take_out

    if bool(channel) == everything:
        raise ConfigError(
            "name a channel, or --all", example="livetape export kraken:BTC-USD/trade -o trades.csv"
        )
    if out is None:
        raise ConfigError("say where it is to be written", example="-o trades.csv")
    take_out(store, Part(channel, form, begin, end, depth), out)


@app.command()
def verify(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="The directory of the tape; it may be written meanwhile.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One finding a line on stdout.")] = False,
) -> None:
    """Read a whole tape, and say what of it is damaged.

    Example: livetape verify ./tape
    """
    from .mending import check

    raise typer.Exit(check(store, as_json=as_json))


@app.command()
def rebuild(
    store: Directory,
    from_raw: Annotated[
        bool, typer.Option("--from-raw", help="Make damaged typed rows again from the raw frames.")
    ] = False,
    catalog: Annotated[
        bool,
        typer.Option("--catalog", help="Make the catalogue again from the files, which stay as they are."),
    ] = False,
    table: Annotated[
        list[str] | None, typer.Option(help="Compare this table with the raw frames, too; may be repeated.")
    ] = None,
    date: Annotated[
        list[str] | None, typer.Option(help="Likewise this UTC day of receiving, such as 2026-11-21.")
    ] = None,
) -> None:
    """Make again what of a tape is damaged.

    Examples: livetape rebuild ./tape --from-raw

    livetape rebuild ./tape --catalog
    """
    from ..core.errors import ConfigError
    from .mending import catalogue_again, make_again

    if catalog == from_raw:
        raise ConfigError("say what is to be made again: --from-raw or --catalog")
    if catalog:
        catalogue_again(store)
    else:
        make_again(store, table or [], date or [])


@app.command()
def backup(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="The directory of the tape; it may be written meanwhile.")
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A new directory, or the last backup.")],
    link: Annotated[
        bool, typer.Option("--link", help="Share sealed files instead of copying them, on one disk.")
    ] = False,
) -> None:
    """Copy a tape, also while it is recorded, and read the copy.

    Example: livetape backup ./tape ./backup
    """
    from .upkeep import copy

    copy(store, target, link=link)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The directory of the backup.")],
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new directory.")],
) -> None:
    """Make a tape of a backup.

    Example: livetape restore ./backup ./tape2
    """
    from .upkeep import restore

    restore(source, store)


@app.command()
def history(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Such as kraken:BTC-USD/trade.")],
    store: Tape = Path("tape"),
    begin: Begin = "",
    end: End = "",
    last: Annotated[int | None, typer.Option(help="Only the last N.", min=1)] = None,
    form: Form = "table",
    out: Out = None,
) -> None:
    """What a tape has of a channel.

    Examples: livetape history kraken:BTC-USD/trade --last 10

    livetape history kraken:BTC-USD/trade --from 2026-11-21 --format csv -o trades.csv
    """
    from .history import Output, put, tape

    put(tape(store).history(channel, begin or None, end or None, last=last), Output(form, out))


@app.command()
def bars(
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help="Such as kraken:BTC-USD, or kraken:BTC-USD/quote.")
    ],
    interval: Annotated[str, typer.Option(help="Such as 5s, 1m, 4h, 1d; else the channel's, or 1m.")] = "",
    store: Tape = Path("tape"),
    begin: Begin = "",
    end: End = "",
    last: Annotated[int | None, typer.Option(help="Only the last N.", min=1)] = None,
    of: Annotated[str, typer.Option(help="trade, mid, bid or ask; else what there is.")] = "",
    zone: Annotated[str, typer.Option(help="Days are of this time zone; else the market's own.")] = "",
    day: Annotated[str, typer.Option(help="When a day begins there, such as 17:00.")] = "",
    form: Form = "table",
    out: Out = None,
) -> None:
    """Bars: recorded, else made of trades, else of quotes.

    Examples: livetape bars kraken:BTC-USD --interval 5s --last 20

    livetape bars kraken:BTC-USD/quote --interval 1m --of bid --format json
    """
    from .history import Output, put, tape

    made = tape(store).bars(
        channel, interval, begin or None, end or None, last=last, of=of, zone=zone, day=day
    )
    put(made, Output(form, out))


@app.command()
def book(
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help="Such as kraken:BTC-USD, or kraken:BTC-USD/book.")
    ],
    store: Tape = Path("tape"),
    at: Annotated[str, typer.Option(help="Received until this time; else all.")] = "",
    depth: Annotated[int, typer.Option(help="Levels a side.", min=1)] = 10,
    form: Form = "table",
    out: Out = None,
) -> None:
    """An order book as it stood at a time.

    Example: livetape book kraken:BTC-USD/book --at 2026-11-21T09:30:00Z --depth 5
    """
    from .history import Output, put_book, tape

    put_book(tape(store), channel, at, depth, Output(form, out))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT statement, of DuckDB's kind.")],
    store: Tape = Path("tape"),
    form: Form = "table",
    out: Out = None,
) -> None:
    """Ask a tape in SQL.

    Its tables, and the view book_levels, have a date, the UTC day of receiving: naming it makes a query fast.

    Example: livetape sql "SELECT symbol, count(*), sum(size) FROM trades GROUP BY symbol" --store ./tape
    """
    from .history import Output, ask, put, tape

    put(ask(tape(store), query), Output(form, out))


@app.command()
def plot(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Such as kraken:BTC-USD/trade.")],
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
