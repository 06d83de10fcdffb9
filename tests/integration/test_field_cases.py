"""Inputs made after public bug reports, each with the command that showed the fault: what is printed now.

They lie in a folder beside the checkout, which not everybody has. Tests of the converters hold the same kinds by
inputs of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[3] / "shared" / "field-cases"
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="The folder of field cases is not beside the checkout."
)

EXPECTED = {
    "01-label-column-order": [
        r"2 labels \(no, yes\)",
        r"class \(3 categories\), age \(number\), fare \(number\)",
    ],
    "02-train-val-folders": [
        r"tv\.data .*\(cats, dogs\)",
        r"kag\.data .*\(cats, dogs\)",
        r"8 training and 6 test examples, 2 labels \(ants, bees\)",
    ],
    "03-dot-folder": [r"It can be used: nothing was found\.\nrc=0", r"Wrote .*x\.html .*\nrc=0"],
    "04-tiff-orientation": [r"It can be used", r"col_count: 20\s+row_count: 40"],
    "05-headerless-csv": [r"row 1: has numbers \('5\.3', '2\.7'\)", r"--no-header", r"Nothing was written"],
    "07-series-first-row-missing": [
        r"a/2\.csv, row 1: the cell in column 1 is empty",
        r"Nothing was written",
    ],
    "09-excel-na-cell": [
        r"(?s)seed 2.*temp \(number\), age \(number\).*seed 0.*temp \(number\), age \(number\)"
    ],
    "10-parquet-string-view": [r"Next: alcove dataset check", r"rc=0"],
    "12-unreadable-folder": [r"pics/c: Permission denied", r"rc=2"],
    "15-mp4-edit-list": [r"video, 5 training and 3 test examples"],
    "17-mp3-vbr-without-xing": [r"audio, 2 training and 2 test examples"],
    "18-wav-from-sox-pipe": [
        r"soxpipe\.data .*5 training and 3 test",
        r"arecord\.data .*5 training and 3 test",
    ],
    "19-no-break-space-in-name": [r"names\.data .*2 labels \(a, b\)", r"fw\.data .*2 labels"],
    "22-no-arguments": [r"\AUsage: alcove", r"nowhere: there is no such folder", r"\d+\.\d+\.\d+"],
    "25-labels-1-and-1.0": [r"mixlab\.data .*2 labels \(0, 1\)", r"l2\.data .*2 labels \(-1, 1\)"],
    "27-nfc-and-nfd": [r"6 training and 4 test examples, 2 labels \(ill, well\)"],
    "29-hashed-feature-index": [r"39 training and 21 test", r"It can be used: nothing was found"],
    "30-scores-that-are-none": [r"no score: there is no valid prediction", r"rc=1", r"are they percent\?"],
}


def test_every_case_is_expected_to_print_something() -> None:
    assert {case.name for case in CASES.iterdir()} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_reported_input_is_handled(name: str) -> None:
    program = Path(sys.executable).with_name("alcove")
    # Small bounds on threads: eighteen programs of numerical libraries share the machine with other tests.
    environment = {**os.environ, "ALCOVE": str(program), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        ["bash", str(CASES / name / "run.sh")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in found.stdout
    for pattern in EXPECTED[name]:
        assert re.search(pattern, found.stdout), f"{pattern} is not in:\n{found.stdout}"
