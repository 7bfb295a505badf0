"""Where each venue without a proof shows its book over REST, and how that is read. Bodies are documented."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters import find
from livetape.core.decimals import Level
from livetape.core.errors import DecodeError

Case = tuple[str, str, str, bytes, list[Level], list[Level], int | None]
CASES: list[Case] = [
    (
        *("gemini", "BTC-USD", "/v1/book/btcusd?limit_bids=10&limit_asks=10"),
        b'{"bids":[{"price":"3607.85","amount":"6.643373","timestamp":"1547147541"}],'
        b'"asks":[{"price":"3607.86","amount":"14.68205084","timestamp":"1547147541"}]}',
        *([("3607.85", "6.643373")], [("3607.86", "14.68205084")], None),
    ),
    (
        *("coinbase", "NU-GBP", "/products/NU-GBP/book?level=2"),
        b'{"bids":[["0.4311","12.5",2],["0.4310","0.00",1]],"asks":[["0.4319","3.2",1]],"sequence":333938798,'
        b'"auction_mode":false,"auction":null,"time":"2021-04-17T16:43:37.080304Z"}',
        *([("0.4311", "12.5"), ("0.4310", "0.00")], [("0.4319", "3.2")], 1_618_677_817_080_304_000),
    ),
    (
        *("alpaca", "BTC-USD", "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD"),
        b'{"orderbooks":{"BTC/USD":{"a":[{"p":27858.850,"s":0.8}],"b":[{"p":27841,"s":0.80}],'
        b'"t":"2023-04-04T12:02:05.3914Z"}}}',
        *([("27841", "0.80")], [("27858.850", "0.8")], 1_680_609_725_391_400_000),
    ),
    (
        *("itick", "AAPL", "/stock/depth?region=US&code=AAPL"),
        b'{"code":0,"msg":null,"data":{"s":"AAPL","a":[{"po":1,"p":3034.01,"v":10.6023,"o":10.6023}],'
        b'"b":[{"po":1,"p":3034,"v":20.9758,"o":20.9758}]}}',
        *([("3034", "20.9758")], [("3034.01", "10.6023")], None),
    ),
    (
        *("bitstamp", "XRP-EUR", "/api/v2/order_book/xrpeur/?group=1"),
        b'{"timestamp": "1641343695", "microtimestamp": "1641343695572693",'
        b' "bids": [["0.14695", "4567.41344936"]], "asks": []}',
        *([("0.14695", "4567.41344936")], [], 1_641_343_695_572_693_000),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_venues_own_book_is_read_as_it_is(case: Case) -> None:
    venue, symbol, path, body, bids, asks, venue_ns = case
    adapter = find(venue)()
    assert adapter.audit_path(symbol) == path
    book = adapter.decode_audit(symbol, body)
    assert (book.channel, book.snapshot) == (f"{venue}:{symbol}/book", True)
    assert (book.bids, book.asks, book.venue_ns) == (bids, asks, venue_ns)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@given(st.data())
def test_bad_bytes_raise_nothing_but_a_decode_error(case: Case, data: st.DataObject) -> None:
    venue, symbol, _, body, *_ = case
    at = data.draw(st.integers(0, len(body) - 1))
    with suppress(DecodeError):
        find(venue)().decode_audit(symbol, body[:at] + data.draw(st.binary(max_size=5)) + body[at + 1 :])


def test_another_symbols_book_is_none() -> None:
    with pytest.raises(DecodeError):
        find("alpaca")().decode_audit("ETH-USD", CASES[2][3])
    with pytest.raises(DecodeError, match="E003"):
        find("itick")().decode_audit("AAPL", b'{"code":"E003","msg":"exceeding the limit","data":null}')
