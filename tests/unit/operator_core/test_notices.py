"""What webhooks are told: once each, nothing that was true before, and nothing about a blind phase."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.notifications import Notice, NotificationLedger, PendingNotice
from alcove_api.team_usage import TeamUsageStatus
from alcove_operator.core import notices
from alcove_operator.core.model import CompetitionView, SubmissionView
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_boards import DATASET, OLD, view

EVERYTHING = [
    "submission.ended", "quota.used-up", "phase.opened", "phase.closing", "phase.closed", "phase.revealed",
    "lead.changed", "dataset.trouble", "store.trouble",
]  # fmt: skip
DAY = timedelta(days=1)


def cup(*webhooks: dict[str, Any], usage: dict[str, Any] | None = None, **phase: object) -> CompetitionView:
    practice = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 20}, **phase}
    hooks = webhooks or ({"name": "all", "events": EVERYTHING},)
    spec = {"phases": [practice], "limits": {"perDay": 2, "total": 3}, "notifications": list(hooks)}
    used = {"red": TeamUsageStatus.model_validate(usage)} if usage else {}
    return CompetitionView(
        "comp", "cup", "uid", CompetitionSpec.model_validate(spec), CompetitionStatus(), used
    )


def board(*leaders: str, generation: int = 1) -> dict[str, LeaderboardStatus]:
    entries = [
        {"rank": 1, "team": team, "submission": "s", "submissionUid": team, "averageRank": 1.0}
        for team in leaders
    ]
    return {"practice": LeaderboardStatus.model_validate({"generation": generation, "entries": entries})}


def look(
    ledger: NotificationLedger | None,
    competition: CompetitionView,
    views: tuple[SubmissionView, ...] = (),
    boards: dict[str, LeaderboardStatus] | None = None,
    now: datetime = START,
) -> NotificationLedger:
    found = notices.find_notices(competition, views, [DATASET], now)
    return notices.update_ledger(ledger, competition, found, boards or {}, now)


def types(ledger: NotificationLedger) -> list[str]:
    return [entry.notice.type for entry in ledger.pending]


def test_what_was_true_before_the_first_look_is_no_news() -> None:
    """Else a webhook that is added in the middle would be told all that ever happened."""
    first = look(None, cup(), (view("red", OLD),), board("red"))
    assert first.pending == ()
    second = look(first, cup(), (view("red", OLD), view("blue", OLD)), board("red"))
    assert types(second) == ["submission.ended"]
    assert second.pending[0].notice.data["team"] == "blue"
    assert look(second, cup(), (view("red", OLD), view("blue", OLD)), board("red")) == second


def test_what_is_out_of_sight_for_a_while_is_not_told_twice() -> None:
    """A namespace may be unreadable for a while."""
    both = (view("red", OLD), view("blue", OLD))
    ledger = look(look(look(None, cup()), cup(), both), cup(), ())
    assert types(look(ledger, cup(), both)) == ["submission.ended"] * 2


def test_the_lead_is_told_when_it_changes_and_not_with_each_board() -> None:
    ledger = look(None, cup(), boards=board("red"))
    for generation, leaders, told in (
        (2, ("red",), 0),
        (3, ("blue",), 1),
        (4, ("blue",), 1),
        (5, ("red", "blue"), 2),
    ):
        ledger = look(ledger, cup(), boards=board(*leaders, generation=generation))
        assert types(ledger) == ["lead.changed"] * told
    assert [entry.notice.data["leader"] for entry in ledger.pending] == ["blue", "blue, red"]
    # An empty board, as while all is scored again, is no change of the lead.
    assert look(ledger, cup(), boards=board()) == ledger


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (START - 2 * DAY, []),
        (START, ["phase.opened"]),
        (START + 3 * DAY, []),
        (START + 9 * DAY, ["phase.closing"]),
        (START + 10 * DAY, ["phase.closed"]),
        (START + 20 * DAY, ["phase.revealed"]),
        (START + 40 * DAY, []),
    ],
)
def test_a_phase_tells_its_dates(at: datetime, told: list[str]) -> None:
    """At each date, though the operator was down before."""
    competition = cup(
        opensAt=START.isoformat(),
        closesAt=(START + 10 * DAY).isoformat(),
        revealsAt=(START + 20 * DAY).isoformat(),
    )
    ledger = look(None, competition, now=START - 9 * DAY)
    assert types(look(ledger, competition, now=at)) == told


def test_a_phase_that_is_extended_closes_once_more() -> None:
    closing = cup(closesAt=START.isoformat())
    ledger = look(look(None, closing, now=START - 9 * DAY), closing, now=START)
    extended = cup(closesAt=(START + 2 * DAY).isoformat())
    later = look(ledger, extended, now=START + 2 * DAY)
    assert types(later) == ["phase.closed", "phase.closed"]
    assert later.pending[0].notice.id != later.pending[1].notice.id


@pytest.mark.parametrize(
    "blind",
    [
        {"revealsAt": (START + DAY).isoformat()},
        {"revealsAt": (START + DAY).isoformat(), "feedback": {"mode": "none"}},
    ],
)
@pytest.mark.parametrize("after", [timedelta(0), 2 * DAY])
def test_nothing_is_told_about_the_submissions_of_a_blind_phase(
    blind: dict[str, Any], after: timedelta
) -> None:
    """Not their end, whatever it was, and not at the reveal either: two worlds that differ in it look the same."""
    competition = cup(**blind)
    ended = view("red", OLD)
    failed = replace(ended, status=ended.status.replace(phase="Failed", cause="ExitCode"))
    running = replace(ended, status=ended.status.replace(phase="Running"))
    ledger = look(None, competition, now=START - DAY)
    worlds = [look(ledger, competition, (one,), now=START + after) for one in (ended, failed, running)]
    assert worlds[0] == worlds[1] == worlds[2]
    assert set(types(worlds[0])) <= {"phase.revealed"}


def test_a_used_up_quota_is_told_once_a_day() -> None:
    def used(today: int, total: int, at: datetime) -> CompetitionView:
        return cup(usage={"total": total, "today": today, "day": f"{at:%Y-%m-%d}"})

    ledger = look(None, used(1, 1, START))
    ledger = look(ledger, used(2, 2, START))
    assert types(ledger) == ["quota.used-up"]
    ledger = look(look(ledger, used(2, 2, START)), used(0, 2, START + DAY), now=START + DAY)
    assert types(ledger) == ["quota.used-up"]
    ledger = look(ledger, used(2, 3, START + DAY), now=START + DAY)
    assert sorted(e.notice.data["limit"] for e in ledger.pending) == ["perDay", "perDay", "total"]


def test_a_used_up_quota_of_each_phase_is_told_but_of_blind_ones() -> None:
    """The own count of a blind phase would say how many of its runs were given back."""
    limits = {"limits": {"perDay": 1, "total": 4}}
    names = ("first", "second", "unshown", "last")
    phases = [{"name": name, "datasets": [name], "budget": {"seconds": 20}, **limits} for name in names]
    phases[2] |= {"feedback": {"mode": "none"}}
    phases[3] |= {"revealsAt": (START - DAY).isoformat()}
    spec = CompetitionSpec.model_validate({"phases": phases, "limits": {"perDay": 100, "total": 100}})
    day = f"{START:%Y-%m-%d}"
    used = {"total": 16, "today": 4, "day": day,
            "phases": [{"name": name, "total": 4, "today": 1, "day": day} for name in names]}  # fmt: skip
    usage = {"red": TeamUsageStatus.model_validate(used)}
    competition = CompetitionView("comp", "cup", "uid", spec, CompetitionStatus(), usage)
    found = list(notices.find_notices(competition, (), [], START).values())
    told = [notice for notice in found if notice.type == "quota.used-up"]
    assert sorted((n.data["phase"], n.data["limit"]) for n in told) == [
        ("first", "phasePerDay"),
        ("first", "phaseTotal"),
        ("second", "phasePerDay"),
        ("second", "phaseTotal"),
    ]
    assert "red has used 1 of 1 submission today in second." in [notice.text for notice in told]


@pytest.mark.parametrize("broken", [1, 2, 3])
@pytest.mark.parametrize(
    "blind", [{"revealsAt": (START + DAY).isoformat()}, {"feedback": {"mode": "none"}}], ids=str
)
def test_nobody_can_count_the_datasets_of_a_blind_phase(blind: dict[str, Any], broken: int) -> None:
    datasets = [
        replace(DATASET, name=f"d{i}", ready=False, reason=f"Damaged{i}", data_sha256=f"{i}" * 64)
        for i in range(broken)
    ]
    competition = cup(datasets=["d0", "d1", "d2"], **blind)
    one = notices.find_notices(competition, (), datasets[:1], START)
    assert [notice.type for notice in one.values()] == ["dataset.trouble"]
    assert notices.find_notices(competition, (), datasets, START) == one
    # One that is mended while another breaks is no news either; that it goes on is, once a day.
    assert notices.find_notices(competition, (), datasets[-1:], START) == one
    assert notices.find_notices(competition, (), datasets, START + 2 * DAY / 3).keys() != one.keys()


def test_a_dataset_in_trouble_is_told_without_its_name() -> None:
    """A webhook's readers may be teams."""
    broken = replace(DATASET, ready=False, reason="The solution of secret-alias is damaged")
    found = notices.find_notices(cup(), (), [broken], START)
    (notice,) = found.values()
    assert notice.type == "dataset.trouble"
    assert "ds" not in str(notice.data).split()
    assert not any(word in notice.text + str(notice.data) for word in ("digits", "secret-alias", "'ds'"))


def test_each_webhook_gets_what_it_asked_for() -> None:
    competition = cup(
        {"name": "ends", "events": ["submission.ended"]}, {"name": "leads", "events": ["lead.changed"]}
    )
    ledger = look(look(None, competition), competition, (view("red", OLD),), board("red"))
    assert [(e.webhook, e.notice.type) for e in ledger.pending] == [
        ("ends", "submission.ended"),
        ("leads", "lead.changed"),
    ]
    # What a webhook that is gone has not got, nobody gets.
    left = look(ledger, cup({"name": "leads", "events": ["lead.changed"]}), (view("red", OLD),), board("red"))
    assert [e.webhook for e in left.pending] == ["leads"]


def test_what_waits_has_a_bound_and_the_newest_stay() -> None:
    views = tuple(replace(view(f"t{i}", OLD), created_at=START) for i in range(notices.MOST_PENDING + 10))
    ledger = look(look(None, cup()), cup(), views)
    assert len(ledger.pending) == notices.MOST_PENDING


@given(st.lists(st.booleans(), max_size=20))
def test_a_notice_is_tried_until_it_is_taken_or_given_up(outcomes: list[bool]) -> None:
    notice = Notice(id="msg_1", type="lead.changed", at=START, text="x", data={})
    entry: PendingNotice | None = PendingNotice(webhook="w", notice=notice, next_at=START)
    attempts, now = 0, START
    for outcome in outcomes:
        if entry is None:
            break
        assert entry.next_at >= now
        now, attempts = entry.next_at, attempts + 1
        entry = notices.after_attempt(entry, outcome, now)
    first = outcomes.index(True) if True in outcomes else len(outcomes)
    assert attempts == min(first + 1, len(outcomes), len(notices.RETRIES) + 1)
    if attempts == len(notices.RETRIES) + 1:
        assert entry is None
        assert now - START > timedelta(hours=20)
