"""Puts a run's data and code in place, each checked against its digest.

Loads the store's SDK, so only the thread that stages imports it: the recorder listens before.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import DatasetManifest, FileEntry
from alcove_api.retry import retry
from alcove_api.run_documents import RunConfig
from alcove_store import client as store_client
from alcove_store.errors import DigestError
from alcove_store.transfer import TransferProgress, run_parallel, save_checked
from alcove_store.unpack import unpack

if TYPE_CHECKING:
    from minio import Minio


class RunStager:
    """Puts one run's files below ``root``. All methods raise :class:`alcove_api.errors.AlcoveError` and OSError.

    ``patience``: seconds that a store which is away is waited for.
    """

    def __init__(
        self,
        run: RunConfig,
        root: Path,
        client: Minio,
        bucket: str,
        patience: float,
        say: Callable[[str], None],
    ) -> None:
        self._run, self._root, self._client, self._bucket = run, root, client, bucket
        self._patience, self._say = patience, say

    def stage_data(self) -> None:
        """``/alcove/data`` as the manifest says; nothing where the input is a volume claim."""
        sha256 = self._run.data_sha256
        if sha256 is None:
            return
        _empty(self._root / "data")
        key = keys.dataset_manifest(sha256)
        data = retry(
            lambda: store_client.get_bytes(self._client, self._bucket, key), self._patience, self._say
        )
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DigestError("The dataset's manifest in the store is not what its digest says.")
        try:
            manifest = DatasetManifest.model_validate_json(data)
        except ValidationError as error:
            raise DigestError("The dataset's manifest in the store is of another version.") from error
        progress = TransferProgress(
            len(manifest.files), sum(entry.bytes for entry in manifest.files), self._say
        )
        run_parallel(manifest.files, lambda entry: self._download_file(sha256, entry, progress))
        self._say(f"{len(manifest.files)} files of data")

    def _download_file(self, sha256: str, entry: FileEntry, progress: TransferProgress) -> None:
        relative = PurePosixPath(entry.path)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise DigestError(f"The dataset's manifest names the path {entry.path!r}, which leads out of it.")
        path = self._root / "data" / relative
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)

        def download() -> None:
            pieces = store_client.stream(self._client, self._bucket, keys.dataset_file(sha256, entry.path))
            save_checked(
                progress.counted(pieces), path, entry.sha256, entry.bytes, f"{entry.path} of the dataset"
            )

        retry(download, self._patience, self._say)
        path.chmod(0o444)
        progress.add(0, file=True)

    def stage_code(self) -> None:
        """``/alcove/code``, unpacked from the copy that the operator took at admission; nothing for an image."""
        sha256 = self._run.code_sha256
        if sha256 is None:
            return
        folder = self._root / "code"
        _empty(folder)
        bundle = folder / ".bundle.tar.gz"

        def download() -> None:
            pieces = store_client.stream(self._client, self._bucket, keys.code(sha256))
            save_checked(pieces, bundle, sha256, None, "The code")

        retry(download, self._patience, self._say)
        count = unpack(bundle, folder, limit=self._run.code_bytes_limit)
        bundle.unlink()
        self._say(f"{count} files of code")


def _empty(folder: Path) -> None:
    """Without what a recorder has left there that ended while it staged."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
