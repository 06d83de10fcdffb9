"""Which Submission has counted for each team, kept in the store, where no team can delete it.

Deleting the newest Submission would otherwise bring the one before it back, and "the last counts" would be "the best
counts". One entry a team and phase, so what teams can make grow here has a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from alcove_api.board_documents import CountedSubmission, CountedSubmissions
from alcove_api.phase import Phase
from alcove_operator.core import boards, scoring
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_operator.team_list import TeamList

log = logging.getLogger(__name__)


@dataclass
class CountedKeeper:
    """Turns of one competition alone write what is kept of it, and there is one at a time."""

    index: Index
    store: OperatorStore
    teams: TeamList
    """Of others, nothing stands."""
    _counted: dict[tuple[str, str], dict[str, CountedSubmission]] = field(default_factory=dict)
    """By UID of the Competition and phase: by team."""
    _scoreless: set[tuple[str, str]] = field(default_factory=set)
    """UID and scoring digest of those whose scores are held back and that turned out to have none."""

    def list_names(self, competition: CompetitionView) -> frozenset[tuple[str, str]] | None:
        """Team and name of the Submissions that have counted; None while that is not known."""
        phase_keys = [(competition.uid, phase.name) for phase in competition.spec.phases]
        if any(phase_key not in self._counted for phase_key in phase_keys):
            return None
        return frozenset(
            (e.team, e.submission) for phase_key in phase_keys for e in self._counted[phase_key].values()
        )

    async def keep(
        self, competition: CompetitionView, phase: Phase, views: list[SubmissionView]
    ) -> list[SubmissionView]:
        """Takes in what is scored by now; returns those that stand though they are gone.

        Raises:
            StoreError: the store failed; then nothing is taken in.
        """
        where = (competition.namespace, competition.name, phase.name)
        phase_key = (competition.uid, phase.name)
        if phase_key not in self._counted:
            found = await asyncio.to_thread(self.store.counted, *where)
            same = found is not None and found.competition_uid == competition.uid
            self._counted[phase_key] = {e.team: e for e in found.entries} if found and same else {}
        old = self._counted[phase_key]
        gone = [view for (of, name, _), view in self.index.deleted_scored.items() if (*of, name) == where]
        rules = PhaseRules(competition, phase)
        # Who deletes in the competition's own namespace is the organizer: nothing stands of what is deleted there.
        scored = [
            view
            for view in (*gone, *views)
            if boards.is_scored_in(view, phase.name) and not view.of_organizer
        ]
        await asyncio.sleep(0)
        stands = {team: boards.view_deleted(entry, rules) for team, entry in old.items()}
        due = [view for view in scored if boards.may_count(view, stands.get(view.team), rules)]
        new = boards.update_counted(old, [view for view in due if await self._has_score(view, old)], rules)
        if new != old:
            entries = tuple(new[team] for team in sorted(new))
            document = CountedSubmissions(competition_uid=competition.uid, entries=entries)
            await asyncio.to_thread(self.store.write_counted, *where, document)
            self._counted[phase_key] = new
        await asyncio.sleep(0)
        present = {view.uid for view in views}
        return [
            boards.view_deleted(entry, rules)
            for entry in new.values()
            if entry.submission_uid not in present and entry.team in self.teams.namespaces
        ]

    async def _has_score(self, view: SubmissionView, counted: Mapping[str, CountedSubmission]) -> bool:
        """What a status that holds scores back cannot tell. After its deletion nothing could show that it has none."""
        key, entry = (view.uid, view.status.scoring_digest), counted.get(view.team)
        known = entry is not None and (entry.submission_uid, entry.scoring_digest) == key
        if known or not scoring.is_held_back(view.status):
            return True
        if key in self._scoreless:
            return False
        try:
            result = await asyncio.to_thread(self.store.score_result, *key)
        except OperatorError as error:
            log.warning("Whether %s/%s has a score is not known: %s", view.namespace, view.name, error)
            return False
        if result is not None and all(run.alc is None for run in result.runs):
            self._scoreless.add(key)
        return result is not None and key not in self._scoreless
