"""``python -I -m alcove_stager``: the init container that puts a run's files in place.

Supervisor, dataset and code, each checked against its digest; then waits for the recorder. Ends with 0, or with 3
where the participant's bundle is at fault, or 4 where the platform is, and one sentence as termination message.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import DatasetManifest, FileEntry
from alcove_api.errors import AlcoveError
from alcove_api.exit_statuses import StageExit
from alcove_api.retry import retry
from alcove_api.run_documents import RunConfig
from alcove_store import client as store_client
from alcove_store.errors import BundleError, DigestError, StoreError
from alcove_store.transfer import TransferProgress, run_parallel, save_checked
from alcove_store.unpack import unpack

if TYPE_CHECKING:
    from minio import Minio

_PATIENCE = 60.0
"""Seconds that a store which is away, or a recorder that does not come, is waited for."""


def say(text: str) -> None:
    print(f"stage: {text}", flush=True)


class RunStager:
    """Puts one run's files below ``root``. All methods raise :class:`AlcoveError`."""

    def __init__(self, run: RunConfig, root: Path, client: Minio, bucket: str, patience: float) -> None:
        self._run, self._root, self._client, self._bucket = run, root, client, bucket
        self._patience = patience

    def stage_data(self) -> None:
        """``/alcove/data`` as the manifest says; nothing where the input is a volume claim."""
        sha256 = self._run.data_sha256
        if sha256 is None:
            return
        key = keys.dataset_manifest(sha256)
        data = retry(lambda: store_client.get_bytes(self._client, self._bucket, key), self._patience, say)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DigestError("The dataset's manifest in the store is not what its digest says.")
        try:
            manifest = DatasetManifest.model_validate_json(data)
        except ValidationError as error:
            raise DigestError("The dataset's manifest in the store is of another version.") from error
        progress = TransferProgress(len(manifest.files), sum(entry.bytes for entry in manifest.files), say)
        run_parallel(manifest.files, lambda entry: self._download_file(sha256, entry, progress))
        say(f"{len(manifest.files)} files of data")

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

        retry(download, self._patience, say)
        path.chmod(0o444)
        progress.add(0, file=True)

    def stage_code(self) -> None:
        """``/alcove/code``, unpacked from the copy that the operator took at admission; nothing for an image."""
        sha256 = self._run.code_sha256
        if sha256 is None:
            return
        bundle = self._root / "code" / ".bundle.tar.gz"

        def download() -> None:
            pieces = store_client.stream(self._client, self._bucket, keys.code(sha256))
            save_checked(pieces, bundle, sha256, None, "The code")

        retry(download, self._patience, say)
        count = unpack(bundle, bundle.parent, limit=self._run.code_bytes_limit)
        bundle.unlink()
        say(f"{count} files of code")


def install_supervisor(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "alcove-supervisor"
    shutil.copyfile(source, target)
    target.chmod(0o555)


def wait_for_recorder(socket: Path, deadline: float) -> None:
    """The recorder listens before its socket has that name."""
    while not socket.exists():
        if time.monotonic() > deadline:
            raise StoreError(
                "The recorder did not come up.", consequence="The run cannot be timed.", remedy="See its log."
            )
        time.sleep(0.01)


def stage_run() -> None:
    environment = os.environ
    root = Path(environment.get("ALCOVE_ROOT", "/alcove"))
    patience = float(environment.get("ALCOVE_STAGE_PATIENCE", _PATIENCE))
    try:
        config = RunConfig.model_validate_json(environment.get("ALCOVE_RUN", ""))
    except ValidationError as error:
        raise StoreError(f"ALCOVE_RUN cannot be read: {error.errors()[0]['msg']}.") from error
    where = store_client.StoreConfig.from_environment(environment)
    source = Path(environment.get("ALCOVE_SUPERVISOR", Path(sys.prefix) / "bin" / "alcove-supervisor"))
    install_supervisor(source, root / "bin")
    stager = RunStager(config, root, store_client.connect(where), where.bucket, patience)
    stager.stage_code()
    stager.stage_data()
    wait_for_recorder(root / "run" / "go.sock", time.monotonic() + patience)


def main() -> int:
    try:
        stage_run()
    except (AlcoveError, OSError) as error:
        cause = type(error).__name__.removesuffix("Error")
        message = json.dumps({"cause": cause, "message": str(error)[:1000]}, ensure_ascii=False)
        print(message, file=sys.stderr, flush=True)
        Path(os.environ.get("ALCOVE_TERMINATION_LOG", "/dev/termination-log")).write_text(message)
        return StageExit.BAD_BUNDLE if isinstance(error, BundleError) else StageExit.FAULT
    say("ready")
    return StageExit.STAGED


if __name__ == "__main__":
    sys.exit(main())
