"""What Binance's futures say and are asked, where it is not as on the spot market."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from livetape.adapters import find
from livetape.adapters.binance_coinm import BinanceCoinm
from livetape.adapters.binance_futures import BinanceFutures
from livetape.core.adapter import Adapter
from livetape.core.events import Ack, Bar, BookUpdate, Heartbeat, Mark, Message, Quote, Trade
from livetape.core.instruments import Channel, Instrument

from .damage import damaged, decodes_or_refuses

MS = 1_000_000
PERP = "binance_coinm:BTC-USD-PERP"


def framed(stream: str, data: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


SAID: list[tuple[bytes, Message]] = [
    (
        framed(
            "btcusd_perp@depth@100ms",
            b'{"e":"depthUpdate","E":1723161257440,"T":1723161257432,"s":"BTCUSD_PERP","ps":"BTCUSD",'
            b'"U":1007198631260,"u":1007198631565,"pu":1007198631198,"b":[["61773.6","1001"]],"a":[["61774.0","0"]]}',
        ),
        BookUpdate(
            *(f"{PERP}/book", 1723161257432 * MS, False, [("61773.6", "1001")], [("61774.0", "0")]),
            *(1007198631199, 1007198631565),
        ),
    ),
    (
        framed(
            "btcusd_perp@trade",
            b'{"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSD_PERP","t":849714402,"p":"61804.8",'
            b'"q":"4","X":"MARKET","m":false}',
        ),
        Trade(f"{PERP}/trade", 1723161257679 * MS, "61804.8", "4", "buy", "849714402", 849714402),
    ),
    (
        framed(
            "btcusd_perp@trade",
            b'{"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSD_PERP","t":849714403,"p":"0",'
            b'"q":"0","X":"NA","m":true}',
        ),
        Trade(
            *(f"{PERP}/trade", 1723161257679 * MS, "0", "0", "sell", "849714403", 849714403),
            conditions=("NA",),
            excluded=("last", "range", "volume"),
        ),
    ),
    (
        framed(
            "btcusd_perp@bookTicker",
            b'{"u":1007198632021,"e":"bookTicker","s":"BTCUSD_PERP","ps":"BTCUSD","b":"61804.7","B":"35",'
            b'"a":"61804.8","A":"1645","T":1723161257465,"E":1723161257476}',
        ),
        Quote(f"{PERP}/quote", 1723161257465 * MS, "61804.7", "35", "61804.8", "1645", 1007198632021),
    ),
    (
        framed(
            "btcusd_perp@markPrice@1s",
            b'{"e":"markPriceUpdate","E":1596095725000,"s":"BTCUSD_PERP","p":"10934.62615417",'
            b'"P":"10962.17178236","i":"10933.62615417","r":"-0.00010000","T":1596096000000}',
        ),
        Mark(f"{PERP}/mark", 1596095725000 * MS, "10934.62615417", "10933.62615417", "-0.00010000"),
    ),
    (
        framed(
            "btcusd_201225@markPrice@1s",
            b'{"e":"markPriceUpdate","E":1596095725000,"s":"BTCUSD_201225","p":"10934.62615417",'
            b'"P":"10962.17178236","r":"","T":0}',
        ),
        Mark("binance_coinm:BTC-USD-201225/mark", 1596095725000 * MS, "10934.62615417"),
    ),
    (
        framed(
            "btcusd_perp@kline_1m",
            b'{"e":"kline","E":1591261542539,"s":"BTCUSD_PERP","k":{"t":1591261500000,"T":1591261559999,'
            b'"s":"BTCUSD_PERP","i":"1m","f":606400,"L":606430,"o":"9638.9","c":"9639.8","h":"9639.8","l":"9638.6",'
            b'"v":"156","n":31,"x":false,"q":"1.61836886","V":"73","Q":"0.75731156","B":"0"}}',
        ),
        Bar(
            *(f"{PERP}/bar.1m", 1591261500000 * MS, "9638.9", "9639.8", "9638.6", "9639.8", "156"),
            trades=31,
            closed=False,
            venue_ns=1591261542539 * MS,
        ),
    ),
    (framed("btcusd_perp@forceOrder", b'{"e":"forceOrder"}'), Heartbeat()),
]


@pytest.mark.parametrize(("frame", "message"), SAID)
def test_what_a_frame_says(frame: bytes, message: Message) -> None:
    assert BinanceCoinm().decode(frame) == [message]


@given(st.binary(max_size=200) | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(BinanceCoinm(), frame)


@pytest.mark.parametrize(
    ("adapter", "native", "symbol"),
    [
        (BinanceFutures, "BTCUSDT", "BTC-USDT"),
        (BinanceFutures, "1000SHIBUSDC", "1000SHIB-USDC"),
        (BinanceFutures, "BTCUSDT_261225", "BTC-USDT-261225"),
        (BinanceCoinm, "BTCUSD_PERP", "BTC-USD-PERP"),
        (BinanceCoinm, "BTCUSD_261225", "BTC-USD-261225"),
        (BinanceCoinm, "PERP", "PERP"),
    ],
)
def test_both_spellings_of_a_symbol_are_one(adapter: type[BinanceFutures], native: str, symbol: str) -> None:
    assert adapter.native(symbol) == native
    assert {adapter.canonical(each) for each in (native, native.lower(), symbol, symbol.lower())} == {symbol}


@given(st.from_regex(r"[A-Z0-9]{2,8}-(USDT|USDC|BTC|USD)(-PERP|-[0-9]{6})?", fullmatch=True))
def test_our_spelling_stays_as_it_is(symbol: str) -> None:
    assert BinanceFutures.canonical(symbol) == symbol


@pytest.mark.parametrize(
    ("venue", "kind", "address"),
    [
        ("binance_futures", "book", "wss://fstream.binance.com/public/stream"),
        ("binance_futures", "quote", "wss://fstream.binance.com/public/stream"),
        ("binance_futures", "trade", "wss://fstream.binance.com/public/stream"),
        ("binance_futures", "mark", "wss://fstream.binance.com/market/stream"),
        ("binance_futures", "bar.1m", "wss://fstream.binance.com/market/stream"),
        ("binance_coinm", "book", "wss://dstream.binance.com/stream"),
        ("binance_coinm", "mark", "wss://dstream.binance.com/stream"),
    ],
)
def test_each_kind_has_its_address(venue: str, kind: str, address: str) -> None:
    adapter = find(venue)()
    assert adapter.endpoint(adapter.ws_url, [Channel(venue, "BTC-USDT", kind)]) == address


def test_channels_of_two_addresses_have_two_routes() -> None:
    def routes(adapter: Adapter) -> int:
        return len({adapter.route(Channel(adapter.venue, "BTC-USDT", kind)) for kind in adapter.kinds})

    assert (routes(BinanceFutures()), routes(BinanceCoinm())) == (2, 1)


def test_what_is_asked_of_the_venue() -> None:
    adapter = BinanceCoinm()
    channels = [Channel("binance_coinm", "BTC-USD-PERP", kind) for kind in ("book", "mark")]
    [request] = adapter.subscribe(channels)
    assert json.decode(request) == {
        "method": "SUBSCRIBE",
        "params": ["btcusd_perp@depth@100ms", "btcusd_perp@markPrice@1s"],
        "id": 1,
    }
    assert adapter.decode(b'{"result":null,"id":1}') == [Ack(str(channel)) for channel in channels]
    assert adapter.snapshot_path("BTC-USD-PERP") == "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000"
    assert adapter.price_path("BTC-USD-PERP") == "/dapi/v1/ticker/bookTicker?symbol=BTCUSD_PERP"
    assert BinanceFutures().snapshot_path("BTC-USDT") == "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"


def test_only_what_trades_is_listed() -> None:
    body = (
        b'{"symbols":[{"symbol":"BTCUSD_PERP","baseAsset":"BTC","quoteAsset":"USD","contractStatus":"TRADING",'
        b'"filters":[{"filterType":"PRICE_FILTER","tickSize":"0.1"},{"filterType":"LOT_SIZE","stepSize":"1"}]},'
        b'{"symbol":"ETHUSD_210924","baseAsset":"ETH","quoteAsset":"USD","contractStatus":"SETTLING"}]}'
    )
    adapter = BinanceCoinm()
    [path] = adapter.symbols_paths()
    assert path == "/dapi/v1/exchangeInfo"
    assert adapter.decode_symbols(path, body) == [Instrument("BTC-USD-PERP", "BTCUSD_PERP", "0.1", "1")]
