"""Servers that are started once, and a database or bucket for each test."""

import asyncio
from collections.abc import Iterator
from itertools import count

import asyncpg
import pytest

from .servers import S3, Bucket, Postgres, postgres, s3

_numbers = count()


@pytest.fixture(scope="package")
def database_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def database(database_server: Postgres) -> str:
    """The address of a database without a tape."""

    async def clear() -> None:
        db = await asyncpg.connect(database_server.url)
        await db.execute("DROP SCHEMA IF EXISTS livetape CASCADE")
        await db.close()

    asyncio.run(clear())
    return database_server.url


@pytest.fixture(scope="package")
def object_server() -> Iterator[S3]:
    with s3() as server:
        yield server


@pytest.fixture
def bucket(object_server: S3) -> Bucket:
    """An empty bucket."""
    return object_server.bucket(f"archive{next(_numbers)}")
