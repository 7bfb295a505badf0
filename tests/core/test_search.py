"""What people type finds what they mean, among 30,000 instruments of which most are invented look-alikes."""

import random
from functools import cache
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.core.instruments import Instrument
from livetape.core.search import Index, Listing

STOCKS = """\
AAPL Apple Inc.|MSFT Microsoft Corporation|NVDA NVIDIA Corporation|GOOGL Alphabet Inc. Class A
AMZN Amazon.com, Inc.|META Meta Platforms, Inc.|TSLA Tesla, Inc.|BRK.B Berkshire Hathaway Inc. Class B
JPM JPMorgan Chase & Co.|V Visa Inc.|LLY Eli Lilly and Company|WMT Walmart Inc.|MA Mastercard Incorporated
XOM Exxon Mobil Corporation|ORCL Oracle Corporation|UNH UnitedHealth Group Incorporated
COST Costco Wholesale Corporation|PG The Procter & Gamble Company|NFLX Netflix, Inc.|JNJ Johnson & Johnson
HD The Home Depot, Inc.|BAC Bank of America Corporation|KO The Coca-Cola Company|CVX Chevron Corporation
PEP PepsiCo, Inc.|ADBE Adobe Inc.|AMD Advanced Micro Devices, Inc.|CRM Salesforce, Inc.
MCD McDonald's Corporation|CSCO Cisco Systems, Inc.|T AT&T Inc.|INTC Intel Corporation
DIS The Walt Disney Company|NKE NIKE, Inc. Class B|BA The Boeing Company|GS The Goldman Sachs Group, Inc.
F Ford Motor Company|GM General Motors Company|PYPL PayPal Holdings, Inc.|UBER Uber Technologies, Inc.
SBUX Starbucks Corporation|QCOM QUALCOMM Incorporated|COIN Coinbase Global, Inc.
PLTR Palantir Technologies Inc.|C Citigroup Inc.|WFC Wells Fargo & Company|GE General Electric Company
IBM International Business Machines Corporation|PFE Pfizer Inc.|APLE Apple Hospitality REIT, Inc.
MU Micron Technology, Inc.|SPY SPDR S&P 500 ETF Trust|QQQ Invesco QQQ Trust|GLD SPDR Gold Shares
NSRGY Nestlé S.A.|AIR Airbus SE|SONY Sony Group Corporation|TM Toyota Motor Corporation|SHEL Shell plc
"""
PAIRS = {
    "kraken": "BTC ETH SOL XRP ADA DOGE LTC BCH LINK DOT AVAX ATOM XLM TRX UNI AAVE SHIB ETC XMR ALGO",
    "gemini": "BTC ETH SOL XRP DOGE LTC BCH LINK AVAX UNI AAVE SHIB FIL ZEC XTZ",
}
QUOTED = {"kraken": "USD EUR GBP USDT USDC BTC CAD", "gemini": "USD GUSD EUR"}
FOREX = """\
EUR-USD GBP-USD USD-JPY USD-CHF AUD-USD USD-CAD NZD-USD EUR-GBP
EUR-JPY GBP-JPY EUR-CHF USD-MXN USD-ZAR XAU-USD XAG-USD
"""

#: What is typed, and which symbols are right.
QUERIES = {
    "ticker": """
        aapl=AAPL|MSFT=MSFT|t=T|f=F|ko=KO|v=V|spy=SPY|ibm=IBM|brk.b=BRK.B|brk b=BRK.B|meta=META|ge=GE
        btc=BTC-USD|eth=ETH-USD|sol=SOL-USD|doge=DOGE-USD|goog=GOOGL|nvd=NVDA|tsl=TSLA|xau=XAU-USD
    """,
    "name": """
        apple=AAPL|microsoft=MSFT|berkshire=BRK.B|coca cola=KO|coca-cola=KO|mcdonalds=MCD|mcdonald's=MCD
        at&t=T|disney=DIS|nestle=NSRGY|bitcoin=BTC-USD|ethereum=ETH-USD|ether=ETH-USD|solana=SOL-USD
        ripple=XRP-USD|dogecoin=DOGE-USD|bitcoin cash=BCH-USD|litecoin=LTC-USD|boeing=BA|jpmorgan=JPM
        s&p 500=SPY|gold=XAU-USD,GLD|visa=V|ford=F|alphabet=GOOGL
    """,
    "prefix": """
        micros=MSFT|starb=SBUX|goldm=GS|palant=PLTR|bitco=BTC-USD|ether=ETH-USD|netf=NFLX|coinb=COIN
        app=AAPL,APLE|walt dis=DIS|bank of am=BAC|unit=UNH|exx=XOM|cardan=ADA-USD|berk hath=BRK.B
    """,
    "order": """
        cola coca=KO|chase jpmorgan=JPM|motor ford=F|motors general=GM|dollar bitcoin=BTC-USD
        euro bitcoin=BTC-EUR|usd btc=BTC-USD|eur eth=ETH-EUR|yen dollar=USD-JPY|dollar euro=EUR-USD
        sachs goldman=GS|america bank=BAC|depot home=HD|cash bitcoin=BCH-USD|micro advanced devices=AMD
        machines business=IBM|pound euro=EUR-GBP
    """,
    "pair": """
        btcusd=BTC-USD|BTC/USD=BTC-USD|btc-usd=BTC-USD|btc_usd=BTC-USD|BTC USD=BTC-USD|eur usd=EUR-USD
        eurusd=EUR-USD|EUR/USD=EUR-USD|usdjpy=USD-JPY|gbp/jpy=GBP-JPY|ethbtc=ETH-BTC|eth/btc=ETH-BTC
        xbtusd=BTC-USD|XBT/EUR=BTC-EUR|solusdt=SOL-USDT|sol usdc=SOL-USDC|kraken:BTC-USD=BTC-USD
        gemini ethusd=ETH-USD|xauusd=XAU-USD|dogeeur=DOGE-EUR
    """,
    "typo": """
        appl=AAPL|aple=AAPL,APLE|bitcon=BTC-USD|bitcion=BTC-USD|etherium=ETH-USD|micorsoft=MSFT
        mircosoft=MSFT|microsft=MSFT|amazn=AMZN|tesal=TSLA|telsa=TSLA|nvida=NVDA|nividia=NVDA|coinbse=COIN
        starbuks=SBUX|mcdonlads=MCD|btcusf=BTC-USD|eruusd=EUR-USD|btx-usd=BTC-USD|berkshre hathway=BRK.B
        goldmann sachs=GS|dogcoin=DOGE-USD|litcoin=LTC-USD|solanna=SOL-USD|palantier=PLTR
        dollar bitcon=BTC-USD|cocacola=KO|wallmart=WMT|netflex=NFLX
    """,
}
ASKED = [
    (kind, text, right.split(","))
    for kind, lines in QUERIES.items()
    for text, _, right in (each.strip().partition("=") for each in lines.replace("\n", "|").split("|"))
    if right
]


def listings() -> list[Listing]:
    """Stocks and pairs that exist, then so many that do not that there are 30,000."""
    named = [each.split(" ", 1) for each in STOCKS.replace("\n", "|").split("|") if each]
    known = [("iex", Instrument(ticker, ticker, name=name)) for ticker, name in named]
    for venue, bases in PAIRS.items():
        for base in bases.split():
            known += [
                (venue, Instrument(f"{base}-{quote}", f"{base.replace('BTC', 'XBT')}/{quote}"))
                for quote in QUOTED[venue].split()
                if quote != base
            ]
    known += [("fx", Instrument(symbol, symbol.replace("-", "") + "$GB")) for symbol in FOREX.split()]
    return known + invented(30_000 - len(known), {instrument.symbol for _, instrument in known})


def invented(n: int, taken: set[str]) -> list[Listing]:
    """Look-alikes of ``taken``, repeatable."""
    chance = random.Random(7)
    syllables = ["al", "ber", "cor", "dex", "el", "fin", "gra", "hol", "in", "jo", "ka", "lum", "mer", "nor"]
    kinds = ["Inc.", "Corporation", "Holdings", "Group plc", "Bank", "Motors", "Gold Corp.", "Global ETF"]
    made: dict[str, Listing] = {}
    while len(made) < n:
        symbol = "".join(chance.choices(ascii_uppercase, k=chance.choice((3, 3, 4, 4, 4, 5))))
        if chance.random() < 0.15:
            symbol += f"-{chance.choice(('USD', 'USDT', 'EUR', 'BTC'))}"
            listing = ("kraken", Instrument(symbol, symbol.replace("-", "/")))
        else:
            words = ["".join(chance.choices(syllables, k=chance.choice((2, 3)))).title() for _ in range(2)]
            listing = ("iex", Instrument(symbol, symbol, name=" ".join([*words, chance.choice(kinds)])))
        if symbol not in taken:
            made[symbol] = listing
    return list(made.values())


@cache
def index() -> Index:
    return Index(listings())


def found(text: str, limit: int = 5) -> list[str]:
    """The first symbols, whatever their venues."""
    return list(dict.fromkeys(each.symbol for _, each in index().search(text, 3 * limit)))[:limit]


def test_what_is_meant_comes_first_or_soon() -> None:
    later = {
        text: found(text) for _, text, right in ASKED if found(text)[:1] not in [[each] for each in right]
    }
    absent = {text: found(text) for _, text, right in ASKED if not {*found(text)} & {*right}}
    assert len(ASKED) > 120
    assert len(later) <= 0.10 * len(ASKED), later
    assert len(absent) <= 0.03 * len(ASKED), absent


@pytest.mark.parametrize("kind", QUERIES)
def test_no_way_of_asking_is_neglected(kind: str) -> None:
    asked = [(text, right) for each, text, right in ASKED if each == kind]
    absent = {text: found(text) for text, right in asked if not {*found(text)} & {*right}}
    assert len(absent) <= 0.1 * len(asked), absent


def ranked(text: str, *symbols: str, names: dict[str, str] | None = None) -> list[str]:
    listings = [("acme", Instrument(each, each, name=(names or {}).get(each, ""))) for each in symbols]
    return [instrument.symbol for _, instrument in Index(listings).search(text, 10)]


def test_the_ticker_counts_before_the_name_and_the_name_before_what_is_within() -> None:
    names = {"ONE": "Gold", "TWO": "Golden Ages", "SIX": "Old Gold", "TEN": "Old Golden"}
    expected = ["GOLD", "GOLD-USD", "GOLDX", "ONE", "TWO", "SIX", "TEN", "XGOLD"]
    assert ranked("gold", *reversed(expected), names=names) == expected


def test_of_equals_the_better_known_comes_first_then_the_shorter() -> None:
    expected = ["BTC-USD", "BTC-EUR", "BTC-ZZZ", "BTCA-USD", "BTCAB-USD"]
    assert ranked("btc", *reversed(expected)) == expected


def test_what_is_spelt_correctly_is_not_guessed() -> None:
    assert ranked("btcusd", "BTC-USD", "BCH-USD", "BTT-USD") == ["BTC-USD"]
    assert ranked("bthusd", "BTC-USD", "BCH-USD", "XRP-USD") == ["BTC-USD", "BCH-USD"]
    assert ranked("bitcoin", "XRP-USD", "SOL-USD") == []


def test_a_ticker_of_one_asset_has_not_the_name_of_a_coin() -> None:
    assert ranked("solana", "SOL", "SOL-USD") == ["SOL-USD"]


def test_the_venue_narrows() -> None:
    both = Index([(venue, Instrument("BTC-USD", "BTCUSD")) for venue in ("kraken", "gemini")])
    assert [venue for venue, _ in both.search("gemini btc", 5)] == ["gemini"]
    assert [venue for venue, _ in both.search("kraken:BTC-USD", 5)] == ["kraken"]
    assert [venue for venue, _ in both.search("btc", 5)] == ["kraken", "gemini"]


def test_without_a_text_the_best_known_are_listed() -> None:
    assert ranked(" -/ ", "ZZZ-EUR", "ETH-USD", "BTC-USD") == ["BTC-USD", "ETH-USD", "ZZZ-EUR"]


@given(
    st.text(), st.integers(0, 5), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=9)
)
def test_any_text_on_any_list_has_an_answer(text: str, limit: int, named: list[tuple[str, str]]) -> None:
    listings = [("acme", Instrument(symbol, symbol, name=name)) for symbol, name in named]
    answer = Index(listings).search(text, limit)
    assert len(answer) <= limit
    assert all(each in listings for each in answer)
