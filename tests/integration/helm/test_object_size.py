"""What a team may hang on a Submission beside its spec, on a real API server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from tests.integration.helm.conftest import ApiServer, Releases, wait_for
from tests.integration.helm.test_install import config_map, participant, submission, teams
from tests.unit.helm.chart import Object

pytestmark = pytest.mark.integration

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": "u" * 500_000}
MANAGER = {
    "manager": "me",
    "operation": "Update",
    "apiVersion": "alcove.dev/v1alpha1",
    "time": "2026-01-01T00:00:00Z",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:spec": {f"f:{'x' * 200}{i}": {} for i in range(5000)}},
}
TOO_MUCH: dict[str, Object] = {
    "labels": {"labels": {f"l{i}": "x" * 63 for i in range(16_000)}},
    "annotations": {"annotations": {"one": "x" * 100_000}},
    "many annotations": {"annotations": {f"a{i}": "" for i in range(40)}},
    "finalizers": {"finalizers": ["example.org/mine"]},
    "owners": {"ownerReferences": [OWNER]},
    "field managers": {"managedFields": [MANAGER]},
}


def make(server: ApiServer, folder: Path, metadata: Object) -> tuple[int, str]:
    """As a team makes it: exit status of kubectl, and what it said."""
    document = submission("guard-red", "guard", "big")
    document["metadata"] |= metadata
    path = folder / "big.json"
    path.write_text(json.dumps(document))
    done = server.kubectl("create", "-f", str(path), as_user=participant("guard-red"))
    return done.returncode, done.stderr


def test_a_team_hangs_no_more_on_a_submission_than_it_needs(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    releases("guard", teams("guard"))

    def refused(metadata: Object) -> str:
        code, said = make(server, tmp_path, metadata)
        if code == 0:
            server.ok("delete", "submission", "big", "-n", "guard-red", "--wait=false")
            server.kubectl("patch", "submission", "big", "-n", "guard-red", "--type=merge", "-p",
                           '{"metadata":{"finalizers":null}}')  # fmt: skip
        return said if code else ""

    # A policy is known to the API server a moment after it is made.
    wait_for("the policy", lambda: refused(TOO_MUCH["finalizers"]))
    for what, metadata in TOO_MUCH.items():
        said = refused(metadata)
        assert "A Submission has" in said, (what, said[:300])
    modest = {"labels": {"a": "b"}, "annotations": {"note": "x" * 1000}}
    code, said = make(server, tmp_path, modest)
    assert code == 0, said
    # The operator goes on with its work on what is there, and so does the API server when the team deletes it.
    operator = "system:serviceaccount:guard:alcove-operator"
    path = "/apis/alcove.dev/v1alpha1/namespaces/guard-red/submissions/big"
    assert server.patch(path, {"metadata": {"finalizers": ["alcove.dev/runs"]}}, operator) == 200
    server.ok("delete", "submission", "big", "-n", "guard-red", "--cascade=foreground", "--wait=false",
              as_user=participant("guard-red"))  # fmt: skip
    assert server.patch(path, {"metadata": {"finalizers": None}}, operator) == 200
    wait_for("it is gone", lambda: not server.exists("submission", "big", "guard-red"))


def test_an_operator_stays_small_whatever_teams_have_stored(server: ApiServer, releases: Releases) -> None:
    """Where the API server does not know the policy, or before there was one: sixty Submissions of 1.2 MB."""
    releases("heavy", teams("heavy"))
    policy = "alcove-submissions.heavy"
    server.ok("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", policy)
    server.create(config_map("heavy-red"))
    kube = KubeClient.from_kubeconfig(str(server.cluster.kubeconfig))
    labels = {f"l{i}": "x" * 63 for i in range(16_000)}

    def make_one(number: int) -> bool:
        document = submission("heavy-red", "heavy", f"big-{number}")
        document["metadata"]["labels"] = labels
        try:
            kube.create(SUBMISSIONS, "heavy-red", document)
        except ApiError:
            return False
        return True

    wait_for("the policy is gone", lambda: make_one(0))
    assert all(make_one(number) for number in range(1, 60))
    dockerfile = Path("images/operator/Dockerfile").read_text()
    image = dict(re.findall(r"^ENV (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    environment = {**os.environ, **image, "KUBECONFIG": str(server.cluster.kubeconfig)}
    argv = [sys.executable, "-m", "tests.integration.helm.operator_memory", "heavy", "heavy-red"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=True)
    listed, peak = map(int, done.stdout.split())
    assert listed == 60
    # The chart gives it 512 MiB; with small objects it is at 100.
    assert peak < 256, f"{peak} MiB"
