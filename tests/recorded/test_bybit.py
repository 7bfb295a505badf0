"""Of Bybit there are samples only; the books of its tests are generated, in tests/adapters."""

from collections import Counter
from pathlib import Path

import pytest

from livetape.adapters.bybit import Bybit

from .recordings import samples

SAMPLES = {
    "spot": {"Heartbeat": 7, "Trade": 5, "BookUpdate": 2},
    "v3_v5_linear": {"Heartbeat": 43, "Trade": 4, "BookUpdate": 2, "Summary": 3, "Mark": 3},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_decodes(recordings: Path, name: str) -> None:
    """What older APIs said is none of our business, like topics that we do not ask for."""
    adapter = Bybit()
    frames = samples(recordings / "format_samples" / f"tardis_bybit_{name}.jsonl")
    said = Counter(type(message).__name__ for frame in frames for message in adapter.decode(frame))
    assert said == SAMPLES[name]
