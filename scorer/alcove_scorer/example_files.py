"""A folder with the predictions of every run, to scores of resampled test examples: what ``--predictions`` names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_api.score_text import format_score
from alcove_scorer.csv_files import quote_cell
from alcove_scorer.curves import CurveRules
from alcove_scorer.errors import InputError
from alcove_scorer.example_bootstrap import ExampleBootstrap, draw_examples
from alcove_scorer.run_files import find_size, list_snapshots, load_solution, read_pieces, score_files

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-6
"""Of a table's score to the one that the predictions have: tables are written with six decimals and more."""


def resample_folder(
    folder: Path,
    participants: tuple[str, ...],
    datasets: tuple[str, ...],
    scores: Floats,
    rules: CurveRules,
    resamples: int,
    seed: int,
) -> Floats:
    """Scores of each run (participants × datasets × resamples); NaN where the table has none.

    The folder has ``DATASET.solution`` for each dataset, and a run in ``PARTICIPANT/DATASET`` as ``alcove score`` reads
    it.

    Raises:
        InputError: something is missing, or a run's predictions do not have the score that the table has.
        SolutionError: a solution cannot be read.
    """
    found = np.full((*scores.shape, resamples), np.nan)
    for column, dataset in enumerate(datasets):
        path = folder / f"{dataset}.solution"
        solution = load_solution(path, rules.metric)
        drawn = draw_examples(len(solution), resamples, seed + column)
        for row, participant in enumerate(participants):
            if np.isnan(scores[row, column]):
                continue
            run = folder / participant / dataset
            _, outcome = score_files(path, run, rules)
            if outcome.alc is None or abs(outcome.alc - scores[row, column]) > TOLERANCE:
                got = "none that is valid" if outcome.alc is None else f"ALC {format_score(outcome.alc, 6)}"
                raise InputError(
                    f"{run}: expected the predictions that have the table's score {scores[row, column]:.6f} of "
                    f"{quote_cell(participant)} on {quote_cell(dataset)}; got {got}. "
                    "Are budget, scheme, metric and t0 right?"
                )
            bootstrap = ExampleBootstrap(rules, solution, drawn)
            for item in list_snapshots(run, rules.budget):
                if item.seconds is not None and item.path is not None:
                    pieces = read_pieces(item.path, item.sha256)
                    bootstrap.add(item.number, item.seconds, item.kind, find_size(item.path), pieces)
            found[row, column] = bootstrap.areas()
    return found
