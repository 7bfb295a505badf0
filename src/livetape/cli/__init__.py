"""The command line (floor 5)."""

import os
import sys


def main() -> None:
    """Run the command line; errors that the user can mend leave without a traceback."""
    from ..core.errors import LivetapeError
    from ..store import arrow
    from .commands import app

    arrow.without_pandas = True
    try:
        app()
    except BrokenPipeError:  # nobody reads our output any more, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except LivetapeError as error:
        sys.stderr.write(f"livetape: {error}\n")
        sys.exit(error.exit_code)
