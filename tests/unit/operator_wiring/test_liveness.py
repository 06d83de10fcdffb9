"""The liveness probe: who gets on is alive, however busy."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

from alcove_operator.liveness import STANDSTILL_SECONDS, STUCK_SECONDS, Liveness, answer_probes
from alcove_operator.workqueue import WorkQueue


def ask(port: int, path: str = "/healthz") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_turns_that_end_are_progress_and_turns_that_wait_are_not() -> None:
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    for turns in range(10):
        now[0] += STANDSTILL_SECONDS
        liveness.beat(turns, waiting=1000)
        assert liveness.find_problem() == "", "the queue is long, and gets shorter"
    for _ in range(3):
        now[0] += STANDSTILL_SECONDS
        liveness.beat(9, waiting=0)
        assert liveness.find_problem() == "", "nothing is to be done"
    for _ in range(int(STUCK_SECONDS / STANDSTILL_SECONDS) + 1):
        now[0] += STANDSTILL_SECONDS
        liveness.beat(9, waiting=1)
    assert "none has ended for 180 s" in liveness.find_problem()


def test_a_long_turn_on_what_is_due_again_keeps_nobody_waiting() -> None:
    """Such as a look at all that waits for a reveal, which asks the store about each."""
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0])

    def beat(seconds: float) -> str:
        for _ in range(int(seconds)):
            now[0] += 1.0
            liveness.beat(queue.turns, queue.depth)
        return liveness.find_problem()

    queue.add("board")
    assert queue.take() == "board"
    queue.add("board")
    assert beat(STUCK_SECONDS + 60) == ""
    queue.add("other")
    assert "none has ended" in beat(STUCK_SECONDS + 60)


def test_a_loop_that_stands_still_is_told() -> None:
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    now[0] = STANDSTILL_SECONDS + 1
    assert "stood still for 61 s" in liveness.find_problem()


def test_it_answers_while_the_event_loop_is_busy() -> None:
    async def ask_from_the_loop() -> tuple[int, str]:
        with answer_probes(Liveness(), 0) as port:
            # Blocks the loop until the answer is there.
            return ask(port)

    assert asyncio.run(ask_from_the_loop()) == (200, "It gets on.")


def test_a_problem_is_503_and_says_what() -> None:
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    with answer_probes(liveness, 0) as port:
        assert ask(port) == (200, "It gets on.")
        now[0] = STANDSTILL_SECONDS + 1
        status, said = ask(port)
        assert (status, said) == (503, "The event loop has stood still for 61 s.")
        assert ask(port, "/other")[0] == 404
