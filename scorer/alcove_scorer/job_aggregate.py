"""The aggregate job: the scores of a phase's counted submissions to one leaderboard."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from minio import Minio

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, BoardHistory
from alcove_api.exit_statuses import ScorerExit
from alcove_api.leaderboard import BoardFile, LeaderboardStatus
from alcove_kube.errors import ApiError
from alcove_kube.resources import LEADERBOARDS
from alcove_scorer import jobs
from alcove_scorer.board import Board, as_document, collect_results, make_board
from alcove_scorer.board_status import as_status
from alcove_scorer.errors import DamagedError, StoreAwayError
from alcove_scorer.history import append_board, append_page, read_history
from alcove_scorer.peer_curves import collect_board_curves
from alcove_store.client import connect, dump_json, get_bytes, put_bytes

if TYPE_CHECKING:
    from alcove_kube.client import KubeClient

CONFLICTS = 20
"""Tries at writing the status while others change the object."""
STORE_RETRIES = 6
"""With doubling waits from 0.2 s: about 13 s, enough for a store that restarts."""


def run() -> int:
    from alcove_kube.client import KubeClient  # a second to load, and `compare` uses what is in this module

    config = jobs.store_config()
    store = connect(config, retries=STORE_RETRIES)
    request = jobs.read_stored_request(AggregateRequest, store, config.bucket)
    board = read_board(request, store, config.bucket)
    now = datetime.now(UTC)
    files = render_board(board, read_history(store, config.bucket, request), now)
    asked = keys.board_request(*_place(request), request.generation)
    status = as_status(board, now).replace(
        files=(
            BoardFile(name=asked.rpartition("/")[2], sha256=jobs.stored_request_digest()),
            *(BoardFile(name=name, sha256=hashlib.sha256(data).hexdigest()) for name, data in files.items()),
        )
    )
    # The status decides between boards: an older one must overwrite nothing in the store either.
    if write_status(KubeClient.from_pod(), request, status):
        for name, data in files.items():
            put_bytes(store, config.bucket, keys.board(*_place(request), name), data)
    return ScorerExit.DONE


def read_board(request: AggregateRequest, store: Minio, bucket: str) -> Board:
    """An entry whose result is missing or damaged is left out and named on the board: it voids no one else's."""
    results, problems = collect_results(request, lambda key: get_bytes(store, bucket, key))
    for said in problems.values():
        jobs.log_line(said)
    return make_board(request, results, tuple(problems))


def render_board(board: Board, history: BoardHistory, now: datetime) -> dict[str, bytes]:
    """A board's files, by name. ``history``: of the boards before it."""
    from alcove_scorer.board_page import board_html  # Matplotlib: a second to load

    history = append_board(history, board, now)
    page = board_html(board, now, history).encode()
    return {
        "table.json": dump_json(as_document(board, now)),
        "history.json": append_page(history, board.request.generation, page).canonical(),
        "curves.json": collect_board_curves(board, now).canonical(),
        "leaderboard.html": page,
    }


def _place(request: AggregateRequest) -> tuple[str, str, str]:
    return request.competition_namespace, request.competition, request.phase


def write_status(api: KubeClient, request: AggregateRequest, status: LeaderboardStatus) -> bool:
    """Writes the status unless a newer board is there; says whether it did.

    The version that was read goes along with the write, so whoever read before another's write has to read again.
    Raises DamagedError where there is no such Leaderboard, StoreAwayError where the API server does not answer.
    """
    name = (LEADERBOARDS, request.competition_namespace, request.leaderboard)
    body = status.model_dump(mode="json", by_alias=True, exclude={"conditions"})
    for _ in range(CONFLICTS):
        try:
            found = api.get(*name)
            newest = found.get("status", {}).get("generation", 0)
            if newest > request.generation:
                jobs.log_line(f"board {newest} is there already: board {request.generation} is not written")
                return False
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            api.patch(*name, {"metadata": version, "status": body}, "status")
            return True
        except ApiError as error:
            if error.conflict:
                continue
            raise _not_written(request, error.cause, again=error.retriable) from error
    raise _not_written(request, f"It changed {CONFLICTS} times while it was being written.", again=True)


def _not_written(request: AggregateRequest, cause: str, *, again: bool) -> DamagedError | StoreAwayError:
    what = f"The Leaderboard {request.competition_namespace}/{request.leaderboard} was not written. {cause}"
    if again:
        return StoreAwayError(f"{what} Start the job again.")
    return DamagedError(
        f"{what} Check that it exists, and that this job's Role is that of the chart: run helm upgrade."
    )
