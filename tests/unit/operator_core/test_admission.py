"""What is wrong with a Submission is said once, with what to do."""

# Tables read best with one row a line.
# ruff: noqa: E501

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.submission import SubmissionSpec, SubmissionStatus
from alcove_api.team_usage import TeamUsageStatus
from alcove_api.uploads import FormField, UploadPermit
from alcove_operator.core import names
from alcove_operator.core.actions import AddFinalizer, AdmitCode, CountUsage, CreateRun, Decision
from alcove_operator.core.conditions import find_condition
from alcove_operator.core.model import (
    CodeFact,
    CompetitionView,
    DatasetView,
    Facts,
    QueuePlace,
    QuotaRefusal,
    SubmissionView,
)
from alcove_operator.core.reconcile import reconcile
from tests.unit.operator_core.cluster import CODE, SETTINGS, START, UID

OWN = {"image": {"reference": "reg/team/x@sha256:" + "a" * 64, "command": ["/run"]}}
BUNDLE = {"bundle": {"sha256": CODE}}
READY = DatasetView("ds", "digits", "d" * 64, "e" * 64, True, "", 100, 3)


def submission(code: dict[str, Any] = BUNDLE, phase: str = "practice", **more: Any) -> SubmissionView:
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": phase, "code": code}
    base = SubmissionView(
        uid=UID,
        namespace="team-a",
        name="first",
        generation=1,
        resource_version="1",
        created_at=START,
        deleting=False,
        finalizers=(names.FINALIZER,),
        spec=SubmissionSpec.model_validate(spec),
        status=SubmissionStatus(),
    )
    return replace(base, **more)


def competition(
    usage: TeamUsageStatus | None = None,
    images: tuple[str, ...] = (),
    own: dict[str, str] | None = None,
    **phase: Any,
) -> CompetitionView:
    practice = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 30}, **phase}
    spec = {"phases": [practice], "limits": {"perDay": 1}, "images": {"allowed": images, **(own or {})}}
    used = {"team-a": usage} if usage else {}
    return CompetitionView(
        "comp", "cup", "u", CompetitionSpec.model_validate(spec), CompetitionStatus(), used
    )


def judge(
    view: SubmissionView, where: CompetitionView | None, facts: Facts, *datasets: DatasetView, after: int = 0
) -> Decision:
    now = START + timedelta(seconds=after)
    return reconcile(view, where, {d.name: d for d in datasets}, (), (), facts, SETTINGS, now)


TEAM = Facts(team_member=True)
COUNTED = TeamUsageStatus(total=1, day="2026-01-05", today=1, settling=(UID,))
LATER, EARLIER = START + timedelta(hours=1), START - timedelta(hours=1)

REJECTED = [
    ("Invalid", submission(spec=None, invalid="code: missing"), competition(), TEAM, "code: missing"),
    ("PhaseMissing", submission(phase="final"), competition(), TEAM, "practice"),
    ("PhaseNotOpen", submission(), competition(opensAt=LATER), TEAM, "2026-01-05T13:00:00Z"),
    ("PhaseClosed", submission(), competition(closesAt=EARLIER), TEAM, "2026-01-05T11:00:00Z"),
    ("ImageNotAllowed", submission(OWN), competition(), TEAM, "model.py"),
    ("ImageNotAllowed", submission(OWN), competition(images=("other/",)), TEAM, "other/"),
    ("ImageNotAllowed", submission(OWN), competition(images=("re", "reg/tea", "reg/team/x@sha256:b")), TEAM, "reg/tea"),
    ("FrameworkMissing", submission({**BUNDLE, "framework": "torch"}), competition(), TEAM, "tensorflow, numpy"),
    ("QuotaExceeded", submission(), competition(COUNTED.model_copy(update={"settling": ("other",)})), TEAM, "2026-01-06"),
    ("QuotaExceeded", submission(), competition(), replace(TEAM, usage_refused=QuotaRefusal("total", "All used.")), "All used."),
    ("DigestMismatch", submission(), competition(), replace(TEAM, code=CodeFact(False, reason="DigestMismatch", message="Upload it again.")), "Upload"),
]  # fmt: skip


def test_a_framework_is_offered_by_the_operators_images_or_by_the_competitions() -> None:
    torch = submission({**BUNDLE, "framework": "torch"})
    offered = replace(SETTINGS, frameworks=("tensorflow", "numpy", "torch"))
    own = competition(own={"ingestionTorch": "reg/torch@sha256:1"})
    for where, settings in ((competition(), offered), (own, SETTINGS)):
        outcome = reconcile(torch, where, {"ds": READY}, (), (), TEAM, settings, START)
        assert isinstance(outcome.actions[0], AdmitCode)
    other = submission({**BUNDLE, "framework": "tensorflow1"})
    refused = reconcile(other, own, {"ds": READY}, (), (), TEAM, SETTINGS, START)
    assert refused.status.cause == "FrameworkMissing"
    told = find_condition(refused.status.conditions, "Admitted")
    assert told is not None
    assert "only for tensorflow, numpy, torch. Apply it with one of these" in told.message


@pytest.mark.parametrize(("reason", "view", "where", "facts", "remedy"), REJECTED)
def test_rejected_at_once_with_a_remedy(
    reason: str, view: SubmissionView, where: CompetitionView, facts: Facts, remedy: str
) -> None:
    outcome = judge(view, where, facts, READY)
    found = find_condition(outcome.status.conditions, "Admitted")
    assert outcome.status.phase == "Rejected"
    assert outcome.status.cause == reason
    assert found is not None
    assert (found.status, found.reason) == ("False", reason)
    assert remedy in found.message
    again = judge(replace(view, status=outcome.status), where, facts, READY, after=9999)
    assert (again.status, again.actions, again.requeue_at) == (outcome.status, (), None)


@pytest.mark.parametrize(
    ("reason", "where", "facts"),
    [
        ("CompetitionMissing", None, TEAM),
        ("NotATeam", competition(), Facts(team_member=False)),
        ("CodeMissing", competition(), replace(TEAM, code=CodeFact(False, reason="CodeMissing", wait=True))),
    ],
)
def test_what_may_come_a_moment_later_is_waited_for(
    reason: str, where: CompetitionView | None, facts: Facts
) -> None:
    first = judge(submission(), where, facts, READY)
    assert (first.status.phase, first.status.cause) == ("", reason)
    assert first.requeue_at is not None
    assert START < first.requeue_at <= START + timedelta(seconds=60)
    waiting = submission(status=first.status)
    assert judge(waiting, where, facts, READY, after=59).status == first.status
    assert judge(waiting, where, facts, READY, after=60).status.phase == "Rejected"
    assert judge(waiting, competition(), TEAM, READY, after=60).actions[0] == AdmitCode(536870912, 1)


def test_code_that_is_waited_for_is_looked_for_again() -> None:
    facts = replace(TEAM, code=CodeFact(False, reason="CodeMissing", message="", wait=True))
    outcome = judge(submission(), competition(), facts, READY)
    assert AdmitCode(536870912, 1) in outcome.actions
    assert outcome.requeue_at == START + timedelta(seconds=5)


PERMIT = UploadPermit(
    url="http://store/uploads",
    fields=(FormField(name="key", value="k"),),
    bytes_at_most=100,
    expires_at=START + timedelta(hours=1),
)


def missing(at: int, permit: UploadPermit | None = PERMIT) -> Facts:
    """A bundle that was not there ``at`` seconds after the start."""
    looked_at = START + timedelta(seconds=at)
    return replace(TEAM, code=CodeFact(False, wait=True, permit=permit, looked_at=looked_at))


def said(outcome: Decision) -> str:
    found = find_condition(outcome.status.conditions, "Admitted")
    assert found is not None
    return found.message


def test_a_bundle_is_waited_for_by_its_permit_and_no_longer() -> None:
    first = judge(submission(), competition(), missing(0), READY)
    assert (first.status.phase, first.status.cause) == ("", "UploadAwaited")
    assert first.status.upload == PERMIT
    assert "by 13:00 UTC with `alcove upload first FOLDER`." in said(first)
    assert not [action for action in first.actions if isinstance(action, AdmitCode)], (
        "it was looked for just now"
    )
    assert first.requeue_at == START + timedelta(seconds=2)
    assert AdmitCode(536870912, 1) in judge(submission(), competition(), missing(0), READY, after=2).actions
    waiting = submission(status=first.status)
    assert judge(waiting, competition(), missing(3590), READY, after=3599).status == first.status
    late = judge(waiting, competition(), missing(3601), READY, after=3601)
    assert (late.status.phase, late.status.cause, late.status.upload) == ("Rejected", "CodeMissing", None)
    assert "was not uploaded within an hour. No quota is used up." in said(late)


def test_a_bundle_is_not_given_up_while_nobody_could_look() -> None:
    """What came at the last moment is in the store, which has been away since."""
    waiting = submission(status=judge(submission(), competition(), missing(0), READY).status)
    away = judge(waiting, competition(), missing(3590), READY, after=7200)
    assert away.status.phase == ""
    assert away.requeue_at is not None
    came = replace(TEAM, code=CodeFact(True, sha256=CODE))
    taken = judge(waiting, competition(), came, READY, after=7200)
    assert isinstance(taken.actions[0], CountUsage)


def test_an_admitted_submission_shows_no_permit() -> None:
    waiting = submission(status=judge(submission(), competition(), missing(0), READY).status)
    counted = competition(COUNTED)
    asked = replace(TEAM, code=CodeFact(True, sha256=CODE), queue_asked_at=START)
    admitted = judge(waiting, counted, asked, READY, after=1)
    assert (admitted.status.phase, admitted.status.upload) == ("Queued", None)


def test_without_a_free_permit_it_waits_for_one() -> None:
    first = judge(submission(), competition(), missing(0, None), READY)
    assert (first.status.phase, first.status.cause, first.status.upload) == ("", "UploadWaits", None)
    assert (
        AdmitCode(536870912, 1)
        in judge(submission(), competition(), missing(0, None), READY, after=2).actions
    )
    waiting = submission(status=first.status)
    assert judge(waiting, competition(), missing(3500, None), READY, after=3500).status.phase == ""


def test_who_has_used_their_quota_gets_no_permit() -> None:
    used = competition(COUNTED.model_copy(update={"settling": ("other",)}))
    outcome = judge(submission(), used, TEAM, READY)
    assert not [action for action in outcome.actions if isinstance(action, AdmitCode)]


def test_what_only_the_organizer_can_mend_is_waited_for_without_end() -> None:
    outcome = judge(submission(), competition(), TEAM, after=0)
    assert (outcome.status.phase, outcome.status.cause) == ("", "DatasetsMissing")
    assert judge(submission(status=outcome.status), competition(), TEAM, after=10**6).status.phase == ""
    twice = competition(datasets=["ds", "ds2"])
    double = judge(submission(), twice, TEAM, READY, replace(READY, name="ds2"))
    assert double.status.cause == "AliasesNotUnique"


def test_the_way_in() -> None:
    asks = judge(submission(finalizers=()), competition(), TEAM, READY)
    assert isinstance(asks.actions[0], AdmitCode)
    accepted = replace(TEAM, code=CodeFact(True, CODE, 10))
    counts = judge(submission(finalizers=()), competition(), accepted, READY)
    assert counts.actions == (AddFinalizer(), CountUsage("team-a", "practice", UID)), (
        "nothing is counted before it"
    )
    assert asks.status == counts.status == submission().status, "what passes in a moment is no write"
    told = replace(accepted, queue={"digits": QueuePlace(2, "all places are taken")})
    admitted = judge(submission(), competition(COUNTED), told, READY).status
    assert (admitted.phase, admitted.code_sha256, admitted.progress) == ("Queued", CODE, "0/1")
    said = "Place 2 in the queue: all places are taken."
    assert [(run.dataset, run.message) for run in admitted.runs] == [("digits", said)]
    waits = judge(submission(status=admitted), competition(COUNTED), told, READY)
    assert (waits.status, waits.fenced) == (admitted, False), "the first write says all that there is to say"


def test_one_write_admits_and_says_what_the_queue_says() -> None:
    accepted = replace(TEAM, code=CodeFact(True, CODE, 10))
    asks = judge(submission(), competition(COUNTED), accepted, READY)
    assert (asks.status, asks.actions) == (submission().status, ())
    assert asks.coming is not None
    assert [(run.dataset, run.attempt) for run in asks.coming.runs] == [("digits", 0)], (
        "what the queue counts"
    )
    granted = judge(
        submission(), competition(COUNTED), replace(accepted, granted=frozenset({"digits"})), READY
    )
    assert (granted.status.phase, granted.status.runs[0].attempt, granted.fenced) == ("Running", 1, True)
    assert isinstance(granted.actions[0], CreateRun)
    asked = replace(accepted, queue_asked_at=START)
    assert asks.requeue_at is not None
    assert START < asks.requeue_at <= START + timedelta(seconds=1)
    late = judge(submission(), competition(COUNTED), asked, READY, after=1).status
    assert (late.phase, late.runs[0].message) == ("Queued", "Waiting for a place.")
    unready = judge(submission(), competition(COUNTED), accepted, replace(READY, ready=None)).status
    assert unready.phase == "Queued", "the queue says nothing of it"


def test_what_holds_the_way_in_up_is_shown() -> None:
    asked = replace(TEAM, code_asked_at=START)
    early = judge(submission(finalizers=()), competition(), asked, READY)
    assert early.status == submission().status
    assert early.requeue_at is not None
    late = judge(submission(finalizers=()), competition(), asked, READY, after=1)
    assert (late.status.cause, late.requeue_at) == ("CheckingCode", None), "and the next turn is its answer's"
    assert START < early.requeue_at <= START + timedelta(seconds=1)
    accepted = replace(TEAM, code=CodeFact(True, CODE, 10))
    counts = judge(submission(), competition(), accepted, READY)
    assert (counts.status.cause, counts.fenced) == ("Counting", True)
    assert isinstance(counts.actions[0], CountUsage)


def test_nothing_is_admitted_without_the_finalizer() -> None:
    accepted = replace(TEAM, code=CodeFact(True, CODE, 10), granted=frozenset({"digits"}))
    counted = judge(submission(finalizers=()), competition(COUNTED), accepted, READY)
    assert (counted.actions, counted.status.phase) == ((AddFinalizer(),), "")
    admitted = judge(submission(), competition(COUNTED), accepted, READY).status
    again = judge(submission(status=admitted, finalizers=()), competition(COUNTED), accepted, READY)
    assert again.actions == (AddFinalizer(),), "whoever has taken it off"
    rejected = judge(submission(phase="final", finalizers=()), competition(), TEAM, READY)
    assert rejected.status.phase == "Rejected"
    assert not [action for action in rejected.actions if isinstance(action, AddFinalizer)]


@pytest.mark.parametrize("allowed", ["reg", "reg/team", "reg/team/", "reg/team/x", OWN["image"]["reference"]])
def test_an_image_of_ones_own_needs_no_copy_of_code(allowed: str) -> None:
    where = competition(images=(allowed,))
    assert isinstance(judge(submission(OWN), where, TEAM, READY).actions[0], CountUsage)


def test_a_dataset_that_is_not_ready_burns_nothing() -> None:
    accepted = replace(TEAM, code=CodeFact(True, CODE, 10))
    admitted = judge(submission(), competition(COUNTED), accepted, READY).status
    broken = replace(READY, ready=False, reason="The solution has 3 rows, not 100.")
    granted = replace(accepted, granted=frozenset({"digits"}))
    outcome = judge(submission(status=admitted), competition(COUNTED), granted, broken)
    (run,) = outcome.status.runs
    assert (run.phase, run.attempt) == ("Queued", 0)
    assert "digits is not ready" in run.message
    assert "3 rows" in run.message
    assert not [a for a in outcome.actions if a.key.startswith("run/")]
