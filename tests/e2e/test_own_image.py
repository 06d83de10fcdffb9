"""A participant's own image, FROM scratch with one static program: from its build to a score."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster import api
from tests.demo.hackathon import Hackathon
from tests.e2e.conftest import Object, Team

pytestmark = pytest.mark.e2e

SOURCE = Path(__file__).with_name("own_image")


@pytest.fixture(scope="module")
def image(hackathon: Hackathon, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its reference by digest in the cluster's registry."""
    folder = tmp_path_factory.mktemp("own-image")
    shutil.copy(SOURCE / "Dockerfile", folder)
    flags = ["-static", "-O1", "-Wall", "-Werror"]
    subprocess.run(["cc", *flags, "-o", folder / "guess", SOURCE / "guess.c"], check=True)
    return api.publish_image(hackathon.cluster, api.Image("own", folder / "Dockerfile", folder))


@pytest.fixture
def shape(hackathon: Hackathon) -> tuple[int, int]:
    """Rows and columns of predictions of the dataset digits."""
    lines = (hackathon.cluster.state / "datasets" / "digits.solution").read_text().splitlines()
    return len(lines), len(lines[0].split())


def _guess(image: str, rows: int, columns: int) -> Object:
    return {"image": {"reference": image, "command": ["/guess", str(rows), str(columns)]}}


def test_its_predictions_get_a_score(red: Team, image: str, shape: tuple[int, int]) -> None:
    red.submit("own-image", _guess(image, *shape))
    assert red.until("own-image")["phase"] == "Done"
    run = red.run("own-image")
    assert (run["cause"], run["chargedTo"], run["snapshots"]) == ("Finished", "", 3)
    assert 0.0 < run["alc"] < 1.0


def test_predictions_that_are_all_refused_are_counted_and_explained(
    red: Team, image: str, shape: tuple[int, int]
) -> None:
    rows, columns = shape
    red.submit("a-row-short", _guess(image, rows - 1, columns))
    red.until("a-row-short")
    run = red.run("a-row-short")
    assert (run["cause"], run["chargedTo"]) == ("NoPredictions", "Participant")
    assert run.get("alc") is None
    said = red.hackathon.kubectl("describe", "submission", "a-row-short", "-n", red.namespace)
    for told in (run["message"], " ".join(said.split())):
        assert "All 3 files that it saved were refused" in told
        assert f"It has {rows - 1} lines, but must have {rows}." in told
