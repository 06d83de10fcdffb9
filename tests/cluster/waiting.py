"""Waiting for what a cluster's processes bring about, and saying why it did not come about."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

from .console import ClusterError, tail
from .kube import ApiError
from .layout import Plan, init_pid
from .namespaces import read_status

UP_TIMEOUT = 180.0


def explain(plan: Plan, waiting_for: str) -> ClusterError:
    """Says why the wait ended, with the end of the log that is most likely to tell."""
    status = read_status(plan.state)
    restarts: dict[str, int] = status["restarts"]
    suspects = {
        "the node is ready": "kubelet",
        "the cluster's DNS answers": "coredns",
        "NetworkPolicies are enforced": "kube-router",
    }
    culprit = (
        max(restarts, key=lambda name: restarts[name])
        if restarts
        else suspects.get(waiting_for, "kube-apiserver")
    )
    if status["failed"]:
        cause = str(status["failed"])
        culprit = cause.split(" ", 1)[0] if not restarts else culprit
    elif init_pid(plan.state) is None:
        cause, culprit = "its first process is gone", "init"
    else:
        cause = (
            f"waiting until {waiting_for} took longer than {UP_TIMEOUT:.0f} s (last step: {status['step']})"
        )
    log = plan.log / f"{culprit}.log"
    return ClusterError(
        f"The cluster '{plan.name}' did not come up: {cause}. Restarts so far: {restarts or 'none'}. "
        f"It is not removed, so that you can read its logs in {plan.log}. Remove it with: "
        f"python -m tests.cluster down --name {plan.name}\nThe end of {log}:\n{tail(log)}"
    )


def await_condition(plan: Plan, what: str, condition: Callable[[], bool], deadline: float) -> None:
    while True:
        try:
            if condition():
                return
        except (OSError, ApiError, http.client.HTTPException):
            pass  # not there yet; the deadline bounds it
        gone = init_pid(plan.state) is None
        if gone or read_status(plan.state)["failed"] or time.monotonic() > deadline:
            raise explain(plan, what)
        time.sleep(0.1)
