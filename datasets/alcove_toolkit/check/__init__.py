"""Checks a dataset and its solution before anybody is scored with it. Reads each file once, front to back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alcove_format.errors import FormatError, SolutionError
from alcove_format.metadata import Metadata
from alcove_format.reader import open_dataset
from alcove_format.solution import SolutionTable, Targets, parse_solution, parse_targets
from alcove_toolkit.check import baselines, content, leaks
from alcove_toolkit.check.baselines import Score
from alcove_toolkit.check.findings import Finding, error
from alcove_toolkit.check.leaks import LabelledColumns
from alcove_toolkit.check.part import PartFacts, PartReader, ReadProgress
from alcove_toolkit.check.report import LabelReport, PartReport, Report, Spread, TargetReport
from alcove_toolkit.check.sample import SHAPE_NAMES, Floats, Ints, LabelLists, Sample, TargetNumbers
from alcove_toolkit.check.source import PARTS, FolderSource, Source

ORDER_ROWS, ORDER_CELLS = 200_000, 4_000_000
"""Examples whose order is looked at, and examples × labels, at most."""


@dataclass(frozen=True)
class CheckMetric:
    """How a prediction is scored, so that this package need not know the metrics."""

    name: str
    score: Score
    chance: float
    """Where curves start with this metric: the score of a prediction that knows nothing."""


def check_dataset(
    path: Path,
    solution: Path,
    metric: CheckMetric | None = None,
    progress: ReadProgress = lambda _: None,
    number_metric: CheckMetric | None = None,
) -> Report:
    """Checks a folder ``NAME.data`` and its solution file. Never raises for what is wrong with them."""
    try:
        return check_source(FolderSource(open_dataset(path), solution), metric, progress, number_metric)
    except FormatError as problem:
        return Report((_broken(problem),))
    except OSError as problem:
        where = problem.filename or path
        return Report(
            (error("unreadable", f"{where}: cannot be read: {problem.strerror}.", "Make it readable."),)
        )


def check_source(
    source: Source,
    metric: CheckMetric | None = None,
    progress: ReadProgress = lambda _: None,
    number_metric: CheckMetric | None = None,
) -> Report:
    """Checks a dataset, wherever it lies.

    Args:
        metric: gives the scores of a prediction that knows nothing, and of a linear model.
        number_metric: the same, of a regression.

    Raises:
        OSError and the store's errors, where a source does.
    """
    try:
        train_metadata, test_metadata = (source.metadata(part) for part in PARTS)
    except FormatError as problem:
        return Report((_broken(problem),))
    findings = content.metadata_findings(train_metadata, test_metadata)
    if findings:  # Nothing else could be said of both.
        return Report(tuple(findings))
    findings += content.size_findings(test_metadata)
    metric = number_metric if test_metadata.is_regression else metric
    solution = _solution(source, test_metadata, findings)
    readers = [PartReader("train", train_metadata, progress), PartReader("test", test_metadata, progress)]
    train, test = (reader.read(source) for reader in readers)
    for reader in readers:
        findings += reader.findings
        findings += content.id_findings(reader.facts)
    findings += content.duplicate_findings(train, test)
    linear = None
    # What cannot be read whole cannot be matched with the rows of its solution.
    if solution is not None and train.whole and test.whole and len(train) and len(test) == len(solution):
        findings += content.task_findings(train)
        marks = _mark_labels(train, solution)
        if not test_metadata.is_regression:
            findings += content.balance_findings(train, marks, source.solution_name)
        linear = _judge(train, test, _Answers(marks, solution), metric, findings)
    return Report(
        findings=tuple(sorted(findings, key=lambda f: f.severity != "error")),
        domain=test_metadata.domain,
        task=content.find_task(train),
        split=test_metadata.split,
        train=_part(train),
        test=_part(test),
        in_both=len(content.find_copies(train, test)),
        labels=() if test_metadata.is_regression else _labels(train, solution),
        targets=_targets(train, solution) if test_metadata.is_regression else (),
        n_train=train_metadata.n_examples,
        n_test=test_metadata.n_examples,
        n_labels=test_metadata.n_labels,
        metric=metric.name if metric else "",
        chance_score=None if metric is None or solution is None else metric.chance,
        linear_score=linear,
        sampled=train.sample.size,
    )


def _broken(problem: FormatError) -> Finding:
    return error("format", f"{problem.where}: {problem.problem}.", problem.remedy)


def _solution(source: Source, metadata: Metadata, findings: list[Finding]) -> SolutionTable | Targets | None:
    """The solution, or None where it cannot be used with these metadata, which is then among the findings."""
    parse = parse_targets if metadata.is_regression else parse_solution
    try:
        solution: SolutionTable | Targets = parse(source.solution(), source.solution_name)
    except SolutionError as problem:
        findings.append(error("solution", problem.cause, problem.remedy))
        return None
    wrong = content.solution_findings(solution, metadata, source.solution_name)
    findings += wrong
    return None if any(f.severity == "error" for f in wrong) else solution


@dataclass(frozen=True)
class _Answers:
    """What the test part asks for."""

    marks: SolutionTable
    """Test examples × labels; of a regression, whether a number is above its median in train."""
    truth: SolutionTable | Targets
    """What is scored: ``marks``, or the numbers."""

    @property
    def are_numbers(self) -> bool:
        return self.truth.dtype == np.float64


def _mark_labels(train: PartFacts, solution: SolutionTable | Targets) -> SolutionTable:
    if isinstance(train.labels, LabelLists):
        return solution.view(np.uint8)
    return (solution > train.labels.medians()).astype(np.uint8)


def _judge(
    train: PartFacts,
    test: PartFacts,
    answers: _Answers,
    metric: CheckMetric | None,
    findings: list[Finding],
) -> float | None:
    """Looks for leaks and fits a linear model, on the samples; returns the latter's score on test."""
    names = _asked_names(train)
    one, other = train.sample.sample(), test.sample.sample()
    y_train = train.labels.table(one.index, np.arange(len(names)))
    y_test = answers.marks[other.index].astype(np.bool_)

    def tables(columns: Callable[[PartFacts, Sample], Floats]) -> tuple[LabelledColumns, LabelledColumns]:
        return LabelledColumns(columns(train, one), y_train), LabelledColumns(columns(test, other), y_test)

    by_order = _order(train, test, answers.marks)
    by_id = leaks.id_finding(
        *tables(lambda part, s: leaks.id_columns(_ids(part)[s.index], len(names))), names
    )
    # Where ids are the order of the files, one finding is enough.
    told = [
        *by_order,
        *([by_id] if by_id and not any(f.code.startswith("label-by") for f in by_order) else []),
    ]
    shapes, vectors = tables(lambda _, s: s.shapes), tables(lambda _, s: s.vectors)
    told += leaks.column_findings(*shapes, names, "label-by-size", SHAPE_NAMES.__getitem__)
    told += leaks.column_findings(*vectors, names, "label-by-feature", train.features.name)
    linear = baselines.linear_baseline(*vectors)
    if linear is not None:
        told += baselines.baseline_findings(linear, content.is_shift(test.metadata))
    findings += told
    if metric is None:
        return None
    if answers.are_numbers:
        return _score_numbers(train, one, other, answers.truth[other.index], metric)
    if linear is None or not content.can_be_scored(y_test):
        return None
    return metric.score(y_test, linear.prediction)


def _asked_names(train: PartFacts) -> tuple[str, ...]:
    """Of the columns that leaks are looked for in."""
    names = train.metadata.label_names
    return tuple(f"{name} above its median" for name in names) if train.metadata.is_regression else names


def _score_numbers(
    train: PartFacts, one: Sample, other: Sample, truth: SolutionTable | Targets, metric: CheckMetric
) -> float | None:
    """Of a linear model; None where there is too little to fit, or nothing to score."""
    assert isinstance(train.labels, TargetNumbers)
    predicted = baselines.fit_numbers(one.vectors, train.labels.numbers()[one.index], other.vectors)
    if predicted is None or (truth == truth[:1]).all():
        return None
    return metric.score(truth, predicted)


def _order(train: PartFacts, test: PartFacts, solution: SolutionTable) -> list[Finding]:
    rows = _stretches(len(test))
    columns = _widest(solution.sum(axis=0, dtype=np.int64), len(solution), len(rows))
    found = [leaks.order_finding(solution[np.ix_(rows, columns)].astype(np.bool_), _ids(test)[rows])]
    rows = _stretches(len(train))
    columns = _widest(train.labels.counts(), len(train), len(rows))
    found.append(leaks.train_order_finding(train.labels.table(rows, columns)))
    return [f for f in found if f]


def _ids(part: PartFacts) -> Ints:
    return np.array(part.ids, np.int64)


def _stretches(n: int) -> Ints:
    """Positions whose order is looked at: all or, of many, stretches from the whole length."""
    if n <= ORDER_ROWS:
        return np.arange(n)
    stretch = 2_000
    starts = np.linspace(0, n - stretch, ORDER_ROWS // stretch).astype(np.int64)
    return (starts[:, None] + np.arange(stretch)).ravel()


def _widest(positives: Ints, n: int, rows: int) -> Ints:
    """The labels that vary most, as many as fit ``ORDER_CELLS`` with so many rows."""
    spread = positives * (n - positives)
    return np.sort(np.argsort(-spread, kind="stable")[: max(1, ORDER_CELLS // max(rows, 1))])


def _part(facts: PartFacts) -> PartReport:
    return PartReport(
        examples=len(facts),
        bytes=facts.bytes,
        files=len(facts.files),
        labelled=facts.labelled,
        steps=facts.steps,
        repeated=content.count_repeated(np.array(facts.hashes, np.uint64)),
    )


def _targets(train: PartFacts, solution: SolutionTable | Targets | None) -> tuple[TargetReport, ...]:
    if solution is None or not isinstance(train.labels, TargetNumbers) or not len(train):
        return ()
    numbers = train.labels.numbers()
    return tuple(
        TargetReport(name, _spread(numbers[:, i]), _spread(solution[:, i]))
        for i, name in enumerate(train.metadata.label_names)
    )


def _spread(numbers: Floats | SolutionTable | Targets) -> Spread:
    return Spread(float(numbers.min()), float(np.median(numbers)), float(numbers.max()))


def _labels(train: PartFacts, solution: SolutionTable | Targets | None) -> tuple[LabelReport, ...]:
    if solution is None:
        return ()
    both = zip(train.labels.counts().tolist(), solution.sum(axis=0, dtype=np.int64).tolist(), strict=True)
    return tuple(
        LabelReport(name, one, other)
        for name, (one, other) in zip(train.metadata.label_names, both, strict=True)
    )
