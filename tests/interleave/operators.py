"""Operators as the world sees them: processes that ask, hear of events late, and are killed at any await."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_operator.api import Api
from alcove_operator.service import WORKERS, Service, find_place
from alcove_operator.workqueue import WorkQueue
from alcove_store.errors import StoreUnavailableError
from tests.unit.operator_wiring.hackathon import HACK, WATCHED, FixedCredentials, MemoryWatch
from tests.unit.operator_wiring.memory_server import Fate, MemoryServer, copy, refusal
from tests.unit.operator_wiring.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from tests.interleave.world import World

T = TypeVar("T")
_ASKING: ContextVar[Operator | None] = ContextVar("asking", default=None)
"""The operator whose task runs: what it does in a thread is a request of its own to the store."""
GIVES_UP = 5.0
"""Seconds after which an operator no longer waits for an answer that is lost."""


class ShakenLoop(VirtualTimeLoop):
    """What an operator does in a thread takes time there, may fail, and goes on when the operator is killed."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        operator = _ASKING.get()
        if operator is None:
            return super().run_in_executor(executor, func, *args)
        return operator.ask(partial(func, *args), _store_failed)


def _api_failed(fate: Fate) -> Exception:
    if fate.refused:
        return refusal(fate.refused, "as the schedule says")
    return ApiError("The API server did not answer.", done=None)


def _store_failed(_: Fate) -> Exception:
    return StoreUnavailableError("The store did not answer.")


class _ShakenApi(Api):
    def __init__(self, operator: Operator, server: MemoryServer) -> None:
        super().__init__(server)
        self.operator = operator

    async def _send(self, _verb: str, _resource: Resource, call: Callable[..., T], *arguments: Any) -> T:
        return await self.operator.ask(partial(call, *arguments), _api_failed)


class Operator:
    """One process. All that it keeps goes with it; what it has asked for is carried out all the same."""

    def __init__(self, world: World) -> None:
        self.world, self.loop, self.dead = world, world.loop, False
        self.watches: list[MemoryWatch] = []
        self.events: dict[str, asyncio.Queue[tuple[Object, bool]]] = {p: asyncio.Queue() for p in WATCHED}
        api = _ShakenApi(self, world.server)
        self.service = Service(
            cast(Api, api),
            world.settings,
            world.store,
            FixedCredentials(api, world.settings, lambda: world.now),
            lambda: world.now,
            queue=WorkQueue(jitter=world.chance.random, place_of=find_place),
            open_watch=lambda _index, namespaces, _is_team: self._open_watch(namespaces),
        )
        world.server.listeners.append(self._listen)
        token = _ASKING.set(self)
        self.task = asyncio.create_task(self._run())
        _ASKING.reset(token)

    async def _run(self) -> None:
        """Until it is killed, or cannot start; what goes wrong within it otherwise ends the test."""
        tasks: list[asyncio.Task[None]] = []
        try:
            # What cannot start ends, and the Deployment starts another.
            with contextlib.suppress(ApiError, asyncio.CancelledError):
                await self.service.start()
                loops = [self.service.queue.run(self.service.work, WORKERS), self.service.resync_forever()]
                loops += [self._watch(plural, queue) for plural, queue in self.events.items()]
                tasks = [asyncio.create_task(loop) for loop in loops]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            self.dead = True
            self.world.server.listeners.remove(self._listen)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def kill(self) -> None:
        if not self.dead:
            self.dead = True
            self.task.cancel()

    def _step(self) -> None:
        """Between two awaits: here it may be killed. Raises CancelledError once it is dead."""
        if not self.dead and self.world.kills_now():
            self.kill()
        if self.dead:
            raise asyncio.CancelledError

    def ask(self, call: Callable[[], T], failed: Callable[[Fate], Exception]) -> asyncio.Future[T]:
        """One request, which goes its way whatever becomes of the operator."""
        self._step()
        fate, answer = self.world.draw_fate(), self.loop.create_future()
        if fate.refused:
            self.loop.call_later(fate.before, _fail, answer, failed(fate))
            return answer
        if fate.lost:
            self.loop.call_later(GIVES_UP, _fail, answer, failed(fate))
        self.loop.call_later(fate.before, self._carry_out, call, fate, answer)
        return answer

    def _carry_out(self, call: Callable[[], T], fate: Fate, answer: asyncio.Future[T]) -> None:
        before, late = len(self.world.server.created), self.dead or answer.done()
        if fate.repeated:
            with contextlib.suppress(Exception):
                call()
        try:
            result = call()
        except Exception as error:
            self.loop.call_later(fate.after, _fail, answer, error)
            return
        if late:
            self.world.judge.late.update(self.world.server.created[before:])
        if not fate.lost:
            self.loop.call_later(fate.after, self._answer, answer, result)

    def _answer(self, answer: asyncio.Future[T], result: T) -> None:
        if self.world.kills_now():
            self.kill()
        elif not answer.done():
            answer.set_result(result)

    # --- what it hears

    def _open_watch(self, namespaces: frozenset[str]) -> MemoryWatch:
        """It lists everything first."""
        self.watches.append(MemoryWatch(namespaces))
        for raw in self._present("submissions", namespaces):
            self.events["submissions"].put_nowait((raw, False))
        return self.watches[-1]

    def _present(self, plural: str, namespaces: frozenset[str]) -> list[Object]:
        objects = self.world.server.objects.items()
        return [copy(raw) for (of, where, _), raw in objects if of == plural and where in namespaces]

    def _listen(self, plural: str, raw: Object, gone: bool) -> None:
        if plural in self.events and raw["metadata"]["namespace"] in self._watched():
            self.events[plural].put_nowait((raw, gone))

    def _watched(self) -> frozenset[str]:
        return frozenset({HACK}).union(*(watch.namespaces for watch in self.watches if watch.alive))

    async def _watch(self, plural: str, queue: asyncio.Queue[tuple[Object, bool]]) -> None:
        """Events of one kind come in order, late, now and then twice. One that is cut begins again with a list, which
        says nothing of what has gone meanwhile."""
        chance, apply = self.world.chance, self.service.index.apply
        while True:
            event = await queue.get()
            await asyncio.sleep(self.world.draw_delay())
            self._step()
            if self.world.shakes and chance.random() < CUT:
                await asyncio.sleep(self.world.draw_delay())
                while not queue.empty():
                    queue.get_nowait()
                for raw in self._present(plural, self._watched()):
                    apply(WATCHED[plural], raw, False)
                continue
            for _ in range(1 + (self.world.shakes and chance.random() < TWICE)):
                apply(WATCHED[plural], *event)


CUT, TWICE = 0.02, 0.1
"""How likely an event is the last of its watch, or comes twice."""


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def draw_delay(chance: random.Random) -> float:
    """Seconds: mostly short, so that things follow each other closely, and sometimes longer than anybody waits."""
    return chance.uniform(0.0, chance.choice((0.02, 0.02, 0.02, 0.5, 2.0, 20.0)))
