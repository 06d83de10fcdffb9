"""Editing a Submission and applying it again, as a team does it: with kubectl and the team's own rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.helm.conftest import ApiServer, Releases, wait_for
from tests.integration.helm.test_install import config_map, participant, submission, teams

pytestmark = pytest.mark.integration
CHANCE = Path(__file__).parents[3] / "examples" / "submissions" / "chance"
SENTENCE = "for another try, give it another metadata.name and apply it again"
FINALIZER = "alcove.dev/runs"


def apply_as(
    server: ApiServer, team: str, document: object, *more: str, verb: str = "apply"
) -> subprocess.CompletedProcess[str]:
    return server.kubectl(verb, "-f", "-", *more, stdin=json.dumps(document), as_user=participant(team))


def path_of(team: str, name: str = "first") -> str:
    return f"/apis/alcove.dev/v1alpha1/namespaces/{team}/submissions/{name}"


def wait_for_policy(server: ApiServer, team: str) -> None:
    """A policy is known to the API server a moment after it is made."""
    document = submission(team, "any", "probe")
    document["metadata"]["finalizers"] = ["example.org/mine"]
    wait_for("the policy", lambda: apply_as(server, team, document, "--dry-run=server").returncode)


def test_a_changed_submission_is_refused_in_one_sentence(server: ApiServer, releases: Releases) -> None:
    releases("edit", teams("edit"))
    red = "edit-red"
    wait_for_policy(server, red)
    document = submission(red, "edit")
    assert apply_as(server, red, document).returncode == 0
    before = server.get("submission", "first", red)

    same = apply_as(server, red, document)
    assert (same.returncode, same.stdout.strip()) == (0, "submission.alcove.dev/first unchanged")

    changed = json.loads(json.dumps(document))
    changed["spec"]["phase"] = "final"
    labelled = json.loads(json.dumps(document))
    labelled["metadata"]["labels"] = {"try": "2"}
    named = before["metadata"]["resourceVersion"]
    replaced = json.loads(json.dumps(changed))
    replaced["metadata"]["resourceVersion"] = named
    for wrong, more, verb in (
        (changed, (), "apply"),
        (changed, ("--server-side", "--force-conflicts"), "apply"),
        (labelled, (), "apply"),
        (document, ("--server-side", "--force-conflicts"), "apply"),
        (replaced, (), "replace"),
    ):
        done = apply_as(server, red, wrong, *more, verb=verb)
        assert done.returncode == 1, (verb, more)
        assert SENTENCE in done.stderr.lower(), done.stderr
        assert "orbidden" not in done.stderr
        assert done.stderr.count("\n") < 3, "a sentence, not a patch"
    assert server.get("submission", "first", red) == before


def test_a_team_takes_nothing_from_a_submission_that_is_there(server: ApiServer, releases: Releases) -> None:
    """Without its finalizer a deleted Submission would be gone while its runs go on, and their use uncounted."""
    releases("bare", teams("bare"))
    red, operator = "bare-red", "system:serviceaccount:bare:alcove-operator"
    wait_for_policy(server, red)
    server.create(config_map(red), as_user=participant(red))
    assert apply_as(server, red, submission(red, "bare")).returncode == 0
    path = path_of(red)
    assert server.patch(path, {"metadata": {"finalizers": [FINALIZER]}}, operator) == 200
    changes: list[dict[str, object]] = [
        {"finalizers": None},
        {"finalizers": [FINALIZER, "orphan"]},
        {"labels": {"alcove.dev/run": "1"}},
        {"annotations": {"note": "x"}},
        {"annotations": None},
        {"managedFields": [{}]},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "first", "uid": "u"}]},
    ]
    for metadata in changes:
        assert server.patch(path, {"metadata": metadata}, participant(red)) == 422, metadata
    assert server.patch(f"{path}/status", {"status": {"phase": "Done"}}, participant(red)) == 403
    assert server.patch(path, {"status": {"phase": "Done"}}, participant(red)) == 200
    assert "status" not in server.get("submission", "first", red), (
        "a status beside the subresource is dropped"
    )

    server.ok(
        "delete", "submission", "first", "-n", red, "--cascade=foreground", "--wait=false", as_user=participant(red)
    )  # fmt: skip
    assert server.patch(path, {"metadata": {"finalizers": None}}, participant(red)) == 422
    assert server.patch(path_of("bare-blue"), {"metadata": {"labels": {"a": "b"}}}, participant(red)) == 403
    assert FINALIZER in server.get("submission", "first", red)["metadata"]["finalizers"]
    # Who runs the competition can let go of it, where no operator does; the collector takes off its own finalizer.
    server.ok(
        "patch", "submission", "first", "-n", red, "--type=json", "-p",
        json.dumps([{"op": "remove", "path": "/metadata/finalizers/0"}]),
    )  # fmt: skip


def test_a_team_may_mark_a_submission_and_change_nothing_with_it(
    server: ApiServer, releases: Releases
) -> None:
    releases("mark", teams("mark"))
    red, mark = "mark-red", "alcove.dev/chosen"
    wait_for_policy(server, red)
    assert apply_as(server, red, submission(red, "mark")).returncode == 0
    path = path_of(red)
    label = ("label", "submission", "first", "-n", red)
    server.ok(*label, f"{mark}=true", as_user=participant(red))
    assert server.get("submission", "first", red)["metadata"]["labels"][mark] == "true"
    wrong = server.kubectl(*label, f"{mark}=yes", "--overwrite", as_user=participant(red))
    assert 'its value is "true"' in wrong.stderr
    for more in ({"labels": {mark: None, "a": "b"}}, {"labels": {mark: None}, "annotations": {"note": "x"}}):
        assert server.patch(path, {"metadata": more}, participant(red)) == 422, more
    assert (
        server.patch(path_of("mark-blue"), {"metadata": {"labels": {mark: "true"}}}, participant(red)) == 403
    )
    server.ok(*label, f"{mark}-", as_user=participant(red))
    assert mark not in server.get("submission", "first", red)["metadata"].get("labels", {})


def test_nobody_but_the_organizer_submits_beside_the_competition(
    server: ApiServer, releases: Releases
) -> None:
    """Nor makes a team what seems to show the result of a blind phase."""
    releases("beside", teams("beside"))
    red = "beside-red"
    wait_for_policy(server, red)
    forged = submission(red, "beside", "forged")
    forged["spec"]["code"] = {"bundle": {"sha256": "a" * 64}}
    forged["spec"]["rerunOf"] = {"team": red, "submission": "first", "uid": "1"}
    assert "for the operator alone" in apply_as(server, red, forged).stderr
    # Whoever has the right to submit there for another reason, and does not run the competition.
    server.ok(
        "create",
        "role",
        "submitter",
        "--verb=create,get,patch",
        "--resource=submissions.alcove.dev",
        "-n",
        "beside",
    )
    server.ok(
        "create", "rolebinding", "submitter", "--role=submitter", f"--user={participant(red)}", "-n", "beside"
    )
    own = submission("beside", "beside", "own")
    assert "are the organizer's" in apply_as(server, red, own).stderr
    server.ok("apply", "-f", "-", stdin=json.dumps(own))
    elsewhere = submission("beside", "other", "elsewhere")
    assert "for a competition in it" in server.kubectl("apply", "-f", "-", stdin=json.dumps(elsewhere)).stderr


def test_a_change_within_the_second_of_the_creation_is_refused_too(
    server: ApiServer, releases: Releases
) -> None:
    """Then managed fields stay the same where the same manager changes a field that it has. Nothing bounds this one."""
    releases("quick", teams("quick"))
    red = "quick-red"
    wait_for_policy(server, red)
    for number in range(5):  # some of these are within a second
        document = submission(red, "quick", f"try-{number}")
        document["metadata"]["generateName"] = "a"
        server.create(document, as_user=participant(red))
        path = f"{path_of(red, f'try-{number}')}?fieldManager=kubectl-create"
        assert server.patch(path, {"metadata": {"generateName": "b" * 1_000_000}}, participant(red)) == 422


def test_changed_code_is_not_taken_for_what_is_there(
    server: ApiServer, releases: Releases, tmp_path: Path
) -> None:
    """`kubectl apply -k` on a folder in which only the code was edited."""
    releases("kust", teams("kust"))
    red = "kust-red"
    wait_for_policy(server, red)
    folder = tmp_path / "chance"
    shutil.copytree(CHANCE, folder)
    apply = ("apply", "-k", str(folder), "-n", red)
    server.ok(*apply, as_user=participant(red))
    (code,) = (
        item["metadata"]["name"]
        for item in json.loads(server.ok("get", "configmaps", "-n", red, "-o", "json"))["items"]
        if item["metadata"]["name"].startswith("chance")
    )
    assert server.get("submission", "chance", red)["spec"]["code"]["configMap"]["name"] == code

    (folder / "model.py").write_text(f"{(CHANCE / 'model.py').read_text()}\n# better\n")
    again = server.kubectl(*apply, as_user=participant(red))
    assert again.returncode == 1
    assert SENTENCE in again.stderr
    manifest = folder / "submission.yaml"
    manifest.write_text(manifest.read_text().replace("name: chance ", "name: chance-2 "))
    server.ok(*apply, as_user=participant(red))
    assert server.get("submission", "chance-2", red)["spec"]["code"]["configMap"]["name"] != code
