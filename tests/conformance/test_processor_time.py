"""The kernel holds a run to its processor time, and without the limit it does not: by its own count of held-up periods.

How much a program gets says nothing on a busy machine, where others hold it up as well. The kernel counts only those
periods in which the limit held it up, and a limit of 5 ms in 100 ms is less than it lets a program have at one time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from alcove_api.base import GROUP
from alcove_cli.conformance.attacks_on_resources import HOG
from alcove_cli.conformance.place import Place, make_dataset
from alcove_cli.conformance.suite import cleaning, submit_attack, wait_ready
from alcove_kube.resources import PODS, SUBMISSIONS
from tests.cluster import api, cgroups
from tests.cluster.layout import cgroup_name
from tests.conformance.conftest import SLOW
from tests.conftest import say
from tests.demo.hackathon import wait_for

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class ProcessorTime:
    """A container's, as its control groups have it: one with version 2, one a controller with version 1."""

    folders: tuple[Path, ...]

    def _find(self, name: str) -> Path | None:
        return next((folder / name for folder in self.folders if (folder / name).exists()), None)

    def _read_statistics(self) -> dict[str, int]:
        path = self._find("cpu.stat")
        assert path is not None
        return {name: int(value) for name, value in map(str.split, path.read_text().splitlines())}

    def count_held_up(self) -> int:
        """Periods in which the limit held it up."""
        return self._read_statistics()["nr_throttled"]

    def used_seconds(self) -> float:
        usage = self._find("cpuacct.usage")
        return int(usage.read_text()) / 1e9 if usage else self._read_statistics()["usage_usec"] / 1e6

    def switch_limit_off(self) -> None:
        """As if the operator had asked for none."""
        version2 = self._find("cpu.max")
        if version2:
            version2.write_text("max")
            return
        version1 = self._find("cpu.cfs_quota_us")
        assert version1 is not None
        version1.write_text("-1")


def find_processor_time(place: Place, cluster: api.Cluster, submission: str) -> Iterator[ProcessorTime]:
    """Of the participant's container, once that runs."""
    uid = place.attacker.kube.get(SUBMISSIONS, place.attacker.namespace, submission)["metadata"]["uid"]
    for pod in place.kube.find_all(PODS, place.namespace, f"{GROUP}/submission-uid={uid}"):
        for status in pod.get("status", {}).get("containerStatuses") or ():
            if status["name"] == "main" and "running" in status["state"]:
                container = status["containerID"].rpartition("/")[2]
                found = [g for g in cgroups.groups(cgroup_name(cluster.name)) if g.name.endswith(container)]
                yield ProcessorTime(tuple(found))


def test_the_limit_holds_a_program_up_and_without_it_nothing_does(place: Place, cluster: api.Cluster) -> None:
    attack = replace(HOG, phase=SLOW, name=f"hog-{SLOW}")
    found: list[ProcessorTime] = []
    with cleaning(place, say):
        data = make_dataset(place)
        wait_ready(place)
        submit_attack(place, data, attack)

        def runs() -> bool:
            found.extend(find_processor_time(place, cluster, attack.submission))
            return bool(found)

        wait_for("the run of the hog", runs)
        time = found[0]
        wait_for("the limit holding it up", lambda: time.count_held_up() > 0)
        time.switch_limit_off()
        held_up, used = time.count_held_up(), time.used_seconds()
        wait_for("a second of processor time", lambda: time.used_seconds() > used + 1)
        assert time.count_held_up() == held_up
