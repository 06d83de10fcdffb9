"""The log of the faults says which came about, and which were never ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from bench.chaos import clock_faults
from bench.chaos.faults import Drawn
from bench.chaos.load import Load
from bench.chaos.shaking import Awaited, Shaking
from tests.demo.hackathon import DemoError, Hackathon


class Stubborn:
    """A fault that cannot be brought about, and one that cannot be ended."""

    kinds = ("unheard", "endless")

    def apply(self, kind: str) -> None:
        if kind == "unheard":
            raise DemoError("Nobody answers.")

    def undo(self, kind: str) -> None:
        if kind == "endless":
            raise DemoError("Nobody answers.")


def test_a_fault_is_logged_as_what_became_of_it(tmp_path: Path) -> None:
    said: list[str] = []
    # Neither the cluster nor the load is asked for anything.
    shaking = Shaking(
        cast("Hackathon", None), cast("Load", None), tmp_path / "log", said.append, [Stubborn()], settle=0
    )
    for kind in Stubborn.kinds:
        shaking._apply(Drawn(0, kind, 5))
    shaking._undo_due(float("inf"))
    shaking._note_unended()
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(one["kind"], one["applied"], one["until"] is None) for one in logged] == [
        ("unheard", False, False),
        ("endless", True, True),
    ]
    assert any("endless could not be ended" in one for one in said)


class Asked:
    """A cluster that answers, or is away, and remembers what it was asked."""

    def __init__(self, answers: Any) -> None:
        self.answers, self.teams = answers, ("red", "blue")
        self.name = "hack"

    def team_namespace(self, team: str) -> str:
        return f"hack-{team}"

    def kubectl(self, *_: str, **__: object) -> str:
        if isinstance(self.answers, DemoError):
            raise self.answers
        return json.dumps(self.answers)


def test_what_could_not_be_handed_in_is_counted_and_not_taken_for_handed_in() -> None:
    load = Load(cast("Hackathon", Asked(DemoError("The API server is away."))), at_once=3)
    load.top_up([])
    load.top_up([])
    assert (load.refused, load.last_refusal, load.acknowledged) == (2, "The API server is away.", [])


def test_a_lease_without_a_holder_says_of_nobody_that_it_works(tmp_path: Path) -> None:
    leases = {"items": [{"kind": "Lease", "metadata": {"name": "alcove-operator"}, "spec": {}}]}
    shaking = Shaking(cast("Hackathon", Asked(leases)), cast("Load", None), tmp_path / "log", print)
    shaking._awaited.append(Awaited("operator", 0.0))
    shaking._look_at_leases()
    assert shaking.recoveries == {}


def test_a_clock_that_nobody_has_is_not_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(Asked):
        cluster = type("Cluster", (), {"name": "none"})

    monkeypatch.setattr("bench.chaos.faults.list_processes", lambda _: [])
    with pytest.raises(DemoError, match="no recorder"):
        clock_faults.ClockFaults(cast("Hackathon", Named({}))).apply("recorder-clock-ahead")


def test_what_is_under_way_is_ended_when_it_is_cut_short(tmp_path: Path) -> None:
    shaking = Shaking(
        cast("Hackathon", None), cast("Load", None), tmp_path / "log", print, [Stubborn()], settle=0
    )
    for kind in Stubborn.kinds:
        shaking._apply(Drawn(0, kind, 500))
    shaking.cut_short()
    assert [(one.kind, one.until is None) for one in shaking.lasted] == [
        ("unheard", False),
        ("endless", True),
    ]
