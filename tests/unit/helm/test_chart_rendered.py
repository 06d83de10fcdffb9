"""Properties of what the chart renders."""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from alcove_api.schema import KINDS
from alcove_board.settings import BoardSettings
from alcove_operator.config import from_environment
from alcove_operator.store_setup import Users
from alcove_operator.team_list import parse_namespaces
from tests.cluster.publish import version as chart_version
from tests.unit.helm.chart import (
    CHART,
    IMAGES,
    NAMESPACE,
    REPOSITORY,
    VALUES,
    Object,
    environment,
    helm,
    merged,
    of_kind,
    one,
    pods,
    render,
    template,
)

TEAMS = ("team-red", "hackathon-blue")
EXTERNAL = {
    "kind": "external",
    "external": {
        "endpoint": "https://s3.example.org",
        "adminSecret": "store-admin",
        "cidrs": ["203.0.113.0/24"],
    },
}


CLUSTER_WIDE = {"operator": {"clusterWide": True}}


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render({"operator": {"readNodes": True}})


def test_late_answers_on_a_busy_node_are_no_reason_to_restart_the_operator(objects: list[Object]) -> None:
    containers = next(pod for name, _, pod in pods(objects) if name == "Deployment/alcove-operator")[
        "containers"
    ]
    liveness, startup = containers[0]["livenessProbe"], containers[0]["startupProbe"]
    assert 10 <= liveness["timeoutSeconds"] <= liveness["periodSeconds"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 120
    assert startup["timeoutSeconds"] >= 10
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 600, (
        "it lists all teams before it answers"
    )


def test_teams_have_quotas_from_the_start_and_a_hook_waits_for_them(objects: list[Object]) -> None:

    def limits(rendered: list[Object]) -> list[Object]:
        return [quota["spec"]["hard"] for quota in of_kind(rendered, "ResourceQuota")]

    def waits(rendered: list[Object]) -> list[list[str]]:
        hooks = [pod["containers"][0] for name, _, pod in pods(rendered) if name == "Job/alcove-team-quotas"]
        return [hook["args"] for hook in hooks]

    both = {"count/configmaps": "200", "count/submissions.alcove.dev": "500"}
    for rendered in (objects, render(None, "hackathon", "--is-upgrade")):
        assert limits(rendered) == [both] * 2
        assert waits(rendered) == [["500", *TEAMS]]
    for quota, left in ((dict.fromkeys(both), []), ({"count/submissions.alcove.dev": None}, ["200"] * 2)):
        rendered = render({"teamQuota": quota})
        assert [limit["count/configmaps"] for limit in limits(rendered)] == left
        assert waits(rendered) == []


def test_every_pod_is_restricted(objects: list[Object]) -> None:
    found = list(pods(objects))
    assert {name for name, _, _ in found} >= {
        "Deployment/alcove-board",
        "Deployment/alcove-operator",
        "StatefulSet/alcove-store",
        "Job/alcove-store-setup",
        "Job/alcove-crds-upgrade",
        "Job/alcove-resolvers",
        "Job/alcove-team-quotas",
        "Pod/alcove-test",
        "Pod/alcove-test-run",
    }
    for name, labels, spec in found:
        assert labels["alcove.dev/role"], name
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert all(not {"hostPath"} & volume.keys() for volume in spec.get("volumes", ())), name
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_the_test_hooks_are_pods_alone(objects: list[Object]) -> None:
    hooks = [o for o in objects if o["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"]
    # `helm test --logs` asks for the log of a pod of each one's name.
    assert [(o["kind"], o["metadata"]["name"]) for o in hooks] == [
        ("Pod", "alcove-test-run"),
        ("Pod", "alcove-test"),
    ]


def test_only_who_talks_to_the_api_server_has_a_token(objects: list[Object]) -> None:
    with_token = {name for name, _, spec in pods(objects) if spec.get("automountServiceAccountToken", True)}
    assert with_token == {
        "Deployment/alcove-board", "Deployment/alcove-operator", "Job/alcove-crds-upgrade", "Job/alcove-resolvers",
        "Job/alcove-team-quotas",
        "Pod/alcove-test",
    }  # fmt: skip


def test_no_right_is_wider_than_it_says(objects: list[Object]) -> None:
    for role in of_kind(objects, "Role", "ClusterRole"):
        for rule in role["rules"]:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert all("*" not in word for word in words), role["metadata"]
            assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"]), role[
                "metadata"
            ]


def test_teams_come_and_go_without_a_restart_of_the_operator(objects: list[Object]) -> None:
    """Else each would stop the queue, and every Submission of every team would be listed again."""
    more = {"teams": [*VALUES["teams"], {"name": "green"}]}
    assert one(objects, "Deployment", "alcove-operator") == one(render(more), "Deployment", "alcove-operator")
    data = one(render(more), "ConfigMap", "alcove-teams")["data"]
    assert parse_namespaces(data, NAMESPACE) == {*TEAMS, f"{NAMESPACE}-green"}


def test_the_operator_is_told_of_its_cluster_wide_rights(objects: list[Object]) -> None:
    def told(rendered: list[Object]) -> list[str]:
        operator = next(pod for name, _, pod in pods(rendered) if name == "Deployment/alcove-operator")
        environment = operator["containers"][0]["env"]
        return [entry["value"] for entry in environment if entry["name"] == "ALCOVE_CLUSTER_WIDE"]

    assert told(objects) == []
    assert told(render(CLUSTER_WIDE)) == ["true"]


def test_cluster_wide_rights_are_few(objects: list[Object]) -> None:
    rules = {role["metadata"]["name"]: role["rules"] for role in of_kind(objects, "ClusterRole")}
    nodes, definitions = rules["alcove-nodes-hackathon"], rules["alcove-crds-upgrade-hackathon"]
    assert len(rules) == 3
    # Bounded by a policy to the release's own teams: see test_submission_policy.
    submissions = {"apiGroups": ["alcove.dev"], "resources": ["submissions"], "verbs": ["get", "patch"]}
    assert rules["alcove-submissions-hackathon"] == [submissions]
    assert nodes == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    wide = {role["metadata"]["name"]: role["rules"] for role in of_kind(render(CLUSTER_WIDE), "ClusterRole")}
    assert wide["alcove-submissions-hackathon"] == [submissions, {**submissions, "verbs": ["list", "watch"]}]
    assert definitions[0]["resources"] == ["customresourcedefinitions"]
    assert len(definitions[0]["resourceNames"]) == 5
    assert definitions[0]["verbs"] == ["get", "update"]
    # Rendered without a cluster, in which all are missing.
    assert [rule["verbs"] for rule in definitions[1:]] == [["create"]]
    (left,) = of_kind(render({"crds": {"upgrade": False}}), "ClusterRole")
    assert left["metadata"]["name"] == "alcove-submissions-hackathon"


def test_runs_and_scores_have_no_right_at_all(objects: list[Object]) -> None:
    bound = {
        (subject["namespace"], subject["name"])
        for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
        if subject["kind"] == "ServiceAccount"
    }
    for account in ("alcove-run", "alcove-score"):
        assert one(objects, "ServiceAccount", account)["automountServiceAccountToken"] is False
        assert (NAMESPACE, account) not in bound
    assert (NAMESPACE, "alcove-aggregate") in bound


def test_aggregate_may_write_the_status_of_leaderboards_alone(objects: list[Object]) -> None:
    rules = one(objects, "Role", "alcove-aggregate")["rules"]
    assert [(r["resources"], r.get("resourceNames"), r["verbs"]) for r in rules] == [
        (["leaderboards"], None, ["get"]),
        (["leaderboards/status"], None, ["patch"]),
    ]


def _secrets_of(spec: Object) -> Iterator[str]:
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            yield volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", ()):
            yield source["secret"]["name"]
    for container in spec["containers"]:
        for entry in container.get("env", ()):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                yield entry["valueFrom"]["secretKeyRef"]["name"]


def test_credentials_go_to_who_needs_them(objects: list[Object]) -> None:
    mounted = {name: set(_secrets_of(spec)) for name, _, spec in pods(objects)}
    assert {name: secrets for name, secrets in mounted.items() if secrets} == {
        "Deployment/alcove-board": {"alcove-store-board"},
        # The scorer's to hand on, to a Job for what it is to score.
        "Deployment/alcove-operator": {"alcove-store-operator", "alcove-store-scorer"},
        # The operator's, by which its gate checks permits.
        "StatefulSet/alcove-store": {"alcove-store-iam", "alcove-store-root", "alcove-store-operator"},
        "Job/alcove-store-setup": {"alcove-store-root", "alcove-store-users"},
        # To find out that neither can read the solutions.
        "Pod/alcove-test": {"alcove-store-operator", "alcove-store-aggregate"},
    }


def test_a_teams_namespace_says_its_competition_and_refuses_privilege(objects: list[Object]) -> None:
    namespaces = of_kind(objects, "Namespace")
    assert tuple(n["metadata"]["name"] for n in namespaces) == TEAMS
    for namespace in namespaces:
        labels = namespace["metadata"]["labels"]
        assert labels["alcove.dev/competition"] == "hackathon.hackathon"
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_display_names_are_in_the_competition() -> None:
    teams = [{"name": "red", "displayName": "Röte Pandas 🐼 <3"}, {"name": "blue"}]
    written = [{"namespace": "elsewhere", "displayName": "By hand"}]
    spec = {**VALUES["competition"]["spec"], "teams": written}
    objects = render({"teams": teams, "competition": {"spec": spec}})
    made = one(objects, "Competition", "hackathon")["spec"]["teams"]
    assert made == [*written, {"namespace": "hackathon-red", "displayName": "Röte Pandas 🐼 <3"}]
    assert "teams" not in one(render(), "Competition", "hackathon")["spec"]


def test_a_namespace_that_is_there_is_not_made() -> None:
    objects = render({"teams": [{"name": "red", "namespace": "team-red", "createNamespace": False}]})
    assert not of_kind(objects, "Namespace")
    assert one(objects, "Role", "alcove-team", "team-red")


def test_results_are_kept_when_the_release_goes(objects: list[Object]) -> None:
    lasting = {
        f"{item['kind']}/{item['metadata']['name']}"
        for item in objects
        if item["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    users = {
        f"Secret/alcove-store-{user}"
        for user in ("operator", "scorer", "aggregate", "board", "publisher", "auditor", "root")
    }
    assert lasting == {
        *(f"Namespace/{team}" for team in TEAMS), *users, "Secret/alcove-store", "Competition/hackathon",
    }  # fmt: skip


def _policies(objects: list[Object], labels: dict[str, str]) -> list[Object]:
    """Specs of the NetworkPolicies that select a pod with these labels."""

    def holds(expression: Object) -> bool:
        key, values = expression["key"], expression.get("values", ())
        match expression["operator"]:
            case "Exists":
                return key in labels
            case "In":
                return labels.get(key) in values
            case "NotIn":
                return labels.get(key) not in values
        raise AssertionError(f"unknown operator in {expression}")

    def matches(selector: Object) -> bool:
        named: bool = selector.get("matchLabels", {}).items() <= labels.items()
        return named and all(map(holds, selector.get("matchExpressions", ())))

    found = (policy["spec"] for policy in of_kind(objects, "NetworkPolicy"))
    return [spec for spec in found if matches(spec["podSelector"])]


def _egress(objects: list[Object], role: str) -> list[Object]:
    found = _policies(objects, {"alcove.dev/role": role})
    assert any("Egress" in spec["policyTypes"] for spec in found)
    return [rule for spec in found for rule in spec.get("egress", ())]


STORE = {"podSelector": {"matchLabels": {"alcove.dev/role": "store"}}}
DNS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}


def test_a_run_reaches_the_store_and_dns_alone(objects: list[Object]) -> None:
    allowed = {(json.dumps(rule["to"]), rule["ports"][0]["port"]) for rule in _egress(objects, "run")}
    assert allowed == {(json.dumps([STORE]), 9000), (json.dumps([DNS]), 53)}
    policies = _policies(objects, {"alcove.dev/role": "run"})
    assert any("Ingress" in spec["policyTypes"] for spec in policies)
    assert not [rule for spec in policies for rule in spec.get("ingress", ())]


def test_a_run_reaches_an_external_store_by_its_networks() -> None:
    rules = _egress(render({"store": EXTERNAL}), "run")
    assert [(rule["to"], rule["ports"][0]["port"]) for rule in rules] == [
        ([{"ipBlock": {"cidr": "203.0.113.0/24"}}], 443),
        ([DNS], 53),
    ]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("operator", True), ("aggregate", True), ("board", True), ("resolvers", True), ("crds-upgrade", True),
        ("test", True),
        ("score", False), ("check", False), ("rescore", False), ("run", False), ("store-setup", False),
    ],
)  # fmt: skip
def test_who_reaches_the_api_server(objects: list[Object], role: str, allowed: bool) -> None:
    ports = {port["port"] for rule in _egress(objects, role) for port in rule["ports"]}
    assert (443 in ports) is allowed


def test_the_hook_that_finds_resolvers_may_change_its_policy_alone(objects: list[Object]) -> None:
    (rule,) = one(objects, "Role", "alcove-resolvers")["rules"]
    assert (rule["resources"], rule["resourceNames"], rule["verbs"]) == (
        ["networkpolicies"], ["alcove-resolvers"], ["patch"],
    )  # fmt: skip
    # An upgrade leaves what the hook wrote, because the chart does not have the field.
    assert "egress" not in one(objects, "NetworkPolicy", "alcove-resolvers")["spec"]


@pytest.mark.parametrize("switch", ["enabled", "findResolvers"])
def test_without_it_there_is_no_hook_for_resolvers(switch: str) -> None:
    names = {item["metadata"]["name"] for item in render({"networkPolicy": {switch: False}})}
    assert "alcove-resolvers" not in names


def test_a_pod_without_a_role_reaches_nothing(objects: list[Object]) -> None:
    assert [spec["policyTypes"] for spec in _policies(objects, {})] == [["Ingress", "Egress"]]


def test_an_allowed_network_is_the_internet_and_not_the_cluster() -> None:
    spec = {**VALUES["competition"]["spec"], "allowNetwork": True}
    rules = _egress(render({"competition": {"spec": spec}}), "run")
    (block,) = (peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer)
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(block["except"])


@pytest.mark.parametrize("store", [{}, EXTERNAL])
def test_the_operator_takes_its_environment(store: Object) -> None:
    objects = render({"store": store})
    (container,) = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["containers"]
    settings = from_environment(environment(container))
    assert settings.competition_namespace == NAMESPACE
    listed = one(objects, "ConfigMap", settings.teams_config_map)
    assert parse_namespaces(listed["data"], NAMESPACE) == set(TEAMS)
    assert settings.image_scorer == f"registry.example.org/alcove/scorer:{chart_version()}"
    secrets = {item["metadata"]["name"] for item in of_kind(objects, "Secret")}
    assert settings.aggregate_secret in secrets
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["volumes"]
    names = {volume["name"]: volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    assert names[mounts[str(settings.scorer_credentials.parent)]] == "alcove-store-scorer"
    accounts = {item["metadata"]["name"] for item in of_kind(objects, "ServiceAccount")}
    assert {settings.run_service_account, settings.score_service_account} <= accounts
    assert settings.aggregate_service_account in accounts
    (lease,) = (
        rule["resourceNames"]
        for rule in one(objects, "Role", "alcove-operator")["rules"]
        if rule["resources"] == ["leases"] and "resourceNames" in rule
    )
    assert lease == [settings.lease_name]


def test_the_stores_setup_takes_its_users(objects: list[Object]) -> None:
    listing = Users.model_validate_json(
        one(objects, "Secret", "alcove-store-users")["stringData"]["users.json"]
    )
    assert {(user.role, user.team) for user in listing.users} == {
        ("operator", ""), ("scorer", ""), ("aggregate", ""), ("board", ""), ("publisher", ""), ("auditor", ""),
        *(("team", team) for team in TEAMS),
    }  # fmt: skip
    assert len({user.access_key for user in listing.users}) == len(listing.users)
    assert all(len(user.secret_key) == 40 for user in listing.users)
    own = json.loads(one(objects, "Secret", "alcove-store", "team-red")["stringData"]["credentials.json"])
    (red,) = (user for user in listing.users if user.team == "team-red")
    assert own == {"access_key": red.access_key, "secret_key": red.secret_key}


def test_the_server_of_boards_reads_leaderboards_and_takes_its_environment(objects: list[Object]) -> None:
    bindings = [
        binding["roleRef"]["name"]
        for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
        if any(subject["name"] == "alcove-board" for subject in binding["subjects"])
    ]
    assert bindings == ["alcove-leaderboard-reader"]
    (rule,) = one(objects, "Role", "alcove-leaderboard-reader")["rules"]
    assert (rule["resources"], rule["verbs"]) == (["leaderboards"], ["get", "list", "watch"])
    outside = {"publicEndpoint": "https://store.example.org"}
    for over, signed in (
        (None, "http://alcove-store.hackathon.svc:9000"),
        ({"store": outside}, "https://store.example.org"),
    ):
        (container,) = one(render(over), "Deployment", "alcove-board")["spec"]["template"]["spec"][
            "containers"
        ]
        settings = BoardSettings.from_environment(environment(container))
        assert (settings.namespace, settings.signed_endpoint) == (NAMESPACE, signed)
        assert settings.store.endpoint == "http://alcove-store.hackathon.svc:9000"


def test_visitors_reach_the_pages_of_the_server_of_boards_and_no_metrics(objects: list[Object]) -> None:
    rules = [
        rule for spec in _policies(objects, {"alcove.dev/role": "board"}) for rule in spec.get("ingress", ())
    ]
    assert [port["port"] for rule in rules for port in rule["ports"]] == [8080]
    with_clients = render({"networkPolicy": {"metricsClients": [DNS], "boardClients": []}})
    rules = [
        rule
        for spec in _policies(with_clients, {"alcove.dev/role": "board"})
        for rule in spec.get("ingress", ())
    ]
    assert [(rule["from"], rule["ports"][0]["port"]) for rule in rules] == [([DNS], 9090)]
    assert [port["name"] for port in one(objects, "Service", "alcove-board")["spec"]["ports"]] == ["http"]


def test_the_server_of_boards_can_be_left_out_or_be_behind_an_ingress() -> None:
    public = {"publicUrl": "https://boards.example.org"}
    for over, told in ((public, public["publicUrl"]), ({**public, "enabled": False}, "")):
        deployment = one(render({"board": over}), "Deployment", "alcove-operator")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert from_environment(environment(container)).board_url == told
    without = render({"board": {"enabled": False}})
    assert not [item for item in without if item["metadata"]["name"].startswith("alcove-board")]
    assert "alcove-store-board" not in {item["metadata"]["name"] for item in without}
    ingress = {"enabled": True, "host": "boards.example.org", "tlsSecret": "boards-tls", "className": "nginx"}
    spec = one(render({"board": {"ingress": ingress}}), "Ingress", "alcove-board")["spec"]
    assert spec["tls"] == [{"hosts": ["boards.example.org"], "secretName": "boards-tls"}]
    assert spec["rules"][0]["http"]["paths"][0]["backend"]["service"] == {
        "name": "alcove-board",
        "port": {"name": "http"},
    }


def test_a_full_reference_wins_over_the_repository() -> None:
    digest = f"registry.example.org/x@sha256:{ZERO_DIGEST}"
    objects = render({"images": {"operator": digest, "repository": "registry.example.org/alcove"}})
    (container,) = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == digest
    assert (
        environment(container)["ALCOVE_IMAGE_RECORDER"]
        == f"registry.example.org/alcove/recorder:{chart_version()}"
    )


def test_numpy_has_an_image_of_its_own_unless_another_ingestion_alone_is_named() -> None:
    named, repository = f"registry.example.org/x@sha256:{ZERO_DIGEST}", "registry.example.org/alcove"
    for images, told in (
        ({}, f"{repository}/ingestion-numpy:{chart_version()}"),
        ({"ingestion": named}, ""),
        ({"ingestion": "registry.example.org/y:1", "ingestionNumpy": named}, named),
    ):
        objects = render({"images": {"repository": repository, **images}})
        (container,) = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["containers"]
        assert from_environment(environment(container)).image_ingestion_numpy == told


def test_no_image_is_taken_from_where_strangers_may_push() -> None:
    nowhere: Object = {"repository": ""}
    for images in (nowhere, {**nowhere, "operator": "registry.example.org/operator:1"}):
        done = template(merged(VALUES, {"images": images}))
        assert done.returncode != 0
        assert "make images" in done.stderr
    assert "make images" in template({}).stderr


ZERO_DIGEST = "0" * 64


def test_what_pre_pulls_runs_every_image_where_runs_go_and_has_no_right() -> None:
    assert not of_kind(render({}), "DaemonSet")
    taint = {"key": "gpu", "operator": "Exists"}
    values = {
        "prePull": {"enabled": True, "images": ["example.org/team:1", "example.org/torch:2"]},
        "images": {
            "repository": "example.org",
            "ingestionTorch": "example.org/torch:2",
            "pullSecrets": ["pull"],
        },
        "runs": {"nodeSelector": {"pool": "gpu"}, "tolerations": [taint]},
        "competition": {"spec": {"images": {"ingestion": "example.org/own:3"}}},
    }
    rendered = render(values)
    found = one(rendered, "DaemonSet", "alcove-pre-pull")["spec"]
    pod = found["template"]["spec"]
    first, *pulled = pod["initContainers"]
    version = chart_version()
    assert first["image"] == f"example.org/recorder:{version}"
    assert [container["image"] for container in pulled] == [
        f"example.org/recorder:{version}", f"example.org/scorer:{version}", f"example.org/ingestion:{version}",
        f"example.org/ingestion-numpy:{version}", "example.org/torch:2", "example.org/own:3", "example.org/team:1",
    ]  # fmt: skip
    # Each of them has ended when the next is pulled, so each has been run.
    installed = f"{first['command'][-1]}/alcove-supervisor"
    assert {container["command"][0] for container in pulled} == {installed}
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"pool": "gpu"}, [taint])
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("alcove-run", False)
    assert found["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "100%"}
    test_every_pod_is_restricted(rendered)


def test_a_new_version_of_the_chart_does_not_restart_the_store(objects: list[Object]) -> None:
    (labels,) = (labels for name, labels, _ in pods(objects) if name == "StatefulSet/alcove-store")
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_no_competition_is_fine() -> None:
    done = template(IMAGES)
    assert done.returncode == 0, done.stderr
    kinds = {document["kind"] for document in yaml.safe_load_all(done.stdout) if document}
    assert "Deployment" in kinds
    assert not {"Competition", "Namespace"} & kinds


def test_the_example_renders() -> None:
    done = template(yaml.safe_load((REPOSITORY / "examples" / "hackathon.yaml").read_text()) | IMAGES)
    assert done.returncode == 0, done.stderr
    objects = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert len(of_kind(objects, "Dataset")) == 5
    assert [n["metadata"]["name"] for n in of_kind(objects, "Namespace")] == [
        "hackathon-red",
        "hackathon-blue",
    ]


def test_lint_and_package(tmp_path: Path) -> None:
    linted = helm("lint", CHART, "--strict", "--kube-version", "1.34.4")
    assert linted.returncode == 0, linted.stdout
    packed = helm("package", CHART, "-d", tmp_path)
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(tmp_path / f"alcove-{chart_version()}.tgz") as archive:
        names = {os.path.basename(name) for name in archive.getnames() if name.startswith("alcove/crds/")}
    assert names == {f"{kind.plural}.yaml" for kind in KINDS}


def test_the_operator_sends_nowhere_unless_hosts_are_listed(objects: list[Object]) -> None:
    names = {item["metadata"]["name"] for item in of_kind(objects, "NetworkPolicy")}
    assert "alcove-notifications" not in names
    (container,) = one(objects, "Deployment", "alcove-operator")["spec"]["template"]["spec"]["containers"]
    assert from_environment(environment(container)).notification_hosts == ()

    values = {"secret": "hooks", "hosts": ["hooks.slack.com"], "cidrs": ["203.0.113.0/24"], "ports": [8443]}
    sending = render({"notifications": values})
    spec = one(sending, "Deployment", "alcove-operator")["spec"]["template"]["spec"]
    settings = from_environment(environment(spec["containers"][0]))
    assert settings.notification_hosts == ("hooks.slack.com",)
    (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "notifications")
    assert str(settings.notification_secrets) == mount["mountPath"]
    (volume,) = (v for v in spec["volumes"] if v["name"] == "notifications")
    assert volume["secret"] == {"secretName": "hooks", "optional": True}
    opened = {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"protocol": "TCP", "port": 8443}]}
    assert opened in _egress(sending, "operator")
    for role in ("run", "score", "aggregate"):
        assert opened not in _egress(sending, role)


@pytest.mark.parametrize("kind", ["seaweedfs", "minio", "external"])
def test_no_object_ends_with_a_line_that_helm_may_lose(kind: str) -> None:
    """Helm's reader loses a last line whose length is a multiple of 4,096 bytes."""
    store = EXTERNAL if kind == "external" else {"kind": kind}
    teams = [{"name": f"team-{number}"} for number in range(100)]
    everything = (
        "--api-versions",
        "monitoring.coreos.com/v1/ServiceMonitor",
        "--api-versions",
        "monitoring.coreos.com/v1",
    )
    done = template(merged(VALUES, {"store": store, "teams": teams}), NAMESPACE, *everything)
    assert done.returncode == 0, done.stderr
    ends = [
        document.strip().splitlines()[-1]
        for document in re.split(r"^---$", done.stdout, flags=re.MULTILINE)
        if document.strip()
    ]
    assert len(ends) > 50
    assert max(map(len, ends)) < 2000


def test_files_come_through_as_they_are(objects: list[Object]) -> None:
    files = {
        path.name: path.read_text()
        for folder in ("files", "crds", "dashboards")
        for path in (CHART / folder).iterdir()
    }
    files["__main__.py"] = files["promises.py"]
    shipped = {
        name: text
        for item in of_kind(objects, "ConfigMap")
        for name, text in item["data"].items()
        if name in files
    }
    assert {"upgrade_crds.py", "promise_results.py", "find_resolvers.py", "await_quotas.py"} <= set(shipped)
    for name, text in shipped.items():
        assert text.rstrip("\n") == files[name].rstrip("\n"), name
