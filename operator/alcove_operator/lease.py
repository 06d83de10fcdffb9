"""One operator at a time: a Lease that is held, renewed, and given back.

Safety does not rest on it (names are computed, writes carry resource versions); it keeps two operators from
doing all the work twice. A holder that was killed is followed after :data:`DURATION` seconds; one that
restarts under the same name takes its own Lease back at once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from alcove_kube.errors import ApiError
from alcove_kube.resources import LEASES
from alcove_operator.api import Api
from alcove_operator.errors import LeaseLostError

DURATION = 15
RETRY = 1.0

log = logging.getLogger(__name__)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Lease:
    """The Lease ``namespace/name``, held under ``identity``.

    How long another's Lease has been still is measured here, on our own monotonic clock: the times that it
    carries are another machine's.
    """

    def __init__(self, api: Api, namespace: str, name: str, identity: str, duration: int = DURATION) -> None:
        self._duration = duration
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)

    async def acquire(self) -> None:
        """Waits until the Lease is ours. Raises :class:`ApiError` where it can never be."""
        while True:
            try:
                if await self._try():
                    break
            except ApiError as error:
                if not error.retriable:
                    raise
                log.warning("The lease cannot be asked for yet: %s", error)
            await asyncio.sleep(RETRY)
        log.info("This operator, %s, holds the lease %s.", self._identity, self._name)

    async def hold(self) -> None:
        """Renews until cancelled.

        Raises:
            LeaseLostError: another holds it, or it could not be renewed for as long as it lasts.
        """
        loop = asyncio.get_running_loop()
        renewed, healthy = loop.time(), True
        while True:
            await asyncio.sleep(self._duration / 3 if healthy else RETRY)
            try:
                if not await self._try():
                    raise LeaseLostError("Another operator holds the lease.", consequence="This one stops.")
                renewed, healthy = loop.time(), True
            except ApiError as error:
                healthy = False
                if loop.time() - renewed > self._duration - RETRY:
                    raise LeaseLostError(
                        f"The lease could not be renewed for {self._duration} seconds: {error}",
                        consequence="This operator stops, and starts again.",
                    ) from error

    async def release(self) -> None:
        """Gives the Lease back, so that the next operator need not wait."""
        found = await self._api.find(LEASES, self._namespace, self._name)
        if found and found["spec"].get("holderIdentity") == self._identity:
            found["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
            await self._api.replace(LEASES, self._namespace, self._name, found)

    async def _try(self) -> bool:
        found = await self._api.find(LEASES, self._namespace, self._name)
        try:
            if found is None:
                await self._api.create(LEASES, self._namespace, self._fresh())
                return True
            holder = found["spec"].get("holderIdentity") or ""
            if holder not in ("", self._identity) and not self._expired(found):
                return False
            taken = holder != self._identity
            found["spec"] |= {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._duration,
                "renewTime": _now(),
                **({"acquireTime": _now()} if taken else {}),
                "leaseTransitions": int(found["spec"].get("leaseTransitions") or 0) + taken,
            }
            # The resource version that was read goes along: of two who try, one gets a conflict.
            await self._api.replace(LEASES, self._namespace, self._name, found)
            return True
        except ApiError as error:
            if error.conflict:
                return False
            raise

    def _expired(self, found: dict[str, Any]) -> bool:
        version = str(found["metadata"]["resourceVersion"])
        now = asyncio.get_running_loop().time()
        if version != self._seen[0]:
            self._seen = (version, now)
        return now - self._seen[1] > float(found["spec"].get("leaseDurationSeconds") or self._duration)

    def _fresh(self) -> dict[str, Any]:
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._duration,
                "acquireTime": _now(),
                "renewTime": _now(),
                "leaseTransitions": 0,
            },
        }
