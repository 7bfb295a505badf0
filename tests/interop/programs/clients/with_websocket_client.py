"""Prints what a WebSocket says, by websocket-client: ``with_websocket_client.py URL [MESSAGE…]``."""

import sys

import websocket


def on_open(ws: websocket.WebSocketApp) -> None:
    for message in sys.argv[2:]:
        ws.send(message)


def on_error(ws: websocket.WebSocketApp, error: Exception) -> None:
    print(repr(error), file=sys.stderr)


app = websocket.WebSocketApp(
    sys.argv[1], on_open=on_open, on_message=lambda ws, message: print(message), on_error=on_error
)
app.run_forever()
