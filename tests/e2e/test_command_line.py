"""`alcove submit` as a participant types it: with the team's own kubeconfig, small code and large."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.hackathon import REPOSITORY, Hackathon, wait_for
from tests.e2e.conftest import Team, as_participant

pytestmark = pytest.mark.e2e

CHANCE = REPOSITORY / "examples" / "submissions" / "chance"


def _submit(hackathon: Hackathon, team: Team, folder: Path, name: str, scratch: Path, *more: str) -> str:
    own = as_participant(hackathon, team.namespace, scratch)
    done = subprocess.run(
        [
            sys.executable, "-m", "alcove_cli.main", "submit", str(folder), "--team", team.namespace,
            "--competition", hackathon.name, "--phase", "single", "--framework", "numpy", "--name", name, "--watch",
            "--kubeconfig", str(own.kubeconfig), *more,
        ],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], "HOME": str(scratch)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_folder_is_submitted_and_followed_to_its_end(
    red: Team, hackathon: Hackathon, tmp_path: Path
) -> None:
    said = _submit(hackathon, red, CHANCE, "by-hand", tmp_path)
    assert f"{red.namespace}/by-hand: Done" in said
    spec = hackathon.get("submission", "by-hand", red.namespace)["spec"]
    assert spec["code"] == {"configMap": {"name": "by-hand"}, "framework": "numpy"}
    # The cluster's collector takes off a finalizer then, which the policy on Submissions must let it do.
    how = ("--cascade=foreground", "--timeout=60s")
    hackathon.kubectl("delete", "submission", "by-hand", "-n", red.namespace, *how)

    def names() -> str:
        return hackathon.kubectl("get", "configmaps", "-n", red.namespace, "-o", "name")

    wait_for("its code is gone with it", lambda: "configmap/by-hand" not in names())


def test_what_a_config_map_cannot_hold_goes_up_as_a_bundle(
    red: Team, hackathon: Hackathon, tmp_path: Path
) -> None:
    folder = tmp_path / "code"
    shutil.copytree(CHANCE, folder)
    (folder / "weights").mkdir()
    (folder / "weights" / "layer.bin").write_bytes(os.urandom(2 << 20))
    said = _submit(hackathon, red, folder, "bundled", tmp_path, "--store", hackathon.store_url())
    assert f"{red.namespace}/bundled: Done" in said
    status = red.status("bundled")
    assert (
        status["codeSha256"]
        == hackathon.get("submission", "bundled", red.namespace)["spec"]["code"]["bundle"]["sha256"]
    )
