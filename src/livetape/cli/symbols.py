"""``livetape symbols`` (floor 5)."""

import asyncio
import sys

from msgspec import Struct, json

from .. import clock
from ..adapters import venues
from ..app import App
from ..config import Config
from ..core.errors import LivetapeError
from ..core.search import Index, Listing
from ..feeds.catalogue import Catalogue, Listed

MOST = 20  #: how many are shown of those that fit a query


class Wish(Struct, frozen=True):
    """What to look for; without a ``text`` everything, without ``venues`` at all of them."""

    text: str
    venues: list[str]
    limit: int | None
    refresh: bool


def print_symbols(config: Config, wish: Wish, *, as_json: bool) -> None:
    """The instruments that fit best. Raises LivetapeError when no venue has a list."""
    lists = asyncio.run(_lists(config, wish))
    listings = [(venue, instrument) for venue, listed in lists.items() for instrument in listed.instruments]
    limit = wish.limit or (MOST if wish.text else len(listings))
    found = Index(listings).search(wish.text, limit)
    if as_json:
        sys.stdout.buffer.writelines(json.encode(_row(listing)) + b"\n" for listing in found)
        return
    if found:
        _print_table(found)
    else:
        sys.stderr.write(f"nothing like {wish.text!r}\n")
    for venue, listed in lists.items():
        hours = (clock.now_ns() - listed.fetched_ns) // 3_600_000_000_000
        sys.stderr.write(f"{venue}: {len(listed.instruments)} symbols, listed {hours} h ago\n")


async def _lists(config: Config, wish: Wish) -> dict[str, Listed]:
    """What each venue lists. Those that list nothing are told of; raises the last error when none does."""
    names = [venue.lower() for venue in wish.venues] or venues()
    addresses = {venue: config.venue(venue).endpoint(venue).rest_url for venue in names}
    app, errors = App(config), list[LivetapeError]()
    catalogue = Catalogue(app.hub.instruments)

    async def ask(venue: str, rest_url: str) -> Listed | None:
        try:
            return await catalogue.listed(venue, rest_url, refresh=wish.refresh)
        except LivetapeError as error:
            errors.append(error)
            return None

    try:
        answers = await asyncio.gather(*(ask(*address) for address in addresses.items()))
    finally:
        await app.close()
    lists = {venue: answer for venue, answer in zip(addresses, answers, strict=True) if answer}
    for error in errors if lists else errors[:-1]:
        sys.stderr.write(f"livetape: {error}\n")
    if not lists:
        raise errors[-1]
    return lists


def _row(listing: Listing) -> dict[str, str]:
    venue, each = listing
    return {
        "venue": venue,
        "symbol": each.symbol,
        "native": each.native,
        "name": each.name,
        "asset": each.asset,
    }


def _print_table(found: list[Listing]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("venue", "symbol", "native", "name", "asset", box=None, header_style="bold")
    for listing in found:
        table.add_row(*_row(listing).values())
    Console(markup=False).print(table)
