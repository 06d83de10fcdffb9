"""What ``alcove rescore`` asks the scorer and is answered: a phase's ranks by present and by other scores."""

from __future__ import annotations

from alcove_api.board_documents import AggregateRequest
from alcove_api.documents import Document


class CompareRequest(Document):
    boards: tuple[AggregateRequest, ...]
    """One a phase; the entries' digests are those of the present scores."""
    digests: dict[str, str]
    """Of the other scores, by the Submission's UID."""


class ComparedScore(Document):
    dataset: str
    """Alias."""
    old: float | None
    """ALC at full precision; None where there is none."""
    new: float | None
    old_cause: str
    """Why there is none: a crash is not a zero. "" where there is one."""
    new_cause: str


class ComparedTeam(Document):
    team: str
    display_name: str = ""
    """What the organizer calls the team, if it has such a name."""
    submission: str
    submission_uid: str
    old_rank: int | None
    """None where it has no score of that kind."""
    new_rank: int | None
    old_mean_rank: float | None
    new_mean_rank: float | None
    scores: tuple[ComparedScore, ...]


class ComparedBoard(Document):
    phase: str
    decimals: int
    """Of what the phase shows."""
    datasets: tuple[str, ...]
    teams: tuple[ComparedTeam, ...]
    """By new rank, then old rank."""
    problems: tuple[str, ...] = ()
    """Of the new scores: what is missing or damaged."""


class Comparison(Document):
    boards: tuple[ComparedBoard, ...]
