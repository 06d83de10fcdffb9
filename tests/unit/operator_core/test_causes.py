"""Why an attempt ended, and who pays: one row for each thing that can be seen."""

# Tables read best with one row a line.
# ruff: noqa: E501

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alcove_api.run_documents import End, RecorderReport, StagingFailure, StagingReport
from alcove_operator.core.causes import Context, find_cause, has_regular_end
from alcove_operator.core.model import ContainerView, JobView, PodView
from alcove_operator.core.stalled_starts import find_stop_cause
from tests.unit.operator_core.cluster import START

LATER = START + timedelta(seconds=40)


def ended(name: str, code: int, reason: str = "", restarts: int = 0) -> ContainerView:
    return ContainerView(
        name,
        started_at=START,
        terminated=True,
        terminated_reason=reason or ("Completed" if code == 0 else "Error"),
        exit_code=code,
        finished_at=START + timedelta(seconds=30),
        restarts=restarts,
    )


def waiting(name: str, reason: str, message: str) -> ContainerView:
    return ContainerView(name, waiting_reason=reason, waiting_message=message)


def report(
    end: str | None,
    *,
    go: bool = True,
    oom: int = 0,
    code: int = 0,
    signal: int = 0,
    away: bool = False,
    full: bool = False,
    flooded: bool = False,
) -> RecorderReport:
    return RecorderReport(
        go_at=START if go else None,
        end=End(cause=end, code=code, signal=signal, ended_ns=1) if end else None,
        snapshots=3,
        refused=0,
        overshoot_ns=0,
        head=None,
        manifest_sha256=None,
        oom_kills=oom,
        store_away=away,
        store_full=full,
        flooded=flooded,
    )


def staging(failed: StagingFailure | None) -> RecorderReport:
    """Before the go. ``failed``: None while it goes on."""
    ended_at = None if failed is None else START
    stages = StagingReport(began_at=START, ended_at=ended_at, failed=failed or "")
    return report(None, go=False).replace(snapshots=0, staging=stages)


def pod(**more: Any) -> PodView:
    base = PodView("p", "u", "j", START, "Failed", node="n1", scheduled_at=START, active_deadline_seconds=300)
    return replace(base, **more)


SEALED = report("finished").model_copy(update={"manifest_sha256": "a" * 64})
CONSTRUCTING = report(None, go=False).model_copy(update={"free_ns": 0})
"""A free constructor was let run, and the go has not come."""
MAIN_KILLED = ended("main", 137)
UNSTAGED = ended("main", 20)
"""The recorder had told the supervisor that there is nothing to run."""
ENDED_LATER = replace(ended("main", 20), finished_at=START + timedelta(seconds=60))
"""Than other containers end."""
AFTER_GO: dict[str, Any] = {"stage": ended("stage", 0)}
RECORDER = ended("recorder", 0)

PRESSURE = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 2146223340, available: 1960176Ki. "
)
INODES = "The node was low on resource: inodes. Threshold quantity: 65536, available: 60211. "
OVER_SHARE = report(None).model_copy(update={"disk_exceeded": True})
MAIN_OVER = "Container main was using 5Gi, request is 1Gi, has larger consumption of ephemeral-storage. "

ROWS: list[tuple[str, PodView | None, str, str]] = [
    ("the pod vanished", None, "PodGone", "Platform"),
    ("finished", pod(main=ended("main", 0), report=report("finished")), "Finished", ""),
    ("store away at the end", pod(main=ended("main", 0), report=report("finished", away=True)), "StoreAway", "Platform"),
    ("store full", pod(main=ended("main", 12), report=report("budget", away=True, full=True)), "StoreFull", "Platform"),
    ("store away at the budget", pod(main=ended("main", 12), report=report("budget", away=True)), "StoreAway", "Platform"),
    ("finished, report lost in the shutdown", pod(main=ended("main", 0), recorder=ended("recorder", 137)), "Finished", ""),
    ("budget", pod(main=ended("main", 12), report=report("budget")), "DeadlineReached", "Participant"),
    ("budget by the exit status alone", pod(main=ended("main", 12)), "DeadlineReached", "Participant"),
    ("budget, a child was OOM-killed before", pod(main=ended("main", 12, "OOMKilled"), report=report("budget", oom=1)), "DeadlineReached", "Participant"),
    ("recorder saw the end of the connection only", pod(main=ended("main", 12), report=report("recorder-saw-eof")), "DeadlineReached", "Participant"),
    ("preempted after its end", pod(main=ended("main", 0), report=report("finished"), disruption="PreemptionByScheduler"), "Finished", ""),
    ("exit code", pod(main=ended("main", 10), report=report("failed", code=1)), "ExitCode", "Participant"),
    ("signal", pod(main=ended("main", 11), report=report("signalled", signal=11)), "Signalled", "Participant"),
    ("kubelet says OOM", pod(main=ended("main", 137, "OOMKilled")), "OutOfMemory", "Participant"),
    ("the cgroup counted an OOM kill", pod(main=ended("main", 11), report=report("signalled", oom=1)), "OutOfMemory", "Participant"),
    ("a child OOM-killed, the program failed of it", pod(main=ended("main", 10), report=report("failed", oom=1)), "OutOfMemory", "Participant"),
    ("killed, nothing explains it", pod(main=MAIN_KILLED, **AFTER_GO), "Signalled", "Participant"),
    ("killed before the go", pod(main=MAIN_KILLED, report=report(None, go=False)), "NeverStarted", "Platform"),
    ("preempted", pod(main=ended("main", 11), report=report("signalled"), disruption="PreemptionByScheduler"), "Preempted", "Platform"),
    ("drained", pod(main=ended("main", 10), report=report("failed"), disruption="EvictionByEvictionAPI"), "Preempted", "Platform"),
    ("failed before it was preempted", pod(main=ended("main", 10), report=report("failed"), disruption="PreemptionByScheduler", disruption_at=LATER), "ExitCode", "Participant"),
    ("taint manager", pod(disruption="DeletionByTaintManager"), "NodeLost", "Platform"),
    ("evicted for node pressure", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED), "Preempted", "Platform"),
    ("evicted for node pressure, main is over its request", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE + MAIN_OVER), "NodePressure", "Participant"),
    ("evicted for node pressure, the recorder is over its request", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE + MAIN_OVER.replace("main", "recorder")), "Preempted", "Platform"),
    ("evicted for node pressure, nobody is over its request", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE), "Preempted", "Platform"),
    ("evicted for node pressure, the program held more than its share", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE, report=OVER_SHARE), "NodePressure", "Participant"),
    ("evicted for node pressure, the program kept to its share", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE, report=report(None)), "Preempted", "Platform"),
    ("evicted for memory pressure, whatever it held on its disk", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE.replace("ephemeral-storage", "memory"), report=OVER_SHARE), "Preempted", "Platform"),
    ("preempted for another reason, whatever it held on its disk", pod(disruption="PreemptionByScheduler", main=MAIN_KILLED, report=OVER_SHARE), "Preempted", "Platform"),
    ("evicted for inodes, whether or not a flood was seen", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=INODES, report=report(None)), "NodePressure", "Participant"),
    ("evicted for inodes, and the recorder had no time for its report", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=INODES), "NodePressure", "Participant"),
    ("evicted for inodes before the go", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=INODES, report=report(None, go=False)), "Preempted", "Platform"),
    ("earlier release, evicted for inodes while staging", pod(reason="Evicted", disruption="TerminationByKubelet", stage=ended("stage", 137), message=INODES), "Preempted", "Platform"),
    ("preempted, whatever its message says", pod(disruption="PreemptionByScheduler", main=MAIN_KILLED, message=PRESSURE + MAIN_OVER), "Preempted", "Platform"),
    ("finished before it was evicted for its use", pod(reason="Evicted", disruption="TerminationByKubelet", main=ended("main", 0), report=report("finished"), message=PRESSURE + MAIN_OVER), "Finished", ""),
    ("evicted for its own disk use", pod(reason="Evicted", message="out exceeds", main=MAIN_KILLED), "DiskOverrun", "Participant"),
    ("deleted from outside", pod(main=ended("main", 11), report=report("signalled"), deleted_at=START), "PodGone", "Platform"),
    ("failed before it was deleted", pod(main=ended("main", 10), report=report("failed"), deleted_at=LATER), "ExitCode", "Participant"),
    ("bad bundle", pod(main=UNSTAGED, recorder=ended("recorder", 1), report=staging("BadBundle")), "BadBundle", "Participant"),
    ("staging fault", pod(main=UNSTAGED, recorder=ended("recorder", 1), report=staging("StagingFault")), "StagingFault", "Platform"),
    ("bad bundle, and then deleted", pod(main=UNSTAGED, recorder=ended("recorder", 1), report=staging("BadBundle"), deleted_at=LATER), "BadBundle", "Participant"),
    ("deleted while staging", pod(main=ended("main", 11), report=staging(None), deleted_at=START), "PodGone", "Platform"),
    ("preempted while staging", pod(main=ended("main", 11), report=staging(None), disruption="PreemptionByScheduler"), "Preempted", "Platform"),
    ("recorder out of memory while staging", pod(main=UNSTAGED, recorder=replace(ended("recorder", 137, "OOMKilled"), restarts=2), report=staging(None)), "RecorderLost", "Platform"),
    ("main killed while staging", pod(main=MAIN_KILLED, report=staging(None)), "NeverStarted", "Platform"),
    ("the node shuts down while it stages", pod(main=ended("main", 11), reason="Terminated", report=staging(None)), "NodeLost", "Platform"),
    ("ended while staging, nothing explains it", pod(main=ended("main", 11), report=staging(None)), "NeverStarted", "Platform"),
    ("a free constructor is signalled", pod(main=ended("main", 11), report=CONSTRUCTING), "Signalled", "Participant"),
    ("deadline while staging", pod(main=ended("main", 11), reason="DeadlineExceeded", report=staging(None)), "NeverStarted", "Platform"),
    ("evicted for inodes while staging", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, report=staging(None), message=INODES), "Preempted", "Platform"),
    ("earlier release, bad bundle", pod(stage=ended("stage", 3)), "BadBundle", "Participant"),
    ("earlier release, staging fault", pod(stage=ended("stage", 4)), "StagingFault", "Platform"),
    ("earlier release, stage out of memory", pod(stage=ended("stage", 137, "OOMKilled")), "StagingFault", "Platform"),
    ("earlier release, deadline while staging", pod(stage=ended("stage", 137), reason="DeadlineExceeded"), "NeverStarted", "Platform"),
    ("backstop after the go", pod(main=MAIN_KILLED, reason="DeadlineExceeded", **AFTER_GO), "DeadlineReached", "Participant"),
    ("recorder gone before the go", pod(main=ended("main", 20), report=report(None, go=False)), "RecorderLost", "Platform"),
    ("recorder crashed, the kubelet says so", pod(main=ended("main", 20), recorder=ended("recorder", 1)), "RecorderLost", "Platform"),
    ("recorder crashed after the end", pod(main=ended("main", 0), recorder=ended("recorder", 1)), "RecorderLost", "Platform"),
    ("recorder restarted", pod(main=ended("main", 20), recorder=ended("recorder", 0, restarts=1)), "RecorderLost", "Platform"),
    ("recorder restarted and lost after a flood", pod(main=ended("main", 20), recorder=ended("recorder", 0, restarts=1), report=report(None, flooded=True)), "RecorderFlooded", "Participant"),
    ("recorder out of memory after a flood", pod(main=ended("main", 20), recorder=ended("recorder", 137, "OOMKilled"), report=report(None, flooded=True)), "RecorderFlooded", "Participant"),
    ("recorder restarted and lost on a disk that the program filled", pod(main=ended("main", 20), recorder=ended("recorder", 0, restarts=1), report=OVER_SHARE), "RecorderFlooded", "Participant"),
    ("recorder's container killed, main was told nothing", pod(main=ENDED_LATER, recorder=ended("recorder", 137), report=report(None)), "RecorderLost", "Platform"),
    ("recorder's container killed before it said anything", pod(main=replace(ENDED_LATER, exit_code=137), recorder=ended("recorder", 137)), "RecorderLost", "Platform"),
    ("recorder's container killed, after a flood", pod(main=ENDED_LATER, recorder=ended("recorder", 137), report=report(None, flooded=True)), "RecorderFlooded", "Participant"),
    ("recorder's container killed with main", pod(main=ended("main", 137), recorder=ended("recorder", 137)), "Signalled", "Participant"),
    ("recorder restarted by its parent", pod(main=ended("main", 20), recorder=RECORDER, report=report(None).replace(restarts=1)), "RecorderLost", "Platform"),
    ("recorder out of memory, the program kept its rate", pod(main=ended("main", 20), recorder=ended("recorder", 137, "OOMKilled", restarts=2), report=report(None)), "RecorderLost", "Platform"),
    ("a flood, and an end in good order", pod(main=ended("main", 12), report=report("budget", flooded=True)), "DeadlineReached", "Participant"),
    ("a flood, and a lost node", pod(disruption="DeletionByTaintManager", report=report(None, flooded=True)), "NodeLost", "Platform"),
    ("recorder said to be lost, nothing confirms it", pod(main=ended("main", 20), recorder=RECORDER, report=report("recorder-saw-eof")), "RecorderUnreachable", "Participant"),
    ("killed in its free constructor", pod(main=MAIN_KILLED, report=CONSTRUCTING), "Signalled", "Participant"),
    ("recorder said to be lost in a free constructor", pod(main=ended("main", 20), recorder=RECORDER, report=CONSTRUCTING), "RecorderUnreachable", "Participant"),
    ("recorder restarted in a free constructor", pod(main=ended("main", 20), recorder=ended("recorder", 0, restarts=1), report=CONSTRUCTING), "RecorderLost", "Platform"),
    ("a flood in a free constructor", pod(main=ended("main", 20), recorder=ended("recorder", 0, restarts=1), report=CONSTRUCTING.model_copy(update={"flooded": True})), "RecorderFlooded", "Participant"),
    ("evicted for inodes in a free constructor", pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=INODES, report=CONSTRUCTING), "NodePressure", "Participant"),
    ("at the pod's deadline in a free constructor", pod(main=MAIN_KILLED, reason="DeadlineExceeded", report=CONSTRUCTING), "DeadlineReached", "Participant"),
    ("node restarted, the runtime lost both", pod(main=ended("main", 255), recorder=ended("recorder", 255), report=report(None)), "NodeLost", "Platform"),
    ("node restarted before the recorder wrote anything", pod(main=ended("main", 255), recorder=ended("recorder", 255)), "NodeLost", "Platform"),
    ("the runtime lost main alone", pod(main=ended("main", 255), recorder=RECORDER, report=report("recorder-saw-eof")), "NodeLost", "Platform"),
    ("node restarted after the end, before all was uploaded", pod(main=ended("main", 0), recorder=ended("recorder", 255), report=report("finished")), "NodeLost", "Platform"),
    ("node restarted after the seal", pod(main=ended("main", 0), recorder=ended("recorder", 255), report=SEALED), "Finished", ""),
    ("a failure, then the node restarted", pod(main=ended("main", 10), recorder=ended("recorder", 255), report=report("failed", code=3)), "ExitCode", "Participant"),
    ("node shut down", pod(reason="NodeShutdown", main=MAIN_KILLED), "NodeLost", "Platform"),
    ("never reported, past its deadline", pod(phase="Running", main=ContainerView("main", running=True, started_at=START)), "NodeLost", "Platform"),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "cause", "payer"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_cause(seen: PodView | None, cause: str, payer: str) -> None:
    found = find_cause(seen, Context())
    assert (found.name, found.charged_to) == (cause, payer)


REJECTED = "Node didn't have enough resource: memory, requested: 3221225472, used: 9, capacity: 10"
"""By the kubelet; it names what the pod asked for, as its messages on evictions do."""
TOLD = [
    pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=PRESSURE + MAIN_OVER),
    pod(
        reason="Evicted", message='Usage of EmptyDir volume "out" exceeds the limit "1Gi".', main=MAIN_KILLED
    ),
    pod(reason="OutOfmemory", message=REJECTED),
]


@pytest.mark.parametrize("seen", TOLD, ids=["pressure", "disk", "rejected"])
def test_what_runs_get_is_in_no_message_where_teams_may_not_know_it(seen: PodView) -> None:
    told, kept_back = find_cause(seen, Context()), find_cause(seen, Context(disclosed=False))
    assert (told.name, told.charged_to) == (kept_back.name, kept_back.charged_to)
    assert re.search(r"\d", told.message)
    assert not re.search(r"\d", kept_back.message)
    assert kept_back.message.endswith(".")


@pytest.mark.parametrize(("own", "payer"), [(True, "Participant"), (False, "Platform")])
def test_who_brought_the_image_bears_that_it_does_not_start(own: bool, payer: str) -> None:
    for seen in (pod(main=ended("main", 21)), pod(main=ended("main", 128, "StartError"))):
        found = find_cause(seen, Context(own_image=own))
        assert (found.name, found.charged_to) == ("CouldNotStart", payer)


TERMINATED = report("signalled", signal=15)
"""Ended at the first nanosecond after the go."""


@pytest.mark.parametrize(
    ("seen", "budget", "cause"),
    [
        (pod(reason="DeadlineExceeded", main=ended("main", 11), report=TERMINATED), 8, "StoppedEarly"),
        (pod(reason="DeadlineExceeded", main=ended("main", 11), report=TERMINATED), 0, "Signalled"),
        (pod(main=ended("main", 11), report=TERMINATED), 8, "Signalled"),
        (pod(reason="DeadlineExceeded", main=ended("main", 11), report=report("signalled", signal=9)), 8, "Signalled"),
        (pod(reason="DeadlineExceeded", main=ended("main", 10), report=report("failed", code=1)), 8, "ExitCode"),
        (pod(reason="DeadlineExceeded", main=MAIN_KILLED, report=report("unknown")), 8, "DeadlineReached"),
    ],
    ids=["budget left", "none left", "no deadline", "killed by itself", "failed before", "nobody knows when"],
)  # fmt: skip
def test_a_pod_that_is_stopped_before_its_budget_is_the_platforms(
    seen: PodView, budget: int, cause: str
) -> None:
    assert find_cause(seen, Context(budget_seconds=budget)).name == cause


def test_a_lost_node_excuses_no_program_that_had_failed_before() -> None:
    lost = Context(lost_nodes=frozenset({"n1"}))
    assert find_cause(pod(main=ended("main", 10), report=report("failed")), lost).name == "ExitCode"
    assert find_cause(pod(main=MAIN_KILLED), lost).name == "NodeLost"


@pytest.mark.parametrize(
    ("seconds", "payer"),
    [(-1, "Platform"), (0, "Participant"), (1, "Participant"), (None, "Participant")],
)
def test_a_node_that_was_short_of_inodes_before_the_go_is_the_platforms(
    seconds: int | None, payer: str
) -> None:
    seen = pod(reason="Evicted", disruption="TerminationByKubelet", main=MAIN_KILLED, message=INODES)
    since = {} if seconds is None else {"n1": START + timedelta(seconds=seconds)}
    assert find_cause(seen, Context(pressed_since=since)).charged_to == payer
    # Who used more than was asked for pays, whatever the node was like before.
    over = replace(seen, message=PRESSURE + MAIN_OVER)
    assert find_cause(over, Context(pressed_since=since)).charged_to == "Participant"


def test_a_full_spool_is_the_platforms_only_while_the_store_is_known_to_be_away() -> None:
    seen = pod(
        reason="Evicted", message='Usage of EmptyDir volume "spool" exceeds the limit', main=MAIN_KILLED
    )
    assert find_cause(seen, Context(store_away=True)).name == "StoreAway"
    assert find_cause(seen, Context()).name == "DiskOverrun"


JOB = JobView("j", "ju", "s", "run", "d", 1, START)
TIMEOUT, PATIENCE = timedelta(seconds=120), timedelta(days=1)
NOT_FOUND = waiting("main", "ErrImagePull", "rpc error: code = NotFound desc = failed to pull: not found")
REGISTRY_AWAY = waiting("main", "ImagePullBackOff", "dial tcp: lookup registry: no such host")
ALONE = timedelta(seconds=30 + 60)
"""After the end of one of them."""


def runs(name: str) -> ContainerView:
    return ContainerView(name, running=True, started_at=START)


STUCK: dict[str, Any] = {"phase": "Pending"}

STOPS: list[tuple[str, PodView | None, bool, tuple[str, str, timedelta] | None]] = [
    ("no pod", None, False, ("NeverStarted", "Platform", TIMEOUT)),
    ("waits for a GPU", pod(**STUCK, scheduled_at=None, unschedulable="Insufficient nvidia.com/gpu"), False, ("NeverStarted", "Platform", PATIENCE)),
    ("pulling", pod(**STUCK), False, ("NeverStarted", "Platform", TIMEOUT)),
    ("own image is not there", pod(**STUCK, main=NOT_FOUND), True, ("ImageNotFound", "Participant", timedelta(0))),
    ("own image, its registry is away", pod(**STUCK, main=REGISTRY_AWAY), True, ("ImageNotFound", "Participant", TIMEOUT)),
    ("our image is not there", pod(**STUCK, main=NOT_FOUND), False, ("ImagePull", "Platform", TIMEOUT)),
    ("our recorder's image, beside an own image", pod(**STUCK, recorder=waiting("recorder", "ErrImagePull", "not found")), True, ("ImagePull", "Platform", TIMEOUT)),
    ("own image cannot be created", pod(**STUCK, main=waiting("main", "CreateContainerError", "no such user")), True, ("CouldNotStart", "Participant", TIMEOUT)),
    ("runs", pod(phase="Running", recorder=runs("recorder"), main=runs("main")), False, None),
    ("the recorder's image is not there, and main waits", pod(phase="Running", recorder=waiting("recorder", "ErrImagePull", "not found"), main=runs("main")), False, ("ImagePull", "Platform", TIMEOUT)),
    ("the recorder is still pulled", pod(phase="Pending", recorder=waiting("recorder", "ContainerCreating", ""), main=runs("main")), False, ("NeverStarted", "Platform", TIMEOUT)),
    ("the recorder ended before it was greeted", pod(phase="Running", recorder=ended("recorder", 2), main=runs("main")), False, ("RecorderLost", "Platform", ALONE)),
    ("main ended before it greeted", pod(phase="Running", recorder=runs("recorder"), main=ended("main", 137)), False, ("NeverStarted", "Platform", ALONE)),
    ("own image of another processor", pod(phase="Running", recorder=runs("recorder"), main=ended("main", 128, "StartError")), True, ("CouldNotStart", "Participant", ALONE)),
    ("both ended", pod(phase="Running", recorder=ended("recorder", 0), main=ended("main", 0)), False, None),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "own", "expected"), [r[1:] for r in STOPS], ids=[r[0] for r in STOPS])
def test_what_a_pod_that_does_not_start_is_stopped_for(
    seen: PodView | None, own: bool, expected: tuple[str, str, timedelta] | None
) -> None:
    found = find_stop_cause(JOB, seen, Context(own_image=own), TIMEOUT, PATIENCE)
    assert (found and (found[0].name, found[0].charged_to, found[1] - START)) == expected


def test_what_no_node_had_is_not_said_where_teams_may_not_know_what_runs_get() -> None:
    waits = pod(**STUCK, scheduled_at=None, unschedulable="Insufficient nvidia.com/gpu")
    stop = find_stop_cause(JOB, waits, Context(disclosed=False), TIMEOUT, PATIENCE)
    assert stop is not None
    assert stop[0].message == "No node had room for the run."


def test_a_node_that_was_short_before_the_free_constructor_excuses_what_ran_in_it() -> None:
    """What filled the node between constructor and go was the program's."""
    shortly_before_the_go = Context(pressed_since={"n1": START - timedelta(seconds=30)})
    evicted = {
        "reason": "Evicted",
        "disruption": "TerminationByKubelet",
        "main": MAIN_KILLED,
        "message": INODES,
    }
    for free_ns, payer in ((None, "Platform"), (60 * 10**9, "Participant"), (20 * 10**9, "Platform")):
        seen = pod(**evicted, report=report(None).model_copy(update={"free_ns": free_ns}))
        assert find_cause(seen, shortly_before_the_go).charged_to == payer


CLOSED: dict[str, dict[str, Any]] = {
    "succeeded": {"phase": "Succeeded"},
    "failed": {"phase": "Failed"},
    "evicted": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": PRESSURE,
        "disruption": "TerminationByKubelet",
    },
    "past its deadline": {"phase": "Failed", "reason": "DeadlineExceeded"},
    "preempted": {"phase": "Failed", "disruption": "PreemptionByScheduler", "disruption_at": START},
    "deleted": {"deleted_at": START},
    "node lost": {"phase": "Failed", "reason": "NodeLost"},
}


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize(("end", "code"), [("finished", 0), ("budget", 12)])
def test_a_regular_end_is_known_before_the_pod_is_called_ended_and_stays(
    end: str, code: int, closed: str
) -> None:
    seen = pod(phase="Running", main=ended("main", code), recorder=RECORDER, report=report(end), **AFTER_GO)
    assert has_regular_end(seen)
    assert find_cause(replace(seen, **CLOSED[closed]), Context()) == find_cause(seen, Context())


RUNNING = ContainerView("recorder", running=True, started_at=START)


@pytest.mark.parametrize(
    "seen",
    [
        {"main": ended("main", 0), "recorder": RUNNING},
        {"main": ContainerView("main", running=True, started_at=START), "recorder": RECORDER, "report": report("finished")},
        {"main": ended("main", 0), "recorder": ended("recorder", 1), "report": report("finished")},
        {"main": ended("main", 0), "recorder": RECORDER, "report": report("finished", away=True)},
        {"main": ended("main", 10), "recorder": RECORDER, "report": report("failed", code=1)},
        {"main": ended("main", 11), "recorder": RECORDER, "report": report("signalled", signal=15)},
        {"main": MAIN_KILLED, "recorder": RECORDER, "report": report("recorder-saw-eof")},
        {"main": ended("main", 0), "recorder": RECORDER},
    ],
)  # fmt: skip
def test_any_other_end_is_told_once_the_pod_has_ended(seen: dict[str, Any]) -> None:
    """What ended it, the pod says with its end: it may have been evicted."""
    assert not has_regular_end(pod(phase="Running", **AFTER_GO, **seen))
