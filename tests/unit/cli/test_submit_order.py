"""What `alcove submit` asks the API server for, in which order, and what is left when something is refused or lost."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, Lost, ScriptedServer, Silent, Step, refusal, serving

FREE = refusal(404, "NotFound", "not found")
NOW = "2026-03-01T12:00:00Z"
MADE = Answer(201, {"metadata": {"name": "one", "namespace": "red", "uid": "u1", "creationTimestamp": NOW}})
QUOTA = refusal(403, "Forbidden", "exceeded quota: alcove-team")
SUBMISSIONS = "/apis/alcove.dev/v1alpha1/namespaces/red/submissions"
BOARDS = "/apis/alcove.dev/v1alpha1/namespaces/hackathon/leaderboards"
CONFIG_MAPS = "/api/v1/namespaces/red/configmaps"
CHECKED = [("GET", BOARDS), ("POST", f"{SUBMISSIONS}?dryRun=All")]
LOOKED = [*CHECKED, ("GET", f"{CONFIG_MAPS}/one")]
ASKED_BOTH = [*LOOKED, ("POST", SUBMISSIONS), ("POST", CONFIG_MAPS)]


def boards(competition: str = "hackathon", phase: str = "practice", **rules: Any) -> Answer:
    spec = {"competition": competition, "phase": phase, "rules": rules}
    return Answer(body={"items": [{"spec": spec}]})


BEFORE = (boards(), MADE, FREE)
"""Answers to what is asked before anything is created."""


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


@pytest.mark.parametrize(("chosen", "loaded"), [((), "numpy"), (("--framework", "tensorflow"), "tensorflow")])
def test_what_the_class_names_is_loaded_unless_it_is_chosen(
    code: Path, alcove: Typed, chosen: tuple[str, ...], loaded: str
) -> None:
    """As `alcove run` does at home."""
    (code / "model.py").write_text('class Model:\n    framework = "numpy"\n')
    with serving(*BEFORE, MADE, Answer(201)) as server:
        done = alcove(*arguments(code, server), *chosen)
    assert done.returncode == 0, done.stderr
    assert server.asked[3].body["spec"]["code"]["framework"] == loaded


def test_the_submission_is_created_first_and_owns_its_code(code: Path, alcove: Typed) -> None:
    with serving(*BEFORE, MADE) as server:
        done = alcove(*arguments(code, server))
    assert (done.returncode, done.stderr) == (0, "")
    assert asked(server) == ASKED_BOTH
    submission, config_map = server.asked[3].body, server.asked[4].body
    assert submission["spec"]["code"] == {"configMap": {"name": "one"}, "framework": "tensorflow"}
    owner = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Submission", "name": "one", "uid": "u1"}
    assert config_map["metadata"]["ownerReferences"] == [owner]
    assert (config_map["data"], config_map["binaryData"]) == (
        {"model.py": "class Model: ...\n"},
        {"weights.bin": "/wA="},
    )
    assert config_map["immutable"] is True


def test_a_refused_submission_leaves_nothing_so_that_its_name_can_be_used(code: Path, alcove: Typed) -> None:
    with serving(*BEFORE, QUOTA) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 2
    assert "exceeded quota" in done.stderr
    assert asked(server) == [*LOOKED, ("POST", SUBMISSIONS)]


def test_where_the_code_is_refused_the_submission_is_taken_back(code: Path, alcove: Typed) -> None:
    with serving(*BEFORE, MADE, QUOTA, Answer()) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    assert "exceeded quota" in done.stderr
    assert "Nothing was submitted." in done.stderr
    assert asked(server) == [*ASKED_BOTH, ("DELETE", f"{SUBMISSIONS}/one")]
    assert server.asked[-1].body["preconditions"] == {"uid": "u1"}, "and no other of that name"


def test_where_it_cannot_be_taken_back_this_is_said(code: Path, alcove: Typed) -> None:
    with serving(*BEFORE, MADE, QUOTA) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 1
    assert "kubectl delete submission one -n red" in done.stderr


@pytest.mark.parametrize(
    ("steps", "then"),
    [
        # The Submission's answer was lost: it is there. Then the code's: it is there.
        ([*BEFORE, Lost(), MADE, MADE], [("GET", f"{SUBMISSIONS}/one"), ("POST", CONFIG_MAPS)]),
        ([*BEFORE, MADE, Lost(), MADE], [("POST", CONFIG_MAPS), ("GET", f"{CONFIG_MAPS}/one")]),
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
    with serving(*BEFORE, Lost(), FREE) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 3
    with serving(*BEFORE, MADE, Lost(), FREE, Answer()) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 3
    assert asked(server)[-1] == ("DELETE", f"{SUBMISSIONS}/one")


TAKEN = refusal(409, "AlreadyExists", 'submissions "one" already exists')


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([boards(), TAKEN], "kubectl delete submission one -n red"),
        ([boards(), MADE, MADE], "kubectl delete configmap one -n red"),
        ([boards(), QUOTA], "exceeded quota"),
        ([Answer(body={"items": []})], "There is no competition hackathon in the namespace hackathon."),
        ([boards("other")], "There is no competition hackathon in the namespace hackathon."),
        ([refusal(403, "Forbidden")], "You may not see any competition in the namespace hackathon."),
        ([boards(phase="final")], "has no phase practice. Nothing was submitted. Its phases are final"),
        ([boards(opensAt="2026-03-01T12:00:01Z"), MADE], "opens at 2026-03-01 12:00 UTC"),
        ([boards(closesAt=NOW), MADE], "has been closed since 2026-03-01 12:00 UTC. Nothing was submitted."),
    ],
)
def test_what_cannot_be_submitted_is_said_before_anything_is_created(
    code: Path, alcove: Typed, steps: list[Step], said: str
) -> None:
    with serving(*steps) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 2
    assert said in done.stderr
    assert not [a for a in server.asked if a.verb != "GET" and "dryRun=All" not in a.path]


def test_a_phase_that_is_open_by_the_servers_clock_takes_it(code: Path, alcove: Typed) -> None:
    open_now = boards(opensAt=NOW, closesAt="2026-03-01T12:00:01Z")
    with serving(open_now, MADE, FREE, MADE) as server:
        assert alcove(*arguments(code, server)).returncode == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_ends_between_the_two_leaves_no_code_without_an_owner(
    code: Path, how: signal.Signals
) -> None:
    with serving(*BEFORE, MADE, Silent(), Answer()) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "alcove_cli.main", *arguments(code, server)],
            env={"PATH": os.environ["PATH"], "HOME": str(code.parent)}, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while len(server.asked) < 5:
            assert time.monotonic() < deadline, "the code was never sent"
            time.sleep(0.01)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert asked(server)[:5] == ASKED_BOTH
    assert server.asked[4].body["metadata"]["ownerReferences"]
    taken_back = [("DELETE", f"{SUBMISSIONS}/one")] if how == signal.SIGINT else []
    assert asked(server)[5:] == taken_back


def test_a_store_that_cannot_be_reached_is_named_with_the_option_that_mends_it(
    code: Path, alcove: Typed
) -> None:
    """A folder in the folder does not fit a ConfigMap, so the code is uploaded."""
    (code / "lib").mkdir()
    (code / "lib" / "util.py").write_text("")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{held.getsockname()[1]}"
    secret = {"endpoint": away.encode(), "credentials.json": b'{"access_key": "a", "secret_key": "b"}'}
    data = {key: base64.b64encode(value).decode() for key, value in secret.items()}
    with serving(boards(), MADE, Answer(body={"data": data})) as server:
        done = alcove(*arguments(code, server))
    assert done.returncode == 3
    assert f"The store at {away} (from the Secret alcove-store in red) cannot be reached" in done.stderr
    assert "nothing was submitted" in done.stderr
    assert "with --store http://HOST:PORT" in done.stderr
    assert not [a for a in server.asked if a.verb != "GET" and "dryRun=All" not in a.path]


def test_the_team_is_that_of_the_kubeconfig_unless_another_is_named(code: Path, alcove: Typed) -> None:
    with serving(*BEFORE, MADE) as server:
        config = server.kubeconfig(code.parent)
        silent = alcove("submit", code, "--name", "one", "--kubeconfig", config)
        assert (silent.returncode, server.asked) == (2, [])
        assert "does not say which team you are. Give --team NAMESPACE." in silent.stderr
        document = yaml.safe_load(Path(config).read_text())
        document["contexts"][0]["context"]["namespace"] = "red"
        Path(config).write_text(yaml.safe_dump(document))
        done = alcove("submit", code, "--name", "one", "--kubeconfig", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Submitted red/one." in done.stdout
    assert asked(server) == ASKED_BOTH


@pytest.mark.parametrize(
    ("there", "number"),
    [([], 1), (["code-1", "code-9", "code-10", "code-1130-235959", "my-code-70", "code-2-3"], 11)],
)
def test_a_submission_without_a_name_gets_the_next_number(
    code: Path, alcove: Typed, there: list[str], number: int
) -> None:
    listed = Answer(body={"items": [{"metadata": {"name": name}} for name in there]})
    left = Answer(body={"metadata": {"name": f"code-{number}"}})
    with serving(boards(), listed, left, FREE, MADE, FREE, MADE) as server:
        done = alcove(*(word for word in arguments(code, server) if word not in ("--name", "one")))
    assert (done.returncode, done.stderr) == (0, "")
    created = [a.body["metadata"]["name"] for a in server.asked if a.verb == "POST"]
    assert created == [f"code-{number + 1}"] * 3, "the code of a deleted one is still there"
