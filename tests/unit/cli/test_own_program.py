"""A program in any language: made from the template, run at home, and submitted as an image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from alcove_cli.errors import CommandError
from alcove_cli.init import make_submission
from alcove_cli.own_program import find_program, read_image_code
from alcove_toolkit.practice import PRACTICE, make_practice
from tests.unit.cli.conftest import Typed
from tests.unit.cli.test_submit_order import CHECKED, MADE, SUBMISSIONS, asked, boards
from tests.unit.docs.pages import REPOSITORY
from tests.unit.kube.server import serving

IMAGE = f"registry.example.org/learner@sha256:{'1' * 64}"


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the template, with its program built as the template says."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    folder = tmp_path_factory.mktemp("any") / "mine"
    make_submission(folder, "any")
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "vet", "."], cwd=folder, check=True, env=environment)
    subprocess.run(["go", "build", "-o", "learner", "."], cwd=folder, check=True, env=environment)
    return folder


def test_the_template_learns_every_practice_dataset_within_a_second_or_two(
    learner: Path, tmp_path: Path
) -> None:
    names = [practice.name for practice in PRACTICE]
    data = [make_practice(name, tmp_path, examples=600) for name in names]
    done = subprocess.run(
        [
            sys.executable, "-I", "-m", "alcove_cli.main", "run", learner, *data, "--command", "./learner",
            "--budget", "30", "--json",
        ],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["dataset"] for run in runs] == names
    for run in runs:
        assert run["cause"] == "Finished"
        assert len(run["points"]) == 2, "from 200 examples, and from all"
        assert run["points"][-1]["score"] > 0.55, run["dataset"]


def test_a_program_gets_its_arguments_and_a_folder_of_its_own(tmp_path: Path) -> None:
    data = make_practice("digits", tmp_path, examples=120)
    code = tmp_path / "code"
    code.mkdir()
    program = code / "learn"
    program.write_text('#!/bin/sh\necho "$1, $(pwd)"; : > left-behind\n')
    program.chmod(0o755)
    command: list[str | Path] = [
        sys.executable, "-I", "-m", "alcove_cli.main", "run", code, data, "--command", "./learn 'a b'", "--budget", "5",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "\na b, /" in f"\n{done.stdout}"
    assert "it saved no prediction" in done.stdout
    assert [path.name for path in code.iterdir()] == ["learn"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("", "--command is empty"),
        ("'", "--command cannot be read"),
        ("./nothing", "There is no program ./nothing, neither in"),
        ("./data.txt", "chmod +x"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(tmp_path: Path, command: str, told: str) -> None:
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(CommandError, match=re.escape(told)):
        find_program(tmp_path, command)


def test_a_program_of_the_path_can_be_named(tmp_path: Path) -> None:
    assert find_program(tmp_path, "sh -c 'exit 0'") == (shutil.which("sh"), "-c", "exit 0")


def test_a_framework_goes_with_model_py_alone(tmp_path: Path, alcove: Typed) -> None:
    done = alcove("run", tmp_path, tmp_path, "--command", "sh", "--framework", "numpy")
    assert done.returncode == 2
    assert "--framework is for a model.py" in done.stderr


def submission(folder: Path, reference: str, **code: object) -> Path:
    folder.mkdir()
    document = yaml.safe_load(
        (REPOSITORY / "examples" / "submissions" / "any" / "submission.yaml").read_text()
    )
    document["spec"]["code"] = code or {"image": {"reference": reference, "command": ["/learner", "--fast"]}}
    (folder / "submission.yaml").write_text(yaml.safe_dump(document))
    return folder


def test_the_image_of_submission_yaml_is_submitted(tmp_path: Path, alcove: Typed) -> None:
    folder = submission(tmp_path / "mine", IMAGE)
    with serving(boards(), MADE, MADE) as server:
        words = (
            "submit",
            folder,
            "--team",
            "red",
            "--name",
            "one",
            "--kubeconfig",
            server.kubeconfig(tmp_path),
        )
        done = alcove(*words)
        assert done.returncode == 0, done.stderr
        assert asked(server) == [*CHECKED, ("POST", SUBMISSIONS)]
        code = server.asked[-1].body["spec"]["code"]
        assert code == {"image": {"reference": IMAGE, "command": ["/learner", "--fast"]}}
        refused = alcove(*words, "--framework", "numpy")
    assert refused.returncode == 2
    assert "--framework is for a model.py, and this is an image" in refused.stderr


def test_the_templates_image_is_not_submitted(tmp_path: Path) -> None:
    make_submission(tmp_path / "mine", "any")
    with pytest.raises(CommandError, match="still names the template's image"):
        read_image_code(tmp_path / "mine")


@pytest.mark.parametrize("reference", ["registry.example.org/learner:latest", "learner"])
def test_an_image_that_is_not_pinned_is_said(tmp_path: Path, reference: str) -> None:
    with pytest.raises(CommandError, match=r"spec\.code\.image\.reference"):
        read_image_code(submission(tmp_path / "mine", reference))


@pytest.mark.parametrize("text", ["", "[", "a: b", "spec: {code: 3}"])
def test_a_file_that_is_no_submission_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "submission.yaml").write_text(text)
    with pytest.raises(CommandError, match="is no Submission that can be read"):
        read_image_code(tmp_path)


def test_model_py_comes_before_an_image(tmp_path: Path) -> None:
    folder = submission(tmp_path / "mine", IMAGE)
    (folder / "model.py").write_text("")
    assert read_image_code(folder) is None
    assert read_image_code(submission(tmp_path / "other", "", configMap={"name": "x"})) is None
