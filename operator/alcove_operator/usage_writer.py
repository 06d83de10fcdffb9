"""Writes what teams have used into the status of their Competition: one writer a Competition, many changes a write.

Each change is asked for by a turn on a Submission, and may be asked for again at any time: see
:mod:`alcove_operator.core.usage`. While one write is under way, what is asked for meanwhile waits and goes into the
next one together. So turns never write against each other, and a rush of them costs few writes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from alcove_api.competition import CompetitionStatus
from alcove_api.errors import AlcoveError
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS
from alcove_operator.api import Api
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.tables import ObjectName

Change = Callable[[CompetitionStatus, CompetitionView], CompetitionStatus]
"""From the status, and the Competition as it was read with it, to the status as it is to be: the same object where
nothing is to be changed. It may be called several times, the last call is the one that holds."""
CONFLICTS = 8
"""Besides us only a turn on the Competition writes its status, and people do."""


@dataclass(eq=False)
class _Request:
    change: Change
    done: bool = False
    """Whether it was tried."""
    error: Exception | None = None


@dataclass
class UsageWriter:
    api: Api
    index: Index
    _asked: defaultdict[ObjectName, list[_Request]] = field(default_factory=lambda: defaultdict(list))
    _writing: defaultdict[ObjectName, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def change(self, ref: ObjectName, change: Change) -> None:
        """Returns once the change is written, or nothing had to be: also where the Competition is gone.

        Raises:
            ApiError: it could not be read or written.
            OperatorError: it cannot be understood, or others write it all the time.
            Exception: what ``change`` raised, which concerns no other change.
        """
        request = _Request(change)
        self._asked[ref].append(request)
        async with self._writing[ref]:
            if not request.done:
                await self._write_all(ref)
        if request.error is not None:
            raise request.error

    async def _write_all(self, ref: ObjectName) -> None:
        requests = self._asked.pop(ref)
        try:
            await self._write(ref, requests)
        except AlcoveError as error:
            for request in requests:
                request.error = request.error or error
        except BaseException:
            # This turn is stopped, the others are not: the next of them writes for all.
            self._asked[ref] = [*requests, *self._asked[ref]]
            raise
        for request in requests:
            request.done = True

    async def _write(self, ref: ObjectName, requests: list[_Request]) -> None:
        """Read afresh, written with the version that was read."""
        for _ in range(CONFLICTS):
            raw = await self.api.find(COMPETITIONS, *ref)
            if raw is None:
                return
            self.index.apply(COMPETITIONS, raw)
            # What was read, not what the index has: that may be newer than the version that is written with.
            competition = _read(raw, ref)
            status = competition.status
            for request in requests:
                status = _apply_change(request, status, competition)
            if status is competition.status:
                return
            usage = status.model_dump(mode="json", by_alias=True, exclude_none=True, include={"usage"})
            version = raw["metadata"]["resourceVersion"]
            try:
                made = await self.api.patch(
                    COMPETITIONS, *ref, {"metadata": {"resourceVersion": version}, "status": usage}, "status"
                )
            except ApiError as error:
                if error.conflict:
                    continue
                raise
            self.index.apply(COMPETITIONS, made)
            return
        raise OperatorError(
            f"The counts of {ref[1]} were changed by others each time.", remedy="Tried again."
        )


def _apply_change(
    request: _Request, status: CompetitionStatus, competition: CompetitionView
) -> CompetitionStatus:
    """One change that cannot be made, such as that of a team for which the status has no room, stops no other."""
    request.error = None
    try:
        return request.change(status, competition)
    except Exception as error:
        request.error = error
        return status


def _read(raw: Object, ref: ObjectName) -> CompetitionView:
    try:
        return parse_objects.competition_view(raw)
    except ValidationError as error:
        raise OperatorError(
            parse_objects.explain_unreadable(f"The Competition {ref[1]}", error),
            consequence="What its teams have used is not counted for now.",
            remedy=f"Correct it: kubectl edit competition {ref[1]} -n {ref[0]}.",
        ) from error
