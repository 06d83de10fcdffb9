"""What there is to notify of, from what is known now; and what is new in it. Nothing about blind submissions.

All is read off the present state, so that nothing is missed while the operator is down: an ID tells what was noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.notifications import (
    EventName,
    Notice,
    NotificationLedger,
    PendingNotice,
    Webhook,
)
from alcove_api.phase import Phase
from alcove_api.phase_dates import format_time
from alcove_api.words import count_of
from alcove_operator.core import usage
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind
from alcove_operator.core.status import ENDED

MOST_PENDING, MOST_SEEN = 1000, 20000
CLOSING = timedelta(days=1)
LATE = timedelta(days=2)
"""A date that passed longer ago is no news: the phase was made, or the webhook added, after it."""
RETRIES = (5, 30, 120, 600, 3600, 10800, 21600, 43200)
"""Seconds after a failure until the next try; after the last of them it is given up: about a day."""
StoreState = Literal["sound", "away", "full"]


@dataclass(frozen=True)
class StoreTrouble:
    state: StoreState
    since: datetime


def find_notices(
    competition: CompetitionView,
    views: Iterable[SubmissionView],
    datasets: Iterable[DatasetView],
    now: datetime,
) -> dict[str, Notice]:
    """All that could be told now, by ID, but for the lead; ``views``: of the competition."""
    found = [
        *_submissions(competition, views, now),
        *_quotas(competition, now),
        *(notice for phase in competition.spec.phases for notice in _dates(competition, phase, now)),
        *_datasets(competition, datasets, now),
    ]
    return {notice.id: notice for notice in found}


def _notice(
    competition: CompetitionView, kind: EventName, what: str, at: datetime, text: str, **data: object
) -> Notice:
    """``what``: with the kind, tells this one from all others of the competition."""
    digest = hashlib.sha256(f"{competition.uid}/{kind}/{what}".encode()).hexdigest()[:24]
    about = {"competition": f"{competition.namespace}/{competition.name}", **data}
    return Notice(id=f"msg_{digest}", type=kind, at=at, text=text, data=about)


def _submissions(
    competition: CompetitionView, views: Iterable[SubmissionView], now: datetime
) -> Iterator[Notice]:
    for view in views:
        phase = competition.phase(view.spec.phase) if view.spec else None
        if phase is None or view.of_organizer or view.shows_rerun or view.status.phase not in ENDED:
            continue
        # One that was blind stays untold: at the reveal, the reveal itself is the news.
        if (
            phase.from_
            or phase.feedback.mode == "none"
            or (phase.reveals_at and view.created_at < phase.reveals_at)
        ):
            continue
        status, who = view.status, f"{view.namespace}/{view.name}"
        score = f", score {status.score}" if status.score else ""
        cause = f" ({status.cause})" if status.cause not in ("", "Finished") else ""
        yield _notice(
            competition,
            "submission.ended",
            view.uid,
            now,
            f"{who} in {phase.name}: {status.phase}{cause}{score}.",
            team=view.namespace,
            submission=view.name,
            uid=view.uid,
            phase=phase.name,
            state=status.phase,
            cause=status.cause,
            score=status.score,
        )


def _is_ever_blind(phase: Phase) -> bool:
    return bool(phase.from_ or phase.reveals_at) or phase.feedback.mode == "none"


def _quotas(competition: CompetitionView, now: datetime) -> Iterator[Notice]:
    day = f"{now.astimezone(UTC):%Y-%m-%d}"
    # The own count of a blind phase would say how many of its runs were given back.
    told = [phase.name for phase in competition.spec.phases if not _is_ever_blind(phase)]
    for team, used in competition.usage.items():
        in_all = usage.list_allowances(used, competition.spec, team, None, now)
        allowances = [("", allowance) for allowance in in_all]
        for phase in told:
            both = usage.list_allowances(used, competition.spec, team, phase, now)
            allowances += [(phase, allowance) for allowance in both[len(in_all) :]]
        for phase, allowance in allowances:
            if allowance.used < allowance.most:
                continue
            daily = allowance.limit in ("perDay", "phasePerDay")
            what = f"{team}/{allowance.limit}/{allowance.most}/{day if daily else ''}"
            when = f"{'today' if daily else 'in all'}{f' in {phase}' if phase else ''}"
            yield _notice(
                competition,
                "quota.used-up",
                f"{what}/{phase}" if phase else what,
                now,
                f"{team} has used {allowance.used} of {count_of(allowance.most, 'submission')} {when}.",
                team=team,
                limit=allowance.limit,
                most=allowance.most,
                **({"phase": phase} if phase else {}),
            )


def _dates(competition: CompetitionView, phase: Phase, now: datetime) -> Iterator[Notice]:
    closing = phase.closes_at - CLOSING if phase.closes_at else None
    dates: tuple[tuple[EventName, datetime | None, datetime | None, str], ...] = (
        ("phase.opened", phase.opens_at, phase.closes_at, "is open"),
        ("phase.closing", closing, phase.closes_at, f"closes at {format_time(phase.closes_at or now)}"),
        ("phase.closed", phase.closes_at, None, "is closed"),
        ("phase.revealed", phase.reveals_at, None, "shows its scores and ranks"),
    )
    for kind, at, until, said in dates:
        if at is None or now < at or now >= at + LATE or (until is not None and now >= until):
            continue
        text = f"The phase {phase.name} of {competition.spec.title or competition.name} {said}."
        yield _notice(competition, kind, f"{phase.name}/{at.isoformat()}", at, text, phase=phase.name)


def _datasets(
    competition: CompetitionView, datasets: Iterable[DatasetView], now: datetime
) -> Iterator[Notice]:
    """Without their names, which teams may not know: whoever may, finds them with kubectl. Those of a phase that is
    blind now lead to one notice a day together, so that nobody can count them."""
    named = {name for phase in competition.spec.phases for name in phase.datasets}
    hidden = {name for phase in competition.spec.phases if is_blind(phase, now) for name in phase.datasets}
    for dataset in datasets:
        if dataset.name not in named or dataset.ready is not False:
            continue
        which = f"{dataset.name}/{dataset.data_sha256}/{dataset.solution_sha256}/{dataset.reason}"
        yield _notice(
            competition,
            "dataset.trouble",
            f"/{now.astimezone(UTC):%Y-%m-%d}" if dataset.name in hidden else which,
            now,
            f"A dataset of {competition.name} is not ready, so runs on it wait: kubectl get datasets -n "
            f"{competition.namespace} -o wide",
        )


def find_store_trouble(competition: CompetitionView, trouble: StoreTrouble | None) -> dict[str, Notice]:
    """By ID, as of :func:`find_notices`. One in an hour at most: a store can come and go."""
    if trouble is None:
        return {}
    said = {
        "away": "does not answer: what runs save waits on their own disks",
        "full": "is full: no run starts until it has room",
    }[trouble.state]
    text = f"The object store of {competition.name} {said}."
    what = f"{trouble.state}/{trouble.since.astimezone(UTC):%Y-%m-%dT%H}"
    notice = _notice(competition, "store.trouble", what, trouble.since, text, state=trouble.state)
    return {notice.id: notice}


def find_leader(board: LeaderboardStatus) -> str:
    """Those of rank 1, by display name where they have one; "" while there are none."""
    return ", ".join(sorted(e.display_name or e.team for e in board.entries if e.rank == 1))


def update_ledger(
    ledger: NotificationLedger | None,
    competition: CompetitionView,
    found: Mapping[str, Notice],
    boards: Mapping[str, LeaderboardStatus],
    now: datetime,
) -> NotificationLedger:
    """Takes in what is new, for every webhook that wants it.

    Args:
        ledger: None where there is none yet: then what is true already is no news.
        competition: with the webhooks.
        found: see :func:`find_notices`.
        boards: by phase, those that may be seen.
        now: with a time zone.
    """
    leaders = {phase: leader for phase, board in boards.items() if (leader := find_leader(board))}
    if ledger is None or ledger.competition_uid != competition.uid:
        return NotificationLedger(competition_uid=competition.uid, seen=tuple(sorted(found)), leaders=leaders)
    new = dict(found)
    for phase, leader in leaders.items():
        if leader != ledger.leaders.get(phase):
            generation = boards[phase].generation
            text = f"{leader} leads the phase {phase}."
            lead = f"{phase}/{generation}/{leader}"
            notice = _notice(competition, "lead.changed", lead, now, text, phase=phase, leader=leader)
            new[notice.id] = notice
    return take_in(
        ledger.replace(leaders={**ledger.leaders, **leaders}), competition.spec.notifications, new, now
    )


def take_in(
    ledger: NotificationLedger, webhooks: Sequence[Webhook], found: Mapping[str, Notice], now: datetime
) -> NotificationLedger:
    """Those of ``found`` that were not noticed before wait for every webhook that wants them."""
    known = set(ledger.seen)
    added = _queue_notices(webhooks, [notice for key, notice in found.items() if key not in known], now)
    names = {webhook.name for webhook in webhooks}
    waiting = [entry for entry in ledger.pending if entry.webhook in names]
    return ledger.replace(
        seen=_remember(ledger.seen, found), pending=tuple([*waiting, *added][-MOST_PENDING:])
    )


def join_ledgers(ledger: NotificationLedger, stand_in: NotificationLedger) -> NotificationLedger:
    """``stand_in``: what was noticed while ``ledger`` could not be read."""
    seen = dict.fromkeys((*ledger.seen, *stand_in.seen))
    waiting = [*ledger.pending, *stand_in.pending]
    return ledger.replace(seen=tuple(seen), pending=tuple(waiting[-MOST_PENDING:]))


def _remember(seen: Sequence[str], found: Mapping[str, Notice]) -> tuple[str, ...]:
    """What is not true now stays noticed too: a namespace may be unreadable for a while. It goes where there is too
    much."""
    known = dict.fromkeys((*seen, *sorted(found)))
    gone = len(known) - MOST_SEEN
    if gone > 0:
        for key in [key for key in known if key not in found][:gone]:
            del known[key]
    return tuple(known)


def _queue_notices(
    webhooks: Iterable[Webhook], notices: Iterable[Notice], now: datetime
) -> list[PendingNotice]:
    told = sorted(notices, key=lambda notice: (notice.at, notice.id))
    return [
        PendingNotice(webhook=webhook.name, notice=notice, next_at=now)
        for webhook in webhooks
        for notice in told
        if notice.type in webhook.events
    ]


def after_attempt(entry: PendingNotice, sent: bool, now: datetime) -> PendingNotice | None:
    """The entry after one try at sending it; None where nothing is left to do."""
    if sent or entry.attempts >= len(RETRIES):
        return None
    return entry.replace(
        attempts=entry.attempts + 1, next_at=now + timedelta(seconds=RETRIES[entry.attempts])
    )
