"""Where boards come from: Leaderboards of the API server, and their files in the store, each read once for all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from minio import Minio
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_board.published import UNREAD, PhaseKey, PublishedPhase, PublishedPhases, read_phases
from alcove_board.shared_cache import SharedCache
from alcove_kube.client import KubeClient
from alcove_kube.resources import LEADERBOARDS
from alcove_store.client import get_bytes, store_errors
from alcove_store.errors import StoreError, StoreNotFoundError

log = logging.getLogger(__name__)
FRESH = 2.0
"""Seconds for which an answer of the API server is taken as it is."""
MOST_BYTES = 48 << 20
"""Of files that are kept."""
FILE_BYTES = 16 << 20
"""Of one file at most."""
MOST_PHASES = 512
"""That are shown."""
PAST_BOARDS = 500
"""Earlier states of a board that are listed at most, the newest of them."""
T = TypeVar("T")


class NotYetWrittenError(AlcoveError):
    """The store holds another file than the cluster says: the newest is being written."""


@dataclass(frozen=True)
class PastBoard:
    version: str
    """Of the page in the store, as the store names it."""
    at: datetime
    size: int


@dataclass(frozen=True)
class BoardFileKey:
    competition: str
    phase: str
    name: str
    sha256: str = ""
    """What it must be; "": not known."""
    version: str | None = None
    """In the store; None: the newest."""


class BoardSource:
    """All methods raise :class:`AlcoveError`."""

    def __init__(
        self, kube: KubeClient, store: Minio, bucket: str, namespace: str, count_read: Callable[[str], None]
    ) -> None:
        self._kube, self._store, self._bucket, self._namespace = kube, store, bucket, namespace
        self._count_read = count_read
        self._threads = CapacityLimiter(4)
        # Visitors choose what is asked here. Few at a time, and apart from what everyone waits for.
        self._chosen = CapacityLimiter(2)
        self._phases = SharedCache[str, PublishedPhases](
            self._load_phases, most_bytes=1, measure=lambda _: 1, fresh_seconds=FRESH
        )
        self._said = PublishedPhases()
        """Of which the log tells already."""
        self._files = SharedCache[BoardFileKey, bytes](self._load_file, most_bytes=MOST_BYTES, measure=len)
        self._activity = SharedCache[PhaseKey, PhaseActivity](
            self._load_activity, most_bytes=MOST_PHASES, measure=lambda _: 1, fresh_seconds=FRESH
        )
        self._past = SharedCache[PhaseKey, tuple[PastBoard, ...]](
            self._load_past, most_bytes=64, measure=lambda _: 1, fresh_seconds=10.0
        )

    @property
    def size(self) -> int:
        """Bytes of files that are kept."""
        return self._files.size

    async def phases(self) -> PublishedPhases:
        return await self._phases.get("")

    def fresh_phases(self) -> PublishedPhases | None:
        """What :meth:`phases` gives, where that need not be asked for."""
        return self._phases.find_fresh("")

    def fresh_activity(self, phase: PublishedPhase) -> PhaseActivity | None:
        """What :meth:`read_activity` gives, where that need not be asked for."""
        return self._activity.find_fresh((phase.competition, phase.phase))

    async def read_file(self, phase: PublishedPhase, name: str) -> bytes:
        """A file of the phase's board, as the cluster names its digest."""
        return await self._files.get(
            BoardFileKey(phase.competition, phase.phase, name, phase.files.get(name, ""))
        )

    async def read_past(self, phase: PublishedPhase, version: str) -> bytes:
        """The board's page as it once was."""
        key = BoardFileKey(phase.competition, phase.phase, "leaderboard.html", version=version)
        return await self._files.get(key)

    async def read_activity(self, phase: PublishedPhase) -> PhaseActivity:
        """What runs now, as the operator tells; nothing where that cannot be found out."""
        try:
            return await self._activity.get((phase.competition, phase.phase))
        except StoreError:
            return PhaseActivity()

    async def list_past(self, phase: PublishedPhase) -> tuple[PastBoard, ...]:
        """Earlier states of the board and the present one, newest first."""
        return await self._past.get((phase.competition, phase.phase))

    async def in_thread(self, work: Callable[[], T], *, chosen: bool = False) -> T:
        """``chosen``: a visitor chooses what is asked for, so it can be different each time."""
        return await anyio.to_thread.run_sync(work, limiter=self._chosen if chosen else self._threads)

    async def _load_phases(self, _: str) -> PublishedPhases:
        self._count_read("leaderboards")
        list_page = partial(self._kube.find_page, LEADERBOARDS, self._namespace, MOST_PHASES, unread=UNREAD)
        found, after = await self.in_thread(list_page)
        phases = read_phases(found, cut=bool(after))
        self._log_missing(phases)
        return phases

    def _log_missing(self, phases: PublishedPhases) -> None:
        """What is not shown, once each."""
        for name, why in phases.unreadable.items():
            if self._said.unreadable.get(name) != why:
                log.error(
                    "Leaderboard %s/%s cannot be read, so its phase is not shown: %s",
                    self._namespace,
                    name,
                    why,
                )
        if phases.cut and not self._said.cut:
            log.error(
                "%s has more than %d Leaderboards: the others are not shown.", self._namespace, MOST_PHASES
            )
        self._said = phases

    async def _load_file(self, key: BoardFileKey) -> bytes:
        self._count_read("file")
        place = keys.board(self._namespace, key.competition, key.phase, key.name)
        read = partial(get_bytes, self._store, self._bucket, place, limit=FILE_BYTES, version=key.version)
        data = await self.in_thread(read, chosen=key.version is not None)
        if key.sha256 and hashlib.sha256(data).hexdigest() != key.sha256:
            raise NotYetWrittenError(
                f"{place} is not the file that its Leaderboard names.", remedy="Wait a moment."
            )
        return data

    async def _load_activity(self, key: PhaseKey) -> PhaseActivity:
        self._count_read("activity")
        place = keys.board(self._namespace, *key, "activity.json")
        read = partial(get_bytes, self._store, self._bucket, place, limit=1 << 20)
        try:
            return PhaseActivity.model_validate_json(await self.in_thread(read))
        except StoreNotFoundError:
            return PhaseActivity()
        except ValidationError as error:
            raise StoreError(f"{place} is damaged.", consequence="What runs now is not shown.") from error

    async def _load_past(self, key: PhaseKey) -> tuple[PastBoard, ...]:
        self._count_read("versions")
        prefix = keys.board(self._namespace, *key, "leaderboard.html")

        def list_versions() -> tuple[PastBoard, ...]:
            found: list[PastBoard] = []
            with store_errors(f"listing {prefix}"):
                for item in self._store.list_objects(self._bucket, prefix, include_version=True):
                    if item.object_name == prefix and item.version_id and not item.is_delete_marker:
                        found.append(PastBoard(item.version_id, item.last_modified, item.size or 0))
                    if len(found) == PAST_BOARDS:
                        break
            return tuple(sorted(found, key=lambda past: past.at, reverse=True))

        return await self.in_thread(list_versions)
