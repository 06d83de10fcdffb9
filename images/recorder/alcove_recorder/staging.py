"""Staging beside the recorder's loop, before the go: how far it is, what became of it, and until when it may take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from alcove_api.errors import AlcoveError
from alcove_api.run_documents import StagingFailure, StagingReport
from alcove_recorder.jsonlog import log
from alcove_recorder.settings import RecorderSettings, StagingSettings
from alcove_recorder.spool import write_atomic

SIGN_SECONDS = 5.0
"""How often a supervisor that waits hears that it goes on; much less than its patience with a silent recorder."""


class Staging:
    """Of one run. It is begun once, and again only by a recorder that was restarted before it had ended.

    ``wake`` is called, from the thread that stages, when it has ended.
    """

    def __init__(
        self, settings: RecorderSettings, staging: StagingSettings, wake: Callable[[], None]
    ) -> None:
        self._settings, self._staging, self._wake = settings, staging, wake
        self._kept = settings.spool / "staging.json"
        self.error: str | None = None
        """Why it failed, for the organizer."""
        self._outcome: tuple[StagingFailure, str | None] | None = None
        """The thread's last word."""
        self.report = _load(self._kept) or StagingReport(began_at=datetime.now(UTC))
        self.give_up_at = time.monotonic() + _seconds_left(settings.out, staging.start_seconds)

    @property
    def ended(self) -> bool:
        return self.report.ended_at is not None

    @property
    def failed(self) -> bool:
        return self.ended and self.report.failed != ""

    def start(self) -> None:
        if not self.ended:
            log("staging")
            Thread(target=self._stage, name="stager", daemon=True).start()

    def note_end(self) -> bool:
        """Whether it has ended since this was asked last: of itself, or because it takes too long."""
        if self.ended:
            return False
        outcome = self._outcome
        if outcome is None and time.monotonic() >= self.give_up_at:
            taken = f"Data and code were not in place {self._staging.start_seconds:g} s after the node took the run."
            outcome = ("StagingFault", taken)
        if outcome is None:
            return False
        failed, self.error = outcome
        self.report = self.report.replace(ended_at=datetime.now(UTC), failed=failed)
        write_atomic(self._kept, self.report.canonical())
        log("staged" if not failed else "not-staged", failed=failed, error=self.error)
        return True

    def _stage(self) -> None:
        try:
            stage_run(self._settings, self._staging)
            self._outcome = ("", None)
        except AlcoveError as error:
            self._outcome = (_find_fault(error), f"{type(error).__name__.removesuffix('Error')}: {error}")
        except Exception as error:  # whatever it is, the loop has to hear of it
            self._outcome = ("StagingFault", f"{type(error).__name__}: {error}")
        self._wake()


def stage_run(settings: RecorderSettings, staging: StagingSettings) -> None:
    from alcove_recorder.stager import RunStager
    from alcove_store import client as store_client

    environment = {**os.environ, "ALCOVE_STORE_CREDENTIALS": str(staging.credentials)}
    where = store_client.StoreConfig.from_environment(environment)
    stager = RunStager(
        settings.run,
        settings.root,
        store_client.connect(where),
        where.bucket,
        staging.patience,
        lambda text: log("staging", said=text),
    )
    stager.stage_code()
    stager.stage_data()


def _find_fault(error: AlcoveError) -> StagingFailure:
    from alcove_store.errors import BundleError

    return "BadBundle" if isinstance(error, BundleError) else "StagingFault"


def _load(path: Path) -> StagingReport | None:
    try:
        return StagingReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def _seconds_left(untouched: Path, start_seconds: float) -> float:
    """Until data and code have to be in place.

    Counted from when the node took the pod, as the pod's own deadline is, or a slow pull and a slow staging together
    would take from the budget. No API tells a container that moment: the kubelet makes the volumes then, and nobody
    writes into the participant's before the go.
    """
    age = time.time() - untouched.stat().st_mtime
    return start_seconds - min(max(age, 0.0), start_seconds)
