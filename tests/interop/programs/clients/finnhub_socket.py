"""A Finnhub client of websocket-client, as the vendor documents it: ``finnhub_socket.py SYMBOL…``."""

import os
import sys

import websocket


def on_message(ws: websocket.WebSocketApp, message: str) -> None:
    print(message)


def on_error(ws: websocket.WebSocketApp, error: Exception) -> None:
    print(error, file=sys.stderr)


def on_close(ws: websocket.WebSocketApp, code: int | None, reason: str | None) -> None:
    print("closed", code, reason, file=sys.stderr)


def on_open(ws: websocket.WebSocketApp) -> None:
    for symbol in sys.argv[1:]:
        ws.send(f'{{"type":"subscribe","symbol":"{symbol}"}}')


if __name__ == "__main__":
    websocket.enableTrace(False)
    ws = websocket.WebSocketApp(
        os.environ["LIVETAPE_FINNHUB_WS_URL"] + "?token=KEY",
        on_message=on_message,
        on_error=on_error,
        on_close=on_close,
    )
    ws.on_open = on_open
    ws.run_forever()
