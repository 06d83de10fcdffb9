"""What `kubectl get` prints: within 80 columns of a terminal; of Leaderboards with -o wide too, of others 160."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_kube.resources import COMPETITIONS, DATASETS, LEADERBOARDS, SUBMISSIONS, Resource
from alcove_operator.core import status as statuses
from alcove_operator.submissions import whole_status
from alcove_scorer.board_status import LEADERS_CELLS
from tests.integration.operator_wiring.world import NAMESPACE, World, wait_for
from tests.unit.operator_core.cluster import START

pytestmark = pytest.mark.integration
UNWATCHED = "default"
"""A namespace that the operator leaves alone, so that what is shown stays as it is written here."""
SPEC = {
    "competition": {"namespace": "elsewhere", "name": "none"},
    "phase": "practice",
    "code": {"bundle": {"sha256": "a" * 64}},
}


def kubectl(world: World, *arguments: str) -> str:
    found = [str(world.cluster.kubectl), "--kubeconfig", str(world.cluster.kubeconfig), *arguments]
    return subprocess.run(found, capture_output=True, text=True, check=True).stdout


def run(dataset: str, **fields: Any) -> RunStatus:
    return RunStatus(dataset=dataset, attempt=1, **fields)


def done(dataset: str, alc: float | None, cause: str = "Finished", message: str = "") -> RunStatus:
    at = {"started_at": START, "ended_at": START + timedelta(seconds=31)}
    return run(
        dataset, phase="Done", alc=alc, cause=cause, message=message, snapshots=14, head="f" * 64, **at
    )


QUEUED = "Place 3 in the queue: all 4 places are taken; the team that has used the least compute goes next."
KILLED = "The run used more memory than its limit of 8Gi. What it had saved counts. Last output:\nepoch 3"
SEVERAL = tuple(done(f"dataset-{i}", 0.71234 + i / 100) for i in range(5))
STATUSES = {
    "sklearn": SubmissionStatus(
        phase="Done", runs=(*SEVERAL, done("news", None, "OutOfMemory", KILLED)), place="12/140", rank=12
    ),
    "fast": SubmissionStatus(phase="Done", runs=(done("digits", 0.8),), place="2/140", rank=2),
    "second-try": SubmissionStatus(phase="Running", runs=(run("digits", phase="Running"),)),
    "waits": SubmissionStatus(
        phase="Queued",
        runs=(RunStatus(dataset="digits", message=QUEUED),),
    ),
}  # fmt: skip


def show(world: World, name: str, status: SubmissionStatus) -> None:
    world.create(SUBMISSIONS, {"kind": "Submission", "metadata": {"name": name}, "spec": SPEC}, UNWATCHED)
    shown = statuses.write_tables(statuses.summarize(status, blind=False), 4)
    patch(world, SUBMISSIONS, name, UNWATCHED, whole_status(shown))


def patch(world: World, resource: Resource, name: str, namespace: str, status: Any) -> None:
    path = f"{resource.path(namespace, name)}/status"
    world.ask("PATCH", path, {"status": status}, "application/merge-patch+json")


def test_submissions_fit_a_terminal(world: World) -> None:
    for name, status in STATUSES.items():
        show(world, name, status)
    try:
        table = kubectl(world, "get", "submissions", *STATUSES, "-n", UNWATCHED).splitlines()
        wide = kubectl(world, "get", "submissions", *STATUSES, "-n", UNWATCHED, "-o", "wide").splitlines()
        told = kubectl(world, "describe", "submission", "sklearn", "-n", UNWATCHED)
    finally:
        for name in STATUSES:
            world.delete(SUBMISSIONS, name, UNWATCHED)
    print("\n".join([*table, *wide, told]))
    assert table[0].split() == ["NAME", "PHASE", "STATE", "RUNS", "SCORE", "RANK", "AGE", "CAUSE"]
    assert max(map(len, table)) <= 80
    assert max(map(len, wide)) <= 160
    rows = {line.split()[0]: line for line in table}
    assert "practice   Done      6/6    0.7323   12/140" in rows["sklearn"]
    assert "Running" not in rows["waits"]
    assert rows["waits"].split()[-1] == "3"
    assert "Overview:" in told
    assert "dataset-0: Done, ALC 0.7123, 14 predictions, 31 s, Finished" in told


def test_a_competition_names_its_phases(world: World) -> None:
    phases = [{"name": f"phase-{i}", "datasets": ["none"], "budget": {"seconds": 5}} for i in range(6)]
    phases[0]["closesAt"] = "2026-01-01T00:00:00Z"
    world.create(
        COMPETITIONS, {"kind": "Competition", "metadata": {"name": "phased"}, "spec": {"phases": phases}}
    )
    try:
        wait_for(
            "its phases",
            lambda: ((world.find(COMPETITIONS, "phased") or {}).get("status") or {}).get("summary"),
        )
        table = kubectl(world, "get", "competition", "phased", "-n", NAMESPACE).splitlines()
    finally:
        world.delete(COMPETITIONS, "phased")
    print("\n".join(table))
    assert "phase-1, phase-2 and 4 more" in table[1]
    assert max(map(len, table)) <= 80


def test_a_leaderboard_shows_who_leads_and_with_wide_when_its_phase_closes(world: World) -> None:
    name, closes = "feedback-tabular", "28 Dec 14:00 UTC"
    spec = {"competition": "none", "phase": name, "rules": {"budgetSeconds": 1200, "closes": closes}}
    world.create(LEADERBOARDS, {"kind": "Leaderboard", "metadata": {"name": name}, "spec": spec}, UNWATCHED)
    try:
        leaders = "1= red, 1= blue, 3 green"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        said = {"teams": 2000, "leaders": leaders, "updatedAt": now}
        patch(world, LEADERBOARDS, name, UNWATCHED, said)
        table = kubectl(world, "get", "lb", name, "-n", UNWATCHED).splitlines()
        wide = kubectl(world, "get", "lb", name, "-n", UNWATCHED, "-o", "wide").splitlines()
    finally:
        world.delete(LEADERBOARDS, name, UNWATCHED)
    print("\n".join([*table, *wide]))
    assert leaders in table[1]
    assert max(map(len, table)) <= 80
    assert len(leaders) == LEADERS_CELLS
    assert wide[0].split() == ["NAME", "TEAMS", "LEADERS", "UPDATED", "CLOSES"]
    assert wide[1].endswith(closes)
    assert max(map(len, wide)) <= 80


def test_a_dataset_says_in_a_word_whether_it_can_be_used(world: World) -> None:
    spec = {"alias": "handwriting", "dataSha256": "a" * 64, "solutionSha256": "b" * 64, "domain": "tabular"}
    world.create(DATASETS, {"kind": "Dataset", "metadata": {"name": "handwriting"}, "spec": spec}, UNWATCHED)
    message = "train/sample-0 is cut: 12 bytes are missing. Push the dataset again."
    ready = {"type": "Ready", "status": "False", "reason": "CheckFailed", "message": message}
    status = {"conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}], "nTrain": 1797}
    try:
        patch(world, DATASETS, "handwriting", UNWATCHED, status)
        table = kubectl(world, "get", "datasets", "-n", UNWATCHED).splitlines()
        wide = kubectl(world, "get", "datasets", "-n", UNWATCHED, "-o", "wide").splitlines()
    finally:
        world.delete(DATASETS, "handwriting", UNWATCHED)
    print("\n".join([*table, *wide]))
    # The age is left out: a second may pass before the table is asked for.
    *row, _age, reason = table[1].split()
    assert [*row, reason] == ["handwriting", "False", "handwriting", "1797", "CheckFailed"]
    assert max(map(len, table)) <= 80
    assert wide[1].endswith(message)
    assert len(wide[1].removesuffix(message)) <= 160
