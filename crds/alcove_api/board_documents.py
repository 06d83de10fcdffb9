"""Documents of boards: what counts, what an aggregate Job is asked, and what it leaves in the store."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from alcove_api.documents import Document
from alcove_api.schemes import BoardRanking
from alcove_api.score_documents import CurvePoint
from alcove_api.submission import Code


class BoardSubmission(Document):
    team: str
    submission: str
    submission_uid: str
    created_at: datetime
    scoring_digest: str
    baseline: str = ""
    """Name of the organizer's Submission where it is one to compare with, outside the ranks; "" of a team's."""


class CountedSubmission(BoardSubmission):
    """The last scored Submission of a team in a phase, with what is needed to rank it once it is deleted."""

    datasets: tuple[str, ...]
    """Names of its runs: see :mod:`alcove_api.run_names`."""
    scores: tuple[float | None, ...] = ()
    """ALC of each run as it was shown, for ``counts: best``; empty where they are not known."""
    score_sha256: str = ""
    """Digest of its score file, as in its status."""
    pages_sha256: str = ""
    """Of the list of pages that are made of it, likewise."""
    code: Code | None = None
    """What was admitted, by digest: what a phase that takes its submissions from this one runs."""
    chosen_at: datetime | None = None
    """As in its status."""


class CountedSubmissions(Document):
    """``counted.json`` of a phase: what has counted stays counted, though teams delete their Submissions."""

    competition_uid: str
    """Of another Competition of the same name, nothing counts."""
    entries: tuple[CountedSubmission, ...] = ()
    """One a team."""


class BoardExclusion(Document):
    """Whom the organizer has left out of a board."""

    team: str
    submission: str = ""
    """"" where all of the team's are left out."""
    reason: str


class AggregateRequest(Document):
    competition_namespace: str
    competition: str
    competition_uid: str = ""
    """The one that it had first. Of another Competition of the same name, no history is carried on."""
    phase: str
    leaderboard: str
    """Name of the Leaderboard object."""
    datasets: tuple[str, ...]
    """Aliases, in the phase's order."""
    repeats: int = 1
    """Runs on each dataset."""
    penalty: float = 0.0
    """Standard deviations over the repeats that are taken off a dataset's mean, for the ranks."""
    compare_with: str = ""
    """Name of the baseline that ``relative`` compares with; "" for chance."""
    method: BoardRanking = "average"
    targets: dict[str, float] = Field(default_factory=dict)
    """By alias: the score that a prediction has to reach, for ``performance-profile``."""
    decimals: int = 4
    max_snapshots: int = 32
    """Points of a curve that are shown, as in the phase's feedback."""
    top: int = 100
    budget_seconds: float
    entries: tuple[BoardSubmission, ...]
    excluded: tuple[BoardExclusion, ...] = ()
    """For people: none of them is among the entries."""
    title: str = ""
    """Of the competition, for people."""
    display_names: dict[str, str] = Field(default_factory=dict)
    """Of those teams of the entries that have one, by namespace."""
    generation: int = 0
    """Grows with each request of a phase; written to the status so that an older board never replaces a newer."""


class BoardCurve(Document):
    """A team's learning curve on one dataset, rounded and cut as the phase's feedback says."""

    team: str
    """Digest, so that a team can tell its own; no name."""
    scoring_digest: str
    """Curves of other settings cannot be compared."""
    alias: str
    points: tuple[CurvePoint, ...]


class BoardCurves(Document):
    """``curves.json`` of a board: what the reports of other submissions draw in grey."""

    generation: int
    updated_at: datetime
    curves: tuple[BoardCurve, ...]


class PastRanks(Document):
    generation: int
    at: datetime
    teams: tuple[str, ...]
    """In the order of their ranks, the first of them the leader."""


class PastPage(Document):
    generation: int
    sha256: str


class TeamColour(Document):
    team: str
    number: int
    """Of the colour, from 0."""


class BoardHistory(Document):
    """``history.json`` of a board: the leading teams of earlier boards, and their pages, oldest first."""

    competition_uid: str = ""
    """As in the request; "" in what was written before there was one."""
    boards: tuple[PastRanks, ...] = ()
    colours: tuple[TeamColour, ...] = ()
    """Of the teams that lead this board or led earlier ones; who led last comes last."""
    pages: tuple[PastPage, ...] = ()
    """Of this board and the ones before it: what the web server shows as an earlier board."""


class ActiveRun(Document):
    team: str
    """What boards call it."""
    submission: str
    dataset: str
    """Name of the run: the alias of its dataset, and from the second repeat on its number."""
    started_at: datetime | None = None
    """The go; None while it is being started."""
    curve: tuple[CurvePoint, ...] = ()
    """Its learning curve so far, rounded; of a phase whose feedback is live alone."""


class WaitingRun(Document):
    team: str
    """What boards call it."""
    submission: str
    dataset: str
    """Name of the run, as of one that goes on."""


class PhaseActivity(Document):
    """``activity.json`` of a phase: what everyone may see of its runs. Of a blind phase there is none."""

    running: tuple[ActiveRun, ...] = ()
    more: int = 0
    """Runs under way that are not listed."""
    waiting: int = 0
    """Runs that wait for a place."""
    queue: tuple[WaitingRun, ...] = ()
    """The first of them, who has waited longest on top."""
