"""Whatever the check of a dataset takes as its solution, the score Job and ``alcove score`` take, and read alike."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alcove_api.errors import AlcoveError
from alcove_api.score_documents import ScoreDataset
from alcove_format.metadata import Metadata
from alcove_format.writer import NewExample, write_dataset
from alcove_scorer.curves import resolve_rules
from alcove_scorer.errors import DamagedError
from alcove_scorer.metrics import BalancedAccuracy
from alcove_scorer.run_files import score_files
from alcove_scorer.store import check_solution
from alcove_toolkit.check import CheckMetric, check_dataset
from tests.unit.format.solutions import format_solution

EXAMPLES, LABELS = 4, 2
METRIC = CheckMetric("balanced_accuracy", BalancedAccuracy().score, 0.5)
TABLES = hnp.arrays(np.uint8, (EXAMPLES, LABELS), elements=st.integers(0, 1))
TRUTH = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a folder ``snaps`` of one prediction beside it."""
    folder = tmp_path_factory.mktemp("solutions")
    metadata = Metadata(n_examples=0, n_labels=LABELS, rows=1, cols=3, labels={"a": 0, "b": 1})
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(6 + EXAMPLES)]
    written = write_dataset(folder, "d", metadata, examples[:6], examples[6:])
    snapshots = folder / "snaps"
    snapshots.mkdir()
    np.save(snapshots / "one.npy", np.full((EXAMPLES, LABELS), 0.5))
    (snapshots / "times.csv").write_text("file,seconds\none.npy,1\n")
    return written


def npy(table: npt.NDArray[Any], *, fortran: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asfortranarray(table) if fortran else table)
    return file.getvalue()


@st.composite
def solutions(draw: st.DrawFn) -> bytes:
    """Sound solutions, as text and ``.npy``, and some with one of the faults that files have."""
    table = draw(TABLES)
    if draw(st.booleans()):
        dtype = draw(st.sampled_from(["?", "u1", "i8", "<f2", ">f4", "<f8", "longdouble", "c8", "U1", "i1"]))
        data = npy(table.astype(dtype), fortran=draw(st.booleans()))
    else:
        data = format_solution(table)
        space = draw(st.sampled_from([" ", "\t", "  ", "\u00a0", "\u2003", "\x1c", "\x0b", ",", ";"]))
        one = draw(st.sampled_from([b"1", b"1.0", b"1e0", b"+1", "\u0661".encode(), b"0x1", b"1_"]))
        data = data.replace(b" ", space.encode()).replace(b"1", one)
        data = data.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n", b" \n", b"\r", b"\n\n"])))
    data = draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\n", b"#"])) + data
    return data + draw(st.sampled_from([b"", b"", b"", b"\n", b"\n\n ", b"x", b"\x00", b"\x1a"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=solutions() | st.binary(max_size=40))
@example(found=npy(TRUTH.astype(np.longdouble)))
@example(found=npy(TRUTH) + b"left over")
@example(found=format_solution(TRUTH).replace(b" ", "\u00a0".encode()))
@example(found=format_solution(TRUTH).replace(b"\n", b"\n\n", 1))
@example(found=np.array2string(TRUTH.astype(float)).encode())
def test_what_the_check_takes_can_be_scored(data: Path, found: bytes) -> None:
    path = data.with_suffix(".solution")
    path.write_bytes(found)
    refused = [f.code for f in check_dataset(data, path, METRIC).findings if f.severity == "error"]
    refused = [code for code in refused if code.startswith("solution") or code == "nothing-to-score"]
    dataset = ScoreDataset(
        alias="one",
        name="d",
        solution_sha256=hashlib.sha256(found).hexdigest(),
        n_test=EXAMPLES,
        n_labels=LABELS,
    )

    def score_job() -> float:
        solution = check_solution(found, dataset, BalancedAccuracy())
        return BalancedAccuracy().score(solution, np.full(solution.shape, 0.5))

    def command() -> float | None:
        return score_files(path, data.parent / "snaps", resolve_rules(10))[1].final_score

    wanted = None if refused else 0.5
    assert [score_of(score_job), score_of(command)] == [wanted, wanted], refused


def score_of(read: Callable[[], float | None]) -> float | None:
    try:
        return read()
    except AlcoveError:
        return None


def test_a_solution_of_other_bytes_or_of_another_shape_is_damage() -> None:
    found = format_solution(TRUTH)
    dataset = ScoreDataset(
        alias="one", name="d", solution_sha256=hashlib.sha256(found).hexdigest(), n_test=3, n_labels=2
    )
    with pytest.raises(DamagedError, match=r"one has 4 × 2 cells, but its Dataset has 3 × 2"):
        check_solution(found, dataset, BalancedAccuracy())
    with pytest.raises(DamagedError, match="is not what its digest says"):
        check_solution(found + b"\n", dataset, BalancedAccuracy())
