"""The command line (floor 5)."""

import sys


def main() -> None:
    """Run the command line; errors that the user can mend leave without a traceback."""
    from ..core.errors import LivetapeError
    from .commands import app

    try:
        app()
    except LivetapeError as error:
        sys.stderr.write(f"livetape: {error}\n")
        sys.exit(error.exit_code)
