"""Checks a dataset and its solution before anybody is scored with it. Reads each file once, front to back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from alcove_crds.documents import CheckResult
from alcove_datasets.errors import FormatError, SolutionError
from alcove_datasets.metadata import Metadata
from alcove_datasets.reader import decode, open_folder
from alcove_datasets.records import records_of
from alcove_datasets.solution import Table, parse_solution

MOST_PROBLEMS, LONGEST_PROBLEM = 8, 300
"""What fits the termination message of a pod."""
Score = Callable[[Any, Any], float]
"""``score(solution, prediction)`` of a metric: both test examples × labels, the former of bool."""


class PartCheck:
    """Checks the sample files of one part, in the order of their names: :meth:`file` for each, then :meth:`end`."""

    def __init__(self, name: str, metadata: Metadata) -> None:
        """``name``: ``train`` or ``test``."""
        self.name = name
        self.metadata = metadata
        self.bytes = 0
        self.problems: list[str] = []
        self._count = 0
        self._labelled = 0
        self._ids: set[int] = set()
        self._whole = True

    def file(self, file: BinaryIO, size: int, name: str) -> None:
        """Checks one sample file, up to its first damaged record."""
        self.bytes += size
        try:
            for number, (offset, data) in enumerate(records_of(file, size, name)):
                self._record(data, f"{name}, record {number}, byte {offset}")
        except FormatError as error:
            self._whole = False
            self.problems.append(f"{error.where}: {error.problem}. {error.remedy}")

    def _record(self, data: bytes, where: str) -> None:
        example = decode(data, self.metadata, where)
        self._count += 1
        if example.has_label:
            self._labelled += 1
            if self.name == "test" and self._labelled == 1:
                self.problems.append(
                    f"{where}: a test example carries a label. Leave label_index empty there; "
                    "labels of the test part belong in the solution alone."
                )
        if example.id in self._ids and example.id >= 0:
            self.problems.append(f"{where}: id {example.id} was there before. Number the examples of a part.")
        self._ids.add(example.id)

    def end(self) -> None:
        """What only the whole part can tell."""
        if self._whole and self._count != self.metadata.n_examples:
            self.problems.append(
                f"{self.name}/metadata.textproto: sample_count is {self.metadata.n_examples}, but there are "
                f"{self._count} examples. Correct it, or add the missing sample files."
            )
        if self._whole and not self._count:
            self.problems.append(f"{self.name}: there is no example. Add some.")
        elif self._whole and self.name == "train" and not self._labelled:
            self.problems.append("train: no example has a label, so nothing can be learned. Add label_index.")


def check_dataset(path: Path, solution: Path, score: Score | None = None) -> CheckResult:
    """Checks a folder ``NAME.data`` and its solution file. Never raises for what is wrong with them."""
    try:
        folder = open_folder(path)
        table = solution.read_bytes()
    except FormatError as error:
        return CheckResult(ok=False, problems=(_cut(str(error)),))
    except OSError as error:
        return CheckResult(ok=False, problems=(_cut(f"{solution}: cannot be read: {error.strerror}."),))
    checks = []
    for name, part in (("train", folder.train), ("test", folder.test)):
        check = PartCheck(name, part.metadata)
        for sample in part.files:
            with sample.open("rb", buffering=1 << 20) as file:
                check.file(file, sample.stat().st_size, f"{name}/{sample.name}")
        check.end()
        checks.append(check)
    return result(checks[0], checks[1], table, solution.name, score)


def result(
    train: PartCheck, test: PartCheck, solution: bytes, solution_name: str, score: Score | None = None
) -> CheckResult:
    """Puts both parts and the solution together.

    Args:
        score: of the competition's metric; gives the score of a prediction that knows nothing.
    """
    problems = [*train.problems, *test.problems]
    chance = None
    try:
        table = parse_solution(solution, solution_name)
    except SolutionError as error:
        problems.append(str(error))
    else:
        problem = _solution_problem(table, test.metadata, solution_name)
        if problem:
            problems.append(problem)
        elif score is not None:
            chance = score(table.astype(bool), np.full(table.shape, 0.5, np.float32))
    if len(problems) > MOST_PROBLEMS:
        rest = len(problems) - MOST_PROBLEMS + 1
        problems = [*problems[: MOST_PROBLEMS - 1], f"And {rest} more. Correct these first."]
    return CheckResult(
        ok=not problems,
        problems=tuple(_cut(problem) for problem in problems),
        domain=test.metadata.domain,
        n_train=train.metadata.n_examples,
        n_test=test.metadata.n_examples,
        n_labels=test.metadata.n_labels,
        bytes=train.bytes + test.bytes,
        chance_score=chance,
    )


def _solution_problem(table: Table, metadata: Metadata, name: str) -> str:
    rows, labels = table.shape
    if rows != metadata.n_examples:
        return (
            f"{name}: has {rows} rows, but the test part has {metadata.n_examples} examples. "
            "Give one row for each, in the order of the sample files."
        )
    if labels != metadata.n_labels:
        return (
            f"{name}: has {labels} numbers a row, but output_dim in test/metadata.textproto is "
            f"{metadata.n_labels}. Give one number for each label."
        )
    present = table.sum(axis=0)
    if not ((present > 0) & (present < rows)).any():
        return (
            f"{name}: no label is present in some test examples and absent in others, so nothing can be scored. "
            "Check that the columns are labels."
        )
    return ""


def _cut(problem: str) -> str:
    return problem if len(problem) <= LONGEST_PROBLEM else problem[: LONGEST_PROBLEM - 1] + "…"
