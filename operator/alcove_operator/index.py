"""What the operator knows of the cluster: small frozen views, kept up to date by watches and full lists.

Who writes: :meth:`Index.apply` and :meth:`Index.replace` (watch events, full lists, and the answers to our own writes)
and :meth:`Index.drop` (a read that found nothing). Each runs from start to end without an await, so no reader ever sees
half of a change. Whoever awaits must take it that every row may be another one, or gone, afterwards: look it up again,
and compare its UID before doing anything in its name.

The index may lag behind, and its sources overtake each other: the answer to a write is often here before the watch
tells of what was there earlier, and a full list is older than the events that came while it was under way. So each row
knows its resource version (the server counts these upwards), an older one never replaces a newer one, and a deletion is
remembered until the next full list, so that nothing brings the object back meanwhile.

Absence proves something only where a namespace was listed: :meth:`Index.is_filled`. And nothing is decided on the index
alone that could not be undone: names are computed, and writes carry the resource version of what they were decided on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from alcove_api.team_usage import TeamUsageStatus
from alcove_kube.client import Object
from alcove_kube.resources import (
    COMPETITIONS,
    DATASETS,
    JOBS,
    LEADERBOARDS,
    PODS,
    SUBMISSIONS,
    TEAM_USAGES,
    Resource,
)
from alcove_operator import logs
from alcove_operator.core import boards, names, parse_objects
from alcove_operator.core.model import CompetitionView, DatasetView, JobView, PodView, SubmissionView
from alcove_operator.core.status import ENDED
from alcove_operator.records import READERS, BoardRecord, DatasetRecord, JobRecord, PodRecord, UsageRecord
from alcove_operator.shared_values import share_values
from alcove_operator.tables import ObjectName, Table

log = logging.getLogger(__name__)


WorkKind = Literal["submission", "competition", "board", "dataset", "rescore"]
"""board: a look at all that was submitted to a Competition; rescore: a Job of `alcove rescore`."""


class WorkKey(NamedTuple):
    """What one turn is about; no two turns on one key run at a time."""

    kind: WorkKind
    namespace: str
    name: str


class Version(NamedTuple):
    generation: int
    """Counts the changes of the spec."""
    resource: int
    """Counts all changes."""


@dataclass(frozen=True)
class Known:
    """What was known of one kind in one namespace at one moment: resource versions by name."""

    rows: Mapping[ObjectName, int]
    deleted: Mapping[ObjectName, int]


def _competition_of(view: SubmissionView) -> ObjectName | None:
    return (view.spec.competition.namespace, view.spec.competition.name) if view.spec else None


def _phase_of(view: SubmissionView) -> tuple[str, str, str] | None:
    of = _competition_of(view)
    return (*of, view.spec.phase) if of and view.spec and not view.shows_rerun else None


def _has_curve(view: SubmissionView) -> bool:
    return any(run.curve for run in view.status.runs)


def _submissions() -> Table[SubmissionView]:
    return Table(
        uid=lambda view: view.uid,
        competition=_competition_of,
        open=lambda view: None if view.status.phase in ENDED else _competition_of(view),
        phase=_phase_of,
        ranked=lambda view: _phase_of(view) if boards.is_ranked(view.status) else None,
        result=lambda view: _competition_of(view) if view.shows_rerun else None,
        namespace=lambda view: view.namespace,
    )


def _jobs() -> Table[JobRecord]:
    return Table(submission_uid=lambda job: job.labels.get(names.SUBMISSION_UID))


def _pods() -> Table[PodRecord]:
    return Table(submission_uid=lambda pod: pod.labels.get(names.SUBMISSION_UID))


def _usages() -> Table[UsageRecord]:
    return Table(competition=lambda record: record.competition)


@dataclass
class Index:
    submissions: Table[SubmissionView] = field(default_factory=_submissions)
    competitions: dict[ObjectName, CompetitionView] = field(default_factory=dict)
    datasets: dict[ObjectName, DatasetRecord] = field(default_factory=dict)
    leaderboards: dict[ObjectName, BoardRecord] = field(default_factory=dict)
    usages: Table[UsageRecord] = field(default_factory=_usages)
    jobs: Table[JobRecord] = field(default_factory=_jobs)
    pods: Table[PodRecord] = field(default_factory=_pods)
    versions: dict[tuple[Resource, str, str], Version] = field(default_factory=dict)
    """Of every row of every table, and of what is unreadable."""
    unreadable: dict[tuple[Resource, str, str], str] = field(default_factory=dict)
    """What is wrong with an object whose newest version cannot be read. It has no row: nothing is judged by an older
    version, which a restart would have forgotten."""
    queue_problems: dict[ObjectName, tuple[str, str] | None] = field(default_factory=dict)
    """By LocalQueue of Kueue that was looked at: reason and message of what keeps it from admitting anything."""
    deleted_scored: dict[tuple[ObjectName, str, str], SubmissionView] = field(default_factory=dict)
    """By competition, phase and team: the newest Submission that was deleted and had a score."""
    _deleted: dict[tuple[Resource, str], dict[ObjectName, int]] = field(default_factory=dict)
    """By kind and namespace: the resource versions of what was deleted since the last full list."""
    dataset_changes: Counter[str] = field(default_factory=Counter)
    """By alias: how often one that has it came, went, or is another in what runs and scores depend on."""
    _shortened: set[ObjectName] = field(default_factory=set)
    """Submissions of whose status the curves were dropped."""
    _filled: set[tuple[Resource, str]] = field(default_factory=set)
    listed_marks: set[ObjectName] = field(default_factory=set)
    """Submissions whose mark was first seen in a list, so that it may have been there for a while."""
    on_change: Callable[[Resource, Object, bool], Callable[[], None]] | None = None
    """Called before an object, perhaps deleted, is taken in; what it returns is called afterwards."""

    def apply(self, resource: Resource, raw: Object, deleted: bool = False) -> None:
        """Takes in one object, unless this version of it or a newer one is known.

        An object that cannot be read goes into :attr:`unreadable`, and the log says so.
        """
        meta = raw["metadata"]
        name = (meta["namespace"], meta["name"])
        version = Version(int(meta.get("generation", 1)), int(meta["resourceVersion"]))
        known = self.versions.get((resource, *name))
        latest = known.resource if known else self._deleted.get((resource, name[0]), {}).get(name, -1)
        # A deletion may carry the version that the object had.
        if version.resource < latest or (version.resource == latest and not (known and deleted)):
            return
        tell = self.on_change(resource, raw, deleted) if self.on_change else None
        self._take_in(resource, name, version, raw, deleted)
        if tell:
            tell()

    def _take_in(
        self, resource: Resource, name: ObjectName, version: Version, raw: Object, deleted: bool
    ) -> None:
        if deleted:
            self._remove(resource, name, version.resource)
            return
        if resource is SUBMISSIONS:
            self._shortened.discard(name)
            if not parse_objects.is_marked(raw):
                self.listed_marks.discard(name)
        self.versions[resource, *name] = version
        try:
            row = READERS[resource](raw)
            self._remember_scored(resource, name, getattr(row, "uid", ""))
            self._count_change(resource, name, row)
            self._table(resource)[name] = row
            self.unreadable.pop((resource, *name), None)
        except ValidationError as error:
            self._leave_alone(resource, name, parse_objects.describe_problems(error))

    def _count_change(self, resource: Resource, name: ObjectName, row: DatasetRecord | None) -> None:
        """Before ``row`` takes the place of what is there; None where that goes."""
        old = self.datasets.get(name)
        if resource is DATASETS and (old is None or row is None or old.view != row.view):
            self.dataset_changes.update({record.view.alias for record in (old, row) if record is not None})

    def _leave_alone(self, resource: Resource, name: ObjectName, problem: str) -> None:
        self._count_change(resource, name, None)
        self._table(resource).pop(name, None)
        if self.unreadable.get((resource, *name)) != problem:
            with logs.bind_object(resource.plural.removesuffix("s"), *name):
                log.warning(
                    "It cannot be read: %s. What depends on it waits. Correct it: kubectl edit %s %s -n %s.",
                    *(problem, resource.plural, name[1], name[0]),
                    extra={"cause": "Unreadable"},
                )
        self.unreadable[resource, *name] = problem

    def known(self, resource: Resource, namespace: str) -> Known:
        """What is known now of one kind in one namespace; to be asked for before a full list is."""
        names_of = self.submissions.names_having("namespace", namespace)
        if resource is not SUBMISSIONS:
            names_of = [name for name in self._table(resource) if name[0] == namespace]
        names_of += [
            (team, name) for of, team, name in self.unreadable if of is resource and team == namespace
        ]
        rows = {(team, name): self.versions[resource, team, name].resource for team, name in names_of}
        return Known(rows, dict(self._deleted.get((resource, namespace), {})))

    def replace(self, resource: Resource, namespace: str, before: Known, found: Iterable[Object]) -> None:
        """Takes in a full list of ``namespace``, which then counts as filled.

        ``before``: what was :meth:`known` when the list was asked for. What is not in the list is gone, unless it was
        changed or made since: of that the list knows nothing.
        """
        self.settle(resource, namespace, before, {self.apply_listed(resource, raw) for raw in found})

    def apply_listed(self, resource: Resource, raw: Object) -> ObjectName:
        """Takes in one object of a list, whose name it returns, for :meth:`settle` once the list is whole."""
        name = (raw["metadata"]["namespace"], raw["metadata"]["name"])
        if resource is SUBMISSIONS and parse_objects.is_marked(raw):
            known = self.submissions.get(name)
            if known is None or not known.chosen:
                self.listed_marks.add(name)
        self.apply(resource, raw)
        return name

    def settle(
        self, resource: Resource, namespace: str, before: Known, present: Collection[ObjectName]
    ) -> None:
        """The end of :meth:`replace`: ``present`` are the names of all that the list had."""
        deleted = self._deleted.get((resource, namespace), {})
        for name, version in before.deleted.items():
            if deleted.get(name) == version:
                del deleted[name]
        for name in before.rows.keys() - set(present):
            self.drop(resource, name, before.rows[name])
        self._filled.add((resource, namespace))

    def drop(self, resource: Resource, name: ObjectName, version: int) -> None:
        """A read that began when ``version`` was known found nothing: the object is gone, unless it changed since."""
        known = self.versions.get((resource, *name))
        if known and known.resource == version:
            self._remove(resource, name, version)

    def apply_whole(self, resource: Resource, raw: Object) -> None:
        """As :meth:`apply`, and where this version is known already, what was dropped of it is back."""
        meta = raw["metadata"]
        name = (meta["namespace"], meta["name"])
        version = Version(int(meta.get("generation", 1)), int(meta["resourceVersion"]))
        if self.versions.get((resource, *name)) == version:
            self._take_in(resource, name, version, raw, False)
        else:
            self.apply(resource, raw)

    def shorten(self, view: SubmissionView) -> None:
        """Drops the curves of one that has ended, once a newer one of its team in its phase has some, unless it runs
        another again: nothing but its own turn needs them then, which reads it again."""
        name = (view.namespace, view.name)
        if self.submissions.get(name) is not view or view.original is not None or not _has_curve(view):
            return
        mine = self.submissions.having("namespace", view.namespace)
        beside = [other for other in mine if (other.team, _phase_of(other)) == (view.team, _phase_of(view))]
        if max(filter(_has_curve, beside), key=boards.creation_order) is view:
            return
        runs = tuple(run.replace(curve=()) for run in view.status.runs)
        self.submissions[name] = replace(view, status=share_values(view.status.replace(runs=runs)))
        self._shortened.add(name)

    def is_shortened(self, view: SubmissionView) -> bool:
        return (view.namespace, view.name) in self._shortened

    def mark_deleting(self, name: ObjectName) -> None:
        """The server has been asked to delete a Job, and said yes: it need not be asked again until it says more."""
        row = self.jobs.get(name)
        if row is not None:
            self.jobs[name] = replace(row, view=replace(row.view, deleting=True))

    def _remember_scored(self, resource: Resource, name: ObjectName, uid: str = "") -> None:
        """Before the row of ``name`` goes, or becomes that of an object with another ``uid``."""
        old = self.submissions.get(name) if resource is SUBMISSIONS else None
        if old is None or old.uid == uid or old.spec is None or not boards.is_scored_in(old, old.spec.phase):
            return
        wanted = old.spec.competition
        key = ((wanted.namespace, wanted.name), old.spec.phase, old.namespace)
        newest = self.deleted_scored.get(key)
        if newest is None or boards.creation_order(newest) < boards.creation_order(old):
            self.deleted_scored[key] = old

    def _remove(self, resource: Resource, name: ObjectName, version: int) -> None:
        self._remember_scored(resource, name)
        self._count_change(resource, name, None)
        self._table(resource).pop(name, None)
        if resource is SUBMISSIONS:
            self._shortened.discard(name)
            self.listed_marks.discard(name)
        self.versions.pop((resource, *name), None)
        self.unreadable.pop((resource, *name), None)
        self._deleted.setdefault((resource, name[0]), {})[name] = version

    def is_filled(self, resource: Resource, namespace: str) -> bool:
        """Whether ``namespace`` was listed, and could still be at the last try: only then absence means something."""
        return (resource, namespace) in self._filled

    def forget_team(self, namespace: str) -> None:
        """Drops the Submissions of a namespace that is no longer a team's."""
        for name in list(self.submissions.names_having("namespace", namespace)):
            self._table(SUBMISSIONS).pop(name, None)
            self._shortened.discard(name)
            self.listed_marks.discard(name)
            self.versions.pop((SUBMISSIONS, *name), None)
        for key in [k for k in self.unreadable if k[:2] == (SUBMISSIONS, namespace)]:
            del self.unreadable[key]
            self.versions.pop(key, None)
        for deleted in [d for d in self.deleted_scored if d[2] == namespace]:
            del self.deleted_scored[deleted]
        self._deleted.pop((SUBMISSIONS, namespace), None)
        self.mark_unfilled(SUBMISSIONS, namespace)

    def mark_unfilled(self, resource: Resource, namespace: str) -> None:
        self._filled.discard((resource, namespace))

    def submission_by_uid(self, uid: str) -> SubmissionView | None:
        return next(iter(self.submissions.having("uid", uid)), None)

    def jobs_of(self, submission_uid: str) -> tuple[JobView, ...]:
        return tuple(record.view for record in self.jobs.having("submission_uid", submission_uid))

    def pods_of(self, submission_uid: str) -> tuple[PodView, ...]:
        return tuple(record.view for record in self.pods.having("submission_uid", submission_uid))

    def submissions_of(self, namespace: str, competition: str) -> list[SubmissionView]:
        """Of one competition, earliest first; those of the same second by name, the only order that a team can see."""
        return sorted(
            self.submissions.having("competition", (namespace, competition)), key=boards.creation_order
        )

    def open_submissions_of(self, namespace: str, competition: str) -> list[SubmissionView]:
        """Those of :meth:`submissions_of` that have not ended."""
        return sorted(self.submissions.having("open", (namespace, competition)), key=boards.creation_order)

    def submissions_in_phase(self, namespace: str, competition: str, phase: str) -> list[SubmissionView]:
        """Without those that only show what became of a rerun; in no promised order."""
        return self.submissions.having("phase", (namespace, competition, phase))

    def ranked_submissions(self, namespace: str, competition: str, phase: str) -> list[SubmissionView]:
        """Those of :meth:`submissions_in_phase` whose status says that they are on a board, or left out of it."""
        return self.submissions.having("ranked", (namespace, competition, phase))

    def results_of(self, namespace: str, competition: str) -> list[SubmissionView]:
        """Those that only show a team what became of a rerun."""
        return self.submissions.having("result", (namespace, competition))

    def count_submissions(self, namespace: str, competition: str, phase: str) -> int:
        """Of one phase, without those that only show what became of a rerun."""
        return self.submissions.count_having("phase", (namespace, competition, phase))

    def submissions_in(self, namespace: str) -> tuple[SubmissionView, ...]:
        return tuple(self.submissions.having("namespace", namespace))

    def datasets_by_name(self) -> dict[str, DatasetView]:
        return {row.view.name: row.view for row in self.datasets.values()}

    def with_usage(self, competition: CompetitionView, team: str | None = None) -> CompetitionView:
        """``competition`` with what its teams have used, or ``team`` alone."""
        earlier = competition.status.usage
        used: dict[str, TeamUsageStatus] = {
            entry.team: entry.usage for entry in earlier if team in (None, entry.team)
        }
        if team is None:
            found = self.usages.having("competition", (competition.namespace, competition.name))
        else:
            known = self.usages.get((competition.namespace, names.usage_name(competition.name, team)))
            found = [known] if known is not None else []
        for record in found:
            if record.usage is not None and record.competition_uid == competition.object_uid:
                used[record.team] = record.usage
        return replace(competition, usage=used)

    def all_keys(self) -> tuple[list[WorkKey], list[WorkKey]]:
        """Of everything; those of Submissions that have ended apart from all others."""
        urgent = [WorkKey("competition", *name) for name in self.competitions]
        urgent += [WorkKey("dataset", *name) for name in self.datasets]
        ended: list[WorkKey] = []
        for name, view in self.submissions.items():
            (ended if view.status.phase in ENDED else urgent).append(WorkKey("submission", *name))
        return urgent, ended

    def _table(self, resource: Resource) -> Any:
        return {
            SUBMISSIONS: self.submissions,
            COMPETITIONS: self.competitions,
            DATASETS: self.datasets,
            LEADERBOARDS: self.leaderboards,
            TEAM_USAGES: self.usages,
            JOBS: self.jobs,
            PODS: self.pods,
        }[resource]
