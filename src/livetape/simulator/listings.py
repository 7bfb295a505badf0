"""What can be simulated: the instruments of every asset class, and the steps they are counted in (floor 4).

Prices, names and rates are plausible, no more. Each instrument goes its own way: an option does not follow
its stock, nor SPX500 the SPX. Only a perpetual follows its spot.
"""

from decimal import Decimal
from math import sqrt
from random import Random

from msgspec import Struct

HOMEWARD_S = 86_400.0  #: in which the fair price would lose 63% of its distance from the start price


class Listing(Struct, frozen=True):
    """An instrument to simulate. Prices and steps are plain decimal text."""

    symbol: str
    name: str
    price: str  #: at the start, in the quote currency; some thousands of steps, or the book is shallow
    price_step: str  #: one tick
    size_step: str  #: one lot, in the base unit
    rate: float  #: actions a second
    volatility: float  #: of the fair price, relative, per square root of a second
    size: float  #: of a typical order, in the base unit
    asset: str = "crypto"  #: "crypto", "stock", "forex", "index" or "option"
    spot: str = ""  #: of a perpetual: the symbol whose price is its index
    depth: float = 1.0  #: how many times the usual orders rest, over how many times the usual ticks

    def wander(self, away: float, seconds: float, random: Random) -> float:
        """The logarithm of the fair over the start price, ``seconds`` after it was ``away``."""
        # Pulled home gently: a walk without end would some day come down to a few ticks.
        away -= away * min(1.0, seconds / HOMEWARD_S)
        return away + self.volatility * sqrt(seconds) * random.gauss(0.0, 1.0)


class Grid:
    """Whole multiples of a ``step`` (plain decimal text) and their text."""

    def __init__(self, step: str) -> None:
        self._step = Decimal(step)
        self._unit = int(step.replace(".", ""))
        self._places = len(step.partition(".")[2])

    def count(self, text: str) -> int:
        """How many whole steps ``text`` is."""
        return int(Decimal(text) / self._step)

    def text(self, count: int) -> str:
        """``count`` steps with exactly the decimals of the step."""
        sign = "-" if count < 0 else ""
        digits = str(abs(count) * self._unit).zfill(self._places + 1)
        point = len(digits) - self._places
        return f"{sign}{digits[:point]}.{digits[point:]}" if self._places else sign + digits


LISTINGS = (
    Listing("BTC-USD", "Bitcoin / US Dollar", "96800.0", "0.1", "0.00000001", 30, 0.00002, 0.05),
    Listing("ETH-USD", "Ether / US Dollar", "3412.50", "0.01", "0.00000001", 22, 0.00003, 0.8),
    Listing("SOL-USD", "Solana / US Dollar", "187.30", "0.01", "0.00000001", 14, 0.00005, 12.0),
    Listing("XRP-USD", "XRP / US Dollar", "2.41350", "0.00001", "0.00000001", 9, 0.00003, 900.0),
    Listing("DOGE-USD", "Dogecoin / US Dollar", "0.35120", "0.00001", "0.00000001", 7, 0.00006, 5000.0),
    Listing("BTC-EUR", "Bitcoin / Euro", "92140.0", "0.1", "0.00000001", 10, 0.000015, 0.03),
    Listing("LTC-USD", "Litecoin / US Dollar", "104.20", "0.01", "0.00000001", 4, 0.00005, 6.0),
    Listing("ETH-BTC", "Ether / Bitcoin", "0.03525", "0.00001", "0.00000001", 4, 0.00004, 0.6),
)

CRYPTO = (
    *LISTINGS,
    Listing("BTC-USDT", "Bitcoin / Tether", "96790.0", "0.1", "0.00000001", 30, 0.00002, 0.05),
    Listing("ETH-USDT", "Ether / Tether", "3412.10", "0.01", "0.00000001", 22, 0.00003, 0.8),
    Listing("SOL-USDT", "Solana / Tether", "187.28", "0.01", "0.00000001", 14, 0.00005, 12.0),
    Listing("XRP-USDT", "XRP / Tether", "2.41330", "0.00001", "0.00000001", 9, 0.00003, 900.0),
    Listing("DOGE-USDT", "Dogecoin / Tether", "0.35115", "0.00001", "0.00000001", 7, 0.00006, 5000.0),
)

PERPETUALS = (
    Listing("BTCGUSDPERP", "Bitcoin perpetual", "96840.0", "0.5", "0.0001", 9, 0.00002, 0.05, spot="BTC-USD"),
    Listing("ETHGUSDPERP", "Ether perpetual", "3413.90", "0.05", "0.001", 7, 0.00003, 0.8, spot="ETH-USD"),
)

STOCKS = (
    Listing("AAPL", "Apple Inc.", "271.40", "0.01", "1", 10, 0.00005, 60, "stock"),
    Listing("MSFT", "Microsoft Corporation", "487.10", "0.01", "1", 7, 0.00004, 40, "stock"),
    Listing("GOOG", "Alphabet Inc. Class C", "299.65", "0.01", "1", 6, 0.00005, 50, "stock"),
    Listing("AMZN", "Amazon.com, Inc.", "232.80", "0.01", "1", 7, 0.00005, 60, "stock"),
    Listing("NVDA", "NVIDIA Corporation", "186.60", "0.01", "1", 12, 0.00007, 120, "stock"),
    Listing("TSLA", "Tesla, Inc.", "404.35", "0.01", "1", 11, 0.00009, 50, "stock"),
    Listing("META", "Meta Platforms, Inc.", "609.90", "0.01", "1", 5, 0.00005, 30, "stock"),
    Listing("AMD", "Advanced Micro Devices, Inc.", "223.55", "0.01", "1", 8, 0.00008, 70, "stock"),
    Listing("NFLX", "Netflix, Inc.", "112.20", "0.01", "1", 4, 0.00006, 60, "stock"),
    Listing("INTC", "Intel Corporation", "35.85", "0.01", "1", 5, 0.00007, 200, "stock"),
    Listing("F", "Ford Motor Company", "13.12", "0.01", "1", 4, 0.00006, 400, "stock"),
    Listing("SPY", "SPDR S&P 500 ETF Trust", "665.75", "0.01", "1", 12, 0.00003, 100, "stock"),
    Listing("JPM", "JPMorgan Chase & Co.", "303.60", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("V", "Visa Inc.", "331.20", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("MA", "Mastercard Incorporated", "541.85", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("KO", "The Coca-Cola Company", "71.35", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("PEP", "PepsiCo, Inc.", "145.90", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("DIS", "The Walt Disney Company", "106.40", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("WMT", "Walmart Inc.", "101.15", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("COST", "Costco Wholesale Corporation", "899.70", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("XOM", "Exxon Mobil Corporation", "117.60", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("CVX", "Chevron Corporation", "152.30", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("JNJ", "Johnson & Johnson", "201.75", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("PFE", "Pfizer Inc.", "25.15", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("MRK", "Merck & Co., Inc.", "95.40", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("BA", "The Boeing Company", "182.70", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("CAT", "Caterpillar Inc.", "562.10", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("GE", "GE Aerospace", "299.20", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("IBM", "International Business Machines", "297.80", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("ORCL", "Oracle Corporation", "210.60", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("CRM", "Salesforce, Inc.", "231.45", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("ADBE", "Adobe Inc.", "321.90", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("NKE", "NIKE, Inc.", "62.85", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("SBUX", "Starbucks Corporation", "84.30", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("T", "AT&T Inc.", "25.60", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("VZ", "Verizon Communications Inc.", "41.05", "0.01", "1", 0.7, 0.00005, 50, "stock"),
    Listing("FAKEPACA", "Alpaca test symbol", "134.60", "0.01", "1", 2, 0.00008, 5, "stock"),
)

FOREX = (
    Listing("EUR-USD", "Euro / US Dollar", "1.15840", "0.00001", "1000", 12, 0.000013, 200_000, "forex"),
    Listing("GBP-USD", "Pound / US Dollar", "1.31460", "0.00001", "1000", 9, 0.000014, 150_000, "forex"),
    Listing("USD-JPY", "US Dollar / Yen", "154.620", "0.001", "1000", 9, 0.000016, 200_000, "forex"),
    Listing("AUD-USD", "Australian / US Dollar", "0.65230", "0.00001", "1000", 6, 0.000016, 150_000, "forex"),
    Listing("USD-CHF", "US Dollar / Franc", "0.79480", "0.00001", "1000", 5, 0.000013, 150_000, "forex"),
    Listing("USD-CAD", "US / Canadian Dollar", "1.40250", "0.00001", "1000", 5, 0.00001, 150_000, "forex"),
    Listing("EUR-GBP", "Euro / Pound", "0.88120", "0.00001", "1000", 5, 0.00001, 150_000, "forex"),
    Listing("EUR-JPY", "Euro / Yen", "179.110", "0.001", "1000", 5, 0.000016, 150_000, "forex"),
    Listing("HKD-USD", "Hong Kong / US Dollar", "0.12850", "0.00001", "1000", 5, 0.00001, 150_000, "forex"),
)

INDICES = (
    Listing("SPX", "S&P 500", "6672.40", "0.01", "1", 8, 0.00003, 5, "index"),
    Listing("SPX500", "S&P 500", "6672.40", "0.01", "1", 8, 0.00003, 5, "index"),
    Listing("DJI", "Dow Jones Industrial Average", "46590.25", "0.01", "1", 8, 0.00002, 5, "index"),
    Listing("NDX", "Nasdaq 100", "24799.90", "0.01", "1", 8, 0.00003, 5, "index"),
    Listing("FTSE", "FTSE 100", "9675.45", "0.01", "1", 6, 0.00002, 5, "index"),
)

OPTIONS = (
    Listing(
        "AAPL261218C00200000", "AAPL 2026-12-18 200 call", "72.60", "0.01", "1", 0.5, 0.0002, 3, "option"
    ),
    Listing("AAPL261218C00275000", "AAPL 2026-12-18 275 call", "18.40", "0.01", "1", 1, 0.0003, 5, "option"),
    Listing("AAPL261218P00250000", "AAPL 2026-12-18 250 put", "11.25", "0.01", "1", 0.5, 0.0003, 4, "option"),
    Listing("SPY261218C00660000", "SPY 2026-12-18 660 call", "38.90", "0.01", "1", 1, 0.0003, 10, "option"),
)

_LISTED = {
    "alpaca": (*STOCKS, *CRYPTO, *OPTIONS),
    "gemini": (*LISTINGS, *PERPETUALS),
    "finnhub": (*STOCKS, *FOREX, *CRYPTO),
    "itick": (*FOREX, *INDICES, *STOCKS, *(i for i in CRYPTO if i.symbol.endswith("-USDT"))),
}


def listed(venue: str) -> tuple[Listing, ...]:
    """What ``venue`` lists."""
    return _LISTED.get(venue, LISTINGS)
