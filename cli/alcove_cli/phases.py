"""``alcove phases``: the rules of a competition's phases, in sentences, from what the boards publish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from alcove_api.leaderboard import LeaderboardSpec, LeaderboardStatus, PublishedRules
from alcove_api.phase_dates import describe_dates, format_time
from alcove_api.words import count_of
from alcove_kube.client import Object

_FEEDBACK = {
    "live": "Scores are shown while a run goes on.",
    "final": "Scores are shown once all runs of a submission have ended.",
    "ladder": "Of each dataset the team's best ALC so far is shown, raised only where it is exceeded by a step.",
    "none": "No score is shown before the reveal.",
}


def describe_phases(boards: Sequence[Object], competition: str, now: datetime) -> str:
    """A paragraph for each phase of ``competition``, those that open first on top; empty where there is none.

    Args:
        boards: Leaderboards of its namespace, as the API server has them.
        now: with a time zone.
    """
    found = [(LeaderboardSpec.model_validate(b["spec"]), b.get("status") or {}) for b in boards]
    mine = [
        (spec, LeaderboardStatus.model_validate(raw))
        for spec, raw in found
        if spec.competition == competition
    ]
    first = datetime.min.replace(tzinfo=UTC)
    mine.sort(key=lambda board: (board[0].rules.opens_at or first, board[0].phase))
    title = next((spec.rules.title for spec, _ in mine if spec.rules.title), "")
    parts = [f"{competition}: {title}"] if title else []
    parts += [
        "\n  ".join([f"{s.phase}: {describe_dates(s.rules, now)}", *_lines(s.rules, st)]) for s, st in mine
    ]
    return "\n\n".join(parts)


def _lines(rules: PublishedRules, status: LeaderboardStatus) -> Iterator[str]:
    budget = f"{rules.budget_seconds} s" if rules.budget_seconds else "a time budget that is not disclosed"
    yield f"Each run has {', '.join(part for part in (budget, rules.resources) if part)}."
    if rules.free_constructor_seconds:
        yield (
            f"Before that, import and constructor of a model.py have {rules.free_constructor_seconds} s free of charge."
        )
    if rules.per_day and rules.total and rules.parallel and not rules.source:
        yield (
            f"Each team has {count_of(rules.per_day, 'submission')} a day (UTC), {rules.total} in all, and "
            f"{count_of(rules.parallel, 'run')} at a time."
        )
    of_phase = [
        f"{limit} {when}"
        for limit, when in ((rules.phase_per_day, "a day (UTC)"), (rules.phase_total, "in all"))
        if limit
    ]
    if of_phase:
        yield f"Of these, to this phase: {', '.join(of_phase)}."
    if rules.feedback in _FEEDBACK:
        yield _FEEDBACK[rules.feedback]
    if rules.reveals_at is not None:
        yield f"Scores and ranks are revealed at {format_time(rules.reveals_at)}."
    if status.teams:
        yield f"{status.teams} team{' is' if status.teams == 1 else 's are'} ranked. {status.leaders}".rstrip()
