"""Vendor APIs in the client role, one module each; found by module name, then by entry point (floor 2).

``adapters/gemini.py`` serves the venue ``gemini``; a second API of the same venue is
``adapters/gemini_v1.py`` and is chosen by ``api = "v1"``. Another package ships a venue as an entry point
of the group ``livetape.adapters`` whose name is the venue's.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TypeGuard

from ..core.adapter import Adapter
from ..core.decimals import nearest
from ..core.errors import ConfigError
from ..core.instruments import Channel, split_source


def find(venue: str, api: str = "") -> type[Adapter]:
    """The adapter of ``venue``. Raises ConfigError that names the nearest venues when there is none."""
    name = f"{venue}_{api}" if api else venue
    if name in _modules():
        module = import_module(f".{name}", __package__)
        adapter = next(a for a in vars(module).values() if _is_adapter(a) and a.__module__ == module.__name__)
        if adapter.venue == venue:
            return adapter
    for point in entry_points(group="livetape.adapters", name=name):
        adapter = point.load()
        if _is_adapter(adapter):
            return adapter
        raise ConfigError(f"the entry point {point.value} is not an Adapter", where=name)
    if api and venue in venues():
        apis = [m.removeprefix(f"{venue}_") for m in _modules() if m.startswith(f"{venue}_")]
        raise ConfigError(f"{venue} has no API {api!r}", allowed=apis or None)
    raise ConfigError(f"unknown venue {venue!r}", allowed=nearest(venue, venues()) or venues())


def channels_of(sources: Iterable[str], api_of: Callable[[str], str] = lambda venue: "") -> list[Channel]:
    """The channels that ``sources`` name, each once, in our spelling; ``api_of`` says which API a venue has.

    A source without a kind has trades and the book, or quotes where there is no book. Raises ConfigError when
    a source cannot be read or its venue is unknown.
    """
    return list(dict.fromkeys(channel for source in sources for channel in _channels_of(source, api_of)))


def _channels_of(source: str, api_of: Callable[[str], str]) -> list[Channel]:
    venue, text, kind = split_source(source)
    adapter = find(venue, api_of(venue))
    symbol = adapter.canonical(text)
    offers = adapter.offers(symbol)
    usual = ["trade", "book" if "book" in offers else "quote"]
    kinds = [kind] if kind else [each for each in usual if each in offers]
    return [Channel(venue, symbol, each) for each in kinds]


def venues() -> list[str]:
    """The names of all venues, ours and those of installed packages."""
    ours = [name for name in _modules() if not any(name.startswith(f"{other}_v") for other in _modules())]
    return sorted({*ours, *entry_points(group="livetape.adapters").names})


def _modules() -> list[str]:
    return [module.name for module in iter_modules(__path__)]


def _is_adapter(thing: object) -> TypeGuard[type[Adapter]]:
    return isinstance(thing, type) and issubclass(thing, Adapter) and thing is not Adapter
