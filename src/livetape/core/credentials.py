"""What a vendor knows its customer by (floor 0).

Rule: a secret leaves this module only towards the vendor. Whatever else is written passes ``mask`` first.
"""

from functools import lru_cache
from urllib.parse import quote

from msgspec import Struct, json

STARS = b"***"
SHORTEST = 8  #: characters of a real key


@lru_cache(64)
def _forms(*secrets: str) -> list[bytes]:
    """Every spelling of ``secrets``, the longest first: one may be a part of another."""
    forms = {
        form
        for text in secrets
        if text
        for form in (text, quote(text, safe=""), json.encode(text).decode()[1:-1])
    }
    return [form.encode() for form in sorted(forms, key=len, reverse=True)]


class Credentials(Struct, frozen=True):
    """A key, and the secret that belongs to it where the vendor has one. Its repr shows neither."""

    key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"Credentials({'***' if self.key else ''})"

    def __bool__(self) -> bool:
        return bool(self.key)

    def mask(self, data: bytes) -> bytes:
        """``data`` without the key and the secret: as they are, as they stand in a URL, and in JSON."""
        for form in _forms(self.key, self.secret):
            if form in data:
                data = data.replace(form, STARS)
        return data

    def mask_received(self, frame: bytes) -> bytes:
        """What the vendor sent, without the key, should it repeat it.

        A key too short to be one is left: it would be found in the data.
        """
        return self.mask(frame) if min(len(self.key), len(self.secret or self.key)) >= SHORTEST else frame

    def mask_text(self, text: str) -> str:
        """Likewise for text."""
        return self.mask(text.encode()).decode()
