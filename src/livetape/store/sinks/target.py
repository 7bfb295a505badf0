"""The address of a sink, and what may be seen of it (floor 3)."""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ...core.credentials import Credentials
from ...core.errors import ConfigError

if TYPE_CHECKING:
    from .shipping import Sink

_PASSWORD = re.compile(r"^[^:]*://[^:/@?#]*:(.*)@")
_EXAMPLE = "postgresql://user@host/database or s3://bucket/prefix"


class Target:
    """An address. ``name`` is what may be seen of it."""

    def __init__(self, url: str) -> None:
        found = _PASSWORD.match(url)
        typed = found[1] if found else ""
        self.url = url
        self._credentials = Credentials(typed, unquote(typed))
        shown = f"{url[: found.start(1)]}***{url[found.end(1) :]}" if found else url
        self.name = shown.partition("?")[0]
        if set(typed) & set("/?#[]"):
            remedy = "write %2F for /, %3F for ?, %23 for #; or leave it out and set PGPASSWORD"
            problem = "the password has characters that an address cannot have"
            raise ConfigError(problem, where=self.name, remedy=remedy)

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    def mask(self, text: str) -> str:
        """``text`` without the password."""
        return self._credentials.mask_text(text)


def sink_of(url: str) -> "Sink":
    """What ``url`` names. Raises ConfigError."""
    target = Target(url)
    if target.scheme in ("postgresql", "postgres"):
        try:
            from .postgres import PostgresSink
        except ModuleNotFoundError as error:
            remedy = 'pip install "livetape[postgres]"'
            raise ConfigError(f"{error.name} is not installed", where=target.name, remedy=remedy) from error
        return PostgresSink(target)
    if target.scheme == "s3":
        from .objects import ObjectSink

        return ObjectSink(target)
    raise ConfigError("is no address to ship to", where=target.name or repr(url), example=_EXAMPLE)
