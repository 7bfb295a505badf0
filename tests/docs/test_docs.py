"""What the documentation tells people to type is typed: every command, every program, every example.

All pages at the same time, each in a directory of its own, from the top to the bottom.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from livetape.adapters import find

from ..store.sinks.servers import postgres, s3
from .markdown import ROOT, Block, blocks, pages
from .running import User, environment, line_with, livetape

VENDORS = ("kraken", "gemini", "itick", "alpaca", "finnhub")
#: All pages are tried at the same time, with one key; and what they say of corrections is to be seen.
DISPOSITION = ("connections=any", "policy=any", "correct=5", "cancel=5")


def is_run(block: Block) -> bool:
    return bool(block.file) or block.language in ("sh", "python")


#: The longest first, so that none is left over at the end.
TESTED = sorted(
    [page for page in pages() if any(map(is_run, blocks(page)))],
    key=lambda page: -len(page.read_text()),
)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user who has started the simulated vendors, a database and an object server."""
    user = environment(tmp_path_factory.mktemp("home"))
    faults = [word for switch in DISPOSITION for word in ("--fault", switch)]
    lines = len(VENDORS) + sum(len(find(venue).key_names) for venue in VENDORS)
    simulated = livetape("simulate", *VENDORS, "--port", "0", *faults, env=user)
    with postgres() as database, s3() as objects, simulated as simulation:
        objects.bucket("market-data")
        user |= database.environment | objects.environment
        for _ in range(lines):
            name, _, value = line_with(simulation, "export ").removeprefix("export ").partition("=")
            user[name] = value
        yield user


@pytest.fixture(scope="module")
def gateway(env: dict[str, str]) -> Iterator[str]:
    """The host and port of a running gateway."""
    with livetape("up", "kraken:BTC-USD", "gemini:BTC-USD", "--port", "0", env=env) as process:
        said = line_with(process, "http://", of_stderr=True)
        yield said.partition("http://")[2].partition(";")[0]


def test_the_commands_programs_and_examples_do_what_the_pages_say(
    env: dict[str, str], gateway: str, tmp_path: Path
) -> None:
    def page(path: Path) -> list[str]:
        user = User(directory_for(path), env, gateway)
        return [f"{path}:{block.line}: {said}" for block in blocks(path) for said in user.follow(block)]

    def example(path: Path) -> list[str]:
        port = ("--port", "0") if '"--port"' in path.read_text() else ()
        said = User(directory_for(path), env, gateway).run(path, "--seconds", "2", *port)
        return [f"{path}: {said}"] if said else []

    def directory_for(path: Path) -> Path:
        directory = tmp_path / "-".join(path.relative_to(ROOT).parts)
        directory.mkdir()
        return directory

    with ThreadPoolExecutor(6) as pool:  # they mostly wait
        tried = [pool.submit(page, path) for path in TESTED] + [
            pool.submit(example, path) for path in EXAMPLES
        ]
    problems = [said for each in tried for said in each.result()]
    assert not problems, "\n\n".join(problems)


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
