"""The audit list of a competition: one document a change of its spec, written once and never overwritten."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alcove_api.documents import Document


class SpecChange(Document):
    """One thing that is another than before."""

    kind: str
    """One CamelCase word: Excluded, Reinstated, RunsCancelled, QuotaGivenBack, PhaseExtended, SpecChanged …; it is the
    reason of the Event too."""
    text: str
    """A sentence for people, at most 1,000 characters."""
    author: str
    """The field manager that last wrote this part of the spec, as whoever wrote it called itself: "kubectl-edit",
    "helm", "alcove ada@example.org"."""
    at: datetime | None
    """When that was, by the API server's clock; None where no manager is known."""


class CompetitionChange(Document):
    """``audit/<namespace>.<competition>/<number>.json``: what changed from the one before."""

    competition_uid: str
    generation: int
    seen_at: datetime
    """When the operator saw it. Changes while it was down are one entry."""
    changes: tuple[SpecChange, ...]
    """At most 500. Empty where nothing is known of the time before."""
    spec: dict[str, Any]
    """As it was from then on."""
