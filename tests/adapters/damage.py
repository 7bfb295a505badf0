"""Frames that no vendor would send, and what every adapter does with them."""

from hypothesis import strategies as st

from livetape.core.adapter import Adapter
from livetape.core.errors import DecodeError

HOSTILE = [b"null", b"NaN", b"1e999", b"-1", b'""', b"[]", b"{}", b"9" * 40, b'"\\ud800"', b"[" * 3000]


@st.composite
def damaged(draw: st.DrawFn, frames: st.SearchStrategy[bytes], *hostile: bytes, most: int = 30) -> bytes:
    """One of ``frames`` in which up to ``most`` bytes gave way to others; ``hostile`` are more of these."""
    frame = draw(frames)
    start = draw(st.integers(0, len(frame)))
    end = draw(st.integers(start, min(len(frame), start + most)))
    return frame[:start] + draw(st.binary(max_size=10) | st.sampled_from([*HOSTILE, *hostile])) + frame[end:]


def decodes_or_refuses(adapter: Adapter, frame: bytes) -> None:
    """Nothing is raised but a DecodeError, which keeps the bytes."""
    try:
        adapter.decode(frame)
    except DecodeError as error:
        assert error.frame == frame
