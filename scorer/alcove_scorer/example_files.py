"""A folder with the predictions of every run, to scores of resampled test examples: what ``--predictions`` names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_api.run_names import name_run
from alcove_api.score_text import format_score
from alcove_scorer.csv_files import quote_cell
from alcove_scorer.curves import CurveRules
from alcove_scorer.errors import InputError
from alcove_scorer.example_bootstrap import ExampleBootstrap, draw_examples
from alcove_scorer.metrics import Solution
from alcove_scorer.nested_bootstrap import Table, estimate_run_by_example
from alcove_scorer.ranks import combine_repeats
from alcove_scorer.resampled_scores import Draws
from alcove_scorer.run_files import find_size, list_snapshots, load_solution, read_pieces, score_files

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-6
"""Of a table's score to the one that the predictions have: tables are written with six decimals and more."""


def resample_folder(
    folder: Path,
    participants: tuple[str, ...],
    datasets: tuple[str, ...],
    repeats: Floats,
    penalty: float,
    rules: CurveRules,
    resamples: int,
    seed: int,
) -> Table:
    """The table with scores on resampled test examples; NaN where it lacks a run.

    The folder has ``DATASET.solution`` for each dataset, and a run in ``PARTICIPANT/DATASET`` as ``alcove score`` reads
    it. Repeats are named as runs of a Submission are: ``DATASET``, ``DATASET.2``, ``DATASET.3``. Those of one
    participant on one dataset are scored on the same resampled examples and then combined as the table's are.

    Args:
        folder: with the predictions.
        participants: of the table.
        datasets: of the table.
        repeats: the table's scores, participants × datasets × repeats.
        penalty: of :func:`alcove_scorer.ranks.combine_repeats`.
        rules: that score the predictions.
        resamples: of the examples of each dataset.
        seed: of the draws.

    Raises:
        InputError: something is missing, or a run's predictions do not have the score that the table has.
        SolutionError: a solution cannot be read.
    """
    examples = np.full((*repeats.shape[:2], resamples), np.nan)
    run_by_example = np.zeros(repeats.shape[:2])
    for column, dataset in enumerate(datasets):
        path = folder / f"{dataset}.solution"
        solution = load_solution(path, rules.metric)
        drawn = draw_examples(len(solution), resamples, seed + column)
        for row, participant in enumerate(participants):
            scores = repeats[row, column]
            if np.isnan(scores).any():
                continue
            areas = np.empty((resamples, len(scores)))
            for place, score in enumerate(scores.tolist()):
                run = folder / participant / name_run(dataset, place + 1)
                again = f", repeat {place + 1}" if len(scores) > 1 else ""
                named = f"{quote_cell(participant)} on {quote_cell(dataset)}{again}"
                refused = _check_score(path, run, rules, score, named)
                areas[:, place] = _resample_run(run, solution, drawn, rules, refused)
            examples[row, column] = combine_repeats(areas, penalty)
            if areas.shape[0] > 1 and areas.shape[1] > 1:
                run_by_example[row, column] = estimate_run_by_example(areas, penalty)
    return Table(repeats, penalty, examples, run_by_example)


def _check_score(solution: Path, run: Path, rules: CurveRules, score: float, named: str) -> set[int]:
    """Numbers of the snapshots that are refused when the whole test set is scored."""
    _, outcome = score_files(solution, run, rules)
    if outcome.alc is None or abs(outcome.alc - score) > TOLERANCE:
        got = "none that is valid" if outcome.alc is None else f"ALC {format_score(outcome.alc, 6)}"
        raise InputError(
            f"{run}: expected the predictions that have the table's score {score:.6f} of {named}; got {got}. "
            "Are budget, scheme, metric and t0 right?"
        )
    return {refused.number for refused in outcome.refused}


def _resample_run(
    run: Path, solution: Solution, drawn: Draws, rules: CurveRules, refused: set[int]
) -> Floats:
    """ALC of the run, by resample."""
    bootstrap = ExampleBootstrap(rules, solution, drawn)
    for item in list_snapshots(run, rules.budget):
        if item.seconds is not None and item.path is not None and item.number not in refused:
            pieces = read_pieces(item.path, item.sha256)
            bootstrap.add(item.number, item.seconds, item.kind, find_size(item.path), pieces)
    return bootstrap.areas()
