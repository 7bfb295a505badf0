"""Every recording comes to what its venue's own numbers, checksums and tickers say."""

from pathlib import Path

import pytest

from .judge import RECORDINGS, Verdict

#: messages, verified, checksums, quotes equal and different, gaps, crossed, undecodable
EXPECTED = [
    Verdict(301, 301, 301, 0, 0, 0, 0, 0),
    Verdict(1129, 1129, 1129, 0, 0, 0, 0, 0),
    Verdict(4279, 4279, 4279, 0, 0, 0, 0, 0),
    Verdict(4279, 4279, 4269, 0, 0, 0, 0, 0),  # snapshots have none
    Verdict(1504, 1504, 1504, 0, 0, 0, 0, 0),
    Verdict(290, 290, 290, 0, 0, 0, 0, 0),
    Verdict(176, 176, 0, 26, 0, 0, 0, 0),
    Verdict(3450, 2594, 0, 564, 0, 0, 0, 0),  # then the market has left the range of the snapshot
    Verdict(336, 336, 0, 57, 0, 0, 0, 0),
    Verdict(26825, 26825, 0, 1124, 0, 0, 0, 0),
    Verdict(1600, 1600, 0, 0, 0, 0, 0, 0),
    Verdict(7024, 7024, 0, 0, 0, 0, 0, 0),
    Verdict(1979, 0, 0, 0, 0, 0, 0, 0),
    Verdict(624, 0, 0, 0, 0, 0, 0, 0),
    Verdict(46, 46, 0, 0, 0, 0, 0, 0),
    Verdict(4152, 0, 0, 0, 0, 0, 0, 0),
    Verdict(654, 0, 0, 0, 0, 0, 0, 0),
    Verdict(25, 0, 0, 0, 0, 0, 0, 0),
]


@pytest.mark.parametrize(("n", "expected"), list(enumerate(EXPECTED)))
def test_a_recording_comes_to_what_its_venue_says(recordings: Path, n: int, expected: Verdict) -> None:
    assert RECORDINGS[n].judged(recordings) == expected


def test_every_recording_is_judged() -> None:
    assert len(EXPECTED) == len(RECORDINGS)
