"""Who led the earlier boards of a phase: carried on from board to board, bounded in teams and in boards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from minio import Minio
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, BoardHistory, PastPage, PastRanks, TeamColour
from alcove_scorer import jobs
from alcove_scorer.board import Board
from alcove_scorer.team_colours import LEADERS, assign_colours, read_colours
from alcove_store.client import get_bytes
from alcove_store.errors import StoreNotFoundError

MAX_TEAMS = 50
"""Leading teams that are kept of a board."""
MAX_BOARDS = 120
MAX_PAGES = 1000
"""The newest: 100 kB of the document."""
LIMIT = 16 << 20
"""Bytes of the document that are read at most."""


def append_board(history: BoardHistory, board: Board, now: datetime) -> BoardHistory:
    """With this board at the end, if it ranks the leading teams otherwise than the last.

    Where there are too many, every other one of the older half goes: what is long past is known less finely. Of another
    Competition of the same name, nothing is carried on.
    """
    uid = board.request.competition_uid
    if history.competition_uid not in ("", uid):
        history = BoardHistory()
    history = history.replace(competition_uid=uid)
    teams = tuple(row.submission.team for row in board.rows[:MAX_TEAMS])
    earlier = tuple(past for past in history.boards if past.generation < board.request.generation)
    numbers = assign_colours(teams[:LEADERS], read_colours(history))
    colours = tuple(TeamColour(team=team, number=number) for team, number in numbers.items())
    if not teams or (earlier and earlier[-1].teams == teams):
        return history.replace(boards=earlier, colours=colours)
    boards = (*earlier, PastRanks(generation=board.request.generation, at=now, teams=teams))
    if len(boards) > MAX_BOARDS:
        middle = len(boards) // 2
        boards = (*boards[:middle:2], *boards[middle:])
    return history.replace(boards=boards, colours=colours)


def append_page(history: BoardHistory, generation: int, page: bytes) -> BoardHistory:
    """With the digest of this board's page at the end."""
    earlier = tuple(past for past in history.pages if past.generation < generation)
    newest = PastPage(generation=generation, sha256=hashlib.sha256(page).hexdigest())
    return history.replace(pages=(*earlier, newest)[-MAX_PAGES:])


def ranks_on_boards(history: BoardHistory, teams: Sequence[str]) -> npt.NDArray[np.float64]:
    """Ranks of these teams on each board (teams × boards), NaN where one was not among the leading."""
    ranks = np.full((len(teams), len(history.boards)), np.nan)
    for column, past in enumerate(history.boards):
        places = {team: place for place, team in enumerate(past.teams, 1)}
        ranks[:, column] = [places.get(team, np.nan) for team in teams]
    return ranks


def read_history(store: Minio, bucket: str, request: AggregateRequest) -> BoardHistory:
    """Empty where there is none, or none that can be read: a board does not wait for its past."""
    where = (request.competition_namespace, request.competition, request.phase)
    key = keys.board(*where, "history.json")
    try:
        return BoardHistory.model_validate_json(get_bytes(store, bucket, key, limit=LIMIT))
    except StoreNotFoundError:
        return BoardHistory()
    except ValidationError as error:
        jobs.log_line(f"{key} is damaged, so the history of ranks starts again: {error}")
        return BoardHistory()
