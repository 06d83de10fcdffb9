"""From what an organizer has to a score: every kind of data, by the commands that stand in docs/organizer.md."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.hackathon import REPOSITORY, Hackathon, condition, wait_for
from tests.e2e import sources
from tests.e2e.conftest import Team
from tests.e2e.phases import another_phase

pytestmark = pytest.mark.e2e
NAMES = ("people", "photos", "recordings", "clips", "reviews", "gestures")
AUTODL = "letters"
ONCE = """
    def test(self, dataset, remaining_time_budget=None):
        scores = super().test(dataset, remaining_time_budget)
        self.done_training = True
        return scores
"""
"""The example's first, small forest is enough here, however slow the machine is."""


@dataclass
class Docs:
    """The commands of the section "Datasets" of docs/organizer.md, a line each, in a shell."""

    hackathon: Hackathon
    folder: Path
    """Where they are typed."""

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        cluster = self.hackathon.cluster
        own = shlex.join([str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig)])
        command(self.folder / "bin" / "kubectl", own)
        command(self.folder / ".venv" / "bin" / "alcove", f"{shlex.quote(sys.executable)} -m alcove_cli.main")

    def lines(self, *words: str) -> list[str]:
        """Those that have all of ``words`` in them."""
        page = (REPOSITORY / "docs" / "organizer.md").read_text()
        section = page.split("\n## Datasets\n")[1].split("\n### ")[0]
        found = [
            line for block in re.findall(r"```sh\n(.*?)```", section, re.S) for line in block.splitlines()
        ]
        return [line for line in found if all(word in line for word in words)]

    def run(self, *lines: str) -> str:
        """What they print. The reader's release is called otherwise, and port 9000 may be taken here."""
        changes = {
            "-n hackathon": f"-n {self.hackathon.name}",
            "9000:9000": f"{self.port}:9000",
            "127.0.0.1:9000": f"127.0.0.1:{self.port}",
        }
        script = "\n".join(lines)
        for old, new in changes.items():
            script = script.replace(old, new)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=240,
            env={**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def command(path: Path, what: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {what} "$@"\n')
    path.chmod(0o755)


@pytest.fixture
def docs(hackathon: Hackathon, tmp_path: Path) -> Iterator[Docs]:
    yield Docs(hackathon, tmp_path)
    found = ("-n", hackathon.name, "--ignore-not-found", "--timeout=90s")
    hackathon.kubectl("delete", "datasets", *NAMES, AUTODL, *found)


@pytest.mark.timeout(600)
def test_every_kind_of_source_becomes_a_dataset_that_is_learnt(
    docs: Docs, hackathon: Hackathon, red: Team
) -> None:
    sources.make_all(docs.folder)
    converted = docs.lines("dataset convert")
    assert [line.split()[3].partition(".")[0] for line in converted] == list(NAMES)
    docs.run(*converted)
    sources.autodl(docs.folder / "out")
    names = (*NAMES, AUTODL)
    (check,), (push,) = docs.lines("dataset check"), docs.lines("dataset push")
    (forward,), (secret,) = docs.lines("port-forward"), docs.lines("publisher.json", "get secret")
    docs.run(
        forward,
        'trap "kill $!" EXIT',
        secret,
        f"until (exec 3<>/dev/tcp/127.0.0.1/{docs.port}) 2>&-; do sleep 0.1; done",
        *(line.replace("people", name) for name in names for line in (check, push)),
    )

    def states() -> dict[str, dict[str, str]]:
        return {name: condition(hackathon.get("dataset", name), "Ready") for name in names}

    wait_for(
        "each check's end", lambda: {s.get("status") for s in states().values()} <= {"True", "False"}, 150
    )
    assert {name: s["status"] for name, s in states().items()} == dict.fromkeys(names, "True"), states()
    assert all(line.split()[1] == "True" for line in docs.run(*docs.lines("get datasets")).splitlines()[1:])
    domains = [hackathon.get("dataset", name)["spec"]["domain"] for name in names]
    assert domains == ["tabular", "image", "speech", "video", "text", "series", "tabular"]

    roomy = {"gpus": 0, "cpu": "400m", "memory": "1Gi", "disk": "1Gi", "processes": 256}
    example = (REPOSITORY / "examples" / "submissions" / "sklearn" / "model.py").read_text()
    with another_phase(hackathon, "kinds", list(names), budget={"seconds": 90}, resources=roomy):
        red.submit("learns", example + ONCE, "kinds")
        ended = red.until("learns", seconds=270)
    assert ended["phase"] == "Done", ended
    # Better than chance, which is where every curve starts.
    assert {run["dataset"]: run.get("alc", 0) > 0.5 for run in ended["runs"]} == dict.fromkeys(names, True), (
        ended
    )
