"""Wall clocks of operator and recorder that are an hour ahead or behind, in images that preload another clock."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos import faults
from bench.chaos.damage import write_damage
from tests.cluster import api, buildah, cgroups, fake_clock
from tests.cluster.console import ClusterError, run
from tests.cluster.layout import cgroup_name, load_plan
from tests.cluster.namespaces import find_holder
from tests.demo.hackathon import DemoError, Hackathon

HOUR = 3600
STEPS = {
    "operator-clock-ahead": ("operator", HOUR),
    "operator-clock-behind": ("operator", -HOUR),
    "recorder-clock-ahead": ("recorder", HOUR),
    "recorder-clock-behind": ("recorder", -HOUR),
}
"""By kind: whose clock, and by how many seconds."""
NODES = {"node-clock-ahead": HOUR, "node-clock-behind": -HOUR}
"""By kind: by how many seconds the clock of every kubelet is wrong."""
OPERATORS = tuple(kind for kind, (whose, _) in STEPS.items() if whose == "operator")
RECORDERS = tuple(kind for kind, (whose, _) in STEPS.items() if whose == "recorder")
OFFSET = "/dev/shm/clock"
"""Says to clock.c by how much it is wrong; in a folder that every container can write, and that dies with its pod."""
DOCKERFILE = """\
FROM {base}
COPY clock.so /opt/clock.so
ENV LD_PRELOAD=/opt/clock.so
"""


@dataclass(frozen=True)
class ClockFaults:
    """Of all processes of a kind that are there when it begins, and of what takes their places in the same pods."""

    hackathon: Hackathon
    kinds = (*STEPS, *NODES)
    _wrong: dict[str, set[str]] = field(default_factory=dict)
    """By kind: UIDs of the pods whose clock is wrong."""

    def apply(self, kind: str) -> None:
        """Raises DemoError, also where there is no process of the kind: then nothing has happened."""
        if kind in NODES:
            self._set_kubelets(NODES[kind])
            return
        whose, seconds = STEPS[kind]
        processes = [one for one in faults.list_processes(self.hackathon.cluster.name) if one.kind == whose]
        if not processes:
            raise DemoError(f"There is no {whose} whose clock could be stepped.")
        for process in processes:
            _set_clock(process.pid, seconds)
        self._wrong[kind] = {process.pod_uid for process in processes}

    def undo(self, kind: str) -> None:
        """By any process of such a pod: what its clock belongs to may just have been killed, and the containers of a
        pod share the folder, also with those that are still to start. Raises DemoError."""
        if kind in NODES:
            self._set_kubelets(0)
            return
        wrong = self._wrong.pop(kind, set())
        for pid in cgroups.processes(cgroup_name(self.hackathon.cluster.name)):
            if faults.find_pod(pid) in wrong:
                _set_clock(pid, 0)

    def _set_kubelets(self, seconds: int) -> None:
        plan = load_plan(self.hackathon.cluster.name)
        assert plan is not None
        for node in plan.nodes:
            # One that is away comes back with a right clock.
            if find_holder(node) is None:
                continue
            try:
                fake_clock.set_clock(node, seconds)
            except (ClusterError, OSError) as error:
                raise DemoError(f"The clock of {node.hostname} was not set: {error}") from error


def _set_clock(pid: int, seconds: int) -> None:
    try:
        Path(f"/proc/{pid}/root{OFFSET}").write_text(f"{seconds:+d}\n")
    except OSError:
        return  # it has ended, and its clock with it


def with_faked_clock(cluster: api.Cluster, name: str, reference: str, damage: str = "") -> str:
    """The reference of an image like ``reference``, with a clock that :class:`ClockFaults` can step. Raises DemoError.

    Args:
        name: of the image, as in ``images/``.
        damage: one of :data:`~bench.chaos.damage.DAMAGES` that it is to have; "" for none.
    """
    folder = cluster.state / "chaos-images" / name
    folder.mkdir(parents=True, exist_ok=True)
    extra = write_damage(damage, folder) if damage else ""
    compile_clock(folder / "clock.so", Path(OFFSET))
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=reference) + extra)
    try:
        # Where it was built for an earlier cluster, only the registry still has it, which speaks plain HTTP.
        run(buildah.command("pull", "--quiet", "--tls-verify=false", reference))
        return api.publish_image(cluster, api.Image(f"chaos-{name}", folder / "Dockerfile", folder))
    except ClusterError as error:
        raise DemoError(str(error)) from error


def compile_clock(target: Path, offset: Path) -> None:
    """Builds ``clock.c``, which is wrong by what the file ``offset`` says. Uses this machine's C library, which must
    be no newer than that of the images."""
    source = Path(__file__).with_name("clock.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f'-DOFFSET="{offset}"']
    subprocess.run(["cc", *flags, "-o", target, source], check=True)
