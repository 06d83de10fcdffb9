"""Writes what each team has used into its TeamUsage: one writer a team, many changes a write.

Each change is asked for by a turn on a Submission, and may be asked for again at any time: see
:mod:`alcove_operator.core.usage`. While one write is under way, what is asked for meanwhile for the same team waits and
goes into the next one together. So turns never write against each other, and a rush of them costs few writes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from alcove_api.competition import CompetitionSpec
from alcove_api.errors import AlcoveError
from alcove_api.team_usage import TeamUsageStatus
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, TEAM_USAGES, Resource
from alcove_operator.api import Api
from alcove_operator.core import names
from alcove_operator.core.model import CompetitionView
from alcove_operator.errors import OperatorError
from alcove_operator.index import Index
from alcove_operator.records import UsageRecord
from alcove_operator.tables import ObjectName

Change = Callable[[TeamUsageStatus, CompetitionSpec], TeamUsageStatus]
"""From what the team has used to what it is to be: the same object where nothing is to be changed. It may be called
several times, the last call is the one that holds."""
CONFLICTS = 8
"""Nobody but us writes a TeamUsage, and people do."""
MOVED_AT_ONCE = 8
_Key = tuple[ObjectName, str]
"""Competition and team."""


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
    _asked: defaultdict[_Key, list[_Request]] = field(default_factory=lambda: defaultdict(list))
    _writing: defaultdict[_Key, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def change(self, ref: ObjectName, team: str, change: Change) -> None:
        """Returns once the change of what ``team`` has used of the Competition ``ref`` is written, or nothing had to
        be: also where the Competition is gone.

        Raises:
            ApiError: it could not be read or written.
            OperatorError: it cannot be understood, or others write it all the time.
            Exception: what ``change`` raised, which concerns no other change.
        """
        request, key = _Request(change), (ref, team)
        self._asked[key].append(request)
        async with self._writing[key]:
            if not request.done:
                await self._write_all(key)
        if request.error is not None:
            raise request.error

    async def move(self, competition: CompetitionView) -> None:
        """Out of the status of ``competition``, where earlier releases counted. May be stopped and repeated anywhere:
        what a team has in its TeamUsage holds. Raises ApiError, OperatorError."""
        ref = (competition.namespace, competition.name)
        hands = asyncio.Semaphore(MOVED_AT_ONCE)

        async def move_one(team: str) -> None:
            async with hands:
                # Another object, though an equal one, is written.
                await self.change(ref, team, lambda used, _: used.replace())

        await asyncio.gather(*(move_one(entry.team) for entry in competition.status.usage))
        version = self.index.versions[COMPETITIONS, *ref].resource
        body = {"metadata": {"resourceVersion": str(version)}, "status": {"usage": None}}
        try:
            made = await self.api.patch(COMPETITIONS, *ref, body, "status")
        except ApiError as error:
            if not error.conflict:
                raise
            made = await self.api.get(COMPETITIONS, *ref)
        self.index.apply(COMPETITIONS, made)

    async def _write_all(self, key: _Key) -> None:
        requests = self._asked.pop(key)
        try:
            await self._write(key, requests)
        except AlcoveError as error:
            for request in requests:
                request.error = request.error or error
        except BaseException:
            # This turn is stopped, the others are not: the next of them writes for all.
            self._asked[key] = [*requests, *self._asked[key]]
            raise
        for request in requests:
            request.done = True

    async def _write(self, key: _Key, requests: list[_Request]) -> None:
        """From what the index has, and from what is read afresh where that is old, or nothing seems to be left to do:
        it may lack a write whose answer was lost."""
        ref, team = key
        name = (ref[0], names.usage_name(ref[1], team))
        fresh = False
        for _ in range(CONFLICTS):
            competition = self._find_competition(ref)
            if competition is None:
                return
            record = self._find_record(name, competition)
            old = self.index.with_usage(competition, team).usage_of(team)
            new = old
            for request in requests:
                new = _apply_change(request, new, competition.spec)
            if new is old and fresh:
                return
            fresh = new is old or not await self._put(name, competition, team, record, new)
            if not fresh:
                return
            await self._read(name)
        raise OperatorError(
            f"The counts of {team} were changed by others each time.", remedy="They are written again."
        )

    def _find_competition(self, ref: ObjectName) -> CompetitionView | None:
        self._refuse_unreadable(COMPETITIONS, ref)
        return self.index.competitions.get(ref)

    def _find_record(self, name: ObjectName, competition: CompetitionView) -> UsageRecord | None:
        self._refuse_unreadable(TEAM_USAGES, name)
        record = self.index.usages.get(name)
        if record is not None and record.competition_uid != competition.object_uid:
            raise OperatorError(
                f"The TeamUsage {name[1]} is of an earlier Competition {competition.name}, and not deleted yet.",
                consequence="Until then the team's submissions are not counted, and do not start.",
                remedy=f"If it stays: kubectl delete teamusage {name[1]} -n {name[0]}.",
            )
        return record

    def _refuse_unreadable(self, resource: Resource, name: ObjectName) -> None:
        problem = self.index.unreadable.get((resource, *name))
        if problem is not None:
            kind = resource.plural.removesuffix("s")
            raise OperatorError(
                f"The {kind} {name[1]} cannot be read: {problem}.",
                consequence="What its teams use is not counted for now.",
                remedy=f"Correct it: kubectl edit {kind} {name[1]} -n {name[0]}.",
            )

    async def _put(
        self,
        name: ObjectName,
        competition: CompetitionView,
        team: str,
        record: UsageRecord | None,
        usage: TeamUsageStatus,
    ) -> bool:
        """False where the index was behind. ``record``: as it is indexed; None where it has to be made."""
        version = record.resource_version if record is not None else None
        try:
            if version is None:
                made = await self.api.create(TEAM_USAGES, name[0], _describe(name[1], competition, team))
                version = made["metadata"]["resourceVersion"]
            body = {
                "metadata": {"resourceVersion": version},
                "status": usage.model_dump(mode="json", by_alias=True),
            }
            made = await self.api.patch(TEAM_USAGES, *name, body, "status")
        except ApiError as error:
            if error.conflict or error.not_found:
                return False
            raise
        self.index.apply(TEAM_USAGES, made)
        return True

    async def _read(self, name: ObjectName) -> None:
        known = self.index.versions.get((TEAM_USAGES, *name))
        found = await self.api.find(TEAM_USAGES, *name)
        if found is not None:
            self.index.apply(TEAM_USAGES, found)
        elif known is not None:
            self.index.drop(TEAM_USAGES, name, known.resource)


def _describe(name: str, competition: CompetitionView, team: str) -> dict[str, object]:
    owner = {"apiVersion": COMPETITIONS.api_version, "kind": "Competition"}
    return {
        "apiVersion": TEAM_USAGES.api_version,
        "kind": "TeamUsage",
        "metadata": {
            "name": name,
            "namespace": competition.namespace,
            "ownerReferences": [{**owner, "name": competition.name, "uid": competition.object_uid}],
        },
        "spec": {"competition": competition.name, "team": team},
    }


def _apply_change(request: _Request, usage: TeamUsageStatus, spec: CompetitionSpec) -> TeamUsageStatus:
    """One change that cannot be made stops no other."""
    request.error = None
    try:
        return request.change(usage, spec)
    except Exception as error:
        request.error = error
        return usage
