"""Builders of the scorer's Jobs: score, aggregate and check, and rescore and compare for `alcove rescore`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from alcove_api import keys
from alcove_api.dataset import VolumeClaim
from alcove_api.documents import CheckRequest
from alcove_api.exit_statuses import ScorerExit
from alcove_api.score_documents import ScoreRequest
from alcove_operator.config import OperatorSettings
from alcove_operator.manifests import (
    Object,
    build_security_context,
    claim_mount,
    claim_volume,
    env,
    pod_security,
    store_environment,
    trust_store,
)

Task = Literal["score", "aggregate", "check", "rescore", "compare"]
USER = 65532
FINAL = [int(ScorerExit.WRONG_REQUEST), int(ScorerExit.INPUT_DAMAGED)]
"""Exit statuses after which another try would end alike."""


def score_job(
    name: str, labels: Mapping[str, str], request: ScoreRequest, settings: OperatorSettings
) -> Object:
    """Follows the runs of one submission to their verdicts; without any right in the cluster."""
    job = _job("score", name, labels, {"ALCOVE_REQUEST": request.model_dump_json()}, settings)
    # It waits for as long as the runs are queued, so it has no deadline.
    job["spec"] |= _repeated("score")
    return job


def rescore_job(
    name: str, labels: Mapping[str, str], request: ScoreRequest, settings: OperatorSettings
) -> Object:
    """Scores a submission that has ended by other settings, and shows nobody; without any right in the cluster."""
    job = _job("rescore", name, labels, {"ALCOVE_REQUEST": request.model_dump_json()}, settings)
    job["spec"] |= {**_repeated("rescore"), **_let_go(6 * 3600)}
    return job


def compare_job(name: str, labels: Mapping[str, str], settings: OperatorSettings) -> Object:
    """Ranks by two sets of scores, for its log; with the aggregate's rights in the store, and none in the cluster.

    It waits for a ConfigMap of its own name, whose key ``request.json`` is a ``CompareRequest``.
    """
    job = _job("compare", name, labels, {"ALCOVE_REQUEST_FILE": "/alcove/request/request.json"}, settings)
    job["spec"] |= {**_repeated("compare"), **_let_go(900)}
    pod = job["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "request", "configMap": {"name": name}})
    mount = {"name": "request", "mountPath": "/alcove/request", "readOnly": True}
    pod["containers"][0]["volumeMounts"].append(mount)
    return job


def _repeated(container: Task) -> Object:
    """A fault of the node repeats it, another up to three times; not what would be the same each time."""
    return {
        "backoffLimit": 3,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": container, "operator": "In", "values": FINAL},
                },
            ]
        },
    }


def _let_go(seconds: int) -> Object:
    """Nobody but a command waits for it, which may be gone."""
    return {"activeDeadlineSeconds": seconds, "ttlSecondsAfterFinished": 3600}


def aggregate_job(
    name: str,
    labels: Mapping[str, str],
    place: tuple[str, str, str],
    generation: int,
    settings: OperatorSettings,
) -> Object:
    """Ranks one phase; its service account may write that phase's Leaderboard.

    What it is to rank, the Leaderboard says (``spec.requested``): the Job may be there before that is known.

    Args:
        name: of the Job.
        labels: of Job and pod.
        place: the competition's namespace and name, and the phase.
        generation: of the board.
        settings: image, store, service account.
    """
    namespace, _, phase = place
    asked = {
        "ALCOVE_REQUEST_KEY": keys.board_request(*place, generation),
        "ALCOVE_LEADERBOARD": f"{namespace}/{phase}",
        "ALCOVE_GENERATION": str(generation),
    }
    job = _job("aggregate", name, labels, asked, settings)
    job["spec"] |= {"backoffLimit": 2, "activeDeadlineSeconds": 900}
    return job


def check_job(
    name: str,
    labels: Mapping[str, str],
    request: CheckRequest,
    settings: OperatorSettings,
    claim: VolumeClaim | None = None,
) -> Object:
    """Looks through one dataset and its solution; without any right in the cluster.

    ``claim``: where the input lies on a volume, as runs will see it.
    """
    job = _job("check", name, labels, {"ALCOVE_REQUEST": request.model_dump_json()}, settings)
    job["spec"] |= {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 3600,
        # 1 is a finding, not a fault: it would be the same the next time.
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "check",
                        "operator": "In",
                        "values": [int(ScorerExit.UNSOUND)],
                    },
                },
            ]
        },
    }
    if claim is not None:
        # As much as a claim is worth making for takes a while to read.
        job["spec"]["activeDeadlineSeconds"] = 86400
        pod = job["spec"]["template"]["spec"]
        pod["volumes"].append(claim_volume(claim))
        pod["containers"][0]["volumeMounts"].append(claim_mount(claim))
    return job


def _job(
    task: Task, name: str, labels: Mapping[str, str], asked: Mapping[str, str], settings: OperatorSettings
) -> Object:
    # Who reads what participants wrote, or a dataset, gets short-lived credentials for that alone.
    secret = settings.aggregate_secret if task in ("aggregate", "compare") else name
    aggregate = task == "aggregate"
    account = settings.aggregate_service_account if aggregate else settings.score_service_account
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": account,
        "automountServiceAccountToken": aggregate,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": pod_security(USER),
        "containers": [_container(task, asked, settings)],
        "volumes": [
            {"name": "store", "secret": {"secretName": secret, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret_name} for secret_name in settings.image_pull_secrets]
    pod = trust_store(pod, settings)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": settings.competition_namespace, "labels": dict(labels)},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def _container(task: Task, asked: Mapping[str, str], settings: OperatorSettings) -> Object:
    environment = store_environment(settings, "/alcove/store/credentials.json")
    environment |= {
        **asked,
        "ALCOVE_SOLUTIONS_BUCKET": settings.store_solutions_bucket,
        "ALCOVE_SCORER_IMAGE": settings.image_scorer,
        "HOME": "/tmp",
        "MPLCONFIGDIR": "/tmp",
    }
    return {
        "name": task,
        "image": settings.image_scorer,
        "imagePullPolicy": settings.image_pull_policy,
        # The image's entry point is `python -I -m alcove_scorer`.
        "args": [task],
        "env": env(environment),
        "securityContext": build_security_context(),
        "resources": {
            "requests": {"cpu": "50m", "memory": "256Mi"},
            "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "2Gi"},
        },
        "volumeMounts": [
            {"name": "store", "mountPath": "/alcove/store", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
