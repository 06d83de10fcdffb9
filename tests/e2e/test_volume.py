"""A dataset on a volume: checked where it is, read there by runs that cannot change it, and never downloaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alcove_toolkit.practice import make_practice
from tests.demo.hackathon import Hackathon, condition, wait_for
from tests.e2e import models
from tests.e2e.conftest import Object, Team
from tests.e2e.phases import another_phase

pytestmark = pytest.mark.e2e
CLAIM = "shelf"


@dataclass
class Shelf:
    """A volume of the node's, bound to a claim in the competition's namespace."""

    hackathon: Hackathon
    folder: Path
    """Its root."""
    scratch: Path

    def push(self, data: Path, name: str, path: str) -> str:
        """`alcove dataset push --volume-claim` as the organizer types it; the Dataset that it prints."""
        credentials = self.scratch / "publisher.json"
        credentials.write_bytes(self.hackathon.store_credentials("alcove-store-publisher"))
        done = subprocess.run(
            [
                sys.executable, "-m", "alcove_cli.main", "dataset", "push", str(data), name,
                "--store", self.hackathon.store_url(),
                "--credentials", str(credentials), "--volume-claim", f"{CLAIM}:{path}",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self, text: str) -> None:
        self.hackathon.kubectl("apply", "-n", self.hackathon.name, "-f", "-", stdin=text)

    def judged(self, name: str) -> Object:
        """The condition Ready of a Dataset, once its check is over."""

        def ready() -> Object:
            return condition(self.hackathon.get("dataset", name), "Ready")

        wait_for(
            f"the check of {name} (it is {ready()})", lambda: ready().get("status") in ("True", "False"), 120
        )
        return ready()


@pytest.fixture
def shelf(hackathon: Hackathon, tmp_path: Path) -> Iterator[Shelf]:
    folder = hackathon.cluster.state / "shelf"
    folder.mkdir(mode=0o755)
    named = {"metadata": {"name": CLAIM}, "apiVersion": "v1"}
    size = {"storage": "1Gi"}
    volume = {
        **named, "kind": "PersistentVolume",
        "spec": {
            "capacity": size, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": hackathon.name, "name": CLAIM}, "storageClassName": "",
        },
    }  # fmt: skip
    claim = {
        **named, "kind": "PersistentVolumeClaim",
        "spec": {
            "accessModes": ["ReadOnlyMany"], "resources": {"requests": size}, "volumeName": CLAIM,
            "storageClassName": "",
        },
    }  # fmt: skip
    made = Shelf(hackathon, folder, tmp_path)
    made.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [volume, claim]}))
    yield made
    own = ("-n", hackathon.name, "--ignore-not-found", "--timeout=90s")
    hackathon.kubectl("delete", "datasets", "shelved", "cut", "open", "closed", *own)
    hackathon.kubectl("delete", "persistentvolumeclaim", CLAIM, *own)
    hackathon.kubectl("delete", "persistentvolume", CLAIM, "--timeout=90s")
    shutil.rmtree(folder)


def test_a_dataset_on_a_volume_is_checked_once_and_read_there(
    hackathon: Hackathon, shelf: Shelf, red: Team, tmp_path: Path
) -> None:
    data = make_practice("digits", tmp_path / "made", examples=400)
    on_volume = shelf.folder / "sets" / "digits.data"
    shutil.copytree(data, on_volume)
    # Any user may write it: then it is the mount alone that keeps participants from it.
    for path in on_volume.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    shelf.apply(shelf.push(data, "shelved", "sets/digits.data"))
    judged = shelf.judged("shelved")
    assert judged["status"] == "True", judged
    status = hackathon.get("dataset", "shelved")["status"]
    assert (status["nTrain"] + status["nTest"], status["nLabels"]) == (400, 10)

    with another_phase(hackathon, "shelf", ["shelved"]):
        red.submit("reads", models.WRITES_ITS_DATA, "shelf")
        ended = red.until("reads")
    assert ended["phase"] == "Done", ended
    assert (ended["runs"][0]["dataset"], ended["runs"][0]["snapshots"]) == ("shelved", 4)
    assert ended["runs"][0]["alc"] > 0
    said = red.log("reads", "shelved").splitlines()
    assert [line for line in said if line.startswith("data: ")] == ["data: EROFS EROFS EROFS"]
    assert sorted(path.name for path in on_volume.iterdir()) == ["test", "train"]


def test_a_volume_that_is_not_what_was_published_says_what_is_wrong(
    hackathon: Hackathon, shelf: Shelf, tmp_path: Path
) -> None:
    data = make_practice("digits", tmp_path / "made", examples=200)
    for name in ("cut", "open", "closed"):
        shutil.copytree(data, shelf.folder / name)
    cut, closed = (next((shelf.folder / name / "test").glob("sample*")) for name in ("cut", "closed"))
    os.truncate(cut, cut.stat().st_size - 9)
    closed.chmod(0o600)
    shutil.copy(data.with_suffix(".solution"), shelf.folder / "open")
    for name in ("cut", "open", "closed"):
        shelf.apply(shelf.push(data, name, name))
    said = {name: shelf.judged(name) for name in ("cut", "open", "closed")}
    assert {found["status"] for found in said.values()} == {"False"}, said
    assert f"test/{cut.name}" in said["cut"]["message"]
    assert "digits.solution is on the volume, where participants would read it" in said["open"]["message"]
    assert f"test/{closed.name} on the volume cannot be read by every user" in said["closed"]["message"]
    assert "chmod -R a+rX" in said["closed"]["message"]
    # Repaired, and asked for once more.
    closed.chmod(0o644)
    text = shelf.push(data, "closed", "closed")
    hackathon.kubectl("delete", "dataset", "closed", "-n", hackathon.name, "--timeout=60s")
    shelf.apply(text)
    assert shelf.judged("closed")["status"] == "True"
