"""What each team has used, counted exactly once.

A counted Submission leaves its UID in ``settling`` of its team's TeamUsage until it is settled: a ticket. Counting with
the ticket there does nothing; settling takes the ticket away, and without it does nothing. Both are one write of the
TeamUsage's status with its resourceVersion, so a crash at any point, and any repetition, counts the same.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alcove_api.competition import CompetitionSpec
from alcove_api.phase import Phase, Resources
from alcove_api.run_names import repeat_of
from alcove_api.score_documents import ScoreResult
from alcove_api.submission import RunStatus
from alcove_api.team_usage import PhaseUsage, TeamUsageStatus
from alcove_operator.core.actions import SettleUsage
from alcove_operator.core.model import QuotaRefusal, ScoreFault, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, is_blind
from alcove_operator.core.repeats import draw_resources

MAX_PHASES = 32
"""Phases of a team's counts: what the status has room for."""
MAX_IN_FLIGHT = 1000
"""Tickets of a team at once: what the status has room for."""


def usage_in_phase(usage: TeamUsageStatus, phase: str) -> PhaseUsage:
    return next((p for p in usage.phases if p.name == phase), PhaseUsage(name=phase))


def is_counted(usage: TeamUsageStatus, submission_uid: str) -> bool:
    """Whether the Submission is counted and not yet settled."""
    return submission_uid in usage.settling


@dataclass(frozen=True)
class Allowance:
    """How many submissions of a team a limit lets pass, and what the team has used of them."""

    limit: str
    """perDay, total, phasePerDay or phaseTotal."""
    used: int
    most: int


def list_allowances(
    usage: TeamUsageStatus, spec: CompetitionSpec, team: str, phase: str | None, now: datetime
) -> tuple[Allowance, ...]:
    """What stands for and against one more Submission of ``team``, whose usage it is, to ``phase``: of the competition,
    then of the phase. Where ``phase`` is None, of the competition alone.

    ``spec.extra_submissions`` raises every limit: those of a day on its day alone, a phase's total where it is for that
    phase or for none.
    """
    today = day_of(now)
    extra = [e for e in spec.extra_submissions if e.team == team]
    more = sum(e.count for e in extra)
    more_today = sum(e.count for e in extra if e.day == today)
    found = [
        Allowance("perDay", usage.today if usage.day == today else 0, spec.limits.per_day + more_today),
        Allowance("total", usage.total, spec.limits.total + more),
    ]
    limits = next((p.limits for p in spec.phases if p.name == phase), None)
    if phase is None or limits is None:
        return tuple(found)
    in_phase = usage_in_phase(usage, phase)
    mine = [e for e in extra if e.phase in (None, phase)]
    if limits.per_day is not None:
        used = in_phase.today if in_phase.day == today else 0
        most = limits.per_day + sum(e.count for e in mine if e.day == today)
        found.append(Allowance("phasePerDay", used, most))
    if limits.total is not None:
        most = limits.total + sum(e.count for e in mine)
        found.append(Allowance("phaseTotal", in_phase.total, most))
    return tuple(found)


def describe_use(usage: TeamUsageStatus, spec: CompetitionSpec, team: str, phase: str, now: datetime) -> str:
    """What the team has used of its limits: "2 of 10 today, 7 of 100 in all, 3 of 5 in final"."""
    words = {
        "perDay": "today",
        "total": "in all",
        "phasePerDay": f"today in {phase}",
        "phaseTotal": f"in {phase}",
    }
    shown = list_allowances(usage, spec, team, phase, now)
    return ", ".join(f"{a.used} of {a.most} {words[a.limit]}" for a in shown)


def find_refusal(
    usage: TeamUsageStatus, spec: CompetitionSpec, team: str, phase: str, now: datetime
) -> QuotaRefusal | None:
    """Which limit, if any, stands against one more Submission."""
    frees = (now.astimezone(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
    ask, again = "Ask the organizer if it needs more.", f"Submit again, under another name, from {frees} on."
    said = {
        "perDay": ("submissions of today", again),
        "total": ("submissions in this competition", ask),
        "phasePerDay": (f"submissions of today to the phase {phase}", again),
        "phaseTotal": (f"submissions to the phase {phase}", ask),
    }
    met = {a.limit: a for a in list_allowances(usage, spec, team, phase, now) if a.used >= a.most}
    # What does not pass with the day comes first.
    for limit in ("total", "phaseTotal", "perDay", "phasePerDay"):
        if limit in met:
            what, remedy = said[limit]
            return QuotaRefusal(limit, f"The team has used all of its {met[limit].most} {what}. {remedy}")
    if len(usage.settling) >= MAX_IN_FLIGHT:
        return QuotaRefusal(
            "inFlight",
            f"The team has {MAX_IN_FLIGHT} submissions under way. "
            "Submit again, under another name, when some have ended.",
        )
    return None


def count_submission(
    usage: TeamUsageStatus,
    spec: CompetitionSpec,
    team: str,
    phase: str,
    submission_uid: str,
    now: datetime,
) -> TeamUsageStatus | QuotaRefusal:
    """The team's usage with one more Submission counted; the same object where it is counted already."""
    if submission_uid in usage.settling:
        return usage
    refused = find_refusal(usage, spec, team, phase, now)
    if refused is not None:
        return refused
    in_phase, day = usage_in_phase(usage, phase), day_of(now)
    return _with_phase(
        usage.replace(
            total=usage.total + 1,
            day=day,
            today=(usage.today if usage.day == day else 0) + 1,
            settling=(*usage.settling, submission_uid),
        ),
        in_phase.replace(
            total=in_phase.total + 1, day=day, today=(in_phase.today if in_phase.day == day else 0) + 1
        ),
    )


def settle_submission(
    usage: TeamUsageStatus,
    phase: str,
    submission_uid: str,
    compute_seconds: float,
    refund: bool,
    admitted_at: datetime,
) -> TeamUsageStatus:
    """The usage with a Submission's compute added, and its place given back where the platform owes it.

    The same object where it is settled already, or was never counted.
    """
    if submission_uid not in usage.settling:
        return usage
    day = day_of(admitted_at)
    settled = usage.replace(
        total=max(0, usage.total - refund),
        today=max(0, usage.today - (refund and usage.day == day)),
        compute_seconds=round(usage.compute_seconds + compute_seconds, 3),
        settling=tuple(uid for uid in usage.settling if uid != submission_uid),
    )
    if any(known.name == phase for known in usage.phases):
        used = usage_in_phase(usage, phase)
        given = used.replace(
            total=max(0, used.total - refund), today=max(0, used.today - (refund and used.day == day))
        )
        settled = _with_phase(settled, given)
    return settled


def drop_tickets(usage: TeamUsageStatus, gone_uids: Container[str]) -> TeamUsageStatus:
    """Without the tickets of Submissions that are gone, such as where the finalizer was taken off by hand; the same
    object where there are none."""
    left = tuple(uid for uid in usage.settling if uid not in gone_uids)
    return usage if left == usage.settling else usage.replace(settling=left)


def compute_seconds(runs: Iterable[RunStatus], phase: Phase, now: datetime, blind: bool) -> float:
    """(end − go) × max(GPUs, CPUs) over the attempts that the platform does not bear, in seconds.

    A run that is not over counts until ``now``. Free of charge for its score is not free of use: what a run did before
    its go counts too. A blind phase keeps no times in the status, where the team could read them: there each run that
    had a pod counts with all that it may use.
    """
    total = 0.0
    for run in runs:
        if run.charged_to == "Platform" or not (run.started_at or run.pod_uid):
            continue
        processors = processor_count(draw_resources(phase, repeat_of(run.dataset)))
        if blind:
            total += processors * (phase.compat.free_seconds + phase.budget.seconds) if run.pod_uid else 0.0
        elif run.started_at is not None:
            seconds = ((run.ended_at or now) - run.started_at).total_seconds() + (run.free_seconds or 0.0)
            total += processors * max(0.0, seconds)
    return total


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
        compute = compute_seconds(status.runs, phase, now, hidden)
    return SettleUsage(
        team=submission.team,
        phase=submission.spec.phase if submission.spec else "",
        submission_uid=submission.uid,
        compute_seconds=round(compute, 3),
        refund=is_place_owed(status.runs, hidden, result) or status.admitted_at is None,
        admitted_at=status.admitted_at or now,
    )


def day_of(moment: datetime) -> str:
    """In UTC, as the counts of a day are named."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def _with_phase(usage: TeamUsageStatus, phase: PhaseUsage) -> TeamUsageStatus:
    """The newest of :data:`MAX_PHASES` stay: phases that were renamed away need no counts."""
    other_phases = tuple(p for p in usage.phases if p.name != phase.name)
    return usage.replace(phases=(*other_phases, phase)[-MAX_PHASES:])
