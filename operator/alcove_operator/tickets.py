"""Tickets of what a team has used whose Submissions are gone, such as where the finalizer was taken off by hand.

That a Submission is not indexed proves nothing: its ticket may be known before its own event, where another operator
counted it. A dropped ticket cannot be brought back, so its team's namespace is listed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from alcove_api.competition import CompetitionSpec
from alcove_api.team_usage import TeamUsageStatus
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.core import usage
from alcove_operator.core.model import CompetitionView
from alcove_operator.index import Index
from alcove_operator.listing import fill_teams
from alcove_operator.team_list import TeamList
from alcove_operator.usage_writer import UsageWriter


@dataclass(frozen=True)
class Tickets:
    api: Api
    index: Index
    teams: TeamList
    usage: UsageWriter

    async def drop_gone(self, competition: CompetitionView) -> None:
        """Raises ApiError, OperatorError: they could not be dropped."""
        absent = self._list_absent(competition)
        if not absent:
            return
        await fill_teams(
            self.index, self.api, [team for team in sorted(absent) if self.index.is_filled(SUBMISSIONS, team)]
        )
        ref, certain = (competition.namespace, competition.name), self._list_absent(competition)
        for team in absent.keys() & certain.keys():
            # Those alone: a ticket that is read only now may be of a Submission that is not indexed yet.
            gone = absent[team] & certain[team]
            await self.usage.change(ref, team, partial(_drop, gone))

    def _list_absent(self, competition: CompetitionView) -> dict[str, frozenset[str]]:
        """By team, tickets whose Submissions are not indexed; without teams whose namespaces were not listed."""
        found = {}
        for team, used in self.index.with_usage(competition).usage.items():
            if team in self.teams.namespaces and not self.index.is_filled(SUBMISSIONS, team):
                continue
            absent = frozenset(uid for uid in used.settling if self.index.submission_by_uid(uid) is None)
            if absent:
                found[team] = absent
        return found


def _drop(gone: frozenset[str], used: TeamUsageStatus, _spec: CompetitionSpec) -> TeamUsageStatus:
    return usage.drop_tickets(used, gone)
