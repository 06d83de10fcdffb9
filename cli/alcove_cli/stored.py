"""``alcove usage`` and ``alcove prune``: what takes room in the store, and what retention deletes of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from alcove_api import keys
from alcove_api.board_documents import CountedSubmission, CountedSubmissions
from alcove_api.competition import PRUNE
from alcove_api.words import count_of, format_bytes
from alcove_audit.reading import DOCUMENT_BYTES
from alcove_cli.competitions import parse_competition_object
from alcove_cli.errors import CommandError, FaultError
from alcove_cli.evidence import AUDITOR_SECRET, finish_or_say, read_settings
from alcove_cli.exchange import StoreAccess
from alcove_cli.recheck import new_request
from alcove_kube.client import KubeClient
from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, SUBMISSIONS
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.retention import (
    SHARED,
    PrunedPart,
    PrunePlan,
    RetentionInput,
    is_pruned,
    plan_prune,
)
from alcove_operator.core.store_use import PARTS, Part, Size, StoreUse, UseRow, list_rows, sum_teams
from alcove_operator.retention import is_asked
from alcove_operator.stored_objects import StoredObjects
from alcove_store.client import get_bytes
from alcove_store.errors import StoreNotFoundError

ANSWER_SECONDS = 600.0
_HEADINGS: Mapping[Part, str] = {
    "snapshots": "SNAPSHOTS",
    "logs": "OUTPUT",
    "results": "RESULTS",
    "bundle": "CODE",
    "uploads": "UPLOADS",
}


@dataclass(frozen=True)
class StoredCompetition:
    """A competition, all that is known of its release, and what the store holds of it."""

    competition: CompetitionView
    given: RetentionInput
    use: StoreUse

    @classmethod
    def read(cls, kube: KubeClient, ref: tuple[str, str], endpoint: str | None) -> StoredCompetition:
        """Raises CommandError where it is not there or (of exit status 3) cluster or store do not answer."""
        with finish_or_say():
            competitions = [parse_competition_object(raw) for raw in kube.find_all(COMPETITIONS, ref[0])]
            found = next((c for c in competitions if (c.namespace, c.name) == ref), None)
            if found is None:
                raise CommandError(f"There is no Competition {'/'.join(ref)}. Give NAMESPACE/NAME.")
            access = StoreAccess.of_secret(kube, ref[0], AUDITOR_SECRET, endpoint)
            objects = StoredObjects(access.client(), access.bucket, access.uploads)
            other_releases = objects.list_releases() - {ref[0]}
            given = RetentionInput(
                competitions=competitions,
                submissions=_read_submissions(kube, ref[0]),
                datasets={
                    view.name: view
                    for view in map(parse_objects.dataset_view, kube.find_all(DATASETS, ref[0]))
                },
                counted=_read_counted(objects, competitions),
                jobs=[parse_objects.job_view(raw) for raw in kube.find_all(JOBS, ref[0])],
                now=datetime.now(UTC),
                code_kept=SHARED if other_releases else "",
            )
            return cls(found, given, objects.measure())

    @property
    def views(self) -> list[SubmissionView]:
        """Its Submissions, reruns and baselines among them."""
        ref = (self.competition.namespace, self.competition.name)
        return [
            view
            for view in self.given.submissions
            if view.spec and (view.spec.competition.namespace, view.spec.competition.name) == ref
        ]

    def plan(self) -> PrunePlan:
        """What the operator would delete now. Raises CommandError where the Competition has no retention."""
        if self.competition.spec.retention is None:
            raise CommandError(
                f"The Competition {self.competition.namespace}/{self.competition.name} has no retention, so nothing is "
                "ever deleted. Set spec.retention, for example {snapshotsDays: 30}."
            )
        return plan_prune(self.given, self.competition)


def _read_submissions(kube: KubeClient, namespace: str) -> list[SubmissionView]:
    """Of the release's teams and of the organizer: those that the operator knows."""
    settings = read_settings(kube, namespace)
    known = None if settings is None else {namespace, *settings.watched}
    views = map(parse_objects.submission_view, kube.find_all(SUBMISSIONS, None))
    return [view for view in views if known is None or view.namespace in known]


def _read_counted(
    objects: StoredObjects, competitions: Iterable[CompetitionView]
) -> dict[tuple[str, str, str], tuple[CountedSubmission, ...]]:
    found: dict[tuple[str, str, str], tuple[CountedSubmission, ...]] = {}
    for competition in competitions:
        for phase in competition.spec.phases:
            where = (competition.namespace, competition.name, phase.name)
            try:
                key = keys.board(*where, "counted.json")
                data = get_bytes(objects.client, objects.bucket, key, limit=DOCUMENT_BYTES)
                found[where] = CountedSubmissions.model_validate_json(data).entries
            except StoreNotFoundError:
                found[where] = ()
    return found


# --- alcove usage


def describe_use(stored: StoredCompetition, by: str) -> list[str]:
    """A table, of teams within 80 columns; ``by``: team, submission or prefix."""
    if by == "prefix":
        sizes = sorted(stored.use.sum_prefixes().items(), key=lambda item: -item[1].bytes)
        return [
            f"{'PREFIX':<16}  {'OBJECTS':>9}  {'TOTAL':>9}",
            *(f"{name:<16}  {s.objects:>9}  {format_bytes(s.bytes):>9}" for name, s in sizes),
        ]
    rows = list_rows(stored.use, stored.views)
    rows = sum_teams(rows) if by == "team" else rows
    names = [row.team if by == "team" else f"{row.team}/{row.submission or '-'}" for row in rows]
    width = max([len(name) for name in names] + [10])
    heading = "  ".join(f"{_HEADINGS[part]:>9}" for part in PARTS)
    lines = [f"{by.upper():<{width}}  {heading}  {'TOTAL':>9}"]
    for name, row in zip(names, rows, strict=True):
        cells = "  ".join(f"{_cell(row, part):>9}" for part in PARTS)
        lines.append(f"{name:<{width}}  {cells}  {format_bytes(row.bytes):>9}")
    return lines


def _cell(row: UseRow, part: Part) -> str:
    return format_bytes(row.parts[part].bytes) if part in row.parts else "-"


def use_document(stored: StoredCompetition) -> dict[str, Any]:
    """For ``--json``: teams, Submissions and prefixes, in bytes."""
    rows = list_rows(stored.use, stored.views)
    return {
        "teams": [{"team": row.team, **_as_fields(row)} for row in sum_teams(rows)],
        "submissions": [
            {"team": row.team, "submission": row.submission, "phase": row.phase, **_as_fields(row)}
            for row in rows
        ],
        "prefixes": [
            {"prefix": name, "objects": size.objects, "bytes": size.bytes}
            for name, size in sorted(stored.use.sum_prefixes().items())
        ],
    }


def _as_fields(row: UseRow) -> dict[str, object]:
    parts = {part: {"objects": s.objects, "bytes": s.bytes} for part, s in row.parts.items()}
    return {"bytes": row.bytes, "parts": parts}


# --- alcove prune


@dataclass(frozen=True)
class PruneRow:
    """One part of one Submission that goes."""

    team: str
    submission: str
    part: Part
    size: Size


def list_prunable(stored: StoredCompetition, plan: PrunePlan) -> list[PruneRow]:
    """Of code that several have, one row: with the first."""
    rows, code = [], dict(stored.use.of_code)
    for one in plan.prunable:
        view = one.view
        for part in one.parts:
            if part == "bundle":
                size = code.pop(view.status.code_sha256, None)
            else:
                size = stored.use.of_submissions.get(view.uid, {}).get(part)
            if size is not None:
                rows.append(PruneRow(view.team, view.name, part, size))
    return rows


def list_days(stored: StoredCompetition) -> dict[PrunedPart, int]:
    """After how many days each part goes; without those that stay."""
    retention = stored.competition.spec.retention
    assert retention is not None
    days: Mapping[PrunedPart, int | None] = {
        "snapshots": retention.snapshots_days,
        "logs": retention.logs_days,
        "bundle": retention.bundles_days,
    }
    return {part: number for part, number in days.items() if number is not None}


def count_pruned(stored: StoredCompetition) -> Counter[PrunedPart]:
    """Of how many Submissions each part went before."""
    parts = get_args(PrunedPart)
    return Counter(part for part in parts for view in stored.views if is_pruned(view, part))


def describe_plan(stored: StoredCompetition, plan: PrunePlan, rows: Sequence[PruneRow]) -> list[str]:
    """What goes, and why the rest does not; in at most 80 columns but for long names."""
    lines = []
    names = [f"{row.team}/{row.submission}" for row in rows]
    width = max([len(name) for name in names] + [10])
    if rows:
        lines.append(f"{'SUBMISSION':<{width}}  {'PART':<11}  {'OBJECTS':>7}  {'SIZE':>9}")
    for name, row in zip(names, rows, strict=True):
        part = _HEADINGS[row.part].lower()
        lines.append(f"{name:<{width}}  {part:<11}  {row.size.objects:>7}  {format_bytes(row.size.bytes):>9}")
    total = sum(row.size.bytes for row in rows)
    count = len({(row.team, row.submission) for row in rows})
    set_days = [f"{_HEADINGS[p].lower()} after {count_of(n, 'day')}" for p, n in list_days(stored).items()]
    lines += [""] if rows else []
    when = ", ".join(set_days) or "no days are set"
    whose = count_of(count, "submission")
    lines.append(f"Goes: {format_bytes(total)} of {whose} that nothing needs ({when}).")
    lines += [f"Kept: {number}, since {reason}." for reason, number in plan.retained.items()]
    pruned = count_pruned(stored)
    if pruned:
        whose = ", ".join(f"{_HEADINGS[p].lower()} of {count_of(n, 'submission')}" for p, n in pruned.items())
        lines.append(f"Gone before: {whose}.")
    if pruned["snapshots"] or any(row.part == "snapshots" for row in rows):
        lines.append(
            "Without its snapshots a submission cannot be scored by other settings or a corrected solution: it is "
            "then left off the board."
        )
    return lines


def plan_document(stored: StoredCompetition, plan: PrunePlan, rows: Sequence[PruneRow]) -> dict[str, Any]:
    """For ``--json``: what the table says."""
    return {
        "bytes": sum(row.size.bytes for row in rows),
        "days": list_days(stored),
        "prunable": [
            {
                "team": row.team,
                "submission": row.submission,
                "part": row.part,
                "objects": row.size.objects,
                "bytes": row.size.bytes,
            }
            for row in rows
        ],
        "kept": [{"reason": reason, "count": number} for reason, number in plan.retained.items()],
        "pruned": [{"part": part, "count": number} for part, number in count_pruned(stored).items()],
    }


def ask_operator(
    kube: KubeClient, ref: tuple[str, str], say: Callable[[str], None], timeout: float = ANSWER_SECONDS
) -> str:
    """Has the operator apply the retention now; returns what it says of it.

    Raises FaultError where it does not answer.
    """
    kube.patch(COMPETITIONS, *ref, {"metadata": {"annotations": {PRUNE: new_request()}}})
    began = said = time.monotonic()
    while time.monotonic() - began < timeout:
        found = parse_competition_object(kube.get(COMPETITIONS, *ref))
        if not is_asked(found) and found.status.retention is not None:
            return found.status.retention.message
        if time.monotonic() - said >= 2:
            said = time.monotonic()
            say(f"  … waiting for the operator, {said - began:.0f} s")
        time.sleep(0.5)
    raise FaultError(
        f"The operator has not answered within {timeout:.0f} s.",
        remedy=f"It may still do it: kubectl get competition {ref[1]} -n {ref[0]} -o jsonpath={{.status.retention}}",
    )
