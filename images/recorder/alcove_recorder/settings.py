"""What the recorder is told, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.run_documents import RunConfig
from alcove_recorder.errors import RecorderSettingsError


@dataclass(frozen=True)
class StagingSettings:
    credentials: Path
    """A file that holds those to read this run's data and code."""
    patience: float = 60.0
    """Seconds that a store which is away is waited for."""
    start_seconds: float = 900.0
    """From when the node took the pod until data and code have to be in place."""


@dataclass(frozen=True)
class RecorderSettings:
    run: RunConfig
    pod_uid: str
    root: Path
    """``/alcove`` in a pod."""
    endpoint: str
    """``http://…``, ``https://…``, or ``file:///folder`` on a laptop."""
    termination_log: Path
    stop_seconds: float = 20.0
    """How long after SIGTERM it goes on trying to seal; less than the pod's grace period."""
    log_limit: int = 4 << 20
    """Bytes of the participant's output that are kept."""
    disk_bytes: int | None = None
    """What the program asked for of its node's disk; None where that is not looked at, as on a laptop."""
    staging: StagingSettings | None = None
    """None where data and code are in place already, as on a laptop."""

    @property
    def prefix(self) -> str:
        run = self.run
        return keys.attempt_prefix(run.submission_uid, run.alias, run.attempt, self.pod_uid)

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def written_folders(self) -> tuple[Path, ...]:
        """Those on the node's disk that the program may write to."""
        return self.out, self.root / "tmp"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "go.sock"

    @property
    def state(self) -> Path:
        return self.root / "run" / "state.json"


def from_environment(environment: Mapping[str, str]) -> RecorderSettings:
    """Raises :class:`RecorderSettingsError` naming what is missing or wrong.

    Beside the contract's variables: ``ALCOVE_ROOT`` and ``ALCOVE_TERMINATION_LOG`` move the folders for a run
    outside a pod, ``ALCOVE_STOP_SECONDS`` follows the pod's grace period, ``ALCOVE_DISK_BYTES`` is the phase's
    ``resources.disk``. ``ALCOVE_STAGE_CREDENTIALS`` has it stage, ``ALCOVE_START_SECONDS`` and
    ``ALCOVE_STAGE_PATIENCE`` say how long that may take.
    """
    try:
        run = RunConfig.model_validate_json(environment.get("ALCOVE_RUN", ""))
        stop_seconds = float(environment.get("ALCOVE_STOP_SECONDS", "20"))
        disk_bytes = int(environment["ALCOVE_DISK_BYTES"]) if "ALCOVE_DISK_BYTES" in environment else None
        staging = _read_staging(environment)
    except (ValidationError, ValueError) as error:
        raise RecorderSettingsError(
            f"ALCOVE_RUN, or one of the numbers beside it, cannot be read: {error}",
            consequence="Nothing is recorded.",
            remedy="All are set by the operator; look at the Job.",
        ) from error
    endpoint, pod_uid = environment.get("ALCOVE_STORE_ENDPOINT", ""), environment.get("ALCOVE_POD_UID", "")
    if not endpoint or not pod_uid:
        raise RecorderSettingsError(
            "ALCOVE_STORE_ENDPOINT and ALCOVE_POD_UID must both be set.",
            consequence="Nothing is recorded.",
            remedy="Both are set by the operator; look at the Job.",
        )
    return RecorderSettings(
        run=run,
        pod_uid=pod_uid,
        root=Path(environment.get("ALCOVE_ROOT", "/alcove")),
        endpoint=endpoint,
        termination_log=Path(environment.get("ALCOVE_TERMINATION_LOG", "/dev/termination-log")),
        stop_seconds=stop_seconds,
        disk_bytes=disk_bytes,
        staging=staging,
    )


def _read_staging(environment: Mapping[str, str]) -> StagingSettings | None:
    credentials = environment.get("ALCOVE_STAGE_CREDENTIALS", "")
    if not credentials:
        return None
    return StagingSettings(
        Path(credentials),
        patience=float(environment.get("ALCOVE_STAGE_PATIENCE", "60")),
        start_seconds=float(environment.get("ALCOVE_START_SECONDS", "900")),
    )
