"""What Bitstamp says and is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters.bitstamp import Bitstamp
from livetape.core.errors import DecodeError
from livetape.core.events import Ack, BookUpdate, Closing, Denied, Heartbeat, Message, Trade
from livetape.core.instruments import Channel, Instrument

from .damage import damaged, decodes_or_refuses

AT = 1641343701093866
SUBSCRIBED = b'{"event":"bts:subscription_succeeded","channel":"diff_order_book_usdteur","data":{}}'


def difference(micros: int | str = AT) -> bytes:
    return (
        b'{"data":{"timestamp":"1641343701","microtimestamp":"%b","bids":[["0.88427","0.00000"]],'
        b'"asks":[["0.88671","3.50000"]]},"channel":"diff_order_book_usdteur","event":"data"}'
    ) % str(micros).encode()


def update(first: int, last: int) -> BookUpdate:
    bids, asks = [("0.88427", "0.00000")], [("0.88671", "3.50000")]
    return BookUpdate("bitstamp:USDT-EUR/book", last * 1000, False, bids, asks, first, last)


SAID: list[tuple[bytes, Message]] = [
    (difference(), update(AT, AT)),
    (
        b'{"data":{"id":216000484,"timestamp":"1641343709","amount":0.931,"amount_str":"0.93100000",'
        b'"price":3802.93,"price_str":"3802.93","type":1,"microtimestamp":"1641343709599000",'
        b'"buy_order_id":1443875774971904,"sell_order_id":1443875778322433},"channel":"live_trades_ethusd",'
        b'"event":"trade"}',
        Trade(
            *("bitstamp:ETH-USD/trade", 1641343709599000 * 1000, "3802.93", "0.93100000", "sell"),
            "216000484",
        ),
    ),
    (SUBSCRIBED, Ack("bitstamp:USDT-EUR/book")),
    (b'{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}', Heartbeat()),
    (
        b'{"event":"bts:request_reconnect","channel":"","data":""}',
        Closing("the venue asks for a new connection"),
    ),
    (
        b'{"event":"bts:error","channel":"","data":{"code":null,"message":"Bad subscription string."}}',
        Denied("Bad subscription string."),
    ),
    (
        b'{"event":"bts:error","channel":"live_trades_nousd","data":{"code":4009,"message":"No."}}',
        Denied("No.", ("bitstamp:NOUSD/trade",)),
    ),
]


@pytest.mark.parametrize(("frame", "message"), SAID)
def test_what_a_frame_says(frame: bytes, message: Message) -> None:
    assert Bitstamp().decode(frame) == [message]


@given(st.binary(max_size=200) | damaged(st.sampled_from([frame for frame, _ in SAID])))
def test_any_bytes_decode_or_are_refused(frame: bytes) -> None:
    decodes_or_refuses(Bitstamp(), frame)


@pytest.mark.parametrize("channel", [b"", b"order_book_btcusd"])
def test_a_channel_that_nobody_asked_for_is_refused(channel: bytes) -> None:
    with pytest.raises(DecodeError):
        Bitstamp().decode(SUBSCRIBED.replace(b"diff_order_book_usdteur", channel))


@pytest.mark.parametrize("micros", ["-1", "1.5", "1e9", "99999999999999999", ""])
def test_a_time_that_is_none_is_refused(micros: str) -> None:
    with pytest.raises(DecodeError):
        Bitstamp().decode(difference(micros))


def test_each_difference_reaches_from_the_one_before_to_itself() -> None:
    adapter = Bitstamp()
    assert adapter.decode(difference(AT)) == [update(AT, AT)]
    assert adapter.decode(difference(AT + 50)) == [update(AT + 1, AT + 50)]
    assert adapter.decode(difference(AT + 51)) == [update(AT + 51, AT + 51)]


@pytest.mark.parametrize("anew", [SUBSCRIBED, b""])
def test_a_new_subscription_continues_nothing(anew: bytes) -> None:
    adapter = Bitstamp()
    adapter.decode(difference(AT))
    assert adapter.decode(anew) if anew else adapter.login() == []
    assert adapter.decode(difference(AT + 50)) == [update(AT + 50, AT + 50)]


def test_what_is_asked_of_the_venue() -> None:
    adapter = Bitstamp()
    channels = [Channel("bitstamp", "BTC-USD", kind) for kind in ("book", "trade")]
    assert adapter.subscribe(channels) == [
        b'{"event":"bts:subscribe","data":{"channel":"diff_order_book_btcusd"}}',
        b'{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}',
    ]
    assert adapter.snapshot_path("BTC-USD") == "/api/v2/order_book/btcusd/?group=1"
    assert adapter.price_path("BTC-USD") == "/api/v2/ticker/btcusd/"


def test_a_fetched_book_has_its_time_as_number() -> None:
    body = (
        b'{"timestamp": "1641343695", "microtimestamp": "1641343695572693", '
        b'"bids": [["0.14695", "4567.41"]], "asks": []}'
    )
    at = 1641343695572693
    assert Bitstamp().decode_snapshot("SGB-EUR", body) == BookUpdate(
        "bitstamp:SGB-EUR/book", at * 1000, True, [("0.14695", "4567.41")], [], at, at
    )


def test_only_what_trades_is_listed() -> None:
    pair = b'{"trading":"%b","base_decimals":8,"url_symbol":"%b","name":"%b","counter_decimals":2}'
    rows = (pair % (b"Enabled", b"btcusd", b"BTC/USD"), pair % (b"Disabled", b"btcpax", b"BTC/PAX"))
    adapter = Bitstamp()
    [path] = adapter.symbols_paths()
    assert adapter.decode_symbols(path, b"[%b,%b]" % rows) == [
        Instrument("BTC-USD", "btcusd", "0.01", "0.00000001")
    ]
