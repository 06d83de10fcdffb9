"""The condition Ready of Competitions and Datasets."""

from __future__ import annotations

from datetime import datetime

from alcove_api.base import Condition


def set_ready(
    conditions: tuple[Condition, ...], value: tuple[str, str, str], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """``conditions`` with Ready as ``value`` (status, reason, message) says; its time moves with the status alone."""
    old = next((c for c in conditions if c.type == "Ready"), None)
    status, reason, message = value
    moved = old is None or old.status != status
    new = Condition.model_validate(
        {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message[:1024],
            "lastTransitionTime": now.replace(microsecond=0)
            if moved or not old
            else old.last_transition_time,
            "observedGeneration": generation,
        }
    )
    return (*(c for c in conditions if c.type != "Ready"), new)
