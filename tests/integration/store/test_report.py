"""`alcove report`: a team fetches its own page with its own credentials, and is told why where there is none."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import Any

import pytest

from alcove_api import keys
from alcove_store.client import put_bytes
from tests.integration.store.conftest import SetUpStore
from tests.unit.cli.conftest import Typed, alcove
from tests.unit.kube.server import Answer, refusal, serving

pytestmark = pytest.mark.integration
__all__ = ["alcove"]


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": moment}


def submission(uid: str, phase: str = "Done", *conditions: dict[str, Any]) -> Answer:
    meta = {"name": "first", "namespace": "team-a", "uid": uid}
    return Answer(body={"metadata": meta, "status": {"phase": phase, "conditions": list(conditions)}})


def secret(store: SetUpStore, team: str, endpoint: str | None = None) -> Answer:
    data = {
        "endpoint": (endpoint or store.server.url).encode(),
        "credentials.json": store.credentials[team].canonical(),
    }
    return Answer(body={"data": {key: base64.b64encode(value).decode() for key, value in data.items()}})


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_a_team_fetches_its_own_page_and_no_other(
    set_up_store: SetUpStore, tmp_path: Path, alcove: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put_bytes(set_up_store.root, keys.MAIN_BUCKET, keys.team_report("team-a", "uid-a"), b"<p>mine")
    put_bytes(set_up_store.root, keys.MAIN_BUCKET, keys.team_report("team-b", "uid-b"), b"<p>theirs")
    with serving(submission("uid-a"), secret(set_up_store, "team-a")) as server:
        done = alcove("report", "first", "--team", "team-a", "--kubeconfig", server.kubeconfig(tmp_path))
        assert [a.path for a in server.asked] == [
            "/apis/alcove.dev/v1alpha1/namespaces/team-a/submissions/first",
            "/api/v1/namespaces/team-a/secrets/alcove-store",
        ], "nothing that a team has no right to"
    assert (done.returncode, done.stdout, done.stderr) == (0, "first.html\n", "")
    assert (tmp_path / "first.html").read_bytes() == b"<p>mine"

    # Even where it could read the other's Submission, its credentials would not do.
    with serving(submission("uid-b"), secret(set_up_store, "team-a")) as server:
        done = alcove("report", "first", "--team", "team-b", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert (tmp_path / "first.html").read_bytes() == b"<p>mine"


def test_a_team_reads_the_full_output_of_its_own_runs_and_no_other(
    set_up_store: SetUpStore, tmp_path: Path, alcove: Typed
) -> None:
    for team in ("team-a", "team-b"):
        output = f"epoch 1 of {team}\n\x1b[2Jdone\n".encode()
        put_bytes(set_up_store.root, keys.MAIN_BUCKET, keys.team_log(team, "uid", "digits"), output)
    found = submission("uid")
    assert isinstance(found.body, dict)
    found.body["status"]["runs"] = [{"dataset": name, "phase": "Done"} for name in ("digits", "news")]
    with serving(found, secret(set_up_store, "team-a")) as server:
        where = ("--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("logs", "first", "--full", "--team", "team-a", *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "==> digits (Done)\nepoch 1 of team-a\n[2Jdone\n", (
        "nothing that writes to the terminal"
    )
    found.body["metadata"]["namespace"] = "team-b"
    with serving(found, secret(set_up_store, "team-a")) as server:
        where = ("--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("logs", "first", "--full", "--team", "team-b", *where)
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr


def test_where_there_is_no_full_output_it_is_said_why(
    set_up_store: SetUpStore, tmp_path: Path, alcove: Typed
) -> None:
    for found, said in (
        (submission("none", "Running"), "once all runs have ended"),
        (submission("none", "Done", HELD_BACK), "from its reveal on"),
        (submission("none"), "The phase shows the end of it at most"),
    ):
        with serving(found, secret(set_up_store, "team-a")) as server:
            where = ("--kubeconfig", server.kubeconfig(tmp_path))
            done = alcove("logs", "first", "--full", "--team", "team-a", *where)
        assert done.returncode == 1
        assert said in done.stderr


HELD_BACK = condition("Scored", "True", "HeldBack")


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (submission("none", "Done", HELD_BACK), 1, "are shown from its reveal on"),
        (submission("none", "Running"), 1, "once all runs have ended and are scored"),
        (submission("none", "Rejected"), 1, "It was rejected and never ran."),
        (submission("none", "Failed", condition("Scored", "False", "NothingToScore")), 1, "No run started"),
        (submission("none", "Done", condition("Scored", "True", "Shown")), 1, "Ask the organizer"),
        (refusal(404, "NotFound"), 2, "There is no Submission first in team-a."),
    ],
)
def test_why_there_is_no_page_is_said(
    set_up_store: SetUpStore, tmp_path: Path, alcove: Typed, found: Answer, status: int, said: str
) -> None:
    with serving(found, secret(set_up_store, "team-a")) as server:
        done = alcove("report", "first", "--team", "team-a", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == status
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("given", [False, True])
def test_a_store_that_cannot_be_reached_is_named_with_the_option_that_mends_it(
    set_up_store: SetUpStore, tmp_path: Path, alcove: Typed, given: bool
) -> None:
    away = f"http://127.0.0.1:{closed_port()}"
    answers = (submission("u"), secret(set_up_store, "team-a", None if given else away))
    option = ("--store", away) if given else ()
    with serving(*answers) as server:
        where = ("--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("report", "first", "--team", "team-a", *option, *where)
    assert done.returncode == 3
    source = "--store" if given else "the Secret alcove-store in team-a"
    assert f"The store at {away} (from {source}) cannot be reached from here." in done.stderr
    assert "with --store http://HOST:PORT" in done.stderr
