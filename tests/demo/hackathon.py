"""The steps that take a bare cluster to a hackathon with datasets: what an organizer does, one function a step."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api.documents import StoreCredentials
from alcove_store.client import client
from alcove_toolkit.practice import PRACTICE, make_practice
from alcove_toolkit.publish import dataset_yaml, publish
from tests.cluster.layout import Cluster
from tests.cluster.publish import value_name

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "helm" / "alcove"
Values = dict[str, Any]
Progress = Callable[[str], None]


class DemoError(RuntimeError):
    """A failure told as cause, consequence and remedy."""


@dataclass(frozen=True)
class Hackathon:
    """A release that is installed; the competition is named like the release, in the namespace of that name."""

    cluster: Cluster
    name: str
    teams: tuple[str, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)
    """URLs of Services that this machine reaches otherwise than by their cluster IP."""

    def team_namespace(self, team: str) -> str:
        return f"{self.name}-{team}"

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        return kubectl(self.cluster, *arguments, stdin=stdin, timeout=timeout)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, "-n", namespace or self.name, "-o", "json")
        )
        return found

    def store(self, user: str = "publisher", secret: str = "", namespace: str | None = None) -> Minio:
        """The object store from the host, with the credentials of one of its users, or of the Secret named."""
        raw = self.store_credentials(secret or f"alcove-store-{user}", namespace)
        credentials = StoreCredentials.model_validate_json(raw)
        provider = StaticProvider(credentials.access_key, credentials.secret_key)
        return client(self.store_url(), "us-east-1", provider)

    def store_credentials(self, secret: str, namespace: str | None = None) -> bytes:
        """The file of credentials that a Secret holds."""
        return base64.b64decode(self.get("secret", secret, namespace)["data"]["credentials.json"])

    def board_url(self) -> str:
        """Where the web server of boards is, from the host."""
        return self._url("alcove-board")

    def store_url(self) -> str:
        """Where the object store is, from the host."""
        return self._url("alcove-store")

    def _url(self, service: str) -> str:
        if service in self.addresses:
            return self.addresses[service]
        spec = self.get("service", service)["spec"]
        port = spec["ports"][0]["port"]
        return f"http://{spec['clusterIP']}" + ("" if port == 80 else f":{port}")


def kubectl(cluster: Cluster, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Runs the cluster's own kubectl with the cluster's own kubeconfig. Raises :class:`DemoError` with its words."""
    return _command(
        [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), *arguments], stdin, timeout
    )


def helm(cluster: Cluster, *arguments: str, timeout: float = 600) -> str:
    # Caches of its own: the user's Helm settings are neither read nor changed.
    home = cluster.state / "helm"
    environment = {
        "HELM_CACHE_HOME": str(home / "cache"), "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"), "PATH": "/usr/bin:/bin", "HOME": str(home),
    }  # fmt: skip
    return _command(
        [str(cluster.helm), "--kubeconfig", str(cluster.kubeconfig), *arguments], None, timeout, environment
    )


def _command(
    argv: list[str], stdin: str | None, timeout: float, environment: Mapping[str, str] | None = None
) -> str:
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"`{' '.join(argv[:6])} …` gave no answer for {timeout:.0f} s.") from error
    if done.returncode != 0:
        shown = " ".join(a for a in argv[3:])[:200]
        raise DemoError(f"`{Path(argv[0]).name.split('-')[0]} {shown}` failed: {done.stderr.strip()}")
    return done.stdout


def practice_phase(budget: int, gpus: int = 0, **more: Any) -> dict[str, Any]:
    """A phase over all practice datasets with runs small enough for two cores."""
    return {
        "name": "practice",
        "datasets": [practice.name for practice in PRACTICE],
        "budget": {"seconds": budget},
        "resources": {"gpus": gpus, "cpu": "500m", "memory": "1500Mi", "disk": "1Gi", "processes": 512},
        "feedback": {"mode": "live"},
        **more,
    }


def chart_values(
    cluster: Cluster,
    images: Mapping[str, str],
    teams: Iterable[str],
    spec: Mapping[str, Any],
    store: str = "seaweedfs",
) -> Values:
    """Values for a hackathon on a small machine, with the images by digest from the cluster's own registry."""
    ours = ("operator", "recorder", "scorer", "ingestion", "ingestion-numpy", "board", store)
    this_host = [{"ipBlock": {"cidr": f"{cluster.host_ip}/32"}}] if cluster.host_ip else []
    return {
        "images": {value_name(name): images[name] for name in ours},
        "competition": {"spec": dict(spec)},
        "teams": [{"name": team} for team in teams],
        "operator": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}, "readNodes": True},
        # Organizer and teams reach the store from this host, and tests read the metrics.
        "networkPolicy": {"storeClients": this_host, "metricsClients": this_host},
        "board": {"resources": {"requests": {"cpu": "20m", "memory": "96Mi"}}},
        "store": {
            "kind": store,
            "server": {"persistence": False, "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}},
        },
    }


def values_file(cluster: Cluster, name: str) -> Path:
    """Where :func:`install` leaves the values of a release."""
    return cluster.state / f"{name}-values.yaml"


def install(cluster: Cluster, name: str, values: Values) -> Hackathon:
    """``helm install`` into the namespace of the same name; returns once the operator and the store are up."""
    file = values_file(cluster, name)
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    helm(
        cluster, "upgrade", "--install", name, str(CHART), "-n", name, "--create-namespace",
        "-f", str(file), "--wait", "--timeout", "5m",
    )  # fmt: skip
    return Hackathon(cluster, name, tuple(team["name"] for team in values["teams"]))


ALL_DATASETS = tuple(practice.name for practice in PRACTICE)


def make_datasets(folder: Path, names: tuple[str, ...] = ALL_DATASETS) -> None:
    """Those practice datasets that are not in ``folder`` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / f"{name}.solution").exists():
            make_practice(name, folder)


def publish_datasets(
    hackathon: Hackathon, folder: Path, progress: Progress, names: tuple[str, ...] = ALL_DATASETS
) -> None:
    """Pushes each dataset into the store and applies the Dataset that names its digests."""
    store = hackathon.store()

    def push(name: str) -> str:
        data, solution, manifest = publish(folder / f"{name}.data", folder / f"{name}.solution", store)
        progress(f"  published {name}: {len(manifest.files)} files")
        return dataset_yaml(name, data, solution, manifest.domain)

    with ThreadPoolExecutor(4) as pool:
        documents = list(pool.map(push, names))
    hackathon.kubectl("apply", "-n", hackathon.name, "-f", "-", stdin="\n---\n".join(documents))


@contextmanager
def bounded(what: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Gives a function to call in a waiting loop; it raises once ``seconds`` have passed."""
    end = time.monotonic() + seconds

    def tick() -> None:
        if time.monotonic() > end:
            raise DemoError(f"{what} did not happen within {seconds:.0f} s.")
        time.sleep(0.25)

    yield tick


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 120) -> None:
    """Polls ``condition``; raises :class:`DemoError` naming ``what`` when it has not come true in time."""
    with bounded(what, seconds) as tick:
        while not condition():
            tick()


def condition(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type, or {}."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def wait_ready(hackathon: Hackathon, progress: Progress, seconds: float = 180) -> None:
    """Until every Dataset and the Competition are Ready; says what each is waiting for."""
    shown: dict[str, str] = {}

    def ready() -> bool:
        found = json.loads(
            hackathon.kubectl("get", "datasets,competitions", "-n", hackathon.name, "-o", "json")
        )
        states = {item["metadata"]["name"]: condition(item, "Ready") for item in found["items"]}
        for name, state in states.items():
            said = f"{state.get('status', 'not checked yet')}: {state.get('message', '')}"
            if shown.get(name) != said:
                shown[name] = said
                progress(f"  {name}: {said}")
        return bool(states) and all(state.get("status") == "True" for state in states.values())

    wait_for("every Dataset and the Competition becoming Ready", ready, seconds)
