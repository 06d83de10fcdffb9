"""What stands of a run once its pod is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alcove_api.run_documents import End, RecorderReport, StagingReport
from alcove_api.submission import RunStatus
from alcove_operator.core.causes import Context, find_cause
from alcove_operator.core.model import ContainerView, PodView
from alcove_operator.core.run_ends import HIDDEN, may_have_started, record_end
from alcove_operator.core.run_results import drop_cut_line
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_causes import pod

FORGOTTEN = ContainerView("main", terminated=True, terminated_reason="ContainerStatusUnknown", exit_code=137)
"""As the kubelet reports a container that it no longer finds: in an evicted pod, or once its node has restarted."""


SIGNS = {
    "seen": RunStatus(dataset="d1", attempt=1, pod_uid="p", started_at=START),
    "blind": RunStatus(dataset="d1", attempt=1, pod_uid="p", message=HIDDEN),
    "none": RunStatus(dataset="d1", attempt=1, pod_uid="p"),
}
PRESSURE = (
    "Low on resource: memory. Container main was using 2Gi, request is 1Gi, has larger consumption of memory."
)


@pytest.mark.parametrize("sign", SIGNS)
def test_what_an_evicted_run_saved_counts_though_the_kubelet_forgot_that_it_began(sign: str) -> None:
    """A blind phase does not keep when a run began: then the store alone tells whether it saved anything."""
    evicted, run = pod(reason="Evicted", message="out exceeds", main=FORGOTTEN), SIGNS[sign]
    ended = record_end(run, find_cause(evicted, Context(started=may_have_started(run))), evicted)
    assert (ended.cause, ended.charged_to) == ("DiskOverrun", "Participant")
    # With no sign of a go there is nothing of the pod's to score.
    assert (ended.pod_uid, ended.started_at) == ("" if sign == "none" else "p", run.started_at)


@pytest.mark.parametrize("sign", SIGNS)
def test_pressure_is_charged_to_who_brought_it_about_though_the_kubelet_forgot_that_it_began(
    sign: str,
) -> None:
    evicted = pod(reason="Evicted", message=PRESSURE, main=FORGOTTEN, disruption="TerminationByKubelet")
    cause = find_cause(evicted, Context(started=may_have_started(SIGNS[sign])))
    wanted = ("Preempted", "Platform") if sign == "none" else ("NodePressure", "Participant")
    assert (cause.name, cause.charged_to) == wanted


@pytest.mark.parametrize("sign", SIGNS)
def test_a_node_that_restarted_and_knows_no_container_any_more_is_the_platforms(sign: str) -> None:
    """No program can make a kubelet forget a container."""
    restarted = pod(main=FORGOTTEN, recorder=replace(FORGOTTEN, name="recorder"), node="n1")
    cause = find_cause(restarted, Context(started=may_have_started(SIGNS[sign])))
    assert (cause.name, cause.charged_to) == ("NodeLost", "Platform")
    assert cause.message == "The node n1 was restarted, and nothing that ran on it is left."


def test_a_pod_that_never_got_to_main_saved_nothing_in_a_blind_phase_either() -> None:
    """What the kubelet has not forgotten, it knows."""
    waiting = pod(
        reason="Evicted", message="out exceeds", main=ContainerView("main", waiting_reason="PodInitializing")
    )
    ended = record_end(SIGNS["blind"], find_cause(waiting, Context(started=True)), waiting)
    assert ended.pod_uid == ""


def test_what_a_run_waited_for_is_known_once_it_has_ended() -> None:
    stage = ContainerView(
        "stage", terminated=True, started_at=START, finished_at=START + timedelta(seconds=3)
    )
    main = ContainerView("main", terminated=True, exit_code=0, started_at=START + timedelta(seconds=9))
    seen = PodView("p", "u", "j", START, "Succeeded", stage=stage, main=main)
    ended = record_end(RunStatus(dataset="d", attempt=1), find_cause(seen, Context()), seen)
    assert (ended.pulled_at, ended.staged_at, ended.launched_at) == (
        stage.started_at, stage.finished_at, main.started_at,
    )  # fmt: skip


@pytest.mark.parametrize("image_after", [-2, 5])
def test_what_a_run_waited_for_is_the_recorders_word_where_it_stages(image_after: int) -> None:
    """Main is started while the recorder stages, so the image can be there before or after the data."""
    staged_at = START + timedelta(seconds=3)
    began = staged_at + timedelta(seconds=image_after)
    report = RecorderReport(
        go_at=began + timedelta(seconds=3), end=End(cause="finished", ended_ns=10**9), snapshots=1, refused=0,
        overshoot_ns=0, head=None, manifest_sha256=None,
        staging=StagingReport(began_at=START, ended_at=staged_at),
    )  # fmt: skip
    main = ContainerView("main", terminated=True, exit_code=0, started_at=began)
    seen = PodView("p", "u", "j", START, "Succeeded", main=main, report=report)
    ended = record_end(RunStatus(dataset="d", attempt=1), find_cause(seen, Context()), seen)
    assert (ended.pulled_at, ended.staged_at) == (START, staged_at)
    assert ended.launched_at == max(began, staged_at)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ove] prediction 2 saved\n[alcove] finished\nlast words", "[alcove] finished\nlast words"),
        ("one long line without an end", "one long line without an end"),
        ("the end of a long line\n", "the end of a long line\n"),
        ("", ""),
    ],
)
def test_an_output_that_was_cut_begins_with_a_whole_line(text: str, shown: str) -> None:
    assert drop_cut_line(text) == shown
