"""When a phase is open and when its results are shown, as what it publishes says it."""

from __future__ import annotations

from datetime import UTC, datetime

from alcove_api.leaderboard import PublishedRules


def is_hidden(rules: PublishedRules, now: datetime) -> bool:
    """Whether nothing about scores, ranks and runs may be seen yet."""
    if rules.reveals_at is not None:
        return now < rules.reveals_at
    return rules.feedback == "none"


def describe_dates(rules: PublishedRules, now: datetime) -> str:
    if rules.source:
        return f"runs what counts in {rules.source}; nobody submits to it."
    if rules.opens_at is not None and now < rules.opens_at:
        until = f", until {format_time(rules.closes_at)}" if rules.closes_at else ""
        return f"opens at {format_time(rules.opens_at)}{until}."
    if rules.closes_at is None:
        return "open."
    if now < rules.closes_at:
        return f"open until {format_time(rules.closes_at)}."
    return f"closed since {format_time(rules.closes_at)}."


def format_time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
