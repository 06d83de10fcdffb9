"""Where the attacks run: a release of the chart with the phases and the two teams that ``--values`` prints."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import yaml

from alcove_api.base import API_VERSION
from alcove_cli.conformance.attacks_on_resources import CPUS, PROCESSES
from alcove_cli.conformance.errors import PlaceError
from alcove_cli.exchange import PUBLISHER_SECRET, TEAM_SECRET, StoreAccess
from alcove_cli.options import parse_competition
from alcove_cli.team import COMPETITION, build_kubeconfig, request_token, write_private
from alcove_cli.upload import upload_bundle
from alcove_format.reader import open_dataset
from alcove_format.solution import parse_solution
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, CONFIG_MAPS, DATASETS, NAMESPACES, SUBMISSIONS, Resource
from alcove_toolkit.practice import make_practice
from alcove_toolkit.publish import dataset_yaml, publish

if TYPE_CHECKING:
    from minio import Minio

DATASET, PRACTICE, EXAMPLES = "conformance", "waves", 400
"""The hidden dataset is made: nobody's data is touched."""
PHASES = {"attack": 8, "long": 32, "blind": 8, "disk": 110}
"""Seconds of budget by phase."""
LABEL = "alcove-conformance"
"""On everything that the suite makes for a team, so that it finds it again."""
GONE_SECONDS = 400.0
"""That the operator may take to end the runs of deleted Submissions: it lists everything again every 300 s."""


def release_values() -> Object:
    """Values to install the release under test with, beside the hackathon's own."""
    resources = {
        "gpus": 0, "cpu": f"{round(1000 * CPUS)}m", "memory": "400Mi", "disk": "256Mi", "sharedMemory": "64Mi",
        "processes": PROCESSES,
    }  # fmt: skip

    def phase(name: str, **more: Any) -> Object:
        budget = {"seconds": PHASES[name]}
        return {"name": name, "datasets": [DATASET], "budget": budget, "resources": resources, **more}

    spec = {
        "title": "Attacks on this installation",
        "capacity": 4,
        "limits": {"perDay": 1000, "total": 10000, "parallel": 4},
        "phases": [
            phase("attack"),
            # Scores are of the whole test set, as the neighbour's are computed again here.
            phase("long", feedback={"testFraction": 1.0}),
            phase("blind", feedback={"mode": "none"}, revealsAt="2099-01-01T00:00:00Z"),
            phase("disk"),
        ],
    }
    return {"competition": {"spec": spec}, "teams": [{"name": "attacker"}, {"name": "neighbour"}]}


@dataclass(frozen=True)
class Team:
    """One of the two teams, with its own rights at the API server and in the store."""

    namespace: str
    kube: KubeClient
    store: Minio


@dataclass(frozen=True)
class HiddenDataset:
    data_sha256: str
    solution_sha256: str
    domain: str
    solution: npt.NDArray[np.bool_]
    """n_test × n_labels."""
    canary: str
    """What a program can only know from the features of the first hidden example: as programs/leak.py prints it."""


@dataclass(frozen=True)
class Place:
    kube: KubeClient
    """The organizer's."""
    namespace: str
    competition: str
    attacker: Team
    neighbour: Team
    publisher: StoreAccess
    scorer: Minio
    """The store, as the scorer reads it."""
    own_image: str = ""
    """By digest; "" where none was given, and cases of images cannot be tried."""

    def submit(self, team: Team, name: str, phase: str, files: dict[str, str]) -> None:
        """As the team does it, with its own rights."""
        metadata = {"name": name, "namespace": team.namespace, "labels": {LABEL: "true"}}
        code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files}
        team.kube.create(CONFIG_MAPS, team.namespace, code)
        self.submit_code(team, name, phase, {"configMap": {"name": name}, "framework": "numpy"})

    def submit_bundle(self, team: Team, name: str, phase: str, bundle: bytes) -> None:
        """Likewise: uploads it by the permit that the operator answers with."""
        code = {"bundle": {"sha256": hashlib.sha256(bundle).hexdigest()}, "framework": "numpy"}
        made = self.submit_code(team, name, phase, code)
        upload_bundle(team.kube, made, bundle, self.publisher.endpoint)

    def submit_code(self, team: Team, name: str, phase: str, code: Object) -> Object:
        return team.kube.create(SUBMISSIONS, team.namespace, self.submission(team, name, phase, code))

    def submission(self, team: Team, name: str, phase: str, code: Object) -> Object:
        metadata = {"name": name, "namespace": team.namespace, "labels": {LABEL: "true"}}
        reference = {"namespace": self.namespace, "name": self.competition}
        spec = {"competition": reference, "phase": phase, "code": code}
        return {"apiVersion": API_VERSION, "kind": "Submission", "metadata": metadata, "spec": spec}

    def serves(self, resource: Resource) -> bool:
        """Whether the API server knows the kind."""
        try:
            listing = self.kube.request("GET", f"/apis/{resource.api_version}")
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return any(kind["name"] == resource.plural for kind in listing["resources"])

    def clean(self) -> None:
        """Deletes what the suite made in the cluster, and waits for it to be gone. Raises PlaceError where it stays."""
        for team in (self.attacker, self.neighbour):
            for kind in (SUBMISSIONS, CONFIG_MAPS):
                for found in self.kube.find_all(kind, team.namespace, f"{LABEL}=true"):
                    self.kube.delete(kind, team.namespace, found["metadata"]["name"])
        self.kube.delete(DATASETS, self.namespace, DATASET)
        end = time.monotonic() + GONE_SECONDS
        while left := self.list_submissions():
            if time.monotonic() > end:
                raise PlaceError(
                    f"These Submissions did not go within {GONE_SECONDS:.0f} s: {', '.join(left)}. Is the operator up? "
                    "Delete them with kubectl delete submissions."
                )
            time.sleep(0.5)

    def list_submissions(self) -> list[str]:
        """Names of those that the suite handed in and that are there."""
        teams = (self.attacker, self.neighbour)
        found = [self.kube.find_all(SUBMISSIONS, team.namespace, f"{LABEL}=true") for team in teams]
        return [one["metadata"]["name"] for of_team in found for one in of_team]


@contextmanager
def open_place(
    kubeconfig: str | None, competition: str, store: str | None, own_image: str = ""
) -> Iterator[Place]:
    """Finds the release and its teams. What its teams' tokens are written to is gone afterwards.

    ``own_image``: reference by digest of the image that one of the attacks hands in; "" for none.

    Raises:
        PlaceError: the Competition is not one of ``--values``, or has not two teams.
        ApiError, KubeconfigError: the cluster cannot be reached, or refuses.
    """
    namespace, name = parse_competition(competition)
    kube = KubeClient.from_kubeconfig(kubeconfig)
    found = kube.find(COMPETITIONS, namespace, name)
    phases = {p["name"]: p for p in (found or {}).get("spec", {}).get("phases", ())}
    if not phases.keys() >= PHASES.keys() or any(phases[p]["datasets"] != [DATASET] for p in PHASES):
        raise PlaceError(
            f"{namespace}/{name} is not a competition to attack: it needs the phases {', '.join(PHASES)}. Nothing "
            "was done. Install a release for it: alcove conformance --values prints its values."
        )
    selector = f"{COMPETITION}={namespace}.{name}"
    teams = sorted(n["metadata"]["name"] for n in kube.find_all(NAMESPACES, None, selector))
    if len(teams) < 2:
        raise PlaceError(
            f"{namespace}/{name} has {len(teams)} teams, but one attacks and one is its neighbour. Nothing was done. "
            "Install the release with the teams that alcove conformance --values prints."
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alcove-conformance-")))
        attacker, neighbour = (_open_team(kube, team, store, folder) for team in teams[:2])
        publisher = StoreAccess.of_secret(kube, namespace, PUBLISHER_SECRET, store)
        scorer = StoreAccess.of_secret(kube, namespace, "alcove-store-scorer", store).client()
        yield Place(kube, namespace, name, attacker, neighbour, publisher, scorer, own_image)


def _open_team(kube: KubeClient, namespace: str, store: str | None, folder: Path) -> Team:
    token = request_token(kube, namespace, 1).token
    path = folder / f"{namespace}.kubeconfig"
    write_private(path, yaml.safe_dump(build_kubeconfig(kube, namespace, token)))
    access = StoreAccess.of_secret(kube, namespace, TEAM_SECRET, store)
    return Team(namespace, KubeClient.from_kubeconfig(str(path)), access.client())


def make_dataset(place: Place) -> HiddenDataset:
    """Makes the hidden dataset, publishes it and applies it; the operator checks it. Raises as publish does."""
    with tempfile.TemporaryDirectory(prefix="alcove-conformance-") as folder:
        data = make_practice(PRACTICE, Path(folder), examples=EXAMPLES)
        solution = data.with_suffix(".solution")
        digest, solution_sha256, manifest = publish(data, solution, place.publisher.client())
        features, _ = next(iter(open_dataset(data).test))
        canary = "canary" + np.asarray(features, np.float32).tobytes()[:24].hex()
        labels = parse_solution(solution.read_bytes(), PRACTICE).view(np.bool_)
        assert hashlib.sha256(solution.read_bytes()).hexdigest() == solution_sha256
    document = yaml.safe_load(dataset_yaml(DATASET, digest, solution_sha256, manifest.domain))
    document["metadata"]["namespace"] = place.namespace
    if place.kube.find(DATASETS, place.namespace, DATASET) is None:
        place.kube.create(DATASETS, place.namespace, document)
    return HiddenDataset(digest, solution_sha256, manifest.domain, labels, canary)
