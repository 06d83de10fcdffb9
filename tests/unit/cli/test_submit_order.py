"""What `alcove submit` asks the API server for, in which order, and what is left when something is refused or lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, Lost, ScriptedServer, Silent, Step, refusal, serving

FREE = refusal(404, "NotFound", "not found")
MADE = Answer(201, {"metadata": {"name": "one", "namespace": "red", "uid": "u1"}})
QUOTA = refusal(403, "Forbidden", "exceeded quota: alcove-team")
SUBMISSIONS = "/apis/alcove.dev/v1alpha1/namespaces/red/submissions"
CONFIG_MAPS = "/api/v1/namespaces/red/configmaps"
LOOKED = [("GET", f"{SUBMISSIONS}/one"), ("GET", f"{CONFIG_MAPS}/one")]
ASKED_BOTH = [*LOOKED, ("POST", SUBMISSIONS), ("POST", CONFIG_MAPS)]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "model.py").write_text("class Model: ...\n")
    (folder / "weights.bin").write_bytes(b"\xff\0")
    return folder


def arguments(code: Path, server: ScriptedServer) -> list[str]:
    config = server.kubeconfig(code.parent)
    return ["submit", str(code), "--team", "red", "--name", "one", "--kubeconfig", config]


def asked(server: ScriptedServer) -> list[tuple[str, str]]:
    return [(a.verb, a.path) for a in server.asked]


def test_the_submission_is_created_first_and_owns_its_code(code: Path, alcove: Typed) -> None:
    with serving(FREE, FREE, MADE) as server:
        done = alcove(*arguments(code, server))
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(server) == ASKED_BOTH
    submission, config_map = server.asked[2].body, server.asked[3].body
    assert submission["spec"]["code"] == {"configMap": {"name": "one"}, "framework": "tensorflow"}
    owner = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Submission", "name": "one", "uid": "u1"}
    assert config_map["metadata"]["ownerReferences"] == [owner]
    assert (config_map["data"], config_map["binaryData"]) == (
        {"model.py": "class Model: ...\n"},
        {"weights.bin": "/wA="},
    )
    assert config_map["immutable"] is True


def test_a_refused_submission_leaves_nothing_so_that_its_name_can_be_used(code: Path, alcove: Typed) -> None:
    with serving(FREE, FREE, QUOTA) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 2
    assert "exceeded quota" in done.stderr
    assert asked(server) == [*LOOKED, ("POST", SUBMISSIONS)]


def test_where_the_code_is_refused_the_submission_is_taken_back(code: Path, alcove: Typed) -> None:
    with serving(FREE, FREE, MADE, QUOTA, Answer()) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    assert "exceeded quota" in done.stderr
    assert "Nothing was submitted." in done.stderr
    assert asked(server) == [*ASKED_BOTH, ("DELETE", f"{SUBMISSIONS}/one")]
    assert server.asked[-1].body["preconditions"] == {"uid": "u1"}, "and no other of that name"


def test_where_it_cannot_be_taken_back_this_is_said(code: Path, alcove: Typed) -> None:
    with serving(FREE, FREE, MADE, QUOTA) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    assert "kubectl delete submission one -n red" in done.stderr


@pytest.mark.parametrize(
    ("steps", "then"),
    [
        # The Submission's answer was lost: it is there. Then the code's: it is there.
        ([FREE, FREE, Lost(), MADE, MADE], [("GET", f"{SUBMISSIONS}/one"), ("POST", CONFIG_MAPS)]),
        ([FREE, FREE, MADE, Lost(), MADE], [("POST", CONFIG_MAPS), ("GET", f"{CONFIG_MAPS}/one")]),
    ],
)
def test_a_lost_answer_is_looked_up(
    code: Path, alcove: Typed, steps: list[Step], then: list[tuple[str, str]]
) -> None:
    with serving(*steps) as server:
        done = alcove(*arguments(code, server))
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(server) == [*LOOKED, ("POST", SUBMISSIONS), *then]


def test_what_was_lost_and_is_not_there_was_not_done(code: Path, alcove: Typed) -> None:
    with serving(FREE, FREE, Lost(), FREE) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    with serving(FREE, FREE, MADE, Lost(), FREE, Answer()) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    assert asked(server)[-1] == ("DELETE", f"{SUBMISSIONS}/one")


@pytest.mark.parametrize(("steps", "kind"), [([MADE], "submission"), ([FREE, MADE], "configmap")])
def test_a_name_that_is_taken_is_said_before_anything_is_created(
    code: Path, alcove: Typed, steps: list[Step], kind: str
) -> None:
    with serving(*steps) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 2
    assert f"kubectl delete {kind} one -n red" in done.stderr
    assert {verb for verb, _ in asked(server)} == {"GET"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_ends_between_the_two_leaves_no_code_without_an_owner(
    code: Path, how: signal.Signals
) -> None:
    with serving(FREE, FREE, MADE, Silent(), Answer()) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "alcove_cli.main", *arguments(code, server)],
            env={"PATH": os.environ["PATH"], "HOME": str(code.parent)}, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while len(server.asked) < 4:
            assert time.monotonic() < deadline, "the code was never sent"
            time.sleep(0.01)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert asked(server)[:4] == ASKED_BOTH
    assert server.asked[3].body["metadata"]["ownerReferences"]
    taken_back = [("DELETE", f"{SUBMISSIONS}/one")] if how == signal.SIGINT else []
    assert asked(server)[4:] == taken_back
