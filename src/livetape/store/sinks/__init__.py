"""Copies of the sealed tape elsewhere: PostgreSQL and object storage (floor 3).

Rule 1: a sink takes sealed files, each whole or not at all: a run that was ended anyhow is simply repeated.
Rule 2: the store on disk stays the tape. It is only read, and a sink that is down does it no harm.
Rule 3: a password leaves towards its server only. ``name`` and every error have it masked.
"""

from .shipping import Shipping, Sink, Wish
from .target import sink_of

__all__ = ["Shipping", "Sink", "Wish", "sink_of"]
