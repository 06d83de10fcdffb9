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
from alcove_api.board_documents import BoardHistory, PhaseActivity
from alcove_api.errors import AlcoveError
from alcove_board.published import UNREAD, PhaseKey, PublishedPhase, PublishedPhases, read_phases
from alcove_board.shared_cache import SharedCache
from alcove_kube.client import KubeClient
from alcove_kube.resources import LEADERBOARDS
from alcove_store.client import get_bytes, store_errors
from alcove_store.errors import StoreError, StoreNotFoundError, StoreTooLargeError

log = logging.getLogger(__name__)
FRESH = 2.0
"""Seconds for which an answer of the API server is taken as it is."""
MOST_BYTES = 48 << 20
"""Of files that are kept."""
FILE_BYTES = 16 << 20
"""Of one file at most."""
MOST_PHASES = 512
"""Phases that are shown at most."""
PAST_BOARDS = 500
"""Earlier states of a board that are listed at most, the newest of them."""
READ_AT_ONCE = 32
"""Earlier states that are read for one list, to learn their digests."""
T = TypeVar("T")


class NotYetWrittenError(AlcoveError):
    """The store holds another file than the cluster says: the newest is being written."""


@dataclass(frozen=True)
class PastBoard:
    version: str
    """Of the page in the store, as the store names it."""
    at: datetime
    sha256: str
    """Of the page; "" where it was not read yet."""


@dataclass(frozen=True)
class PastBoards:
    boards: tuple[PastBoard, ...] = ()
    """That the cluster has named, newest first."""
    unread: int = 0
    """Pages of which it is not known yet whether the cluster has named them."""


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
        """The phases that the log has told of already."""
        self._files = SharedCache[BoardFileKey, bytes](self._load_file, most_bytes=MOST_BYTES, measure=len)
        self._activity = SharedCache[PhaseKey, PhaseActivity](
            self._load_activity, most_bytes=MOST_PHASES, measure=lambda _: 1, fresh_seconds=FRESH
        )
        self._past = SharedCache[PhaseKey, tuple[PastBoard, ...]](
            self._load_past, most_bytes=64, measure=lambda _: 1, fresh_seconds=10.0
        )
        self._named = SharedCache[PhaseKey, frozenset[str]](
            self._load_named, most_bytes=64, measure=lambda _: 1, fresh_seconds=FRESH
        )
        # Of versions, which do not change.
        self._digests = SharedCache[BoardFileKey, str](
            self._load_digest, most_bytes=64 * PAST_BOARDS, measure=lambda _: 1
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

    async def find_past(self, phase: PublishedPhase, version: str) -> str:
        """SHA-256 of the board's page as it once was.

        Raises :class:`StoreNotFoundError` for a page that the cluster has not named: anyone may have put it there.
        """
        digest = await self._digests.get(
            BoardFileKey(phase.competition, phase.phase, "leaderboard.html", version=version)
        )
        if digest not in await self._find_named(phase):
            raise StoreNotFoundError(f"{version} is no board of {phase.phase}.", remedy="Look at the list.")
        return digest

    async def read_past(self, phase: PublishedPhase, version: str) -> bytes:
        """A version of the board's page; :meth:`find_past` tells whether it may be shown."""
        key = BoardFileKey(phase.competition, phase.phase, "leaderboard.html", version=version)
        return await self._files.get(key)

    async def read_activity(self, phase: PublishedPhase) -> PhaseActivity:
        """What runs now, as the operator tells; nothing where that cannot be found out."""
        try:
            return await self._activity.get((phase.competition, phase.phase))
        except StoreError:
            return PhaseActivity()

    async def list_past(self, phase: PublishedPhase) -> PastBoards:
        """Earlier states of the board and the present one."""
        found, named = await self._past.get((phase.competition, phase.phase)), await self._find_named(phase)
        boards = tuple(past for past in found if past.sha256 in named)
        return PastBoards(boards, sum(not past.sha256 for past in found))

    async def _find_named(self, phase: PublishedPhase) -> frozenset[str]:
        """Digests of the board's page and of those before it."""
        if not phase.files:
            return frozenset()
        newest = phase.files.get("leaderboard.html", "")
        return await self._named.get((phase.competition, phase.phase)) | {newest}

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
        data = await self.in_thread(partial(self._read, key), chosen=key.version is not None)
        if key.sha256 and hashlib.sha256(data).hexdigest() != key.sha256:
            raise NotYetWrittenError(
                f"{key.name} of {key.competition}/{key.phase} is not the file that its Leaderboard names.",
                remedy="Wait a moment.",
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

    async def _load_named(self, key: PhaseKey) -> frozenset[str]:
        phase = (await self.phases()).phases.get(key)
        if phase is None or "history.json" not in phase.files:
            return frozenset()
        data = await self.read_file(phase, "history.json")
        try:
            history = await self.in_thread(partial(BoardHistory.model_validate_json, data))
        except ValidationError as error:
            raise StoreError(
                f"The history of {phase.phase} is damaged.", consequence="No earlier board is shown."
            ) from error
        return frozenset(past.sha256 for past in history.pages)

    async def _load_past(self, key: PhaseKey) -> tuple[PastBoard, ...]:
        self._count_read("versions")
        prefix = keys.board(self._namespace, *key, "leaderboard.html")

        def list_versions() -> list[tuple[str, datetime]]:
            found: list[tuple[str, datetime]] = []
            with store_errors(f"listing {prefix}"):
                for item in self._store.list_objects(self._bucket, prefix, include_version=True):
                    if item.object_name == prefix and item.version_id and not item.is_delete_marker:
                        found.append((item.version_id, item.last_modified))
                    if len(found) == PAST_BOARDS:
                        break
            return found

        boards, left = [], READ_AT_ONCE
        for version, at in await self.in_thread(list_versions):
            file = BoardFileKey(*key, "leaderboard.html", version=version)
            digest = self._digests.find_fresh(file)
            if digest is None and left:
                left -= 1
                try:
                    digest = await self._digests.get(file)
                except (StoreNotFoundError, StoreTooLargeError):
                    continue
            boards.append(PastBoard(version, at, digest or ""))
        return tuple(sorted(boards, key=lambda past: past.at, reverse=True))

    async def _load_digest(self, key: BoardFileKey) -> str:
        """Of a page that may never be shown: it takes no place among the files that are."""
        return await self.in_thread(lambda: hashlib.sha256(self._read(key)).hexdigest(), chosen=True)

    def _read(self, key: BoardFileKey) -> bytes:
        place = keys.board(self._namespace, key.competition, key.phase, key.name)
        return get_bytes(self._store, self._bucket, place, limit=FILE_BYTES, version=key.version)
