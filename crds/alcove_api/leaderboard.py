"""Leaderboard: the ranks of one phase, written by the aggregate job alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alcove_api.base import Alias, ApiModel, Column, Conditions, Kind, Name, Sha256, StatusModel, Time


class PublishedRules(StatusModel):
    """What teams may know of a phase's rules, kept by the operator as the Competition has it.

    Teams can read Leaderboards, and not the Competition, which names datasets.
    """

    title: Annotated[str, Field(max_length=120)] = ""
    """Of the competition."""
    opens_at: Time | None = None
    """Submissions are refused before this time."""
    closes_at: Time | None = None
    """Submissions are refused from this time on."""
    closes: Annotated[str, Field(max_length=32)] = ""
    """``closes_at`` for printing, to the minute: "8 Mar 14:00 UTC"."""
    reveals_at: Time | None = None
    """Nothing about scores or ranks is shown before this time."""
    budget_seconds: int | None = None
    """Time of a run from its go, in seconds; absent where it is not disclosed."""
    free_constructor_seconds: int | None = None
    """What import and constructor of a model.py have before the go, in seconds; absent where they are charged."""
    resources: Annotated[str, Field(max_length=200)] = ""
    """What each run gets: "1 GPU, 2 CPU, 8Gi memory, 10Gi disk"."""
    source: Annotated[str, Field(max_length=32)] = ""
    """Name of the phase that this one takes its submissions from; "" where teams submit to it."""
    feedback: Annotated[str, Field(max_length=16)] = ""
    """live, final, ladder or none."""
    per_day: int | None = None
    """Submissions of a team a day (UTC)."""
    phase_per_day: int | None = None
    """Submissions of a team to this phase a day (UTC), where the phase has such a limit."""
    phase_total: int | None = None
    """Submissions of a team to this phase, where the phase has such a limit."""
    total: int | None = None
    """Submissions of a team in the whole competition."""
    parallel: int | None = None
    """Runs of a team at the same time."""
    bundle_bytes: int | None = None
    """Size of a code bundle at most."""
    board_url: Annotated[str, Field(max_length=300)] = ""
    """Where people reach the web server of boards, http(s)://host[:port]; empty where it has no public address."""


class RequestedBoard(StatusModel):
    """The last board that the operator has asked for."""

    generation: Annotated[int, Field(ge=1)]
    """Of the Job that is to make it, which may have waited for this."""
    sha256: Sha256
    """Of the request as it lies in the store."""
    inputs: Annotated[str, Field(max_length=64)]
    """Names what the board is made of."""
    requested_at: Time
    """By the operator's clock."""


class LeaderboardSpec(ApiModel):
    """Which ranking this is. The operator makes one for each phase."""

    competition: Name
    """Name of the Competition in this namespace."""
    phase: Alias
    """Name of its phase."""
    rules: PublishedRules = PublishedRules()
    """What teams may know of the phase's rules."""
    requested: RequestedBoard | None = None
    """Absent until a board has been asked for."""


class DatasetScore(StatusModel):
    dataset: Alias
    alc: float | None = None
    """None if the run is missing or has no valid prediction; it ranks last. Of several repeats, the mean."""
    spread: float | None = None
    """Standard deviation of the ALC over the repeats; absent where runs are not repeated."""
    seconds: float | None = None
    """How soon a prediction reached the dataset's target, with ranking performance-profile; absent where none did."""
    rank: float


class BaselineScore(StatusModel):
    dataset: Alias
    alc: float | None = None
    spread: float | None = None


class BaselineEntry(StatusModel):
    """A Submission of the organizer, to compare with, outside the ranks."""

    submission: Annotated[str, Field(max_length=253)]
    scores: Annotated[tuple[BaselineScore, ...], Field(max_length=64)] = ()


class Entry(StatusModel):
    rank: int
    """Of the team: one more than how many teams are better. Equal teams share it; the earlier submission is listed
    first."""
    team: Name
    """The team's namespace."""
    display_name: Annotated[str, Field(max_length=40)] = ""
    """What the organizer calls the team, if it has such a name."""
    submission: Annotated[str, Field(max_length=253)]
    submission_uid: Annotated[str, Field(max_length=64)]
    average_rank: float
    rank_low: float | None = None
    """Best rank that the team could have with other datasets of the same kind, at 95 % confidence."""
    rank_high: float | None = None
    """Worst such rank."""
    scores: Annotated[tuple[DatasetScore, ...], Field(max_length=64)] = ()


class ExcludedEntry(StatusModel):
    """Whom the organizer has left out of a board."""

    team: Name
    submission: Annotated[str, Field(max_length=253)] = ""
    """Empty where all of the team's are left out."""
    reason: Annotated[str, Field(max_length=200)]


class BoardFile(StatusModel):
    name: Annotated[str, Field(max_length=64)]
    sha256: Sha256


class LeaderboardStatus(StatusModel):
    generation: int = 0
    """Grows with each aggregation; an older one never replaces a newer."""
    updated_at: Time | None = None
    conditions: Conditions = ()
    teams: int = 0
    leaders: Annotated[str, Field(max_length=256)] = ""
    """The first of them, as many as a column has room for: "1 red, 2 blue"."""
    table: Annotated[str, Field(max_length=65536)] = ""
    """The entries as text: kubectl get lb practice -o jsonpath='{.status.table}'"""
    entries: Annotated[tuple[Entry, ...], Field(max_length=100)] = ()
    baselines: Annotated[tuple[BaselineEntry, ...], Field(max_length=20)] = ()
    """Submissions of the organizer, outside the ranks, by name."""
    excluded: Annotated[tuple[ExcludedEntry, ...], Field(max_length=200)] = ()
    """Whom the organizer has left out, and why."""
    files: Annotated[tuple[BoardFile, ...], Field(max_length=8)] = ()
    """Digests of the board's files in the store, and of the request that it was made from."""


LEADERBOARD = Kind(
    name="Leaderboard",
    plural="leaderboards",
    short_names=("lb",),
    spec=LeaderboardSpec,
    status=LeaderboardStatus,
    description="The ranking of one phase. The whole table and its pictures are in the store.",
    columns=(
        # In 80 columns, with -o wide too. `alcove phases` and `kubectl describe` have all of the phase's rules.
        Column("Teams", ".status.teams", "integer"),
        Column("Leaders", ".status.leaders"),
        Column("Updated", ".status.updatedAt", "date"),
        Column("Closes", ".spec.rules.closes", priority=1),
    ),
)
