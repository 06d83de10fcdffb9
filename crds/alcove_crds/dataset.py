"""Dataset: digests of what lies in the store, and what the checker found there."""

from __future__ import annotations

from typing import Literal

from alcove_crds.base import Alias, ApiModel, Column, Conditions, Kind, Sha256, StatusModel

Domain = Literal["image", "video", "speech", "text", "series", "tabular", "other"]


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


class DatasetStatus(StatusModel):
    observed_generation: int | None = None
    conditions: Conditions = ()
    n_train: int | None = None
    n_test: int | None = None
    n_labels: int | None = None
    bytes: int | None = None
    chance_score: float | None = None
    """Score of a prediction that knows nothing."""


DATASET = Kind(
    name="Dataset",
    plural="datasets",
    short_names=("ds",),
    spec=DatasetSpec,
    status=DatasetStatus,
    description="A hidden dataset: digests of its input and solution in the store, and what the check found.",
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Alias", ".spec.alias"),
        Column("Domain", ".spec.domain"),
        Column("Train", ".status.nTrain", "integer"),
        Column("Test", ".status.nTest", "integer"),
        Column("Labels", ".status.nLabels", "integer"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].message"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
