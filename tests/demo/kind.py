"""`make demo CLUSTER=kind`: a cluster whose nodes are prebuilt images, and images that Docker builds.

Nothing of Kubernetes is built. kind pulls the image of its node, and Docker the bases that the Dockerfiles name, so
registries must be reachable.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import buildah
from tests.cluster.console import ClusterError, Progress, run, run_logged, step
from tests.cluster.images import Image
from tests.cluster.layout import Cluster, check_name, state_dir
from tests.cluster.publish import choose_images, docker_build, version
from tests.cluster.versions import cache_dir
from tests.demo.hackathon import bounded

PROGRAMS = ("kind", "docker", "kubectl", "helm")
SERVICES = {"alcove-store": "s3", "alcove-board": "http"}
"""Those that the demo speaks to, with their ports. Outside the node of kind, addresses of Services lead nowhere."""
FORWARDED = re.compile(r"Forwarding from (127\.0\.0\.1:\d+)")


def check_programs() -> None:
    """Raises :class:`ClusterError` with all that is missing, and where it is to be had."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise ClusterError(
            f"{', '.join(missing)}: not on PATH, so there can be no cluster of kind. Install what is missing "
            "(kind.sigs.k8s.io has links to all four), or leave CLUSTER=kind out: then everything is built here."
        )
    try:
        run(["docker", "version", "--format", "{{.Server.Version}}"])
    except ClusterError as error:
        raise ClusterError(
            f"Docker does not answer, so kind has nowhere to put a node. Start Docker. It says: {error}"
        ) from error


def create_command(name: str, kubeconfig: Path) -> list[str | Path]:
    """The kubeconfig is a file of its own: the user's is not touched."""
    return ["kind", "create", "cluster", "--name", name, "--kubeconfig", kubeconfig, "--wait", "3m"]


def load_command(name: str, references: list[str]) -> list[str | Path]:
    return ["kind", "load", "docker-image", *references, "--name", name]


def up(name: str, progress: Progress) -> Cluster:
    """A cluster of that name, made unless kind has it already. Raises :class:`ClusterError`."""
    check_programs()
    state = state_dir(check_name(name))
    kubeconfig = state / "kubeconfig"
    state.mkdir(parents=True, exist_ok=True)
    if name in run(["kind", "get", "clusters"]).split():
        run(["kind", "export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig])
    else:
        with step(progress, f"kind makes the cluster '{name}'"):
            log = cache_dir() / "log" / f"kind-{name}.log"
            run_logged(create_command(name, kubeconfig), log, "Making the cluster")
    kubectl, helm = (Path(str(shutil.which(program))) for program in ("kubectl", "helm"))
    return Cluster(
        name, kubeconfig, node_ip="", host_ip="", registry="", state=state, kubectl=kubectl, helm=helm
    )


def images(cluster: Cluster, progress: Progress) -> dict[str, str]:
    """Builds what the chart installs, and loads it into the node; the references by the images' names.

    They are names with a tag: what is loaded into a node has no digest of a registry.
    """
    arch = buildah.platform().rpartition("/")[2]
    chosen = choose_images(None, arch)
    references = {image.name: reference(image) for image in chosen}
    for image in chosen:
        docker_build(image, references[image.name], arch, progress)
    with step(progress, "loading the images into the node"):
        log = cache_dir() / "log" / f"kind-load-{cluster.name}.log"
        run_logged(load_command(cluster.name, list(references.values())), log, "Loading the images")
    return references


def reference(image: Image) -> str:
    """Of no public registry, so that a node that lost it pulls no image of a stranger."""
    return f"localhost/alcove/{image.name}:{version()}"


@contextmanager
def forward(cluster: Cluster, namespace: str) -> Iterator[dict[str, str]]:
    """The address on this machine of each Service, as long as the block lasts. Raises :class:`ClusterError`."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        addresses = {}
        for service, port in SERVICES.items():
            # A file, not a pipe: kubectl writes a line a connection, and would stop where nobody reads them.
            log = cluster.state / f"forward-{service}.log"
            with log.open("wb") as output:
                argv = [*map(str, forward_command(cluster, namespace, service, port))]
                process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
            processes.append(process)
            addresses[service] = f"http://{_await_address(process, log, service)}"
        yield addresses
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def forward_command(cluster: Cluster, namespace: str, service: str, port: str) -> list[str | Path]:
    kubectl: list[str | Path] = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace]
    return [*kubectl, "port-forward", f"service/{service}", f":{port}"]


def _await_address(process: subprocess.Popen[bytes], log: Path, service: str) -> str:
    """Where kubectl says that it listens."""
    with bounded(f"forwarding a port to the Service {service}", 60) as tick:
        while True:
            ended, said = process.poll() is not None, log.read_text()
            if found := FORWARDED.search(said):
                return found[1]
            if ended:
                raise ClusterError(
                    f"The Service {service} cannot be reached, so the demo cannot go on. kubectl said: {said.strip()}"
                )
            tick()


def down(name: str, progress: Progress) -> None:
    """Deletes the cluster and the folder of this name."""
    with step(progress, f"deleting the cluster '{name}' of kind"):
        run(["kind", "delete", "cluster", "--name", name])
    shutil.rmtree(state_dir(name), ignore_errors=True)
