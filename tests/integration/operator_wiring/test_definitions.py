"""What the API server refuses by itself: wrong objects, by field and with the fix."""

from __future__ import annotations

from typing import Any

import pytest

from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, SUBMISSIONS
from tests.integration.operator_wiring.world import GREY, NAMESPACE, World

pytestmark = pytest.mark.integration
GOOD: dict[str, Any] = {
    "competition": {"namespace": "elsewhere", "name": "none"},
    "phase": "practice",
    "code": {"bundle": {"sha256": "a" * 64}},
}
IMAGE = {"image": {"reference": "alcove/x:latest", "command": ["run"]}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": {}}, ("code", "exactly one of code.configMap, code.bundle and code.image")),
        ({"code": {**GOOD["code"], "configMap": {"name": "x"}}}, ("exactly one of",)),
        ({"code": {"bundle": {"sha256": "abc"}}}, ("spec.code.bundle.sha256",)),
        ({"code": IMAGE}, ("spec.code.image.reference",)),
        (
            {
                "code": {"configMap": {"name": "x"}},
                "rerunOf": {"team": "hack-red", "submission": "first", "uid": "1"},
            },
            ("a rerun has the code that was admitted before",),
        ),
        ({"phase": None}, ("spec.phase",)),
        ({"phase": "Not A Name"}, ("spec.phase",)),
    ],
)
def test_a_wrong_submission_is_refused_naming_the_field(
    world: World, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    spec = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    with pytest.raises(ApiError) as caught:
        world.create(SUBMISSIONS, {"kind": "Submission", "metadata": {"name": "wrong"}, "spec": spec}, GREY)
    assert caught.value.status == 422
    for word in words:
        assert word in str(caught.value)


def test_a_competition_without_phases_is_refused(world: World) -> None:
    body = {"kind": "Competition", "metadata": {"name": "empty"}, "spec": {"phases": []}}
    with pytest.raises(ApiError, match=r"spec\.phases"):
        world.create(COMPETITIONS, body)


def _phase(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "datasets": [f"{name}-data"], "budget": {"seconds": 5}, **more}


PRACTICE = _phase("practice")
FINAL = _phase("final", **{"from": {"phase": "practice"}}, revealsAt="2027-03-09T00:00:00Z")
RELATIVE = _phase("practice", ranking="relative", baseline="linear", repeats=32, counts="chosen")


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ([PRACTICE, {**FINAL, "from": {"phase": "final"}}], "in a circle"),
        (
            [
                PRACTICE,
                FINAL,
                {**_phase("second"), "from": {"phase": "final"}, "revealsAt": FINAL["revealsAt"]},
            ],
            "in a circle",
        ),
        ([PRACTICE, {**FINAL, "from": {"phase": "elsewhere"}}], "must name a phase of this competition"),
        ([PRACTICE, {**FINAL, "datasets": ["other", "practice-data"]}], "never run on"),
        ([PRACTICE, {k: v for k, v in FINAL.items() if k != "revealsAt"}], "needs revealsAt"),
        ([PRACTICE, {**FINAL, "closesAt": "2027-03-08T00:00:00Z"}], "take closesAt out"),
        ([PRACTICE, {**FINAL, "counts": "best"}], "take counts out"),
        ([PRACTICE, {**FINAL, "opensAt": "2027-03-10T00:00:00Z"}], "revealsAt must be later than opensAt"),
        ([{**PRACTICE, "datasets": [f"d{i}" for i in range(22)], "repeats": 3}], "at most 64 runs"),
        ([{**PRACTICE, "repeats": 2, "feedback": {"mode": "ladder"}}], "ladder shows one score a dataset"),
        ([{**PRACTICE, "repeats": 65}], "repeats"),
        ([{**PRACTICE, "counts": "best", "revealsAt": FINAL["revealsAt"]}], "scores that are shown"),
        ([{**PRACTICE, "counts": "luckiest"}], "counts"),
        ([{**PRACTICE, "baseline": "linear"}], "ranking relative compares with"),
        (
            [{**PRACTICE, "ranking": "performance-profile", "feedback": {"mode": "ladder"}}],
            "which feedback.mode ladder hides",
        ),
        ([{**PRACTICE, "stdPenalty": 0.5}], "belongs to ranking mean-minus-std"),
        ([{**PRACTICE, "resources": {"profiles": [{"memory": "much"}]}}], "memory"),
    ],
)
def test_a_wrong_phase_is_refused_saying_what_to_do(
    world: World, phases: list[dict[str, Any]], words: str
) -> None:
    body = {"kind": "Competition", "metadata": {"name": "wrong"}, "spec": {"phases": phases}}
    with pytest.raises(ApiError) as caught:
        world.create(COMPETITIONS, body)
    assert caught.value.status == 422
    assert words in str(caught.value)


def test_phases_that_take_submissions_from_another_are_taken(world: World) -> None:
    profiles = {"memory": "4Gi", "profiles": [{"memory": "2Gi"}, {"cpu": "1", "gpus": 0}], "disclosed": False}
    second = {**FINAL, "name": "second", "repeats": 3, "resources": profiles, "scoring": {"scheme": "autodl"}}
    spec = {"phases": [RELATIVE, FINAL, second]}
    world.create(COMPETITIONS, {"kind": "Competition", "metadata": {"name": "whole"}, "spec": spec})
    world.ask("DELETE", COMPETITIONS.path(NAMESPACE, "whole"))


def test_a_blind_final_and_open_network_are_refused_together(world: World) -> None:
    body = {"kind": "Competition", "metadata": {"name": "leaky"}, "spec": {"allowNetwork": True}}
    body["spec"]["phases"] = [PRACTICE, FINAL]  # type: ignore[index]
    with pytest.raises(ApiError, match="could tell its team what it sees"):
        world.create(COMPETITIONS, body)


def test_a_phases_budget_cannot_be_changed(world: World) -> None:
    """It is in no record, so runs that had another one would be scored by the new."""
    phases = [{"name": name, "datasets": ["none"], "budget": {"seconds": 5}} for name in ("one", "two")]
    spec: dict[str, Any] = {"phases": phases}
    world.create(COMPETITIONS, {"kind": "Competition", "metadata": {"name": "budget"}, "spec": spec})
    path = COMPETITIONS.path(NAMESPACE, "budget")

    def change(**phase: Any) -> None:
        # In another order, as the phases are told apart by name.
        spec["phases"] = [{**phases[1], **phase}, phases[0]]
        world.ask("PATCH", path, {"spec": spec}, "application/merge-patch+json")

    with pytest.raises(ApiError, match=r"spec\.phases\[0\]\.budget\.seconds.*another name") as caught:
        change(budget={"seconds": 6})
    assert caught.value.status == 422
    change(budget={"seconds": 5, "disclosed": False})
    change(name="three", budget={"seconds": 6})
    world.ask("DELETE", path)


def test_a_submission_cannot_be_changed(world: World) -> None:
    world.create(SUBMISSIONS, {"kind": "Submission", "metadata": {"name": "fixed"}, "spec": GOOD}, GREY)
    path = SUBMISSIONS.path(GREY, "fixed")
    with pytest.raises(ApiError, match=r"give it another metadata\.name and apply it again") as caught:
        world.ask("PATCH", path, {"spec": {"phase": "final"}}, "application/merge-patch+json")
    assert caught.value.status == 422


def test_a_write_that_changes_nothing_is_refused_all_the_same_when_its_version_is_old(world: World) -> None:
    """What the reconciler's fence rests on."""
    made = world.create(
        SUBMISSIONS, {"kind": "Submission", "metadata": {"name": "fence"}, "spec": GOOD}, GREY
    )
    uid = made["metadata"]["uid"]
    old = world.find(SUBMISSIONS, "fence", GREY)
    assert old is not None
    path = SUBMISSIONS.path(GREY, "fence")
    world.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json")
    version = made["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version, "uid": uid}, "status": old.get("status") or {}}
    with pytest.raises(ApiError) as caught:
        world.ask("PATCH", f"{path}/status", body, "application/merge-patch+json")
    assert caught.value.conflict
