"""Applies the retention of competitions, and measures what teams have in the store.

What goes is marked in the Submission's status before anything is deleted, so that no reader takes it for damage; a
round that breaks off is finished by the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api.board_documents import CountedSubmission
from alcove_api.competition import RetentionStatus
from alcove_api.submission import PrunedParts
from alcove_api.words import count_of, format_bytes
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.retention import (
    SHARED,
    UNSEEN,
    PrunedPart,
    RetentionInput,
    group_by_code,
    names_of_code,
    plan_prune,
)
from alcove_operator.core.store_use import Size, StoreUse, find_hidden, sum_shown_teams
from alcove_operator.executor import to_json
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.store import OperatorStore
from alcove_operator.stored_objects import StoredObjects
from alcove_operator.team_list import TeamList
from alcove_store.errors import StoreError

log = logging.getLogger(__name__)
_CODE: tuple[PrunedPart] = ("bundle",)
LOOK_SECONDS = 10.0
"""Between two looks for a request."""
CODE_AGE = timedelta(days=1)
"""Younger versions of code stay until a later round: they may be of a Submission that is only just being admitted."""
ROUND = timedelta(hours=1)
"""Between two rounds through the store, and from the operator's start to the first."""


@dataclass
class RetentionKeeper:
    """The only one that writes ``status.retention`` of a Competition and ``status.pruned`` of a Submission."""

    api: Api
    index: Index
    store: OperatorStore
    objects: StoredObjects
    teams: TeamList
    metrics: Metrics
    namespace: str
    """Of the competitions."""
    clock: Callable[[], datetime] = utc_now
    _next: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.clock() + ROUND

    async def run(self) -> None:
        """Looks for requests, and once an hour through the store, until cancelled."""
        while True:
            asked = [c for c in self.index.competitions.values() if is_asked(c)]
            if asked or self.clock() >= self._next:
                self._next = self.clock() + ROUND
                try:
                    await self.look(asked)
                except StoreError as error:
                    log.warning("The store was not looked through: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, asked: list[CompetitionView]) -> None:
        """One round. Raises StoreError."""
        use = await asyncio.to_thread(self.objects.measure)
        await self._show(use)
        due = [c for c in self.index.competitions.values() if c.spec.retention is not None or c in asked]
        for competition in due:
            try:
                await self._prune_or_report(competition, use)
            except ApiError as error:
                # Those after it have their round.
                log.warning("The retention of %s waits for the next round: %s", competition.name, error)

    async def _prune_or_report(self, competition: CompetitionView, use: StoreUse) -> None:
        """Raises ApiError."""
        try:
            # As it is now: the round takes its time, and its retention may be gone by then.
            if (newest := self._find_newest(competition)) is not None:
                await self._prune(newest, use)
        except StoreError as error:
            await self._report(competition, Size(), str(error))

    async def _show(self, use: StoreUse) -> None:
        """What each prefix and each team has, but for what a blind phase has made of it."""
        now, competitions = self.clock(), list(self.index.competitions.values())
        # In threads: among 10,000 Submissions it takes 0.1 s, and nothing of the views changes.
        submissions = list(self.index.submissions.values())
        owners = await asyncio.to_thread(find_hidden, use, competitions, submissions, now)
        sums = await asyncio.to_thread(use.sum_prefixes, owners)
        self.metrics.store.show_prefix_bytes({prefix: size.bytes for prefix, size in sums.items()})
        for competition in competitions:
            views = self.index.submissions_of(competition.namespace, competition.name)
            sizes = await asyncio.to_thread(sum_shown_teams, use, competition, views, now, blind=bool(owners))
            self.metrics.store.show_team_bytes(competition.name, sizes)

    async def _prune(self, competition: CompetitionView, use: StoreUse) -> None:
        given = await self._gather()
        plan = await asyncio.to_thread(plan_prune, given, competition)
        deleted, left = Size(), 0
        for one in plan.prunable:
            parts = [part for part in one.parts if part != "bundle" and _has(use, one.view, part)]
            if not parts:
                continue
            if self._is_changed(competition, given) or not await self._mark(one.view, parts):
                left += 1
                continue
            size = await asyncio.to_thread(
                self.objects.delete_run_parts, one.view.uid, one.view.namespace, parts
            )
            deleted.add(size.objects, size.bytes)
        for sha256, views in group_by_code(plan.prunable).items():
            if sha256 not in use.of_code:
                continue
            if self._is_changed(competition, given):
                left += len(views)
            elif await self._mark_code(sha256, {view.uid for view in views}):
                size = await asyncio.to_thread(self.objects.delete_code, sha256, self.clock() - CODE_AGE)
                deleted.add(size.objects, size.bytes)
        await self._report(competition, deleted, describe_round(competition, deleted, left))

    def _find_newest(self, competition: CompetitionView) -> CompetitionView | None:
        """None where it is deleted."""
        return self.index.competitions.get((competition.namespace, competition.name))

    def _is_changed(self, planned: CompetitionView, given: RetentionInput) -> bool:
        """Whether the organizer has changed or deleted it since the plan: nothing more goes by that plan.

        A dataset too: with another solution everything is scored again, and needs its predictions.
        """
        newest = self._find_newest(planned)
        return (
            newest is None or newest.spec != planned.spec or self.index.datasets_by_name() != given.datasets
        )

    async def _gather(self) -> RetentionInput:
        """Raises StoreError."""
        counted: dict[tuple[str, str, str], tuple[CountedSubmission, ...]] = {}
        for competition in self.index.competitions.values():
            for phase in competition.spec.phases:
                where = (competition.namespace, competition.name, phase.name)
                found = await asyncio.to_thread(self.store.counted, *where)
                counted[where] = found.entries if found is not None else ()
        other_releases = await asyncio.to_thread(self.objects.list_releases) - {self.namespace}
        unseen = [t for t in self.teams.namespaces if not self.index.is_filled(SUBMISSIONS, t)]
        return RetentionInput(
            competitions=tuple(self.index.competitions.values()),
            submissions=tuple(self.index.submissions.values()),
            datasets=self.index.datasets_by_name(),
            counted=counted,
            jobs=tuple(record.view for record in self.index.jobs.values()),
            now=self.clock(),
            code_kept=SHARED if other_releases else UNSEEN if unseen else "",
        )

    async def _mark(self, view: SubmissionView, parts: Collection[PrunedPart]) -> bool:
        """Says so in the status of the version that the plan saw; False where there is a newer one."""
        now = self.clock()
        old = view.status.pruned or PrunedParts()
        new = old.replace(**{part: now for part in parts if getattr(old, part) is None})
        if new == old:
            return True
        body = {
            "metadata": {"resourceVersion": view.resource_version},
            "status": {"pruned": to_json(new)},
        }
        try:
            made = await self.api.patch(SUBMISSIONS, view.namespace, view.name, body, "status")
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
            return False
        self.index.apply(SUBMISSIONS, made)
        return True

    async def _mark_code(self, sha256: str, planned: Collection[str]) -> bool:
        """In the status of all that have it; False where another has it too by then. ``planned``: UIDs."""
        for view in self._find_having(sha256):
            if view.uid not in planned or not await self._mark(view, _CODE):
                return False
        # Again: one may have come while the marks were written. After them nobody is admitted without an upload.
        having = {view.uid for view in self._find_having(sha256)}
        return bool(having) and having <= set(planned)

    def _find_having(self, sha256: str) -> list[SubmissionView]:
        return [view for view in self.index.submissions.values() if sha256 in names_of_code(view)]

    async def _report(self, competition: CompetitionView, deleted: Size, message: str) -> None:
        newest = self._find_newest(competition)
        if newest is None:
            return
        old = newest.status.retention or RetentionStatus()
        if not is_asked(newest) and (not message or old.message == message[:1024]) and not deleted.objects:
            return
        new = RetentionStatus(
            request=newest.prune_request,
            at=self.clock(),
            objects=old.objects + deleted.objects,
            bytes=old.bytes + deleted.bytes,
            message=(message or "Nothing was due.")[:1024],
        )
        body = {"status": {"retention": to_json(new)}}
        made = await self.api.patch(COMPETITIONS, competition.namespace, competition.name, body, "status")
        self.index.apply(COMPETITIONS, made)


def is_asked(competition: CompetitionView) -> bool:
    """Whether there is a request to apply the retention now that is not answered yet."""
    answered = competition.status.retention.request if competition.status.retention else ""
    return competition.prune_request not in ("", answered)


def describe_round(competition: CompetitionView, deleted: Size, left: int) -> str:
    """What became of it, for ``status.retention.message``; "" where nothing was due.

    ``left``: Submissions that stay since something was changed meanwhile.
    """
    if competition.spec.retention is None:
        return "Nothing was deleted: the Competition has no retention. Set spec.retention."
    said = []
    if deleted.objects:
        objects, were = count_of(deleted.objects, "object"), "was" if deleted.objects == 1 else "were"
        said.append(f"{objects} of {format_bytes(deleted.bytes)} {were} deleted for good.")
    if left:
        said.append(
            f"Changed meanwhile: {count_of(left, 'Submission')}, the Competition or a Dataset. "
            "The next round looks again."
        )
    return " ".join(said)


def _has(use: StoreUse, view: SubmissionView, part: PrunedPart) -> bool:
    return part in use.of_submissions.get(view.uid, {})
