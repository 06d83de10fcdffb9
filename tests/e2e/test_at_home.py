"""What a team sees at home, with `alcove run`, is what it gets on the cluster, up to how busy each machine is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from alcove_api.run_documents import Manifest
from alcove_cli.init import Template
from tests.cluster import api
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e.conftest import Team, as_participant
from tests.e2e.models import SCHEDULED
from tests.e2e.phases import another_phase

pytestmark = pytest.mark.e2e

BUDGET = 30
CLOCK_NOISE = 2.0
"""Seconds. Of a program that predicts by a clock of its own: start and copies on busy machines."""
SCORE_NOISE = 0.03
"""Of a final score: a slower machine has time for fewer rounds, and adds numbers up in another order."""
ALC_NOISE = 0.15
"""Of an ALC: a pod has half a core here, so each prediction comes a few times later than at home."""
CHEAP: tuple[Template, ...] = ("numpy", "sklearn", "any")


@pytest.fixture(scope="module", autouse=True)
def phase(hackathon: Hackathon) -> Iterator[None]:
    """As at home: all rows are shown, and so all rank."""
    resources = {"gpus": 0, "cpu": "500m", "memory": "600Mi", "disk": "1Gi", "processes": 256}
    feedback = {"mode": "live", "testFraction": 1.0}
    changes = {"budget": {"seconds": BUDGET}, "resources": resources, "feedback": feedback}
    with another_phase(hackathon, "at-home", ["digits"], **changes):
        yield


@dataclass(frozen=True)
class Home:
    """What `alcove run` said of a submission, and what the recorder wrote down."""

    run: dict[str, Any]
    manifest: Manifest


def run_at_home(hackathon: Hackathon, code: Path, out: Path, *options: str) -> Home:
    digits = hackathon.cluster.state / "datasets" / "digits.data"
    done = subprocess.run(
        [
            sys.executable, "-I", "-m", "alcove_cli.main", "run", code, digits, "--budget", str(BUDGET),
            "--json", "--out", out, *options,
        ],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (manifest,) = out.rglob("manifest.json")
    return Home(json.loads(done.stdout)["runs"][0], Manifest.model_validate_json(manifest.read_bytes()))


def test_a_scheduled_submission_has_the_same_curve(hackathon: Hackathon, red: Team, tmp_path: Path) -> None:
    red.submit("scheduled-at-home", SCHEDULED, phase="at-home")
    code = tmp_path / "code"
    code.mkdir()
    (code / "model.py").write_text(SCHEDULED)
    home = run_at_home(hackathon, code, tmp_path / "out", "--framework", "numpy")

    assert red.until("scheduled-at-home")["phase"] == "Done"
    (there,) = (result.runs[0] for result in red.results("scheduled-at-home").values())
    (manifest,) = red.manifests("scheduled-at-home")
    assert home.run["cause"] == there.cause == "Finished"
    digests = [record.sha256 for record in home.manifest.records]
    assert digests == [record.sha256 for record in manifest.records], "the same predictions in the same order"
    assert len(digests) == 4
    assert [point["score"] for point in home.run["points"]] == pytest.approx([p.score for p in there.points])
    assert [point["seconds"] for point in home.run["points"]] == pytest.approx(
        [point.t for point in there.points], abs=CLOCK_NOISE
    )


@pytest.fixture(scope="module")
def made(hackathon: Hackathon, tmp_path_factory: pytest.TempPathFactory) -> dict[Template, Path]:
    """A folder of each cheap template, by `alcove init`; the image of the own program is pushed and named."""
    folder = tmp_path_factory.mktemp("made")
    for template in CHEAP:
        alcove("init", folder / f"at-home-{template}", "--template", template)
    own = folder / "at-home-any"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", "learner", "."], cwd=own, check=True, env=environment)
    reference = api.publish_image(hackathon.cluster, api.Image("at-home-any", own / "Dockerfile", own))
    document = yaml.safe_load((own / "submission.yaml").read_text())
    document["spec"]["code"]["image"]["reference"] = reference
    (own / "submission.yaml").write_text(yaml.safe_dump(document))
    return {template: folder / f"at-home-{template}" for template in CHEAP}


def alcove(*arguments: str | Path) -> str:
    command: list[str | Path] = [sys.executable, "-I", "-m", "alcove_cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_cheap_template_ends_with_the_same_score(
    hackathon: Hackathon, red: Team, made: dict[Template, Path], tmp_path: Path
) -> None:
    assert set(CHEAP) < set(get_args(Template))
    own = as_participant(hackathon, red.namespace, tmp_path)
    for template, folder in made.items():
        target = ("--competition", hackathon.name, "--phase", "at-home", "--name", f"at-home-{template}")
        alcove("submit", folder, "--team", red.namespace, *target, "--kubeconfig", own.kubeconfig)
    for template, folder in made.items():
        options = ("--command", "./learner") if template == "any" else ()
        home = run_at_home(hackathon, folder, tmp_path / template, *options)
        assert red.until(f"at-home-{template}")["phase"] == "Done"
        (there,) = (result.runs[0] for result in red.results(f"at-home-{template}").values())
        assert there.final_score == pytest.approx(home.run["points"][-1]["score"], abs=SCORE_NOISE), template
        assert there.alc == pytest.approx(home.run["alc"], abs=ALC_NOISE), template
    wait_for(
        "a rank", lambda: "1/1" in alcove("status", "--team", red.namespace, "--kubeconfig", own.kubeconfig)
    )
