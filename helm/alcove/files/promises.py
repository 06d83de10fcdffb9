"""What `helm test` runs: it checks each promise of the installation on this cluster.

``run``: in a pod with the labels and the account of a run; finds out what a run could reach, and leaves it as its
termination message. It always exits 0, since what was found is judged by:
``check``: one line a promise; exits 1 if one is broken.

Settings come as JSON in ``ALCOVE_TEST``; see the chart's templates/tests/promises.yaml, where this is __main__.py of a
folder that Python runs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from promise_results import (
    GROUP,
    LABELS,
    VERSION,
    PromiseResult,
    Right,
    judge_kinds,
    judge_policy,
    judge_rights,
    judge_run,
    rights,
    summary,
)
from run_probe import RunReport, Settings, probe, reachable, store_address, within

TERMINATION = Path("/dev/termination-log")


class Cluster:
    """What the checks ask the API server, with the test's own account."""

    def __init__(self, settings: Settings) -> None:
        from alcove_kube.client import KubeClient

        self._kube = KubeClient.from_pod()
        self._namespace = settings["namespace"]

    def kinds(self) -> set[str]:
        from alcove_kube.errors import ApiError

        try:
            listing = self._kube.request("GET", f"/apis/{GROUP}/{VERSION}")
        except ApiError as error:
            if error.not_found:
                return set()
            raise
        return {resource["name"] for resource in listing["resources"]}

    def operator(self) -> PromiseResult:
        from alcove_kube.resources import DEPLOYMENTS

        found = self._kube.get(DEPLOYMENTS, self._namespace, "alcove-operator")
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions") or ()}
        available = conditions.get("Available")
        if available and available["status"] == "True":
            return PromiseResult("operator", "PASS", "available")
        why = available["message"] if available else "no pod of it was ever ready"
        return PromiseResult(
            "operator",
            "FAIL",
            f"Not available ({why}): kubectl logs -n {self._namespace} deploy/alcove-operator",
        )

    def run_report(self) -> RunReport | None:
        from alcove_kube.resources import PODS

        pod = self._kube.get(PODS, self._namespace, "alcove-test-run")
        for status in pod.get("status", {}).get("containerStatuses") or ():
            message = (status["state"].get("terminated") or {}).get("message")
            if message:
                return RunReport(**json.loads(message))
        return None

    def try_submission(self, team: str) -> str:
        """What the API server says to a Submission that the policy refuses; "" where it would take it."""
        from alcove_kube.errors import ApiError
        from alcove_kube.resources import SUBMISSIONS

        labels = {f"label-{i}": "" for i in range(LABELS)}
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Submission",
            "metadata": {"name": "alcove-test", "namespace": team, "labels": labels},
            "spec": {
                "competition": {"namespace": self._namespace, "name": "alcove-test"},
                "phase": "alcove-test",
                "code": {"bundle": {"sha256": "0" * 64}},
            },
        }
        try:
            self._kube.create(SUBMISSIONS, team, body, dry_run=True)
        except ApiError as error:
            return error.message or str(error)
        return ""

    def may(self, team: str, right: Right) -> bool:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": right.namespace},
            "spec": {
                "user": f"system:serviceaccount:{team}:participant",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{team}",
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "namespace": right.namespace,
                    "verb": right.verb,
                    "group": right.group,
                    "version": "*",
                    "resource": right.resource,
                    "subresource": right.subresource,
                    "name": right.name,
                },
            },
        }
        path = f"/apis/authorization.k8s.io/v1/namespaces/{right.namespace}/localsubjectaccessreviews"
        return bool(self._kube.request("POST", path, body)["status"]["allowed"])


def store_health(settings: Settings) -> PromiseResult:
    host, port = store_address(settings["endpoint"])
    if within(30, lambda: reachable(host, port)):
        return PromiseResult("store", "PASS", f"{settings['endpoint']} answers")
    return PromiseResult(
        "store", "FAIL", f"{settings['endpoint']} does not answer from a pod of this namespace."
    )


def solutions(settings: Settings, folder: Path) -> Iterator[PromiseResult]:
    """That users who need not read solutions cannot. ``folder`` holds ``<user>.json`` for some of them."""
    from minio.credentials import StaticProvider
    from minio.error import S3Error
    from urllib3.exceptions import HTTPError

    from alcove_store.client import client

    bucket = settings["solutionsBucket"]
    for path in sorted(folder.glob("*.json")):
        promise = f"solutions hidden from {path.stem}"
        user = json.loads(path.read_text())
        provider = StaticProvider(user["access_key"], user["secret_key"])
        store = client(settings["endpoint"], settings["region"], provider)
        answers = set()
        for ask in (
            lambda s=store: list(s.list_objects(bucket)),
            lambda s=store: s.get_object(bucket, f"solutions/{'0' * 64}").release_conn(),
        ):
            try:
                ask()
                answers.add("yes")
            except S3Error as error:
                answers.add(error.code)
            except (HTTPError, OSError) as error:
                answers.add(f"nothing ({error})")
        if answers == {"AccessDenied"}:
            yield PromiseResult(promise, "PASS", "access denied, as it should be")
        else:
            said = ", ".join(sorted(answers))
            remedy = "Run `helm upgrade`: it sets up users and policies again."
            yield PromiseResult(
                promise, "FAIL", f"Asked for them with its keys, the store answered {said}. {remedy}"
            )


def verdicts(settings: Settings) -> Iterator[PromiseResult]:
    cluster = Cluster(settings)
    yield judge_kinds(cluster.kinds())
    yield cluster.operator()
    yield store_health(settings)
    yield from solutions(settings, Path(os.environ.get("ALCOVE_TEST_USERS", "/alcove/users")))
    yield from judge_run(cluster.run_report(), settings)
    teams = tuple(settings["teams"])
    for team in teams:
        other_teams = tuple(other for other in teams if other != team)
        asked = [
            (right, cluster.may(team, right)) for right in rights(team, settings["namespace"], other_teams)
        ]
        yield judge_rights(team, asked)
        yield judge_policy(team, settings["submissionPolicy"], cluster.try_submission(team))


def main(task: str) -> int:
    settings: Settings = json.loads(os.environ["ALCOVE_TEST"])
    if task == "run":
        text = json.dumps(asdict(probe(settings)))
        print(text)
        Path(os.environ.get("ALCOVE_TERMINATION_LOG", TERMINATION)).write_text(text)
        return 0
    judged = []
    for verdict in verdicts(settings):
        print(f"{verdict.state}  {verdict.promise}: {verdict.detail}", flush=True)
        judged.append(verdict)
    print(summary(judged))
    return 1 if any(verdict.state == "FAIL" for verdict in judged) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
