"""OperatorSettings of the operator, from the environment that the chart sets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from alcove_api import keys
from alcove_api.frameworks import FRAMEWORKS, Framework, find_image
from alcove_operator.errors import SettingsError

PREFIX = "ALCOVE_"


class OperatorSettings(BaseModel):
    """One field an environment variable: ``store_endpoint`` is ``ALCOVE_STORE_ENDPOINT``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    namespaces: tuple[str, ...] = ()
    """Teams' namespaces that never change, commas between: of an operator that runs without the chart."""
    teams_config_map: str = ""
    """ConfigMap in the competition's namespace that lists the teams' namespaces, and may change at any time."""
    cluster_wide: bool = False
    """Whether Submissions are watched across all namespaces, by one watch, instead of by one for each team. It takes a
    right to list and watch them there."""
    competition_namespace: str = Field(min_length=1)
    """Where Competitions, Datasets, Leaderboards and all pods live."""
    image_ingestion: str = Field(min_length=1)
    image_ingestion_numpy: str = ""
    """Empty where Submissions with code.framework numpy run in image_ingestion."""
    image_ingestion_torch: str = ""
    """Empty where Submissions with code.framework torch are refused."""
    image_ingestion_tf1: str = ""
    """Empty where Submissions with code.framework tensorflow1 are refused."""
    image_recorder: str = Field(min_length=1)
    image_scorer: str = Field(min_length=1)
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the competition's namespace."""
    store_endpoint: str = Field(pattern=r"^https?://[^/]+$")
    """As pods see it: ``http://host:port``."""
    store_region: str = "us-east-1"
    store_bucket: str = keys.MAIN_BUCKET
    store_solutions_bucket: str = keys.SOLUTIONS_BUCKET
    store_style: Literal["auto", "path", "virtual"] = "auto"
    """How a bucket is addressed (:func:`alcove_store.client.client`)."""
    store_ca_secret: str = ""
    """Secret in the competition's namespace whose ``ca.crt`` the store's certificate is checked with; empty: public
    authorities."""
    store_uploads_bucket: str = keys.UPLOADS_BUCKET
    store_public_endpoint: str = Field(default="", pattern=r"^(https?://[^/]+)?$")
    """As teams see it; by default as pods do."""
    store_credentials: Path
    """File with the operator's own ``StoreCredentials``; read again when it changes."""
    scorer_credentials: Path = Path("/alcove/scorer/credentials.json")
    """The same of the scorer, which may read runs and solutions, and write scores. Its Jobs get short-lived ones, for
    one submission or one dataset."""
    store_sts_endpoint: str = Field(default="", pattern=r"^(https?://[^/]+)?$")
    """Where short-lived credentials are asked for; by default at the store itself."""
    store_run_role: str = ""
    """ARN of the role that runs' credentials are made from, where the store knows roles; by default SeaweedFS's."""
    store_score_role: str = ""
    """The same of the scorer's Jobs."""
    aggregate_secret: str = "alcove-aggregate-store"
    """Secret in the competition's namespace whose key ``credentials.json`` may read scores, and write boards."""
    run_service_account: str = "alcove-run"
    score_service_account: str = "alcove-score"
    aggregate_service_account: str = "alcove-aggregate"
    run_node_selector: dict[str, str] = {}
    """Labels of the nodes that run pods may go to; JSON."""
    run_tolerations: tuple[dict[str, str | int], ...] = ()
    """Taints that run pods tolerate, such as those of GPU nodes; JSON."""
    runtime_class: str = ""
    """RuntimeClass of run pods; empty: the cluster's default."""
    notification_hosts: tuple[str, ...] = ()
    """Hosts that webhooks may be at, commas between."""
    notification_secrets: Path | None = None
    """Folder with NAME.url and NAME.secret of each webhook; None where there are none."""
    board_url: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$")
    """Where people reach the web server of boards."""
    lease_name: str = "alcove-operator"
    identity: str = Field(default_factory=lambda: os.uname().nodename)
    """Name of this operator in its Lease: the pod's name."""
    resync_seconds: float = Field(default=30.0, ge=1.0)
    health_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int = Field(default=9090, ge=0, le=65535)
    log_level: str = "INFO"

    @field_validator("namespaces", "image_pull_secrets", "notification_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(sorted({part.strip() for part in value.split(",") if part.strip()}))
        return value

    @field_validator("run_node_selector", "run_tolerations", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    def find_ingestion_image(self, framework: Framework) -> str:
        """The image that runs a ``model.py`` of this framework; empty where there is none."""
        return find_image(framework, lambda image: getattr(self, f"image_{image}")) or ""

    @property
    def frameworks(self) -> tuple[Framework, ...]:
        """Those that there is an image for."""
        return tuple(framework for framework in FRAMEWORKS if self.find_ingestion_image(framework))

    @property
    def watched(self) -> tuple[str, ...]:
        """The fixed namespaces, the competition's own among them."""
        return tuple(sorted({*self.namespaces, self.competition_namespace}))


def from_environment(environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Reads the settings.

    Raises:
        SettingsError: a variable is missing or wrong; all of them are named at once.
    """
    given = {
        name: environment[PREFIX + name.upper()]
        for name in OperatorSettings.model_fields
        if environment.get(PREFIX + name.upper())
    }
    try:
        return OperatorSettings.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(
            f"The operator's environment is not complete: {problems}.",
            consequence="It cannot start.",
            remedy="Set these variables; the chart does so in templates/operator.",
        ) from error
