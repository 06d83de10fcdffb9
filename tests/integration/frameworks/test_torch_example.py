"""The example in PyTorch learns every kind of data. The image with TensorFlow 1 has PyTorch as well, and is smaller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alcove_format.solution import read_solution
from alcove_scorer.metric_registry import find_metric
from alcove_toolkit.practice import PRACTICE, make_practice
from tests.integration.frameworks.conftest import run_in
from tests.unit.docs.pages import REPOSITORY

pytestmark = pytest.mark.integration

EXAMPLE = REPOSITORY / "examples" / "submissions" / "torch" / "model.py"


@pytest.mark.parametrize("name", [practice.name for practice in PRACTICE])
def test_it_learns_every_practice_dataset(tmp_path: Path, name: str) -> None:
    data = make_practice(name, tmp_path, examples=450)
    # Two rounds: from 300 examples, and from all.
    code = EXAMPLE.read_text().replace("ROUNDS = 20", "ROUNDS = 2")
    ended = run_in("tensorflow1", tmp_path, "torch")({"model.py": code}, data)
    assert ended.status == 0, ended.output
    assert len(ended.predictions) == 2
    solution = read_solution(data.with_suffix(".solution")).astype(np.bool_)
    assert find_metric("balanced_accuracy").score(solution, np.load(ended.predictions[-1])) > 0.55
