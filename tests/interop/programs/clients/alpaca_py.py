"""Prints what alpaca-py delivers, one JSON object a line: ``alpaca_py.py stocks trades=AAPL,MSFT bars=*``."""

import json
import logging
import os
import sys

from alpaca.data.live import CryptoDataStream, NewsDataStream, OptionDataStream, StockDataStream
from pydantic import BaseModel

STREAMS = {
    "stocks": (StockDataStream, "/v2/iex"),
    "test": (StockDataStream, "/v2/test"),
    "crypto": (CryptoDataStream, "/v1beta3/crypto/us"),
    "news": (NewsDataStream, "/v1beta1/news"),
    "options": (OptionDataStream, "/v1beta1/indicative"),
}


async def show(item: BaseModel) -> None:
    print(json.dumps({"is": type(item).__name__, **item.model_dump(mode="json")}))


logging.basicConfig(level=logging.INFO)
market, *wishes = sys.argv[1:]
kind, path = STREAMS[market]
stream = kind("KEY", "SECRET", url_override=os.environ["LIVETAPE_ALPACA_WS_URL"] + path)
for wish in wishes:
    channel, _, symbols = wish.partition("=")
    getattr(stream, f"subscribe_{channel}")(show, *symbols.split(","))
stream.run()
