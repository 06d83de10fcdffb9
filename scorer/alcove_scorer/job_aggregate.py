"""The aggregate job: the scores of a phase's counted submissions to one leaderboard."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from threading import Thread
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
from alcove_scorer.errors import DamagedError, InputError, StoreAwayError
from alcove_scorer.history import append_board, append_page, read_history
from alcove_scorer.peer_curves import collect_board_curves
from alcove_store.client import connect, dump_json, get_bytes, put_bytes

if TYPE_CHECKING:
    from alcove_kube.client import KubeClient

LOOK_SECONDS = 0.2
"""Between two looks for the request."""
CONFLICTS = 20
"""Tries at writing the status while others change the object."""
STORE_RETRIES = 6
"""With doubling waits from 0.2 s: about 13 s, enough for a store that restarts."""


@dataclass(frozen=True)
class BoardOrder:
    """Which board this Job makes; from its environment."""

    key: str
    """Of the request."""
    namespace: str
    leaderboard: str
    generation: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> BoardOrder:
        """Raises InputError."""
        try:
            namespace, leaderboard = environment["ALCOVE_LEADERBOARD"].split("/")
            generation, key = int(environment["ALCOVE_GENERATION"]), environment["ALCOVE_REQUEST_KEY"]
            if not key:
                raise ValueError("ALCOVE_REQUEST_KEY is empty")
            return cls(key, namespace, leaderboard, generation)
        except (KeyError, ValueError) as error:
            raise InputError(
                "ALCOVE_REQUEST_KEY, ALCOVE_LEADERBOARD (namespace/name) and ALCOVE_GENERATION (a number) must be set, "
                f"as the operator does ({type(error).__name__}: {error})"
            ) from None


def run() -> int:
    from alcove_kube.client import KubeClient  # a second to load, and `compare` uses what is in this module

    order, config = BoardOrder.from_environment(), jobs.store_config()
    store, api = connect(config, retries=STORE_RETRIES), KubeClient.from_pod()
    # Matplotlib takes a while to load: while the request is awaited, if it is.
    Thread(target=import_module, args=("alcove_scorer.board_page",), daemon=True).start()
    sha256 = await_request(api, order)
    if sha256 is None:
        return ScorerExit.DONE
    request = jobs.read_stored_request(AggregateRequest, store, config.bucket, order.key, sha256)
    board = read_board(request, store, config.bucket)
    now = datetime.now(UTC)
    files = render_board(board, read_history(store, config.bucket, request), now)
    status = as_status(board, now).replace(
        files=(
            BoardFile(name=order.key.rpartition("/")[2], sha256=sha256),
            *(BoardFile(name=name, sha256=hashlib.sha256(data).hexdigest()) for name, data in files.items()),
        )
    )
    # The status decides between boards: an older one must overwrite nothing in the store either.
    if write_status(api, request, status):
        for name, data in files.items():
            put_bytes(store, config.bucket, keys.board(*_place(request), name), data)
    return ScorerExit.DONE


def await_request(api: KubeClient, order: BoardOrder) -> str | None:
    """Digest of the request for this board, once the Leaderboard has it: the Job may have been started ahead.

    None where a later board is asked for by now.

    Nobody waits for ever: the operator deletes what is not needed, and the Job has a deadline.

    Raises DamagedError where there is no such Leaderboard, StoreAwayError where the API server does not answer.
    """
    where = f"The Leaderboard {order.namespace}/{order.leaderboard}"
    while True:
        try:
            found = api.get(LEADERBOARDS, order.namespace, order.leaderboard)
        except ApiError as error:
            said = f"{where} was not read. {error.cause}"
            if error.retriable:
                raise StoreAwayError(f"{said} Start the job again.") from error
            raise DamagedError(said) from error
        requested = found.get("spec", {}).get("requested") or {}
        if requested.get("generation") == order.generation:
            return str(requested["sha256"])
        if requested.get("generation", 0) > order.generation:
            jobs.log_line(f"{where} asks for board {requested['generation']}: {order.generation} is not made")
            return None
        time.sleep(LOOK_SECONDS)


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
