"""Makes the Submissions of phases that take theirs from another, and shows teams their results after the reveal.

Until then nothing is written where teams can read: a rerun, its status and its Events are in the competition's own
namespace. Afterwards each team finds a Submission of the same name in its own namespace. It is never run; its status is
that of the rerun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alcove_api.phase import LogPolicy, Phase
from alcove_api.submission import SubmissionSpec, SubmissionStatus
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import reruns
from alcove_operator.core import status as statuses
from alcove_operator.core.conditions import ConditionValue
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.run_results import list_team_logs
from alcove_operator.counted import CountedKeeper
from alcove_operator.executor import to_json
from alcove_operator.index import Index
from alcove_operator.listing import fill_teams
from alcove_operator.store import OperatorStore
from alcove_operator.submissions import whole_status
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
LIST_SECONDS = 10.0
"""Between two times that what could not be listed is listed."""


@dataclass
class _Listed:
    """What was listed directly after a phase opened."""

    namespaces: set[str] = field(default_factory=set)
    next_at: float = 0.0
    """On the event loop's clock: not before it is anything listed again."""


@dataclass
class _Shown:
    uids: set[str] = field(default_factory=set)
    """Of the Submissions that show a result."""
    failed: list[str] = field(default_factory=list)
    """Teams whose namespaces did not take it."""
    namesakes: list[str] = field(default_factory=list)
    """Teams with a Submission of their own that has its name."""


@dataclass
class Finals:
    api: Api
    index: Index
    store: OperatorStore
    settings: OperatorSettings
    counted: CountedKeeper
    _listed: dict[tuple[str, str, datetime | None], _Listed] = field(default_factory=dict)
    """By UID of the Competition, phase and its opening."""

    async def work(
        self, competition: CompetitionView, now: datetime
    ) -> tuple[Mapping[str, str], float | None]:
        """By phase, what people should know of it; and after how many seconds to look again, though nothing happens."""
        messages, wishes = {}, []
        shown: set[str] = set()
        for phase in competition.spec.phases:
            if phase.from_ is None:
                continue
            if not reruns.is_open(phase, now):
                wishes += [(phase.opens_at - now).total_seconds()] if phase.opens_at else []
                continue
            views = self.index.submissions_of(competition.namespace, competition.name)
            unlisted = self._find_unlisted(competition, phase, views)
            if unlisted:
                unlisted = await self._list(competition, phase, unlisted)
                wishes += [LIST_SECONDS] if unlisted else []
                views = self.index.submissions_of(competition.namespace, competition.name)
            plan = await self._plan(competition, phase, views, unlisted, now)
            for rerun in plan.missing:
                await self._make(competition.namespace, rerun.name, rerun.spec)
            found = _Shown() if is_blind(phase, now) else await self._show(competition, phase, views)
            shown |= found.uids
            messages[phase.name] = reruns.Hindrances(
                plan.waits,
                tuple(sorted(unlisted)),
                tuple(dict.fromkeys(found.failed)),
                tuple(dict.fromkeys(found.namesakes)),
            ).describe()
        results = self.index.results_of(competition.namespace, competition.name)
        await self._refuse([view for view in results if view.uid not in shown], now)
        return messages, min(wishes, default=None)

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        self._listed = {
            opening: listed for opening, listed in self._listed.items() if opening[0] in competitions
        }

    def _find_unlisted(
        self, competition: CompetitionView, phase: Phase, views: list[SubmissionView]
    ) -> set[str]:
        """Namespaces whose Submissions are to be listed before a rerun is made of one of them, once after the opening.

        A watch may be silent for a while, and the name of a rerun is taken once and for all: what was submitted just
        before the opening must not be missed. Who has a rerun needs no list.
        """
        rerun = {view.team for view in reruns.list_reruns(views, phase.name)}
        listed = self._get_listed(competition, phase).namespaces
        return {*self.counted.teams.namespaces, competition.namespace} - rerun - listed

    async def _list(self, competition: CompetitionView, phase: Phase, namespaces: set[str]) -> set[str]:
        """Returns those that still are to be listed."""
        listed, seconds = self._get_listed(competition, phase), asyncio.get_running_loop().time()
        if seconds < listed.next_at:
            return namespaces
        listed.next_at = seconds + LIST_SECONDS
        await fill_teams(self.index, self.api, sorted(namespaces))
        listed.namespaces |= {name for name in namespaces if self.index.is_filled(SUBMISSIONS, name)}
        return namespaces - listed.namespaces

    def _get_listed(self, competition: CompetitionView, phase: Phase) -> _Listed:
        return self._listed.setdefault((competition.uid, phase.name, phase.opens_at), _Listed())

    async def _plan(
        self,
        competition: CompetitionView,
        phase: Phase,
        views: list[SubmissionView],
        unlisted: set[str],
        now: datetime,
    ) -> reruns.RerunPlan:
        assert phase.from_ is not None
        source = competition.phase(phase.from_.phase)
        deleted = await self.counted.keep(competition, source) if source else []
        unseen = unlisted | {
            team for team in self.counted.teams.namespaces if not self.index.is_filled(SUBMISSIONS, team)
        }
        datasets = self.index.datasets_by_name()
        return reruns.plan_reruns(competition, phase, views, deleted, datasets, unseen, now)

    async def _make(self, namespace: str, name: str, spec: SubmissionSpec) -> SubmissionView | None:
        """The Submission of that name, made now unless it is there; None where it cannot be."""
        body = {
            "apiVersion": SUBMISSIONS.api_version,
            "kind": "Submission",
            "metadata": {"name": name, "namespace": namespace},
            "spec": to_json(spec),
        }
        try:
            try:
                made = await self.api.create(SUBMISSIONS, namespace, body)
            except ApiError as error:
                if not error.conflict:
                    raise
                made = await self.api.get(SUBMISSIONS, namespace, name)
        except ApiError as error:
            if namespace == self.settings.competition_namespace:
                raise
            # A team's namespace may be full, or on its way out: that concerns no other team.
            log.warning("The team cannot be shown %s/%s: %s", namespace, name, error)
            return None
        self.index.apply(SUBMISSIONS, made)
        return self.index.submissions.get((namespace, name))

    async def _show(self, competition: CompetitionView, phase: Phase, views: list[SubmissionView]) -> _Shown:
        """Gives each team the results of its reruns."""
        shown = _Shown()
        for rerun in reruns.list_reruns(views, phase.name):
            if rerun.spec is None or rerun.team not in self.counted.teams.namespaces:
                continue
            result = self.index.submissions.get((rerun.team, rerun.name))
            result = result or await self._make(rerun.team, rerun.name, rerun.spec)
            if result is None:
                shown.failed.append(rerun.team)
            elif not result.shows_rerun:
                shown.namesakes.append(rerun.team)
            else:
                shown.uids.add(result.uid)
                if not await self._copy(rerun, result, phase.logs or competition.spec.logs):
                    shown.failed.append(rerun.team)
        return shown

    async def _copy(self, rerun: SubmissionView, result: SubmissionView, logs: LogPolicy) -> bool:
        """False where the team's namespace does not take it."""
        wanted = rerun.status.replace(observed_generation=result.generation)
        if result.status == wanted or result.deleting:
            return True
        if wanted.score_sha256 and result.status.score_sha256 != wanted.score_sha256:
            await asyncio.to_thread(self._publish, rerun, result, logs)
        return await self._write(result, wanted)

    def _publish(self, rerun: SubmissionView, result: SubmissionView, logs: LogPolicy) -> None:
        """Report and output, before the status says that there is a score, which nothing asks for again."""
        try:
            self.store.publish_report(result.namespace, rerun.uid, result.uid)
            for entry in list_team_logs(rerun, logs):
                self.store.publish_log(result.namespace, result.uid, entry.run, entry.prefix)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            log.warning("%s The team cannot fetch this report, or all output; its scores are shown.", error)

    async def _refuse(self, forged: list[SubmissionView], now: datetime) -> None:
        """Where the cluster has no policy that does, a team can make what only the operator may."""
        for view in forged:
            if view.status.phase:
                continue
            message = "spec.rerunOf is for the operator alone. Submit without it, under another name."
            value: ConditionValue = ("False", "RerunNotAllowed", message)
            status = statuses.set_condition(SubmissionStatus(), statuses.ADMITTED, value, now)
            cause = {"phase": "Rejected", "cause": "RerunNotAllowed", "message": message}
            await self._write(view, status.replace(**cause))

    async def _write(self, view: SubmissionView, status: SubmissionStatus) -> bool:
        """To a team's namespace; False where that does not take it, which concerns no other team."""
        body = {"metadata": {"resourceVersion": view.resource_version}, "status": whole_status(status)}
        try:
            made = await self.api.patch(SUBMISSIONS, view.namespace, view.name, body, "status")
        except ApiError as error:
            if error.conflict or error.not_found:
                # A newer version, or its end, is on its way, and brings the competition here again.
                return True
            log.warning("The team cannot be shown %s/%s: %s", view.namespace, view.name, error)
            return False
        self.index.apply(SUBMISSIONS, made)
        return True
