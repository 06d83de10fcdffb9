"""Tells the web server of boards, through the store, what runs now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alcove_api.board_documents import PhaseActivity
from alcove_operator.core.activity import list_activity
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.store import OperatorStore
from alcove_store.errors import StoreError

log = logging.getLogger(__name__)


@dataclass
class ActivityPublisher:
    store: OperatorStore
    _written: dict[tuple[str, str], PhaseActivity] = field(default_factory=dict)
    """By the Competition's UID and the phase."""

    async def publish(
        self, competition: CompetitionView, submissions: Sequence[SubmissionView], now: datetime
    ) -> None:
        """Writes what has changed since the last turn. Where the store refuses, the next turn tries again."""
        for phase in competition.spec.phases:
            key = (competition.uid, phase.name)
            activity = list_activity(PhaseRules(competition, phase), submissions, now)
            if activity is None or activity == self._written.get(key, PhaseActivity()):
                continue
            place = (competition.namespace, competition.name, phase.name)
            try:
                await asyncio.to_thread(self.store.write_activity, *place, activity)
            except StoreError as error:
                log.warning("What runs now is not shown on the board of %s: %s", phase.name, error)
                return
            self._written[key] = activity
