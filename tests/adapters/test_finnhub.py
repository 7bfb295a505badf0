"""Finnhub's frames, to the letter; its refusals without names; its copies of trades."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import find
from livetape.adapters.finnhub import Article, Articles, Finnhub, Print, Prints, Refusal, native
from livetape.core.credentials import Credentials
from livetape.core.effects import Send
from livetape.core.errors import ConfigError, DecodeError
from livetape.core.events import Denied, Heartbeat, Message, News, Status, Trade, Why
from livetape.core.instruments import Channel, Instrument, unified
from livetape.core.refusals import REFUSED_S
from livetape.core.times import MILLISECOND, SECOND

from ..sessions import opened
from .damage import damaged, decodes_or_refuses


def channels(*names: str) -> list[Channel]:
    return [Channel.parse(f"finnhub:{name}") for name in names]


def asking(*names: str) -> Finnhub:
    """An adapter that has asked for ``names``, one after the other."""
    adapter = Finnhub()
    for channel in channels(*names):
        adapter.subscribe([channel])
    return adapter


def trade(
    symbol: str, ms: int, price: str, size: str, *conditions: str, excluded: tuple[str, ...] = ()
) -> Trade:
    name = f"finnhub:{symbol}/trade"
    return Trade(name, ms * MILLISECOND, price, size, None, None, None, conditions, excluded)


# What it says

TESLA = b'{"data":[{"c":["1","8","24","12"],"p":122.1,"s":"TSLA","t":1672348887195,"v":1}],"type":"trade"}'
COIN = b'{"data":[{"p":7296.89,"s":"BINANCE:BTCUSDT","t":1575526691134,"v":0.011467}],"type":"trade"}'
APPLE = b'{"type":"trade","data":[{"t":1787924136086,"p":317.775,"v":200,"c":["1","8"],"s":"AAPL"}]}'
MIXED = (
    b'{"data":[{"c":null,"p":1.1584,"s":"OANDA:EUR_USD","t":1672348887195,"v":0},'
    b'{"c":["1"],"p":122.10,"s":"TSLA","t":1672348887190,"v":3},'
    b'{"p":1e-05,"s":"BINANCE:SHIBUSDT","t":1672348887196,"v":120000.0}],"type":"trade"}'
)
NEWS = (
    b'{"data":[{"category":"company","datetime":1590529161,"headline":"H","id":123,"image":"i",'
    b'"related":"AAPL,TSLA","source":"S","summary":"Y","url":"https://u"}],"type":"news"}'
)
SAID: list[tuple[bytes, list[Message]]] = [
    (TESLA, [trade("TSLA", 1672348887195, "122.1", "1", "1", "8", "24", "12")]),
    (COIN, [trade("BTC-USDT", 1575526691134, "7296.89", "0.011467")]),
    (APPLE, [trade("AAPL", 1787924136086, "317.775", "200", "1", "8")]),
    (
        MIXED,  # in the order of arrival, though not of time
        [
            trade("EUR-USD", 1672348887195, "1.1584", "0", excluded=("volume",)),
            trade("TSLA", 1672348887190, "122.10", "3", "1"),
            trade("SHIB-USDT", 1672348887196, "1e-05", "120000.0"),
        ],
    ),
    (b'{"data":[],"type":"trade"}', []),
    (b'{"type":"ping"}', [Heartbeat()]),
    (
        NEWS,
        [
            News(
                *(f"finnhub:{symbol}/news", 1590529161 * SECOND, "123", "H", "S", "https://u", "Y"),
                ("AAPL", "TSLA"),
            )
            for symbol in ("AAPL", "TSLA")
        ],
    ),
    (
        b'{"type":"error","msg":"Invalid symbol OANDA:EUR_USD"}',
        [
            Denied(
                "Invalid symbol OANDA:EUR_USD",
                ("finnhub:EUR-USD/trade", "finnhub:EUR-USD/news"),
                Why.SYMBOL,
            )
        ],
    ),
    (
        b'{"msg":"Subscribing to too many symbols","type":"error"}',
        [Denied("Subscribing to too many symbols", why=Why.LIMIT)],
    ),
    (b'{"type":"error","msg":"something new"}', [Denied("something new")]),
]


@pytest.mark.parametrize(("frame", "said"), SAID)
def test_it_says(frame: bytes, said: list[Message]) -> None:
    assert find("finnhub")().decode(frame) == said


@pytest.mark.parametrize("frame", [TESLA, COIN, NEWS])
def test_a_known_frame_is_encoded_as_it_was_received(frame: bytes) -> None:
    said = json.decode(frame)
    if said["type"] == "news":
        assert json.decode(json.encode(json.decode(frame, type=Articles))) == said
        assert set(Article.__struct_fields__) == said["data"][0].keys()
    else:
        known = json.decode(json.encode(json.decode(frame, type=Prints)))
        assert {**said["data"][0], "c": said["data"][0].get("c")} == known["data"][0]
        assert set(Print.__struct_fields__) == said["data"][0].keys() | {"c"}


@pytest.mark.parametrize("name", ["category", "image", "source", "summary", "url", "related"])
def test_an_article_without_a_field_does_not_lose_its_frame(name: str) -> None:
    whole, part = json.decode(NEWS), json.decode(NEWS)
    part["data"][0][name] = None
    said = Finnhub().decode(json.encode({**part, "data": [*part["data"], *whole["data"]]}))
    assert said[-2:] == Finnhub().decode(NEWS)
    assert len(said) == (2 if name == "related" else 4)
    del part["data"][0][name]
    assert Finnhub().decode(json.encode(part)) == said[:-2]


def test_a_name_that_was_asked_for_is_kept() -> None:
    [said] = asking("OANDA:EUR_USD/trade").decode(MIXED.replace(b"TSLA", b"OANDA:EUR_USD"))[:1]
    assert isinstance(said, Trade)
    assert said.channel == str(channels("OANDA:EUR_USD/trade")[0])


@pytest.mark.parametrize("bad", [b'"122.1"', b"-1", b"NaN", b"1e999", b"null", b"true", b"[1]", b"9" * 41])
def test_a_number_that_is_none_is_refused(bad: bytes) -> None:
    for good in (b"122.1", b"1672348887195", b":1}"):
        with pytest.raises(DecodeError):
            Finnhub().decode(TESLA.replace(good, b":" + bad + b"}" if good == b":1}" else bad))


@pytest.mark.parametrize(
    "frame", [b"", b"{}", b'{"type":"pr","data":[]}', b'{"type":"dance"}', b'{"type":"trade"}']
)
def test_what_is_not_known_is_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        Finnhub().decode(frame)


@given(damaged(st.sampled_from([frame for frame, _ in SAID]) | st.binary(max_size=200), most=1_000))
def test_any_damage_decodes_or_is_refused(frame: bytes) -> None:
    decodes_or_refuses(Finnhub({"duplicate": 2}), frame)


# What it is asked


def test_each_symbol_is_asked_for_in_a_frame_of_its_own() -> None:
    adapter = Finnhub()
    wanted = channels("AAPL/trade", "AAPL/news", "BTC-USDT/trade", "EUR-USD/trade", "IC MARKETS:1/trade")
    assert adapter.subscribe(wanted) == [
        b'{"type":"subscribe","symbol":"AAPL"}',
        b'{"type":"subscribe-news","symbol":"AAPL"}',
        b'{"type":"subscribe","symbol":"BINANCE:BTCUSDT"}',
        b'{"type":"subscribe","symbol":"OANDA:EUR_USD"}',
        b'{"type":"subscribe","symbol":"IC MARKETS:1"}',
    ]
    assert adapter.unsubscribe(wanted[1:3]) == [
        b'{"type":"unsubscribe-news","symbol":"AAPL"}',
        b'{"type":"unsubscribe","symbol":"BINANCE:BTCUSDT"}',
    ]


def test_the_key_stands_in_the_address_and_the_header() -> None:
    key = Credentials("a+b/c")
    adapter = Finnhub(credentials=key)
    assert adapter.endpoint("wss://ws.finnhub.io", []) == "wss://ws.finnhub.io/?token=a%2Bb%2Fc"
    url = adapter.endpoint("ws://127.0.0.1:9/as/finnhub/", [])
    assert key.mask_text(url) == "ws://127.0.0.1:9/as/finnhub/?token=***"
    assert adapter.rest_headers() == {"X-Finnhub-Token": "a+b/c"}
    assert Finnhub().rest_headers() == {}


def test_the_price_is_asked_for_by_the_vendors_name() -> None:
    assert Finnhub().price_path("BTC-USDT") == "/api/v1/quote?symbol=BINANCE%3ABTCUSDT"
    assert Finnhub().price_path("IC-MARKETS:1") == "/api/v1/quote?symbol=IC%20MARKETS%3A1"


LISTED = [
    (
        b'[{"currency":"USD","description":"UAN POWER CORP","displaySymbol":"UPOW","figi":"BBG000BGHYF2",'
        b'"isin":null,"mic":"OTCM","shareClassFIGI":"x","symbol":"UPOW","symbol2":"","type":"Common Stock"}]',
        Instrument("UPOW", "UPOW", name="UAN POWER CORP", asset="stock"),
    ),
    (
        b'[{"description":"Oanda EUR/USD","displaySymbol":"EUR/USD","symbol":"OANDA:EUR_USD"}]',
        Instrument("EUR-USD", "OANDA:EUR_USD", name="Oanda EUR/USD", asset="forex"),
    ),
    (
        b'[{"description":"Binance BTCUSDT","displaySymbol":"BTC/USDT","symbol":"BINANCE:BTCUSDT"}]',
        Instrument("BTC-USDT", "BINANCE:BTCUSDT", name="Binance BTCUSDT", asset="crypto"),
    ),
]


def test_the_lists_of_symbols_are_read() -> None:
    adapter = Finnhub()
    assert len(adapter.symbols_paths()) == len(LISTED)
    for path, (body, instrument) in zip(adapter.symbols_paths(), LISTED, strict=True):
        assert adapter.decode_symbols(path, body) == [instrument]
        with pytest.raises(DecodeError):
            adapter.decode_symbols(path, b'{"error":"x"}')


# Names


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK.B"),
        ("NOVO-B.CO", "NOVO-B.CO"),
        ("OANDA:EUR_USD", "EUR-USD"),
        ("OANDA:XAU_USD", "XAU-USD"),
        ("OANDA:SPX500_USD", "OANDA:SPX500-USD"),
        ("OANDA:BTC_USD", "OANDA:BTC-USD"),  # BTC-USD is Binance's
        ("BINANCE:BTCUSDT", "BTC-USDT"),
        ("BINANCE:1INCHUSDT", "1INCH-USDT"),
        ("BINANCE:BTCNGN", "BINANCE:BTCNGN"),  # nobody can tell where it is to be split
        ("BINANCE:EURTRY", "BINANCE:EURTRY"),  # EUR-TRY is Oanda's
        ("FXCM:EUR/USD", "FXCM:EUR-USD"),
        ("FXCM:UKOil", "FXCM:UKOil"),
        ("IC MARKETS:1", "IC-MARKETS:1"),
        ("COINBASE:BTC-USD", "COINBASE:BTC-USD"),
        ("FTX:BTC/USD", "FTX:BTC^USD"),
        ("FTX:BTC-PERP", "FTX:BTC-PERP"),
        ("PREF-A", "PREF-A"),  # a class of shares
        ("BRK-USD-A", "BRK-USD-A"),
        ("KRAKEN:XXBTZUSD", "KRAKEN:XXBTZUSD"),
    ],
)
def test_names_are_translated_and_back(theirs: str, ours: str) -> None:
    assert Finnhub.canonical(theirs) == ours
    assert Finnhub.canonical(ours) == ours
    assert native(ours) == theirs


ASSETS = (
    "BTC",
    "ETH",
    "XBT",
    "EUR",
    "USD",
    "USDT",
    "JPY",
    "GUSD",
    "1INCH",
    "SPX500",
    "NGN",
    "TRY",
    "XAU",
    "A",
)


@given(
    exchange=st.sampled_from(
        [("OANDA", "_"), ("FXCM", "/"), ("BINANCE", ""), ("COINBASE", "-"), ("FTX", "/"), ("IC MARKETS", "")]
    ),
    base=st.sampled_from(ASSETS),
    quote=st.sampled_from(ASSETS),
)
def test_no_pair_is_lost_in_translation(exchange: tuple[str, str], base: str, quote: str) -> None:
    theirs = f"{exchange[0]}:{base}{exchange[1]}{quote}"
    ours = Finnhub.canonical(theirs)
    assert native(ours) == theirs
    assert Channel.parse(f"finnhub:{ours}/trade").kind == "trade"


@pytest.mark.parametrize("typed", ["eur/usd", "EURUSD", "oanda:eur-usd".upper(), unified("OANDA:EUR_USD")])
def test_what_people_type_is_understood(typed: str) -> None:
    assert Finnhub.canonical(typed) == "EUR-USD"


# Refusals


def refused(adapter: Finnhub, msg: str) -> Denied:
    [denied] = adapter.decode(json.encode(Refusal(msg)))
    assert isinstance(denied, Denied)
    return denied


def test_of_a_full_plan_the_newest_are_refused() -> None:
    adapter = asking("A/trade", "B/trade", "C/trade", "D/trade")
    said = [refused(adapter, "Subscribing to too many symbols") for _ in range(2)]
    assert [(each.channels, each.why) for each in said] == [
        (("finnhub:D/trade",), Why.LIMIT),
        (("finnhub:C/trade",), Why.LIMIT),
    ]


def test_what_has_spoken_is_not_refused() -> None:
    adapter = asking("AAPL/trade", "B/trade", "TSLA/trade")
    adapter.decode(TESLA)
    assert refused(adapter, "Subscribing to too many symbols").channels == ("finnhub:B/trade",)
    adapter.decode(APPLE)
    assert refused(adapter, "Invalid symbol").channels == ()


def test_of_bare_symbols_the_oldest_is_refused_and_of_named_ones_that_one() -> None:
    adapter = asking("A/trade", "EUR-USD/trade", "EUR-USD/news", "C/trade")
    assert refused(adapter, "Invalid symbol") == Denied("Invalid symbol", ("finnhub:A/trade",), Why.SYMBOL)
    said = refused(adapter, "Invalid symbol OANDA:EUR_USD")
    assert said.channels == ("finnhub:EUR-USD/trade", "finnhub:EUR-USD/news")
    assert refused(adapter, "Invalid symbol").channels == ("finnhub:C/trade",)


def test_what_was_given_up_is_not_refused() -> None:
    adapter = asking("A/trade", "B/trade")
    adapter.unsubscribe(channels("A/trade"))
    assert refused(adapter, "Invalid symbol").channels == ("finnhub:B/trade",)
    adapter.subscribe(channels("C/trade"))
    adapter.login()  # a new connection
    assert refused(adapter, "Invalid symbol").channels == ()


def test_news_may_lie_outside_the_plan() -> None:
    said = refused(asking("A/trade", "B/news"), "You don't have access to this resource.")
    assert (said.channels, said.why) == (("finnhub:B/news",), Why.PLAN)


def test_a_refused_symbol_is_asked_for_again_later() -> None:
    """Symbols that are good have been called invalid for 45 minutes."""
    session = opened(Finnhub(), channels("AAPL/trade"), SECOND)
    session.effects()
    [status] = session.receive(b'{"type":"error","msg":"Invalid symbol AAPL"}', 2 * SECOND)
    assert isinstance(status, Status)
    assert (status.state, status.why) == ("denied", Why.SYMBOL)
    session.receive(b'{"type":"ping"}', (REFUSED_S + 1) * SECOND)
    session.tick((REFUSED_S + 2) * SECOND)
    assert session.effects() == [Send(b'{"type":"subscribe","symbol":"AAPL"}')]


# Copies


def prints(rows: list[tuple[str, int, str]]) -> bytes:
    data = [{"s": s, "t": t, "p": p, "v": 1, "c": ["1"]} for s, t, p in rows]
    return (
        json.encode({"type": "trade", "data": data})
        .replace(b'"p":"1"', b'"p":1')
        .replace(b'"p":"2"', b'"p":2')
    )


def heard(adapter: Finnhub, frames: list[bytes]) -> Counter[tuple[str, int | None, str]]:
    said = [event for frame in frames for event in adapter.decode(frame)]
    return Counter([(e.symbol, e.venue_ns, e.price_text) for e in said if isinstance(e, Trade)])


#: Few values, so that many genuine prints are equal.
ROWS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1_000, 1_004), st.sampled_from("12")), max_size=30
)


@given(rows=ROWS, factor=st.integers(1, 4), size=st.integers(1, 7), data=st.data())
def test_every_print_is_delivered_exactly_once(
    rows: list[tuple[str, int, str]], factor: int, size: int, data: st.DataObject
) -> None:
    sent = data.draw(st.permutations(rows * factor))
    frames = [prints(sent[start : start + size]) for start in range(0, len(sent), size)]
    genuine = Counter([(symbol, ms * MILLISECOND, price) for symbol, ms, price in rows])
    assert heard(Finnhub({"duplicate": factor}), frames) == genuine


@given(rows=ROWS, window_s=st.sampled_from([0.001, 1, 60]))
def test_where_nothing_is_sent_twice_nothing_is_lost(
    rows: list[tuple[str, int, str]], window_s: float
) -> None:
    genuine = Counter([(symbol, ms * MILLISECOND, price) for symbol, ms, price in rows])
    assert heard(Finnhub({"dedup_s": window_s}), [prints(rows)] if rows else []) == genuine


def test_the_first_of_equal_prints_is_delivered_at_once() -> None:
    adapter = Finnhub({"duplicate": 2})
    counts = [len(adapter.decode(prints([("A", 1_000, "1")]))) for _ in range(6)]
    assert counts == [1, 0, 1, 0, 1, 0]


def test_a_copy_that_comes_after_the_window_is_delivered_again() -> None:
    adapter = Finnhub({"duplicate": 2, "dedup_s": 1})
    frames = [
        prints([row]) for row in [("A", 1_000, "1"), ("A", 2_000, "1"), ("B", 9_000, "1"), ("A", 1_000, "1")]
    ]
    assert [len(adapter.decode(frame)) for frame in frames] == [1, 1, 1, 0]
    assert len(adapter.decode(prints([("A", 3_001, "1")]))) == 1
    assert [len(adapter.decode(frames[i])) for i in (0, 1)] == [1, 1]


def test_a_frame_that_is_refused_does_not_count() -> None:
    adapter = Finnhub({"duplicate": 2})
    good = prints([("A", 1_000, "1")])
    with pytest.raises(DecodeError):
        adapter.decode(good.replace(b"}]", b'},{"s":"A","t":-1,"p":1,"v":1}]'))
    assert len(adapter.decode(good)) == 1


def test_a_new_connection_begins_without_copies() -> None:
    adapter = Finnhub({"duplicate": 2})
    assert len(adapter.decode(TESLA)) == 1
    adapter.login()
    assert len(adapter.decode(TESLA)) == 1


@pytest.mark.parametrize("options", [{"duplicate": 0}, {"duplicate": "2"}, {"dedup_s": 0}, {"dedup_s": "1"}])
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        Finnhub(options)
