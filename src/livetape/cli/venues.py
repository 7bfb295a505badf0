"""``livetape venues`` (floor 5)."""

import sys

from msgspec import Struct, json

from ..adapters import find, venues


def print_venues(*, as_json: bool) -> None:
    """What each venue offers, proves and limits."""
    rows = [_row(name) for name in venues()]
    if as_json:
        sys.stdout.buffer.write(json.encode(rows) + b"\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("venue", "API", "kinds", "proof", "symbols/socket", box=None, header_style="bold")
    for row in rows:
        proofs = ", ".join(f"{kind}: {method}" for kind, method in row.proof.items()) or "none"
        table.add_row(row.venue, row.title, " ".join(row.kinds), proofs, str(row.symbols_per_socket))
    Console().print(table)


class _Row(Struct):
    venue: str
    title: str
    kinds: list[str]
    proof: dict[str, str]
    symbols_per_socket: int
    needs_key: bool


def _row(name: str) -> _Row:
    adapter = find(name)
    kinds = sorted(adapter.offers())
    proofs = {kind: guarantee.method for kind, guarantee in adapter.guarantees.items()}
    return _Row(
        name,
        adapter.title,
        kinds,
        proofs,
        adapter.limits.symbols_per_socket,
        needs_key=bool(adapter.key_names),
    )
