"""Sealed files as objects of an S3 bucket, under the paths they have in the store (floor 3).

Rule 1: an object appears whole or not at all: that is S3's promise. What was sent is checked by the server,
        and what it has by the end of the file, where the checksums of all its parts stand.
Rule 2: a file that is damaged here is not copied.
Rule 3: keys are those that AWS's own tools find, in the environment or the user's files, never in an address.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pyarrow import fs

from ...core.errors import ConfigError, ConnectError, DamageError
from ..catalog import Removed, SealedFile, View
from ..files import Folder
from ..parquet import Reader
from ..schema import COLUMNS
from .target import Target

CONNECT_S = 10
_PIECE_BYTES = 8 << 20
_END_BYTES = 1 << 20  #: of a file that holds all its checksums
_METADATA = {"Content-Type": "application/vnd.apache.parquet"}
_CODE = re.compile(r"AWS Error (\w+)")
#: What time does not mend.
_LASTING = (
    *("ACCESS_DENIED", "EXPIRED_TOKEN", "INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID"),
    *("INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN", "NO_SUCH_BUCKET", "REQUEST_TIME_TOO_SKEWED"),
    *("SIGNATURE_DOES_NOT_MATCH", "UNRECOGNIZED_CLIENT", "OPT_IN_REQUIRED"),
)


class ObjectSink:
    """A prefix of a bucket. Raises ConnectError for what may pass, else ConfigError."""

    tables = frozenset(COLUMNS)

    def __init__(self, target: Target) -> None:
        self.name = target.name
        parts, options = urlsplit(target.url), parse_qs(target.url.partition("?")[2])
        if "@" in parts.netloc:
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise ConfigError("a key does not belong into an address", where=self.name, remedy=remedy)
        if not parts.netloc or options.keys() - {"endpoint", "region"}:
            example = "s3://bucket/prefix?endpoint=https://host:9000&region=eu-central-1"
            raise ConfigError("is no bucket", where=self.name, example=example)
        self._root = f"{parts.netloc}{parts.path}".rstrip("/")
        endpoint = options.get("endpoint", [_endpoint()])[0]
        with self._told():
            self._files = fs.S3FileSystem(
                region=options.get("region", [None])[0],
                endpoint_override=endpoint or None,
                connect_timeout=CONNECT_S,
                allow_delayed_open=True,
            )

    async def missing(self, files: Sequence[SealedFile]) -> list[SealedFile]:
        """Those of ``files`` that are not there, or not as long."""
        sizes = await asyncio.to_thread(self._sizes)
        return [file for file in files if sizes.get(file.path) != file.bytes]

    async def ship(self, file: SealedFile, path: Path, visible: Collection[str]) -> bool:
        """Make an object of ``file``, which lies at ``path``."""
        await asyncio.to_thread(self._put, file.path, path)
        return True

    async def prune(self, view: View, removed: Sequence[Removed]) -> int:
        """Remove the copies of files of this store that others have replaced; how many.

        What retention took off the tape stays. Arrow leaves an empty object that stands for the folder.
        """
        keep = {file.path for file in view.files}
        replaced = {path.rpartition("/")[0] for path in keep} - {_folder(each) for each in removed}
        ours = {segment.name for segment in view.sealed}
        old = [
            path
            for path in await asyncio.to_thread(self._sizes)
            if path not in keep and (place := path.rpartition("/"))[0] in replaced
            if place[2].partition("-")[0] in ours
        ]
        for path in old:
            with self._told():
                await asyncio.to_thread(self._files.delete_file, f"{self._root}/{path}")
        return len(old)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _sizes(self) -> dict[str, int]:
        with self._told():
            everything = fs.FileSelector(self._root, allow_not_found=True, recursive=True)
            found = self._files.get_file_info(everything)
        return {info.path.removeprefix(f"{self._root}/"): info.size for info in found if info.is_file}

    def _put(self, path: str, source: Path) -> None:
        for problem in Reader(source).problems():
            raise DamageError(str(source), problem)
        with source.open("rb") as file, self._told():
            with self._files.open_output_stream(f"{self._root}/{path}", metadata=_METADATA) as out:
                shutil.copyfileobj(file, out, _PIECE_BYTES)
            size = file.tell()
            begin = max(0, size - _END_BYTES)
            file.seek(begin)
            with self._files.open_input_file(f"{self._root}/{path}") as there:
                same = there.size() == size and there.read_at(size - begin, begin) == file.read()
        if not same:
            raise ConnectError(self.name, f"{path} did not arrive as it was sent")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors in plain words."""
        try:
            yield
        except OSError as error:
            code = _CODE.search(str(error))
            text = str(error).partition(" (Request ID")[0]
            if code and code[1] in _LASTING:
                raise ConfigError(text, where=self.name) from None
            raise ConnectError(self.name, text) from None


def _endpoint() -> str:
    """Where the environment says the server is; without that it is AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def _folder(removed: Removed) -> str:
    return Folder(removed.table, removed.date, removed.venue).file("", 0, 0).rpartition("/")[0]
