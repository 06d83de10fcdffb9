"""`alcove overfitting`: what was seen against what counts, from Submissions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alcove_cli.errors import CommandError
from alcove_cli.overfitting import Comparison, describe_report, read_comparison
from alcove_kube.client import Object
from alcove_scorer.overfitting import compare_scores
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.memory_server import MemoryServer

NOW = datetime.now(UTC)


def server(scoring: Object | None = None, feedback: Object | None = None, **final: Any) -> MemoryServer:
    found = MemoryServer(lambda: NOW)
    budget = {"seconds": 30}
    phases = [
        {"name": "practice", "datasets": ["a"], "budget": budget, "feedback": feedback or {"testFraction": 0.3}},
        {"name": "final", "datasets": ["b"], "budget": budget, "from": {"phase": "practice"},
         "revealsAt": stamp(NOW - timedelta(hours=1)), **final},
    ]  # fmt: skip
    spec = {"phases": phases, "scoring": scoring or {}}
    found.put("competitions", "hack", {"metadata": {"name": "cup"}, "spec": spec})
    return found


def submission(
    kube: MemoryServer,
    team: str,
    name: str,
    alc: float | None,
    minute: int,
    curve: list[Object] | None = None,
) -> None:
    put(kube, team, name, "practice", alc, minute, curve=curve)


def rerun(kube: MemoryServer, team: str, of: str, alc: float | None, minute: int = 0) -> None:
    original = {"team": team, "submission": of, "uid": "u"}
    put(kube, "hack", f"final.{team}.{minute}", "final", alc, minute, original)


def put(
    kube: MemoryServer, namespace: str, name: str, phase: str, alc: float | None, minute: int,
    original: Object | None = None, curve: list[Object] | None = None,
) -> None:  # fmt: skip
    spec: Object = {"competition": {"namespace": "hack", "name": "cup"}, "phase": phase}
    spec["code"] = {"bundle": {"sha256": "c" * 64}}
    if original:
        spec["rerunOf"] = original
    at = stamp(NOW + timedelta(minutes=minute))
    runs = [{"dataset": "a", "phase": "Done", "attempt": 1, "alc": alc, "curve": curve or []}]
    status = {"phase": "Done", "admittedAt": at, "runs": runs}
    metadata = {"name": name, "creationTimestamp": at}
    kube.put("submissions", namespace, {"metadata": metadata, "spec": spec, "status": status})


def read(kube: MemoryServer, phase: str = "final") -> Comparison:
    return read_comparison(kube, "hack", "cup", phase)


def test_each_teams_counted_submission_is_compared_with_its_newest_rerun() -> None:
    kube = server()
    for minute, (name, alc) in enumerate([("one", 0.6), ("two", 0.8), ("three", 0.7)]):
        submission(kube, "red", name, alc, minute)
    submission(kube, "blue", "only", 0.5, 9)
    submission(kube, "green", "lost", 0.5, 9)
    rerun(kube, "red", "two", 0.1, minute=1)
    rerun(kube, "red", "two", 0.55, minute=2)
    rerun(kube, "blue", "only", 0.5)
    rerun(kube, "green", "lost", None)
    rerun(kube, "gone", "deleted", 0.4)
    found = read(kube)
    told = {(p.team, p.submission): (p.number, p.seen, p.counting) for p in found.pairs}
    assert told == {("red", "two"): (2, 0.8, 0.55), ("blue", "only"): (1, 0.5, 0.5)}
    assert found.left_out == 2
    lines = list(describe_report(found, compare_scores(found.pairs)))
    assert lines[0] == "2 submissions: the phase practice against the phase final."
    assert any(line.startswith("red ") and line.endswith("+0.2500") for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_rows_that_are_shown_are_compared_with_those_that_rank_by_every_submission() -> None:
    kube = server()
    flat: list[Object] = [{"t": 0.001, "score": 0.9}]
    submission(kube, "red", "one", 0.7, 0, flat)
    submission(kube, "red", "two", 0.8, 1, flat)
    submission(kube, "blue", "no-points", 0.8, 1)
    found = read(kube, "practice")
    assert [(p.submission, p.number, p.counting) for p in found.pairs] == [("one", 1, 0.7), ("two", 2, 0.8)]
    assert all(p.seen == pytest.approx(0.9, abs=0.001) for p in found.pairs)
    assert (found.seen, found.left_out) == ("the 30 % of rows that are shown", 1)


def test_what_cannot_be_compared_is_refused_with_a_sentence() -> None:
    with pytest.raises(CommandError, match=r"has no phase finale\. Its phases: practice, final"):
        read(server(), "finale")
    with pytest.raises(CommandError, match=r"The phase final is revealed at .*: ask again then"):
        read(server(revealsAt=stamp(NOW + timedelta(days=1))))
    with pytest.raises(CommandError, match="ranks by the rows that it shows"):
        read(server({"rankedRows": "all"}), "practice")
    with pytest.raises(CommandError, match="shows no points"):
        read(server(feedback={"mode": "ladder"}), "practice")
