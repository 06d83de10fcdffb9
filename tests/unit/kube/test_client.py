"""The client against a real HTTP server that delays, refuses, repeats and loses."""

from __future__ import annotations

import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError, KubeconfigError
from alcove_kube.resources import JOBS, LEADERBOARDS, NODES, SECRETS, SUBMISSIONS, Resource
from tests.unit.kube.server import (
    Answer,
    Lost,
    ScriptedServer,
    Silent,
    Step,
    refusal,
    serving,
    write_kubeconfig,
)

ONE = {"metadata": {"name": "one", "uid": "u1"}}
AWAY = refusal(503, "ServiceUnavailable", "later")


def connect(server: ScriptedServer, folder: Path, patience: float = 10.0) -> KubeClient:
    client = KubeClient.from_kubeconfig(server.kubeconfig(folder))
    client.patience, client.timeout = patience, (1.0, 1.0)
    return client


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (JOBS, "/apis/batch/v1/namespaces/red/jobs/one/status"),
        (SECRETS, "/api/v1/namespaces/red/secrets/one/status"),
        (SUBMISSIONS, "/apis/alcove.dev/v1alpha1/namespaces/red/submissions/one/status"),
    ],
)
def test_a_path_has_the_parts_that_there_are(resource: Resource, path: str) -> None:
    assert resource.path("red", "one", "status") == path
    assert resource.path("red") == path.removesuffix("/one/status")
    assert NODES.path(None, "n") == "/api/v1/nodes/n"


def test_each_answer_tells_the_servers_time(tmp_path: Path) -> None:
    heard: list[str | None] = []
    with serving(AWAY, Answer(body=ONE), refusal(404, "NotFound")) as server:
        client = connect(server, tmp_path)
        client.hear_date = heard.append
        client.get(SUBMISSIONS, "red", "one")
        assert client.find(SUBMISSIONS, "red", "one") is None
    assert len(heard) == 3, "also those that are repeated, or refuse"
    assert all(abs(parsedate_to_datetime(date or "").timestamp() - time.time()) < 120 for date in heard)


def test_every_verb_sends_what_the_api_server_expects(tmp_path: Path) -> None:
    with serving(Answer(body=ONE)) as server:
        client = connect(server, tmp_path)
        assert client.get(SUBMISSIONS, "red", "one") == ONE
        client.create(JOBS, "red", ONE)
        client.replace(JOBS, "red", "one", ONE)
        client.patch(LEADERBOARDS, "red", "one", {"status": {}}, "status")
        client.patch(JOBS, "red", "one", [{"op": "remove", "path": "/x"}])
        assert client.delete(JOBS, "red", "one", "u1")
    path = "/apis/batch/v1/namespaces/red/jobs"
    said = [(a.verb, a.path, a.content) for a in server.asked[1:]]
    assert said == [
        ("POST", path, "application/json"),
        ("PUT", f"{path}/one", "application/json"),
        (
            "PATCH",
            "/apis/alcove.dev/v1alpha1/namespaces/red/leaderboards/one/status",
            "application/merge-patch+json",
        ),
        ("PATCH", f"{path}/one", "application/json-patch+json"),
        ("DELETE", f"{path}/one", "application/json"),
    ]
    assert server.asked[-1].body["preconditions"] == {"uid": "u1"}
    assert server.asked[-1].body["propagationPolicy"] == "Background"


def test_a_list_is_asked_for_by_labels(tmp_path: Path) -> None:
    with serving(Answer(body={"items": [ONE]})) as server:
        assert connect(server, tmp_path).find_all(JOBS, "red", "a=b,c") == [ONE]
    assert server.asked[0].path == "/apis/batch/v1/namespaces/red/jobs?labelSelector=a%3Db%2Cc"


def test_a_secret_is_decoded_and_a_log_is_text(tmp_path: Path) -> None:
    with serving(Answer(body={"data": {"key": "AAE="}}), Answer(body='{"not": 1}\nparsed')) as server:
        client = connect(server, tmp_path)
        assert client.read_secret("red", "s") == {"key": b"\0\1"}
        assert client.read_log("red", "p") == '{"not": 1}\nparsed'


@pytest.mark.parametrize("step", [Lost(), AWAY, refusal(429, "TooManyRequests"), Silent()])
@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_what_changes_nothing_when_done_twice_is_repeated(tmp_path: Path, step: Step, verb: str) -> None:
    with serving(step, step, Answer(body=ONE)) as server:
        client = connect(server, tmp_path)
        client.timeout = (1.0, 0.2)
        if verb == "GET":
            assert client.get(JOBS, "red", "one") == ONE
        elif verb == "PUT":
            assert client.replace(JOBS, "red", "one", ONE) == ONE
        else:
            assert client.delete(JOBS, "red", "one")
    assert server.verbs == [verb] * 3


@pytest.mark.parametrize("step", [Lost(), AWAY, Silent()])
def test_a_write_whose_answer_is_lost_is_sent_once_and_nobody_says_that_it_was_not_done(
    tmp_path: Path, step: Step
) -> None:
    with serving(step, Answer(body=ONE)) as server:
        client = connect(server, tmp_path)
        client.timeout = (1.0, 0.2)
        with pytest.raises(ApiError, match="may have been made or not") as caught:
            client.create(JOBS, "red", ONE)
        assert caught.value.done is None
        assert caught.value.retriable
    assert server.verbs == ["POST"]


def test_a_write_that_the_server_put_off_is_repeated_after_the_time_that_it_names(tmp_path: Path) -> None:
    with serving(refusal(429, "TooManyRequests", Retry_After="1"), Answer(body=ONE)) as server:
        began = time.monotonic()
        assert connect(server, tmp_path).create(JOBS, "red", ONE) == ONE
        assert time.monotonic() - began >= 1.0
    assert server.verbs == ["POST", "POST"]


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (409, "Conflict"), (422, "Invalid")])
def test_a_refusal_is_final_and_in_the_servers_words(tmp_path: Path, status: int, reason: str) -> None:
    with serving(refusal(status, reason, "the red one may not")) as server:
        with pytest.raises(
            ApiError, match=r"refused to replace jobs/one in red: the red one may not\."
        ) as caught:
            connect(server, tmp_path).replace(JOBS, "red", "one", ONE)
        assert (caught.value.status, caught.value.reason) == (status, reason)
        assert (caught.value.done, caught.value.retriable) == (False, False)
    assert server.verbs == ["PUT"]


def test_what_is_not_there_is_none_and_is_not_deleted(tmp_path: Path) -> None:
    with serving(refusal(404, "NotFound")) as server:
        client = connect(server, tmp_path)
        assert client.find(JOBS, "red", "one") is None
        assert not client.delete(JOBS, "red", "one")
    with serving(refusal(409, "Conflict")) as server:
        client = connect(server, tmp_path)
        assert not client.delete(JOBS, "red", "one", "another")
        with pytest.raises(ApiError):
            client.delete(JOBS, "red", "one")


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_patience_ends_and_the_error_says_what_to_do(tmp_path: Path, verb: str) -> None:
    with socket.socket() as closed:  # bound, and never listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        client = KubeClient.from_kubeconfig(
            write_kubeconfig(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}")
        )
        client.patience = 0.5
        began = time.monotonic()
        with pytest.raises(ApiError, match="Check the address in the kubeconfig") as caught:
            client.get(JOBS, "red", "one") if verb == "GET" else client.create(JOBS, "red", ONE)
    assert 0.2 < time.monotonic() - began < 5.0, "also a write, for no server took it"
    assert caught.value.done is False
    assert (caught.value.status, caught.value.retriable) == (0, True)


def test_without_patience_nothing_is_sent_twice(tmp_path: Path) -> None:
    with serving(Lost(), Answer(body=ONE)) as server, pytest.raises(ApiError):
        connect(server, tmp_path, patience=0.0).get(JOBS, "red", "one")
    assert server.verbs == ["GET"]


@pytest.mark.parametrize("body", ["", "<html>busy</html>", '["a"]'])
def test_a_body_that_is_no_object_still_makes_a_sentence(tmp_path: Path, body: str) -> None:
    with (
        serving(Answer(400, body)) as server,
        pytest.raises(ApiError, match=r"refused to read jobs/one in red: .+\.$"),
    ):
        connect(server, tmp_path).get(JOBS, "red", "one")


@pytest.mark.parametrize(
    "text", [None, b"", b"1 0\n", b"a: [", b"kind: Config", b"\xff\xfe", b"clusters: 1\n"]
)
def test_a_file_that_is_not_a_kubeconfig_is_said_to_be_none(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_bytes(text)
    for place in (path, tmp_path):
        with pytest.raises(KubeconfigError, match=r"^No usable kubeconfig.*give --kubeconfig\.$"):
            KubeClient.from_kubeconfig(str(place))


def page_of(*names: str, after: str = "") -> Answer:
    metadata = {"labels": {"labels": "x", "kept": "y"}, "annotations": {"a": "x"}, "managedFields": [{}]}
    spec = {"command": [{"name": "kept", "annotation": "kept"}]}
    items = [{"metadata": {"name": name, **metadata}, "spec": spec} for name in names]
    return Answer(body={"metadata": {"continue": after} if after else {}, "items": items})


def test_a_list_is_read_page_by_page_without_what_nobody_reads(tmp_path: Path) -> None:
    unread = {
        "labels": frozenset({"kept"}),
        "annotations": frozenset[str](),
        "managedFields": frozenset[str](),
    }
    with serving(page_of("one", "two", after="t/k="), page_of("three")) as server:
        client = connect(server, tmp_path)
        first, after = client.find_page(SUBMISSIONS, "red", 2, "a=b", unread=unread)
        last, end = client.find_page(SUBMISSIONS, "red", 2, "a=b", after, unread)
        whole, _ = client.find_page(SUBMISSIONS, "red", 2)
    asked = [dict(parse_qsl(urlsplit(asked.path).query)) for asked in server.asked]
    assert asked[:2] == [{"limit": "2", "labelSelector": "a=b"},
                         {"limit": "2", "labelSelector": "a=b", "continue": "t/k="}]  # fmt: skip
    assert [item["metadata"] for item in (*first, *last)] == [
        {"name": name, "labels": {"kept": "y"}} for name in ("one", "two", "three")
    ]
    assert first[0]["spec"] == {"command": [{"name": "kept", "annotation": "kept"}]}
    assert end == ""
    assert whole[0]["metadata"]["labels"] == {"labels": "x", "kept": "y"}


def test_of_an_answer_that_is_too_long_the_rest_is_not_read(tmp_path: Path) -> None:
    with serving(page_of("one", "two"), page_of("one"), page_of("three")) as server:
        client = connect(server, tmp_path)
        with pytest.raises(
            ApiError, match="more than 200 bytes when asked to read submissions in red"
        ) as caught:
            client.find_page(SUBMISSIONS, "red", 2, bytes_at_most=200)
        assert caught.value.too_long
        assert not caught.value.retriable
        for name, limit in (("one", 10_000), ("three", None)):
            (found,), _ = client.find_page(SUBMISSIONS, "red", 1, bytes_at_most=limit)
            assert found["metadata"]["name"] == name
    assert len(server.asked) == 3


FORGOTTEN = refusal(410, "Expired", "The provided continue parameter is too old")


def test_a_page_of_a_moment_that_the_server_has_forgotten_is_not_asked_for_again(tmp_path: Path) -> None:
    with serving(FORGOTTEN) as server, pytest.raises(ApiError, match="too old") as caught:
        connect(server, tmp_path).find_page(SUBMISSIONS, "red", 2, after="old")
    assert caught.value.gone
    assert len(server.asked) == 1
