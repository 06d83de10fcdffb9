"""The operator takes each first attempt for lost as soon as it runs, and starts the next beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alcove_api.submission import RunStatus
from alcove_operator.core import causes, names, runs
from alcove_operator.core.actions import DeleteJob
from alcove_operator.core.reconcile_input import ReconcileInput
from alcove_operator.core.run_ends import RunStep, build_context, record_end

_attempt, _ended = runs._attempt, runs._ended


def _lose_attempt(run: RunStatus, given: ReconcileInput) -> RunStep:
    step = _attempt(run, given)
    pod = given.pods.get(names.run_job(given.uid, run.dataset, run.attempt))
    if step.run.cause or run.attempt > 1 or pod is None or pod.main is None or not pod.main.running:
        return step
    return RunStep(record_end(step.run, causes.find_cause(None, build_context(given, run)), None))


def _end_without_deletion(run: RunStatus, retries_left: int, given: ReconcileInput) -> RunStep:
    step = _ended(run, retries_left, given)
    return replace(step, actions=tuple(one for one in step.actions if not isinstance(one, DeleteJob)))


def _say_yes(*_: Any) -> bool:
    return True


runs._attempt, runs._ended, runs._is_over = _lose_attempt, _end_without_deletion, _say_yes  # type: ignore[assignment]
