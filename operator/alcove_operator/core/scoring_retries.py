"""The tries at scoring one Submission by one set of settings: one Job each, and what becomes of one that failed.

How often it was tried is in the Jobs themselves (the label ``alcove.dev/attempt``), so no crash forgets it, and an
organizer who deletes the last one starts it over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from alcove_operator.core import names
from alcove_operator.core.model import JobView, PodView

MAX_SCORER_JOBS = 5
"""Jobs, of up to four pods each: past that a fault is not one that passes."""
FIRST_PAUSE = timedelta(minutes=1)
"""After the first Job that failed; twice as long after each further one."""
INPUTS_AT_FAULT = "PodFailurePolicy"
"""Reason of a Job that failed because its pod said that the same inputs will never do."""
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


def newest_job(jobs: Iterable[JobView], submission_uid: str, digest: str) -> JobView | None:
    """The Job of the latest try; None where there is none."""
    first = names.score_job(submission_uid, digest)
    mine = (j for j in jobs if j.role == names.SCORE and (j.name == first or j.name.startswith(f"{first}-")))
    return max(mine, key=lambda job: (job.attempt, job.name), default=None)


def try_number(job: JobView) -> int:
    """Which try it is; a Job without the label is the first."""
    return max(1, job.attempt)


def next_try_at(job: JobView) -> datetime | None:
    """When a Job that failed is followed by another; None where it is not."""
    tried = try_number(job)
    if job.reason == INPUTS_AT_FAULT or tried >= MAX_SCORER_JOBS:
        return None
    pause: timedelta = FIRST_PAUSE * 2 ** (tried - 1)
    return (job.finished_at or job.created_at) + pause


def is_given_up(job: JobView | None) -> bool:
    return job is not None and job.finished == "Failed" and next_try_at(job) is None


def describe_failure(job: JobView, pod: PodView | None) -> str:
    """That scoring failed, why, and what comes next; without the digests of solutions, which teams never see."""
    said = (pod.termination_message or pod.message if pod else "") or job.message
    why = _DIGEST.sub(r"\1…", said.strip())[:600]
    due = next_try_at(job)
    if due is not None:
        coming = f"The next try is at {due:%H:%M:%S} UTC ({try_number(job)} of {MAX_SCORER_JOBS} failed)."
    elif job.reason == INPUTS_AT_FAULT:
        coming = f"The next try is made once the organizer has repaired that and deletes the Job {job.name}."
    else:
        coming = f"After {job.attempt} tries, the next is made once the organizer deletes the Job {job.name}."
    return f"Scoring failed: {why.rstrip('.') or 'its pod is gone'}. {coming}"
