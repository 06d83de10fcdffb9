"""Submissions that are about to be admitted: their runs wait for places before their status says so.

So the write that admits one tells where it stands, or begins its runs at once. Nothing but a write is spared: a place
is given to what is counted and not admitted yet, and is held until the status shows it, as for any other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from alcove_api.submission import SubmissionStatus
from alcove_operator.core.model import SubmissionView


@dataclass
class Newcomers:
    """Turns on a Submission alone put it in and take it out."""

    _statuses: dict[str, SubmissionStatus] = field(default_factory=dict)
    """As they will be once admitted, by UID."""

    def __len__(self) -> int:
        return len(self._statuses)

    def put(self, uid: str, status: SubmissionStatus | None) -> None:
        """``status``: None where it is not about to be admitted."""
        if status is not None:
            self._statuses[uid] = status
        else:
            self._statuses.pop(uid, None)

    def see(self, view: SubmissionView) -> SubmissionView:
        """As the queue of its competition sees a Submission: that is the same while its admission is being written."""
        status = self._statuses.get(view.uid)
        if status is None or view.status.admitted_at is not None or view.status.phase:
            return view
        return replace(view, status=status)

    def forget(self, present: Collection[str]) -> None:
        """Drops what is kept of all but these, by their UIDs."""
        for uid in self._statuses.keys() - present:
            del self._statuses[uid]
