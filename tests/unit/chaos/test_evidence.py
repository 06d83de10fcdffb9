"""What the collector of ``make chaos`` reads, and that what it cannot read costs a sentence and not the verdict."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import urllib3
from minio import Minio

from bench.chaos.audit import Audit, read_audit
from bench.chaos.evidence import Reader, collect, find_number, read_run
from bench.chaos.faults import Kill
from bench.chaos.history import Evidence, Told
from bench.chaos.judge import find_violations
from bench.chaos.load import Load, write_program
from bench.chaos.shaking import Shaking, find_left
from tests.demo.hackathon import DemoError, Hackathon

AT = "2026-12-01T10:00:00.500000Z"
NOON = 1_796_119_200.5
OPERATOR = "system:serviceaccount:hack:alcove-operator"


def event(verb: str, resource: str, name: str, body: Any = None, **other: Any) -> dict[str, Any]:
    about = {"resource": resource, "namespace": "hack-red", "name": name}
    if resource == "submissions":
        about["subresource"] = "status"
    found = {
        "requestReceivedTimestamp": AT, "user": {"username": OPERATOR}, "verb": verb, "objectRef": about,
        "responseStatus": {"code": 200}, "requestObject": body,
    }  # fmt: skip
    return {**found, **other}


def status(**run: Any) -> dict[str, Any]:
    return {"status": {"runs": [{"dataset": "digits", "attempt": 1, "podUid": "pod-1", **run}]}}


def read(folder: Path, *events: object, since: float = 0.0) -> Audit:
    log = folder / "audit.log"
    log.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in events))
    return read_audit(log, since)


def test_the_audit_log_tells_what_the_operator_wrote_of_each_attempt(tmp_path: Path) -> None:
    again = {"cause": "", "message": "Attempt 2 of 4: The recorder failed.", "attempt": 2, "podUid": ""}
    found = read(
        tmp_path,
        event("create", "jobs", "r-1-digits-1"),
        event("create", "jobs", "s-1-2"),
        event("patch", "submissions", "one", status()),
        event("patch", "submissions", "one", status()),
        event("patch", "submissions", "one", status(cause="RecorderLost"), responseStatus={"code": 409}),
        event("patch", "submissions", "one", status(cause="Signalled"), user={"username": "red"}),
        event("patch", "submissions", "one", status(**again)),
        event("patch", "submissions", "one", {"metadata": {"finalizers": []}}),
        event("patch", "submissions", "two", {"status": {"runs": [{"dataset": "digits", "attempt": 0}]}}),
    )
    assert found.jobs == {"r-1-digits-1": [NOON]}
    assert found.told["hack-red/one"] == [
        Told(NOON, 1, "pod-1", "", "", ""),
        Told(NOON, 2, "", "", "", "Attempt 2 of 4: The recorder failed."),
    ]
    assert not found.told.get("hack-red/two")
    assert not found.unreadable


def test_what_was_before_does_not_count_and_a_damaged_line_is_told(tmp_path: Path) -> None:
    made = event("create", "jobs", "r-1-digits-1")
    assert not read(tmp_path, made, since=NOON + 1).jobs
    found = read(tmp_path, '{"verb": "crea', {"verb": "create"}, made)
    assert list(found.jobs) == ["r-1-digits-1"]
    assert [one.partition(" of")[0] for one in found.unreadable] == ["Line 1", "Line 2"]


def test_a_last_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb": "cre')
    assert read_audit(log, 0.0).unreadable == []


def test_a_submission_without_status_of_a_store_that_is_away_is_told_in_sentences() -> None:
    # Nobody listens on port 1.
    away = urllib3.PoolManager(retries=False, timeout=2)
    store = Minio("127.0.0.1:1", "a", "b", secure=False, region="x", http_client=away)
    meta = {"namespace": "hack-red", "name": "one", "uid": "1", "creationTimestamp": "2026-12-01T10:00:00Z"}
    reader = Reader()
    found = read_run(store, {"metadata": meta}, {"1": NOON}, "solution", Audit(), reader)
    assert found.name == "hack-red/one"
    assert len(reader.unreadable) == 3
    assert all("cannot be read: " in one for one in reader.unreadable)
    said = find_violations(Evidence([found], (), {"r-1": 1}, unreadable=reader.unreadable))
    assert set(reader.unreadable) < set(said)
    assert "hack-red/one has no run: None, None." in said


class Away:
    """An API server that does not answer."""

    name = "hack"

    def kubectl(self, *_: str, **__: object) -> str:
        raise DemoError("The API server does not answer.")

    get = store = kubectl


def test_an_api_server_that_is_away_at_the_end_costs_no_verdict_on_what_is_known(tmp_path: Path) -> None:
    away = cast("Hackathon", Away())
    shaking = Shaking(away, Load(away, 3, ["hack-red/one"]), tmp_path / "log", print)
    shaking.kills.append(Kill(NOON, "store", 1, "s"))
    found = collect(shaking, tmp_path / "audit.log", 0.0)
    assert found.kills == [(NOON, "store", "s")]
    said = find_violations(found)
    assert "hack-red/one was taken, and is not there." in said
    assert len([one for one in said if "cannot be read: " in one]) == 6


@pytest.mark.parametrize("error", [KeyError("runs"), TypeError("None"), ValueError("x"), OSError("gone")])
def test_what_cannot_be_read_is_told(error: Exception) -> None:
    def fail() -> str:
        raise error

    reader = Reader()
    assert reader.read("This", fail) is None
    assert reader.unreadable == [f"This cannot be read: {type(error).__name__}: {error}."]


class Metadata:
    def get_output_size(self) -> int:
        return 4


def test_a_prediction_tells_by_its_noise_which_it_is() -> None:
    there: dict[str, Any] = {}
    exec(write_program(8), there)
    model = there["Model"](Metadata())
    # As if it was late with all of them: it does not wait.
    model.began -= 60
    said = [model.test(range(5)) for _ in range(8)]
    for number, one in enumerate(said, 1):
        content = io.BytesIO()
        np.save(content, one)
        assert find_number(content.getvalue()) == number
    content = io.BytesIO()
    np.save(content, np.zeros((5, 4)))
    with pytest.raises(ValueError, match="no prediction of the program's"):
        find_number(content.getvalue())


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Job   hack       r-0a1b2c3d-digits-1          1234", "Job hack/r-0a1b2c3d-digits-1"),
        ("Secret   hack   anything   1234", "Secret hack/anything"),
        ("Secret   hack       r2-0a1b2c3d-digits-1      <none>", "Secret hack/r2-0a1b2c3d-digits-1"),
        ("Lease   hack-red   s-0a1b2c3d-60b2bbe5-2   <none>", "Lease hack-red/s-0a1b2c3d-60b2bbe5-2"),
        ("ConfigMap   hack-red   chaos-0001   <none>", ""),
        ("Lease   hack   alcove-operator   <none>", ""),
        ("Pod   hack   alcove-store-0   <none>", ""),
    ],
)
def test_what_a_run_or_a_score_had_made_is_known_by_its_label_or_name(line: str, left: str) -> None:
    assert find_left(line) == left
