"""Sentences fit the terminal; what goes to another program stays as it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.kube.server import Answer, serving

BOARD = {
    "spec": {"competition": "hackathon", "phase": "practice",
             "rules": {"budgetSeconds": 20, "resources": "1 GPU, 2 CPU, 8Gi memory, 10Gi disk", "feedback": "ladder",
                       "perDay": 10, "total": 100, "parallel": 5}},
}  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sentences_fit_the_terminal_and_are_whole_lines_elsewhere(tmp_path: Path, width: int) -> None:
    with serving(Answer(body={"items": [BOARD]})) as server:
        command = [
            sys.executable,
            "-m",
            "alcove_cli.main",
            "phases",
            "--kubeconfig",
            server.kubeconfig(tmp_path),
        ]
        surroundings = {**os.environ, "COLUMNS": str(width)}
        piped = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout
        master, slave = pty.openpty()
        subprocess.run(command, env=surroundings, stdout=slave, check=True)
        os.close(slave)
        shown = os.read(master, 65536).decode()
        os.close(master)
    assert max(map(len, piped.splitlines())) > 80
    lines = shown.replace("\r\n", "\n").splitlines()
    assert max(map(len, lines)) <= min(width, 100)
    assert " ".join(shown.split()) == " ".join(piped.split())
    assert all(line.startswith("  ") for line in lines[1:]), "as deep as the line that it belongs to"
