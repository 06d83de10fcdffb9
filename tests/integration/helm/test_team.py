"""From nothing to a submission: the organizer makes a team's kubeconfig, and the team hands in code with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from alcove_api.base import API_VERSION
from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import CONFIG_MAPS, NAMESPACES, SUBMISSIONS
from tests.integration.helm.conftest import ApiServer, Releases

pytestmark = pytest.mark.integration
CHANCE = Path(__file__).parents[3] / "examples" / "submissions" / "chance"


def alcove(folder: Path, kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alcove_cli.main", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(kubeconfig)},
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def board(server: ApiServer, namespace: str, **rules: str) -> None:
    """What the operator would make for a phase."""
    spec = {"competition": namespace, "phase": "practice", "rules": rules}
    meta = {"name": "practice", "namespace": namespace}
    server.create({"apiVersion": API_VERSION, "kind": "Leaderboard", "metadata": meta, "spec": spec})


def test_a_teams_kubeconfig_has_the_rights_of_the_team(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    releases("start", {"teams": [{"name": "rose"}, {"name": "teal"}]})
    board(server, "start")
    made = alcove(tmp_path, server.cluster.kubeconfig, "team", "kubeconfig", "rose")
    assert made.returncode == 0, made.stderr
    own = tmp_path / "start-rose.kubeconfig"
    assert f"Wrote {own.name}, valid until" in made.stdout
    assert yaml.safe_load(own.read_text())["contexts"][0]["context"]["namespace"] == "start-rose"

    submit = ("submit", str(CHANCE), "--team", "start-rose", "--competition", "start", "--name", "one")
    assert alcove(tmp_path, own, *submit).returncode == 0
    team = KubeClient.from_kubeconfig(str(own))
    created = team.get(SUBMISSIONS, "start-rose", "one")
    (owner,) = team.get(CONFIG_MAPS, "start-rose", "one")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Submission", created["metadata"]["uid"])
    for refused in ((SUBMISSIONS, "start-teal"), (NAMESPACES, None)):
        with pytest.raises(ApiError) as caught:
            team.find_all(*refused)
        assert caught.value.status == 403

    again = alcove(tmp_path, own, *submit)
    assert again.returncode == 2
    assert "There is a Submission one in start-rose already" in again.stderr


def test_what_is_refused_leaves_no_code(server: ApiServer, releases: Releases, tmp_path: Path) -> None:
    releases("nothing", {"teams": [{"name": "rose"}]})
    board(server, "nothing", opensAt="2026-01-01T00:00:00Z")
    assert alcove(tmp_path, server.cluster.kubeconfig, "team", "kubeconfig", "nothing-rose").returncode == 0
    own = tmp_path / "nothing-rose.kubeconfig"
    submit = ("submit", str(CHANCE), "--team", "nothing-rose", "--competition", "nothing", "--name", "one")
    refused = alcove(tmp_path, own, *submit, "--framework", "fortran")
    assert refused.returncode == 2
    assert "'fortran' is not one of" in refused.stderr
    refused = alcove(tmp_path, own, *submit[:-1], "One")
    assert refused.returncode == 2
    assert "metadata.name" in refused.stderr, "only the API server looks at it"
    team = KubeClient.from_kubeconfig(str(own))
    assert not {found["metadata"]["name"] for found in team.find_all(CONFIG_MAPS, "nothing-rose")} & {
        "one",
        "One",
    }
    assert alcove(tmp_path, own, *submit).returncode == 0, "its name can be used"

    # The code alone is refused: the Submission goes, too.
    rules = [
        {"apiGroups": ["alcove.dev"], "resources": ["submissions"], "verbs": ["create", "get", "delete"]}
    ]
    rules += [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    server.ok(
        "patch", "role", "alcove-team", "-n", "nothing-rose", "--type=merge", "-p", yaml.safe_dump({"rules": rules})
    )  # fmt: skip
    taken_back = alcove(tmp_path, own, *submit[:-1], "two")
    assert taken_back.returncode == 1
    assert "Nothing was submitted." in taken_back.stderr
    assert team.find(SUBMISSIONS, "nothing-rose", "two") is None


def test_a_phase_that_is_closed_or_missing_is_said_before_anything_is_created(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    releases("closed", {"teams": [{"name": "rose"}]})
    board(server, "closed", closesAt="2026-01-01T00:00:00Z")
    assert alcove(tmp_path, server.cluster.kubeconfig, "team", "kubeconfig", "closed-rose").returncode == 0
    own = tmp_path / "closed-rose.kubeconfig"
    submit = ("submit", str(CHANCE), "--team", "closed-rose", "--name", "one", "--competition")
    for arguments, said in (
        (("closed",), "has been closed since 2026-01-01 00:00 UTC"),
        (("closed", "--phase", "final"), "Its phases: practice"),
        (("closed/other",), "There is no competition other"),
        (("elsewhere",), "You may not see any competition in the namespace elsewhere"),
    ):
        done = alcove(tmp_path, own, *submit, *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
    team = KubeClient.from_kubeconfig(str(own))
    assert team.find_all(SUBMISSIONS, "closed-rose") == []
    assert team.find(CONFIG_MAPS, "closed-rose", "one") is None


def test_only_the_organizer_names_a_team(server: ApiServer, releases: Releases) -> None:
    releases("title", {"teams": [{"name": "rose", "displayName": "深層 & <b> 🐼"}, {"name": "teal"}]})
    shown = [{"namespace": "title-rose", "displayName": "深層 & <b> 🐼"}]
    assert server.get("competition", "title", "title")["spec"]["teams"] == shown
    path = "/apis/alcove.dev/v1alpha1/namespaces/title/competitions/title"
    for name in ("zero\u200bwidth", "evil\u202edna", "two\nlines", "x" * 41, " rose", ""):
        teams = {"spec": {"teams": [{"namespace": "title-teal", "displayName": name}]}}
        assert server.patch(path, teams, "kubernetes-admin", ("system:masters",)) == 422, name
    good = {"spec": {"teams": [{"namespace": "title-teal", "displayName": "深層 & <b> 🐼"}]}}
    assert server.patch(path, good, "system:serviceaccount:title-teal:participant") == 403
