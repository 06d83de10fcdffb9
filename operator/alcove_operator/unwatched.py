"""Objects that are seldom asked for and not watched: Nodes, the teams' namespaces, a queue of Kueue."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_operator.api import Api

log = logging.getLogger(__name__)
REFUSED_SECONDS = 10.0
"""How long a failed look at one object is remembered, so that it is not repeated in every turn."""
MAX_ANSWERS = 4096
"""Answers kept. Nodes come and go under new names; past this many, what is too old to be used is dropped."""


@dataclass(frozen=True)
class Unknown:
    """The object cannot be looked at now. That says nothing about it: neither that it is there, nor that it is not."""

    why: str


@dataclass(frozen=True)
class _Answer:
    until: float
    """On the event loop's clock."""
    found: Object | Unknown | None


@dataclass
class UnwatchedObjects:
    """Looks at objects one by one. What is remembered, an answer or a refusal, is of one object, and for seconds.

    Turns on several keys write here. Two that look at the same object at the same time both ask, and the later answer
    stands: it is as good as the earlier one.
    """

    api: Api
    _answers: dict[tuple[Resource, str | None, str], _Answer] = field(default_factory=dict)

    async def look(
        self, resource: Resource, name: str, seconds: float, namespace: str | None = None
    ) -> Object | Unknown | None:
        """The object as it was at most ``seconds`` ago; None where there is none. Raises nothing.

        Nodes may be out of bounds for good (the chart grants them or not) and a namespace for a moment (it is being
        deleted, or its Role is late): both are told in the same way.
        """
        loop = asyncio.get_running_loop()
        known = self._answers.get((resource, namespace, name))
        if known is not None and loop.time() < known.until:
            return known.found
        found: Object | Unknown | None
        try:
            found = await self.api.find(resource, namespace, name)
        except ApiError as error:
            unknown = {"cause": type(error).__name__}
            log.info("%s %s cannot be looked at: %s", resource.plural, name, error, extra=unknown)
            found, seconds = Unknown(str(error)), REFUSED_SECONDS
        if len(self._answers) >= MAX_ANSWERS:
            self._answers = {at: answer for at, answer in self._answers.items() if loop.time() < answer.until}
        self._answers[resource, namespace, name] = _Answer(loop.time() + seconds, found)
        return found
