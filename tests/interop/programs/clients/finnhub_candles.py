"""Prints the candles of the last days that finnhub-python is given, or why it is not: one JSON object."""

import json
import os
import time

import finnhub

finnhub.Client.API_URL = os.environ["LIVETAPE_FINNHUB_REST_URL"] + "/api/v1"
client = finnhub.Client(api_key="KEY")
to = int(time.time())
asked = {
    "AAPL": client.stock_candles,
    "OANDA:EUR_USD": client.forex_candles,
    "BINANCE:BTCUSDT": client.crypto_candles,
}
answers = {}
for symbol, candles in asked.items():
    try:
        answers[symbol] = candles(symbol, "60", to - 5 * 86_400, to)
    except finnhub.FinnhubAPIException as refusal:
        answers[symbol] = {"status": refusal.status_code, "message": refusal.message}
print(json.dumps(answers))
