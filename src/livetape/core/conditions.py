"""What the sale conditions of US stocks forbid a trade to set (floor 0).

Source: the sale condition tables of the two consolidated tapes, in the specifications of CTS (tapes A and B)
and of UTP's UTDF (tape C), as https://github.com/alpacahq/marketstore applies them (``models/bar.go``, read
2026-11-21). Where a tape says "last, if it is the only one of the day", this says no.
"""

#: Cash, price variation, odd lot, next day, seller, extended hours (T), extended hours out of sequence (U),
#: contingent, average price (UTP), qualified contingent: volume alone.
_VOLUME_ONLY = frozenset("CHINRTUVW7")
#: Bunched sold, prior reference price, out of sequence, derivatively priced: late, or no price of the moment.
_NOT_LAST = frozenset("GPZ4")
#: A market center's official open and close repeat a trade that was told already.
_NOTHING = frozenset("QM")
_NOT_VOLUME = frozenset("9")  # corrected consolidated close
_AVERAGE = "B"  # average price on tapes A and B, a bunched trade like any other on tape C


def excluded(conditions: tuple[str, ...], tape: str = "") -> tuple[str, ...]:
    """What a trade of ``conditions`` must not set: any of ``"last"``, ``"range"`` and ``"volume"``."""
    codes = frozenset(conditions)
    nothing = bool(codes & _NOTHING)
    no_range = nothing or bool(codes & _VOLUME_ONLY) or (_AVERAGE in codes and tape in ("A", "B"))
    forbidden = {
        "last": no_range or bool(codes & _NOT_LAST),
        "range": no_range,
        "volume": nothing or bool(codes & _NOT_VOLUME),
    }
    return tuple(name for name, is_so in forbidden.items() if is_so)
