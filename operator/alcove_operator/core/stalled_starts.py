"""What an attempt is stopped for that does not start: nothing pulled, staged or scheduled in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from alcove_operator.core.causes import (
    NO_START,
    Cause,
    Context,
    charge_participant,
    charge_platform,
    explain_failed_start,
)
from alcove_operator.core.model import ContainerView, JobView, PodView

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_ALONE = timedelta(seconds=60)
"""Recorder and supervisor that have met give each other up before: after 25 and 30 s."""
_HOPELESS = ("not found", "manifest unknown", "unauthorized", "denied", "forbidden", "no match for platform")


def find_stop_cause(
    job: JobView, pod: PodView | None, context: Context, start_timeout: timedelta, patience: timedelta
) -> tuple[Cause, datetime] | None:
    """What a pod that has not started will be stopped for, and when; None where it is to be left alone.

    Args:
        job: of the attempt.
        pod: its pod; None where the Job has none yet.
        context: whose image it is, and what is known from outside.
        start_timeout: from the node's acceptance to the start of recorder and main.
        patience: how long it may wait for a node with room.
    """
    if pod is None:
        began = job.resumed_at if job.local_queue else job.created_at
        if began is None:
            return None
        return charge_platform(
            "NeverStarted", "The Job got no pod: see `kubectl describe job`."
        ), began + start_timeout
    if pod.terminal:
        return None
    if _began(pod.main) and _began(pod.recorder):
        return _explain_left_alone(pod, context)
    if pod.scheduled_at is None:
        why = f": {pod.unschedulable or 'the scheduler said nothing'}" if context.disclosed else "."
        return charge_platform(
            "NeverStarted", f"No node had room for the run{why}"
        ), pod.created_at + patience
    image = _image_fault(pod, context)
    if image is not None:
        hopeless = context.own_image and image[1]
        return image[0], pod.scheduled_at if hopeless else pod.scheduled_at + start_timeout
    waiting = next((c for c in (pod.main, pod.stage, pod.recorder) if c and c.waiting_message), None)
    if waiting is pod.main and waiting is not None and waiting.waiting_reason in NO_START:
        return explain_failed_start(context, waiting.waiting_message), pod.scheduled_at + start_timeout
    detail = f" {waiting.waiting_reason}: {waiting.waiting_message}" if waiting else ""
    cause = charge_platform("NeverStarted", f"Pull and staging took longer than the start timeout.{detail}")
    return cause, pod.scheduled_at + start_timeout


def _explain_left_alone(pod: PodView, context: Context) -> tuple[Cause, datetime] | None:
    """Where recorder or main has ended before they met, and the other still waits for it: nothing has been run."""
    main, recorder = pod.main, pod.recorder
    if main is None or recorder is None:
        return None
    if main.terminated and main.finished_at is not None and not recorder.terminated:
        if main.terminated_reason in NO_START:
            cause = explain_failed_start(context, "The container's first process could not be started.")
        else:
            cause = charge_platform("NeverStarted", "The container's first process ended before the go.")
        return cause, main.finished_at + _ALONE
    if recorder.terminated and recorder.finished_at is not None and not main.terminated:
        lost = "The recorder, which keeps the clock and the predictions, failed."
        return charge_platform("RecorderLost", lost), recorder.finished_at + _ALONE
    return None


def _began(container: ContainerView | None) -> bool:
    return container is not None and (container.running or container.terminated)


def _image_fault(pod: PodView, context: Context) -> tuple[Cause, bool] | None:
    """The fault, and whether waiting for it to pass would be in vain."""
    for container in (pod.recorder, pod.stage, pod.main):
        if container is None or container.waiting_reason not in _IMAGE:
            continue
        said = container.waiting_message or container.waiting_reason
        if container is pod.main and context.own_image:
            hopeless = container.waiting_reason == "InvalidImageName" or any(
                word in said.lower() for word in _HOPELESS
            )
            advice = "Check its name and digest, and that the cluster can pull it; then submit again."
            return charge_participant(
                "ImageNotFound", f"The image could not be pulled. {advice} {said}"
            ), hopeless
        return charge_platform(
            "ImagePull", f"The platform's image for {container.name} was not pulled: {said}"
        ), False
    return None
