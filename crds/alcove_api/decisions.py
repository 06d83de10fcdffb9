"""What an organizer decides about single teams and submissions while a competition goes on. Parts of its spec."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alcove_api.base import Alias, ApiModel, Name

SubmissionName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", min_length=1, max_length=253)
]
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\p{Cc}]*[^\p{Cc}\s][^\p{Cc}]*$")]


class Exclusion(ApiModel):
    """Keeps a team, or one of its submissions, off the boards. Taking the entry out puts it back."""

    team: Name
    """The team's namespace."""
    submission: SubmissionName | None = None
    """Name of one of its submissions; without it, all of them. Another of the team counts in its place."""
    phase: Alias | None = None
    """The one phase that this is for; without it, every phase."""
    reason: Reason
    """Shown on the board, and to the team."""


class Cancellation(ApiModel):
    """Stops runs for good. What they had saved counts, and the place in the quota stays used."""

    team: Name
    """The team's namespace."""
    submission: SubmissionName
    """Name of the submission."""
    dataset: Alias | None = None
    """Alias of the dataset of the one run to stop; without it, all runs of the submission."""
    reason: Reason
    """Shown to the team."""


class ExtraSubmissions(ApiModel):
    """Submissions that a team may make beyond the limits."""

    team: Name
    """The team's namespace."""
    count: Annotated[int, Field(ge=1, le=1000)]
    """How many more than limits.total; and, on the day, more than perDay."""
    phase: Alias | None = None
    """The phase whose own total this raises too; without it, that of every phase."""
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10)] | None = None
    """The day (UTC) that they may be made on beyond the limit of a day; without it, that limit stays."""
    reason: Reason
    """For people."""
