"""The chart on a real API server: who may do what, and what outlives an upgrade and an uninstall."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.helm.conftest import ApiServer, Releases
from tests.unit.helm.chart import CHART, ZEROS, Object, of_kind, render
from tests.unit.helm.variants import VARIANTS

pytestmark = pytest.mark.integration


def teams(namespace: str) -> Object:
    """Team namespaces that no other test uses."""
    return {
        "teams": [
            {"name": "red", "subjects": [{"kind": "User", "name": f"ada@{namespace}"}]},
            {"name": "blue", "subjects": [{"kind": "Group", "name": f"blues@{namespace}"}]},
        ]
    }


def participant(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:participant"


def submission(namespace: str, competition: str, name: str = "first") -> Object:
    return {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "Submission",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "competition": {"namespace": competition, "name": competition},
            "phase": "practice",
            "code": {"configMap": {"name": name}},
        },
    }


def config_map(namespace: str, name: str = "first") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"model.py": "class Model: ..."},
    }


def leaderboard(namespace: str, phase: str = "practice") -> Object:
    return {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "Leaderboard",
        "metadata": {"name": phase, "namespace": namespace},
        "spec": {"competition": namespace, "phase": phase},
    }


def team_usage(competition: str, team: str) -> Object:
    return {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "TeamUsage",
        "metadata": {"name": f"{competition}.{team}", "namespace": competition},
        "spec": {"competition": competition, "team": team},
    }


def test_what_a_team_may_do(server: ApiServer, releases: Releases) -> None:
    releases("may", teams("may"))
    red = "may-red"
    server.create(leaderboard("may"), as_user="system:serviceaccount:may:alcove-operator")
    for user in (participant(red), "ada@may"):
        name = "of-ada" if user == "ada@may" else "of-participant"
        server.create(config_map(red, name), as_user=user)
        server.ok("delete", "configmap", name, "-n", red, as_user=user)
        server.create(config_map(red, name), as_user=user)
        server.create(submission(red, "may", name), as_user=user)
        assert name in server.ok("get", "submissions", "-n", red, as_user=user)
        server.ok("get", "events", "-n", red, as_user=user)
        assert "practice" in server.ok("get", "leaderboards", "-n", "may", as_user=user)
        server.ok("get", "secret", "alcove-store", "-n", red, as_user=user)
        server.ok("delete", "submission", name, "-n", red, as_user=user)


def test_what_a_team_may_not_do(server: ApiServer, releases: Releases) -> None:
    releases("maynot", teams("maynot"))
    red, blue, me = "maynot-red", "maynot-blue", participant("maynot-red")
    server.create(submission(red, "maynot"), as_user=me)
    server.create(submission(blue, "maynot"), as_user=participant(blue))
    server.create(leaderboard("maynot"))

    mine = f"/apis/alcove.dev/v1alpha1/namespaces/{red}/submissions/first"
    assert server.patch(f"{mine}/status", {"status": {"phase": "Done", "rank": 1}}, as_user=me) == 403
    # That it may not change its own object either is in test_changed_submission.py.
    # Pods, nowhere.
    for namespace in (red, blue, "maynot"):
        server.refused("get", "pods", "-n", namespace, as_user=me)
        server.refused("run", "x", "--image=x", "-n", namespace, as_user=me)
        server.refused("create", "job", "x", "--image=x", "-n", namespace, as_user=me)
        server.refused("create", "token", "participant", "-n", namespace, as_user=me)
        server.refused("get", "secrets", "-n", namespace, as_user=me)
        server.refused(
            "create", "rolebinding", "x", "--clusterrole=admin", "--user=me", "-n", namespace, as_user=me
        )
    # The other team.
    for kind in ("submissions", "configmaps", "events"):
        server.refused("get", kind, "-n", blue, as_user=me)
    server.refused("get", "submission", "first", "-n", blue, as_user=me)
    server.refused("get", "secret", "alcove-store", "-n", blue, as_user=me)
    server.refused("create", "-f", "-", stdin=json.dumps(submission(blue, "maynot", "forged")), as_user=me)
    server.refused("delete", "submission", "first", "-n", blue, as_user=me)
    # The competition's namespace, but for the Leaderboards.
    for kind in ("datasets", "competitions", "submissions", "configmaps", "jobs", "events"):
        server.refused("get", kind, "-n", "maynot", as_user=me)
    server.refused("get", "competition", "maynot", "-n", "maynot", as_user=me)
    server.refused("get", "secret", "alcove-store-scorer", "-n", "maynot", as_user=me)
    board = "/apis/alcove.dev/v1alpha1/namespaces/maynot/leaderboards/practice"
    assert server.patch(f"{board}/status", {"status": {"leaders": "red"}}, as_user=me) == 403
    server.refused("get", "submissions", "-A", as_user=me)
    server.refused("get", "namespaces", as_user=me)
    # Nobody in particular, though known to the cluster.
    server.refused("get", "leaderboards", "-n", "maynot", as_user="somebody")
    server.refused("get", "submissions", "-n", red, as_user="somebody")


def test_what_the_operator_may_do(server: ApiServer, releases: Releases) -> None:
    releases("op", teams("op"))
    red, me = "op-red", "system:serviceaccount:op:alcove-operator"
    server.create(submission(red, "op"), as_user=participant(red))
    server.create(config_map(red), as_user=participant(red))

    server.ok("get", "submissions", "-n", red, as_user=me)
    api = "/apis/alcove.dev/v1alpha1/namespaces"
    mine = f"{api}/{red}/submissions/first"
    for finalizers in (["alcove.dev/runs"], None):
        assert server.patch(mine, {"metadata": {"finalizers": finalizers}}, as_user=me) == 200
    assert server.patch(f"{mine}/status", {"status": {"phase": "Queued"}}, as_user=me) == 200
    server.ok("get", "configmap", "first", "-n", red, as_user=me)
    # A Role may grant its own Namespace object.
    labels = json.loads(server.ok("get", "namespace", red, "-o", "json", as_user=me))["metadata"]["labels"]
    assert labels["alcove.dev/competition"] == "op.op"
    server.refused("get", "namespace", "kube-system", as_user=me)
    for kind in ("competitions", "datasets", "leaderboards", "teamusages", "jobs", "pods"):
        server.ok("get", kind, "-n", "op", as_user=me)
    body: Object = {"status": {"running": 1}}
    assert server.patch(f"{api}/op/competitions/op/status", body, as_user=me) == 200
    assert server.patch(f"{api}/op/datasets/digits/status", {"status": {"nTest": 1}}, as_user=me) == 200
    assert server.patch(f"{api}/op/competitions/op", {"spec": {"capacity": 9}}, as_user=me) == 403
    server.ok("create", "job", "x", "--image=x", "-n", "op", as_user=me)
    server.ok("delete", "job", "x", "-n", "op", as_user=me)
    server.ok("create", "secret", "generic", "r-1", "-n", "op", as_user=me)
    assert server.patch("/api/v1/namespaces/op/secrets/r-1", {"data": {"a": "Yg=="}}, as_user=me) == 200

    server.refused("get", "secrets", "-n", "op", as_user=me)
    server.refused("get", "secret", "alcove-store-scorer", "-n", "op", as_user=me)
    server.refused("get", "secret", "alcove-store", "-n", red, as_user=me)
    server.refused("create", "job", "x", "--image=x", "-n", red, as_user=me)
    server.refused("delete", "submission", "first", "-n", red, as_user=me)
    server.refused("get", "submissions", "-n", "default", as_user=me)
    server.refused("get", "nodes", as_user=me)


def test_the_aggregate_job_writes_its_leaderboards_alone(server: ApiServer, releases: Releases) -> None:
    releases("agg", teams("agg"))
    me = "system:serviceaccount:agg:alcove-aggregate"
    for phase in ("practice", "added-with-kubectl"):
        server.create(leaderboard("agg", phase))
    boards = "/apis/alcove.dev/v1alpha1/namespaces/agg/leaderboards"
    body = {"status": {"leaders": "red", "generation": 1}}
    server.ok("get", "leaderboard", "practice", "-n", "agg", as_user=me)
    assert server.patch(f"{boards}/practice/status", body, as_user=me) == 200
    assert server.get("leaderboard", "practice", "agg")["status"]["leaders"] == "red"
    assert server.patch(f"{boards}/added-with-kubectl/status", body, as_user=me) == 200
    other = boards.replace("/agg/", "/default/")
    assert server.patch(f"{other}/practice/status", body, as_user=me) == 403
    assert server.patch(f"{boards}/practice", {"spec": {"phase": "x"}}, as_user=me) == 403
    for kind in ("submissions", "datasets", "secrets", "pods", "leaderboards"):
        server.refused("get", kind, "-n", "agg", as_user=me)
    reader = "system:serviceaccount:agg:alcove-board"
    server.ok("get", "leaderboards", "-n", "agg", as_user=reader)
    for kind in ("submissions", "competitions", "datasets", "secrets", "pods", "configmaps"):
        server.refused("get", kind, "-n", "agg", as_user=reader)
    server.refused("get", "submissions", "-n", "agg-red", as_user=reader)
    assert server.patch(f"{boards}/practice/status", body, as_user=reader) == 403
    for account in ("alcove-run", "alcove-score"):
        other = f"system:serviceaccount:agg:{account}"
        server.refused("get", "leaderboard", "practice", "-n", "agg", as_user=other)
        server.refused("get", "submissions", "-n", "agg-red", as_user=other)


def _credentials(server: ApiServer, namespace: str) -> dict[str, dict[str, str]]:
    own = [
        f"alcove-store-{user}"
        for user in ("operator", "scorer", "aggregate", "board", "auditor", "publisher")
    ]
    places = [(name, namespace) for name in (*own, "alcove-store-root", "alcove-store-users")]
    places.append(("alcove-store", f"{namespace}-red"))
    return {f"{place}/{name}": server.secret(name, place) for name, place in places}


def test_credentials_outlive_upgrades_and_reinstallation(server: ApiServer, releases: Releases) -> None:
    release = releases("keys", teams("keys"))
    before = _credentials(server, "keys")
    listing = json.loads(before["keys/alcove-store-users"]["users.json"])
    assert len({user["secret_key"] for user in listing["users"]}) == 8

    done = release.upgrade()
    assert done.returncode == 0, done.stderr
    assert _credentials(server, "keys") == before

    # One that was lost or leaked is replaced alone.
    server.ok("delete", "secret", "alcove-store", "-n", "keys-red")
    done = release.upgrade()
    assert done.returncode == 0, done.stderr
    after = _credentials(server, "keys")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"keys-red/alcove-store", "keys/alcove-store-users"}

    assert release.uninstall().returncode == 0
    done = release.install()
    assert done.returncode == 0, done.stderr
    assert _credentials(server, "keys") == after


def test_results_and_definitions_outlive_an_uninstall(server: ApiServer, releases: Releases) -> None:
    release = releases("gone", teams("gone"))
    server.create(submission("gone-red", "gone"), as_user=participant("gone-red"))
    server.status("submission", "first", "gone-red", {"phase": "Done", "rank": 1})
    server.create(leaderboard("gone"))
    server.create(team_usage("gone", "gone-red"))
    server.status("teamusage", "gone.gone-red", "gone", {"total": 3})
    crds = server.ok("get", "crds", "-o", "name")
    assert crds.count("alcove.dev") == 5

    done = release.uninstall()
    assert done.returncode == 0, done.stderr

    assert server.ok("get", "crds", "-o", "name") == crds
    assert server.get("submission", "first", "gone-red")["status"]["rank"] == 1
    assert server.exists("leaderboard", "practice", "gone")
    assert server.get("teamusage", "gone.gone-red", "gone")["status"]["total"] == 3
    for kind, name in (
        ("deployment", "alcove-operator"), ("statefulset", "alcove-store"), ("role", "alcove-operator"),
        ("networkpolicy", "alcove-default-deny"), ("serviceaccount", "alcove-operator"),
    ):  # fmt: skip
        assert not server.exists(kind, name, "gone")
    # Whoever had a token of the team's has no right any more.
    server.refused("get", "submissions", "-n", "gone-red", as_user=participant("gone-red"))

    done = release.install()
    assert done.returncode == 0, done.stderr
    assert server.get("teamusage", "gone.gone-red", "gone")["status"]["total"] == 3
    assert "first" in server.ok("get", "submissions", "-n", "gone-red", as_user=participant("gone-red"))


def test_a_team_that_is_taken_out_loses_its_rights_and_keeps_its_results(
    server: ApiServer, releases: Releases
) -> None:
    release = releases("less", teams("less"))
    server.create(submission("less-blue", "less"), as_user=participant("less-blue"))
    release.values["teams"] = release.values["teams"][:1]
    done = release.upgrade()
    assert done.returncode == 0, done.stderr
    assert server.exists("submission", "first", "less-blue")
    server.refused("get", "submissions", "-n", "less-blue", as_user=participant("less-blue"))
    server.refused("get", "leaderboards", "-n", "less", as_user=participant("less-blue"))
    server.ok("get", "leaderboards", "-n", "less", as_user=participant("less-red"))


def _sees_nodes(server: ApiServer, user: str) -> bool:
    """There is none, so whoever may ask is told so."""
    return "NotFound" in server.kubectl("get", "node", "absent", as_user=user).stderr


def test_two_hackathons_do_not_meet(server: ApiServer, releases: Releases) -> None:
    one = releases("one", {**teams("one"), "operator": {"readNodes": True}})
    two = releases("two", {**teams("two"), "operator": {"readNodes": True}})
    for own, other in (("one", "two"), ("two", "one")):
        operator = f"system:serviceaccount:{own}:alcove-operator"
        server.ok("get", "submissions", "-n", f"{own}-red", as_user=operator)
        assert _sees_nodes(server, operator)
        server.refused("get", "submissions", "-n", f"{other}-red", as_user=operator)
        server.refused("get", "competitions", "-n", other, as_user=operator)
        server.refused("get", "leaderboards", "-n", other, as_user=participant(f"{own}-red"))
    assert server.secret("alcove-store-root", "one") != server.secret("alcove-store-root", "two")
    assert one.uninstall().returncode == 0
    assert not _sees_nodes(server, "system:serviceaccount:one:alcove-operator")
    assert _sees_nodes(server, "system:serviceaccount:two:alcove-operator")
    assert two.upgrade().returncode == 0


@pytest.mark.parametrize("clash", ["namespace", "team"])
def test_a_clash_is_refused_and_changes_nothing(server: ApiServer, releases: Releases, clash: str) -> None:
    first = releases(f"first-{clash}", teams(f"first-{clash}"))
    second = releases(f"second-{clash}", teams(f"second-{clash}"), install=False)
    if clash == "namespace":
        second.namespace = first.namespace
    else:
        second.values["teams"] = [{"name": "red", "namespace": f"first-{clash}-red"}]
    before = server.secret("alcove-store", f"first-{clash}-red")
    done = second.install()
    assert done.returncode != 0
    assert "cannot be imported into the current release" in done.stderr
    assert server.secret("alcove-store", f"first-{clash}-red") == before


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"phases": [{"name": "p", "datasets": ["digits"], "budget": {"seconds": 5}, "feedback": {"mode": "none"}}]},
         ["feedback.mode none needs revealsAt"]),
    ],
)  # fmt: skip
def test_what_only_the_server_can_see_is_refused_by_name(
    releases: Releases, spec: dict[str, Any], words: list[str]
) -> None:
    done = releases("cel", {**teams("cel"), "competition": {"spec": spec}}, install=False).install()
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr


def test_a_dataset_is_refused_by_field(server: ApiServer, releases: Releases) -> None:
    releases("field", teams("field"))
    body = {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": "x", "namespace": "field"},
        "spec": {"alias": "x", "dataSha256": "abc", "solutionSha256": ZEROS},
    }
    done = server.kubectl("create", "-f", "-", stdin=json.dumps(body))
    assert done.returncode != 0
    assert "spec.dataSha256" in done.stderr


def create_for_real(server: ApiServer, objects: list[Object]) -> None:
    """What a dry run has to find: the namespaces, the accounts of pods, and the definitions of our own kinds."""
    if not server.exists("crd", "competitions.alcove.dev", ""):
        server.ok("create", "-f", str(CHART / "crds"))
    server.ok("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    namespaces = {item["metadata"]["namespace"] for item in objects if "namespace" in item["metadata"]}
    places = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces]
    listed = {"apiVersion": "v1", "kind": "List", "items": [*places, *of_kind(objects, "ServiceAccount")]}
    server.ok("apply", "-f", "-", stdin=json.dumps(listed))


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_api_server_takes_every_variant(server: ApiServer, values: Object) -> None:
    """Strictly: an unknown or misplaced field is refused. test_certificates.py has cert-manager's Certificate,
    test_monitoring.py the Prometheus operator's kinds.
    """
    objects = [item for item in render(values) if item["kind"] != "Certificate"]
    create_for_real(server, objects)
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    made = server.ok("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=listed)
    assert len(made.splitlines()) == len(objects)
    assert ("statefulset.apps/alcove-store" in made) is (values.get("store", {}).get("kind") != "external")
