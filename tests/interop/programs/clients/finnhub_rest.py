"""Prints what finnhub-python is answered, one JSON object."""

import json
import os

import finnhub

finnhub.Client.API_URL = os.environ["LIVETAPE_FINNHUB_REST_URL"] + "/api/v1"
client = finnhub.Client(api_key="KEY")
answers = {
    "search": client.symbol_lookup("apple"),
    "stocks": client.stock_symbols("US"),
    "forex": client.forex_symbols("oanda"),
    "crypto": client.crypto_symbols("binance"),
    "quote": client.quote("AAPL"),
}
print(json.dumps(answers))
