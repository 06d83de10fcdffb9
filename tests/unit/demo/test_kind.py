"""What `make demo CLUSTER=kind` says where it cannot work, and what it tells kind, Docker and kubectl."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.console import ClusterError
from tests.cluster.images import project_images
from tests.cluster.layout import Cluster
from tests.cluster.publish import NOT_IN_VALUES, version
from tests.demo import hackathon, kind
from tests.unit.helm.chart import template

REPOSITORY = Path(__file__).parents[3]


def program(folder: Path, name: str, script: str) -> None:
    """A shell script in the program's place, for what it answers when something is amiss."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def cluster(folder: Path, kubectl: Path = Path("kubectl")) -> Cluster:
    return Cluster("k", folder / "kubeconfig", "", "", "", folder, kubectl, Path("helm"))


def test_all_missing_programs_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "docker", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="kind, kubectl, helm: not on PATH"):
        kind.check_programs()


def test_a_docker_that_does_not_answer_is_said_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in kind.PROGRAMS:
        program(tmp_path, name, "echo Cannot connect to the daemon >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ClusterError, match=r"Start Docker[\s\S]*Cannot connect to the daemon"):
        kind.check_programs()


def test_the_command_ends_with_a_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "--cluster", "kind"],
        env=environment, capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "kind, docker, kubectl, helm: not on PATH" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_chart_takes_the_names_under_which_images_are_loaded(tmp_path: Path) -> None:
    chosen = [image for image in project_images() if image.name not in NOT_IN_VALUES]
    references = {image.name: kind.reference(image) for image in chosen}
    spec = {"title": "x", "phases": [hackathon.practice_phase(20)]}
    values = hackathon.chart_values(cluster(tmp_path), references, ["red"], spec)
    done = template(values)
    assert done.returncode == 0, done.stderr
    assert f"alcove/operator:{version()}" in done.stdout


def test_a_forwarded_port_is_read_from_what_kubectl_says(tmp_path: Path) -> None:
    program(tmp_path, "kubectl", "echo 'Forwarding from 127.0.0.1:4321 -> 9000'; exec sleep 60")
    with kind.forward(cluster(tmp_path, tmp_path / "kubectl"), "hackathon") as addresses:
        assert addresses == dict.fromkeys(kind.SERVICES, "http://127.0.0.1:4321")


def test_a_service_that_cannot_be_reached_is_said_with_kubectls_words(tmp_path: Path) -> None:
    program(tmp_path, "kubectl", "echo 'error: services not found' >&2; exit 1")
    refused = pytest.raises(ClusterError, match=r"alcove-store cannot be reached.*services not found")
    with refused, kind.forward(cluster(tmp_path, tmp_path / "kubectl"), "hackathon"):
        pass
