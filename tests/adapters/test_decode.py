"""Decoding is all or nothing: events, or a DecodeError and never anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livetape.adapters import find
from livetape.core.adapter import Adapter
from livetape.core.errors import DecodeError
from livetape.core.instruments import Channel

from .damage import damaged, decodes_or_refuses

KRAKEN = [
    b'{"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[],"asks":[{"price":1877.64,"qty":0.79488026}],'
    b'"checksum":114690792,"timestamp":"2026-08-02T04:23:43.220187Z"}]}',
    b'{"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1877.6,"qty":0.5,'
    b'"ord_type":"market","trade_id":42,"timestamp":"2026-08-02T04:23:43.220187Z"}]}',
    b'{"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,"symbol":"ETH/USD"},"success":true}',
    b'{"channel":"ticker","type":"update","data":[{"symbol":"ETH/USD","bid":1.1,"bid_qty":2,"ask":1.2,"ask_qty":3}]}',
    b'{"channel":"ohlc","type":"update","data":[{"symbol":"ETH/USD","open":1,"high":2,"low":0.5,"close":1.5,"trades":3,'
    b'"volume":9.5,"vwap":1.2,"interval_begin":"2026-08-02T04:23:00.000000000Z","interval":1}]}',
]
BINANCE = [
    b'{"stream":"nknusdt@depth@100ms","data":{"e":"depthUpdate","E":1633998512068,"s":"NKNUSDT","U":499869750,'
    b'"u":499869752,"b":[["0.35130000","6195.00000000"]],"a":[]}}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63",'
    b'"q":"0.02","T":1723161255342,"m":true,"M":true}}',
    b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}}',
    b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1633998512068,"s":"BTCUSDT","k":{"t":1633998480000,"T":1,'
    b'"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1","c":"2","h":"3","l":"0.5","v":"9","n":4,"x":false,"q":"1"}}}',
    b'{"result":null,"id":1}',
    b'{"code":2,"msg":"Invalid request"}',
]
GEMINI = [
    b'{"type":"l2_updates","symbol":"ZECLTC","changes":[["buy","0.5","1"],["sell","0.6","0"]],"auction_events":[]}',
    b'{"type":"trade","symbol":"BTCUSD","event_id":3575573053,"timestamp":1560976400428,"price":"9004.21",'
    b'"quantity":"0.09110000","side":"buy"}',
    b'{"type":"candles_15m_updates","symbol":"BTCUSD","changes":[[1561054500000,9350.18,9358.35,9350.18,9355.51,2.07]]}',
    b'{"type":"heartbeat","timestamp":1624493666869}',
    b'{"result":"error","reason":"NoValidTradingPairs"}',
]
GEMINI_V1 = [
    b'{"type":"update","eventId":5375547515,"timestamp":1547760288,"timestampms":1547760288001,"socket_sequence":15,'
    b'"events":[{"type":"trade","tid":5375547515,"price":"3632.54","amount":"0.1362819142","makerSide":"ask"}]}',
    b'{"type":"update","eventId":5,"timestampms":1547759964051,"socket_sequence":2,"events":[{"type":"change",'
    b'"side":"bid","price":"3628.01","remaining":"0","delta":"-2","reason":"cancel"}]}',
    b'{"type":"heartbeat","socket_sequence":3}',
]
FRAMES = {
    ("kraken", ""): KRAKEN,
    ("binance", ""): BINANCE,
    ("gemini", ""): GEMINI,
    ("gemini", "v1"): GEMINI_V1,
}
CASES = [(venue, api, frame) for (venue, api), frames in FRAMES.items() for frame in frames]


def adapter_of(venue: str, api: str) -> Adapter:
    adapter = find(venue, api)()
    adapter.subscribe([Channel(venue, "BTC-USD", "book"), Channel(venue, "BTC-USD", "trade")])
    return adapter


@pytest.mark.parametrize(("venue", "api", "frame"), CASES)
def test_real_frames_decode(venue: str, api: str, frame: bytes) -> None:
    assert adapter_of(venue, api).decode(frame)


@pytest.mark.parametrize(("venue", "api"), FRAMES)
@given(data=st.data())
def test_any_bytes_decode_or_are_refused(venue: str, api: str, data: st.DataObject) -> None:
    decodes_or_refuses(adapter_of(venue, api), data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize(("venue", "api"), FRAMES)
@given(data=st.data())
def test_any_damage_to_a_frame_decodes_or_is_refused(venue: str, api: str, data: st.DataObject) -> None:
    decodes_or_refuses(adapter_of(venue, api), data.draw(damaged(st.sampled_from(FRAMES[venue, api]))))


@pytest.mark.parametrize("price", ["NaN", "-1", "1e999", "9" * 41, "", "1_0", "١"])
def test_a_price_that_is_no_number_is_refused(price: str) -> None:
    frame = BINANCE[0].replace(b"0.35130000", price.encode())
    with pytest.raises(DecodeError):
        adapter_of("binance", "").decode(frame)


def test_a_deeply_nested_frame_is_refused() -> None:
    for venue, api in FRAMES:
        with pytest.raises(DecodeError):
            adapter_of(venue, api).decode(b'{"channel":' + b"[" * 100_000)
