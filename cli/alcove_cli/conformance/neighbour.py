"""Another team's run beside the attacks: what it scores and when it is stamped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import Check, describe_end, ended, every, in_order, sealed_by_recorder
from alcove_cli.conformance.evidence import Evidence
from alcove_scorer.metrics import BalancedAccuracy

PREDICTIONS = 12
"""As programs/neighbour.py makes them, one every two seconds."""
LATEST = 1.0
"""Seconds after a prediction was there that its stamp may come beside attacks: docs/security.md promises it."""


def keeps_scores(solution: npt.NDArray[np.bool_]) -> Check:
    """Each prediction is on record byte for byte, and has the score that it has without any neighbour."""

    def check(evidence: Evidence) -> str | None:
        if evidence.result is None or not evidence.manifest:
            return f"it has no score ({describe_end(evidence)})"
        points = evidence.result.runs[0].points
        if len(points) != PREDICTIONS or len(evidence.accepted) != PREDICTIONS:
            return f"{len(points)} of {PREDICTIONS} predictions are scored"
        metric = BalancedAccuracy()
        for number, (point, record) in enumerate(zip(points, evidence.accepted, strict=True), 1):
            prediction = np.random.default_rng(number).random(solution.shape, np.float32)
            wanted = metric.score(solution, prediction)
            if point.score != wanted:
                return f"prediction {number} scores {point.score}, and {wanted} without a neighbour"
            if evidence.written(record.name)[0].sha256 != record.sha256:
                return f"prediction {number} is not the one that was saved"
        return None

    return check


def keeps_times(evidence: Evidence) -> str | None:
    """No stamp is later than docs/security.md promises, and none is earlier than its prediction."""
    late = stamps_after(evidence)
    if len(late) != PREDICTIONS:
        return f"{len(late)} of {PREDICTIONS} predictions are on record ({describe_end(evidence)})"
    if max(late) > LATEST or min(late) < 0:
        return f"stamps came {min(late):.3f} to {max(late):.3f} s after the predictions"
    return None


def stamps_after(evidence: Evidence) -> list[float]:
    """Seconds from when each prediction was there to its stamp."""
    return [record.t_ns / 1e9 - evidence.written(record.name)[0].at for record in evidence.accepted]


def describe_stamps(evidence: Evidence) -> str:
    late = [1000 * seconds for seconds in stamps_after(evidence)]
    return f"stamps came {min(late):.0f} to {max(late):.0f} ms after the predictions" if late else ""


def beside_attacks(solution: npt.NDArray[np.bool_]) -> Attack:
    return Attack(
        "neighbour",
        (
            Case(
                "resources/neighbours-scores",
                "neighbours",
                "another team's run beside the attacks: its scores",
                "harmless",
                every(keeps_scores(solution), ended("Finished", "")),
            ),
            Case(
                "resources/neighbours-times",
                "neighbours",
                "another team's run beside the attacks: its stamps",
                "harmless",
                every(keeps_times, in_order, sealed_by_recorder),
                figure=describe_stamps,
            ),
        ),
        phase="long",
        as_neighbour=True,
    )
