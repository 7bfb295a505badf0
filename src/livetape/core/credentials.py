"""What a vendor knows its customer by (floor 0).

Rule: a secret leaves this module only towards the vendor. Whatever else is written passes ``mask`` first.
"""

from urllib.parse import quote

from msgspec import Struct

STARS = b"***"


class Credentials(Struct, frozen=True):
    """A key, and the secret that belongs to it where the vendor has one. Its repr shows neither."""

    key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"Credentials({'***' if self.key else ''})"

    def __bool__(self) -> bool:
        return bool(self.key)

    def mask(self, data: bytes) -> bytes:
        """``data`` without the key and the secret, as they are and as they stand in a URL."""
        for text in {self.key, self.secret} - {""}:
            for form in {text, quote(text, safe="")}:
                if (each := form.encode()) in data:
                    data = data.replace(each, STARS)
        return data

    def mask_text(self, text: str) -> str:
        """Likewise for text."""
        return self.mask(text.encode()).decode()
