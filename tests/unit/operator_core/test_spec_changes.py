"""What the audit list says of a change of a Competition's spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.competition import CompetitionSpec
from alcove_operator.core.decisions import find_condition
from alcove_operator.core.spec_changes import (
    MOST_CHANGES,
    MOST_LETTERS,
    describe_changes,
    find_author,
    find_differences,
)

PRACTICE = {"name": "practice", "datasets": ["digits"], "closesAt": "2027-03-08T00:00:00Z"}
OUT = {"team": "red", "reason": "Two accounts"}


def written(manager: str, time: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": {"f:spec": fields}, **more}


HELM = written("helm", "2027-01-01T00:00:00Z", {"f:capacity": {}, "f:phases": {'k:{"name":"practice"}': {}}})
ADA = written(
    "alcove ada@example.org",
    "2027-02-01T00:00:00Z",
    {"f:excluded": {}, "f:phases": {'k:{"name":"practice"}': {"f:closesAt": {}}}},
)
OPERATOR = written("alcove-operator", "2027-03-01T00:00:00Z", {}, subresource="status")
BY = ADA["manager"]
MANAGED = [OPERATOR, ADA, HELM]


@pytest.mark.parametrize(
    ("old", "new", "kind", "said", "author"),
    [
        ({}, {"excluded": [OUT]}, "Excluded", "Left out of the boards of all phases: red: Two accounts", BY),
        ({"excluded": [OUT]}, {"excluded": []}, "Reinstated", "Put back on the boards of all phases: red", BY),
        (
            {},
            {"cancelled": [{**OUT, "submission": "s", "dataset": "digits"}]},
            "RunsCancelled",
            "Stopped the run on digits of red/s: Two accounts",
            # Nobody owns it by these managed fields: then the last writer of the spec is named.
            BY,
        ),
        (
            {},
            {"extraSubmissions": [{**OUT, "count": 2, "day": "2027-02-01"}]},
            "QuotaGivenBack",
            "Gave 2 more submissions of red on 2027-02-01: Two accounts",
            BY,
        ),
        (
            {"phases": [PRACTICE]},
            {"phases": [{**PRACTICE, "closesAt": "2027-03-09T00:00:00Z"}]},
            "PhaseExtended",
            "The phase practice closes at 2027-03-09T00:00:00Z, not at 2027-03-08T00:00:00Z",
            BY,
        ),
        (
            {"phases": [PRACTICE]},
            {"phases": [{**PRACTICE, "closesAt": "2027-03-07T00:00:00Z"}]},
            "PhaseShortened",
            "The phase practice closes at 2027-03-07T00:00:00Z, not at 2027-03-08T00:00:00Z",
            BY,
        ),
        ({"capacity": 4}, {"capacity": 8}, "SpecChanged", "spec.capacity: 8, it was 4", "helm"),
        ({"title": "A"}, {}, "SpecChanged", 'spec.title: gone, it was "A"', "alcove ada@example.org"),
    ],
)  # fmt: skip
def test_a_change_is_a_sentence_with_its_author(
    old: dict[str, Any], new: dict[str, Any], kind: str, said: str, author: str
) -> None:
    (change,) = describe_changes(old, new, MANAGED)
    assert (change.kind, change.text, change.author) == (kind, said, author)
    assert change.at is not None
    assert f"{change.at:%Y-%m}" == ("2027-01" if author == "helm" else "2027-02")


def test_without_managed_fields_nobody_is_named() -> None:
    assert find_author(("capacity",), []) == ("unknown", None)
    assert find_author(("capacity",), [OPERATOR]) == ("unknown", None)


LEAVES = st.booleans() | st.integers(2, 4) | st.sampled_from(("a", "b"))
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "phases": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("pqr")}, optional={"x": LEAVES}),
            unique_by=lambda p: p["name"],
        ),
        "excluded": st.lists(
            st.fixed_dictionaries({"team": st.sampled_from("rg"), "reason": st.just("y")}),
            unique_by=lambda e: e["team"],
        ),
        "limits": st.fixed_dictionaries(
            {}, optional={"total": LEAVES, "more": st.lists(LEAVES, unique_by=repr)}
        ),
    },
)


def normal(value: Any) -> Any:
    """Without the order of lists, and without what is empty."""
    if isinstance(value, dict):
        return {k: n for k, v in value.items() if (n := normal(v)) not in ({}, [])}
    if isinstance(value, list):
        return sorted(json.dumps(normal(v), sort_keys=True) for v in value)
    return value


@given(SPECS, SPECS)
def test_exactly_what_differs_is_told(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(find_differences(old, old)) == []
    found = list(find_differences(old, new))
    assert all(d.old != d.new for d in found)
    told, fields = {d.path[0] for d in found}, old.keys() | new.keys()
    assert told <= {name for name in fields if old.get(name) != new.get(name)}
    assert told >= {name for name in fields if normal(old).get(name) != normal(new).get(name)}


def test_what_is_said_has_a_bound() -> None:
    old: dict[str, Any] = {"teams": []}
    new = {"teams": [{"namespace": f"t{i}", "displayName": "x"} for i in range(2000)]}
    assert len(describe_changes(old, new, [])) == MOST_CHANGES
    (long,) = describe_changes({}, {"description": "x" * 2000}, [])
    assert len(long.text) == MOST_LETTERS


@pytest.mark.parametrize(
    ("decided", "reason"),
    [
        ({}, "Applied"),
        ({"excluded": [OUT]}, "Applied"),
        ({"excluded": [{**OUT, "team": "rde"}]}, "UnknownTeam"),
        ({"excluded": [{**OUT, "submission": "first"}]}, "Applied"),
        ({"excluded": [{**OUT, "submission": "frist"}]}, "UnknownSubmission"),
        ({"cancelled": [{**OUT, "submission": "frist"}]}, "UnknownSubmission"),
        ({"excluded": [{**OUT, "phase": "final"}]}, "UnknownPhase"),
        ({"extraSubmissions": [{"team": "blue", "count": 1, "reason": "x"}]}, "UnknownTeam"),
        # Baselines are in the competition's namespace, and have no quota.
        ({"excluded": [{**OUT, "team": "hack"}]}, "Applied"),
        ({"cancelled": [{**OUT, "team": "hack", "submission": "linear"}]}, "Applied"),
        ({"cancelled": [{**OUT, "team": "hack", "submission": "frist"}]}, "UnknownSubmission"),
        ({"extraSubmissions": [{"team": "hack", "count": 1, "reason": "x"}]}, "UnknownTeam"),
    ],
)
def test_a_decision_about_what_does_not_exist_is_a_condition(decided: dict[str, Any], reason: str) -> None:
    phase = {"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}}
    spec = CompetitionSpec.model_validate({"phases": [phase], **decided})
    there = {("red", "first"), ("hack", "linear")}
    status, found, message = find_condition(spec, {"red"}, "hack", lambda *who: who in there)
    assert found == reason
    assert status == ("True" if reason == "Applied" else "False")
    assert status == "True" or "Correct the entry" in message
