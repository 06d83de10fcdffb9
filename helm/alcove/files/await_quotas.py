"""The hook that waits until the quotas of the teams are in effect.

``python -I await_quotas.py LIMIT NAMESPACE…``: of each, the ResourceQuota ``alcove-team``, which allows ``LIMIT``
Submissions. The API server refuses every object that a quota limits until the quota controller has counted those that
are there. The controller meets a new kind within half a minute, but then looks at a quota again only when its limits
change, or after five minutes. So here they change, and change back, until it has counted.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource

QUOTAS = Resource("v1", "resourcequotas")
NAME = "alcove-team"
LIMIT = "count/submissions.alcove.dev"
PATIENCE = 240.0
"""Seconds; Helm waits for five minutes."""
PAUSE = 5.0


def is_counted(quota: dict[str, Any]) -> bool:
    """Whether the quota limits Submissions, and the controller has counted all that it limits."""
    hard, status = quota["spec"]["hard"], quota.get("status") or {}
    return LIMIT in hard and status.get("hard") == hard and set(status.get("used") or {}) == set(hard)


def ask_again(kube: KubeClient, namespace: str, limit: str) -> None:
    """Has the controller look at the quota once more. Where that stops halfway, the next call puts the limit back.

    Raises:
        ApiError: the server refused.
    """
    for value in (None, limit):
        kube.patch(QUOTAS, namespace, NAME, {"spec": {"hard": {LIMIT: value}}})


def wait(kube: KubeClient, limit: str, namespaces: list[str]) -> list[str]:
    """Those whose quotas are not in effect when the patience ends.

    Raises:
        ApiError: the server refused.
    """
    end = time.monotonic() + PATIENCE
    while True:
        quotas = {namespace: kube.get(QUOTAS, namespace, NAME) for namespace in namespaces}
        left = [namespace for namespace, quota in quotas.items() if not is_counted(quota)]
        if not left or time.monotonic() > end:
            return left
        for namespace in left:
            ask_again(kube, namespace, limit)
        time.sleep(PAUSE)


def main(limit: str, namespaces: list[str]) -> int:
    try:
        left = wait(KubeClient.from_pod(), limit, namespaces)
    except ApiError as error:
        print(f"Whether the teams' quotas are in effect is not known. {error}", flush=True)
        return 1
    if left:
        print(
            f"The quotas of {', '.join(left)} are not in effect after {PATIENCE:g} s, so the API server refuses every "
            "Submission there. Is kube-controller-manager up, with its resourcequota controller? To go without: "
            "--set teamQuota=null.",
            flush=True,
        )
        return 1
    print(f"The quotas of {len(namespaces)} teams are in effect.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
