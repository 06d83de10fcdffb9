"""Events on objects of ours. An Event is a courtesy: nothing hangs on one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alcove_api.base import GROUP
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, EVENTS, SUBMISSIONS, Resource
from alcove_operator.api import Api
from alcove_operator.clock import utc_now

log = logging.getLogger(__name__)
COMPONENT = "alcove-operator"
_KINDS = {SUBMISSIONS: "Submission", COMPETITIONS: "Competition"}


@dataclass(frozen=True)
class Announcer:
    api: Api
    identity: str
    """Of this operator."""
    clock: Callable[[], datetime] = utc_now

    async def announce(
        self,
        resource: Resource,
        about: Object,
        key: str,
        kind: Literal["Normal", "Warning"],
        reason: str,
        note: str,
    ) -> None:
        """Makes an Event. The same ``key`` of the same object has the same name, also after a restart: the API server
        then says that it is there.

        Args:
            resource: of a Submission or a Competition.
            about: with the metadata name, namespace and uid.
            key: tells this Event from all others of the object.
            kind: as kubectl shows it.
            reason: one CamelCase word.
            note: a sentence; 1,024 characters of it are kept.
        """
        meta = about["metadata"]
        digest = hashlib.sha256(f"{meta['uid']}/{key}".encode()).hexdigest()[:16]
        who = {"apiVersion": resource.api_version, "kind": _KINDS[resource], "uid": meta["uid"]}
        body = {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": f"{meta['name'][:200]}.{digest}", "namespace": meta["namespace"]},
            "eventTime": self.clock().isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": f"{GROUP}/{COMPONENT}",
            "reportingInstance": self.identity[:128],
            "action": "Reconcile",
            "reason": reason,
            "type": kind,
            "note": note[:1024],
            "regarding": {**who, "namespace": meta["namespace"], "name": meta["name"]},
        }
        try:
            await self.api.create(EVENTS, meta["namespace"], body)
        except ApiError as error:
            # A namespace that is being deleted takes none.
            if not error.conflict:
                log.warning("The event was not taken: %s", error, extra={"cause": reason})
