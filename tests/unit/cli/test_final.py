"""`alcove final` and `alcove rerun`: what they make, and what they refuse with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alcove_cli.errors import CommandError
from alcove_cli.final import Final
from alcove_kube.client import Object
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.memory_server import MemoryServer

NOW = datetime.now(UTC)
CODE = "c" * 64


def server(**final: Any) -> MemoryServer:
    """Practice, and a final that takes its submissions from it."""
    found = MemoryServer(lambda: NOW)
    budget = {"seconds": 30}
    phases = [
        {"name": "practice", "datasets": ["a"], "budget": budget},
        {"name": "final", "datasets": ["b"], "budget": budget, "from": {"phase": "practice"},
         "revealsAt": stamp(NOW + timedelta(days=9)), **final},
    ]  # fmt: skip
    found.put("competitions", "hack", {"metadata": {"name": "cup"}, "spec": {"phases": phases}})
    return found


def submission(kube: MemoryServer, name: str, phase: str = "practice", **more: Any) -> None:
    """In the competition's namespace, admitted and done."""
    original, runs = more.get("original"), more.get("runs", [])
    spec: Object = {"competition": {"namespace": "hack", "name": "cup"}, "phase": phase}
    spec["code"] = {"bundle": {"sha256": CODE}}
    if original:
        spec["rerunOf"] = original
    status = {"phase": "Done", "admittedAt": stamp(NOW), "codeSha256": more.get("code", CODE), "runs": runs}
    raw = {"metadata": {"name": name}, "spec": spec, "status": {**status, **more.get("status", {})}}
    kube.put("submissions", "hack", raw)


def run(cause: str, payer: str) -> Object:
    return {"dataset": "b", "phase": "Failed", "attempt": 1, "cause": cause, "chargedTo": payer}


def read(kube: MemoryServer, phase: str = "final") -> Final:
    return Final.read(kube, "hack", "cup", phase)


RED = {"team": "red", "submission": "two", "uid": "u"}


def spec_of(kube: MemoryServer, name: str) -> Object:
    found: Object = kube.objects["submissions", "hack", name]["spec"]
    return found


@pytest.mark.parametrize(("phase", "said"), [("finale", "practice, final"), ("practice", "Teams submit to")])
def test_another_phase_is_refused(phase: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        read(server(), phase)


def test_a_rehearsal_runs_the_baselines_alone_and_each_once() -> None:
    kube = server()
    with pytest.raises(CommandError, match="no admitted baseline"):
        read(kube).rehearse()
    submission(kube, "linear")
    submission(kube, "deep")
    assert sorted(read(kube).rehearse()) == ["final.hack.deep", "final.hack.linear"]
    assert spec_of(kube, "final.hack.linear")["rerunOf"]["submission"] == "linear"
    assert spec_of(kube, "final.hack.linear")["code"]["bundle"] == {"sha256": CODE}
    assert read(kube).rehearse() == []


def test_a_baseline_with_a_fault_of_the_platform_is_rehearsed_again() -> None:
    kube = server()
    submission(kube, "linear")
    original = {"team": "hack", "submission": "linear", "uid": "u"}
    submission(kube, "final.hack.linear", "final", original=original, runs=[run("NodeLost", "Platform")])
    assert read(kube).rehearse() == ["final.hack.linear.2"]
    assert spec_of(kube, "final.hack.linear.2")["rerunOf"]["submission"] == "linear"


def test_baselines_are_rehearsed_again_where_asked_as_after_a_dataset_was_repaired() -> None:
    kube = server()
    for name in ("linear", "deep"):
        submission(kube, name)
    assert len(read(kube).rehearse()) == 2
    with pytest.raises(CommandError, match=r"final\.hack\.\w+ is still under way"):
        read(kube).rehearse(again=True)
    for name in ("linear", "deep"):
        original = {"team": "hack", "submission": name, "uid": "u"}
        submission(kube, f"final.hack.{name}", "final", original=original, runs=[run("Finished", "")])
    assert read(kube).rehearse() == []
    assert sorted(read(kube).rehearse(again=True)) == ["final.hack.deep.2", "final.hack.linear.2"]


def test_a_team_is_run_again_after_a_fault_of_the_platform_alone() -> None:
    kube = server()
    with pytest.raises(CommandError, match="nothing yet"):
        read(kube).run_again("red")
    submission(kube, "final.red", "final", original=RED, runs=[run("OutOfMemory", "Participant")])
    with pytest.raises(CommandError, match="second chance"):
        read(kube).run_again("red")
    submission(kube, "final.red", "final", original=RED, runs=[run("NodeLost", "Platform")])
    assert read(kube).run_again("red") == "final.red.2"
    assert spec_of(kube, "final.red.2")["rerunOf"] == RED
    submission(kube, "final.red.2", "final", original=RED, status={"phase": "Running"})
    with pytest.raises(CommandError, match="still under way"):
        read(kube).run_again("red")


@pytest.mark.parametrize(
    ("final", "said"),
    [
        ({}, "To open it: alcove final final --open"),
        ({"opensAt": "2020-01-01T00:00:00Z"}, "is open since 2020-01-01 00:00:00 UTC"),
        ({"opensAt": stamp(NOW + timedelta(days=1))}, "opens at"),
    ],
)
def test_it_says_whether_it_is_open_and_how_each_goes(final: Object, said: str) -> None:
    kube = server(**final)
    submission(kube, "final.red", "final", original=RED, status={"score": "0.731"})
    submission(kube, "final.hack.linear", "final", original={**RED, "team": "hack", "submission": "linear"})
    lines = list(read(kube).describe())
    assert said in lines[0]
    assert any("0.731" in line and line.startswith("red ") for line in lines)
    assert any(line.startswith("linear (baseline)") for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_an_open_phase_is_not_opened_again() -> None:
    with pytest.raises(CommandError, match="is open since"):
        read(server(opensAt="2020-01-01T00:00:00Z")).open()
