"""The programs that the articles print, cut from the articles at test time: their text is not the project's.

The articles lie in ``../shared/sources``, or where ``LIVETAPE_ARTICLES`` says. Ours are only the recipes:
which pieces make a program, and the least repairs that make it run. Addresses come from the environment, and
what is not Python becomes it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Piece:
    """From the first line after ``below`` that begins with ``first`` to the end of the next ``last``.

    ``depths`` is a digit a line, for an article that has lost its indentation.
    """

    first: str
    last: str
    depths: str = ""
    below: str = ""

    def of(self, article: str) -> str:
        """Its text. Raises ValueError if the article does not have it, or has more or fewer lines of it."""
        start = article.index("\n" + self.first, article.index(self.below)) + 1
        text = article[start : article.index(self.last, start) + len(self.last)]
        if not self.depths:
            return text
        lines = zip(self.depths, text.split("\n"), strict=True)
        return "\n".join("    " * int(depth) + line for depth, line in lines)


@dataclass(frozen=True)
class Recipe:
    """What makes a program of an article. ``repairs`` turn its text, found exactly once, into ours."""

    article: str
    pieces: tuple[Piece, ...]
    repairs: Mapping[str, str]

    def program(self) -> str:
        """Its text. Raises ValueError if the article is not what this recipe is for."""
        article = read(self.article)
        text = "\n".join(piece.of(article) for piece in self.pieces)
        for old, new in self.repairs.items():
            if (found := text.count(old)) != 1:
                raise ValueError(f"{found} times in the {self.article} article: {old}")
            text = text.replace(old, new)
        return f"import os\n{text}\n"


def read(name: str) -> str:
    """The article. Without it a test is skipped, but never where CI promises it."""
    named = os.environ.get("LIVETAPE_ARTICLES")
    root = Path(named) if named else Path(__file__).parents[3] / "shared" / "sources"
    path = root / f"{name}-article.txt"
    if not path.exists():
        absent = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        absent(f"no {path}; LIVETAPE_ARTICLES names its directory")
    return path.read_text(encoding="utf-8")


def cut(name: str, directory: Path) -> Path:
    """The program of that name, written to ``directory``."""
    path = directory / f"{name}.py"
    path.write_text(RECIPES[name].program(), encoding="utf-8")
    return path


ALPACA_URLS = {
    "base_url=URL('https://paper-api.alpaca.markets'": "base_url=URL(os.environ['LIVETAPE_ALPACA_REST_URL']",
    "data_url=URL('https://data.alpaca.markets'": "data_url=URL(os.environ['LIVETAPE_ALPACA_REST_URL']",
}
RECIPES = {
    "gemini_rest_timer": Recipe(
        "gemini",
        (Piece("import requests", "latency * 1000))"),),
        {'"https://api.gemini.com': 'os.environ["LIVETAPE_GEMINI_REST_URL"] + "'},
    ),
    "gemini_echo": Recipe(
        "gemini",
        (Piece("import websocket\nimport _thread", "ws.run_forever()"),),
        {'"ws://echo.websocket.events': 'os.environ["LIVETAPE_ECHO_WS_URL"] + "'},
    ),
    "gemini_five_messages": Recipe(
        "gemini",
        (Piece("import ssl\nimport websocket", "CERT_NONE})"),),
        {'"wss://api.gemini.com': 'os.environ["LIVETAPE_GEMINI_WS_URL"] + "'},
    ),
    "gemini_crawler": Recipe(
        "gemini",
        (Piece("import copy", "output_file='BTCUSD.txt')"),),
        {"'wss://api.gemini.com": "os.environ['LIVETAPE_GEMINI_WS_URL'] + '"},
    ),
    "alpaca_basic": Recipe(
        "alpaca",
        (Piece("from alpaca_trade_api", "Q.GOOG'])", below="The very basic example"),),
        ALPACA_URLS,
    ),
    "alpaca_reconnect": Recipe(
        "alpaca",
        (Piece("import time", "\n    run_connection(conn, channels)", below="Websocket Reconnection"),),
        ALPACA_URLS,
    ),
    "alpaca_pause": Recipe(
        "alpaca",
        (Piece("import threading", "time.sleep(20)", below="Pause/Resume Data Stream"),),
        ALPACA_URLS,
    ),
    "alpaca_subscriptions": Recipe(
        "alpaca",
        (Piece("import threading", "time.sleep(20)", below="Change the Data Subscription"),),
        ALPACA_URLS,
    ),
    # The article shows the callbacks, the heartbeat and the retries apart; here they are one program.
    "itick_client": Recipe(
        "itick",
        (
            Piece("import asyncio", "level=logging.INFO)", "00000", below="Improving Error Handling Logic"),
            Piece("# Heartbeat message sending interval", "= 10", "00"),
            Piece("async def on_open", "dumps(subscribe_message))", "012211222111"),
            Piece("async def on_message", 'format: {message}")', "0122222212"),
            Piece("async def on_close", 'reason: {close_msg}")', "01"),
            Piece("async def send_heartbeat", "break", "0123323"),
            Piece("async def connect_and_subscribe", "on_open(websocket)\ntry:", "01112344"),
            Piece("# Start the heartbeat task", "(websocket, message)", "55566"),
            Piece("except websockets.exceptions.ConnectionClosedOK:\nbreak", '{e}")\nbreak', "45455"),
            Piece("finally:\n# Cancel the Heartbeat Task", '"Normal closure")', "4555"),
            Piece('except Exception as e:\nlogging.error("Connection failed', "sleep(5)", "2333"),
            Piece("if __name__", "run_until_complete(main())", "01"),
        ),
        {
            "'wss://api.itick.org": "os.environ['LIVETAPE_ITICK_WS_URL'] + '",
            r"your\_api\_key": "your_api_key",
            "1000} symbol =": "1000}\n        symbol =",
            '{e}") break': '{e}")\n            break',
            "await on message": "await on_message",
            "run_until_complete(main())": "run_until_complete(connect_and_subscribe())",
        },
    ),
}
