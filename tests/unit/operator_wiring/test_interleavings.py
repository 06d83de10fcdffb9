"""A minute's worth of what ``make interleave`` plays all night; and faults that are put in are found."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alcove_kube.resources import SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.core import capacity, run_ends, runs, usage
from alcove_operator.core.model import LiveList, SubmissionView
from alcove_operator.executor import Executor
from alcove_operator.service import Service
from alcove_operator.workqueue import WorkQueue
from tests.interleave.operators import Operator
from tests.interleave.world import World, play_many

COUNT = 100
SEEDS = range(200)
"""In which each of the faults below is found."""


def test_no_order_of_what_happens_breaks_a_promise() -> None:
    command = [sys.executable, "-m", "tests.interleave", "--count", str(COUNT), "--jobs", "1"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.startswith(f"{COUNT} interleavings"), told.stdout


def _unfenced_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Submission that is written whatever became of the one that was read; and always two operators that write it,
    or it takes hundreds of interleavings until one of them has read an old one."""
    patch = Api.patch

    async def unfenced(self: Api, resource: Any, namespace: str, name: str, body: Any, sub: Any = "") -> Any:
        if resource is SUBMISSIONS:
            body["metadata"].pop("resourceVersion", None)
        return await patch(self, resource, namespace, name, body, sub)

    async def confuse(self: World) -> None:
        self.judge.two_operators = True
        while self.shakes:
            second = Operator(self)
            self.operators.append(second)
            await asyncio.wait([second.task], timeout=20.0)
            second.kill()

    monkeypatch.setattr(Api, "patch", unfenced)
    monkeypatch.setattr(World, "_confuse_leases", confuse)


def _cached_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken for a list of the cluster is what the index has."""

    async def from_index(self: Executor, submission_uid: str, view: SubmissionView) -> LiveList:
        jobs, pods = self.index.jobs_of(submission_uid), self.index.pods_of(submission_uid)
        found = frozenset(job.name for job in jobs), {pod.job: pod for pod in pods}
        return LiveList(*found, self.clock(), view.status.runs)

    monkeypatch.setattr(Executor, "_list", from_index)


def _no_wait_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt starts once an end is decided, whatever the pod does."""
    monkeypatch.setattr(runs, "_is_over", lambda *_: True)


def _places_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that somebody holds is given to the next."""
    grant = capacity.grant_places
    monkeypatch.setattr(capacity, "grant_places", lambda waiting, _held, *rest: grant(waiting, {}, *rest))


def _double_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting twice what is counted: a crash between the count and the status costs the team a submission."""
    count = usage.count_submission

    def again(used: Any, spec: Any, team: str, phase: str, uid: str, now: Any) -> Any:
        still_settling = tuple(u for u in used.settling if u != uid)
        return count(used.replace(settling=still_settling), spec, team, phase, uid, now)

    monkeypatch.setattr(usage, "count_submission", again)


def _settled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settlement whose answer was lost is added once more."""
    settle = usage.settle_submission

    def again(used: Any, phase: str, uid: str, *arguments: Any) -> Any:
        if uid not in used.settling:
            used = used.replace(settling=(*used.settling, uid))
        return settle(used, phase, uid, *arguments)

    monkeypatch.setattr(usage, "settle_submission", again)


def _lost_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again, and what becomes due while its turn runs is forgotten."""
    monkeypatch.setattr(Service, "resync", lambda *_, **__: asyncio.sleep(0))

    def done(self: WorkQueue[Any], key: Any, *_: bool) -> None:
        self._running.discard(key)
        self._due.pop(key, None)

    monkeypatch.setattr(WorkQueue, "done", done)


def _early_death(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not answer is taken for one on which nothing runs."""
    dead_at = run_ends.dead_at

    def at_once(pod: Any, settings: Any) -> Any:
        return dead_at(replace(pod, active_deadline_seconds=0), settings)

    monkeypatch.setattr(run_ends, "dead_at", at_once)
    monkeypatch.setattr(runs, "dead_at", at_once)


@pytest.mark.parametrize(
    "put_in",
    [
        _unfenced_writes, _cached_lists, _no_wait_for_the_dead, _places_given_again, _double_counts, _settled_twice,
        _lost_events, _early_death,
    ],
)  # fmt: skip
def test_a_fault_that_is_put_in_is_found(
    put_in: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch)
    _, found = play_many(SEEDS)
    assert found
