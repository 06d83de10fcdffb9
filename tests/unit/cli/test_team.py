"""`alcove team kubeconfig`: the file that a team is given."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, Step, refusal, serving

RED = Answer(body={"items": [{"metadata": {"name": "hack-red"}}]})
NONE = Answer(body={"items": []})
REPOSITORY = Path(__file__).parents[3]
MISSING = refusal(404, "NotFound", "not found")
TOKEN = Answer(201, {"status": {"token": "the-token", "expirationTimestamp": "2026-02-03T04:05:06Z"}})


def test_the_file_is_the_teams_alone_and_works(tmp_path: Path, alcove: Typed) -> None:
    out = tmp_path / "red.kubeconfig"
    with serving(RED, TOKEN, NONE) as server:
        done = alcove(
            "team",
            "kubeconfig",
            "red",
            "--out",
            out,
            "--days",
            2,
            "--kubeconfig",
            server.kubeconfig(tmp_path),
        )
        address = f"http://127.0.0.1:{server.port}"
    assert done.returncode == 0, done.stderr
    assert "valid until 2026-02-03 04:05 UTC" in done.stdout
    asked = [(a.verb, a.path) for a in server.asked]
    assert asked == [
        ("GET", "/api/v1/namespaces?labelSelector=alcove.dev/team%3Dred"),
        ("POST", "/api/v1/namespaces/hack-red/serviceaccounts/participant/token"),
        ("GET", "/apis/alcove.dev/v1alpha1/namespaces/hack-red/submissions"),
    ]
    assert server.asked[1].body["spec"] == {"expirationSeconds": 2 * 86400}
    document = yaml.safe_load(out.read_text())
    assert document["users"] == [{"name": "hack-red", "user": {"token": "the-token"}}]
    assert document["contexts"][0]["context"]["namespace"] == "hack-red"
    assert document["clusters"][0]["cluster"]["server"] == address
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("steps", "status", "said"),
    [
        ([NONE, MISSING], 2, "There is no team red"),
        ([NONE, Answer(body={"metadata": {"name": "red"}})], 2, "There is no team red"),
        (
            [Answer(body={"items": [{"metadata": {"name": name}} for name in ("b-red", "a-red")]})],
            2,
            "Several teams are called red. Give the namespace: a-red, b-red.",
        ),
        ([RED, MISSING], 1, "There is no service account participant in hack-red"),
        (
            [RED, TOKEN, refusal(403, "Forbidden", "it may not list submissions")],
            1,
            "it may not list submissions",
        ),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, alcove: Typed, steps: list[Step], status: int, said: str
) -> None:
    with serving(*steps) as server:
        out = tmp_path / "out.kubeconfig"
        done = alcove("team", "kubeconfig", "red", "--out", out, "--kubeconfig", server.kubeconfig(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert said in done.stderr


def test_its_own_name_for_the_file_is_ignored_by_git(
    tmp_path: Path, alcove: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages say to make it in the checkout, and it holds a token."""
    monkeypatch.chdir(tmp_path)
    with serving(RED, TOKEN, NONE) as server:
        done = alcove("team", "kubeconfig", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("hack-red*")
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert any(made.match(pattern) for pattern in ignored)


def test_a_namespace_is_a_name_too_and_no_file_is_overwritten(tmp_path: Path, alcove: Typed) -> None:
    labels = {"alcove.dev/competition": "hack.hack"}
    own = Answer(body={"metadata": {"name": "red", "labels": labels}})
    out = tmp_path / "kept"
    out.write_text("kept")
    with serving(NONE, own, TOKEN) as server:
        done = alcove("team", "kubeconfig", "red", "--out", out, "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert out.read_text() == "kept"
