"""Raw objects become views, whatever they lack."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alcove_operator.core import parse_objects
from tests.unit.operator_core.cluster import START, Cluster
from tests.unit.operator_core.pods import stamp

LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.sampled_from(("", "main", "True", stamp(START), "Failed"))
)
FIELD = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "conditions",
        "type",
        "name",
        "labels",
        "containerStatuses",
        "initContainerStatuses",
        "state",
        "lastState",
        "terminated",
        "running",
        "waiting",
        "exitCode",
        "message",
        "phase",
        "deletionTimestamp",
    ]
)
JUNK = st.dictionaries(
    FIELD,
    st.recursive(
        LEAF,
        lambda deep: st.lists(deep, max_size=3) | st.dictionaries(FIELD, deep, max_size=5),
        max_leaves=12,
    ),
)


@given(JUNK)
def test_no_object_takes_the_operator_down(raw: dict[str, Any]) -> None:
    parse_objects.pod_view(raw)
    parse_objects.job_view(raw)
    assert parse_objects.submission_view(raw).spec is None


def test_a_pod_as_the_kubelet_shows_it() -> None:
    report = '{"go_at":null,"end":null,"snapshots":2,"refused":0,"overshoot_ns":0,"head":null,"manifest_sha256":null}'
    raw = {
        "metadata": {
            "name": "r-1-x",
            "uid": "u",
            "labels": {"batch.kubernetes.io/job-name": "r-1"},
            "deletionTimestamp": "2026-01-05T12:00:30Z",
            "deletionGracePeriodSeconds": 30,
        },
        "spec": {"nodeName": "n", "activeDeadlineSeconds": 60},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(START)},
                {"type": "DisruptionTarget", "status": "False", "reason": "No"},
            ],
            "initContainerStatuses": [
                {"name": "recorder", "restartCount": 1, "state": {"running": {}}, "lastState": {"terminated": {"message": report, "exitCode": 1}}},
                {"name": "stage", "imageID": "r.example/stager@sha256:1", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
            ],
            "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}],
        },
    }  # fmt: skip
    pod = parse_objects.pod_view(raw)
    assert (pod.job, pod.node, pod.active_deadline_seconds, pod.scheduled_at) == ("r-1", "n", 60, START)
    assert pod.deleted_at == START
    assert pod.disruption == ""
    assert pod.report is not None
    assert pod.report.snapshots == 2
    assert pod.stage is not None
    assert (pod.stage.terminated, pod.stage.exit_code) == (True, 3)
    assert pod.stage.image_id == "r.example/stager@sha256:1"
    assert pod.main is not None
    assert (pod.main.terminated, pod.main.waiting_reason) == (False, "ErrImagePull")
    assert pod.recorder is not None
    assert (pod.recorder.running, pod.recorder.restarts) == (True, 1)


def test_the_participants_termination_message_is_no_report() -> None:
    forged = '{"go_at":null,"end":null,"snapshots":9,"refused":0,"overshoot_ns":0,"head":null,"manifest_sha256":null}'
    main = {"name": "main", "state": {"terminated": {"exitCode": 10, "message": forged}}}
    assert parse_objects.pod_view({"status": {"phase": "Failed", "containerStatuses": [main]}}).report is None


def test_a_check_of_an_older_spec_makes_no_dataset_ready() -> None:
    raw = {
        "metadata": {"name": "ds", "generation": 2},
        "spec": {"alias": "digits", "dataSha256": "a" * 64, "solutionSha256": "b" * 64},
        "status": {
            "observedGeneration": 1,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Sound", "lastTransitionTime": stamp(START)}
            ],
        },
    }
    assert parse_objects.dataset_view(raw).ready is None
    raw["status"]["observedGeneration"] = 2  # type: ignore[index]
    assert parse_objects.dataset_view(raw).ready is True


def test_a_status_survives_the_way_through_the_api() -> None:
    cluster = Cluster({"d0": ["exit"]})
    cluster.settle()
    assert cluster.submission is not None
    view = parse_objects.submission_view(cluster.submission)
    assert view.status.runs[0].cause == "ExitCode"
    assert not cluster.reconcile(), "nothing is left to be written"
