"""Vendor APIs in the server role, one file each (floor 2)."""

from importlib import import_module
from pkgutil import iter_modules

from ..core.decimals import nearest
from ..core.dialect import Dialect
from ..core.errors import ConfigError


def of(venue: str) -> list[type[Dialect]]:
    """Every API of ``venue`` that we speak. Raises ConfigError that names the nearest when there is none."""
    found = [
        dialect
        for name in _modules()
        if name == venue or name.startswith(f"{venue}_v")
        for dialect in vars(import_module(f".{name}", __package__)).values()
        if isinstance(dialect, type) and issubclass(dialect, Dialect) and _of(dialect) == name
    ]
    if not found:
        raise ConfigError(f"{venue!r} cannot be simulated", allowed=nearest(venue, venues()) or venues())
    return found


def venues() -> list[str]:
    """The venues whose protocol we speak."""
    return sorted({name.partition("_v")[0] for name in _modules()})


def _of(dialect: type[Dialect]) -> str:
    """The module of ours that ``dialect`` is from; one that is imported elsewhere is not found twice."""
    return dialect.__module__.removeprefix(f"{__name__}.").partition(".")[0]


def _modules() -> list[str]:
    return [module.name for module in iter_modules(__path__)]
