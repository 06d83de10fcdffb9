"""Dataset: digests of what lies in the store, and what the checker found there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from alcove_api.base import GROUP, Alias, ApiModel, Column, Conditions, Kind, Sha256, StatusModel, cel
from alcove_api.schemes import Task

RECHECK = f"{GROUP}/recheck"
"""Annotation of a Dataset; a value that it did not have before asks for one more check of the same digests."""
Domain = Literal["image", "video", "speech", "text", "series", "tabular", "other"]


class VolumeClaim(ApiModel):
    """A volume that holds the input, so that runs read it there instead of downloading it. It is mounted read-only."""

    claim_name: Annotated[
        str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
    ]
    """A PersistentVolumeClaim in the Dataset's namespace; ReadOnlyMany or ReadWriteMany where runs have several
    nodes."""
    path: Annotated[
        str,
        Field(
            max_length=1024,
            json_schema_extra={
                "x-kubernetes-validations": [
                    cel(
                        "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                        "volumeClaim.path is relative to the volume's root, and has no '..' in it",
                    )
                ]
            },
        ),
    ] = ""
    """Folder on the volume that holds train and test; by default the volume's root. Runs see all that is in it."""


class DatasetSpec(ApiModel):
    """What was published, by digest, and under which name participants see it."""

    alias: Alias
    """The name that participants see."""
    domain: Domain = "other"
    """Kind of data, for people."""
    data_sha256: Sha256
    """Digest of the published input's manifest: `alcove dataset push` prints it."""
    solution_sha256: Sha256
    """Digest of the hidden solution."""
    target: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None
    """Score that a prediction has to reach, for ranking performance-profile: what counts is how soon."""
    volume_claim: VolumeClaim | None = None
    """For input on a volume: its digest is checked once, and runs then read it there."""


class DatasetStatus(StatusModel):
    observed_generation: int | None = None
    conditions: Conditions = ()
    n_train: int | None = None
    n_test: int | None = None
    n_labels: int | None = None
    task: Task | None = None
    """What is predicted of an example: exactly one label, any number of labels, or numbers."""
    bytes: int | None = None
    recheck: Annotated[str, Field(max_length=64)] = ""
    """Value of the annotation alcove.dev/recheck that the last check answers."""
    chance_score: float | None = None
    """Score of a prediction that knows nothing."""
    linear_score: float | None = None
    """Score of a linear model on coarse features: what a first submission reaches."""
    warnings: Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=8)] = ()
    """What the check found and an organizer should know, though the dataset can be used."""


DATASET = Kind(
    name="Dataset",
    plural="datasets",
    short_names=("ds",),
    spec=DatasetSpec,
    status=DatasetStatus,
    description="A hidden dataset: digests of its input and solution in the store, and what the check found.",
    columns=(
        # In 80 columns, and 160 with -o wide but for its last, a sentence.
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Alias", ".spec.alias"),
        Column("Train", ".status.nTrain", "integer"),
        Column("Test", ".status.nTest", "integer"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Domain", ".spec.domain", priority=1),
        Column("Labels", ".status.nLabels", "integer", priority=1),
        Column("Chance", ".status.chanceScore", "number", priority=1),
        Column("Linear", ".status.linearScore", "number", priority=1),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
    ),
)
