"""What all tests share: where the recordings of real venues lie."""

import os
from pathlib import Path

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
        absent = f"no recordings at {root}; LIVETAPE_RECORDINGS names their directory"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    return root
