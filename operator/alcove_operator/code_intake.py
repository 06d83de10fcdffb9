"""Takes code in beside the work queue: a large bundle takes a while, and nothing else waits for it.

A refused bundle uses up no quota, so a team could keep every worker busy with them; here it has one turn at a time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from alcove_operator.core.actions import AdmitCode
from alcove_operator.core.model import CodeFact, SubmissionView

ADMISSIONS_AT_ONCE = 3
"""Of all teams together; fewer than the event loop has threads, which requests to the API server need too."""


@dataclass
class Admissions:
    take: Callable[[SubmissionView, AdmitCode], Awaitable[CodeFact]]
    """Copies the code of a Submission."""
    due: Callable[[SubmissionView], None]
    """Called when there is an answer to ask for."""
    _under_way: dict[str, asyncio.Task[CodeFact]] = field(default_factory=dict)
    _teams: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ADMISSIONS_AT_ONCE))

    def ask(self, view: SubmissionView, action: AdmitCode) -> CodeFact | None:
        """The answer, once; None while there is none yet. Raises what ``take`` raised; asked again, it starts again."""
        task = self._under_way.get(view.uid)
        if task is None:
            task = asyncio.create_task(self._turn(view, action))
            task.add_done_callback(partial(self._ended, view))
            self._under_way[view.uid] = task
        if not task.done():
            return None
        del self._under_way[view.uid]
        return task.result()

    def forget(self, present: Collection[str]) -> None:
        """Drops the answers for all Submissions but those of these UIDs."""
        for uid in [uid for uid, task in self._under_way.items() if task.done() and uid not in present]:
            del self._under_way[uid]

    async def _turn(self, view: SubmissionView, action: AdmitCode) -> CodeFact:
        async with self._teams[view.namespace], self._room:
            return await self.take(view, action)

    def _ended(self, view: SubmissionView, task: asyncio.Task[CodeFact]) -> None:
        if not task.cancelled():
            task.exception()  # seen: whoever asks next is told
            self.due(view)
