"""What the cluster publishes of a phase: its rules, and the digests of its board's files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from pydantic import ConfigDict, ValidationError

from alcove_api.leaderboard import LeaderboardSpec, LeaderboardStatus, PublishedRules
from alcove_api.phase_dates import is_hidden
from alcove_kube.client import Object, Unread

UNREAD: Unread = MappingProxyType(dict.fromkeys(("table", "entries", "managedFields"), frozenset[str]()))
"""Members of a Leaderboard that are not used here, and that most of it consists of."""
PhaseKey = tuple[str, str]
"""Competition and phase."""


class ReadSpec(LeaderboardSpec):
    """As a newer operator may have written it."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class PublishedPhase:
    competition: str
    phase: str
    rules: PublishedRules
    generation: int
    """Of its board; 0: none has been made yet."""
    teams: int
    leaders: str
    updated_at: datetime | None
    files: Mapping[str, str]
    """SHA-256 by name, of the board's files in the store."""
    digest: str
    """Of all of this: another one, another page."""

    def is_hidden(self, now: datetime) -> bool:
        return is_hidden(self.rules, now)


@dataclass(frozen=True)
class PublishedPhases:
    phases: Mapping[PhaseKey, PublishedPhase] = field(default_factory=dict)
    """In the order in which they open."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Leaderboards that cannot be read, by name, and why: one of them hides no other."""
    cut: bool = False
    """There are more than were asked for."""


def read_phases(leaderboards: Sequence[Object], *, cut: bool = False) -> PublishedPhases:
    """Of Leaderboards as the API server has them."""
    found, unreadable = [], {}
    for board in leaderboards:
        try:
            spec = ReadSpec.model_validate(board.get("spec") or {})
            status = LeaderboardStatus.model_validate(board.get("status") or {})
        except ValidationError as error:
            unreadable[str(board["metadata"]["name"])] = str(error)
            continue
        files = {file.name: file.sha256 for file in status.files}
        material = f"{spec.model_dump_json()}{status.model_dump_json()}".encode()
        found.append(
            PublishedPhase(
                spec.competition, spec.phase, spec.rules, status.generation, status.teams, status.leaders,
                status.updated_at, files, hashlib.sha256(material).hexdigest(),
            )
        )  # fmt: skip
    first = datetime.min.replace(tzinfo=UTC)
    found.sort(key=lambda phase: (phase.competition, phase.rules.opens_at or first, phase.phase))
    phases = {(phase.competition, phase.phase): phase for phase in found}
    return PublishedPhases(phases, unreadable, cut)
