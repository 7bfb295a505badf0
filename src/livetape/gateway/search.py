"""Finding an instrument by what people type (floor 3)."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from ..core.instruments import Instrument

Listing = tuple[str, Instrument]  #: venue and instrument


def search(known: Sequence[Listing], text: str, limit: int) -> list[Listing]:
    """The ``limit`` listings that fit ``text`` best: ticker, then words of the name, then likeness."""
    query = text.strip().lower().removesuffix("/")
    if not query:
        return list(known[:limit])
    ranked = [(_rank(listing, query), n) for n, listing in enumerate(known)]
    best = sorted((rank, n) for rank, n in ranked if rank < _UNLIKE)
    return [known[n] for _, n in best[:limit]]


_UNLIKE = 4.0


def _rank(listing: Listing, query: str) -> float:
    """Small is good."""
    venue, instrument = listing
    symbol = instrument.symbol.lower()
    plain, wanted = symbol.replace("-", ""), query.replace("-", "").replace("/", "").replace(" ", "")
    words = f"{venue} {symbol} {instrument.native.lower()} {instrument.name.lower()}".replace(
        "-", " "
    ).split()
    if wanted in (plain, f"{venue}:{plain}"):
        return 0.0
    if plain.startswith(wanted):
        return 1.0
    if all(any(word.startswith(part) for word in words) for part in query.replace("-", " ").split()):
        return 2.0
    likeness = max(SequenceMatcher(None, wanted, word).ratio() for word in (plain, *words))
    return 3.0 + (1 - likeness) if likeness >= 0.7 else _UNLIKE
