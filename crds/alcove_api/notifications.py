"""Webhooks of a Competition, and what the operator keeps of them in the store."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from alcove_api.base import Alias, ApiModel
from alcove_api.documents import Document

EventName = Literal[
    "submission.ended",
    "quota.used-up",
    "phase.opened",
    "phase.closing",
    "phase.closed",
    "phase.revealed",
    "lead.changed",
    "dataset.trouble",
    "store.trouble",
]


class Webhook(ApiModel):
    """Where events are sent. Its address and signing secret are in the Secret that the values' `notifications.secret`
    names."""

    name: Alias
    """Its keys in that Secret are NAME.url and NAME.secret (whsec_…, of Standard Webhooks; without one, nothing is
    signed)."""
    events: Annotated[
        tuple[EventName, ...],
        Field(min_length=1, max_length=9, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """What is sent. phase.closing comes a day before closesAt. Nothing is sent about the submissions of a blind
    phase."""
    format: Literal["json", "slack"] = "json"
    """json: type, timestamp and data, as Standard Webhooks has it; slack: {"text": …}, which Slack, Mattermost and
    Discord (at …/slack) take."""


class Notice(Document):
    """Something that has happened, as it is sent."""

    id: str
    """The same however often it is sent: by it a receiver tells a repetition."""
    type: EventName
    at: datetime
    text: str
    """A sentence."""
    data: dict[str, Any]


class PendingNotice(Document):
    """A notice that a webhook has not taken yet."""

    webhook: str
    notice: Notice
    attempts: int = 0
    next_at: datetime


class NotificationLedger(Document):
    """``notifications/<namespace>.<competition>.json``: what was noticed already, and what is still to be sent."""

    competition_uid: str
    seen: tuple[str, ...] = ()
    """IDs of what is true now and was noticed: it is not noticed again."""
    leaders: dict[str, str] = Field(default_factory=dict)
    """By phase: who led its board, as it was told last."""
    pending: tuple[PendingNotice, ...] = ()
    """At most 1000; the oldest give way."""
