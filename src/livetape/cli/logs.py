"""Where the log goes (floor 5)."""

import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from msgspec import json

from ..core.errors import ConfigError


def set_up(*, as_json: bool, file: str, verbose: bool, trace: bool) -> None:
    """Log to stderr, for people on a terminal and as JSON on demand, and to a rotating ``file``."""
    root = logging.getLogger("livetape")
    root.setLevel(logging.DEBUG if trace else logging.INFO if verbose else logging.WARNING)
    root.handlers = [_stderr(as_json=as_json)]
    if file:
        kept = _rotating(file)
        kept.setFormatter(
            JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
        )
        root.addHandler(kept)
    root.propagate = False


def _rotating(file: str) -> logging.Handler:
    try:
        return RotatingFileHandler(file, maxBytes=10 << 20, backupCount=5)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}", where="--log-file") from error


def _stderr(*, as_json: bool) -> logging.Handler:
    if not as_json and sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        return RichHandler(console=Console(stderr=True), show_path=False)
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    return handler


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.encode(line).decode()
