"""What a participant's code, and a team, can reach: both what works and what must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.demo.hackathon import Hackathon, kubectl
from tests.e2e import models
from tests.e2e.conftest import Team, as_participant

pytestmark = pytest.mark.e2e


def test_nothing_is_within_reach_of_the_participants_code(red: Team, hackathon: Hackathon) -> None:
    store = hackathon.get("service", "alcove-store")["spec"]["clusterIP"]
    red.submit("probes", models.PROBES.replace("STORE_HOST", repr(store)))
    red.until("probes")
    line = next(line for line in red.log("probes").splitlines() if line.startswith("PROBE "))
    report = json.loads(line.removeprefix("PROBE "))
    for target in ("api", "store", "internet", "ipv6", "netlink"):
        assert report[target].startswith("PermissionError"), (target, report[target])
    assert report["unix"].startswith("worked"), "the filter refuses more than it should"
    assert report["kill"].startswith("worked") or "Error" in report["kill"]
    assert "Read-only" in report["root"] or "Permission" in report["root"]
    for leak in ("token", "credentials", "solutions", "environment"):
        assert report[leak] == [], leak
    assert report["uid"] >= 200000
    assert red.run("probes")["snapshots"] == 1, "the supervisor did not outlive kill(1)"


@pytest.mark.parametrize(
    ("verb", "resource", "where", "allowed"),
    [
        ("create", "submissions.alcove.dev", "own", True),
        ("delete", "submissions.alcove.dev", "own", True),
        ("create", "configmaps", "own", True),
        ("get", "leaderboards.alcove.dev", "competition", True),
        ("list", "submissions.alcove.dev", "other", False),
        ("patch", "submissions.alcove.dev/status", "own", False),
        ("get", "pods", "own", False),
        ("get", "pods", "competition", False),
        ("get", "pods/log", "competition", False),
        ("get", "datasets.alcove.dev", "competition", False),
        ("get", "competitions.alcove.dev", "competition", False),
        ("get", "secrets", "competition", False),
        ("create", "jobs.batch", "competition", False),
    ],
)
def test_a_team_may_do_this_and_no_more(
    hackathon: Hackathon, tmp_path: Path, verb: str, resource: str, where: str, allowed: bool
) -> None:
    own, other = hackathon.team_namespace("red"), hackathon.team_namespace("blue")
    namespace = {"own": own, "other": other, "competition": hackathon.name}[where]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": _attributes(verb, resource, namespace)},
    }
    as_team = as_participant(hackathon, own, tmp_path)
    answer = kubectl(as_team, "create", "--validate=false", "-f", "-", "-o", "json", stdin=json.dumps(review))
    assert json.loads(answer)["status"].get("allowed", False) is allowed


def _attributes(verb: str, resource: str, namespace: str) -> dict[str, str]:
    full, _, sub = resource.partition("/")
    name, _, group = full.partition(".")
    return {"verb": verb, "resource": name, "group": group, "subresource": sub, "namespace": namespace}
