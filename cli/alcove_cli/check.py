"""``alcove dataset check``: what was found, as a report for a person or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from alcove_api.schemes import BALANCED_ACCURACY, R2, find_metric_mismatch
from alcove_api.words import count_answers, count_of, format_bytes
from alcove_cli.errors import CommandError
from alcove_toolkit.check import CheckMetric, check_dataset
from alcove_toolkit.check.findings import Finding, printable
from alcove_toolkit.check.report import LabelReport, Report, TargetReport

WIDTH = 24
"""Characters of a full bar."""
LISTED = 20
"""Labels that are shown one by one."""


def check(folder: Path, solution: Path, metric: str | None, *, strict: bool, as_json: bool) -> int:
    """Prints the report; returns the exit status: 0, or 1 where the dataset must not be used.

    ``metric``: of the two baselines' scores; by default the usual one of the dataset's task.
    """
    from alcove_scorer.errors import InputError
    from alcove_scorer.metric_registry import find_metric as named
    from alcove_scorer.metrics import whole_scorer

    try:
        of_labels, of_numbers = (
            CheckMetric(one.name, whole_scorer(one), one.chance)
            for one in map(named, (metric, metric) if metric else (BALANCED_ACCURACY, R2))
        )
        _require_fit(folder, metric)
        with _progress(folder) as progress:
            found = check_dataset(folder, solution, of_labels, progress, of_numbers)
    except InputError as error:
        raise CommandError(str(error)) from None
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        for line in lines(found, strict=strict):
            typer.echo(line)
    return 0 if _usable(found, strict) else 1


def _require_fit(folder: Path, metric: str | None) -> None:
    """Raises CommandError where the metric that was asked for cannot score the dataset's task."""
    from alcove_format.errors import FormatError
    from alcove_format.reader import open_dataset

    with suppress(FormatError, OSError):  # The check tells of it.
        stated = open_dataset(folder).test.metadata.stated_task
        if metric and (mismatch := find_metric_mismatch(metric, stated or "multilabel")):
            raise CommandError(f"{mismatch[:1].upper()}{mismatch[1:]}")


def lines(found: Report, *, strict: bool) -> Iterator[str]:
    """The report for a person."""
    if found.train and found.test:
        yield from _facts(found)
    if found.labels:
        yield from _balance(found.labels, found.n_train, found.n_test)
    if found.targets:
        yield from _targets(found.targets)
    if found.chance_score is not None:
        yield from _baselines(found)
    for title, findings in (("Must be corrected", found.errors), ("Worth a look", found.warnings)):
        if findings:
            yield from _findings(title, findings)
    counted = [count_of(len(f), word) for f, word in _counted(found) if f]
    verdict = "It can be used" if _usable(found, strict) else "It must not be used"
    yield f"{verdict}: {', '.join(counted)}." if counted else f"{verdict}: nothing was found."


def _usable(found: Report, strict: bool) -> bool:
    return found.ok and not (strict and found.warnings)


def _counted(found: Report) -> tuple[tuple[tuple[Finding, ...], str], ...]:
    return (found.errors, "error"), (found.warnings, "warning")


def _facts(found: Report) -> Iterator[str]:
    asked = count_answers(found.n_labels, found.task == "regression")
    split = f"; split: {printable(found.split, 200)}" if found.split else ""
    yield f"{found.domain}, {found.task or 'task not known'}, {asked}{split}"
    for name, part in (("train", found.train), ("test", found.test)):
        if part:
            fewest, most = part.steps
            steps = (
                ""
                if most == fewest == 1
                else f", {fewest}–{most} steps"
                if most != fewest
                else f", {most} steps"
            )
            twice = f", {part.repeated:,} repeat an earlier one" if part.repeated else ""
            files = count_of(part.files, "file")
            yield f"  {name:<6}{part.examples:>9,} examples, {format_bytes(part.bytes)} in {files}{steps}{twice}"
    if found.in_both:
        yield f"  {found.in_both:,} test examples are in train as well"
    yield ""


def _balance(labels: tuple[LabelReport, ...], n_train: int, n_test: int) -> Iterator[str]:
    yield "Labels: share of train ▇ and of test ░, examples"
    widest = max(label.train / max(n_train, 1) for label in labels)
    widest = max(widest, *(label.test / max(n_test, 1) for label in labels)) or 1.0
    shown = (
        sorted(labels, key=lambda label: -(label.train + label.test))[:LISTED]
        if len(labels) > LISTED
        else labels
    )
    name_width = max(len(printable(label.name, 20)) for label in shown)
    for label in shown:
        name = f"{printable(label.name, 20):<{name_width}}"
        yield f"  {name} {_bar('▇', label.train / max(n_train, 1) / widest)} {label.train:>8,}"
        yield f"  {'':<{name_width}} {_bar('░', label.test / max(n_test, 1) / widest)} {label.test:>8,}"
    if len(shown) < len(labels):
        yield f"  … and {len(labels) - len(shown)} rarer labels (all of them: --json)"
    yield ""


def _targets(targets: tuple[TargetReport, ...]) -> Iterator[str]:
    yield "Numbers to predict: lowest, median and highest of train and of test"
    width = max(len(printable(target.name, 20)) for target in targets[:LISTED])
    for target in targets[:LISTED]:
        for name, part in ((printable(target.name, 20), target.train), ("", target.test)):
            yield f"  {name:<{width}}  {part.lowest:>12.6g}  {part.median:>12.6g}  {part.highest:>12.6g}"
    if len(targets) > LISTED:
        yield f"  … and {len(targets) - LISTED} more (all of them: --json)"
    yield ""


def _bar(character: str, share: float) -> str:
    filled = max(round(share * WIDTH), 1 if share > 0 else 0)
    return f"{character * filled:<{WIDTH}}"


def _baselines(found: Report) -> Iterator[str]:
    yield f"Baselines ({found.metric})"
    yield f"  a prediction that knows nothing       {found.chance_score:.3f}"
    if found.linear_score is not None:
        yield f"  a linear model on coarse features     {found.linear_score:.3f}"
    if max(found.n_train, found.n_test) > found.sampled:
        yield f"  (of a part, {found.sampled:,} examples drawn at random were used)"
    yield ""


def _findings(title: str, findings: tuple[Finding, ...]) -> Iterator[str]:
    yield title
    for finding in findings:
        yield f"  ✗ {finding.message}" if finding.severity == "error" else f"  ! {finding.message}"
        yield f"    → {finding.remedy}  [{finding.code}]"
    yield ""


@contextmanager
def _progress(folder: Path) -> Iterator[Callable[[int], None]]:
    """A bar of bytes read, where somebody looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        total = sum(file.stat().st_size for file in folder.rglob("sample*") if file.is_file())
        task = bar.add_task("reading", total=total)

        def advance(size: int) -> None:
            bar.update(task, advance=size)
            if bar.finished:
                bar.update(task, description="looking for leaks, fitting baselines")

        yield advance
