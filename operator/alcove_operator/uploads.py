"""What teams upload: the permits that they get for it, and what becomes of the bytes.

A permit cannot be taken back. So each is for one key, of a bucket without versions, and a team has no more of them at a
time than a bound says: whatever it sends, it takes no more room than that many objects of the largest size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api import keys
from alcove_api.submission import explain_pruned
from alcove_api.uploads import PERMIT_SECONDS, UploadPermit
from alcove_kube.resources import SUBMISSIONS
from alcove_operator.clock import utc_now
from alcove_operator.core.model import CodeFact, SubmissionView
from alcove_operator.errors import CodeError
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_store.errors import StoreError


@dataclass
class Uploads:
    """The index is read on the event loop alone; the store blocks, so it is asked in threads."""

    store: OperatorStore
    index: Index
    endpoint: str
    """Of the store, as teams reach it."""
    clock: Callable[[], datetime] = utc_now
    _given: dict[str, datetime] = field(default_factory=dict)
    """When each permit of this operator ends, by key. A deleted Submission's is still valid."""
    _noted: dict[str, datetime] | None = None
    """The same of permits that were given before it started, by it or by an operator of another cluster that has the
    same store: they count, and say nothing of whose a bundle is. None until the store was asked."""
    _swept: frozenset[str] = frozenset()
    """Keys of bundles and of permits' notes that are being deleted."""

    async def take_bundle(self, view: SubmissionView, sha256: str, limit: int, most: int) -> CodeFact:
        """The bundle of a team's Submission; where it is not there, a permit to upload it.

        Args:
            limit: bytes of the bundle, at most.
            most: bundles that the team may have permits for at a time.

        Raises:
            CodeError: it is refused.
            StoreError: the store failed.
        """
        if await self._is_admitted(view, sha256):
            return await asyncio.to_thread(self.store.take_admitted, sha256)
        looked_at = self.clock()
        try:
            return await asyncio.to_thread(self.store.take_bundle, view.namespace, sha256, limit)
        except CodeError as error:
            if not error.wait:
                raise
        permit = view.status.upload or await self._give_permit(view.namespace, sha256, limit, most)
        return CodeFact(False, wait=True, permit=permit, looked_at=looked_at)

    async def _is_admitted(self, view: SubmissionView, sha256: str) -> bool:
        """Whether the team itself has submitted these bytes before: nobody's digest alone gets at another's code."""
        of_team = self.index.submissions_in(view.namespace)
        admitted = any(
            earlier.status.admitted_at
            and earlier.status.code_sha256 == sha256
            and not explain_pruned(earlier.status, "bundle")
            for earlier in of_team
        )
        return admitted and await asyncio.to_thread(self.store.exists, keys.code(sha256))

    async def _give_permit(self, team: str, sha256: str, limit: int, most: int) -> UploadPermit | None:
        """None while the team has as many as it may, or what it uploaded before under this key is being deleted."""
        noted = await self._read_notes()
        now, key = self.clock(), keys.team_bundle(team, sha256)
        valid = self._find_valid(noted, team, now)
        if key in self._swept or (key not in valid and len(valid) >= most):
            return None
        permit = self.store.permit_upload(key, limit, now + timedelta(seconds=PERMIT_SECONDS), self.endpoint)
        # Before it is noted in the store: the turns of two Submissions must not both take the last one.
        before, self._given[key] = self._given.get(key), permit.expires_at
        try:
            await asyncio.to_thread(self.store.note_permit, key)
        except StoreError:
            # Nobody gets it.
            if before is None:
                del self._given[key]
            else:
                self._given[key] = before
            raise
        return permit

    async def _read_notes(self) -> dict[str, datetime]:
        if self._noted is None:
            found = await asyncio.to_thread(self.store.list_permits)
            ends = {key: at + timedelta(seconds=PERMIT_SECONDS) for key, at in found.items()}
            # Another turn may have asked meanwhile.
            self._noted = ends if self._noted is None else self._noted
        return self._noted

    def _find_valid(self, noted: dict[str, datetime], team: str, now: datetime) -> set[str]:
        """Keys that the team can write now, as far as this or an earlier operator, or a status, knows."""
        found: set[str] = set()
        for ends in (self._given, noted):
            for key in [key for key, end in ends.items() if end <= now]:
                del ends[key]
            found |= {key for key in ends if _team_of(key) == team}
        for view in self.index.submissions_in(team):
            if view.status.upload is not None and view.status.upload.expires_at > now:
                found |= _key_of(view)
        return found

    async def sweep(self, is_team: Callable[[str], bool]) -> None:
        """Deletes bundles that no Submission waits for: admitted ones, which were copied, and what came too late.

        What this operator has neither admitted nor given a permit for may be another cluster's, whose teams have the
        same names: that goes once it is older than any permit. ``is_team``: of a namespace. Raises StoreError.
        """
        present = await asyncio.to_thread(self.store.list_uploads, keys.BUNDLES)
        noted = await asyncio.to_thread(self.store.list_permits)
        # After the list: whoever waits for what it shows is known by now.
        awaited = {
            key
            for view in self.index.submissions.values()
            if view.status.phase == "" and not view.deleting
            for key in _key_of(view)
        }
        known = {of for of in map(_team_of, present) if is_team(of) and self.index.is_filled(SUBMISSIONS, of)}
        own = set(self._given)
        for view in self.index.submissions.values():
            own |= _key_of(view) if view.status.phase else set()
        now = self.clock()
        old = now - timedelta(seconds=PERMIT_SECONDS)
        gone = [
            key
            for key, at in present.items()
            if key not in awaited and _team_of(key) in known and (key in own or at < old)
        ]
        # One that this operator gave may have been noted anew since the list.
        ended = [key for key, at in noted.items() if at < old and self._given.get(key, now) <= now]
        # No permit is given for them meanwhile: what came by it, or its note, would be deleted with them.
        self._swept = frozenset([*gone, *ended])
        try:
            await asyncio.to_thread(self.store.delete_uploads, gone)
            await asyncio.to_thread(self.store.forget_permits, ended)
        finally:
            self._swept = frozenset()


def _key_of(view: SubmissionView) -> set[str]:
    bundle = view.spec.code.bundle if view.spec else None
    return {keys.team_bundle(view.namespace, bundle.sha256)} if bundle else set()


def _team_of(key: str) -> str:
    """Its namespace; a key is PREFIX/NAMESPACE/…"""
    return key.split("/")[1]
