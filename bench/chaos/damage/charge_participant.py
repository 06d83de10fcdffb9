"""The operator has participants pay for the platform's faults."""

from __future__ import annotations

from alcove_operator.core import causes

causes.charge_platform = causes.charge_participant
