"""``python -m livetape`` is the command ``livetape``."""

from .cli import main

main()
