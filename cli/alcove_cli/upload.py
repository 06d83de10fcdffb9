"""Uploads the bundle that a Submission waits for, by the permit in its status, without credentials of the store."""

from __future__ import annotations

import hashlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from alcove_api.errors import AlcoveError
from alcove_api.retry import retry
from alcove_api.submission import SubmissionStatus
from alcove_api.uploads import UploadPermit
from alcove_cli.code_folder import pack_bundle, read_folder, say
from alcove_cli.errors import CommandError, FaultError, choose_failure
from alcove_kube.resources import SUBMISSIONS

if TYPE_CHECKING:
    from alcove_kube.client import KubeClient, Object

PERMIT_PATIENCE_SECONDS, UPLOAD_PATIENCE_SECONDS = 60.0, 5.0
"""How long the operator may take to answer with a permit, and how long after a first failure an upload begins again."""
POLL_SECONDS = 0.5


def upload_folder(kube: KubeClient, team: str, name: str, source: Path, endpoint: str | None) -> bool:
    """Uploads a folder, or a .tar.gz, for a Submission that waits for it; False where it waits no more.

    Raises:
        CommandError: it is not what the Submission names, or the upload failed.
    """
    submission = kube.get(SUBMISSIONS, team, name)
    wanted = submission["spec"]["code"].get("bundle", {}).get("sha256")
    if wanted is None:
        raise CommandError(f"{team}/{name} has no code.bundle, so it waits for no upload.")
    bundle = source.read_bytes() if source.is_file() else pack_bundle(read_folder(source), None)
    digest = hashlib.sha256(bundle).hexdigest()
    if digest != wanted:
        raise CommandError(
            f"{source} has the digest {digest}, and {team}/{name} names {wanted}. Nothing was sent. Give what it was "
            "made of, or submit this under another name: alcove submit"
        )
    return upload_bundle(kube, submission, bundle, endpoint)


def upload_bundle(kube: KubeClient, submission: Object, bundle: bytes, endpoint: str | None) -> bool:
    """Waits for the permit, and uploads; False where there is nothing to upload, since the store has it.

    Args:
        endpoint: address of the store, in place of the one in the permit.

    Raises:
        CommandError: there is no permit, or the store did not take the bundle. The Submission still waits.
    """
    from alcove_store.errors import StoreError
    from alcove_store.post import find_url

    team, name = submission["metadata"]["namespace"], submission["metadata"]["name"]
    permit = _await_permit(kube, team, name)
    if permit is None:
        return False
    url = permit.url if endpoint is None else find_url(permit, endpoint)
    again = f"Try again until {permit.expires_at:%H:%M} UTC: alcove upload {name} FOLDER"

    try:
        send_by_permit(permit, io.BytesIO(bundle), len(bundle), url)
    except StoreError as error:
        raise choose_failure(error)(
            f"The bundle could not be uploaded to {url}. {error.cause}",
            consequence=f"{team}/{name} waits for it, and is rejected an hour after it was made.",
            remedy=f"{again}. Where the store has another address from here, add --store http://HOST:PORT: the "
            "organizer knows it.",
        ) from error
    return True


def send_by_permit(permit: UploadPermit, source: BinaryIO, size: int, url: str) -> None:
    """Uploads a file, says how far it is, and begins again once where the connection is lost. Raises StoreError."""
    from alcove_store.errors import StoreDeniedError
    from alcove_store.post import send_upload
    from alcove_store.transfer import CountedSource, TransferProgress

    def send() -> None:
        source.seek(0)
        counted = CountedSource(source, TransferProgress(1, size, say))
        send_upload(permit, cast(BinaryIO, counted), size, url)

    def may_repeat(error: AlcoveError) -> bool:
        return error.retriable and not isinstance(error, StoreDeniedError)

    retry(send, UPLOAD_PATIENCE_SECONDS, say, may_repeat)


def _reason(status: SubmissionStatus) -> str:
    return next((c.message for c in status.conditions if c.type == "Admitted"), "")


def _await_permit(kube: KubeClient, team: str, name: str) -> UploadPermit | None:
    """None where the Submission waits for no upload."""
    end = time.monotonic() + PERMIT_PATIENCE_SECONDS
    while True:
        status = SubmissionStatus.model_validate(kube.get(SUBMISSIONS, team, name).get("status", {}))
        if status.upload is not None:
            return status.upload
        if status.phase == "Rejected":
            raise CommandError(f"{team}/{name} was rejected. {_reason(status)}")
        if status.phase:
            return None
        if time.monotonic() > end:
            raise FaultError(
                f"There is no permit to upload the bundle of {team}/{name} yet. {_reason(status)}",
                consequence="The Submission stays, and waits.",
                remedy=f"Try again later: alcove upload {name} FOLDER",
            )
        time.sleep(POLL_SECONDS)
