"""What can go wrong, and who can mend it (floor 0).

::

    LivetapeError
     ├ ConfigError      the user can mend it: a source, an option, a file
     ├ VendorError      the vendor refused
     │  ├ LoginDenied  SubscriptionDenied  LimitReached
     ├ ConnectError     nothing answered, or not as a WebSocket server does
     ├ ProtocolError    somebody broke the rules
     │  ├ DecodeError   the vendor did: the bytes are kept, the feed lives on
     │  └ MisuseError   our caller did
     └ StoreError       the tape on disk cannot be written or read
        └ DamageError   it is not what was written

Loss, gaps and staleness are not exceptions: they are events.
"""


class LivetapeError(Exception):
    """Every error that livetape raises on purpose.

    ``exit_code`` is the command line's; ``remedy`` says what would help, and is the end of the text.
    """

    exit_code = 1
    remedy = ""


class ConfigError(LivetapeError):
    """Something the user wrote cannot be used. ``allowed`` names what could stand there instead."""

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        allowed: list[str] | None = None,
        example: str = "",
        remedy: str = "",
    ) -> None:
        self.problem, self.where, self.allowed = problem, where, allowed or []
        self.remedy = remedy or (f"for example {example}" if example else "")
        self.remedy = f"did you mean {' or '.join(self.allowed)}?" if self.allowed else self.remedy
        text = _sentence(problem, self.remedy, ": " if remedy else "; ")
        super().__init__(f"{where}: {text}" if where else text)


class VendorError(LivetapeError):
    """The vendor refused. ``reply`` is what it said, secrets masked."""

    exit_code = 3

    def __init__(self, venue: str, reply: str, symbol: str = "", remedy: str = "") -> None:
        self.venue, self.reply, self.symbol, self.remedy = venue, reply, symbol, remedy
        super().__init__(f"{venue}{f' {symbol}' if symbol else ''}: {_sentence(reply, remedy)}")


class LoginDenied(VendorError):
    """The key is wrong, expired or not entitled."""


class SubscriptionDenied(VendorError):
    """This symbol or channel is not to be had."""


class LimitReached(VendorError):
    """More was ``wanted`` than the vendor's ``limit`` allows."""

    def __init__(self, venue: str, limit: int, wanted: int, remedy: str) -> None:
        self.limit, self.wanted = limit, wanted
        super().__init__(venue, f"{wanted} symbols wanted, {limit} allowed", remedy=remedy)


class ConnectError(LivetapeError):
    """No usable connection.

    ``retry_after_s`` is the server's own wish, when it gave one, and ``body`` what it answered
    where that is about the request itself, not about the moment.
    """

    exit_code = 4

    def __init__(
        self,
        venue: str,
        cause: str,
        retry_after_s: float | None = None,
        remedy: str = "",
        body: bytes = b"",
    ) -> None:
        self.venue, self.cause, self.retry_after_s, self.remedy = venue, cause, retry_after_s, remedy
        self.body = body
        super().__init__(f"{venue}: {_sentence(cause, remedy)}")


class ProtocolError(LivetapeError):
    """Somebody broke the rules of a protocol."""


class DecodeError(ProtocolError):
    """The vendor sent bytes that it never should. ``frame`` keeps them."""

    exit_code = 5

    def __init__(self, venue: str, frame: bytes, where: str) -> None:
        self.venue, self.frame, self.where = venue, frame, where
        super().__init__(f"{venue}: {where} in {frame[:120]!r}")


class MisuseError(ProtocolError):
    """Our caller broke the rules, for example by using a stream that has stopped."""


class StoreError(LivetapeError):
    """The store cannot be used: locked, full, read-only or damaged."""

    exit_code = 6

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class DamageError(StoreError):
    """What is stored is not what was written."""

    exit_code = 5


def _sentence(problem: str, remedy: str, joint: str = "; ") -> str:
    return f"{problem}{joint}{remedy}" if remedy else problem
