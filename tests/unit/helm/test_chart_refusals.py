"""Wrong values are refused before anything is installed, and the message names the field."""

from __future__ import annotations

import runpy

import pytest

from tests.unit.helm.chart import REPOSITORY, VALUES, ZEROS, Object, merged, template

PHASE = VALUES["competition"]["spec"]["phases"][0]
DATASET = VALUES["datasets"][0]


def _competition(**spec: object) -> Object:
    return {"competition": {"spec": spec}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"imagez": {}}, ["imagez"], id="unknown key"),
        pytest.param({"images": {"operator": "a b"}}, ["images", "operator"], id="reference with a space"),
        pytest.param(
            {"images": {"pullPolicy": "Sometimes"}}, ["pullPolicy", "IfNotPresent"], id="pull policy"
        ),
        pytest.param({"teams": [{"namespace": "x"}]}, ["teams", "0", "name"], id="nameless team"),
        pytest.param({"teams": [{"name": "Red Team"}]}, ["teams", "name"], id="name that is no label"),
        pytest.param(
            {"teams": [{"name": "a", "namespace": "kube-system"}]}, ["namespace"], id="system namespace"
        ),
        pytest.param(
            {"teams": [{"name": "a", "subjects": [{"kind": "Robot", "name": "x"}]}]},
            ["subjects", "kind"],
            id="subject",
        ),
        pytest.param(
            {"teams": [{"name": "a", "subjects": [{"kind": "Group", "name": "system:authenticated"}]}]},
            ["subjects", "name"],
            id="everybody as a team",
        ),
        pytest.param(
            {"datasets": [{**DATASET, "dataSha256": "abc"}]}, ["datasets", "dataSha256"], id="digest"
        ),
        pytest.param(
            {"datasets": [{**DATASET, "solution": ZEROS}]}, ["solution"], id="unknown field of a dataset"
        ),
        pytest.param(_competition(phases=[]), ["phases"], id="no phase"),
        pytest.param(_competition(phases=[{**PHASE, "budget": {"seconds": 0}}]), ["seconds"], id="no time"),
        pytest.param(
            _competition(phases=[{**PHASE, "budgets": 1}]), ["budgets"], id="unknown field of a phase"
        ),
        pytest.param(
            _competition(phases=[PHASE], capcity=3), ["capcity"], id="misspelt field of a competition"
        ),
        pytest.param({"store": {"kind": "external"}}, ["external"], id="no store at all"),
        pytest.param(
            {"store": {"publicEndpoint": "s3.example.org"}}, ["publicEndpoint"], id="endpoint without scheme"
        ),
        pytest.param({"board": {"ingress": {"enabled": True}}}, ["ingress", "host"], id="no host of boards"),
        pytest.param({"board": {"service": {"nodePort": 80}}}, ["nodePort"], id="node port of boards"),
        pytest.param(
            {"store": {"server": {"ingress": {"enabled": True}}}}, ["ingress", "host"], id="no host"
        ),
        pytest.param({"store": {"kind": "ceph"}}, ["kind", "seaweedfs"], id="store of no known kind"),
        pytest.param(
            {"store": {"minio": {"size": "1Gi"}}}, ["store", "minio"], id="store as it was named before"
        ),
        pytest.param({"store": {"tls": {"issuer": {"kind": "Issuer"}}}}, ["issuer", "name"], id="issuer"),
        pytest.param({"networkPolicy": {"apiServer": {"cidrs": ["nowhere"]}}}, ["cidrs"], id="network"),
        pytest.param({"operator": {"logLevel": "loud"}}, ["logLevel"], id="log level"),
        # What no schema can say.
        pytest.param(
            {"teams": [{"name": "a", "namespace": "x"}, {"name": "b", "namespace": "x"}]},
            ["team b", "team a", "namespace x"],
            id="two teams in one namespace",
        ),
        pytest.param(
            {"teams": [{"name": "a", "namespace": "hackathon"}]},
            ["team a", "the release"],
            id="team with the operator",
        ),
        pytest.param(
            {"teams": [{"name": "a", "displayName": "evil \u202edna"}]},
            ["teams", "displayName"],
            id="display name that turns text around",
        ),
        pytest.param(
            {"teams": [{"name": "a", "displayName": "x" * 41}]}, ["displayName", "40"], id="long display name"
        ),
        pytest.param(
            {"teams": [{"name": "a", "displayName": "Pandas"}, {"name": "b", "displayName": "pandas"}]},
            ["team b", "that of team a", "tell them apart"],
            id="one display name for two teams",
        ),
        pytest.param(
            {"teams": [{"name": "a", "displayName": "hackathon-b"}, {"name": "b"}]},
            ["team a", "the namespace of team b"],
            id="display name that is another team's namespace",
        ),
        pytest.param({"teams": [{"name": "a" * 60}]}, ["63", "teams[].namespace"], id="long namespace"),
        pytest.param(
            _competition(phases=[{**PHASE, "datasets": ["digts"]}]),
            ["practice", "digts"],
            id="no such dataset",
        ),
        pytest.param(
            {"datasets": [DATASET, {**DATASET, "name": "b"}]}, ["same alias", "digits"], id="alias twice"
        ),
        pytest.param(
            {"competition": {"name": "c" * 60}}, ["too long", "competition.name"], id="long competition"
        ),
    ],
)
def test_refused(values: Object, words: list[str]) -> None:
    done = template(merged(VALUES, values))
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr, done.stderr


def test_the_chart_agrees_with_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    generate = runpy.run_path(str(REPOSITORY / "helm" / "generate.py"))
    assert generate["main"](["--check"]) == 0, capsys.readouterr().out
