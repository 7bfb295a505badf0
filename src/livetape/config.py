"""One typed configuration: a TOML file, the environment and the command line's ``--set`` (floor 4).

Defaults work without a file. The environment overrides the file, ``--set`` overrides both.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from .adapters import channels_of, find, venues
from .core.adapter import NOBODY
from .core.credentials import Credentials
from .core.errors import ConfigError
from .core.instruments import Channel
from .feeds.endpoint import Endpoint, endpoint_of
from .feeds.line import RETRY, Retry
from .keys import from_environment, from_files


class VenueConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How one venue is reached. ``options`` are its adapter's (for example Kraken's ``depth``)."""

    ws_url: str = ""
    rest_url: str = ""
    api: str = ""
    allow_insecure: bool = False
    key_file: str | list[str] = ""
    retry: Retry | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def with_option(self, name: str, value: object) -> "VenueConfig":
        """The same with one more option of the adapter, unless it is set already."""
        return replace(self, options={name: value} | self.options)

    def endpoint(self, venue: str) -> Endpoint:
        """Where the venue is. Raises ConfigError when an address cannot be used."""
        adapter = find(venue, self.api)
        return endpoint_of(adapter, self.ws_url, self.rest_url, allow_insecure=self.allow_insecure)

    def keys(self, venue: str) -> list[Credentials]:
        """The keys for the venue, from ``key_file`` or the environment; NOBODY where none is needed.

        Raises ConfigError when there is none, or when others may read the file.
        """
        names = find(venue, self.api).key_names
        if not names:
            return [NOBODY]
        files = [self.key_file] if isinstance(self.key_file, str) else self.key_file
        found = from_files([file for file in files if file], names) or from_environment(names)
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
    """Where the tape is kept, and how much memory may wait for a slow disk."""

    dir: str = ""
    buffer_bytes: int = 64 << 20
    raw: bool = True


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured."""

    sources: list[str] = field(default_factory=list)
    venues: dict[str, VenueConfig] = field(default_factory=dict)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    retry: Retry = RETRY

    def venue(self, name: str) -> VenueConfig:
        """The configuration of one venue, defaults where nothing was said."""
        return self.venues.get(name, VenueConfig())

    def channels_of(self, sources: Iterable[str]) -> list[Channel]:
        """The channels that ``sources`` name. Raises ConfigError when one cannot be read."""
        return channels_of(sources, lambda venue: self.venue(venue).api)

    def with_sources(self, sources: list[str]) -> "Config":
        """The same for other sources."""
        return replace(self, sources=sources)

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
    for name, venue in config.venues.items():
        find(name, venue.api)
    return config


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
