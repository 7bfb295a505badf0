"""What the documentation tells people to type is typed: every command, every program, every example."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .markdown import ROOT, Block, blocks, pages
from .running import DOCUMENTED_GATEWAY, RATE, User, environment, line_with, livetape

VENDORS = ("kraken", "gemini")


def is_run(block: Block) -> bool:
    return bool(block.file) or block.language in ("sh", "python")


TESTED = [page for page in pages() if any(map(is_run, blocks(page)))]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user who has started the simulated vendors."""
    user = environment(tmp_path_factory.mktemp("home"))
    with livetape("simulate", *VENDORS, "--port", "0", "--rate", RATE, env=user) as simulation:
        for _ in VENDORS:
            name, _, value = line_with(simulation, "export ").removeprefix("export ").partition("=")
            user[name] = value
        yield user


@pytest.fixture(scope="module")
def gateway(env: dict[str, str]) -> Iterator[str]:
    """The host and port of a running gateway."""
    with livetape("up", "kraken:BTC-USD", "gemini:BTC-USD", "--port", "0", env=env) as process:
        said = line_with(process, "http://", of_stderr=True)
        yield said.partition("http://")[2].partition(";")[0]


@pytest.mark.parametrize("page", TESTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_and_programs_of_a_page_do_what_it_says(
    page: Path, env: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    host = request.getfixturevalue("gateway") if DOCUMENTED_GATEWAY in page.read_text() else ""
    user = User(tmp_path, env, host)
    for block in blocks(page):
        try:
            user.follow(block)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.fail(f"{page.relative_to(ROOT)}:{block.line}: {error}", pytrace=False)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_shows_something_and_ends(example: Path, env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, example, "--seconds", "1.5"],
        **{"cwd": tmp_path, "env": env, "capture_output": True, "text": True, "timeout": 20},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_venue_of_the_guide_is_found_as_an_entry_point(env: dict[str, str], tmp_path: Path) -> None:
    guide = blocks(ROOT / "CONTRIBUTING.md")
    [adapter] = [block for block in guide if block.file == "acme.py"]
    [entry] = [block for block in guide if block.language == "toml"]
    (tmp_path / "acme.py").write_text(adapter.text)
    package = tmp_path / "livetape_acme-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: livetape-acme\nVersion: 1.0\n")
    group = entry.text.replace('[project.entry-points."livetape.adapters"]', "[livetape.adapters]")
    (package / "entry_points.txt").write_text(group.replace('"', ""))
    done = subprocess.run(
        [sys.executable, "-m", "livetape", "venues", "--json"],
        env=env | {"PYTHONPATH": os.fspath(tmp_path)},
        capture_output=True,
        check=True,
    )
    acme = next(row for row in json.loads(done.stdout) if row["venue"] == "acme")
    assert acme["title"] == "Acme spot"
    assert acme["proof"] == {"book": "sequence n"}
