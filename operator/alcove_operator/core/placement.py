"""Whether some node of the cluster is large enough for the runs of each phase."""

from __future__ import annotations

import re
from collections.abc import Iterable

from alcove_operator.core.conditions import ConditionValue
from alcove_operator.core.model import PodView

FITTING = "NodesFit"
"""The condition of a Competition."""
_HOPELESS = re.compile(
    r"0/(\d+) nodes are available.*preemption: 0/\1 nodes are available: \1 Preemption is not helpful",
    re.DOTALL,
)
"""What the scheduler says (from Kubernetes 1.30 on) where a node could not take the pod though it were empty, and so of
every node. Where nodes are merely busy it says that it found nobody to preempt."""


def find_condition(pods: Iterable[tuple[str, PodView]]) -> ConditionValue:
    """Of :data:`FITTING`. ``pods``: of runs, each with the name of its phase."""
    for phase, pod in sorted(pods, key=lambda entry: (entry[0], entry[1].name)):
        if pod.scheduled_at is None and not pod.terminal and _HOPELESS.search(pod.unschedulable):
            said = f"No node is large enough for a run of phase {phase}: {pod.unschedulable}"
            remedy = "Add a node that is, or add a phase of another name with lower resources."
            return "False", "NoNodeFits", f"{said[: 1000 - len(remedy)]} {remedy}"
    return "True", "Fits", "No run waits for a node that is not there."
