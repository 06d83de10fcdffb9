"""`alcove watch`: what it does when the API server refuses or does not answer, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alcove_cli import watch
from alcove_cli.watch import follow_submissions, render_view
from alcove_kube.client import KubeClient
from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, Lost, refusal, serving

# Longer than the client's patience: the failure gets through to the watch at once.
AWAY = refusal(429, "TooManyRequests", "busy", Retry_After="3600")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)


def one(phase: str, **status: Any) -> Answer:
    spec = {"competition": {"namespace": "hack", "name": "hack"}, "phase": "practice", "code": {}}
    meta = {"namespace": "red", "name": "one"}
    return Answer(body={"metadata": meta, "spec": spec, "status": {"phase": phase, **status}})


def test_an_api_server_that_is_away_is_waited_for_and_said(tmp_path: Path) -> None:
    text = io.StringIO()
    with serving(AWAY, one("Running"), Lost(), Lost(), AWAY, one("Done")) as server:
        kube = KubeClient.from_kubeconfig(server.kubeconfig(tmp_path))
        kube.patience = 0.0
        (found,) = follow_submissions(kube, [("red", "one")], Console(file=text, width=100), 60.0)
    assert found["status"]["phase"] == "Done"
    said = [line.split(" s  ", 1)[1] for line in text.getvalue().splitlines()]
    assert [s.split(" (")[0].split(":")[0] for s in said] == [
        "The API server refused to read submissions/one in red",
        "The API server answers again.",
        "red/one",
        "The API server gave no answer when asked to read submissions/one in red",
        "The API server answers again.",
        "red/one",
    ]
    assert said[0].endswith("busy. What is shown may be old; the submissions go on. Still trying.")


def test_one_failure_is_not_wrong_use(tmp_path: Path, alcove: Typed) -> None:
    with serving(one("Running"), AWAY, one("Done")) as server:
        done = alcove("watch", "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Still trying" in done.stdout


def test_the_end_says_scores_and_the_rank_that_follows_them(tmp_path: Path, alcove: Typed) -> None:
    run = {"dataset": "digits", "phase": "Done", "alc": 0.81, "snapshots": 3}
    scored, ranked = one("Done", runs=[run]), one("Done", runs=[run], rank=2, place="2/9")
    with serving(one("Running"), scored, scored, ranked) as server:
        done = alcove("watch", "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "digits: ALC 0.81, 3 predictions." in done.stdout
    assert done.stdout.endswith("Your team's rank is 2 of 9, by this submission.\n")


@pytest.mark.parametrize(
    ("steps", "status", "said"),
    [
        ([refusal(404, "NotFound", 'submissions "one" not found')], 2, "There is no submissions/one in"),
        ([refusal(403, "Forbidden", "you may not")], 2, "you may not"),
        (
            [one("Running"), refusal(404, "NotFound", '"one" not found')],
            1,
            "was deleted while it was watched",
        ),
        ([one("Running"), refusal(401, "Unauthorized", "Unauthorized")], 1, "can no longer be read"),
        ([one("Rejected", cause="QuotaExceeded")], 1, ""),
        ([one("Failed")], 1, ""),
    ],
)
def test_the_end_says_why(tmp_path: Path, alcove: Typed, steps: list[Answer], status: int, said: str) -> None:
    with serving(*steps) as server:
        done = alcove("watch", "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == status
    assert said in done.stderr
    assert done.stderr.count("\n") == bool(said)


def test_the_time_is_over_also_while_nothing_answers(tmp_path: Path, alcove: Typed) -> None:
    with serving(AWAY) as server:
        arguments = ("--timeout", "0.1", "--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("watch", "one", "--team", "red", *arguments)
    assert done.returncode == 1
    assert "after 0.1 s. They go on: watch them again." in done.stderr


def test_a_table_keeps_what_was_seen_while_nothing_answers(tmp_path: Path) -> None:
    text = io.StringIO()
    with serving(one("Running"), AWAY, AWAY, one("Done")) as server:
        kube = KubeClient.from_kubeconfig(server.kubeconfig(tmp_path))
        console = Console(file=text, width=100, force_terminal=True)
        follow_submissions(kube, [("red", "one")], console, 60.0)
    assert "one" in text.getvalue()
    assert "Done" in text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_that_matters_is_cut_in_a_terminal_of_usual_width(width: int) -> None:
    aliases = ("characters", "moving-digits", "docstrings")
    causes = ("DeadlineReached", "", "RecorderUnreachable")
    runs = [
        {"dataset": alias, "phase": "Running", "alc": 0.8123, "snapshots": 1000, "cause": cause}
        for alias, cause in zip(aliases, causes, strict=True)
    ]
    meta = {"namespace": "hackathon-red", "name": "sklearn-with-a-name-1130-031245"}
    text = io.StringIO()
    found = [{"metadata": meta, "status": {"phase": "Running", "runs": runs}}]
    Console(file=text, width=width).print(render_view(found, 12.0, "The API server gave no answer."))
    said = text.getvalue()
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said
    for word in (
        *aliases,
        *causes,
        "0.8123",
        "1000",
        "hackathon-red/sklearn-with-a-name-1130-031245",
        "no answer",
    ):
        assert word in said
