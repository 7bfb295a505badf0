"""One typed configuration: a TOML file, the environment and the command line's ``--set`` (floor 4).

Defaults work without a file. The environment overrides the file, ``--set`` overrides both.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from .adapters import channels_of, find, venues
from .core.adapter import NOBODY
from .core.consolidated import BEST
from .core.credentials import Credentials
from .core.errors import ConfigError
from .core.instruments import Channel, split_source, unified
from .core.livebars import MADE
from .feeds.endpoint import Endpoint, endpoint_of
from .feeds.line import RETRY, Retry
from .keys import from_environment, from_files
from .store.plan import Keep, Rules
from .store.schema import COLUMNS

Share = Annotated[float, Meta(gt=0, le=1)]


class VenueConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How one venue is reached. ``options`` are its adapter's (for example Kraken's ``depth``).

    Each channel comes over so many ``lines``, one or two; with two addresses over a line to each.
    """

    ws_url: str | list[str] = ""
    rest_url: str | list[str] = ""
    lines: Annotated[int, Meta(ge=1, le=2)] = 1
    api: str = ""
    allow_insecure: bool = False
    key_file: str | list[str] = ""
    retry: Retry | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def with_option(self, name: str, value: object) -> "VenueConfig":
        """The same with one more option of the adapter, unless it is set already."""
        return replace(self, options={name: value} | self.options)

    def endpoints(self, venue: str) -> list[Endpoint]:
        """Where each line of the venue leads. Raises ConfigError when an address cannot be used."""
        adapter = find(venue, self.api)
        ws_urls, rest_urls = _listed(self.ws_url), _listed(self.rest_url)
        if self.ws_url == [] or self.rest_url == []:
            raise ConfigError("names no address", where=f"{venue} ws_url, rest_url")
        if len(ws_urls) > 2:
            raise ConfigError("there are at most two lines", where=f"{venue} ws_url")
        if len(rest_urls) > len(ws_urls):
            raise ConfigError("more addresses than ws_url has", where=f"{venue} rest_url")
        return [
            endpoint_of(
                adapter,
                ws_urls[n % len(ws_urls)],
                rest_urls[n % len(ws_urls) % len(rest_urls)],
                allow_insecure=self.allow_insecure,
            )
            for n in range(max(self.lines, len(ws_urls)))
        ]

    def endpoint(self, venue: str) -> Endpoint:
        """Where the venue is, its first line. Raises ConfigError when an address cannot be used."""
        return self.endpoints(venue)[0]

    def keys(self, venue: str) -> list[Credentials]:
        """The keys for the venue, from ``key_file`` or the environment; NOBODY where none is needed.

        Raises ConfigError when there is none, or when others may read the file.
        """
        names = find(venue, self.api).key_names
        if not names:
            return [NOBODY]
        files = [file for file in _listed(self.key_file) if file]
        found = from_files(files, names) or from_environment(names)
        if not found:
            wanted = " and ".join(names)
            remedy = f"set {wanted}, or key_file in [venues.{venue}]"
            raise ConfigError("needs a key", where=venue, remedy=remedy)
        return found


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway listens, and how much it keeps for a client that reads slowly."""

    host: str = "127.0.0.1"
    port: int = 8765
    outbox_bytes: int = 1 << 20


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how the tape is kept, and how much memory may wait for a slow disk.

    ``keep`` says by table how long; above the shares ``raw_below`` and ``books_below`` of the disk a
    recorder makes room.
    """

    dir: str = ""
    buffer_bytes: int = 64 << 20
    raw: bool = True
    format: Literal["parquet", "sqlite"] = "parquet"
    seal_s: Annotated[float, Meta(ge=1)] = 3600
    compact: bool = True
    keep: dict[str, Keep] = field(default_factory=dict)
    raw_below: Share = 0.9
    books_below: Share = 0.95

    @property
    def rules(self) -> Rules:
        """How the store is kept."""
        return Rules(self.format, self.compact, self.keep, self.raw_below, self.books_below)

    def settings(self) -> list[str]:
        """The same as ``load`` takes it."""
        return [f"store.{setting}" for setting in _settings(msgspec.to_builtins(self))]


class BestConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Over which venues the best quote is; all that are configured unless some are named."""

    venues: list[str] = field(default_factory=list)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured."""

    sources: list[str] = field(default_factory=list)
    venues: dict[str, VenueConfig] = field(default_factory=dict)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    best: BestConfig = field(default_factory=BestConfig)
    retry: Retry = RETRY

    def venue(self, name: str) -> VenueConfig:
        """The configuration of one venue, defaults where nothing was said."""
        return self.venues.get(name, VenueConfig())

    def channels_of(self, sources: Iterable[str]) -> list[Channel]:
        """The channels that ``sources`` name. Raises ConfigError when one cannot be read."""
        return list(dict.fromkeys(channel for source in sources for channel in self._channels_of(source)))

    def _channels_of(self, source: str) -> list[Channel]:
        venue, symbol, kind = split_source(source)
        if venue != BEST:
            return channels_of([source], lambda venue: self.venue(venue).api)
        if kind not in ("", "quote"):
            raise ConfigError(f"{BEST} has no {kind!r}", where=source, allowed=["quote"])
        return [Channel(BEST, unified(symbol), "quote")]

    def behind(self, channels: Iterable[Channel]) -> list[Channel]:
        """The venues' channels that ``channels`` are or are made from. Raises ConfigError where none is."""
        return [each for channel in channels for each in self._behind(channel)]

    def _behind(self, channel: Channel) -> list[Channel]:
        if channel.venue != BEST:
            return [self._source_of(channel)]
        adapters = [find(venue, self.venue(venue).api) for venue in self._best_venues()]
        quotes = [
            Channel(adapter.venue, symbol, "quote")
            for adapter in adapters
            if "quote" in adapter.offers(symbol := adapter.canonical(channel.symbol))
        ]
        if not quotes:
            example = 'best.venues=["kraken","gemini"]'
            raise ConfigError("no venue to make it of", where=str(channel), example=example)
        return quotes

    def _source_of(self, channel: Channel) -> Channel:
        """What bars that the venue does not offer are made from: its trades, or quotes where it has none."""
        if channel.kind not in MADE:
            return channel
        offers = find(channel.venue, self.venue(channel.venue).api).offers(channel.symbol)
        kind = next((kind for kind in (channel.kind, "trade", "quote") if kind in offers), channel.kind)
        return channel._replace(kind=kind)

    def _best_venues(self) -> list[str]:
        named = [split_source(source)[0] for source in self.sources]
        return self.best.venues or [each for each in dict.fromkeys([*named, *self.venues]) if each != BEST]

    def with_sources(self, sources: list[str]) -> "Config":
        """The same for other sources; a best quote is still over the venues of these, too."""
        both = replace(self, sources=[*self.sources, *sources])
        return replace(self, sources=sources, best=BestConfig(both._best_venues()))

    def with_retry(self, retry: Retry) -> "Config":
        """The same with one way to dial again for all venues."""
        venues = {name: replace(venue, retry=None) for name, venue in self.venues.items()}
        return replace(self, retry=retry, venues=venues)


def load(
    path: str | None = None, settings: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Config:
    """Read the configuration.

    ``settings`` are ``dotted.key=value``, the value in TOML or plain text. Raises ConfigError that names the
    key and what is allowed there.
    """
    tree = _read(path) if path else {}
    for path_of_key, value in _from_environment(os.environ if environ is None else environ):
        _put(tree, path_of_key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(
                f"{setting!r} is not KEY=VALUE", where="--set", example="venues.kraken.options.depth=100"
            )
        _put(tree, key.split("."), _value(text))
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error), where=path or "configuration") from error
    for name in (*config.venues, *config.best.venues):
        find(name, config.venue(name).api)
    for table in config.store.keep:
        if table not in COLUMNS:
            raise ConfigError(f"there is no table {table!r}", where="store.keep", allowed=list(COLUMNS))
    return config


def _listed(one_or_many: str | list[str]) -> list[str]:
    return [one_or_many] if isinstance(one_or_many, str) else one_or_many or [""]


def _settings(tree: Mapping[str, Any]) -> Iterator[str]:
    """The leaves of ``tree`` as ``dotted.key=value``; the value in JSON, which is TOML as well."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from (f"{key}.{setting}" for setting in _settings(value))
        elif value is not None:
            yield f"{key}={msgspec.json.encode(value).decode()}"


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=path) from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[list[str], str]]:
    """``LIVETAPE_<VENUE>_WS_URL``, ``_REST_URL`` and ``_API``."""
    found, known = [], venues()
    for name, value in environ.items():
        for ending in ("WS_URL", "REST_URL", "API"):
            venue = name.removeprefix("LIVETAPE_").removesuffix(f"_{ending}").lower()
            if value and venue in known and name == f"LIVETAPE_{venue.upper()}_{ending}":
                found.append((["venues", venue, ending.lower()], value))
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{parent!r} is not a table", where=".".join(path))
    tree[last] = value
