"""What each team has used, counted exactly once.

A counted Submission leaves its UID in ``TeamUsage.settling`` until it is settled: a ticket. Counting with the
ticket there does nothing; settling takes the ticket away, and without it does nothing. Both are one write of
the Competition's status with its resourceVersion, so a crash at any point, and any repetition, counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from alcove_api.competition import CompetitionStatus, Limits, Resources, TeamUsage
from alcove_api.score_documents import ScoreResult
from alcove_api.submission import RunStatus
from alcove_operator.core.actions import SettleUsage
from alcove_operator.core.model import QuotaRefusal, ScoreFault, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, is_blind

MAX_IN_FLIGHT = 1000
"""Tickets of a team at once: what the status has room for."""


def usage_of_team(status: CompetitionStatus, team: str) -> TeamUsage:
    return next((u for u in status.usage if u.team == team), TeamUsage(team=team))


def is_counted(status: CompetitionStatus, team: str, submission_uid: str) -> bool:
    """Whether the Submission is counted and not yet settled."""
    return submission_uid in usage_of_team(status, team).settling


def describe_use(status: CompetitionStatus, team: str, limits: Limits) -> str:
    """What the team has used of its limits: "2 of 10 today, 7 of 100 in all"."""
    used = usage_of_team(status, team)
    return f"{used.today} of {limits.per_day} today, {used.total} of {limits.total} in all"


def find_refusal(usage: TeamUsage, limits: Limits, now: datetime) -> QuotaRefusal | None:
    """Which limit, if any, stands against one more Submission."""
    if usage.total >= limits.total:
        return QuotaRefusal(
            "total",
            f"The team has used all of its {limits.total} submissions in this competition. "
            "Ask the organizer if it needs more.",
        )
    if usage.day == _day(now) and usage.today >= limits.per_day:
        frees = (now.astimezone(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
        return QuotaRefusal(
            "perDay",
            f"The team has used all of its {limits.per_day} submissions of today. "
            f"Submit again, under another name, from {frees} on.",
        )
    if len(usage.settling) >= MAX_IN_FLIGHT:
        return QuotaRefusal(
            "inFlight",
            f"The team has {MAX_IN_FLIGHT} submissions under way. "
            "Submit again, under another name, when some have ended.",
        )
    return None


def count_submission(
    status: CompetitionStatus, limits: Limits, team: str, submission_uid: str, now: datetime
) -> CompetitionStatus | QuotaRefusal:
    """The status with one more Submission counted; the same object where it is counted already."""
    usage = usage_of_team(status, team)
    if submission_uid in usage.settling:
        return status
    refused = find_refusal(usage, limits, now)
    if refused is not None:
        return refused
    today = usage.today if usage.day == _day(now) else 0
    return _with(
        status,
        usage.replace(
            total=usage.total + 1, day=_day(now), today=today + 1, settling=(*usage.settling, submission_uid)
        ),
    )


def settle_submission(
    status: CompetitionStatus,
    team: str,
    submission_uid: str,
    compute_seconds: float,
    refund: bool,
    admitted_at: datetime,
) -> CompetitionStatus:
    """The status with a Submission's compute added, and its place given back where the platform owes it.

    The same object where it is settled already, or was never counted.
    """
    usage = usage_of_team(status, team)
    if submission_uid not in usage.settling:
        return status
    same_day = usage.day == _day(admitted_at)
    return _with(
        status,
        usage.replace(
            total=max(0, usage.total - refund),
            today=max(0, usage.today - (refund and same_day)),
            compute_seconds=round(usage.compute_seconds + compute_seconds, 3),
            settling=tuple(uid for uid in usage.settling if uid != submission_uid),
        ),
    )


def prune_tickets(status: CompetitionStatus, existing_uids: Iterable[str]) -> CompetitionStatus:
    """Without the tickets of Submissions that are gone, such as where the finalizer was taken off by hand."""
    existing = frozenset(existing_uids)
    for usage in status.usage:
        kept = tuple(uid for uid in usage.settling if uid in existing)
        if kept != usage.settling:
            status = _with(status, usage.replace(settling=kept))
    return status


def compute_seconds(
    runs: Iterable[RunStatus], resources: Resources, budget_seconds: float, now: datetime, blind: bool
) -> float:
    """(end − go) × max(GPUs, CPUs) over the attempts that the platform does not bear, in seconds.

    A run that is not over counts until ``now``. A blind phase keeps no times in the status, where the team
    could read them: there each run that had a pod counts with its whole budget.
    """
    total = 0.0
    for run in runs:
        if run.charged_to == "Platform":
            continue
        if blind:
            total += budget_seconds if run.pod_uid else 0.0
        elif run.started_at is not None:
            total += max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())
    return total * processor_count(resources)


def processor_count(resources: Resources) -> float:
    """max(GPUs, CPUs) of a run."""
    cpu = resources.cpu
    cpus = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu.rstrip("kMGTi"))
    return max(float(resources.gpus), cpus)


def is_place_owed(
    runs: Iterable[RunStatus], blind: bool = False, result: ScoreResult | ScoreFault | None = None
) -> bool:
    """Whether the platform owes a Submission its place in the quota.

    Beside a score, also one that only an earlier attempt's live curve showed, a place given back would be one more try
    on that dataset: whoever can bring a platform fault about would have as many as they like.

    Args:
        runs: of the Submission, which has ended.
        blind: whether its scores are kept out of the status.
        result: of scoring it. Where that is not known in a blind phase, a run that may have a score counts as scored.
    """
    known = tuple(runs)
    failed = {run.charged_to for run in known if run.phase == "Failed"}
    scored = any(run.phase == "Done" or run.alc is not None or run.points_shown for run in known)
    if blind and isinstance(result, ScoreResult):
        scored = scored or any(run.alc is not None for run in result.runs)
    elif blind:
        scored = scored or any(run.pod_uid for run in known)
    return failed == {"Platform"} and not scored


def build_settlement(
    submission: SubmissionView,
    rules: PhaseRules | None,
    now: datetime,
    result: ScoreResult | ScoreFault | None = None,
) -> SettleUsage:
    """What its runs cost the team, and whether the platform owes it the place in the quota.

    ``result``: as for :func:`is_place_owed`.
    """
    status = submission.status
    compute, hidden = 0.0, False
    if rules is not None:
        phase = rules.phase
        hidden = is_blind(phase, now)
        compute = compute_seconds(status.runs, phase.resources, phase.budget.seconds, now, hidden)
    return SettleUsage(
        team=submission.namespace,
        submission_uid=submission.uid,
        compute_seconds=round(compute, 3),
        refund=is_place_owed(status.runs, hidden, result) or status.admitted_at is None,
        admitted_at=status.admitted_at or now,
    )


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def _with(status: CompetitionStatus, usage: TeamUsage) -> CompetitionStatus:
    others = tuple(u for u in status.usage if u.team != usage.team)
    ordered = tuple(sorted((*others, usage), key=lambda u: u.team))
    return status.replace(usage=ordered)
