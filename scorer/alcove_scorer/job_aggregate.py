"""The aggregate job: the scores of a phase's counted submissions to one leaderboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from minio import Minio
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.documents import AggregateRequest, ScoreResult
from alcove_api.leaderboard import LeaderboardStatus
from alcove_scorer import jobs
from alcove_scorer.board import Board, as_document, as_status, make_board
from alcove_scorer.errors import DamagedError, StoreAwayError
from alcove_scorer.history import carried_on, read_history
from alcove_scorer.peer_curves import board_curves
from alcove_store.client import connect, get_bytes, put_bytes, put_json
from alcove_store.errors import StoreNotFoundError

GROUP, VERSION, PLURAL = "alcove.dev", "v1alpha1", "leaderboards"
CONFLICTS = 20
"""Tries at writing the status while others change the object."""
API_SECONDS = 15.0
STORE_RETRIES = 6
"""With doubling waits from 0.2 s: about 13 s, enough for a store that restarts."""


def run() -> int:
    config = jobs.store_config()
    store = connect(config, retries=STORE_RETRIES)
    request = jobs.stored_request(AggregateRequest, store, config.bucket)
    board = read_board(request, store, config.bucket)
    now = datetime.now(UTC)
    # The status decides between boards: an older one must overwrite nothing in the store either.
    if write_status(leaderboards(), request, as_status(board, now)):
        publish(board, store, config.bucket, now)
    return jobs.DONE


def read_board(request: AggregateRequest, store: Minio, bucket: str) -> Board:
    """An entry whose result is missing or damaged is left out and named on the board: it voids no one else's."""
    results: dict[str, ScoreResult] = {}
    problems: list[str] = []
    for entry in request.entries:
        key = keys.score_result(entry.submission_uid, entry.scoring_digest)
        try:
            result = ScoreResult.model_validate_json(get_bytes(store, bucket, key))
            if (result.submission_uid, result.scoring_digest) != (entry.submission_uid, entry.scoring_digest):
                raise DamagedError("it belongs to another submission")
            results[entry.submission_uid] = result
        except (StoreNotFoundError, ValidationError, DamagedError) as error:
            what = "is missing" if isinstance(error, StoreNotFoundError) else "is damaged"
            problems.append(f"{entry.team}/{entry.submission} is left out: its score {what}; score it again.")
            jobs.say(f"{key} {what}: {error}")
    return make_board(request, results, problems)


def publish(board: Board, store: Minio, bucket: str, now: datetime) -> None:
    from alcove_scorer.board_page import board_html  # Matplotlib: a second to load

    request = board.request
    where = (request.competition_namespace, request.competition, request.phase)
    put_json(store, bucket, keys.board(*where, "table.json"), as_document(board, now))
    history = carried_on(read_history(store, bucket, request), board, now)
    put_bytes(store, bucket, keys.board(*where, "history.json"), history.canonical())
    put_bytes(store, bucket, keys.board(*where, "curves.json"), board_curves(board, now).canonical())
    put_bytes(store, bucket, keys.board(*where, "leaderboard.html"), board_html(board, now, history).encode())


def leaderboards() -> Any:
    """A client of the API server with the pod's own token, or with a kubeconfig outside a cluster."""
    from kubernetes import client, config

    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return client.CustomObjectsApi()


def write_status(api: Any, request: AggregateRequest, status: LeaderboardStatus) -> bool:
    """Writes the status unless a newer board is there; says whether it did.

    The version that was read goes along with the write, so whoever read before another's write has to read again.
    Raises DamagedError where there is no such Leaderboard, StoreAwayError where the API server does not answer.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    name = (GROUP, VERSION, request.competition_namespace, PLURAL, request.leaderboard)
    body = status.model_dump(mode="json", by_alias=True, exclude={"conditions"})
    for _ in range(CONFLICTS):
        try:
            found = api.get_namespaced_custom_object(*name, _request_timeout=API_SECONDS)
            newest = found.get("status", {}).get("generation", 0)
            if newest > request.generation:
                jobs.say(f"board {newest} is there already: board {request.generation} is not written")
                return False
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            patch = {"metadata": version, "status": body}
            api.patch_namespaced_custom_object_status(*name, patch, _request_timeout=API_SECONDS)
            return True
        except ApiException as error:
            if error.status == 409:
                continue
            raise _refused(request, error.status, error.reason) from error
        except HTTPError as error:
            raise _refused(request, 503, str(error)) from error
    raise _refused(request, 409, f"it changed {CONFLICTS} times while it was being written")


def _refused(request: AggregateRequest, status: int, reason: str) -> DamagedError | StoreAwayError:
    what = f"Leaderboard {request.competition_namespace}/{request.leaderboard} was not written: {status} {reason}"
    if status in (401, 403, 404, 422):
        return DamagedError(f"{what}. Check that it exists and that this job's Role names it.")
    return StoreAwayError(f"{what}. Start the job again.")
