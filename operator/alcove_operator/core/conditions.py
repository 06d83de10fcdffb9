"""Conditions of a status: the one place where they are read and set."""

from __future__ import annotations

from datetime import datetime

from alcove_api.base import Condition, Conditions, ConditionStatus

READY = "Ready"
"""The condition of Competitions and Datasets."""
ConditionValue = tuple[ConditionStatus, str, str]
"""Status, reason (one CamelCase word) and message (a sentence for people) of a condition."""


def find_condition(conditions: Conditions, kind: str) -> Condition | None:
    return next((c for c in conditions if c.type == kind), None)


def set_condition(
    conditions: Conditions, kind: str, value: ConditionValue, *, generation: int | None, now: datetime
) -> Conditions:
    """``conditions``, sorted by type, with ``kind`` as ``value`` says.

    The time of transition moves only when the status changes, so that saying the same twice changes nothing.
    """
    old = find_condition(conditions, kind)
    status, reason, message = value
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:1024],
        # As fine as the API server gives it back: a finer time would differ after each round trip.
        last_transition_time=(
            old.last_transition_time if old and old.status == status else now.replace(microsecond=0)
        ),
        observed_generation=generation,
    )
    if new == old:
        return conditions
    return tuple(sorted((*(c for c in conditions if c.type != kind), new), key=lambda c: c.type))
