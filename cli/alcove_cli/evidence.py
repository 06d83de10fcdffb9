"""Where `alcove verify` and `alcove export` read: the organizer's cluster, and the store with an auditor's rights."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alcove_api import keys
from alcove_api.errors import AlcoveError
from alcove_api.words import format_bytes
from alcove_audit.phase_state import PhaseState
from alcove_audit.source import StoreSource
from alcove_cli.errors import CommandError, FaultError
from alcove_cli.exchange import StoreAccess
from alcove_cli.rescore import OPERATOR
from alcove_kube.client import KubeClient, Object
from alcove_kube.resources import COMPETITIONS, CONFIG_MAPS, DATASETS, DEPLOYMENTS, LEADERBOARDS, SUBMISSIONS
from alcove_operator import config
from alcove_operator.team_list import with_listed_teams
from alcove_store.errors import StoreUnavailableError

AUDITOR_SECRET = "alcove-store-auditor"
QUIET_SECONDS = 2.0
"""Before the first line of progress, and between two."""


@dataclass
class ReadingProgress:
    """Lines for people on standard error: what was read so far."""

    doing: str
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._said = time.monotonic()

    def add(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._said >= QUIET_SECONDS:
            self._said = now
            print(f"  … {self.doing}: {format_bytes(self._bytes)} read", file=sys.stderr, flush=True)


@contextmanager
def finish_or_say() -> Iterator[None]:
    """Away is no answer: exit status 3, which nobody can take for "changed"."""
    try:
        yield
    except CommandError:
        raise
    except StoreUnavailableError as error:
        raise FaultError(
            f"The store cannot be reached from here, so nothing can be said. {error.cause}",
            remedy="Give an address that can be reached: kubectl port-forward -n NAMESPACE service/alcove-store "
            "9000:9000, and --store http://127.0.0.1:9000",
        ) from error
    except AlcoveError as error:
        if not error.retriable:
            raise
        raise FaultError(f"{error} Nothing can be said without it.") from error


def read_state(kube: KubeClient, competition: tuple[str, str], phase: str) -> PhaseState:
    """Raises CommandError where the Competition or its phase is not there, ApiError where it cannot be read."""
    namespace, name = competition
    found = kube.find(COMPETITIONS, namespace, name)
    if found is None:
        raise CommandError(f"There is no Competition {namespace}/{name}. Give --competition NAMESPACE/NAME.")
    submissions = [s for s in kube.find_all(SUBMISSIONS, None) if _is_of(s, competition, phase)]
    settings = read_settings(kube, namespace)
    return PhaseState(
        phase,
        found,
        tuple(kube.find_all(DATASETS, namespace)),
        kube.find(LEADERBOARDS, namespace, phase),
        tuple(submissions),
        None if settings is None else frozenset(settings.watched),
    )


def _is_of(submission: Object, competition: tuple[str, str], phase: str) -> bool:
    spec = submission.get("spec") or {}
    ref = spec.get("competition") or {}
    return (ref.get("namespace"), ref.get("name"), spec.get("phase")) == (*competition, phase)


def read_settings(kube: KubeClient, namespace: str) -> config.OperatorSettings | None:
    """What the operator was installed with; None where it is not there any more."""
    found = kube.find(DEPLOYMENTS, namespace, OPERATOR)
    if found is None:
        return None
    (container,) = found["spec"]["template"]["spec"]["containers"]
    settings = config.from_environment({v["name"]: v.get("value", "") for v in container.get("env", ())})
    listed = (
        kube.find(CONFIG_MAPS, namespace, settings.teams_config_map) if settings.teams_config_map else None
    )
    return with_listed_teams(settings, (listed or {}).get("data") or {})


def open_source(
    kube: KubeClient, namespace: str, endpoint: str | None, *, inputs: bool, solutions: bool = True
) -> StoreSource:
    """Raises ApiError where the Secret cannot be read: only an organizer may."""
    access = StoreAccess.of_secret(kube, namespace, AUDITOR_SECRET, endpoint)
    settings = read_settings(kube, namespace)
    bucket = settings.store_solutions_bucket if settings else keys.SOLUTIONS_BUCKET
    return StoreSource(access.client(), access.bucket, bucket, inputs, solutions)
