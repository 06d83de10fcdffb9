"""Whether what an organizer has decided about teams and submissions names what is there."""

from __future__ import annotations

from collections.abc import Callable, Collection

from alcove_api.competition import CompetitionSpec
from alcove_api.decisions import Cancellation, Exclusion, ExtraSubmissions
from alcove_operator.core.conditions import ConditionValue

DECISIONS = "DecisionsApply"
"""The condition of a Competition."""


def find_condition(
    spec: CompetitionSpec, teams: Collection[str], namespace: str, knows: Callable[[str, str], bool]
) -> ConditionValue:
    """Of :data:`DECISIONS`.

    Args:
        spec: of the Competition.
        teams: their namespaces.
        namespace: of the Competition. It stands for the team of its baselines, which have no quota.
        knows: whether there is, or may be, a Submission of that team and name.
    """
    listed: dict[str, tuple[Exclusion | Cancellation | ExtraSubmissions, ...]] = {
        "excluded": spec.excluded,
        "cancelled": spec.cancelled,
        "extraSubmissions": spec.extra_submissions,
    }
    phases = {phase.name for phase in spec.phases}
    for name, entries in listed.items():
        for entry in entries:
            submission, phase = getattr(entry, "submission", None), getattr(entry, "phase", None)
            of_baselines = entry.team == namespace and not isinstance(entry, ExtraSubmissions)
            if entry.team not in teams and not of_baselines:
                said, reason = f"{entry.team}, which is not the namespace of a team", "UnknownTeam"
            elif submission is not None and not knows(entry.team, submission):
                said, reason = (
                    f"the Submission {entry.team}/{submission}, which is not there",
                    "UnknownSubmission",
                )
            elif phase is not None and phase not in phases:
                said, reason = f"the phase {phase}, which is not there", "UnknownPhase"
            else:
                continue
            return "False", reason, f"spec.{name} names {said}. Correct the entry, or take it out."
    return "True", "Applied", "What spec.excluded, spec.cancelled and spec.extraSubmissions name is there."
