"""What the daemons are told must fit together: they find one another by these addresses and paths alone."""

import ipaddress
import itertools
import json
from dataclasses import replace

import pytest

from tests.cluster import config, node_config
from tests.cluster.layout import Plan
from tests.cluster.versions import TOOLS


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    for module in (config, node_config):
        monkeypatch.setattr(module, "program", lambda name: f"/usr/bin/{name}")
    return Plan("demo", 17, node=True)


@pytest.mark.usefixtures("plan")
def test_an_api_server_alone_is_two_daemons() -> None:
    alone = config.steps(Plan("demo", 17, node=False))
    assert [step["name"] for step in alone if step["do"] == "start"] == ["etcd", "kube-apiserver"]


def test_kubelet_starts_after_its_sandbox_image_is_there(plan: Plan) -> None:
    names = [step["name"] for step in config.steps(plan)]
    assert names.index("import-pause") < names.index("kubelet")
    assert node_config.PAUSE_IMAGE in node_config.containerd_config(plan.nodes[0], "overlayfs")


def test_pods_ask_the_dns_that_coredns_serves(plan: Plan) -> None:
    assert node_config.kubelet_config(plan.nodes[0])["clusterDNS"] == [plan.addresses.dns]
    assert f"bind {plan.addresses.dns}" in node_config.corefile(plan)


def test_kubelet_stays_in_the_cluster_s_control_group(plan: Plan) -> None:
    assert node_config.kubelet_config(plan.nodes[0])["cgroupRoot"] == "/alcove-demo"


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


def test_nodes_share_no_address_no_name_and_no_control_group(plan: Plan) -> None:
    nodes = replace(plan, size=3).nodes
    for values in (
        {node.hostname for node in nodes}, {node.address for node in nodes}, {node.cgroup for node in nodes},
        {node.lib for node in nodes}, {node.conf for node in nodes}, {node.disk for node in nodes},
        {plan.addresses.hardware_address(node.number) for node in nodes},
    ):  # fmt: skip
        assert len(values) == 3
    assert not any(a.pods.overlaps(b.pods) for a, b in itertools.combinations(nodes, 2))
    assert all(node.pods.subnet_of(plan.addresses.pods) for node in nodes)


def test_each_node_has_all_that_the_first_has_for_itself(plan: Plan) -> None:
    steps = config.steps(replace(plan, size=2))
    first = {step["name"] for step in config.steps(plan)}
    second = {step["name"].removesuffix("-2") for step in steps if step.get("node") == "2"}
    control_plane = {"etcd", "registry", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    waits = {"network", "etcd answers", "containerd answers", "kube-apiserver is ready"}
    assert first - control_plane - waits == second - {"node", "network", "containerd-2 answers"}


def test_a_node_has_a_disk_of_its_own_where_its_size_is_bounded(plan: Plan) -> None:
    for disk_mib, disks in (
        (0, set()),
        (64, {str(plan.state / "disk-2.img"), str(plan.state / "disk-3.img")}),
    ):
        steps = config.steps(replace(plan, size=3, disk_mib=disk_mib))
        assert {step["disk"] for step in steps if "disk" in step} == disks


def test_one_node_starts_as_it_did_before_there_were_several(plan: Plan) -> None:
    assert not any("node" in step for step in config.steps(plan))
    assert plan.nodes[0].pods == plan.addresses.pods
