"""Which Submission has counted for each team, kept in the store, where no team can delete it.

Deleting the newest Submission would otherwise bring the one before it back, and "the last counts" would be "the best
counts". One entry a team and phase, so what teams can make grow here has a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from alcove_api.board_documents import CountedSubmission, CountedSubmissions
from alcove_api.competition import CompetitionSpec
from alcove_api.phase import Phase
from alcove_operator.core import boards, scoring
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.picks import VIEWS_A_TURN, ViewChanges
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_operator.team_list import TeamList

log = logging.getLogger(__name__)
ASKED_AT_ONCE = 8
"""Scores that are read from the store at once. After a restart before a reveal there may be thousands."""


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
    _taken_in: dict[tuple[str, str], tuple[CompetitionSpec, ViewChanges]] = field(default_factory=dict)
    """By UID of the Competition and phase: the Submissions that were taken in, and by which settings."""

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all Competitions but these, by their UIDs."""
        self._counted = {of: found for of, found in self._counted.items() if of[0] in competitions}
        self._taken_in = {of: taken for of, taken in self._taken_in.items() if of[0] in competitions}
        self._scoreless = {of for of in self._scoreless if self.index.submission_by_uid(of[0]) is not None}

    def list_names(self, competition: CompetitionView) -> frozenset[tuple[str, str]] | None:
        """Team and name of the Submissions that have counted; None while that is not known."""
        phase_keys = [(competition.uid, phase.name) for phase in competition.spec.phases]
        if any(phase_key not in self._counted for phase_key in phase_keys):
            return None
        return frozenset(
            (e.team, e.submission) for phase_key in phase_keys for e in self._counted[phase_key].values()
        )

    async def keep(self, competition: CompetitionView, phase: Phase) -> list[SubmissionView]:
        """Takes in what is scored by now; returns those that stand though they are gone.

        Only what has changed since the last time is looked at, and all of a team whose counted one is another by now.

        Raises:
            StoreError: the store failed; then nothing is taken in.
        """
        where = (competition.namespace, competition.name, phase.name)
        phase_key = (competition.uid, phase.name)
        if phase_key not in self._counted:
            kept = await asyncio.to_thread(self.store.counted, *where)
            same = kept is not None and kept.competition_uid == competition.uid
            self._counted[phase_key] = {e.team: e for e in kept.entries} if kept and same else {}
        old = self._counted[phase_key]
        gone = [view for (of, name, _), view in self.index.deleted_scored.items() if (*of, name) == where]
        rules = PhaseRules(competition, phase)
        # Put back once all is taken in: after a failure everything is looked at again.
        spec, changes = self._taken_in.pop(phase_key, (competition.spec, ViewChanges()))
        if spec != competition.spec:
            changes = ViewChanges()
        views = self.index.submissions_in_phase(*where)
        came, _ = changes.take(views)
        renewed = {view.team for view in came if _differs(view, old.get(view.team))}
        # Who deletes in the competition's own namespace is the organizer: nothing stands of what is deleted there.
        looked_at = [*gone, *came, *(view for view in views if view.team in renewed)]
        stands = {
            team: boards.view_deleted(old[team], rules) for team in {v.team for v in looked_at} & old.keys()
        }
        due: list[SubmissionView] = []
        for begin in range(0, len(looked_at), VIEWS_A_TURN):
            due += [
                view
                for view in looked_at[begin : begin + VIEWS_A_TURN]
                if boards.is_scored_in(view, phase.name)
                and not view.of_organizer
                and boards.may_count(view, stands.get(view.team), rules)
            ]
            await asyncio.sleep(0)
        have_scores: dict[str, bool | None] = {}
        for begin in range(0, len(due), ASKED_AT_ONCE):
            asked = due[begin : begin + ASKED_AT_ONCE]
            found = await asyncio.gather(*(self._has_score(view, old) for view in asked))
            have_scores.update(zip([view.uid for view in asked], found, strict=True))
        new = boards.update_counted(old, [view for view in due if have_scores[view.uid]], rules)
        if new != old:
            entries = tuple(new[team] for team in sorted(new))
            document = CountedSubmissions(competition_uid=competition.uid, entries=entries)
            await asyncio.to_thread(self.store.write_counted, *where, document)
            self._counted[phase_key] = new
        if None not in have_scores.values():
            self._taken_in[phase_key] = competition.spec, changes
        await asyncio.sleep(0)
        return [
            boards.view_deleted(entry, rules)
            for entry in new.values()
            if entry.team in self.teams.namespaces
            and self.index.submission_by_uid(entry.submission_uid) is None
        ]

    async def _has_score(self, view: SubmissionView, counted: Mapping[str, CountedSubmission]) -> bool | None:
        """What a status that holds scores back cannot tell; None while that is not known. After its deletion nothing
        could show that it has none."""
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
            return None
        if result is not None and all(run.alc is None for run in result.runs):
            self._scoreless.add(key)
        return None if result is None else key not in self._scoreless


def _differs(view: SubmissionView, entry: CountedSubmission | None) -> bool:
    """Whether ``view`` is what ``entry`` keeps, as it is no more."""
    return entry is not None and view.uid == entry.submission_uid and boards.build_entry(view) != entry
