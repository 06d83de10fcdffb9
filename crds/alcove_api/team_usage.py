"""TeamUsage: what one team has used of one Competition, written by the operator alone.

An object for each team, so that no count of one team waits for another's, and what a write costs does not grow with the
number of teams.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alcove_api.base import Alias, ApiModel, Column, Kind, Name, StatusModel


class TeamUsageSpec(ApiModel):
    """Whose usage of what. The operator makes one for each team that has submitted."""

    competition: Name
    """Name of the Competition in this namespace."""
    team: Name
    """The team's namespace."""


class PhaseUsage(StatusModel):
    """What a team has used in one phase; counted as in :class:`TeamUsageStatus`."""

    name: Alias
    total: int = 0
    day: Annotated[str, Field(max_length=10)] = ""
    today: int = 0


class TeamUsageStatus(StatusModel):
    total: int = 0
    """Submissions counted, refunds taken off."""
    day: Annotated[str, Field(max_length=10)] = ""
    """The day (UTC) that ``today`` is of."""
    today: int = 0
    compute_seconds: float = 0.0
    """(end − go) × max(GPUs, CPUs) over all attempts but those charged to the platform."""
    settling: Annotated[tuple[Annotated[str, Field(max_length=96)], ...], Field(max_length=1000)] = ()
    """UIDs of Submissions that are counted and not yet settled: what makes counting exact over a crash."""
    phases: Annotated[
        tuple[PhaseUsage, ...],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Of the phases that the team has submitted to, the last one last."""


TEAM_USAGE = Kind(
    name="TeamUsage",
    plural="teamusages",
    short_names=("usage",),
    spec=TeamUsageSpec,
    status=TeamUsageStatus,
    description="What one team has used of a Competition: submissions, and compute. The operator alone writes it.",
    columns=(
        # In 80 columns, and 160 with -o wide.
        Column("Total", ".status.total", "integer"),
        Column("Last", ".status.day"),
        Column("That-Day", ".status.today", "integer"),
        Column("Compute-s", ".status.computeSeconds", "number"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
