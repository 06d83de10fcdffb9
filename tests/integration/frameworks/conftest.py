"""The environments of the images with PyTorch and TensorFlow 1, as `alcove run` makes them: once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from alcove_api.frameworks import Framework
from alcove_cli.environments import prepare_environment, runner_command
from alcove_toolkit.practice import make_practice
from tests.conftest import say


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    """Both streams."""
    predictions: list[Path]


RunCode = Callable[[Mapping[str, str], Path], Ended]
Practice = Callable[[str], Path]


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Practice:
    """A small practice dataset of this name; the folder with NAME.data and NAME.solution."""
    folder = tmp_path_factory.mktemp("practice")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            make_practice(name, folder / name, examples=90)
        return folder / name

    return make


def run_in(environment: Framework, tmp_path: Path, framework: Framework | None = None) -> RunCode:
    """Runs files of code with the runner in the environment of one framework, and by default with that."""
    framework = framework or environment
    prepare_environment(environment, say)

    def run(files: Mapping[str, str], data: Path) -> Ended:
        code, out = tmp_path / "code", tmp_path / "out"
        out.mkdir()
        for name, text in files.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_text(text)
        variables = {
            "ALCOVE_FRAMEWORK": framework, "ALCOVE_DATA": str(data), "ALCOVE_CODE": str(code), "ALCOVE_OUT": str(out),
            "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "2", "PATH": "/usr/bin:/bin",
        }  # fmt: skip
        done = subprocess.run(
            runner_command(environment),
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        return Ended(done.returncode, done.stdout, sorted(out.iterdir()))

    return run
