"""Tells webhooks what has happened: at least once, with a bound, and never in the way of a run.

It works beside the queue, in a task of its own. What it decides on is read off the index. What was noticed and what is
still to be sent is in the store, so that a crash loses nothing; while the store is away, it is in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from alcove_api.errors import AlcoveError
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.notifications import NotificationLedger, PendingNotice
from alcove_operator.clock import utc_now
from alcove_operator.core import notices
from alcove_operator.core.model import CompetitionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.errors import WebhookError
from alcove_operator.index import Index
from alcove_operator.store import OperatorStore
from alcove_operator.webhooks import Sender
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
NOTICES_A_ROUND = 8
"""Notices that a webhook gets in one round."""
Outcomes = dict[tuple[str, str], PendingNotice | None]
"""By webhook and ID of the notice: what is left of it after a try; None where nothing is left to do."""


@dataclass
class Notifier:
    index: Index
    store: OperatorStore
    sender: Sender
    store_trouble: Callable[[], notices.StoreTrouble | None]
    clock: Callable[[], datetime] = utc_now
    ledgers: dict[str, NotificationLedger] = field(default_factory=dict)
    """By UID of the Competition. While the store is away they are ahead of it."""
    _stored: dict[str, NotificationLedger | None] = field(default_factory=dict)
    """As they are in the store; without those that could not be read yet."""
    sends: dict[tuple[str, str], asyncio.Task[Outcomes]] = field(default_factory=dict)
    """By UID of the Competition and webhook: one at a time, so that a webhook that is slow delays itself alone."""

    async def run(self) -> None:
        while True:
            for competition in list(self.index.competitions.values()):
                if competition.spec.notifications:
                    try:
                        await self.look(competition)
                    except AlcoveError as error:
                        log.warning("Notifications of %s wait: %s", competition.name, error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, competition: CompetitionView) -> None:
        """Takes in what is new and begins to send what is due. Raises StoreError, OperatorError."""
        await self.take_in(competition)
        self._start_sends(competition)

    def forget(self, competitions: Collection[str]) -> None:
        """Drops what it knows of all but these, by their UIDs."""
        for uid in {*self.ledgers, *self._stored} - set(competitions):
            self.ledgers.pop(uid, None)
            self._stored.pop(uid, None)
        # A send under way ends by its own time limit.
        ended = [
            receiver
            for receiver, send in self.sends.items()
            if receiver[0] not in competitions and send.done()
        ]
        for receiver in ended:
            del self.sends[receiver]

    async def take_in(self, competition: CompetitionView) -> None:
        """What is new, and what became of what was sent. Raises StoreError, OperatorError."""
        uid, now = competition.uid, self.clock()
        ledger = self.ledgers.get(uid) or NotificationLedger(competition_uid=uid)
        if uid in self._stored:
            ledger = await self._update(competition, ledger, now)
        elif not self._is_store_away():
            with contextlib.suppress(StoreUnavailableError):
                stored = await self._read(competition)
                ledger = notices.join_ledgers(await self._update(competition, stored, now), ledger)
        trouble = notices.find_store_trouble(competition, self.store_trouble())
        ledger = notices.take_in(ledger, competition.spec.notifications, trouble, now)
        await self._write(competition, self._take_in_outcomes(uid, ledger))

    def _is_store_away(self) -> bool:
        """Then it is not asked: it could let us wait for a minute."""
        trouble = self.store_trouble()
        return trouble is not None and trouble.state == "away"

    async def _update(
        self, competition: CompetitionView, old: NotificationLedger | None, now: datetime
    ) -> NotificationLedger:
        # In a thread: it looks at all that was ever submitted, and nothing of it changes.
        found = await asyncio.to_thread(
            notices.find_notices,
            self.index.with_usage(competition),
            self.index.submissions_of(competition.namespace, competition.name),
            list(self.index.datasets_by_name().values()),
            now,
        )
        return notices.update_ledger(old, competition, found, self._boards(competition, now), now)

    def _boards(self, competition: CompetitionView, now: datetime) -> dict[str, LeaderboardStatus]:
        found = {}
        for phase in competition.spec.phases:
            board = self.index.leaderboards.get((competition.namespace, phase.name))
            if board is not None and board.competition == competition.name and not is_blind(phase, now):
                found[phase.name] = board.status
        return found

    async def _read(self, competition: CompetitionView) -> NotificationLedger | None:
        stored = await asyncio.to_thread(
            self.store.notification_ledger, competition.namespace, competition.name
        )
        self._stored[competition.uid] = stored
        return stored

    async def _write(self, competition: CompetitionView, ledger: NotificationLedger) -> None:
        """In memory at once, and in the store when it takes it: what is due is sent while the store is away."""
        uid = competition.uid
        self.ledgers[uid] = ledger
        if self._stored.get(uid, ledger) == ledger or self._is_store_away():
            return
        try:
            await asyncio.to_thread(
                self.store.write_notification_ledger, competition.namespace, competition.name, ledger
            )
        except StoreError as error:
            if self.store_trouble() is None:
                log.warning("Notifications of %s are in memory alone: %s", competition.name, error)
            return
        self._stored[uid] = ledger

    def _take_in_outcomes(self, uid: str, ledger: NotificationLedger) -> NotificationLedger:
        changed: Outcomes = {}
        for receiver in [
            receiver for receiver, send in self.sends.items() if receiver[0] == uid and send.done()
        ]:
            changed |= self.sends.pop(receiver).result()
        left = [changed.get(_key(entry), entry) for entry in ledger.pending]
        return ledger.replace(pending=tuple(entry for entry in left if entry is not None))

    def _start_sends(self, competition: CompetitionView) -> None:
        """Each webhook in its own order, and all of them at the same time."""
        now = self.clock()
        waiting: defaultdict[str, list[PendingNotice]] = defaultdict(list)
        for entry in self.ledgers[competition.uid].pending:
            waiting[entry.webhook].append(entry)
        for name, entries in waiting.items():
            receiver = (competition.uid, name)
            # Behind one that failed the others wait, so that a receiver that is away is not asked for each of them.
            if receiver not in self.sends and entries[0].next_at <= now:
                send = self._send_some(competition, name, entries[:NOTICES_A_ROUND])
                self.sends[receiver] = asyncio.create_task(send)

    async def _send_some(
        self, competition: CompetitionView, name: str, entries: list[PendingNotice]
    ) -> Outcomes:
        """What becomes of the entries; after one that fails the others wait with it."""
        webhook = next(w for w in competition.spec.notifications if w.name == name)
        done: Outcomes = {}
        for entry in entries:
            try:
                await self.sender.send(webhook, entry.notice, self.clock())
            except Exception as error:
                # An error of our own is a failed try as well: raised here, it would take along what became of the
                # entries before it, and they would be sent again.
                left = notices.after_attempt(entry, False, self.clock())
                done[_key(entry)] = left
                what = "is tried again" if left else "is given up"
                about = {"cause": "NotificationFailed" if left else "NotificationDropped"}
                known = None if isinstance(error, WebhookError) else error
                told = entry.notice
                log.warning(
                    "%s The notice %s (%s) %s.", error, told.id, told.type, what, exc_info=known, extra=about
                )
                break
            done[_key(entry)] = notices.after_attempt(entry, True, self.clock())
        return done


def _key(entry: PendingNotice) -> tuple[str, str]:
    return entry.webhook, entry.notice.id
