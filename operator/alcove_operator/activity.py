"""Tells the web server of boards, through the store, what runs now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api.board_documents import PhaseActivity
from alcove_operator.core.activity import list_activity, without_curves
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.store import OperatorStore
from alcove_store.errors import StoreError

log = logging.getLogger(__name__)
CURVE_PAUSE = timedelta(seconds=5)
"""Between two writes where only curves have grown: a store that keeps versions keeps each of them."""


@dataclass
class ActivityPublisher:
    store: OperatorStore
    _written: dict[tuple[str, str], tuple[PhaseActivity, datetime]] = field(default_factory=dict)
    """By the Competition's UID and the phase; and when."""

    async def publish(
        self, competition: CompetitionView, submissions: Sequence[SubmissionView], now: datetime
    ) -> float | None:
        """Writes what has changed since the last turn. Where the store refuses, the next turn tries again.

        Returns in how many seconds there is something to write that has to wait; None where there is nothing.
        """
        waits: list[timedelta] = []
        for phase in competition.spec.phases:
            key = (competition.uid, phase.name)
            activity = list_activity(PhaseRules(competition, phase), submissions, now)
            # What an operator before this one left, or a Competition of the same name, is not known: it is replaced.
            written, at = self._written.get(key, (None, now))
            if activity is None or activity == written:
                continue
            only_curves = written is not None and without_curves(activity) == without_curves(written)
            if only_curves and now - at < CURVE_PAUSE:
                waits.append(CURVE_PAUSE - (now - at))
                continue
            phase_path = (competition.namespace, competition.name, phase.name)
            try:
                await asyncio.to_thread(self.store.write_activity, *phase_path, activity)
            except StoreError as error:
                log.warning("What runs now is not shown on the board of %s: %s", phase.name, error)
                break
            self._written[key] = activity, now
        return min(waits).total_seconds() if waits else None
