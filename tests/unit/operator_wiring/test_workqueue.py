"""The work queue: nothing lost, nothing beside itself, nothing before its time."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alcove_operator.workqueue import Backoff, WorkQueue

KEYS = st.sampled_from(["red-1", "red-2", "red-3", "blue-1", "blue-2", "grey-1", "first-1", "first-2"])


def group_of(key: str) -> str:
    return key.partition("-")[0]


def place_of(key: str) -> tuple[int, str]:
    return (0 if group_of(key) == "first" else 1, group_of(key))


class QueueMachine(RuleBasedStateMachine):
    """Drives the queue beside a model: for each key the earliest time that is still owed, and who runs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue: WorkQueue[str] = WorkQueue(Backoff(1.0, 8.0), lambda: self.now, lambda: 0.5, place_of)
        self.owed: dict[str, float] = {}
        self.running: set[str] = set()
        self.failures: Counter[str] = Counter()
        self.passed_by: defaultdict[str, set[str]] = defaultdict(set)
        """By group that waits: the groups that have gone since it has waited."""

    def _owe(self, key: str, at: float) -> None:
        self.owed[key] = min(at, self.owed.get(key, at))

    @rule(key=KEYS, after=st.sampled_from([0.0, 0.5, 3.0, 30.0]))
    def add(self, key: str, after: float) -> None:
        self.queue.add(key, after)
        self._owe(key, self.now + after)

    @rule(seconds=st.sampled_from([0.25, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        ready = {k: at for k, at in self.owed.items() if at <= self.now and k not in self.running}
        taken = self.queue.take()
        if not ready:
            assert taken is None
            return
        assert taken in ready
        rank, group = place_of(taken)
        assert rank == min(place_of(key)[0] for key in ready)
        mine = [at for key, at in ready.items() if group_of(key) == group]
        assert ready[taken] == min(mine), "the key of its group that has waited longest goes first"
        self.passed_by.pop(group, None)
        for other in {group_of(key) for key in ready if place_of(key)[0] == rank} - {group}:
            assert group not in self.passed_by[other], "a group goes twice while another waits"
            self.passed_by[other].add(group)
        self.running.add(taken)
        del self.owed[taken]

    @precondition(lambda self: self.running)
    @rule(failed=st.booleans(), data=st.data())
    def done(self, failed: bool, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        self.queue.done(key, failed)
        if failed:
            self.failures[key] += 1
            self._owe(key, self.now + Backoff(1.0, 8.0).delay(self.failures[key], lambda: 0.5))
        else:
            self.failures[key] = 0

    @invariant()
    def figures_agree(self) -> None:
        waiting = [at for at in self.owed.values() if at <= self.now]
        idle = [key for key, at in self.owed.items() if at <= self.now and key not in self.running]
        assert self.queue.depth == len(idle)
        assert self.queue.age == max((self.now - at for at in waiting), default=0.0)
        free = [at for k, at in self.owed.items() if k not in self.running]
        assert self.queue.next_due() == (max(0.0, min(free) - self.now) if free else None)


TestQueueMachine = QueueMachine.TestCase


def test_a_key_that_was_due_while_it_ran_has_waited_since_then() -> None:
    now = [0.0]
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0])
    queue.add("first")
    queue.add("later", 30.0)
    assert queue.take() == "first"
    now[0] = 20.0
    queue.add("first")
    now[0] = 30.0
    queue.add("other", -1.0)
    assert queue.take() == "later"
    queue.done("first")
    assert queue.take() == "first"
    assert queue.take() == "other"


@given(failures=st.integers(1, 1000), jitter=st.floats(0.0, 0.999))
def test_backoff_stays_between_half_and_all_of_the_capped_power(failures: int, jitter: float) -> None:
    delay = Backoff(0.2, 60.0).delay(failures, lambda: jitter)
    full = min(60.0, 0.2 * 2.0 ** min(failures - 1, 30))
    assert full / 2 <= delay <= full


async def _run_until(queue: WorkQueue[str], work: object, finished: asyncio.Event) -> None:
    task = asyncio.create_task(queue.run(work))  # type: ignore[arg-type]
    try:
        await asyncio.wait_for(finished.wait(), 10)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_key_never_runs_beside_itself_and_failures_are_repeated() -> None:
    runs: Counter[str] = Counter()

    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Backoff(0.001, 0.002))
        finished = asyncio.Event()
        inside: set[str] = set()

        async def work(key: str) -> None:
            assert key not in inside
            inside.add(key)
            runs[key] += 1
            queue.add(key) if runs[key] == 1 else None
            await asyncio.sleep(0)
            inside.remove(key)
            if key == "a" and runs[key] < 5:
                raise RuntimeError("again")
            if runs["a"] == 5 and runs["b"] == 2:
                finished.set()

        for key in "abab":
            queue.add(key)
        await _run_until(queue, work, finished)
        assert queue.failures("a") == 0

    asyncio.run(scenario())
    assert runs == {"a": 5, "b": 2}


def test_turns_that_never_wait_let_others_on_the_event_loop_go_on() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        finished = asyncio.Event()
        turns = 0

        async def work(key: str) -> None:
            nonlocal turns
            turns += 1
            queue.add(key) if turns < 1000 else None

        async def other() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            finished.set()

        for key in "abcdef":
            queue.add(key)
        waiting = asyncio.create_task(other())
        await _run_until(queue, work, finished)
        await waiting
        assert 0 < turns < 50, "the others began when there was nothing left to do"

    asyncio.run(scenario())


def test_workers_sleep_until_a_delayed_key_is_due() -> None:
    async def scenario() -> float:
        queue: WorkQueue[str] = WorkQueue()
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def work(_key: str) -> None:
            finished.set()

        queue.add("a", after=60.0)
        queue.add("a", after=0.05)
        await _run_until(queue, work, finished)
        return loop.time() - began

    assert 0.05 <= asyncio.run(scenario()) < 5.0
