"""What `alcove submit` asks the API server for, in which order, and what is left when something is refused or lost."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, Lost, ScriptedServer, Silent, Step, refusal, serving

FREE = refusal(404, "NotFound", "not found")
NOW = "2026-03-01T12:00:00Z"
ONE: dict[str, Any] = {"metadata": {"name": "one", "namespace": "red", "uid": "u1", "creationTimestamp": NOW}}
MADE = Answer(201, ONE)
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
        ([boards(phase="final")], "has no phase practice. Its phases: final. Nothing was submitted"),
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


@pytest.fixture
def large(code: Path) -> Path:
    """A folder in the folder does not fit a ConfigMap, so the code is uploaded."""
    (code / "lib").mkdir()
    (code / "lib" / "util.py").write_text("")
    return code


def answered(url: str, **status: Any) -> Answer:
    """A Submission with a permit to upload its bundle at ``url``."""
    fields = [{"name": "key", "value": "bundles/red/x.tar.gz"}, {"name": "policy", "value": "signed"}]
    upload = {"url": url, "fields": fields, "bytesAtMost": 1000000, "expiresAt": "2026-03-01T13:00:00Z"}
    return Answer(body={**ONE, "status": {"upload": upload, **status}})


def test_a_bundle_is_uploaded_by_the_permit_that_the_submission_is_answered_with(
    large: Path, alcove: Typed
) -> None:
    with serving(Answer(204, "")) as store:
        there = answered(f"http://127.0.0.1:{store.port}/uploads")
        with serving(boards(), MADE, MADE, Answer(body=ONE), there) as server:
            done = alcove(*arguments(large, server))
        assert done.returncode == 0, done.stderr
        assert asked(server) == [*CHECKED, ("POST", SUBMISSIONS), *[("GET", f"{SUBMISSIONS}/one")] * 2]
        (sent,) = store.asked
    assert (sent.verb, sent.path) == ("POST", "/uploads")
    message = BytesParser().parsebytes(f"Content-Type: {sent.content}\r\n\r\n".encode() + sent.body)
    parts = [(part.get_param("name", header="content-disposition"), part) for part in message.walk()][1:]
    assert [name for name, _ in parts] == ["key", "policy", "file"], "what follows the file is not read"
    bundle = parts[-1][1].get_payload(decode=True)
    assert isinstance(bundle, bytes)
    digest = hashlib.sha256(bundle).hexdigest()
    assert server.asked[2].body["spec"]["code"] == {"bundle": {"sha256": digest}, "framework": "tensorflow"}
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        assert archive.getnames() == ["lib/util.py", "model.py", "weights.bin"]


def test_a_store_that_cannot_be_reached_is_named_with_the_option_that_mends_it(
    large: Path, alcove: Typed
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{held.getsockname()[1]}/uploads"
    with serving(boards(), MADE, MADE, answered(away)) as server:
        done = alcove(*arguments(large, server))
    assert done.returncode == 3
    assert f"The bundle could not be uploaded to {away}." in done.stderr
    assert "red/one waits for it, and is rejected an hour after it was made." in done.stderr
    assert "Try again until 13:00 UTC: alcove upload one FOLDER" in done.stderr
    assert "add --store http://HOST:PORT" in done.stderr
    assert asked(server)[-1][0] == "GET", "the Submission stays"


def test_an_expired_permit_is_told_from_a_store_that_is_away(large: Path, alcove: Typed) -> None:
    with serving(Answer(403, "<Error><Code>AccessDenied</Code></Error>")) as store:
        with serving(boards(), MADE, MADE, answered(f"http://127.0.0.1:{store.port}/uploads")) as server:
            done = alcove(*arguments(large, server))
        assert len(store.asked) == 1, "another try would be refused as well"
    assert done.returncode == 1
    assert "The object store refused the upload: AccessDenied." in done.stderr


def test_a_submission_that_is_refused_gets_no_permit(large: Path, alcove: Typed) -> None:
    condition = {
        "type": "Admitted",
        "status": "False",
        "reason": "QuotaExceeded",
        "message": "All 10 of today are used.",
        "lastTransitionTime": NOW,
    }
    refused = Answer(body={**ONE, "status": {"phase": "Rejected", "conditions": [condition]}})
    with serving(boards(), MADE, MADE, refused) as server:
        done = alcove(*arguments(large, server))
    assert done.returncode == 2
    assert "red/one was rejected. All 10 of today are used." in done.stderr


def test_what_the_store_has_is_not_uploaded_again(large: Path, alcove: Typed) -> None:
    with serving(boards(), MADE, MADE, Answer(body={**ONE, "status": {"phase": "Queued"}})) as server:
        done = alcove(*arguments(large, server))
    assert done.returncode == 0, done.stderr
    assert "Submitted red/one." in done.stdout


def test_another_try_uploads_what_the_submission_names_and_nothing_else(large: Path, alcove: Typed) -> None:
    with serving(boards(), MADE, MADE, Answer(body={**ONE, "status": {"phase": "Queued"}})) as server:
        alcove(*arguments(large, server))
    spec = server.asked[2].body["spec"]
    named = Answer(body={**ONE, "spec": spec})
    with serving(Answer(204, "")) as store:
        with serving(named, answered("http://127.0.0.1:9/uploads")) as server:
            config = server.kubeconfig(large.parent)
            again = ("upload", "one", str(large), "--team", "red", "--kubeconfig", config)
            done = alcove(*again, "--store", f"http://127.0.0.1:{store.port}")
        assert (done.returncode, done.stdout) == (0, "one has its bundle.\n"), done.stderr
        assert asked(store) == [("POST", "/uploads")]
    (large / "model.py").write_text("class Model: changed = True\n")
    with serving(named) as server:
        other = alcove(
            "upload", "one", large, "--team", "red", "--kubeconfig", server.kubeconfig(large.parent)
        )
    assert other.returncode == 2
    assert "Nothing was sent." in other.stderr


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
