"""Python's isolated mode keeps code of the participant's from running before the go, and without it that code runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("switched_off", [False, True], ids=["as it is", "switched off"])
def test_the_runner_is_not_replaced_from_the_code_folder_but_without_isolation(
    tmp_path: Path, *, switched_off: bool
) -> None:
    """The runner starts in the folder of the code, where a module of any name can lie."""
    (tmp_path / "alcove_ingestion.py").write_text("open('ran', 'w')\n")
    isolated = [] if switched_off else ["-I"]
    subprocess.run(
        [sys.executable, *isolated, "-m", "alcove_ingestion"],
        cwd=tmp_path,
        env={},
        check=False,
        capture_output=True,
    )
    assert (tmp_path / "ran").exists() is switched_off
