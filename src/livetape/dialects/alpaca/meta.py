"""What Alpaca says its codes mean: exchanges, and the conditions of trades and quotes by tape (floor 2).

Source: https://docs.alpaca.markets, ``/v2/stocks/meta``; the codes are those of the two tapes: CTS and
CQS (tapes A and B), UTDF and UQDF (tape C). The wording of conditions is partly [unverified].
"""

from collections.abc import Mapping

EXCHANGES: Mapping[str, str] = {
    "A": "NYSE American (AMEX)",
    "B": "NASDAQ OMX BX",
    "C": "National Stock Exchange",
    "D": "FINRA ADF",
    "E": "Market Independent",
    "H": "MIAX",
    "I": "International Securities Exchange",
    "J": "Cboe EDGA",
    "K": "Cboe EDGX",
    "L": "Long Term Stock Exchange",
    "M": "Chicago Stock Exchange",
    "N": "New York Stock Exchange",
    "P": "NYSE Arca",
    "Q": "NASDAQ OMX",
    "S": "NASDAQ Small Cap",
    "T": "NASDAQ Int",
    "U": "Members Exchange",
    "V": "IEX",
    "W": "CBOE",
    "X": "NASDAQ OMX PSX",
    "Y": "Cboe BYX",
    "Z": "Cboe BZX",
}
_TRADES = {
    "@": "Regular Sale",
    "C": "Cash Sale",
    "F": "Intermarket Sweep",
    "H": "Price Variation Trade",
    "I": "Odd Lot Trade",
    "L": "Sold Last",
    "M": "Market Center Official Close",
    "N": "Next Day",
    "O": "Opening Prints",
    "P": "Prior Reference Price",
    "Q": "Market Center Official Open",
    "R": "Seller",
    "T": "Form T",
    "U": "Extended Trading Hours (Sold Out of Sequence)",
    "V": "Contingent Trade",
    "X": "Cross Trade",
    "Z": "Sold (Out of Sequence)",
    "4": "Derivatively Priced",
    "5": "Re-Opening Prints",
    "6": "Closing Prints",
    "7": "Qualified Contingent Trade (QCT)",
    "9": "Corrected Consolidated Close",
}
_CTS = {
    " ": "Regular Sale",
    "B": "Average Price Trade",
    "E": "Automatic Execution",
    "K": "Rule 127/155 Trade",
}
_UTDF = {
    "A": "Acquisition",
    "B": "Bunched Trade",
    "D": "Distribution",
    "G": "Bunched Sold Trade",
    "K": "Rule 155 Trade (AMEX)",
    "S": "Split Trade",
    "W": "Average Price Trade",
    "Y": "Yellow Flag Regular Trade",
    "1": "Stopped Stock (Regular Trade)",
}
_QUOTES = {
    "A": "Manual Ask, Automated Bid",
    "B": "Manual Bid, Automated Ask",
    "F": "Fast Trading",
    "H": "Manual Bid and Ask",
    "L": "Closed Quote",
    "N": "Non-Firm Quote",
    "O": "Opening Quote",
    "R": "Regular Two Sided Open Quote",
    "U": "Manual Bid and Ask (Non-Firm)",
    "4": "On Demand Intra Day Auction",
}
_CQS = {"C": "Closing Quote", "E": "Slow Quote Due To LRP Bid", "W": "Slow Quote Due To Set Slow List"}
_UQDF = {"I": "Order Imbalance", "X": "Order Influx", "Y": "One Sided Quote", "Z": "No Open or No Resume"}
_TAPES = {
    **{("trade", tape): _TRADES | _CTS for tape in "AB"},
    **{("quote", tape): _QUOTES | _CQS for tape in "AB"},
    **{("trade", "C"): _TRADES | _UTDF, ("quote", "C"): _QUOTES | _UQDF},
}


def conditions(tick: str, tape: str) -> Mapping[str, str]:
    """Those of the kind of ``tick`` on ``tape``. Raises ValueError where there are none."""
    if (tick, tape) not in _TAPES:
        raise ValueError("invalid tape" if tape not in ("A", "B", "C") else "invalid ticktype")
    return _TAPES[tick, tape]
