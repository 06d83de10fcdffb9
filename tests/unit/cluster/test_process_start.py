"""What somebody waits for starts without the libraries that it does not need.

A process is started for every run, every submission and every board. What is listed here takes a tenth of a second or
more to load, or as much memory as all the rest.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "PIL", "jinja2", "kopf", "kubernetes", "matplotlib", "minio", "numpy", "pandas", "pydantic",
    "scipy", "sklearn", "tensorflow", "torch", "urllib3",
}  # fmt: skip
STORE = {"minio", "pydantic", "urllib3"}

PROCESSES = {
    "recorder, its parent": ("import alcove_recorder.__main__", set()),
    "recorder": ("import alcove_recorder.recorder, alcove_recorder.sinks", {"pydantic"}),
    "recorder, what stages": ("import alcove_recorder.stager", STORE),
    "runner": (
        "from alcove_ingestion.__main__ import _load; _load({'ALCOVE_FRAMEWORK': 'numpy'})",
        {"PIL", "numpy"},
    ),
    "score": ("import alcove_scorer.__main__, alcove_scorer.job_score", STORE | {"numpy"}),
    "score, its report": (
        "import alcove_scorer.job_score, alcove_scorer.report, alcove_scorer.peer_curves",
        STORE | {"PIL", "jinja2", "matplotlib", "numpy"},
    ),
    "score, what reads predictions": ("import alcove_scorer.parser", {"numpy"}),
    "aggregate": (
        "import alcove_scorer.__main__, alcove_scorer.job_aggregate, alcove_scorer.board_page, alcove_kube.client",
        STORE | {"PIL", "jinja2", "kubernetes", "matplotlib", "numpy"},
    ),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_loads_what_it_needs_and_no_more(process: str) -> None:
    code, needed = PROCESSES[process]
    seen = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name, module in sys.modules.items() if module}})"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == needed
