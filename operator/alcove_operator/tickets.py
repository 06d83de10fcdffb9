"""Tickets in a Competition's status whose Submissions are gone, such as where the finalizer was taken off by hand.

That a Submission is not indexed proves nothing: its ticket may be known before its own event, where another operator
counted it. A dropped ticket cannot be brought back, so its team's namespace is listed first.
"""

from __future__ import annotations

from dataclasses import dataclass

from alcove_api.competition import CompetitionStatus
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.index import Index
from alcove_operator.listing import fill_teams
from alcove_operator.tables import ObjectName
from alcove_operator.team_list import TeamList


@dataclass(frozen=True)
class Tickets:
    api: Api
    index: Index
    teams: TeamList

    async def look_for_owners(self, competition: ObjectName) -> None:
        """Lists the namespaces of all tickets whose Submissions are not indexed. Raises nothing."""
        found = self.index.competitions.get(competition)
        if found is None:
            return
        kept = set(self.list_kept(found.status))
        absent = {team.team for team in found.status.usage if not kept.issuperset(team.settling)}
        listed = {namespace for namespace in absent if self.index.is_filled(SUBMISSIONS, namespace)}
        await fill_teams(self.index, self.api, sorted(listed))

    def list_kept(self, status: CompetitionStatus) -> list[str]:
        """UIDs of the Submissions that exist, or may: that one is not indexed proves nothing where its team's namespace
        was not listed."""
        return [
            uid
            for team in status.usage
            for uid in team.settling
            if (team.team in self.teams.namespaces and not self.index.is_filled(SUBMISSIONS, team.team))
            or self.index.submission_by_uid(uid) is not None
        ]
