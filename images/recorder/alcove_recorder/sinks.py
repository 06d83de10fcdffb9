"""Where recorded objects go: the object store, or a folder on a laptop."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from alcove_recorder.errors import UploadError
from alcove_store.errors import StoreError, StoreFullError


class ObjectSink(Protocol):
    def put(self, key: str, source: BinaryIO, length: int) -> None:
        """Writes an object of ``length`` bytes, whole or not at all. Raises :class:`UploadError`."""


class FolderSink:
    """The same keys below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, source: BinaryIO, length: int) -> None:
        path = self._folder / key
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as target:
                shutil.copyfileobj(source, target)
                # The log may have grown since its length was taken.
                target.truncate(length)
            temporary.replace(path)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise UploadError(f"{path} could not be written: {error}.", full=full) from error


class StoreSink:
    """The object store. The SDK is loaded when one is made, by the uploader's thread: the recorder listens before."""

    def __init__(self) -> None:
        from alcove_store import client as store_client

        self._store = store_client
        config = store_client.StoreConfig.from_environment(os.environ)
        self._client, self._bucket = store_client.connect(config), config.bucket

    def put(self, key: str, source: BinaryIO, length: int) -> None:
        try:
            self._store.put_file(self._client, self._bucket, key, source, length)
        except (StoreError, OSError) as error:
            raise UploadError(str(error), full=isinstance(error, StoreFullError)) from error


def open_sink(endpoint: str) -> ObjectSink:
    url = urlsplit(endpoint)
    return FolderSink(Path(url.path)) if url.scheme == "file" else StoreSink()


def put_bytes(sink: ObjectSink, key: str, data: bytes) -> None:
    sink.put(key, io.BytesIO(data), len(data))
