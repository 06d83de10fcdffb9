"""Who counts in a phase, and by which scores they are ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from statistics import fmean, pstdev

from alcove_api.board_documents import (
    AggregateRequest,
    BoardExclusion,
    BoardSubmission,
    CountedSubmission,
)
from alcove_api.competition import CompetitionSpec
from alcove_api.decisions import Exclusion
from alcove_api.run_names import alias_of
from alcove_api.submission import (
    BundleCode,
    Code,
    CompetitionRef,
    RunStatus,
    SubmissionSpec,
    SubmissionStatus,
    explain_pruned,
)
from alcove_operator.core import scoring, scoring_retries
from alcove_operator.core import status as statuses
from alcove_operator.core.model import DatasetView, JobView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, datasets_by_alias
from alcove_operator.core.run_ends import OVER

_NEVER = datetime.min.replace(tzinfo=UTC)
SCORED_WITHIN = timedelta(seconds=60)
"""After a Submission's last run has ended its score is there, or takes so long that nobody waits beside it."""


def select_counted(
    rules: PhaseRules,
    views: Iterable[SubmissionView],
    deleted: Iterable[SubmissionView] = (),
    stand: bool = True,
) -> list[SubmissionView]:
    """Of those that have a score, the one of each team that counts, and each baseline; earliest first.

    One without any score, of a program that crashed say, never displaces one with a score.

    Args:
        rules: of the phase.
        views: those that exist.
        deleted: of this phase, those that still stand though they are gone.
        stand: whether one that is being deleted still counts.
    """
    scored = [v for v in views if is_scored_in(v, rules.phase.name) and (stand or not v.deleting)]
    found: defaultdict[tuple[str, str], list[SubmissionView]] = defaultdict(list)
    for view in [*scored, *deleted]:
        found[view.team, view.baseline].append(view)
    return sorted((pick_counted(rules, mine) for mine in found.values()), key=creation_order)


def pick_counted(rules: PhaseRules, mine: Iterable[SubmissionView]) -> SubmissionView:
    """Which of a team's scored Submissions counts, as the phase's ``counts`` says. At least one is given."""
    ordered = sorted(mine, key=creation_order, reverse=True)
    if rules.phase.counts == "chosen":
        return max(ordered, key=lambda view: view.status.chosen_at or _NEVER)
    if rules.phase.counts == "best":
        # Of equals the earliest: whoever tries again has to be better.
        return max(reversed(ordered), key=lambda view: compute_value(view, rules))
    return ordered[0]


def compute_value(view: SubmissionView, rules: PhaseRules) -> tuple[int, float]:
    """What ``counts: best`` compares, higher is better: first how many datasets have a score, then the mean of what is
    ranked on each: the mean of the shown ALC over the repeats, less its penalty."""
    scores: defaultdict[str, list[float | None]] = defaultdict(list)
    for run in view.status.runs:
        scores[alias_of(run.dataset)].append(run.alc)
    whole = [[alc for alc in found if alc is not None] for found in scores.values() if None not in found]
    values = [fmean(found) - rules.penalty * pstdev(found) for found in whole]
    return len(values), round(fmean(values), 9) if values else 0.0


def foresee_score(view: SubmissionView, rules: PhaseRules) -> tuple[datetime, datetime] | None:
    """From when until when the score of ``view`` may come at any moment: around the end of its last run, which may be
    that of its budget. None where it has ended or is of another phase, and while that cannot be said."""
    if view.status.phase in statuses.ENDED or view.spec is None or view.spec.phase != rules.phase.name:
        return None
    ends = []
    for run in view.status.runs:
        if run.phase in OVER:
            ends.append(run.ended_at or _NEVER)
        elif run.phase == "Running" and run.started_at is not None:
            ends.append(run.started_at + timedelta(seconds=rules.phase.budget.seconds))
        else:
            return None
    last = max(ends, default=_NEVER)
    return None if last == _NEVER else (last - scoring.HEAD_START, last + SCORED_WITHIN)


def select_ranked(
    rules: PhaseRules,
    views: Iterable[SubmissionView],
    deleted: Iterable[SubmissionView],
    datasets: Mapping[str, DatasetView],
) -> list[SubmissionView]:
    """Who is on the board of a phase. What is gone stands where the phase says so, while its score is by the settings
    of now: nobody can score it again, nor what retention has left without predictions.

    Args:
        views: those that exist.
        deleted: what ``counted.json`` has of those that are gone.
        datasets: by name.
    """
    stand = rules.phase.deleted_submissions == "stand"
    gone = list(deleted)
    wanted = compute_digests(gone, rules, datasets)
    usable = [view for view in gone if wanted[view.uid] == view.status.scoring_digest]
    ranked = [v for v in views if not is_excluded(rules, v) and not is_left_behind(rules, v, datasets)]
    standing = [v for v in usable if not is_excluded(rules, v)]
    return select_counted(rules, ranked, standing if stand else (), stand)


def is_left_behind(rules: PhaseRules, view: SubmissionView, datasets: Mapping[str, DatasetView]) -> bool:
    """Whether it has a score by other settings, and retention has deleted what the new one would be made of.

    ``datasets``: by name.
    """
    pruned = bool(view.status.scoring_digest and explain_pruned(view.status, "snapshots"))
    return pruned and compute_digests([view], rules, datasets)[view.uid] != view.status.scoring_digest


def find_exclusion(spec: CompetitionSpec, phase: str, team: str, submission: str) -> Exclusion | None:
    """The first of ``spec.excluded`` that keeps this submission off the board of ``phase``."""
    for entry in spec.excluded:
        if entry.team == team and entry.submission in (None, submission) and entry.phase in (None, phase):
            return entry
    return None


def is_excluded(rules: PhaseRules, view: SubmissionView) -> bool:
    return find_exclusion(rules.spec, rules.phase.name, view.team, view.name) is not None


def list_excluded(
    rules: PhaseRules, views: Iterable[SubmissionView], deleted: Iterable[SubmissionView]
) -> tuple[BoardExclusion, ...]:
    """What a board says of whom it leaves out: only those who could be on it, in the order of the spec.

    ``views``, ``deleted``: as for :func:`select_ranked`.
    """
    phase = rules.phase.name
    if not rules.spec.excluded:
        return ()
    scored = [*(v for v in views if is_scored_in(v, phase)), *deleted]
    found = [find_exclusion(rules.spec, phase, v.team, v.name) for v in scored]
    return tuple(
        BoardExclusion(team=entry.team, submission=entry.submission or "", reason=entry.reason)
        for entry in rules.spec.excluded
        if entry in found
    )


def is_scored_in(view: SubmissionView, phase: str) -> bool:
    """What shows a rerun to its team is not counted beside the rerun."""
    return not view.shows_rerun and view.spec is not None and view.spec.phase == phase and _has_score(view)


def update_counted(
    counted: Mapping[str, CountedSubmission], views: Iterable[SubmissionView], rules: PhaseRules
) -> dict[str, CountedSubmission]:
    """``counted``, by team, with those of ``views`` that count in their place, or that have another score by now.

    ``views``: scored, of one phase. What has counted gives way to what counts before it, and to nothing else,
    whatever is deleted.
    """
    found = dict(counted)
    given: defaultdict[str, list[SubmissionView]] = defaultdict(list)
    for view in views:
        given[view.team].append(view)
    for team, mine in given.items():
        entry = found.get(team)
        if entry is not None and all(view.uid != entry.submission_uid for view in mine):
            stands = view_deleted(entry, rules)
            if pick_counted(rules, [*mine, stands]) is stands:
                continue
        found[team] = build_entry(pick_counted(rules, mine))
    return found


def build_entry(view: SubmissionView) -> CountedSubmission:
    """What of a Submission is needed once it is deleted."""
    return CountedSubmission(
        team=view.team,
        submission=view.name,
        submission_uid=view.uid,
        created_at=view.created_at,
        scoring_digest=view.status.scoring_digest,
        datasets=tuple(run.dataset for run in view.status.runs),
        scores=tuple(run.alc for run in view.status.runs),
        score_sha256=view.status.score_sha256,
        pages_sha256=view.status.pages_sha256,
        chosen_at=view.status.chosen_at,
        code=admitted_code(view),
    )


def admitted_code(view: SubmissionView) -> Code | None:
    """The code as it was admitted, by digest; None of a Submission that was not."""
    if view.spec is None or view.status.admitted_at is None:
        return None
    code, sha256 = view.spec.code, view.status.code_sha256
    return code if code.image else Code(bundle=BundleCode(sha256=sha256), framework=code.framework)


def may_count(view: SubmissionView, stands: SubmissionView | None, rules: PhaseRules) -> bool:
    """Whether ``view``, scored, is what is kept of its team, or would count before it. ``stands``: the
    :func:`view_deleted` of what is kept."""
    return stands is None or view.uid == stands.uid or pick_counted(rules, [view, stands]) is view


def view_deleted(entry: CountedSubmission, rules: PhaseRules) -> SubmissionView:
    """A Submission that is gone, as far as ranking it, and running its code again, needs to know it."""
    scores = entry.scores or (None,) * len(entry.datasets)
    runs = tuple(RunStatus(dataset=run, alc=alc) for run, alc in zip(entry.datasets, scores, strict=True))
    wanted = CompetitionRef(namespace=rules.competition.namespace, name=rules.competition.name)
    bundle = entry.code.bundle if entry.code else None
    return SubmissionView(
        uid=entry.submission_uid,
        namespace=entry.team,
        name=entry.submission,
        generation=1,
        resource_version="",
        created_at=entry.created_at,
        deleting=True,
        finalizers=(),
        spec=SubmissionSpec(competition=wanted, phase=rules.phase.name, code=entry.code)
        if entry.code
        else None,
        status=SubmissionStatus(
            phase="Done",
            admitted_at=entry.created_at,
            code_sha256=bundle.sha256 if bundle else "",
            scoring_digest=entry.scoring_digest,
            score_sha256=entry.score_sha256,
            pages_sha256=entry.pages_sha256,
            chosen_at=entry.chosen_at,
            runs=runs,
        ),
    )


def is_ranked(status: SubmissionStatus) -> bool:
    """Whether it says that its Submission is on a board, or left out of it."""
    return bool(status.counted or status.place or status.excluded or status.rank is not None)


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
    unseen_entries = tuple(entry for entry in last.entries if entry.team in unseen)
    changed = any(
        wanted.get(entry.submission_uid, entry.scoring_digest) != entry.scoring_digest
        for entry in last.entries
    )
    return None if unseen_entries and changed else unseen_entries


def list_targets(rules: PhaseRules, datasets: Mapping[str, DatasetView]) -> dict[str, float]:
    """By alias, the score that ranks are times to; none where the phase ranks otherwise. ``datasets``: by name."""
    if rules.ranking != "performance-profile":
        return {}
    views = (datasets[name] for name in rules.phase.datasets if name in datasets)
    return {view.alias: view.target for view in views if view.target is not None}


def build_board_request(
    rules: PhaseRules,
    aliases: tuple[str, ...],
    views: Iterable[SubmissionView],
    wanted: Mapping[str, str],
    unseen_entries: Iterable[BoardSubmission] = (),
    excluded: tuple[BoardExclusion, ...] = (),
    targets: Mapping[str, float] | None = None,
) -> AggregateRequest:
    """``views``: those that count; ``wanted``: digests of their scores, by UID; ``unseen_entries``: see
    :func:`keep_unseen`; ``excluded``: see :func:`list_excluded`; ``targets``: see :func:`list_targets`.

    The generation is still to be set.
    """
    counted = [
        BoardSubmission(
            team=view.team,
            submission=view.name,
            submission_uid=view.uid,
            created_at=view.created_at,
            scoring_digest=wanted[view.uid],
            baseline=view.baseline,
        )
        for view in views
    ]
    order = attrgetter("created_at", "submission", "submission_uid")
    competition, phase = rules.competition, rules.phase
    included = [
        entry
        for entry in unseen_entries
        if find_exclusion(rules.spec, phase.name, entry.team, entry.submission) is None
    ]
    entries = tuple(sorted([*counted, *included], key=order))
    teams = {entry.team for entry in entries} | {left.team for left in excluded}
    return AggregateRequest(
        competition_namespace=competition.namespace,
        competition=competition.name,
        competition_uid=competition.uid,
        phase=phase.name,
        leaderboard=phase.name,
        datasets=aliases,
        repeats=phase.repeats,
        penalty=rules.penalty,
        compare_with=phase.baseline or "",
        method=rules.ranking,
        targets=dict(targets or {}),
        decimals=phase.feedback.decimals,
        max_snapshots=phase.feedback.max_snapshots,
        budget_seconds=float(phase.budget.seconds),
        title=competition.spec.title,
        entries=entries,
        excluded=excluded,
        display_names={t.namespace: t.display_name for t in competition.spec.teams if t.namespace in teams},
    )
