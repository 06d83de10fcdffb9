"""The reconciler under every order, loss and repetition of events, and a crash after any action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alcove_api.run_names import name_run
from alcove_operator.core import actions, model, names, parse_objects
from alcove_operator.core.run_ends import HIDDEN
from alcove_operator.core.runs import count_retries
from tests.unit.operator_core import scorer
from tests.unit.operator_core.cluster import FATES, FATES_IN_KUEUE, NEVER_WENT, START, UID, Cluster

KINDS = ("submission", "competition", "jobs", "pods")
ENDED = ("Done", "Failed", "Rejected")

STEPS = st.one_of(
    st.tuples(st.just("deliver"), st.sampled_from(KINDS)),
    st.tuples(st.just("reconcile"), st.none()),
    st.tuples(st.just("crash"), st.integers(0, 6)),
    st.tuples(st.just("plan"), st.none()),
    st.tuples(st.just("controllers"), st.none()),
    st.tuples(st.just("kubelet"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from((1, 31, 200, 1000))),
    st.tuples(st.just("round"), st.none()),
    st.tuples(st.just("snapshot"), st.integers(0, 2)),
    st.tuples(
        st.just("away"),
        st.sampled_from(("store_up", "competition_there", "datasets_there", "datasets_ready")),
    ),
)


def scenarios(fates: Mapping[str, object]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(st.sampled_from(sorted(fates)), min_size=3, max_size=3), min_size=1, max_size=3)


SCENARIO = scenarios(FATES)


ROUND = ("round", None)
OLD_PODS = [*[ROUND] * 5, ("kubelet", 0), ROUND, ("wait", 1000), ("reconcile", None)]
"""The cached pod is much older than the start timeout, while the pod itself has long finished."""
OLD_LIST = [
    *[ROUND] * 5,
    ("kubelet", 0),
    ("deliver", "submission"),
    ("reconcile", None),
    ("deliver", "jobs"),
    ("deliver", "pods"),
    ("wait", 1000),
    ("reconcile", None),
]
"""The same, and a direct list that is as old."""
LIST_BEFORE_THE_POD = [
    *[ROUND] * 4,
    *[("deliver", kind) for kind in KINDS],
    ("plan", None),
    *[("reconcile", None), ("deliver", "submission")] * 2,
    ("controllers", None),
    *[("kubelet", 0)] * 4,
    ("controllers", None),
    ("deliver", "jobs"),
    ("reconcile", None),
]
"""The answer to the Job's creation is lost, so all is listed before there is a pod. It ends at once, and that its Job
has ended is known before it is."""
LONG_IN_KUEUE = [*[ROUND] * 6, ("wait", 1000), *[ROUND] * 2]
ADMITTED_LATE = [*LONG_IN_KUEUE, ("kueue", None), ("deliver", "jobs"), *[("reconcile", None)] * 3]
"""The Job controller has not yet seen that the Job may begin."""
GONE_DATASET = [*[ROUND] * 6, ("wait", 31), *[ROUND] * 6, ("away", "datasets_there"), ROUND]
"""The dataset is taken away between the score and the reveal."""


def play(cluster: Cluster, step: tuple[str, object]) -> None:
    name, argument = step
    if name == "deliver":
        cluster.deliver((str(argument),))
    elif name == "reconcile":
        cluster.reconcile()
    elif name == "crash":
        assert isinstance(argument, int)
        cluster.reconcile(crash_after=argument)
    elif name == "kubelet":
        assert isinstance(argument, int)
        cluster.kubelet(argument)
    elif name == "wait":
        assert isinstance(argument, int)
        cluster.wait(argument)
    elif name == "round":
        cluster.deliver(KINDS)
        cluster.plan()
        cluster.reconcile()
        cluster.controllers()
    elif name == "snapshot":
        assert isinstance(argument, int)
        scorer.snapshot(cluster, sorted(cluster.fates)[argument % len(cluster.fates)])
    elif argument == "competition_there" and not admitted(cluster):
        pass  # It would be rejected, rightly.
    elif name == "away":
        setattr(cluster, str(argument), not getattr(cluster, str(argument)))
    else:
        getattr(cluster, name)()


def admitted(cluster: Cluster) -> bool:
    return cluster.submission is not None and "admittedAt" in cluster.submission.get("status", {})


def expected(
    fates: list[str], attempts: int, causes: Mapping[str, tuple[str, str]] = FATES
) -> tuple[str, str, int, str]:
    """(cause, who pays, attempt, phase) that the run must end with, whatever the path."""
    for attempt, fate in enumerate(fates[:attempts], 1):
        cause, payer = causes[fate]
        if payer != "Platform" or attempt == attempts:
            break
    never = fate in NEVER_WENT
    lost = payer == "Platform" or never or fate == "nothing"
    return cause, payer, attempt, "Failed" if lost else "Done"


def check_history(cluster: Cluster) -> None:
    """What must hold of every status that was ever written."""
    for old, new in zip(cluster.history, cluster.history[1:], strict=False):
        if old.get("phase") in ENDED:
            assert new["phase"] == old["phase"]
        before = {run["dataset"]: run for run in old.get("runs", ())}
        for run in new.get("runs", ()):
            past = before.get(run["dataset"])
            if past is None:
                continue
            assert run["attempt"] >= past["attempt"]
            if run["attempt"] == past["attempt"] and run["podUid"] and past["podUid"]:
                assert run["podUid"] == past["podUid"], "two pods of one attempt"
            if past["phase"] in ("Scoring", "Done", "Failed"):
                assert run["attempt"] == past["attempt"]
                assert run["podUid"] == past["podUid"]
            if past["phase"] in ("Done", "Failed"):
                same = ["phase", "cause", "chargedTo"]
                if past["message"] != HIDDEN:
                    # The reveal of a blind phase shows them.
                    same += ["startedAt", "endedAt"]
                assert [run.get(k) for k in same] == [past.get(k) for k in same]
    for alias, attempt in cluster.created:
        assert 1 <= attempt <= cluster.max_attempts, alias
    runs = len(cluster.fates)
    assert len(set(cluster.created)) <= runs + count_retries(runs, cluster.max_attempts)
    check_feedback(cluster)
    assert 0 <= cluster.usage.total <= 1
    assert 0 <= cluster.usage.today <= 1


def check_feedback(cluster: Cluster) -> None:
    """Over all its attempts, a run shows no more scores than one attempt may."""
    for alias in cluster.fates:
        shown = {
            (point["t"], point["score"])
            for status in cluster.history
            for run in status.get("runs", ())
            if run["dataset"] == alias
            for point in run["curve"]
        }
        assert len(shown) <= cluster.max_snapshots


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    scenario=SCENARIO,
    steps=st.lists(STEPS, max_size=80),
    feedback=st.sampled_from(("live", "final")),
    repeated=st.booleans(),
    old_attempts=st.sampled_from((0, 1, 3)),
)
@example([["nothing", "no-room", "exit"]], OLD_PODS, "final", False, 0)
@example([["nothing", "no-room", "exit"]], OLD_LIST, "final", False, 0)
@example([["finished", "exit", "exit"]], LIST_BEFORE_THE_POD, "final", False, 0)
def test_every_path_ends_the_same(
    scenario: list[list[str]],
    steps: list[tuple[str, object]],
    feedback: str,
    repeated: bool,
    old_attempts: int,
) -> None:
    """``repeated``: the runs are repeats on one dataset; otherwise each is on a dataset of its own.
    ``old_attempts``: of each run, those that an operator of an earlier release began.
    """
    runs = [name_run("d0", i + 1) if repeated else f"d{i}" for i in range(len(scenario))]
    fates = {run: list(fate) for run, fate in zip(runs, scenario, strict=True)}
    cluster = Cluster(fates, feedback=feedback, old_attempts=old_attempts)
    for step in steps:
        play(cluster, step)
    check_ends(cluster, fates, FATES)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    scenario=scenarios(FATES_IN_KUEUE),
    steps=st.lists(st.one_of(STEPS, st.just(("kueue", None))), max_size=80),
)
@example([["finished", "exit", "exit"]], LONG_IN_KUEUE)
@example([["finished", "exit", "exit"]], ADMITTED_LATE)
def test_every_path_ends_the_same_where_kueue_starts_and_evicts(
    scenario: list[list[str]], steps: list[tuple[str, object]]
) -> None:
    fates = {f"d{i}": list(fate) for i, fate in enumerate(scenario)}
    cluster = Cluster(fates, local_queue="gpus")
    for step in steps:
        play(cluster, step)
    check_ends(cluster, fates, FATES_IN_KUEUE)


def check_ends(cluster: Cluster, fates: dict[str, list[str]], causes: Mapping[str, tuple[str, str]]) -> None:
    cluster.settle()
    check_history(cluster)

    assert cluster.submission is not None
    status = cluster.submission["status"]
    ends = {alias: expected(fate, cluster.max_attempts, causes) for alias, fate in fates.items()}
    seen = {r["dataset"]: (r["cause"], r["chargedTo"], r["attempt"], r["phase"]) for r in status["runs"]}
    if sum(end[2] - 1 for end in ends.values()) <= count_retries(len(fates), cluster.max_attempts):
        assert seen == ends
    else:
        # Which of the runs have the last repeats is a matter of time; what ends each of them is not.
        ends = {alias: expected(fate, seen[alias][2], causes) for alias, fate in fates.items()}
        assert seen == ends
        assert sum(end[2] - 1 for end in seen.values()) == count_retries(len(fates), cluster.max_attempts)
    assert status["phase"] == ("Failed" if all(e[3] == "Failed" for e in ends.values()) else "Done")
    assert set(cluster.verdicts) == set(fates)
    assert not cluster.jobs
    assert not [pod for pod in cluster.pods if cluster.alive(pod)]
    team = cluster.usage
    scored = any("alc" in run or run["pointsShown"] for run in status["runs"])
    refund = {(e[1], e[3]) for e in ends.values()} == {("Platform", "Failed")} and not scored
    assert (team.total, team.today, team.settling) == (0 if refund else 1, 0 if refund else 1, ())
    if {e[3] for e in ends.values()} == {"Done"}:
        assert team.compute_seconds == 2 * sum(seconds(run) for run in status["runs"])


def seconds(run: dict[str, str]) -> float:
    start, end = (datetime.fromisoformat(run[k].replace("Z", "+00:00")) for k in ("startedAt", "endedAt"))
    return (end - start).total_seconds()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenario=SCENARIO, before=st.lists(STEPS, max_size=60), after=st.lists(STEPS, max_size=20))
def test_deleting_leaves_nothing_behind(
    scenario: list[list[str]], before: list[tuple[str, object]], after: list[tuple[str, object]]
) -> None:
    cluster = Cluster({f"d{i}": list(fate) for i, fate in enumerate(scenario)})
    for step in before:
        play(cluster, step)
    cluster.cancel()
    for step in after:
        play(cluster, step)
    cluster.settle()
    check_history(cluster)
    assert cluster.submission is None
    assert not cluster.jobs
    assert not [pod for pod in cluster.pods if cluster.alive(pod)]
    if not cluster.competition_missed:
        assert not cluster.usage.settling


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenario=SCENARIO, steps=st.lists(STEPS, max_size=60))
@example([["deadline", "exit", "exit"]], GONE_DATASET)
def test_a_blind_phase_tells_nothing_before_its_reveal(
    scenario: list[list[str]], steps: list[tuple[str, object]]
) -> None:
    cluster = Cluster({f"d{i}": list(fate) for i, fate in enumerate(scenario)}, feedback="none")
    for step in steps:
        play(cluster, step)
    cluster.settle()
    check_history(cluster)
    assert cluster.submission is not None
    reveal = START + timedelta(days=9)
    assert cluster.now >= reveal, "it waits for the reveal by itself"
    for at, status in zip(cluster.written_at, cluster.history, strict=True):
        if at >= reveal:
            break
        assert (status["score"], status["scores"]) == ("", "")
        for run in status.get("runs", ()):
            assert not {"startedAt", "endedAt", "alc", "overshootMs"} & run.keys()
            assert run["snapshots"] == 0
    scored = [r for r in cluster.submission["status"]["runs"] if r["phase"] == "Done"]
    assert all("alc" in r for r in scored if r["cause"] != "NoPredictions")
    assert all(at >= reveal for at in cluster.published), "its report would show what the status hides"
    assert cluster.published or not scored


def test_an_undisturbed_submission_takes_few_writes() -> None:
    cluster = Cluster({"d0": ["finished"], "d1": ["exit"]})
    cluster.settle()
    assert cluster.submission is not None
    status = cluster.submission["status"]
    assert status["phase"] == "Done"
    assert status["progress"] == "2/2"
    assert status["scores"] == "d0 0.12, d1 0.12"
    assert status["cause"] == "ExitCode"
    assert "Last output:\nlast words" in status["runs"][1]["message"]
    assert names.FINALIZER in cluster.submission["metadata"]["finalizers"]
    assert len(cluster.history) <= 12


def test_a_list_from_before_another_operator_saw_the_pod_ends_nothing() -> None:
    """While a Lease goes from one operator to the next, one hears of the other's status before it hears of the pod."""
    cluster = Cluster({"d0": ["finished"]})

    def status_of_run() -> dict[str, Any]:
        assert cluster.submission is not None
        run: dict[str, Any] = cluster.submission["status"]["runs"][0]
        return run

    while not cluster.created:
        cluster.deliver(KINDS)
        cluster.plan()
        cluster.reconcile()
    cluster.deliver(("submission",))
    view = parse_objects.submission_view(cluster.cache["submission"])
    cluster._perform(actions.ListLive(UID), view.status, view.resource_version)
    listed = cluster.facts.live
    assert listed is not None
    own_facts = replace(cluster.facts, live=replace(listed, jobs=frozenset()))
    cluster.controllers()
    cluster.deliver(KINDS)
    cluster.reconcile()
    assert status_of_run()["podUid"]

    cluster.facts = own_facts
    cluster.cache |= {"jobs": [], "pods": []}
    cluster.deliver(("submission",))
    cluster.reconcile()
    assert status_of_run()["cause"] == ""
    cluster.settle()
    assert (status_of_run()["cause"], status_of_run()["attempt"]) == ("Finished", 1)


def test_a_list_from_before_a_pod_was_seen_does_not_say_that_it_is_gone() -> None:
    cluster = Cluster({"d0": ["finished"]})
    while not cluster.jobs:
        play(cluster, ("round", None))
    # The list is asked for before the Job's pod is made, and the watch of Jobs lags behind that of pods.
    cluster.deliver(KINDS)
    view = parse_objects.submission_view(cluster.cache["submission"])
    cluster.facts = replace(
        cluster.facts, live=model.LiveList(frozenset(), {}, cluster.now, view.status.runs)
    )
    cluster.controllers()
    cluster.deliver(("pods",))
    cluster.cache["jobs"] = []
    cluster.reconcile()
    assert cluster.submission is not None
    (run,) = cluster.submission["status"]["runs"]
    assert (run.get("cause", ""), run["attempt"]) == ("", 1)
