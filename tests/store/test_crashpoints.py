"""A process ends at any change of a file: every row is visible exactly once, and the next run goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("job", ["seal", "compact", "remove", "index", "backup"])
def test_whatever_the_last_change_was_every_row_is_there_once(tmp_path: Path, job: str) -> None:
    command = [sys.executable, "-m", "tests.store.crashing", job, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
