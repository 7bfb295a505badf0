"""A tape in an S3 bucket: the same files under the same paths, each sent once."""

import asyncio
import os
from pathlib import Path

import duckdb
import pytest

from livetape.core.events import News
from livetape.core.raw import Direction, RawRecord
from livetape.store.catalog import Catalog

from ..tape import NOW, SAMPLES, frame
from .servers import Bucket
from .tapes import compact, record, ship, start, trades, view


def send(directory: Path, bucket: Bucket, *options: str) -> tuple[int, str]:
    return ship(directory, "--to", f"s3://{bucket.name}/tape", *options, env=bucket.server.environment)


def sealed(directory: Path) -> dict[str, bytes]:
    """What the bucket should have of a store."""
    return {f"tape/{file.path}": (directory / file.path).read_bytes() for file in view(directory).files}


def test_every_file_is_an_object_and_is_sent_once(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, [*SAMPLES, frame(1)], trades(100, 10))
    code, said = send(tmp_path, bucket)
    assert code == 0, said
    assert f"{len(view(tmp_path).files)} files" in said
    assert bucket.get() == sealed(tmp_path)
    before = bucket.etags()
    code, said = send(tmp_path, bucket)
    assert code == 0 and " 0 files" in said
    assert bucket.etags() == before
    record(tmp_path, trades(200, 10))
    code, said = send(tmp_path, bucket)
    assert " 1 files with 10 rows" in said
    assert bucket.get() == sealed(tmp_path)


def test_a_file_of_several_parts_arrives_whole(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, [RawRecord(1, NOW + n, Direction.IN, os.urandom(1 << 20)) for n in range(24)])
    assert view(tmp_path).files[0].bytes > 24 << 20
    code, said = send(tmp_path, bucket)
    assert code == 0, said
    assert bucket.get() == sealed(tmp_path)


def test_only_the_tables_that_were_named(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, SAMPLES)
    send(tmp_path, bucket, "--table", "trades", "--table", "gaps")
    assert {key.split("/")[1] for key in bucket.etags()} == {"trades", "gaps"}


def test_an_object_of_another_length_is_sent_again(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, trades(0, 10))
    [(key, body)] = sealed(tmp_path).items()
    bucket.put(key, body[:-1])
    assert send(tmp_path, bucket)[0] == 0
    assert bucket.get() == {key: body}


def test_replaced_files_stay_unless_they_are_to_be_pruned(tmp_path: Path, bucket: Bucket) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    record(one, trades(0, 10), trades(10, 10), [News("alpaca:A/news", NOW, "1", "old", recv_ns=NOW)])
    record(other, trades(50, 10), trades(60, 10))
    assert send(one, bucket)[0] == send(other, bucket)[0] == 0
    everything = bucket.get()
    old = {f"tape/{file.path}" for file in view(one).files if file.table == "trades"}
    catalog = Catalog(one)
    catalog.replace(
        [file for file in view(one).files if file.table == "news"], [], why="removed by retention"
    )
    for directory in (one, other):
        compact(directory)
    assert send(one, bucket)[0] == 0
    assert bucket.get() == everything | sealed(one)
    code, said = send(one, bucket, "--prune")
    assert code == 0 and "2 replaced ones removed" in said
    left = {key: body for key, body in bucket.get().items() if not key.endswith("/")}
    assert left == {key: body for key, body in everything.items() if key not in old} | sealed(one)


def test_other_tools_read_the_bucket(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, trades(0, 100))
    send(tmp_path, bucket)
    copy = tmp_path / "copy"
    for key, body in bucket.get().items():
        (copy / key).parent.mkdir(parents=True)
        (copy / key).write_bytes(body)
    query = f"SELECT count(*), sum(size), min(venue) FROM '{copy}/tape/trades/*/*/*.parquet'"
    assert duckdb.sql(query).fetchall() == [(100, sum(range(100)), "kraken")]


async def test_a_killed_run_is_simply_repeated(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, *[trades(n * 10, 10) for n in range(30)])
    for n in range(3):
        process = start(tmp_path, "--to", f"s3://{bucket.name}/tape", env=bucket.server.environment)
        while len(bucket.etags()) < 8 * (n + 1):
            assert process.poll() is None
            await asyncio.sleep(0.01)
        process.kill()
        process.communicate()
    code, said = send(tmp_path, bucket)
    assert code == 0 and " 0 files" not in said
    assert bucket.get() == sealed(tmp_path)


def test_a_server_that_is_down_is_exit_code_4(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, trades(0, 1))
    nobody = bucket.server.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    code, said = ship(tmp_path, "--to", f"s3://{bucket.name}", "--patience", "0", env=nobody)
    assert code == 4 and "127.0.0.1" in said


@pytest.mark.parametrize(
    ("change", "address", "part"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAnobody"}, "s3://{}/tape", "does not exist in our records"),
        ({"AWS_SECRET_ACCESS_KEY": "guessed"}, "s3://{}/tape", "ignature"),
        ({}, "s3://no-{}/tape", "bucket does not exist"),
        ({}, "s3://AKIA:geheim@{}/tape", "AWS_ACCESS_KEY_ID"),
        ({}, "s3://{}/tape?endpint=http://x", "endpoint="),
        ({}, "s3:///tape", "is no bucket"),
    ],
)
def test_what_the_user_can_mend_is_exit_code_2(
    tmp_path: Path, bucket: Bucket, change: dict[str, str], address: str, part: str
) -> None:
    record(tmp_path, trades(0, 1))
    environment = bucket.server.environment | change
    code, said = ship(tmp_path, "--to", address.format(bucket.name), env=environment)
    assert code == 2, said
    assert part in said
    assert "geheim" not in said and environment["AWS_SECRET_ACCESS_KEY"] not in said
    assert not bucket.etags()


def test_a_damaged_file_is_not_copied(tmp_path: Path, bucket: Bucket) -> None:
    record(tmp_path, *[trades(n * 100, 100) for n in range(3)])
    bad = tmp_path / view(tmp_path).files[1].path
    data = bytearray(bad.read_bytes())
    data[len(data) // 3] ^= 1
    bad.write_bytes(data)
    code, said = send(tmp_path, bucket)
    assert code == 5 and bad.name in said
    whole = sealed(tmp_path)
    whole.pop(f"tape/{view(tmp_path).files[1].path}")
    assert bucket.get() == whole
