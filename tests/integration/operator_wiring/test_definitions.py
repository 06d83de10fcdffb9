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
