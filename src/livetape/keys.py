"""Where keys come from: the environment, or files that only their owner may read (floor 4).

Rule: neither a key nor a line of its file is ever in an error.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .core.credentials import Credentials
from .core.errors import ConfigError


def from_environment(names: Sequence[str]) -> list[Credentials]:
    """The keys in the variables ``names``: key, then secret. Several are separated by commas."""
    columns = [
        [each.strip() for each in os.environ.get(name, "").split(",") if each.strip()] for name in names
    ]
    if len({len(column) for column in columns}) > 1:
        raise ConfigError(f"{' and '.join(names)} must name as many keys as secrets", where="environment")
    return [Credentials(*key) for key in zip(*columns, strict=True)]


def from_files(files: Sequence[str], names: Sequence[str]) -> list[Credentials]:
    """One key a file: the key, then its secret where there is one, a line each, or as ``NAME=VALUE``."""
    return [_read(Path(file).expanduser(), names) for file in files]


def _read(file: Path, names: Sequence[str]) -> Credentials:
    try:
        mode = file.stat().st_mode
        lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise ConfigError(f"cannot be read: {reason}", where=str(file)) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(
            "others may read it; make it yours alone", where=str(file), example=f"chmod 600 {file}"
        )
    named = dict(line.split("=", 1) for line in lines if line.partition("=")[0] in names)
    values = [named[name] for name in names] if len(named) == len(names) else lines
    if len(values) != len(names):
        raise ConfigError(f"must hold {' and '.join(names)}, one a line", where=str(file))
    return Credentials(*values)
