"""What the cluster publishes of a phase: its rules, and the digests of its board's files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from alcove_api.leaderboard import LeaderboardSpec, LeaderboardStatus, PublishedRules
from alcove_api.phase_dates import is_hidden
from alcove_kube.client import Object, Unread

UNREAD: Unread = MappingProxyType(dict.fromkeys(("table", "entries", "managedFields"), frozenset[str]()))
"""Members of a Leaderboard that are not used here, and that most of it consists of."""
PhaseKey = tuple[str, str]
"""Competition and phase."""


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


def read_phases(leaderboards: Sequence[Object]) -> dict[PhaseKey, PublishedPhase]:
    """Of Leaderboards as the API server has them, in the order in which phases open."""
    found = []
    for board in leaderboards:
        spec = LeaderboardSpec.model_validate(board["spec"])
        status = LeaderboardStatus.model_validate(board.get("status") or {})
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
    return {(phase.competition, phase.phase): phase for phase in found}
