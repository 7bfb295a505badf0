"""What all tests share: where the recordings of real venues lie."""

import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # a proxy of the machine is not what is tested
settings.register_profile("livetape", deadline=None)
settings.load_profile("livetape")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The directory of the recordings. Without it a test is skipped, but never where CI promises it."""
    named = os.environ.get("LIVETAPE_RECORDINGS")
    root = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not root.is_dir():
        _absent(f"no recordings at {root}; LIVETAPE_RECORDINGS names their directory")
    return root


@pytest.fixture(scope="session")
def article(recordings: Path) -> list[bytes]:
    """Five frames of Gemini v1 as an article prints them, recorded in October 2022."""
    text = recordings.parent / "sources" / "gemini-article.txt"
    if not text.exists():
        _absent(f"no {text}")
    return [line for line in text.read_bytes().splitlines() if line.startswith(b'{"type":"update"')]


def _absent(what: str) -> NoReturn:
    """Recordings are other people's and stay out of the project: a clone may lack them, CI never does."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
