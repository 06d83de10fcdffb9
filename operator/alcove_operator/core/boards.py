"""Who counts in a phase, and by which scores they are ranked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

from alcove_api.board_documents import (
    AggregateRequest,
    BoardExclusion,
    BoardSubmission,
    CountedSubmission,
)
from alcove_api.competition import CompetitionSpec, Phase
from alcove_api.decisions import Exclusion
from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.core import scoring, scoring_retries
from alcove_operator.core.model import CompetitionView, DatasetView, JobView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, datasets_by_alias


def select_counted(
    views: Iterable[SubmissionView], phase: str, deleted: Iterable[SubmissionView] = (), stand: bool = True
) -> list[SubmissionView]:
    """The last Submission of each team that has a score, by time of creation to the second, then name; earliest first.

    One without any score, of a program that crashed say, never displaces one with a score.

    Args:
        views: those that exist.
        phase: its name.
        deleted: of this phase, those that still stand though they are gone.
        stand: whether one that is being deleted still counts.
    """
    scored = [v for v in views if is_scored_in(v, phase) and (stand or not v.deleting)]
    last = {v.namespace: v for v in sorted([*scored, *deleted], key=creation_order)}
    return sorted(last.values(), key=creation_order)


def select_ranked(
    rules: PhaseRules,
    views: Iterable[SubmissionView],
    deleted: Iterable[SubmissionView],
    datasets: Mapping[str, DatasetView],
) -> list[SubmissionView]:
    """Who is on the board of a phase. What is gone stands where the phase says so, while its score is by the settings
    of now: nobody can score it again.

    Args:
        views: those that exist.
        deleted: what ``counted.json`` has of those that are gone.
        datasets: by name.
    """
    stand = rules.phase.deleted_submissions == "stand"
    gone = list(deleted)
    wanted = compute_digests(gone, rules, datasets)
    usable = [view for view in gone if wanted[view.uid] == view.status.scoring_digest]
    ranked = [v for v in views if not is_excluded(rules, v.namespace, v.name)]
    standing = [v for v in usable if not is_excluded(rules, v.namespace, v.name)]
    return select_counted(ranked, rules.phase.name, standing if stand else (), stand)


def find_exclusion(spec: CompetitionSpec, phase: str, team: str, submission: str) -> Exclusion | None:
    """The first of ``spec.excluded`` that keeps this submission off the board of ``phase``."""
    for entry in spec.excluded:
        if entry.team == team and entry.submission in (None, submission) and entry.phase in (None, phase):
            return entry
    return None


def is_excluded(rules: PhaseRules, team: str, submission: str) -> bool:
    return find_exclusion(rules.spec, rules.phase.name, team, submission) is not None


def list_excluded(
    rules: PhaseRules, views: Iterable[SubmissionView], deleted: Iterable[SubmissionView]
) -> tuple[BoardExclusion, ...]:
    """What a board says of whom it leaves out: only those who could be on it, in the order of the spec.

    ``views``, ``deleted``: as for :func:`select_ranked`.
    """
    phase = rules.phase.name
    scored = [*(v for v in views if is_scored_in(v, phase)), *deleted]
    found = [find_exclusion(rules.spec, phase, v.namespace, v.name) for v in scored]
    return tuple(
        BoardExclusion(team=entry.team, submission=entry.submission or "", reason=entry.reason)
        for entry in rules.spec.excluded
        if entry in found
    )


def is_scored_in(view: SubmissionView, phase: str) -> bool:
    return view.spec is not None and view.spec.phase == phase and _has_score(view)


def update_counted(
    kept: Mapping[str, CountedSubmission], views: Iterable[SubmissionView]
) -> dict[str, CountedSubmission]:
    """``kept``, by team, with those of ``views`` that are newer, or that have another score by now.

    ``views``: scored, of one phase. What is kept never becomes older, whatever is deleted.
    """
    found = dict(kept)
    for view in views:
        if is_not_older(view, found.get(view.namespace)):
            found[view.namespace] = CountedSubmission(
                team=view.namespace,
                submission=view.name,
                submission_uid=view.uid,
                created_at=view.created_at,
                scoring_digest=view.status.scoring_digest,
                datasets=tuple(run.dataset for run in view.status.runs),
                score_sha256=view.status.score_sha256,
            )
    return found


def is_not_older(view: SubmissionView, entry: CountedSubmission | None) -> bool:
    """Whether ``view`` is the Submission of ``entry``, or was made after it."""
    if entry is None:
        return True
    return creation_order(view) >= (entry.created_at, entry.submission, entry.submission_uid)


def view_deleted(entry: CountedSubmission) -> SubmissionView:
    """A Submission that is gone, as far as ranking it needs to know it."""
    runs = tuple(RunStatus(dataset=alias) for alias in entry.datasets)
    return SubmissionView(
        uid=entry.submission_uid,
        namespace=entry.team,
        name=entry.submission,
        generation=1,
        resource_version="",
        created_at=entry.created_at,
        deleting=True,
        finalizers=(),
        spec=None,
        status=SubmissionStatus(
            phase="Done", scoring_digest=entry.scoring_digest, score_sha256=entry.score_sha256, runs=runs
        ),
    )


def _has_score(view: SubmissionView) -> bool:
    if not view.status.scoring_digest:
        return False
    return scoring.is_score_held_back(view.status) or any(run.alc is not None for run in view.status.runs)


def creation_order(view: SubmissionView) -> tuple[object, ...]:
    return view.created_at, view.name, view.uid


def compute_digests(
    views: Iterable[SubmissionView], rules: PhaseRules, datasets: Mapping[str, DatasetView]
) -> dict[str, str]:
    """By UID, of the score that each Submission has by the settings of now; where that cannot be said, of the one
    that it has. ``datasets``: by name."""
    by_alias = datasets_by_alias(rules, datasets)
    found = {}
    for view in views:
        asked = scoring.build_request(view, rules, by_alias)
        found[view.uid] = view.status.scoring_digest if isinstance(asked, str) else asked.scoring_digest()
    return found


def list_awaited(
    counted: Sequence[SubmissionView], wanted: Mapping[str, str], jobs: Iterable[JobView]
) -> list[SubmissionView]:
    """Whom a board has to wait for: scores by old settings and new ones cannot be ranked together.

    Not those whose scoring was given up, unless it was so for all: one that cannot be scored must not keep the others
    from their ranks, but settings by which nobody can be scored must not clear the board.
    """
    old = [view for view in counted if wanted[view.uid] != view.status.scoring_digest]
    if len(old) == len(counted):
        return old
    known = list(jobs) if old else []
    return [
        v
        for v in old
        if not scoring_retries.is_given_up(scoring_retries.newest_job(known, v.uid, wanted[v.uid]))
    ]


def keep_unseen(
    last: AggregateRequest | None, unseen: Collection[str], wanted: Mapping[str, str]
) -> tuple[BoardSubmission, ...] | None:
    """The entries of the last board of teams whose Submissions are not known now; ``wanted``: as for the new board.

    None where the board has to wait: it is not known what the last one was made of, or the settings have changed since,
    and scores by old settings and new ones cannot be ranked together.
    """
    if last is None:
        return None
    kept = tuple(entry for entry in last.entries if entry.team in unseen)
    changed = any(
        wanted.get(entry.submission_uid, entry.scoring_digest) != entry.scoring_digest
        for entry in last.entries
    )
    return None if kept and changed else kept


def build_board_request(
    competition: CompetitionView,
    phase: Phase,
    aliases: tuple[str, ...],
    views: Iterable[SubmissionView],
    wanted: Mapping[str, str],
    kept: Iterable[BoardSubmission] = (),
    excluded: tuple[BoardExclusion, ...] = (),
) -> AggregateRequest:
    """``views``: those that count; ``wanted``: digests of their scores, by UID; ``kept``: see :func:`keep_unseen`;
    ``excluded``: see :func:`list_excluded`.

    The generation is still to be set.
    """
    rules = PhaseRules(competition, phase)
    counted = [
        BoardSubmission(
            team=view.namespace,
            submission=view.name,
            submission_uid=view.uid,
            created_at=view.created_at,
            scoring_digest=wanted[view.uid],
        )
        for view in views
    ]
    order = attrgetter("created_at", "submission", "submission_uid")
    unseen = [entry for entry in kept if not is_excluded(rules, entry.team, entry.submission)]
    entries = tuple(sorted([*counted, *unseen], key=order))
    teams = {entry.team for entry in entries} | {left.team for left in excluded}
    return AggregateRequest(
        competition_namespace=competition.namespace,
        competition=competition.name,
        phase=phase.name,
        leaderboard=phase.name,
        datasets=aliases,
        method=competition.spec.ranking,
        decimals=phase.feedback.decimals,
        max_snapshots=phase.feedback.max_snapshots,
        budget_seconds=float(phase.budget.seconds),
        title=competition.spec.title,
        entries=entries,
        excluded=excluded,
        display_names={t.namespace: t.display_name for t in competition.spec.teams if t.namespace in teams},
    )
