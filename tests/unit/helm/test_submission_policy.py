"""The chart's policy on Submissions, as it is rendered; tests/integration/helm has it on a real API server."""

from __future__ import annotations

import pytest

from .chart import of_kind, one, render

KIND = "ValidatingAdmissionPolicy"
KNOWN = ("--api-versions", f"admissionregistration.k8s.io/v1/{KIND}")


def test_the_policy_is_for_the_teams_of_the_release_alone() -> None:
    objects = render(None, "hackathon", *KNOWN)
    policy = one(objects, KIND, "alcove-submissions.hackathon")
    binding = one(objects, f"{KIND}Binding", policy["metadata"]["name"])
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    (team,) = (n for n in of_kind(objects, "Namespace") if n["metadata"]["name"] == "team-red")
    selector = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
    assert selector.items() <= team["metadata"]["labels"].items()
    assert binding["spec"]["validationActions"] == ["Deny"]
    assert policy["spec"]["failurePolicy"] == "Fail"


def test_the_policy_compares_all_metadata_that_the_api_server_lets_a_client_change() -> None:
    """Owners are refused altogether; name, namespace, UID, times and generation the API server keeps itself."""
    policy = one(render(None, "hackathon", *KNOWN), KIND, "alcove-submissions.hackathon")
    variables = {v["name"]: v["expression"] for v in policy["spec"]["variables"]}
    (rule,) = (v["expression"] for v in policy["spec"]["validations"] if "oldObject" in v["expression"])
    rule = rule.replace("variables.oldLabels", variables["oldLabels"])
    changeable = {"labels", "annotations", "finalizers", "managedFields", "generateName"}
    assert {field for field in changeable if f"oldObject.metadata.{field} :" in rule} == changeable


def test_submissions_beside_the_competition_are_for_the_operator_and_who_may_change_the_competition() -> None:
    objects = render(None, "hackathon", *KNOWN)
    policy = one(objects, KIND, "alcove-submissions.hackathon.organizer")
    who = policy["spec"]["validations"][0]["expression"]
    assert "system:serviceaccount:hackathon:alcove-operator" in who
    assert "check('update')" in who
    binding = one(objects, f"{KIND}Binding", policy["metadata"]["name"])
    selector = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": "hackathon"}


OLD = ("--kube-version", "1.29.0")


def test_an_api_server_that_does_not_know_the_kind_gets_none() -> None:
    objects = render(None, "hackathon", *OLD)
    assert of_kind(objects, KIND, f"{KIND}Binding") == []


@pytest.mark.parametrize(("more", "may"), [(KNOWN, True), (OLD, False)])
def test_a_team_may_ask_for_a_change_only_where_the_policy_refuses_it(
    more: tuple[str, ...], may: bool
) -> None:
    role = one(render(None, "hackathon", *more), "Role", "alcove-team", "team-red")
    verbs = {verb for rule in role["rules"] if rule["resources"] == ["submissions"] for verb in rule["verbs"]}
    assert {"create", "delete"} < verbs
    assert ({"patch", "update"} <= verbs) is may
    assert verbs.isdisjoint({"patch", "update"}) is not may
