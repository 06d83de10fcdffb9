"""What a Leaderboard's spec tells teams of the rules of its phase."""

from __future__ import annotations

from datetime import UTC, datetime

from alcove_api.competition import CompetitionSpec
from alcove_api.leaderboard import PublishedRules
from alcove_api.phase import Phase
from alcove_operator.core.repeats import draw_resources
from alcove_operator.core.status import cut_line

RESOURCES = 200
"""Characters of a phase's published resources."""


def publish_rules(spec: CompetitionSpec, phase: Phase, board_url: str = "") -> PublishedRules:
    """What teams may know: nothing of datasets, and no budget that is not disclosed."""
    return PublishedRules(
        title=spec.title,
        opens_at=phase.opens_at,
        closes_at=phase.closes_at,
        closes=_write_minute(phase.closes_at) if phase.closes_at else "",
        reveals_at=phase.reveals_at,
        budget_seconds=phase.budget.seconds if phase.budget.disclosed else None,
        free_constructor_seconds=phase.compat.free_seconds or None,
        resources=describe_resources(phase),
        source=phase.from_.phase if phase.from_ else "",
        feedback=phase.feedback.mode,
        per_day=spec.limits.per_day,
        phase_per_day=phase.limits.per_day,
        phase_total=phase.limits.total,
        total=spec.limits.total,
        parallel=spec.limits.parallel,
        bundle_bytes=spec.limits.bundle_bytes,
        board_url=board_url,
    )


def describe_resources(phase: Phase) -> str:
    """What each run gets, of several profiles all; "" where teams may not know it."""
    if not phase.resources.disclosed:
        return ""
    found = (draw_resources(phase, repeat) for repeat in range(1, max(1, len(phase.resources.profiles)) + 1))
    told = []
    for has in found:
        gpus = [f"{has.gpus} GPU{'' if has.gpus == 1 else 's'}"] if has.gpus else []
        told.append(", ".join([*gpus, f"{has.cpu} CPU", f"{has.memory} memory", f"{has.disk} disk"]))
    return cut_line(" or ".join(sorted(set(told))), RESOURCES)


def _write_minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %b %H:%M} UTC"
