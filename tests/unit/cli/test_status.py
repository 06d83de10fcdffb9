"""`alcove status`, against a real HTTP server that answers as an API server does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alcove_cli.status import describe_status, format_duration, tabulate_submissions
from tests.unit.cli.conftest import Typed
from tests.unit.cli.test_participate import listing, submission
from tests.unit.kube.server import Answer, serving

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
RUNS = (
    {
        "dataset": "digits", "phase": "Done", "cause": "Finished", "alc": 0.81, "snapshots": 7, "attempt": 1,
        "startedAt": "2026-03-02T07:00:00Z", "endedAt": "2026-03-02T07:01:15Z",
    },
    {"dataset": "news", "phase": "Running", "snapshots": 2, "attempt": 2, "startedAt": "2026-03-02T07:59:30Z"},
    {"dataset": "faces", "phase": "Queued"},
)  # fmt: skip


def made(name: str, at: str, phase: str = "Done", *runs: dict[str, Any], **status: Any) -> dict[str, Any]:
    found = submission(name, phase, *runs, **status)
    found["metadata"]["creationTimestamp"] = at
    return found


SCORED = made(
    "one",
    "2026-03-01T08:00:00Z",
    score="0.7123",
    place="2/14",
    progress="2/2",
    cause="Finished",
    counted=True,
)
GOES_ON = made(
    "two", "2026-03-02T06:00:00Z", "Running", *RUNS, progress="1/3", message="digits: it finished."
)
UNSEEN = made("three", "2026-03-02T07:59:20Z", "")


def test_the_newest_come_first_with_what_kubectl_shows() -> None:
    assert list(tabulate_submissions([SCORED, UNSEEN, GOES_ON], NOW, 20, 80)) == [
        "NAME   PHASE     STATE    RUNS   SCORE  RANK  AGE  CAUSE",
        "three  practice  Waiting                      40s",
        "two    practice  Running   1/3                 2h",
        "one    practice  Done      2/2  0.7123  2/14  24h  Finished",
    ]


def test_what_is_left_out_is_said() -> None:
    lines = list(tabulate_submissions([SCORED, UNSEEN, GOES_ON], NOW, 1, 80))
    assert [line.split()[0] for line in lines[1:]] == ["three", "2"]
    assert lines[-1] == "2 older ones are not shown: --limit 3"


def test_a_long_cause_is_cut_to_the_width() -> None:
    long = made("one", "2026-03-01T08:00:00Z", "Rejected", cause="A" * 128)
    lines = list(tabulate_submissions([long], NOW, 20, 80))
    assert max(map(len, lines)) == 80
    assert lines[1].endswith("…")


def test_one_submission_is_shown_with_its_runs_and_the_next_step() -> None:
    assert list(describe_status(GOES_ON, NOW, 100))[2:] == [
        "\ndigits: it finished.",
        "",
        "DATASET  STATE    ATTEMPT  PREDICTIONS     ALC  TOOK  CAUSE",
        "digits   Done           1            7  0.8100   75s  Finished",
        "news     Running        2            2           30s",
        "faces    Queued",
        "\nTo follow it: alcove watch two --team red",
    ]
    assert (
        list(describe_status(SCORED, NOW, 100))[-1].strip()
        == "Why, and what to do: alcove explain one --team red"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-3, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_durations_are_short(seconds: float, told: str) -> None:
    assert format_duration(seconds) == told


def test_it_reads_all_of_the_team_or_one(alcove: Typed, tmp_path: Path) -> None:
    with serving(listing(SCORED, GOES_ON), listing(SCORED), Answer(body=SCORED), listing()) as server:
        asked = ("--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
        assert [line.split()[0] for line in alcove("status", *asked).stdout.splitlines()] == [
            "NAME",
            "two",
            "one",
        ]
        assert alcove("status", "--phase", "final", *asked).stdout == (
            "red has no submission in the phase final. To hand one in: alcove submit FOLDER\n"
        )
        assert json.loads(alcove("status", "one", "--json", *asked).stdout)["status"]["place"] == "2/14"
        assert json.loads(alcove("status", "--json", *asked).stdout) == []
