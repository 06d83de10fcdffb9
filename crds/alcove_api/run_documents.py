"""Documents of a run: what it is told, what the recorder leaves in the store, and the operator's word on it.

Times named ``*_ns`` are nanoseconds since the go; times of day are RFC 3339 in UTC.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from alcove_api.documents import Document, Sha256


class RunConfig(Document):
    """What the recorder is told of its run (``ALCOVE_RUN``)."""

    submission_uid: str
    alias: str
    attempt: int
    data_sha256: Sha256 | None
    """None where the input is a volume claim, which needs no staging."""
    code_sha256: Sha256 | None
    """None where the submission is an image, which brings its own code."""
    budget_ns: int
    disclosed: bool = True
    free_constructor_ns: int = 0
    """What import and constructor of a model.py have before the go; 0 where they are charged."""
    n_test: int
    n_labels: int
    max_snapshots: int = 1000
    max_bytes: int = 8 << 30
    code_bytes_limit: int = 1 << 30
    """Unpacked size of a bundle at most."""


class Record(Document):
    """One prediction file as the recorder saw it. ``rec/<seq:08>.json`` holds :meth:`Document.canonical`."""

    seq: int
    name: str
    kind: Literal["npy", "predict"]
    seen_ns: int
    """When the recorder first saw the file."""
    t_ns: int
    """When the recorder held the last byte of its own copy: what the prediction is charged at."""
    sha256: Sha256 | None
    """Of the data object; None for a refusal."""
    bytes: int
    refused: str | None = None
    previous: Sha256 | None
    """Digest of the previous record's canonical bytes; None for the first."""


class End(Document):
    cause: Literal[
        "finished", "failed", "signalled", "budget", "could-not-start", "recorder-saw-eof", "unknown"
    ]
    code: int = 0
    signal: int = 0
    ended_ns: int
    """Since the go; when the last process was reaped. −1 where that is not known."""


class Manifest(Document):
    """Closes the chain of one attempt."""

    version: Literal[1] = 1
    submission_uid: str
    alias: str
    attempt: int
    pod_uid: str
    budget_ns: int
    go_at: datetime | None
    """Wall-clock time of the go, for people; None where there was none. Never used to score."""
    free_ns: int | None = None
    """How long import and constructor ran before the go, free of charge; None where they are charged."""
    boot_id: str
    end: End
    overshoot_ns: int
    """How long after the budget the last process was gone; 0 where the run ended earlier."""
    records: tuple[Record, ...]
    head: Sha256 | None
    """Digest of the last record."""
    data_sha256: Sha256 | None = None
    """Of the input that the run was given; None where that lay on a volume."""
    code_sha256: Sha256 | None = None
    """Of the code that it was given; None where the submission is an image."""
    log_sha256: Sha256 | None = None
    """Of ``log.txt``; None where there is none. Where all three are None, this was sealed before they were recorded."""
    sealed_by: Literal["recorder", "scorer"] = "recorder"


StagingFailure = Literal["", "BadBundle", "StagingFault"]


class StagingReport(Document):
    """How the recorder put data and code in place before the go."""

    began_at: datetime
    ended_at: datetime | None = None
    """None while it goes on."""
    failed: StagingFailure = ""
    """``BadBundle``: the participant's bundle is at fault; ``StagingFault``: the platform is. Nothing ran then."""


class RecorderReport(Document):
    """The recorder's termination message, ≤ 4096 bytes: trusted, since the participant cannot write it."""

    go_at: datetime | None
    end: End | None
    free_ns: int | None = None
    """How long the program ran before the go, free of charge: 0 until the go, None where it does not run before."""
    snapshots: int
    refused: int
    overshoot_ns: int
    head: Sha256 | None
    manifest_sha256: Sha256 | None
    """None where it was stopped before it could seal."""
    oom_kills: int = 0
    flooded: bool = False
    """Whether the program did more in the output folder than it may, or used up what the recorder needs to see it
    (docs/security.md): what the recorder died of then is not the platform's fault."""
    disk_exceeded: bool = False
    """Whether the program held more in the folders that it may write to than it asked for of its node's disk
    (``resources.disk``), or kept the recorder from counting that (docs/security.md)."""
    error: str | None = None
    stamp_lag_ns: int = 0
    """The longest time from the first sight of a file to its stamp. Large files take longer to copy."""
    store_away: bool = False
    """Whether something is still not uploaded because the store refused it or did not answer at the last try. Slow is
    not away: how much there is to upload is in the participant's hands."""
    store_full: bool = False
    """Whether the last try ended because the store has no room."""
    restarts: int = 0
    """How often the recorder failed, or was killed, and was started again."""
    staging: StagingReport | None = None
    """None where the recorder stages nothing, as on a laptop, or beside an init container ``stage`` of an earlier
    release."""


class ContainerImage(Document):
    container: Literal["stage", "recorder", "main"]
    """``stage``: of pods of an earlier release."""
    image_id: str
    """As the kubelet reports it: with the digest of what was run, whatever the pod's spec named."""


def commit_head(head: str, solution_sha256: str) -> str:
    """What a blind phase shows in place of a head. A head alone would tell when the last prediction came to whoever
    knows the predictions and tries all times; the solution's digest is as secret as the solution."""
    return hashlib.sha256(f"{solution_sha256} {head}".encode()).hexdigest()


class RepeatedAttempt(Document):
    """What the store holds of an attempt that was repeated, once nothing of it runs any more."""

    attempt: int
    pod_uid: str
    head: Sha256 | None
    """Digest of its last record; None where it has none."""
    manifest_sha256: Sha256 | None
    log_sha256: Sha256 | None


class Verdict(Document):
    """The operator's word on one dataset of one submission, once no attempt will follow."""

    submission_uid: str
    alias: str
    attempt: int | None
    """The one attempt that is scored; None where no pod ever recorded anything."""
    pod_uid: str | None
    phase: Literal["Done", "Failed"]
    cause: str
    charged_to: Literal["", "Participant", "Platform"]
    head: Sha256 | None = None
    """Of the recorder's report, kept outside the store: the records there must hold it. None where it is not known."""
    queued_at: datetime | None = None
    """When the submission was admitted."""
    created_at: datetime | None = None
    """When the Job of this attempt was made: the queue, and earlier attempts, end here."""
    pulled_at: datetime | None = None
    """When staging began: a node was found, the platform's images are there."""
    staged_at: datetime | None = None
    """When data and code were in place."""
    launched_at: datetime | None = None
    """When the participant's container had begun as well: its image is there, too. The kubelet says that in whole
    seconds."""
    started_at: datetime | None = None
    """The go."""
    ended_at: datetime | None = None
    message: str = ""
    """What the cause means in this case, for people."""
    images: tuple[ContainerImage, ...] = ()
    """Of this attempt's pod; empty where it is gone, or the kubelet has not reported them."""
    points_shown_before: int = 0
    """Scores that earlier attempts' live curves showed: as many fewer are shown of this one."""
    repeated: tuple[RepeatedAttempt, ...] | None = None
    """Earlier attempts of which there is anything in the store; None in verdicts that are older than the field."""
