"""``alcove pages``: the boards and reports of a competition, out of the store. For the organizer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alcove_api import keys
from alcove_api.origin import identify
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.exchange import StoreAccess
from alcove_kube.client import KubeClient
from alcove_kube.resources import SUBMISSIONS
from alcove_store.client import get_bytes, store_errors
from alcove_store.errors import StoreNotFoundError
from alcove_toolkit.whole_files import write_whole

if TYPE_CHECKING:
    from minio import Minio

BOARDS_SECRET, SCORES_SECRET = "alcove-store-aggregate", "alcove-store-scorer"
BOARD_PAGE = "leaderboard.html"


def fetch_pages(kube: KubeClient, namespace: str, endpoint: str | None, out: Path) -> list[Path]:
    """Writes the board of each phase and the report of each submission; returns their paths.

    Args:
        namespace: of the competition.
        endpoint: address of the store, in place of the one in the Secrets.
        out: folder.

    Raises:
        FailedError: there are none yet.
        CommandError: a page cannot be written.
    """
    boards, scores = (
        StoreAccess.of_secret(kube, namespace, name, endpoint) for name in (BOARDS_SECRET, SCORES_SECRET)
    )
    with boards.reach() as store:
        written = fetch_boards(store, boards.bucket, namespace, out)
    with scores.reach() as store:
        written += fetch_reports(store, scores.bucket, submission_names(kube, namespace), out)
    if not written:
        raise FailedError("There are no pages yet: a board is made once a submission is scored.")
    return written


def submission_names(kube: KubeClient, namespace: str) -> dict[str, tuple[str, str]]:
    """Team and name by UID, of each submission to a competition in ``namespace``."""
    found = kube.find_all(SUBMISSIONS, None)
    return {
        identify(s): (s["metadata"]["namespace"], s["metadata"]["name"])
        for s in found
        if s["spec"]["competition"]["namespace"] == namespace
    }


def fetch_boards(store: Minio, bucket: str, namespace: str, out: Path) -> list[Path]:
    """``OUT/PHASE/leaderboard.html``; a competition not named like its namespace comes before the phase."""
    fetched = []
    prefix = f"boards/{namespace}."
    with store_errors(f"listing {prefix}"):
        listed = [found.object_name for found in store.list_objects(bucket, prefix, recursive=True)]
    for key in sorted(listed):
        _, place, phase, name = key.split("/")
        competition = place.removeprefix(f"{namespace}.")
        if name == BOARD_PAGE:
            folder = phase if competition == namespace else f"{competition}-{phase}"
            fetched.append(save_page(store, bucket, key, out / folder / name))
    return fetched


def fetch_reports(store: Minio, bucket: str, names: Mapping[str, tuple[str, str]], out: Path) -> list[Path]:
    """``OUT/TEAM/SUBMISSION.html``, of submissions that have a report."""
    fetched = []
    for uid, (team, name) in sorted(names.items(), key=lambda item: item[1]):
        with contextlib.suppress(StoreNotFoundError):
            fetched.append(save_page(store, bucket, keys.report(uid), out / team / f"{name}.html"))
    return fetched


def save_page(store: Minio, bucket: str, key: str, path: Path) -> Path:
    """Copies one page out of the store into a file. Raises CommandError where that cannot be written."""
    data = get_bytes(store, bucket, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}. Choose another place.") from None
    return path
