"""When a submission is scored, tried again and given up on, and how often its live curve is shown."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alcove_api.run_documents import commit_head
from alcove_operator.core import names, parse_objects, scoring, scoring_retries
from alcove_operator.core.scoring import CURVE_PAUSE
from alcove_scorer.curves import Point, resolve_rules
from alcove_scorer.disclosure import limit_curve
from tests.unit.operator_core import scorer
from tests.unit.operator_core.cluster import UID, Cluster
from tests.unit.operator_core.test_reconcile_paths import KINDS, STEPS, check_history, play

FATES = st.lists(st.sampled_from(("ok", "fault", "damaged")), min_size=1, max_size=7)
SECRET = "5" * 64


def status(cluster: Cluster) -> dict[str, Any]:
    assert cluster.submission is not None
    return dict(cluster.submission["status"])


def scored(cluster: Cluster) -> dict[str, Any]:
    return next((c for c in status(cluster)["conditions"] if c["type"] == "Scored"), {})


def expected(fates: list[str]) -> tuple[bool, int]:
    """Whether it gets scored in the end, and how many tries that takes."""
    seen = [fates[min(number, len(fates)) - 1] for number in range(1, scoring_retries.MAX_SCORER_JOBS + 1)]
    last = next((n for n, fate in enumerate(seen, 1) if fate != "fault"), scoring_retries.MAX_SCORER_JOBS)
    return seen[last - 1] == "ok", last


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fates=FATES, steps=st.lists(STEPS, max_size=40), feedback=st.sampled_from(("live", "final", "none")))
@example(["fault"], [], "final")
@example(["fault", "damaged", "ok"], [], "live")
def test_what_may_pass_is_tried_again_a_bounded_number_of_times(
    fates: list[str], steps: list[tuple[str, object]], feedback: str
) -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback=feedback, scored=tuple(fates))
    for step in steps:
        play(cluster, step)
    cluster.settle()
    check_history(cluster)
    good, number = expected(fates)
    # An old view may make the Job of a try once more; it never makes a later one.
    assert {int(name.split("-")[3]) if name.count("-") == 3 else 1 for name in cluster.scorer_jobs} == set(
        range(1, number + 1)
    )
    assert status(cluster)["phase"] == ("Done" if good else "Scoring")
    assert bool(cluster.jobs) != good, "a Job that failed stays for the organizer to look at"
    if good:
        return
    assert (scored(cluster)["status"], scored(cluster)["reason"]) == ("False", "ScoringFailed")
    (job,) = cluster.jobs
    assert (job in scored(cluster)["message"]) == (cluster.now >= reveal(cluster))
    # Deleting it is the organizer's word to try again, at once.
    cluster.scored, before = ("ok",), cluster.now
    cluster._delete(job)
    cluster.settle()
    assert status(cluster)["phase"] == "Done"
    assert cluster.now - before < scoring_retries.FIRST_PAUSE


def reveal(cluster: Cluster) -> Any:
    return cluster.spec.phases[0].reveals_at or cluster.now


def test_tries_come_further_and_further_apart() -> None:
    cluster = Cluster({"d0": ["finished"]}, scored=("fault",))
    at = []
    for _ in range(4000):
        cluster.deliver(KINDS)
        cluster.plan()
        known = len(cluster.scorer_jobs)
        cluster.reconcile()
        at += [cluster.now] * (len(cluster.scorer_jobs) - known)
        cluster.controllers()
        cluster.kubelet(0)
        cluster.wait(1)
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert len(at) == scoring_retries.MAX_SCORER_JOBS
    for number, pause in enumerate(pauses):
        assert pause >= scoring_retries.FIRST_PAUSE * 2**number


def test_the_end_shows_no_other_snapshots_than_the_live_curve_did() -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback="live")
    cluster.settle()
    (result,) = cluster.scores.values()
    points = [Point(i, point.t, point.score) for i, point in enumerate(result.runs[0].points)]
    feedback = cluster.spec.phases[0].feedback
    live = limit_curve(
        points, resolve_rules(result.budget_seconds), feedback.decimals, feedback.max_snapshots
    )
    assert 0 < len(live.points) < len(points)
    (run,) = status(cluster)["runs"]
    assert run["curve"] == [{"t": point.seconds, "score": point.score} for point in live.points]


@pytest.mark.parametrize("feedback", ["live", "final", "none"])
def test_a_report_has_the_output_also_where_it_is_made_before_the_reveal(feedback: str) -> None:
    """The team gets the page from the reveal on; until then it is the organizer's."""
    cluster = Cluster({"d0": ["finished"]}, feedback=feedback)
    cluster.settle()
    assert cluster.requests
    assert all(request.show_output for request in cluster.requests.values())
    assert min(cluster.published) >= (reveal(cluster) if feedback == "none" else cluster.written_at[0])


@pytest.mark.parametrize("feedback", ["final", "none"])
def test_a_solutions_digest_is_never_shown(feedback: str) -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback=feedback, scored=("damaged",))
    cluster.scorer_says = f"solutions/{SECRET} is missing from the store"
    cluster.settle()
    told = [c["message"] for s in cluster.history for c in s["conditions"] if c["type"] == "Scored"]
    assert told
    assert not any(SECRET in message for message in told)
    before = [
        c["message"]
        for at, s in zip(cluster.written_at, cluster.history, strict=True)
        for c in s["conditions"]
        if c["type"] == "Scored" and at < reveal(cluster)
    ]
    assert not any("solutions" in message for message in before)


def test_scoring_again_that_fails_is_said_beside_the_score_that_stands() -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback="final")
    cluster.settle()
    assert scored(cluster)["message"] == "Scored."
    first = status(cluster)
    cluster.scored = ("damaged",)
    cluster.spec = cluster.spec.model_copy(
        update={"scoring": cluster.spec.scoring.model_copy(update={"scheme": "autodl"})}
    )
    cluster.settle()
    assert scored(cluster)["status"] == "True"
    assert "Scoring failed" in scored(cluster)["message"]
    assert status(cluster)["runs"] == first["runs"]
    assert status(cluster)["scoringDigest"] == first["scoringDigest"]
    assert names.AGAIN in next(iter(cluster.jobs.values()))["metadata"]["labels"]


def test_what_retention_has_left_without_predictions_keeps_its_score() -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback="final")
    cluster.settle()
    first = status(cluster)
    assert cluster.submission is not None
    cluster.submission["status"]["pruned"] = {"snapshots": "2026-12-24T10:00:00Z"}
    asked = len(cluster.requests)
    cluster.spec = cluster.spec.model_copy(
        update={"scoring": cluster.spec.scoring.model_copy(update={"scheme": "autodl"})}
    )
    cluster.settle()
    assert len(cluster.requests) == asked, "no scorer would find anything"
    assert (scored(cluster)["status"], scored(cluster)["reason"]) == ("True", "Shown")
    assert "deleted by the competition's retention on 2026-12-24" in scored(cluster)["message"]
    assert status(cluster)["runs"] == first["runs"]
    assert status(cluster)["scoringDigest"] == first["scoringDigest"]


def held_back() -> Cluster:
    """Scored long before the reveal, by an operator that has been started again since."""
    cluster = Cluster({"d0": ["finished"]}, feedback="none")
    for _ in range(200):
        play(cluster, ("round", None))
        if cluster.history and scored(cluster).get("reason") == "HeldBack":
            break
        cluster.controllers()
        cluster.kubelet(0)
        cluster.wait(1)
    assert cluster.now < reveal(cluster)
    cluster._restart()
    return cluster


def test_what_is_held_back_is_fixed_when_it_is_scored() -> None:
    """Heads, score and pages: what lies in the store at the reveal is no evidence of what lay there before."""
    cluster = held_back()
    (result,) = cluster.scores.values()
    fixed = {"scoreSha256": result.digest(), "pagesSha256": cluster.pages_sha256}
    assert {name: status(cluster)[name] for name in fixed} == fixed
    assert status(cluster)["runs"][0]["headCommitment"] == commit_head("a" * 64, "e" * 64)
    assert status(cluster)["runs"][0]["head"] == ""
    cluster.scores[result.scoring_digest] = result.replace(t0_seconds=2)
    cluster.pages_sha256 = "0" * 64
    cluster.settle()
    assert scored(cluster)["reason"] == "Shown"
    assert {name: status(cluster)[name] for name in fixed} == fixed
    assert status(cluster)["runs"][0]["headCommitment"] == commit_head("a" * 64, "e" * 64)


def test_nothing_that_can_be_tried_is_shown_before_the_reveal() -> None:
    """A score without the solution's digest has nothing in it that only the organizer knows."""
    cluster = held_back()
    (result,) = cluster.scores.values()
    bare = result.replace(runs=tuple(run.replace(solution_sha256=None) for run in result.runs))
    cluster.scores[result.scoring_digest] = bare
    assert cluster.submission is not None
    cluster.submission["status"] |= {"scoreSha256": "", "pagesSha256": "", "scoringDigest": ""}
    cluster.submission["status"]["conditions"] = []
    for _ in range(50):
        play(cluster, ("round", None))
        cluster.controllers()
    assert (status(cluster)["scoreSha256"], status(cluster)["pagesSha256"]) == ("", "")


def test_scores_by_earlier_settings_are_remembered() -> None:
    cluster = Cluster({"d0": ["finished"]})
    cluster.settle()
    digests = []
    for scheme in ("hackathon", "autodl", "hackathon"):
        scoring = cluster.spec.scoring.model_copy(update={"scheme": scheme})
        cluster.spec = cluster.spec.model_copy(update={"scoring": scoring})
        cluster.settle()
        digests.append((status(cluster)["scoringDigest"], status(cluster)["scoreSha256"]))
    first, second, again = digests
    assert first == again
    known = [(one["scoringDigest"], one["scoreSha256"]) for one in status(cluster)["earlierScores"]]
    assert known == [second]


def test_what_was_held_back_and_is_gone_at_the_reveal_is_scored_anew() -> None:
    cluster = held_back()
    (lost,) = cluster.scores
    cluster.scores.clear()
    cluster.settle()
    assert list(cluster.scores) == [lost]
    assert (scored(cluster)["reason"], scored(cluster)["message"]) == ("Shown", "Scored.")
    assert status(cluster)["runs"][0]["alc"] is not None
    assert not cluster.jobs


def test_what_was_held_back_and_cannot_be_scored_anew_is_said_at_the_reveal() -> None:
    cluster = held_back()
    cluster.scores.clear()
    cluster.scored = ("damaged",)
    cluster.settle()
    assert (scored(cluster)["status"], scored(cluster)["reason"]) == ("True", "HeldBack")
    assert scored(cluster)["message"].startswith("It cannot be shown yet. Scoring failed")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(("snapshot", "turn", "both", "jobs")), st.integers(0, 3)), max_size=60)
)
def test_a_live_curve_is_written_at_most_every_two_seconds(moves: list[tuple[str, int]]) -> None:
    cluster = running()
    for move, seconds in moves:
        cluster.now += timedelta(seconds=seconds)
        if move in ("snapshot", "both"):
            scorer.snapshot(cluster, "d0")
        if move in ("turn", "both"):
            cluster.deliver(KINDS)
            cluster.reconcile()
        if move == "jobs":  # an event about something else: another turn, at once
            cluster.reconcile()
    check_pace(cluster)


def test_a_new_snapshot_is_shown_within_a_few_seconds() -> None:
    cluster = running()
    shown = []
    for second in range(40):
        if second % 3 == 0:
            scorer.snapshot(cluster, "d0")
        for _ in range(3):
            cluster.deliver(KINDS)
            cluster.reconcile()
        run = status(cluster)["runs"][0]
        shown.append((second // 3 + 1) - run["snapshots"])
        cluster.now += timedelta(seconds=1)
    assert set(shown) <= {0, 1}, "never more than one snapshot behind"
    late = max(len(list(group)) for behind, group in groupby(shown) if behind)
    assert timedelta(seconds=late) <= CURVE_PAUSE
    check_pace(cluster)


def running() -> Cluster:
    """Up to the point where the run goes on and the scorer follows it."""
    cluster = Cluster({"d0": ["finished"]})
    for _ in range(40):
        play(cluster, ("round", None))
        if cluster.scorer_jobs:
            break
        if not cluster.pods or cluster.pods[0].stage < 3:
            cluster.kubelet(0)
    assert UID[:8] in cluster.scorer_jobs[0]
    assert status(cluster)["runs"][0]["phase"] == "Running"
    return cluster


def run_until_running(cluster: Cluster) -> None:
    """Up to the point where all runs that have a place go on."""
    for _ in range(40):
        play(cluster, ("round", None))
        for number, pod in enumerate(cluster.pods):
            if pod.stage < 3:
                cluster.kubelet(number)
    cluster.deliver(KINDS)
    cluster.reconcile()


def test_the_scorer_is_there_before_the_last_budget_can_end_and_not_much_earlier() -> None:
    cluster = Cluster({"d0": ["finished"], "d1": ["finished"]}, feedback="final")
    run_until_running(cluster)
    assert [run["phase"] for run in status(cluster)["runs"]] == ["Running", "Running"]
    assert cluster.scorer_jobs == []
    ends = parse_objects.pod_view(cluster.pods[1].raw).main
    assert ends is not None
    assert ends.started_at is not None
    asked = ends.started_at + timedelta(seconds=scorer.BUDGET) - scoring.HEAD_START
    assert cluster.requeue_at == asked
    cluster.now = asked
    play(cluster, ("round", None))
    assert len(cluster.scorer_jobs) == 1
    cluster.settle()
    assert len(cluster.scorer_jobs) == 1
    assert status(cluster)["phase"] == "Done"


def test_no_scorer_waits_beside_a_run_that_has_no_place_yet() -> None:
    cluster = Cluster({"d0": ["finished"], "d1": ["finished"]}, feedback="final", capacity=1)
    run_until_running(cluster)
    cluster.now += timedelta(seconds=scorer.BUDGET)
    play(cluster, ("round", None))
    assert sorted(run["phase"] for run in status(cluster)["runs"]) == ["Queued", "Running"]
    assert cluster.scorer_jobs == []


@pytest.mark.parametrize("feedback", ["final", "live"])
def test_a_score_is_shown_once_it_is_in_the_store_though_its_job_is_not_complete(feedback: str) -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback=feedback)
    run_until_running(cluster)
    for _ in range(10):
        cluster.kubelet(0)
        settle_but_for_jobs(cluster)
    (name,) = cluster.scorer_jobs
    assert status(cluster)["phase"] == "Scoring"
    assert cluster.requeue_at is not None
    assert timedelta() < cluster.requeue_at - cluster.now <= timedelta(seconds=2)
    assert not scored(cluster), "nothing is wrong yet"
    scorer.score(cluster, name, cluster.jobs[name])
    del cluster.jobs[name]["status"]
    settle_but_for_jobs(cluster)
    assert status(cluster)["phase"] == "Done"
    assert status(cluster)["pagesSha256"] == cluster.pages_sha256


def test_a_result_that_does_not_come_is_looked_for_less_and_less_often() -> None:
    cluster = Cluster({"d0": ["finished"]}, feedback="final")
    run_until_running(cluster)
    for _ in range(10):
        cluster.kubelet(0)
        settle_but_for_jobs(cluster)
    for minutes in (1, 10):
        cluster.now += timedelta(minutes=minutes)
        settle_but_for_jobs(cluster)
        assert cluster.requeue_at is not None
        assert cluster.requeue_at - cluster.now >= timedelta(minutes=minutes) / 10


def settle_but_for_jobs(cluster: Cluster) -> None:
    """The operator goes on, and neither the Job controller nor the scorer."""
    for _ in range(4):
        cluster.deliver(KINDS)
        cluster.plan()
        cluster.reconcile()


def check_pace(cluster: Cluster) -> None:
    last, curve = None, None
    for at, written in zip(cluster.written_at, cluster.history, strict=True):
        now = [run.get("curve") for run in written["runs"]] if "runs" in written else None
        if now != curve and any(now or ()):
            assert last is None or at - last >= CURVE_PAUSE
            last = at
        curve = now


@pytest.mark.parametrize(
    ("fate", "refused", "cause", "message"),
    [
        ("nothing", (), "NoPredictions", "It saved no prediction: write .npy or .predict files to $ALCOVE_OUT."),
        ("nothing", ("2 rows: expected 4",), "NoPredictions",
         "The one file that it saved was refused: 2 rows: expected 4."),
        ("finished", ("2 rows.", "late"), "NoPredictions",
         "All 2 files that it saved were refused, the first: 2 rows."),
        ("exit", ("2 rows", "late", "late"), "ExitCode",
         "What it had saved counts. All 3 files that it saved were refused, the first: 2 rows."),
    ],
)  # fmt: skip
def test_a_run_without_a_score_says_how_many_files_were_refused_and_why(
    fate: str, refused: tuple[str, ...], cause: str, message: str
) -> None:
    cluster = Cluster({"d0": [fate]}, refused={"d0": refused})
    cluster.settle()
    (run,) = status(cluster)["runs"]
    assert (run["phase"], run["cause"], run["chargedTo"]) == ("Failed", cause, "Participant")
    assert message in run["message"]


@pytest.mark.parametrize("feedback", ["final", "none"])
def test_where_no_run_has_a_score_the_submission_is_not_scored(feedback: str) -> None:
    cluster = Cluster({"d0": ["nothing"], "d1": ["nothing"]}, feedback=feedback)
    cluster.settle()
    complete = next(c for c in status(cluster)["conditions"] if c["type"] == "Complete")
    assert (complete["reason"], scored(cluster)["status"]) == ("NoRunSucceeded", "False")
    assert scored(cluster)["reason"] == scoring.NO_SCORE
    assert all(run["startedAt"] and run["message"] for run in status(cluster)["runs"]), "shown at the reveal"
    told = {
        (c["status"], c["reason"])
        for at, s in zip(cluster.written_at, cluster.history, strict=True)
        for c in s["conditions"]
        if c["type"] == "Scored" and feedback == "none" and at < reveal(cluster)
    }
    assert told == ({("False", scoring.HELD_BACK)} if feedback == "none" else set())
