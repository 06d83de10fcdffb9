"""Names that are computed, never chosen, so that doing a thing twice is doing it once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from alcove_api.base import GROUP
from alcove_api.run_names import alias_of, repeat_of

FINALIZER = f"{GROUP}/runs"
RUN, SCORE, RESCORE = "run", "score", "rescore"
"""Values of the label ``alcove.dev/role``."""

SUBMISSION_UID = f"{GROUP}/submission-uid"
TEAM = f"{GROUP}/team"
COMPETITION = f"{GROUP}/competition"
PHASE = f"{GROUP}/phase"
DATASET = f"{GROUP}/dataset"
DATASET_UID = f"{GROUP}/dataset-uid"
ATTEMPT = f"{GROUP}/attempt"
ROLE = f"{GROUP}/role"
IDENTITY = (ROLE, SUBMISSION_UID, DATASET_UID, COMPETITION, PHASE, DATASET, ATTEMPT)
"""Labels that tell what a Job was made for; two Jobs of one name that differ in them are not the same."""
LOCAL_QUEUE = "kueue.x-k8s.io/queue-name"
"""Kueue's own label: which of its LocalQueues admits the Job."""
AGAIN = f"{GROUP}/again"
"""Label of the Job that scores a submission which has ended."""

_LOWEST_UID, _PAST_UID = 200_000, 2**31 - 1
"""Above what images and hosts give to people and daemons; below what some programs take for negative."""


def uid8(uid: str) -> str:
    return uid.replace("-", "")[:8]


def run_job(submission_uid: str, run: str, attempt: int) -> str:
    """Name of the Job of one attempt: at most 53 characters, so that its pods' names need no cutting.

    The number of a repeat stands in front, where no alias can be taken for it, and where it is no dot in a host's name.
    """
    repeat = repeat_of(run)
    return f"r{repeat if repeat > 1 else ''}-{uid8(submission_uid)}-{alias_of(run)}-{attempt}"


def score_job(submission_uid: str, scoring_digest: str, attempt: int = 1) -> str:
    first = f"s-{uid8(submission_uid)}-{scoring_digest[:8]}"
    return first if attempt == 1 else f"{first}-{attempt}"


def usage_name(competition: str, team: str) -> str:
    """Name of the TeamUsage. Neither part has a dot."""
    return f"{competition}.{team}"


def run_labels(
    submission_uid: str, team: str, competition: str, phase: str, alias: str, attempt: int
) -> Mapping[str, str]:
    return {
        **score_labels(submission_uid, team, competition, phase),
        DATASET: alias,
        ATTEMPT: str(attempt),
        ROLE: RUN,
    }


def score_labels(submission_uid: str, team: str, competition: str, phase: str) -> Mapping[str, str]:
    return {
        SUBMISSION_UID: submission_uid,
        TEAM: team,
        COMPETITION: competition,
        PHASE: phase,
        ROLE: SCORE,
    }


def run_as(submission_uid: str, alias: str, attempt: int) -> int:
    """User of one attempt's containers: its own, so that process limits and file rights stay within it."""
    digest = hashlib.sha256(f"{submission_uid}/{alias}/{attempt}".encode()).digest()
    return _LOWEST_UID + int.from_bytes(digest[:8], "big") % (_PAST_UID - _LOWEST_UID)
