"""Why an attempt ended, and who bears it: docs/design.md, "Operator", as ordered rules.

Evidence comes from the kubelet, the API server, the supervisor's exit status (it is the container's first process,
which nothing inside can kill or trace) and the recorder's report. What the participant can write, such as its
container's termination message or its log, is none. After the go the platform bears an end only where something
outside the pod confirms it; else a team could have a bad run repeated by making it look like a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from signal import SIGKILL, SIGTERM
from types import MappingProxyType

from alcove_api.exit_statuses import RecorderExit, StageExit, SupervisorExit
from alcove_api.score_documents import NO_PREDICTIONS
from alcove_operator.core.model import Payer, PodView

NO_START = frozenset({"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"})
"""Reasons of the kubelet for a container whose first process cannot be started."""
_NODE_GONE = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_NODE_DOWN = frozenset({"NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
_NODE_PRESSURE = "TerminationByKubelet"
_FORGOTTEN = "ContainerStatusUnknown"
_OUT_OF_INODES, _OUT_OF_BYTES = "low on resource: inodes", "low on resource: ephemeral-storage"
NOT_REPEATED = frozenset({"StoreFull"})
"""Causes that the platform pays for and no attempt follows. Uploads of teams can fill the store, so a repeat would be a
second try for whoever does."""
DISK_PRESSURE = "DiskPressure"
"""Condition of a node whose disks are short of bytes or inodes."""
_OVER_REQUEST = re.compile(
    r"Container main was using (\S+), request is (\S+), has larger consumption of ([\w.-]+?)\."
)
_LOST_BY_RUNTIME = 255
"""Exit status that containerd makes up for a container which it started and whose process it cannot find, as after the
node has restarted. No process of ours ends with it, and the first process of a container is always ours."""
_KILLED = (128 + 9, 128 + 15)
"""Exit statuses of a container that SIGKILL or SIGTERM ended."""


CAUSES_BY_PAYER: Mapping[Payer, tuple[str, ...]] = MappingProxyType(
    {
        "": ("Finished",),
        "Organizer": ("Cancelled",),
        "Participant": (
            "BadBundle", "CouldNotStart", "DeadlineReached", "Deleted", "DiskOverrun", "ExitCode", "ImageNotFound",
            NO_PREDICTIONS, "NodePressure", "OutOfMemory", "RecorderFlooded", "RecorderUnreachable", "Signalled",
        ),
        "Platform": (
            "CouldNotStart", "ImagePull", "NeverStarted", "NodeLost", "PodGone", "Preempted", "RecorderLost",
            "StagingFault", "StoppedEarly", "StoreAway", "StoreFull",
        ),
    }
)  # fmt: skip
"""All causes that a run can end with, by who bears it."""


@dataclass(frozen=True)
class Cause:
    name: str
    charged_to: Payer
    message: str


@dataclass(frozen=True)
class Context:
    own_image: bool = False
    """Whether the participant brought the image that main runs."""
    lost_nodes: frozenset[str] = field(default_factory=frozenset)
    pressed_since: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """By node: since when it has had :data:`DISK_PRESSURE`. Empty where the operator may not read nodes."""
    store_away: bool = False
    local_queue: str = ""
    """Of Kueue, which takes the place of a run for another by deleting its pod."""
    memory: str = ""
    """The limit of main, as the phase has it: "8Gi"."""
    budget_seconds: int = 0
    """What the phase gives to each run."""
    disclosed: bool = True
    """Whether teams may know what runs get: else no message has the words of scheduler and kubelet, which name it."""
    started: bool = False
    """Whether main was seen to run, or may have been where a blind phase does not keep that. It counts where the
    kubelet has forgotten."""


def may_have_run(pod: PodView | None, started: bool = False) -> bool:
    """Whether the participant's code may have run: after the go, or before it where its constructor is free.

    Args:
        pod: None where there is none any more.
        started: as in :class:`Context`.
    """
    return got_go(pod, started) or (
        pod is not None and pod.report is not None and pod.report.free_ns is not None
    )


def got_go(pod: PodView | None, started: bool = False) -> bool:
    """Whether the go was given: the recorder's word, or without one, that main was ever started.

    Of a pod that it evicts the kubelet can forget that, also of a container that ran (``ContainerStatusUnknown``); the
    pod was past staging then. ``started``: as in :class:`Context`.
    """
    if pod is None:
        return False
    if pod.report is not None:
        return pod.report.go_at is not None
    if pod.main is not None and pod.main.terminated_reason == _FORGOTTEN and pod.main.started_at is None:
        return started
    return pod.main is not None and pod.main.started_at is not None


def find_cause(pod: PodView | None, context: Context) -> Cause:
    """Of an attempt that is over: its pod is terminal, is gone (None), or can no longer be running."""
    if pod is None:
        return _gone(context, "removed")
    for rule in _RULES:
        cause = rule(pod, context)
        if cause is not None:
            return cause
    if may_have_run(pod, context.started):
        return charge_participant(
            "Signalled", "Its processes were killed, and nothing outside the pod explains it."
        )
    return charge_platform("NeverStarted", f"The pod ended before the go.{_quote(pod.message, context)}")


def has_regular_end(pod: PodView) -> bool:
    """Whether the program ended by itself or by its budget, and the recorder has sealed that: no rule before or after
    says otherwise, whatever becomes of the pod.

    Nothing of it runs any more, for main is never started again. The kubelet says two of its looks later, of a second
    each, that the pod has ended.
    """
    main, recorder = pod.main, pod.recorder
    sealed = recorder is not None and recorder.terminated and recorder.exit_code == RecorderExit.SEALED
    if main is None or not main.terminated or not sealed or pod.report is None:
        return False
    return _store_away(pod, Context()) is None and _own_end(pod, Context()) is not None


def _quote(message: str, context: Context) -> str:
    return f" {message}" if message and context.disclosed else ""


def _store_away(pod: PodView, _: Context) -> Cause | None:
    """By the recorder's word, which no participant can write: what it recorded is lost with the pod."""
    if pod.report is None or not pod.report.store_away:
        return None
    if pod.report.store_full:
        return charge_platform(
            "StoreFull",
            "The object store was full, so not all that it saved was kept. What was kept counts; the run is not "
            "repeated. Ask the organizer for another submission.",
        )
    return charge_platform(
        "StoreAway", "The object store did not answer for longer than the recorder could wait."
    )


def _own_end(pod: PodView, _: Context) -> Cause | None:
    """A regular end stands, whatever happened to the pod afterwards."""
    end = pod.report.end.cause if pod.report and pod.report.end else ""
    end = "" if end in ("recorder-saw-eof", "unknown") else end
    code = pod.main.exit_code if pod.main and pod.main.terminated else None
    if _recorder_died(pod) or _was_lost_unsealed(pod):
        return None
    if end == "budget" or (not end and code == SupervisorExit.BUDGET):
        return charge_participant("DeadlineReached", "The time budget was used up. What it had saved counts.")
    if end == "finished" or (not end and code == SupervisorExit.FINISHED):
        return Cause("Finished", "", "")
    return None


def _disrupted(pod: PodView, context: Context) -> Cause | None:
    if not pod.disruption or _ended_before(pod, pod.disruption_at):
        return None
    if pod.disruption in _NODE_GONE:
        return charge_platform("NodeLost", f"The node {pod.node or '?'} was lost.")
    if pod.disruption == _NODE_PRESSURE and (why := _brought_about_pressure(pod, context)):
        return charge_participant(
            "NodePressure", f"The node ran short of room. {why} What it had saved counts."
        )
    return charge_platform("Preempted", f"The pod was taken off its node ({pod.disruption}).")


def _evicted(pod: PodView, context: Context) -> Cause | None:
    if pod.reason != "Evicted" or pod.disruption:
        return None
    if context.store_away and '"spool"' in pod.message:
        return charge_platform(
            "StoreAway", "The object store did not answer for longer than the recorder could wait."
        )
    said = f"The run wrote more than its disk limit.{_quote(pod.message, context)}"
    return charge_participant("DiskOverrun", said)


def _brought_about_pressure(pod: PodView, context: Context) -> str:
    """How the program may have put its node under pressure; empty where the evidence from outside speaks against it.

    The kubelet evicts first whoever uses more than was requested, and names each such container in its message, which
    nobody else can write. It counts volumes for a pod as a whole, with what was staged and recorded in them, and names
    no container for them: of bytes of disk, the recorder has counted what is the program's. Inodes nobody can request,
    and the kubelet names no container for them either: it evicts first whoever holds most. So a program can bring that
    about, in its output folder or in ``/tmp``. What speaks for it is that the node was short before the program ran.
    """
    if pod.reason != "Evicted" or not may_have_run(pod, context.started):
        return ""
    if named := _OVER_REQUEST.search(pod.message):
        used, request, resource = named.groups()
        if not context.disclosed:
            return f"The program used more of {resource} than its share."
        return f"The program used {used} of {resource}; its share is {request}."
    if _OUT_OF_BYTES in pod.message and pod.report is not None and pod.report.disk_exceeded:
        return "The program held more on its disk than its share."
    since = context.pressed_since.get(pod.node)
    if _OUT_OF_INODES in pod.message and (since is None or since >= _went_at(pod)):
        return "It has no room for more files (inodes), and of all pods the program's held most."
    return ""


def _went_at(pod: PodView) -> datetime:
    """The go, or the start of main, but not later than its constructor; of a pod where something may have run."""
    if pod.report is not None and pod.report.go_at is not None:
        return pod.report.go_at - timedelta(microseconds=(pod.report.free_ns or 0) / 1000)
    return (pod.main.started_at if pod.main else None) or pod.created_at


def _deleted(pod: PodView, context: Context) -> Cause | None:
    if pod.deleted_at is None or _ended_before(pod, pod.deleted_at):
        return None
    return _gone(context, "deleted")


def _gone(context: Context, how: str) -> Cause:
    if context.local_queue:
        said = f"Its place in the queue {context.local_queue} was given to another: the pod was {how}."
        return charge_platform("Preempted", said)
    return charge_platform("PodGone", f"The pod was {how} from outside.")


def explain_dropped_queue(queue: str) -> Cause:
    """Of an attempt whose Job waits in ``queue`` of Kueue, which is no longer that of the competition."""
    said = f"Its Job waited in the queue {queue}, which the competition no longer names."
    return charge_platform("Preempted", said)


def _stage_failed(pod: PodView, _: Context) -> Cause | None:
    """By the recorder's word, or of a pod of an earlier release by that of its init container `stage`. Nothing of the
    participant's had run."""
    if pod.reason == "DeadlineExceeded":
        return None
    staging = pod.report.staging if pod.report else None
    if staging is not None and staging.failed:
        return _explain_staging(bad_bundle=staging.failed == "BadBundle")
    stage = pod.stage
    if stage is None or not stage.terminated or stage.exit_code == StageExit.STAGED:
        return None
    if stage.exit_code in (StageExit.BAD_BUNDLE, StageExit.FAULT):
        return _explain_staging(bad_bundle=stage.exit_code == StageExit.BAD_BUNDLE)
    reason = stage.terminated_reason or f"exit {stage.exit_code}"
    return charge_platform("StagingFault", f"Staging ended unexpectedly ({reason}).")


def _explain_staging(*, bad_bundle: bool) -> Cause:
    if bad_bundle:
        return charge_participant(
            "BadBundle", "The code could not be unpacked: it is damaged, or too large unpacked."
        )
    return charge_platform("StagingFault", "The dataset or the code could not be staged.")


def _stopped_early(pod: PodView, context: Context) -> Cause | None:
    """A pod's deadline leaves room for all that comes before the budget: who is stopped by it with budget left was
    stopped by a kubelet whose clock is wrong, or started too late.

    No program brings this about. One that ends itself by SIGTERM, and has the recorder upload for long, is not there
    any more at the deadline: when main has ended the recorder gives itself less than the grace period, and no more.
    """
    end = pod.report.end if pod.report else None
    if pod.reason != "DeadlineExceeded" or end is None or (end.cause, end.signal) != ("signalled", SIGTERM):
        return None
    if not 0 <= end.ended_ns < context.budget_seconds * 10**9:
        return None
    return charge_platform(
        "StoppedEarly", f"The node {pod.node or '?'} stopped the pod before the time budget was used up."
    )


def _out_of_memory(pod: PodView, context: Context) -> Cause | None:
    main = pod.main
    if main is None or not main.terminated:
        return None
    counted = pod.report is not None and pod.report.oom_kills > 0
    program = main.exit_code in (SupervisorExit.PROGRAM_FAILED, SupervisorExit.SIGNALLED)
    if main.terminated_reason == "OOMKilled" or (counted and program):
        limit = f" of {context.memory}" if context.memory else ""
        return charge_participant(
            "OutOfMemory", f"The run used more memory than its limit{limit}. What it had saved counts."
        )
    return None


def _program_ended(pod: PodView, context: Context) -> Cause | None:
    if pod.main is None or not pod.main.terminated:
        return None
    end = pod.report.end if pod.report else None
    code = pod.main.exit_code
    if code == SupervisorExit.SIGNALLED and not may_have_run(pod, context.started):
        # Somebody outside ended the supervisor, which still waited.
        return None
    if code == SupervisorExit.PROGRAM_FAILED:
        status = f"status {end.code}" if end else "an error"
        return charge_participant("ExitCode", f"The program ended with {status}. What it had saved counts.")
    if code == SupervisorExit.SIGNALLED:
        signal = f"signal {end.signal}" if end else "a signal"
        return charge_participant(
            "Signalled", f"The program was killed by {signal}. What it had saved counts."
        )
    if code == SupervisorExit.NOT_STARTED:
        return explain_failed_start(context, pod.report.error if pod.report and pod.report.error else "")
    if pod.main.terminated_reason in NO_START:
        return explain_failed_start(context, "The container's first process could not be started.")
    return None


def _node_lost(pod: PodView, context: Context) -> Cause | None:
    if pod.reason in _NODE_DOWN or pod.node in context.lost_nodes:
        return charge_platform("NodeLost", f"The node {pod.node or '?'} was lost.")
    return None


def _node_restarted(pod: PodView, _: Context) -> Cause | None:
    """Evictions and deadlines, where a kubelet can forget a container too, have rules before this one."""
    main = pod.main
    if main is None or not main.terminated:
        return None
    forgotten = main.terminated_reason == _FORGOTTEN and pod.report is None
    if not (forgotten or main.exit_code == _LOST_BY_RUNTIME or _was_lost_unsealed(pod)):
        return None
    return charge_platform(
        "NodeLost", f"The node {pod.node or '?'} was restarted, and nothing that ran on it is left."
    )


def _deadline_exceeded(pod: PodView, context: Context) -> Cause | None:
    if pod.reason != "DeadlineExceeded":
        return None
    if may_have_run(pod, context.started):
        return charge_participant(
            "DeadlineReached", "It was stopped at the pod's deadline. What it had saved counts."
        )
    return charge_platform("NeverStarted", "The pod's deadline passed before the go.")


def _recorder_lost(pod: PodView, _: Context) -> Cause | None:
    said = pod.main is not None and pod.main.terminated and pod.main.exit_code == SupervisorExit.RECORDER_LOST
    recorder = pod.recorder
    confirmed = (
        _recorder_died(pod)
        or (recorder is not None and recorder.restarts > 0)
        or (pod.report is not None and pod.report.restarts > 0)
    )
    ended = said or _was_killed_first(pod)
    if ended and pod.report is not None and pod.report.flooded:
        return charge_participant(
            "RecorderFlooded",
            "It did more in its output folder than the recorder has to keep up with, and the recorder failed; what it "
            "had saved counts.",
        )
    if ended and pod.report is not None and pod.report.disk_exceeded:
        return charge_participant(
            "RecorderFlooded",
            "It held more on its node's disk than its share, and the recorder failed; what it had saved counts.",
        )
    if (said and (confirmed or not may_have_run(pod))) or _recorder_died(pod) or _was_killed_first(pod):
        return charge_platform(
            "RecorderLost", "The recorder, which keeps the clock and the predictions, failed."
        )
    if said:
        return charge_participant(
            "RecorderUnreachable", "The run cut itself off from the recorder. What it had saved counts."
        )
    return None


def _unreported(pod: PodView, _: Context) -> Cause | None:
    if pod.terminal:
        return None
    return charge_platform(
        "NodeLost", f"The node {pod.node or '?'} did not report the end, long after the deadline."
    )


_RULES: tuple[Callable[[PodView, Context], Cause | None], ...] = (
    _store_away,
    _own_end,
    _disrupted,
    _evicted,
    _deleted,
    _stage_failed,
    _stopped_early,
    _out_of_memory,
    _program_ended,
    _node_lost,
    _deadline_exceeded,
    _node_restarted,
    _recorder_lost,
    _unreported,
)


def _recorder_died(pod: PodView) -> bool:
    """By the kubelet's word, and not by the SIGKILL that ends the grace period: that a slow upload brings about,
    and the size of an upload is in the participant's hands."""
    recorder = pod.recorder
    if recorder is None or not recorder.terminated or pod.report is not None:
        return False
    return recorder.terminated_reason == "OOMKilled" or recorder.exit_code not in (
        RecorderExit.SEALED,
        *_KILLED,
    )


def _was_killed_first(pod: PodView) -> bool:
    """Whether SIGKILL ended the recorder's container while main went on. The grace period's comes later: main ends
    within seconds of the SIGTERM that both get."""
    main, recorder = pod.main, pod.recorder
    if main is None or recorder is None or not (main.terminated and recorder.terminated):
        return False
    if recorder.exit_code != 128 + SIGKILL or recorder.finished_at is None or main.finished_at is None:
        return False
    return recorder.finished_at < main.finished_at


def _was_lost_unsealed(pod: PodView) -> bool:
    """Whether the runtime lost the recorder before it had uploaded all that it had stamped."""
    recorder = pod.recorder
    lost = recorder is not None and recorder.terminated and recorder.exit_code == _LOST_BY_RUNTIME
    return lost and (pod.report is None or pod.report.manifest_sha256 is None)


def _ended_before(pod: PodView, moment: datetime | None) -> bool:
    main = pod.main
    if main is None or not main.terminated or main.finished_at is None or moment is None:
        return False
    return main.finished_at < moment


def explain_failed_start(context: Context, detail: str) -> Cause:
    if context.own_image:
        advice = "Check that the command exists in the image and is executable."
        return charge_participant(
            "CouldNotStart", f"The command could not be started. {advice} {detail}".strip()
        )
    return charge_platform("CouldNotStart", f"The platform's runner could not be started. {detail}".strip())


def charge_participant(name: str, message: str) -> Cause:
    return Cause(name, "Participant", message[:1024])


def charge_platform(name: str, message: str) -> Cause:
    return Cause(name, "Platform", message[:1024])
