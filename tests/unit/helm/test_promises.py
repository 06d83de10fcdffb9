"""What `helm test` makes of what it finds."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import promise_results
import pytest
import run_probe
from run_probe import RunReport

STORE = "alcove-store.hackathon.svc"
ASKED = {"endpoint": f"http://{STORE}:9000", "networkPolicy": True, "networkPolicyRequired": True}
GOOD = RunReport(store=True, api=False, token=False, resolved=True, resolvers=["169.254.20.10"])


def states(found: Any, **settings: bool) -> list[str]:
    return [verdict.state for verdict in promise_results.judge_run(found, {**ASKED, **settings})]


def test_a_run_that_is_kept_in_passes() -> None:
    assert states(GOOD) == ["PASS", "PASS", "PASS", "PASS"]


def test_each_fault_of_a_run_is_told_apart() -> None:
    assert states(replace(GOOD, store=False)) == ["PASS", "FAIL", "PASS", "WARN"], (
        "nothing reached shows no policy"
    )
    assert states(replace(GOOD, store=False, resolved=False)) == ["FAIL", "FAIL", "PASS", "WARN"]
    assert states(replace(GOOD, token=True)) == ["PASS", "PASS", "FAIL", "PASS"]
    assert states(replace(GOOD, api=True)) == ["PASS", "PASS", "PASS", "FAIL"]
    assert states(replace(GOOD, api=True), networkPolicyRequired=False) == ["PASS", "PASS", "PASS", "WARN"]
    assert states(None) == ["FAIL"]


def test_a_policy_that_was_switched_off_is_not_blamed_on_the_cluster() -> None:
    *_, said = promise_results.judge_run(replace(GOOD, api=True), {**ASKED, "networkPolicy": False})
    assert "networkPolicy.enabled is false" in said.detail
    assert "plugin" not in said.detail


def test_no_line_says_more_than_was_seen() -> None:
    for store in (True, False):
        for api in (True, False):
            for policy in (True, False):
                found = replace(GOOD, store=store, api=api)
                said = " ".join(
                    v.detail for v in promise_results.judge_run(found, {**ASKED, "networkPolicy": policy})
                )
                assert ("a run reached the store" in said) == store
                assert ("enforced: " in said) == (api or (store and policy))


def test_who_was_asked_for_a_name_is_said() -> None:
    answered, *_ = promise_results.judge_run(GOOD, ASKED)
    assert answered.detail == f"a run asked 169.254.20.10 and got an address of {STORE}"
    silent, *_ = promise_results.judge_run(replace(GOOD, resolved=False, store=False), ASKED)
    assert "A run asked 169.254.20.10" in silent.detail
    assert f"no address of {STORE}" in silent.detail
    assert "networkPolicy.dns" in silent.detail


def test_a_store_that_is_an_address_needs_no_name() -> None:
    asked = {**ASKED, "endpoint": "http://192.0.2.7:9000"}
    promised = [v.promise for v in promise_results.judge_run(replace(GOOD, resolved=None), asked)]
    assert promised == ["store for runs", "no token in runs", "network of runs"]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ("PPP", "All 3 promises are kept."),
        ("PWP", "Of 3 promises: 2 kept, 1 not kept or not shown, which is only a warning."),
        ("PFWF", "Of 4 promises: 1 kept, 1 not kept or not shown, which is only a warning, 2 broken."),
        ("FF", "Of 2 promises: 2 broken."),
    ],
)
def test_the_last_line_counts_what_the_others_say(states: str, said: str) -> None:
    words: dict[str, Literal["PASS", "WARN", "FAIL"]] = {"P": "PASS", "W": "WARN", "F": "FAIL"}
    judged = [promise_results.PromiseResult("x", words[state], "y") for state in states]
    assert promise_results.summary(judged) == said


def test_missing_kinds_are_named() -> None:
    verdict = promise_results.judge_kinds({"competitions", "datasets", "submissions"})
    assert verdict.state == "FAIL"
    assert "leaderboards" in verdict.detail


@pytest.mark.parametrize(
    ("policy", "answer", "state", "said"),
    [
        (
            "p.hack",
            "ValidatingAdmissionPolicy 'p.hack' with binding 'p.hack' denied request: …",
            "PASS",
            "33 labels",
        ),
        ("p.hack", "", "FAIL", "The API server takes one with 33 labels."),
        ("p.hack", "exceeded quota: alcove-team", "FAIL", "The API server said: exceeded quota: alcove-team"),
        ("", "", "WARN", "knows no ValidatingAdmissionPolicy"),
    ],
)
def test_a_policy_is_in_force_only_where_it_refuses(policy: str, answer: str, state: str, said: str) -> None:
    verdict = promise_results.judge_policy("team-a", policy, answer)
    assert verdict.state == state
    assert said in verdict.detail


def test_a_right_too_many_or_too_few_is_named() -> None:
    asked = [(right, right.allowed) for right in promise_results.rights("team-a", "comp", ("team-b",))]
    assert promise_results.judge_rights("team-a", asked).state == "PASS"
    for index, (right, answer) in enumerate(asked):
        wrong = [*asked[:index], (right, not answer), *asked[index + 1 :]]
        verdict = promise_results.judge_rights("team-a", wrong)
        assert verdict.state == "FAIL"
        assert str(right) in verdict.detail


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://alcove-store.x.svc:9000", ("alcove-store.x.svc", 9000)),
        ("https://s3.example.org", ("s3.example.org", 443)),
        ("http://s3.example.org", ("s3.example.org", 80)),
    ],
)
def test_address_of_the_store(endpoint: str, address: tuple[str, int]) -> None:
    assert run_probe.store_address(endpoint) == address


def test_a_closed_port_and_a_silent_host_are_both_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()[:2]
        assert run_probe.reachable(*address)
        # A full queue of a listener that never accepts is as silent as a dropped packet.
        monkeypatch.setattr(run_probe, "CONNECT_SECONDS", 0.2)
    assert not run_probe.reachable(*address)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(silent.getsockname())
            assert not run_probe.reachable(*silent.getsockname())
        finally:
            for client in waiting:
                client.close()


def test_store_and_api_server_as_a_run_sees_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_probe, "CONNECT_SECONDS", 0.2)
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("search svc.cluster.local\nnameserver 169.254.20.10\noptions ndots:5\n")
    monkeypatch.setattr(run_probe, "RESOLV_CONF", resolv_conf)
    with socket.create_server(("127.0.0.1", 0)) as store, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        settings = {"endpoint": f"http://127.0.0.1:{store.getsockname()[1]}"}
        server.close()
        assert run_probe.probe(settings) == replace(GOOD, resolved=None)
