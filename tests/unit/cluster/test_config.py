"""What the daemons are told must fit together: they find one another by these addresses and paths alone."""

import ipaddress
import json

import pytest

from tests.cluster import config
from tests.cluster.layout import Plan
from tests.cluster.versions import TOOLS


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(config, "_program", lambda name: f"/usr/bin/{name}")
    return Plan("demo", 17, node=True)


@pytest.mark.usefixtures("plan")
def test_an_api_server_alone_is_two_daemons() -> None:
    alone = config.steps(Plan("demo", 17, node=False))
    assert [step["name"] for step in alone if step["do"] == "start"] == ["etcd", "kube-apiserver"]


def test_kubelet_starts_after_its_sandbox_image_is_there(plan: Plan) -> None:
    names = [step["name"] for step in config.steps(plan)]
    assert names.index("import-pause") < names.index("kubelet")
    assert config.PAUSE_IMAGE in config.containerd_config(plan, "overlayfs")


def test_pods_ask_the_dns_that_coredns_serves(plan: Plan) -> None:
    assert config.kubelet_config(plan)["clusterDNS"] == [plan.addresses.dns]
    assert f"bind {plan.addresses.dns}" in config.corefile(plan)


def test_kubelet_stays_in_the_cluster_s_control_group(plan: Plan) -> None:
    assert config.kubelet_config(plan)["cgroupRoot"] == "/alcove-demo"


def test_the_specification_is_plain_data(plan: Plan) -> None:
    assert json.loads(json.dumps(config.spec(plan, [])))["hostname"] == "alcove-demo"


def test_the_pinned_versions_are_those_of_the_go_modules() -> None:
    for tool in TOOLS:
        module = tool.package.split("/cmd/")[0].removesuffix("/weed")
        text = (tool.module / "go.mod").read_text()
        assert tool.package == "." or f"{module} {tool.version}" in text, tool.name


def test_the_policy_engine_starts_once_its_node_is_there(plan: Plan) -> None:
    names = [step["name"] for step in config.steps(plan)]
    assert names.index("kubelet") < names.index("await-node") < names.index("kube-router")


def test_the_policy_engine_lets_nothing_through_unasked(plan: Plan) -> None:
    (engine,) = (step for step in config.steps(plan) if step["name"] == "kube-router")
    (passed,) = (arg.partition("=")[2] for arg in engine["argv"] if arg.startswith("--service-cluster-ip"))
    let_through, a = ipaddress.ip_network(passed), plan.addresses
    assert not let_through.overlaps(a.pods)
    assert not let_through.overlaps(a.link)
    assert ipaddress.ip_address(a.dns) not in let_through
    assert ipaddress.ip_address(a.api_service) not in let_through
