"""A rush of submissions, judged by what knows nothing of the operator, as in `make scale`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import generate_latest

from alcove_kube.client import Object, Verb
from alcove_kube.resources import DATASETS
from alcove_operator.core import names
from alcove_operator.looks import SHOW_PAUSE
from alcove_operator.service import Service
from bench.scale.judge import find_faults, find_unbalanced
from bench.scale.nodes import JobNote
from tests.unit.operator_core.pods import may_run
from tests.unit.operator_wiring.hackathon import HACK, Hackathon
from tests.unit.operator_wiring.memory_server import _parse
from tests.unit.operator_wiring.virtual_time import run, wait_until

ALIASES = "de"
RUN_SECONDS, PROCESSORS = 5, 2.0
"""How long a run has a place in this model (pods.py), and what it is charged for each second."""


class Rush:
    """Many Submissions at once; what was asked of the server, and what became of Jobs, is written down."""

    def __init__(self, submissions: int, teams: int, capacity: int) -> None:
        self.submissions, self.capacity = submissions, capacity
        self.teams = tuple(f"team-{number:02}" for number in range(teams))
        self.writes: Counter[str] = Counter()
        self.notes: list[JobNote] = []

    def play(self) -> None:
        run(self._play())

    async def _play(self) -> None:
        limits = {"perDay": 1000, "total": 10000, "parallel": 1000}
        self.hackathon = Hackathon(ALIASES, self.teams, capacity=self.capacity, limits=limits)
        self._count_writes()
        self.hackathon.server.listeners.append(self._note)
        await self.hackathon.operate(self._rush)

    def _count_writes(self) -> None:
        ask = self.hackathon.server.request

        def counted(verb: Verb, path: str, *arguments: Any, **named: Any) -> Object:
            plural, _, _, subresource = _parse(path)
            if verb != "GET":
                self.writes[f"{verb} {plural}/{subresource}".rstrip("/")] += 1
            return ask(verb, path, *arguments, **named)

        self.hackathon.server.request = counted  # type: ignore[method-assign]

    def _note(self, plural: str, raw: Object, gone: bool) -> None:
        """A run's program ends with its containers, before its Job is called ended, or is deleted."""
        metadata = raw["metadata"]
        if plural == "jobs":
            name, uid = metadata["name"], metadata["uid"]
        elif plural == "pods" and not gone and not may_run(raw["status"]):
            name, uid = metadata["ownerReferences"][0]["name"], metadata["ownerReferences"][0]["uid"]
        else:
            return
        labels, at = metadata["labels"], self.hackathon.loop.time()
        told = (labels[names.ROLE], labels.get(names.SUBMISSION_UID, ""), labels.get(names.DATASET, ""))
        what = "gone" if gone else "ended" if plural == "pods" else "made"
        if (what, uid) in {(note.what, note.uid) for note in self.notes}:
            return
        self.notes.append(JobNote(what, at, name, uid, *told))  # type: ignore[arg-type]

    async def _rush(self, service: Service) -> None:
        began = self.hackathon.loop.time()
        for number in range(self.submissions):
            self.hackathon.submit(self.teams[number % len(self.teams)], f"s-{number:04}")
        await wait_until("all have ended", self._is_over, 7200)
        self.seconds = self.hackathon.loop.time() - began
        await wait_until(
            "the board has everybody", lambda: len(self.hackathon.board()) == len(self.teams), 60
        )
        self.remembered = {
            "facts": len(service.submissions._facts),
            "grants": len(service.submissions.grants),
            "newcomers": len(service.submissions.newcomers),
            "events": len(service.executor._emitted),
        }

    def _is_over(self) -> bool:
        ended = all(one["status"].get("phase") == "Done" for one in self.list_submissions() if one["status"])
        return ended and all(self.usage().get(team, {}).get("settling") == [] for team in self.teams)

    def list_submissions(self) -> list[Object]:
        objects = self.hackathon.server.objects.items()
        return [{"status": {}, **raw} for (plural, *_), raw in objects if plural == "submissions"]

    def usage(self) -> dict[str, Object]:
        return {team: self.hackathon.usage(team) for team in self.teams}

    def find_faults(self) -> list[str]:
        aliases, found = tuple(ALIASES), self.list_submissions()
        unbalanced = find_unbalanced(found, self.usage(), PROCESSORS)
        return [*find_faults(found, self.notes, aliases, self.capacity), *unbalanced]


@pytest.fixture(scope="module")
def rush() -> Rush:
    """300 Submissions with two runs each, of which 60 fit at a time."""
    rush = Rush(300, teams=10, capacity=60)
    rush.play()
    return rush


def test_no_run_is_lost_or_started_twice_and_usage_is_balanced(rush: Rush) -> None:
    assert rush.find_faults() == []


def test_places_are_never_idle_for_long(rush: Rush) -> None:
    """In particular nobody waits for a resync, which would make good what an event should have brought about."""
    ideal = rush.submissions * len(ALIASES) / rush.capacity * RUN_SECONDS
    assert rush.seconds < 1.3 * ideal


def test_the_writes_of_a_run_have_a_bound(rush: Rush) -> None:
    runs = rush.submissions * len(ALIASES)
    each = {what: count / runs for what, count in rush.writes.items()}
    assert each["POST jobs"] < 1.6
    assert each["PATCH competitions/status"] < 0.1
    assert each["PATCH submissions/status"] < 4.5
    assert sum(each.values()) < 12.3, each


def test_what_has_ended_leaves_nothing_in_memory_but_its_row(rush: Rush) -> None:
    assert rush.remembered == {"facts": 0, "grants": 0, "newcomers": 0, "events": 0}


def test_curves_of_what_ended_before_the_newest_leave_memory() -> None:
    """Also those that never count, which nothing makes due after their end but the resync."""

    async def play() -> None:
        phase = {"name": "practice", "datasets": ["ds-d"], "budget": {"seconds": 30}, "counts": "best"}
        hackathon = Hackathon(phases=[phase])

        def show_curve(name: str) -> None:
            raw = hackathon.server.objects["submissions", "red", name]
            runs = [{**run, "curve": [{"t": 1.0, "score": 0.5}]} for run in raw["status"]["runs"]]
            hackathon.server.put("submissions", "red", {**raw, "status": {**raw["status"], "runs": runs}})

        async def test(service: Service) -> None:
            def has_only(newest: str) -> bool:
                views = service.index.submissions_in("red")
                return {v.name for v in views if any(run.curve for run in v.status.runs)} == {newest}

            for name in ("first", "second", "third"):
                hackathon.submit("red", name)
                await hackathon.ended("red", name)
                show_curve(name)
                hackathon.alc = 0.25
                await wait_until("the newest alone has its curve", partial(has_only, name), 120)

        await hackathon.operate(test)

    run(play())


def test_a_change_of_a_dataset_wakes_only_what_was_run_on_it() -> None:
    """And only where it is another in what scores depend on: a check writes its status, too."""

    async def play() -> None:
        phases = [
            {"name": name, "datasets": [f"ds-{alias}"], "budget": {"seconds": 30}}
            for name, alias in (("practice", "d"), ("other", "e"))
        ]
        hackathon = Hackathon("de", phases=phases)

        async def test(service: Service) -> None:
            for name, phase in (("first", "practice"), ("second", "other")):
                hackathon.submit("red", name, phase=phase)
                await hackathon.ended("red", name)
            submissions = service.submissions

            def quiet() -> set[str]:
                return {v.name for v in service.index.submissions_in("red") if submissions._is_quiet(v)}

            await wait_until("both are left alone", lambda: quiet() == {"first", "second"}, 120)
            raw = hackathon.server.objects["datasets", HACK, "ds-e"]
            service.index.apply(
                DATASETS,
                hackathon.server.put("datasets", HACK, {**raw, "status": {**raw["status"], "bytes": 7}}),
            )
            assert quiet() == {"first", "second"}
            hackathon.change_spec("datasets", HACK, "ds-e", solutionSha256="c" * 64)
            await wait_until("what was run on it is looked at", lambda: quiet() == {"first"}, 120)

        await hackathon.operate(test)

    run(play())


def test_gauges_are_made_now_and_then_and_show_the_last_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        hackathon = Hackathon()
        made: list[float] = []

        async def test(service: Service) -> None:
            show = service.metrics.show

            def noted(*given: Any) -> None:
                made.append(hackathon.loop.time())
                show(*given)

            monkeypatch.setattr(service.metrics, "show", noted)
            for number in range(10):
                hackathon.submit("red", f"s-{number}")
                await hackathon.ended("red", f"s-{number}")
            said = 'alcove_runs_running{competition="cup",phase="practice"} 0.0'
            await wait_until("nothing runs", lambda: said in page(service), SHOW_PAUSE + 1)

        await hackathon.operate(test)
        assert len(made) > 2
        assert min(later - earlier for earlier, later in pairwise(made)) >= SHOW_PAUSE

    run(play())


def page(service: Service) -> str:
    return generate_latest(service.metrics.registry).decode()
