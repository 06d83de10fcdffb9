"""How a pod of the model goes from step to step, as its fate has it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from alcove_api.run_documents import End, RecorderReport, StagingFailure, StagingReport

if TYPE_CHECKING:
    from tests.unit.operator_core.cluster import Pod

ENDS = {
    "finished": (0, "finished"),
    "nothing": (0, "finished"),
    "deadline": (12, "budget"),
    "store-full": (12, "budget"),
    "exit": (10, "failed"),
    "signal": (11, "signalled"),
    "oom": (137, None),
    "oom-child": (11, "signalled"),
}
UNSTAGED: dict[str, tuple[StagingFailure, int]] = {
    "bad-bundle": ("BadBundle", 3),
    "stage-fault": ("StagingFault", 4),
}
"""By fate: the recorder's word, and the status of an earlier release's `stage`."""


class Surroundings(Protocol):
    """What a pod depends on."""

    @property
    def now(self) -> datetime: ...

    @property
    def lost(self) -> set[str]:
        """Nodes that no longer answer."""

    def suspend(self, job: str) -> None:
        """As Kueue does where another goes first."""


def stamp(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def may_run(status: dict[str, Any]) -> bool:
    """Whether anything of a pod may run: the kubelet calls it ended later than main, which is never started again, and
    the recorder have ended."""
    every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    ended = {container["name"] for container in every if "terminated" in container["state"]}
    return status["phase"] in ("Pending", "Running") and not {"main", "recorder"} <= ended


def advance(cluster: Surroundings, pod: Pod) -> bool:
    """One step; False where nothing can happen any more, or yet."""
    status = pod.raw["status"]
    node = pod.raw["spec"].get("nodeName", "")
    if "deletionTimestamp" in pod.raw["metadata"] and node not in cluster.lost:
        # A pod that is deleted from outside is seen to end first; one of a deleted Job just goes.
        pod.gone = True
        return True
    if status["phase"] in ("Succeeded", "Failed"):
        return False
    if node in cluster.lost:
        return _lost(cluster, pod)
    steps = (_scheduled, _staged, _started, _ended, _closed)
    if pod.stage < len(steps) and steps[pod.stage](cluster, pod):
        pod.stage += 1
        return True
    return False


def _scheduled(cluster: Surroundings, pod: Pod) -> bool:
    if pod.fate == "no-room":
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
        if pod.raw["status"].get("conditions") == [said]:
            return False
        pod.raw["status"]["conditions"] = [said]
        pod.stage -= 1
        return True
    pod.raw["spec"]["nodeName"] = f"node-{pod.raw['metadata']['uid']}"
    pod.raw["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(cluster.now)}
    ]
    return True


def _staged(cluster: Surroundings, pod: Pod) -> bool:
    if pod.fate == "stuck-pulling":
        return False
    running = {"state": {"running": {"startedAt": stamp(cluster.now)}}}
    recorder = {"name": "recorder", "imageID": "r.example/recorder@sha256:1", **running}
    if pod.old:
        pod.raw["status"]["initContainerStatuses"] = [recorder, {"name": "stage", **running}]
    else:
        creating = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
        pod.raw["status"]["containerStatuses"] = [recorder, creating]
    return True


def _started(cluster: Surroundings, pod: Pod) -> bool:
    failed, code = UNSTAGED.get(pod.fate, ("", 0))
    if pod.old:
        _terminate(cluster, pod, "stage", code)
        if code:
            pod.raw["status"]["phase"] = "Failed"
            return True
    pod.raw["status"]["phase"] = "Running"
    pod.raw["status"]["containerStatuses"] = [
        *(() if pod.old else [_find_container(pod, "recorder")]),
        {"name": "main", "state": {"running": {"startedAt": stamp(cluster.now)}}},
    ]
    if failed:
        # The recorder tells the supervisor, and both end.
        _terminate(cluster, pod, "main", 20)
        _report(cluster, pod, None, failed)
        pod.raw["status"]["phase"] = "Failed"
    return True


def _ended(cluster: Surroundings, pod: Pod) -> bool:
    status, fate = pod.raw["status"], pod.fate
    if fate in ("node-lost", "node-silent"):
        cluster.lost.add(pod.raw["spec"]["nodeName"])
        return True
    if fate in ENDS:
        code, end = ENDS[fate]
        _terminate(cluster, pod, "main", code, "OOMKilled" if fate == "oom" else "")
        _report(cluster, pod, end)
        return True
    status["phase"] = "Failed"
    if fate == "disk":
        status |= {"reason": "Evicted", "message": 'Usage of EmptyDir volume "out" exceeds the limit "1Gi"'}
        _terminate(cluster, pod, "main", 137)
    elif fate == "inodes":
        said = "The node was low on resource: inodes. Threshold quantity: 65536, available: 60211. "
        status |= {"reason": "Evicted", "message": said}
        status["conditions"].append(_disruption(cluster, "TerminationByKubelet"))
        _terminate(cluster, pod, "main", 137)
    elif fate == "preempted":
        status["conditions"].append(_disruption(cluster, "PreemptionByScheduler"))
        _terminate(cluster, pod, "main", 11)
        _report(cluster, pod, "signalled")
    elif fate == "recorder-lost":
        _terminate(cluster, pod, "recorder", 1)
        _terminate(cluster, pod, "main", 20)
    elif fate in ("deleted", "evicted"):
        pod.raw["metadata"]["deletionTimestamp"] = stamp(cluster.now)
        if fate == "evicted":
            cluster.suspend(pod.raw["metadata"]["labels"]["job-name"])
        _terminate(cluster, pod, "main", 11)
        _report(cluster, pod, "signalled")
    return True


def _closed(_cluster: Surroundings, pod: Pod) -> bool:
    """The kubelet says that a pod has ended a while after its containers have."""
    pod.raw["status"]["phase"] = "Succeeded" if ENDS[pod.fate][0] == 0 else "Failed"
    return True


def _lost(cluster: Surroundings, pod: Pod) -> bool:
    """The garbage collector of pods comes late, or never."""
    if pod.fate != "node-lost":
        return False
    pod.raw["status"]["phase"] = "Failed"
    pod.raw["status"]["conditions"].append(_disruption(cluster, "DeletionByPodGC"))
    return True


def _disruption(cluster: Surroundings, reason: str) -> dict[str, Any]:
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "lastTransitionTime": stamp(cluster.now),
    }


def _terminate(cluster: Surroundings, pod: Pod, name: str, code: int, reason: str = "") -> None:
    container = _find_container(pod, name)
    started = container["state"].get("running", {}).get("startedAt")
    container["state"] = {
        "terminated": {
            "startedAt": started,
            "finishedAt": stamp(cluster.now),
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
        }
    }


def _find_container(pod: Pod, name: str) -> dict[str, Any]:
    status = pod.raw["status"]
    every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found: dict[str, Any] = next(container for container in every if container["name"] == name)
    return found


def _report(cluster: Surroundings, pod: Pod, end: str | None, unstaged: StagingFailure = "") -> None:
    """The recorder ends in good order and leaves its word."""
    _terminate(cluster, pod, "recorder", 3 if unstaged else 0)
    recorder = _find_container(pod, "recorder")
    go_at = cluster.now - timedelta(seconds=9.75)
    began_at = datetime.fromisoformat(recorder["state"]["terminated"]["startedAt"])
    staging = StagingReport(began_at=began_at, ended_at=began_at, failed=unstaged)
    nothing = unstaged != "" or pod.fate == "nothing"
    report = RecorderReport(
        go_at=None if unstaged else go_at,
        staging=None if pod.old else staging,
        end=End(cause=end, ended_ns=10 * 10**9) if end else None,
        snapshots=0 if nothing else 3,
        refused=0,
        overshoot_ns=0,
        head=None if nothing else "a" * 64,
        manifest_sha256=None,
        oom_kills=1 if pod.fate == "oom-child" else 0,
        store_away=pod.fate == "store-full",
        store_full=pod.fate == "store-full",
    )
    recorder["state"]["terminated"]["message"] = report.model_dump_json()
